"""APScheduler 3: `job` goes below the scheduler's own decorator."""

import signal
import sys

from apscheduler.schedulers.blocking import BlockingScheduler
from loguru import logger

from loghc import HealthSink, job

logger.add(HealthSink())
scheduler = BlockingScheduler()


@scheduler.scheduled_job("interval", hours=1, max_instances=3)
@job("sync")
def sync(): ...


signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # what runs may end
scheduler.start()
