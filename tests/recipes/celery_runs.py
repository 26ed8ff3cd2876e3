"""Makes a run of each Celery task. Import it in the module of your app."""

from celery.signals import task_failure, task_postrun, task_prerun
from loguru import logger


@task_prerun.connect
def start(task_id, **_):
    logger.bind(run_id=task_id).info("sync.start")


@task_postrun.connect
def end(task_id, state, **_):
    if state == "SUCCESS":
        logger.bind(run_id=task_id).info("sync.done")
    elif state != "FAILURE":  # such as a retry, which ends the run without a verdict
        logger.bind(run_id=task_id, ends_run=True).info("sync.log: {}", state)


@task_failure.connect  # the main process sends this for a killed worker, too
def fail(task_id, exception, **_):
    logger.bind(run_id=task_id).opt(exception=exception).error("sync.error")
