"""dask: a run of each item, in a cluster of processes on this machine."""

from dask.distributed import Client

from loghc import job


@job("sync")
def sync(item):
    print("syncing", item)


if __name__ == "__main__":
    with Client(n_workers=2, dashboard_address=None) as client:
        client.gather(client.map(sync, range(3)))
