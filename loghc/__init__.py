"""Healthchecks pings from loguru markers, with the end of the log attached.

from loguru import logger
from loghc import HealthSink

logger.add(HealthSink("https://hc-ping.com/<uuid>"))
logger.info("sync.start")
logger.info("sync.done")
"""

from loghc.delivery import Stats
from loghc.job import job
from loghc.known_secrets import SECRETS
from loghc.ping import Event, Outcome
from loghc.sink import HealthSink
from loghc.version import __version__

__all__ = ["SECRETS", "Event", "HealthSink", "Outcome", "Stats", "__version__", "job"]
