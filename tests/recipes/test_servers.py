"""The recipes for what serves for ever, against a service that is slow: a stop is no failure."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import urllib3

from loghc.ping import Event
from loghc.testing import Fault, PingReceiver
from pings import runs
from processes import TIMEOUT, needs_posix
from recipe_files import MARKERS_ONLY, copied, ended, running, said
from services import free_port
from waiting import wait_until

pytestmark = [needs_posix, pytest.mark.slow]

RUN = [Event.START, Event.SUCCESS]
LONG = """
import time
from pathlib import Path
Path(f"begun {time.monotonic_ns()}").touch()
time.sleep(1)
"""
WAYS = pytest.mark.parametrize("before", [(), MARKERS_ONLY], ids=["alone", "watched"])


@pytest.fixture(autouse=True)
def _slow_service(receiver: PingReceiver) -> None:
    receiver.always(Fault(delay=0.5))


@pytest.fixture
def begun(tmp_path: Path) -> Callable[[int], None]:
    """Waits until so many syncs have begun."""
    return lambda count: wait_until(lambda: len([*tmp_path.glob("begun *")]) >= count, TIMEOUT)


@WAYS
def test_apscheduler(
    before: tuple[str, ...],
    begun: Callable[[int], None],
    receiver: PingReceiver,
    tmp_path: Path,
) -> None:
    file = copied("scheduler.py", tmp_path, LONG)
    file.write_text(file.read_text().replace("hours=1", "seconds=0.6"))
    command = (*before, str(file)) if before else (sys.executable, str(file))
    with running(*command, cwd=tmp_path) as process:
        begun(3)  # and by then they overlap
        assert ended(process, by=signal.SIGTERM) == 0, said(tmp_path)
    count = len([*tmp_path.glob("begun *")])
    assert runs(receiver) == [RUN] * count, said(tmp_path)


@WAYS
@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["no preload", "preload"])
def test_gunicorn(
    before: tuple[str, ...],
    preload: list[str],
    begun: Callable[[int], None],
    receiver: PingReceiver,
    tmp_path: Path,
) -> None:
    pytest.importorskip("gunicorn")
    copied("web.py", tmp_path, LONG)
    port = free_port()
    options = ["--bind", f"127.0.0.1:{port}", "--workers", "2", *preload]
    serve(port, [*before, "gunicorn", *options, "web:app"], "/", begun, tmp_path)
    assert runs(receiver) == [RUN] * 3, said(tmp_path)


@WAYS
def test_fastapi(
    before: tuple[str, ...],
    begun: Callable[[int], None],
    receiver: PingReceiver,
    tmp_path: Path,
) -> None:
    pytest.importorskip("uvicorn")
    pytest.importorskip("fastapi")
    copied("web_tasks.py", tmp_path, LONG)
    port = free_port()
    command = [*before, "uvicorn", "--port", str(port), "--workers", "2", "web_tasks:app"]
    serve(port, command, "/sync", begun, tmp_path)
    assert runs(receiver) == [RUN] * 3, said(tmp_path)


def serve(
    port: int, command: list[str], path: str, begun: Callable[[int], None], folder: Path
) -> None:
    """Serve three requests at once, and stop while the last of them is dealt with."""
    with running(*command, cwd=folder) as server, ThreadPoolExecutor(3) as clients:

        def post(_: int) -> int:
            retries = urllib3.Retry(total=None, connect=200, backoff_factor=0.1, backoff_max=0.1)
            with urllib3.PoolManager(retries=retries) as pool:
                return pool.request("POST", f"http://127.0.0.1:{port}{path}").status

        answers = clients.map(post, range(3))
        begun(3)
        assert ended(server, by=signal.SIGTERM) == 0, said(folder)
        assert list(answers) == [200] * 3


def test_huey(receiver: PingReceiver, begun: Callable[[int], None], tmp_path: Path) -> None:
    pytest.importorskip("huey")
    copied("huey_runs.py", tmp_path, LONG)
    with running(
        sys.executable, "-c", "import huey_runs\nfor _ in range(3): huey_runs.sync()", cwd=tmp_path
    ) as sender:
        assert ended(sender) == 0, said(tmp_path)
    command = ("huey_consumer", "huey_runs.huey", "-k", "process", "-w", "2")
    with running(*MARKERS_ONLY, *command, cwd=tmp_path) as consumer:
        begun(3)
        assert ended(consumer, by=signal.SIGINT) == 0, said(tmp_path)
    assert runs(receiver) == [RUN] * 3, said(tmp_path)
