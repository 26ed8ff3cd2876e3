"""Starts a Python that shares nothing with this program, and is its child for no time."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import posix
import re
import sys
from collections.abc import Mapping
from typing import Any

__all__ = ["PIDFD", "known_python", "spawn_detached"]

PIDFD = 4
"""The descriptor of this process that the other one gets."""

_MESSAGE = 3  # its descriptor with the first message
_SPARE = 10  # our descriptors are put from here on, out of the way of those
_PYTHON = re.compile(r"(python|pypy)[\d.]*[a-z]*$")
# The shell is there in a millisecond, and has gone in another; Python would take ten.
_SHELL = "/bin/sh"
_COMMAND = f'"$0" -I -S -c "$1" <&{_MESSAGE} {_MESSAGE}<&- &'
_CODE = """\
import json, sys
message = json.loads(sys.stdin.buffer.readline())
sys.path += message["paths"]
from loghc.guard.process import main
main(message)
"""
# What it needs to be executed at all. Anything else here may be a secret.
_VARIABLES = ("LD_LIBRARY_PATH",)


def known_python() -> str | None:
    """The executable that runs this program, if it is Python and nothing else.

    ``sys.executable`` is the server where Python is embedded in one, the program itself where that
    is frozen, and somebody else's Python where nobody knows.
    """
    path = sys.executable
    if not path or hasattr(sys, "frozen") or not _PYTHON.match(os.path.basename(path)):
        return None
    with contextlib.suppress(OSError):
        if os.path.samefile(path, "/proc/self/exe"):
            return path
    return None


def spawn_detached(python: str, message: Mapping[str, Any]) -> None:
    """Start a guard for this process.

    Not by ``os.fork``, in the midst of the app's threads, and not by ``subprocess``, which gevent
    patches: a child that executes a shell at once, which starts the guard behind it and ends.

    Args:
        python: the executable.
        message: what it is told first.

    Raises:
        OSError: it can't be started.
    """
    pidfd = _out_of_the_way(os.pidfd_open(os.getpid()))
    try:
        pipe = _out_of_the_way(_filled_pipe(json.dumps(message).encode() + b"\n"))
        try:
            child = posix.posix_spawn(
                _SHELL,
                [_SHELL, "-c", _COMMAND, python, _CODE],
                {name: os.environ[name] for name in _VARIABLES if name in os.environ},
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, pipe, _MESSAGE),
                    (os.POSIX_SPAWN_DUP2, pidfd, PIDFD),
                    *((os.POSIX_SPAWN_OPEN, n, os.devnull, os.O_RDWR, 0) for n in range(3)),
                ],
                setsid=True,
            )
        finally:
            os.close(pipe)
    finally:
        os.close(pidfd)
    with contextlib.suppress(ChildProcessError):  # the program ignores or waits for all children
        posix.waitpid(child, 0)


def _filled_pipe(data: bytes) -> int:
    """The reading end of a pipe with data in it."""
    reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        with contextlib.suppress(OSError):
            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 2 * len(data))
        if os.write(writing, data) < len(data):
            raise OSError("a pipe takes too little")
        os.set_blocking(reading, True)
        return reading
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)


def _out_of_the_way(descriptor: int) -> int:
    """The same under a number that is none of those to be given."""
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _SPARE)
    finally:
        os.close(descriptor)
