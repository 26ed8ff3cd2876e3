"""Programs with a guard, and the guards that are there."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

_NAMESPACE = Path("/proc/self/ns/pid")


def can_be_guarded() -> bool:
    """Whether processes of this machine can have a guard."""
    return (
        hasattr(os, "pidfd_open")
        and _NAMESPACE.is_symlink()
        and str(_NAMESPACE.readlink()) == "pid:[4026531836]"
    )


needs_guard = pytest.mark.skipif(
    not can_be_guarded(),
    reason="a guard needs a pidfd, and the pid namespace that the system begins with",
)

# Ends with a run open, and with a guard that watches.
JOB = """\
import os, signal, sys, time
from loguru import logger
from loghc import HealthSink

def guards():
    return [name for name in os.listdir("/proc") if name.isdigit() and is_guard(name)]

def is_guard(name):
    try:
        with open(f"/proc/{name}/comm") as file:
            if file.read() != "loghc-guard\\n":
                return False
        with open(f"/proc/{name}/fdinfo/4") as file:
            return f"Pid:\\t{os.getpid()}\\n" in file.read()
    except OSError:
        return False

def guarded():
    until = time.monotonic() + 30
    while not guards():
        assert time.monotonic() < until
        time.sleep(0.005)
    return guards()[0]

def kill(number=signal.SIGKILL):
    os.kill(os.getpid(), number)

logger.remove()
"""
SINK = 'sink = HealthSink(os.environ["URL"], guard=True)\nlogger.add(sink)\n'
STARTED = """\
logger.info("before")
logger.info("sync.start")
logger.info("copied 7")
guarded()
sink.wait()
"""


def guards_of(pid: int) -> list[int]:
    """The guards of a process that lives."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            is_guard = (process / "comm").read_text() == "loghc-guard\n"
            if is_guard and f"Pid:\t{pid}\n" in (process / "fdinfo/4").read_text():
                found.append(int(process.name))
    return found


def entries_of(pid: int) -> list[Path]:
    """The entries in memory of a process."""
    found = []
    for path in Path("/dev/shm").glob("loghc-guarded-*"):
        with contextlib.suppress(OSError):
            if f"\npid={pid}\n" in "\n" + (path / "run").read_text():
                found.append(path)
    return found
