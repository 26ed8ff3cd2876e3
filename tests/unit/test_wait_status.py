"""What another process than the parent learns of how a process ended."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from guards import needs_guard
from loghc.death import wait_status as module
from loghc.death.wait_status import wait_status

pytestmark = needs_guard
_LINUX = tuple(int(number) for number in re.findall(r"\d+", os.uname().release)[:2])
_HAS_STATUS = _LINUX >= (6, 15)
needs_status = pytest.mark.skipif(not _HAS_STATUS, reason="the kernel doesn't say it")

END = {"exit": (3 << 8), "signal": signal.SIGKILL, "success": 0}


@pytest.fixture(params=END)
def ended(request: pytest.FixtureRequest) -> Iterator[tuple[subprocess.Popen[bytes], int, int]]:
    """A process that has ended and isn't reaped, its pidfd, and its wait status."""
    status = END[request.param]
    code = {"exit": "exit 3", "signal": "kill -9 $$", "success": ":"}[request.param]
    with subprocess.Popen(["sh", "-c", f"read line; {code}"], stdin=subprocess.PIPE) as process:
        pidfd = os.pidfd_open(process.pid)
        process.stdin.close()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        yield process, pidfd, status
        os.close(pidfd)


@pytest.fixture(autouse=True)
def short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REAPED_WITHIN_S", 0.15)


@needs_status
def test_of_one_that_was_reaped_the_kernel_says_it(ended) -> None:
    process, pidfd, status = ended
    process.wait()
    assert wait_status(pidfd, process.pid) == status


@needs_status
def test_of_one_that_is_being_reaped_it_is_waited_for(ended, monkeypatch) -> None:
    process, pidfd, status = ended
    monkeypatch.setattr(module, "process_stat", lambda pid: None)  # as of another user's
    reaper = threading.Timer(0.05, process.wait)
    reaper.start()
    assert wait_status(pidfd, process.pid) == status
    reaper.join()


@needs_status
def test_of_one_that_nobody_reaps_it_is_read_after_a_while(ended) -> None:
    process, pidfd, status = ended
    began = time.monotonic()
    # A success can't be told from a status that may not be seen.
    assert wait_status(pidfd, process.pid) == (status or None)
    assert 0.15 <= time.monotonic() - began < 10


@needs_status
@pytest.mark.parametrize("ended", ["exit"], indirect=True)
def test_of_one_that_may_not_be_seen_nothing_is_made_up(ended, monkeypatch) -> None:
    process, pidfd, _ = ended
    monkeypatch.setattr(module, "process_stat", lambda pid: None)
    assert wait_status(pidfd, process.pid) is None


@needs_status
def test_of_one_that_lives_there_is_none() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        pidfd = os.pidfd_open(process.pid)
        assert wait_status(pidfd, process.pid) is None
        os.close(pidfd)


@pytest.mark.parametrize("ended", ["exit"], indirect=True)
def test_an_older_kernel_says_nothing_at_once(ended, monkeypatch) -> None:
    process, pidfd, _ = ended
    monkeypatch.setattr(module, "_PIDFD_GET_INFO", 0)
    monkeypatch.setattr(module, "_REAPED_WITHIN_S", 1000)
    assert wait_status(pidfd, process.pid) is None
