"""joblib: a run of each item, in its processes."""

from joblib import Parallel, delayed

from loghc import job


@job("sync")
def sync(item):
    print("syncing", item)


if __name__ == "__main__":
    Parallel(n_jobs=2)(delayed(sync)(item) for item in range(3))
