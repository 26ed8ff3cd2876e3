"""A small process for each pipe of ``--output``, which empties it once the watcher no longer does.

It is forked before the program, waits, and holds nothing but the pipe and the output's destination.
This keeps processes that still print from dying of SIGPIPE, whether the program has ended or the
watcher was killed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select

__all__ = ["GIVE_UP", "fork_drain", "pass_on"]

_AT_ONCE_BYTES = 65_536
GIVE_UP = b"x"
"""Written to a drain's control if nobody reads the output any more. It closes its pipe."""
_NAME = b"loghc-output"  # as `ps` shows it
_MAX_DESCRIPTORS = 256  # closed if the system doesn't say which are open


def fork_drain(reading: int, into: int, waiting: int) -> None:
    """Start a drain, in which the signals that this process blocks stay blocked.

    This process must have a single thread.

    Args:
        reading: the reading end of the pipe.
        into: where the output goes.
        waiting: a descriptor on which the drain waits for its turn, until the other end is closed,
            if only because this process died.

    Raises:
        OSError: no process can be started.
    """
    if os.fork() == 0:
        try:
            _drain(reading, into, waiting)
        finally:
            os._exit(0)


def pass_on(view: memoryview, into: int) -> None:
    """Write all of the data.

    Raises:
        OSError: it can't be written.
    """
    while view:
        # Another process with this stream may have made it non-blocking.
        select.select([], [into], [])
        with contextlib.suppress(BlockingIOError):
            view = view[os.write(into, view) :]


def _drain(reading: int, into: int, waiting: int) -> None:
    os.setsid()
    os.chdir("/")
    _close_all_but({reading, into, waiting})
    with contextlib.suppress(OSError), open("/proc/self/comm", "wb") as file:
        file.write(_NAME)
    if os.read(waiting, 1) == GIVE_UP:
        return
    os.set_blocking(reading, True)
    room = memoryview(bytearray(_AT_ONCE_BYTES))
    while count := os.readv(reading, [room]):
        try:
            pass_on(room[:count], into)
        except OSError as error:  # noqa: PERF203
            if error.errno == errno.EPIPE:
                return
            # A full disk, for example. The process that prints would get an error itself, and
            # usually continue.


def _close_all_but(kept: set[int]) -> None:
    try:
        opened = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        opened = list(range(_MAX_DESCRIPTORS))
    for descriptor in opened:
        if descriptor not in kept:
            with contextlib.suppress(OSError):
                os.close(descriptor)
