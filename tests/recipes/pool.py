"""A pool of processes, in which each item is a run."""

from multiprocessing import Pool

from loguru import logger

from loghc import HealthSink, job


def watch():
    logger.add(HealthSink())


@job("sync")
def sync(item):
    print("syncing", item)


if __name__ == "__main__":
    with Pool(initializer=watch) as pool:
        pool.map(sync, range(3))
        pool.close()  # the end of the block would kill the workers, and the pings that they send
        pool.join()
