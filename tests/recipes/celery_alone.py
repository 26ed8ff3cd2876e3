"""Celery without `loghc run`: each worker delivers its pings before it leaves."""

from celery.signals import worker_process_shutdown
from loguru import logger

from loghc import HealthSink

logger.add(HealthSink(), diagnose=False)


@worker_process_shutdown.connect
def deliver(**_):
    logger.remove()
