"""huey: a run of each task. Import it in the module of your app."""

from huey import SqliteHuey

from loghc import job

huey = SqliteHuey(filename="huey.db")


@huey.task()
@job("sync")
def sync(): ...
