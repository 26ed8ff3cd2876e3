"""What loghc says: lines on standard error, which never wait for whoever reads them."""

from __future__ import annotations

import contextlib
import io
import os
import select
import sys
from collections import deque

from loghc.exceptions import traceback_text

TYPE_CHECKING = False  # typing and traceback take longer to import than all of this
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

__all__ = ["say", "say_exception"]

_PIECE = 4096  # bytes: what a pipe that is ready takes without blocking (PIPE_BUF on Linux)
_KEPT = 200  # pieces that wait for a reader at most; beyond that the oldest are dropped

_unsaid: deque[bytes] = deque(maxlen=_KEPT)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unsaid.clear)  # they are the parent's to say


def say(text: str) -> None:
    """Write one line to standard error. Never blocks, and never raises.

    Where nobody reads it at the moment (a full pipe), the line waits for the next one to be said.
    """
    # Closed, detached, or replaced by the app: there is nowhere left to say it.
    with contextlib.suppress(Exception):
        _say_to(sys.stderr, f"loghc: {text}\n")


def _say_to(stream: TextIO | None, line: str) -> None:
    if stream is None:  # a program without a console
        return
    descriptor = _descriptor_of(stream)
    if descriptor is None:
        stream.write(line)
        return
    data = line.encode("utf-8", "backslashreplace")
    _unsaid.extend(data[start : start + _PIECE] for start in range(0, len(data), _PIECE))
    _write_ready(descriptor)


def say_exception(what: str, mask: Callable[[str], str] = str) -> None:
    """Say that something of the app's own, or a bug in loghc, raised; with its traceback.

    Args:
        what: raised.
        mask: takes secrets out of the traceback.
    """
    error = sys.exc_info()[1]
    shown = "" if error is None else mask(traceback_text(error)).rstrip()
    say(f"{what}\n{shown}")


def _descriptor_of(stream: TextIO) -> int | None:
    """Where Python's own kind of stream writes to; None for others, such as StringIO or a tee."""
    if type(stream) is not io.TextIOWrapper or not hasattr(select, "poll"):
        return None
    try:
        return stream.fileno()
    except (OSError, ValueError):  # of no file, or closed
        return None


def _write_ready(descriptor: int) -> None:
    # To the descriptor itself: a thread that waits inside the stream's buffer would hold its lock,
    # and make the interpreter abort at its exit.
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    while _unsaid and any(event & select.POLLOUT for _, event in poll.poll(0)):
        os.write(descriptor, _unsaid.popleft())
