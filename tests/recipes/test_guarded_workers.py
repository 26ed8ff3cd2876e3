"""A worker of gunicorn's or Celery's that is killed in a run is told at once by its own guard."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
import urllib3

from guards import needs_guard
from loghc.ping import Event
from loghc.testing import PingReceiver, ReceivedPing
from processes import TIMEOUT
from recipe_files import copied, ended, running, said
from services import free_port

pytestmark = [needs_guard, pytest.mark.slow]

KILLED = """
import os, signal, time
from loghc.guard.starting import the_guard
logger.info("copied 7")
sink.wait()
while the_guard._pid is None:
    time.sleep(0.01)
os.kill(os.getpid(), signal.SIGKILL)
"""
GUARDED = "sink = HealthSink(guard=True)\nlogger.add(sink)"
TASKS = f"""
from celery import Celery
from loguru import logger
from loghc import HealthSink, job

{GUARDED}
app = Celery("shop", broker_url="filesystem://", task_ignore_result=True)
app.conf.broker_transport_options = {{
    "data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control"
}}

@app.task
@job("sync")
def sync():
{"".join(f"    {line}" for line in KILLED.splitlines(keepends=True))}
"""


def told(receiver: PingReceiver) -> ReceivedPing:
    """The failure of the only run."""
    start, failure = receiver.wait(2, timeout=TIMEOUT)
    assert Counter(ping.event for ping in receiver.pings) == {Event.START: 1, Event.FAIL: 1}
    assert failure.run_id == start.run_id
    assert failure.text.endswith(" - copied 7\n")
    return failure


@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["", "preload"])
def test_gunicorn(preload: list[str], receiver: PingReceiver, tmp_path: Path) -> None:
    pytest.importorskip("gunicorn")
    file = copied("web.py", tmp_path, KILLED)
    file.write_text(file.read_text().replace("logger.add(HealthSink())", GUARDED))
    port = free_port()
    command = ["gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", "2", *preload, "web:app"]

    def ask() -> None:
        retries = urllib3.Retry(
            total=None, connect=200, read=0, backoff_factor=0.1, backoff_max=0.1
        )
        with urllib3.PoolManager(retries=retries) as pool, suppress(urllib3.exceptions.HTTPError):
            pool.request("GET", f"http://127.0.0.1:{port}/")

    with running(*command, cwd=tmp_path) as server, ThreadPoolExecutor(1) as client:
        asked = client.submit(ask)
        told(receiver)
        asked.result(TIMEOUT)
        assert ended(server, by=signal.SIGTERM) == 0, said(tmp_path)
    assert len(receiver.pings) == 2


def test_celery(receiver: PingReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("celery")
    for name in ("queue", "control"):
        (tmp_path / name).mkdir()
    (tmp_path / "shop.py").write_text(TASKS)
    monkeypatch.setenv("CELERY_LOADER", "default")
    send = [sys.executable, "-c", "from shop import *; sync.delay()"]
    subprocess.run(send, cwd=tmp_path, check=True, timeout=TIMEOUT, env=os.environ)
    with running("celery", "-A", "shop", "worker", "-c", "2", cwd=tmp_path) as worker:
        told(receiver)
        ended(worker, by=signal.SIGTERM)
    assert len(receiver.pings) == 2
