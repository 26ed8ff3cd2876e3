"""Runs for ever, a run an hour; what a killed process could not tell, the next one does.

The state directory is its argument: a volume, or systemd's StateDirectory.
"""

import sys
import time

from loguru import logger

from loghc import HealthSink, job


@job("sync")
def sync(): ...


if __name__ == "__main__":
    logger.add(HealthSink(state=sys.argv[1]))
    while True:
        sync()  # an exception is reported and ends the process, which is then restarted
        time.sleep(3600)
