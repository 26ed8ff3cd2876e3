"""gunicorn: a run of each request that syncs, whichever worker gets it."""

from loguru import logger

from loghc import HealthSink, job

logger.add(HealthSink())


@job("sync")
def sync(): ...


def app(environ, start_response):
    sync()
    start_response("200 OK", [("Content-Length", "7")])
    return [b"synced\n"]
