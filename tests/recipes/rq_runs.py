"""Makes a run of each job of RQ, and tells of those that were killed."""

from loguru import logger
from rq import Worker

from loghc import job


@job("sync")
def sync(): ...


class TellingWorker(Worker):
    def handle_work_horse_killed(self, killed, *_):
        logger.error("sync.error: {} was killed", killed.id)
