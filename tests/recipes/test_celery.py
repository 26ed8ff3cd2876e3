"""The recipes for Celery, with a broker of files and a service that is slow."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from loghc.ping import Event
from loghc.testing import Fault, PingReceiver
from pings import runs
from processes import TIMEOUT, needs_posix
from recipe_files import MARKERS_ONLY, copied, ended, running, said

pytest.importorskip("celery")
pytestmark = [needs_posix, pytest.mark.slow, pytest.mark.timeout(400)]

_TRIES = 3
_FOR_TASKS = 30  # seconds

# Celery's default loader finds this module in the working directory.
CONFIGURATION = """
broker_url = "filesystem://"
broker_transport_options = {
    "data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control"
}
task_ignore_result = True
broker_connection_retry_on_startup = True
worker_lost_wait = 0.1
"""

BY_SIGNALS = """
import os, signal, time
from pathlib import Path
from celery import Celery
import celery_runs

app = Celery("shop")

@app.task(bind=True, max_retries=1)
def sync(self, what):
    if what == "retried" and self.request.retries == 0:
        raise self.retry(countdown=0)
    if what == "failing":
        raise OSError("disk full")
    if what == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "long":
        while not Path("stopping").exists():
            time.sleep(0.05)
        time.sleep(0.3)

@app.task(time_limit=1)
def limited(what):
    time.sleep(60)
"""

# As README.md has it.
DECORATED = """
import time
from pathlib import Path
from celery import Celery
from celery.exceptions import Retry
from loghc import job

app = Celery("shop")

@app.task(bind=True, max_retries=1)
@job("sync", not_failures=(Retry,))
def sync(self, what):
    if what == "retried" and self.request.retries == 0:
        raise self.retry(countdown=0)
    if what == "long":
        while not Path("stopping").exists():
            time.sleep(0.05)
        time.sleep(0.3)
"""

RUN = [Event.START, Event.SUCCESS]
RETRIED = [Event.START, Event.LOG]


def work(
    tasks: str,
    kinds: list[str],
    receiver: PingReceiver,
    pings: int,
    folder: Path,
    before: tuple[str, ...] = MARKERS_ONLY,
) -> None:
    """Have a Celery do some tasks, each in a process of its own, and stop it in the last of them.

    `pings` are those of the others, and the start of the last. Celery itself, without loghc, too,
    does not always get there: it may lose a task that is tried again, or wait at its end for a
    lock of a worker that it killed. Then it gets another try.
    """
    for name in ("queue", "control"):
        (folder / name).mkdir()
    (folder / "celeryconfig.py").write_text(CONFIGURATION, encoding="utf-8")
    (folder / "shop.py").write_text(tasks, encoding="utf-8")
    calls = [f"{'limited' if kind == 'limited' else 'sync'}.delay({kind!r})" for kind in kinds]
    send = "\n".join(["from shop import *", *calls])
    python = [sys.executable, "-c", send]
    command = (*before, "celery", "-A", "shop", "worker", "-c", "2", "--max-tasks-per-child=1")
    for _ in range(_TRIES):
        receiver.clear()
        subprocess.run(python, cwd=folder, check=True, timeout=TIMEOUT, capture_output=True)
        with running(*command, cwd=folder) as celery, suppress(subprocess.TimeoutExpired):
            with suppress(AssertionError):
                receiver.wait(pings, timeout=_FOR_TASKS)
            (folder / "stopping").touch()
            status = ended(celery, by=signal.SIGTERM)
            assert status == 0, said(folder)
            if len(receiver.pings) > pings:
                return
        (folder / "stopping").unlink()
    pytest.fail(f"Celery did not get there in {_TRIES} tries: {said(folder)}")


@pytest.fixture(autouse=True)
def _slow_service(receiver: PingReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    receiver.always(Fault(delay=0.5))
    monkeypatch.setenv("CELERY_LOADER", "default")


def test_by_signals_a_retry_is_no_failure_and_a_killed_task_is_one(
    receiver: PingReceiver, tmp_path: Path
) -> None:
    copied("celery_runs.py", tmp_path)
    kinds = ["short", "retried", "failing", "killed", "limited", "long"]
    work(BY_SIGNALS, kinds, receiver, 13, tmp_path)
    told = runs(receiver)
    assert len(told) == len(kinds)
    assert told.count(RUN) == 2, said(tmp_path)
    assert told.count(RETRIED + RUN) == 1  # Celery keeps the id of a task that is tried again
    failed = [events for events in told if events[:2] == [Event.START, Event.FAIL]]
    assert len(failed) == 3  # one of them is told twice: Celery says so of a time limit
    text = b"\n".join(ping.body for ping in receiver.pings if ping.event is Event.FAIL).decode()
    for reason in ("OSError: disk full", "WorkerLostError", "TimeLimitExceeded"):
        assert reason in text
    assert "ended before this run" not in text  # nothing is left to the end of Celery


def test_by_job_each_try_is_a_run(receiver: PingReceiver, tmp_path: Path) -> None:
    work(DECORATED, ["short", "retried", "long"], receiver, 7, tmp_path)
    told = runs(receiver)
    assert told.count(RUN) == 3, said(tmp_path)
    assert told.count(RETRIED) == 1
    assert len(told) == 4


def test_without_loghc_run_each_worker_delivers_its_pings(
    receiver: PingReceiver, tmp_path: Path
) -> None:
    tasks = copied("celery_alone.py", tmp_path).read_text(encoding="utf-8") + DECORATED
    work(tasks, ["short", "retried", "long"], receiver, 7, tmp_path, before=())
    told = runs(receiver)
    assert told.count(RUN) == 3, said(tmp_path)
    assert told.count(RETRIED) == 1
    assert len(told) == 4
