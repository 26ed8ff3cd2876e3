"""The recipe for RQ's default worker, which forks, with a Redis that speaks over TCP."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from loghc.ping import Event
from loghc.testing import Fault, PingReceiver
from pings import runs
from processes import TIMEOUT, needs_posix
from recipe_files import MARKERS_ONLY, copied, ended, running, said
from waiting import wait_until

rq = pytest.importorskip("rq")
redis = pytest.importorskip("redis")
fakeredis = pytest.importorskip("fakeredis")
pytest.importorskip("lupa")  # RQ uses scripts
pytestmark = [needs_posix, pytest.mark.slow]

SYNC = """
import os, signal, time
from pathlib import Path
from rq import get_current_job
kind = get_current_job().meta["kind"]
if kind == "failing":
    raise OSError("disk full")
if kind == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
if kind == "long":
    Path("begun").touch()
    time.sleep(1)
"""

RUN = [Event.START, Event.SUCCESS]
FAILED = [Event.START, Event.FAIL]


@pytest.fixture
def url() -> Iterator[str]:
    server = fakeredis.TcpFakeServer(("127.0.0.1", 0))

    class Handler(server.RequestHandlerClass):  # type: ignore[misc, name-defined]
        """As Redis does, tells a client its address in one word, and stays after an error."""

        def setup(self) -> None:
            super().setup()
            client = self.current_client
            client.get_socket()._client_info.update(addr="127.0.0.1:1", laddr="127.0.0.1:2")
            read = client.read_response

            def read_response() -> Any:
                try:
                    return read()
                except redis.ResponseError as error:
                    return error

            client.read_response = read_response

    server.RequestHandlerClass = Handler
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"redis://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_each_job_is_a_run_and_a_killed_one_has_failed(
    url: str, receiver: PingReceiver, tmp_path: Path
) -> None:
    copied("rq_runs.py", tmp_path, SYNC)
    receiver.always(Fault(delay=0.5))
    client = redis.Redis.from_url(url)
    queue = rq.Queue(connection=client)
    for kind in ("short", "killed", "failing", "long"):
        queue.enqueue("rq_runs.sync", meta={"kind": kind})
    command = ("rq", "worker", "--url", url, "--path", ".", "-w", "rq_runs.TellingWorker")
    with running(*MARKERS_ONLY, *command, cwd=tmp_path) as worker:
        wait_until((tmp_path / "begun").exists, TIMEOUT)
        assert ended(worker, by=signal.SIGTERM) == 0, said(tmp_path)
    client.close()
    assert runs(receiver) == [RUN, FAILED, FAILED, RUN], said(tmp_path)
    text = receiver.pings[3].text
    assert "was killed\n" in text
    assert "ended before this run" not in text  # it is not left to the end of RQ
