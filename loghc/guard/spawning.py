"""Starts a Python that shares nothing with this program, and was never its child."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import posix
import re
import shlex
import signal
import sys
from collections.abc import Mapping
from typing import Any

__all__ = ["PIDFD", "known_python", "spawn_detached"]

PIDFD = 4
"""The guard's descriptor of the process that started it."""

_PYTHON = re.compile(r"(python|pypy)[\d.]*[a-z]*$")
_CLONE_VM = 0x100
_CLONE_VFORK = 0x4000
_WCLONE = -(1 << 31)  # wait for a child that sends no signal
_STACK_BYTES = 1 << 18
_CODE = """\
import json, sys
message = json.loads(sys.stdin.buffer.readline())
sys.path += message["paths"]
from loghc.guard.process import main
main(message)
"""
# What it needs to be executed at all. Anything else here may be a secret.
_VARIABLES = ("LD_LIBRARY_PATH",)


@functools.cache
def known_python() -> str | None:
    """The executable that runs this program, if that is Python itself.

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

    A wait for any child, in whatever thread, must not return ours. Neither ``os.fork``, which isn't
    safe with threads, nor ``subprocess`` can hide one.

    Args:
        python: the executable.
        message: the first one.

    Raises:
        OSError, ImportError: it can't be started.
    """
    # A shell takes a descriptor's number of one digit; in a path it may have more.
    pidfd = _inherited(os.pidfd_open(os.getpid()))
    try:
        pipe = _inherited(_filled_pipe(json.dumps({**message, "pidfd": pidfd}).encode() + b"\n"))
        try:
            variables = (f"{name}={os.environ[name]}" for name in _VARIABLES if name in os.environ)
            words = ["env", "-i", *variables, python, "-I", "-S", "-c", _CODE]
            command = f"{shlex.join(words)} </dev/fd/{pipe} >/dev/null 2>&1 &"
            _run_unseen(os.fsencode(command))
        finally:
            os.close(pipe)
    finally:
        os.close(pidfd)


def _run_unseen(command: bytes) -> None:
    """Run a shell's command in a process that nobody else in this one can see as a child.

    The C library's ``system`` runs it, in a process of its own that is made for that as
    ``posix_spawn`` makes one: in this one's memory, on a stack of its own, while this thread waits.
    But its end sends no signal, and so no wait for any child ends with it.
    """
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    clone = library.clone
    clone.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p]
    system = ctypes.cast(library.system, ctypes.c_void_p)
    stack = ctypes.create_string_buffer(_STACK_BYTES)
    top = (ctypes.addressof(stack) + _STACK_BYTES) // 16 * 16
    # A signal handler that ran there would run in this process's memory.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        child = clone(system, top, _CLONE_VM | _CLONE_VFORK, command)
        if child < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        posix.waitpid(child, _WCLONE)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


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


def _inherited(descriptor: int) -> int:
    """An inheritable duplicate of a descriptor, which is none of 0 to 2. Closes the original."""
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD, 3)
    finally:
        os.close(descriptor)
