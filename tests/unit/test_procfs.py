"""What the kernel says of a process."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from subprocess import PIPE, Popen

import pytest

from loghc.procfs import process_stat
from waiting import wait_until

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="processes are found in /proc"
)


def test_a_living_process_is_described() -> None:
    stat = process_stat(os.getpid())
    assert stat is not None
    assert not stat.ended
    assert stat.parent == os.getppid()
    assert stat.stack > 0
    earlier = process_stat(1)
    assert earlier is not None
    assert earlier.began_ticks < stat.began_ticks
    assert earlier.parent == 0


def test_one_that_ended_has_a_wait_status_until_it_is_reaped() -> None:
    process = Popen(["cat"], stdin=PIPE)
    try:
        process.kill()
        wait_until(lambda: (stat := process_stat(process.pid)) is not None and stat.ended, 10)
        stat = process_stat(process.pid)
        assert stat is not None
        assert stat.wait_status == signal.SIGKILL
        assert stat.parent == os.getpid()
    finally:
        process.communicate()
    assert process_stat(process.pid) is None


def test_a_name_may_look_like_the_fields_after_it(tmp_path: Path) -> None:
    program = tmp_path / "x) Z 1 (y"
    program.symlink_to(sys.executable)
    process = Popen([program, "-c", "input()"], stdin=PIPE)
    try:
        wait_until(lambda: (stat := process_stat(process.pid)) is not None and "x" in stat.name, 10)
        stat = process_stat(process.pid)
        assert stat is not None
        assert (stat.name, stat.ended, stat.parent) == (program.name, False, os.getpid())
    finally:
        process.communicate(b"\n")
