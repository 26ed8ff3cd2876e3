"""A ProcessPoolExecutor, in which each item is a run."""

from concurrent.futures import ProcessPoolExecutor

from loguru import logger

from loghc import HealthSink, job


def watch():
    logger.add(HealthSink())


@job("sync")
def sync(item):
    print("syncing", item)


if __name__ == "__main__":
    with ProcessPoolExecutor(initializer=watch) as pool:
        list(pool.map(sync, range(3)))
