"""Reports on standard error, without ever waiting for a reader."""

from __future__ import annotations

import contextlib
import io
import math
import os
import select
import sys
from collections import deque

from loghc import native
from loghc.clock import monotonic
from loghc.fork import InChild, in_child

TYPE_CHECKING = False  # typing and traceback take longer to import than all of this
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable
    from typing import TextIO

__all__ = [
    "Once",
    "debugging",
    "description",
    "is_interactive",
    "report",
    "report_debug",
    "report_exception",
    "report_interactive",
    "traceback_text",
]

_DEBUG_VARIABLE = "LOGHC_DEBUG"
_PIECE_BYTES = 4096  # a pipe that is ready takes these without blocking (PIPE_BUF on Linux)
_MAX_PIECES = 200  # that wait for a reader; beyond that the oldest are dropped
_MAX_KEYS = 1000  # that one Once remembers; beyond that it is silent
_MAX_WRITE_WAIT_S = 0.2  # the wait for a thread's write, so that a line before the exit is read

# Control characters that a terminal would act on, in whatever text: a process's name, an answer.
_CONTROLS = {
    code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"
}

_unwritten: deque[bytes] = deque(maxlen=_MAX_PIECES)
_writing = native.Lock()  # held by a thread that writes; nobody waits for it
in_child(InChild.REPORT, _unwritten.clear)  # they are the parent's


def report(text: str) -> None:
    """Write one line to standard error. Never blocks, and never raises.

    If nobody is reading (a full pipe), the line is written along with the next one.
    """
    # Closed, detached, or replaced by the app: there is nowhere left to report to.
    with contextlib.suppress(Exception):
        _write(sys.stderr, f"loghc: {text.translate(_CONTROLS)}\n")


def report_exception(what: str, mask: Callable[[str], str] = str) -> None:
    """Report the exception being handled, the app's or a bug in loghc, with its traceback.

    Args:
        what: says what raised it.
        mask: takes secrets out of the traceback.
    """
    error = sys.exc_info()[1]
    shown = "" if error is None else mask(traceback_text(error)).rstrip()
    report(f"{what}\n{shown}")


def report_debug(text: str) -> None:
    """Report a line if ``LOGHC_DEBUG=1`` asks for it.

    Args:
        text: without secrets.
    """
    if debugging():
        report(f"debug: {text}")


def report_interactive(text: str) -> None:
    """Report a line only on a terminal or with ``LOGHC_DEBUG=1``: cron would mail it."""
    with contextlib.suppress(Exception):
        if is_interactive():
            report(text)


def is_interactive() -> bool:
    """Whether standard error is a terminal, or ``LOGHC_DEBUG=1`` asks for more lines."""
    return debugging() or (sys.stderr is not None and sys.stderr.isatty())


def debugging() -> bool:
    """Whether the environment asks for more lines. ``0`` and an empty value don't."""
    return os.environ.get(_DEBUG_VARIABLE, "").strip() not in ("", "0")


class Once:
    """Reports each thing once, or at most every so often. Any thread may use it.

    Args:
        every_s: seconds until the same thing is reported again; by default never.
        longest_s: the most that this grows to. It doubles with each report, and starts over after
            the thing was quiet for this long. None: it doesn't grow.
    """

    def __init__(self, every_s: float = math.inf, longest_s: float | None = None) -> None:
        self._every_s = every_s
        self._longest_s = every_s if longest_s is None else longest_s
        self._due: dict[Hashable, list[tuple[float, float]]] = {}

    def report(self, key: Hashable, text: str) -> None:
        """Report a line, unless it was reported before.

        Args:
            key: identifies it.
            text: the line.
        """
        if self.is_due(key):
            report(text)

    def is_due(self, key: Hashable) -> bool:
        """Whether a thing is to be reported now; if so, it counts as reported."""
        now = monotonic()
        if len(self._due) >= _MAX_KEYS and key not in self._due:
            return False
        # Each step is a single dict or list operation: only one of two threads gets the turn.
        next_times = self._due.setdefault(key, [(now, self._every_s)])
        try:
            due, pause = next_times.pop()
        except IndexError:
            return False
        if now < due:
            next_times.append((due, pause))
            return False
        if now - due > self._longest_s:
            pause = self._every_s
        next_times.append((now + pause, min(2 * pause, self._longest_s)))
        return True


def traceback_text(error: BaseException) -> str:
    """An exception with its traceback as Python prints it, without values of variables.

    If Python itself fails to print it, only the lines of the frames and the names of the classes.
    """
    import traceback

    with contextlib.suppress(Exception, SystemExit):
        return "".join(traceback.format_exception(type(error), error, error.__traceback__))
    places = [
        f'  File "{frame.f_code.co_filename}", line {line}, in {frame.f_code.co_name}\n'
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    return "".join(("Traceback (most recent call last):\n", *places, _class_alone(error)))


def description(error: BaseException) -> str:
    """An exception without its traceback, as Python prints it."""
    import traceback

    lines: Iterable[str] = (_class_alone(error),)
    with contextlib.suppress(Exception, SystemExit):
        lines = traceback.format_exception_only(type(error), error)
    return "".join(lines).strip()


def _class_alone(error: BaseException) -> str:
    return f"{type(error).__name__}: <its text can't be shown>\n"


def _write(stream: TextIO | None, line: str) -> None:
    if stream is None:  # a program without a console
        return
    descriptor = _descriptor_of(stream)
    if descriptor is None:
        stream.write(line)
        return
    data = line.encode("utf-8", "backslashreplace")
    starts = range(0, len(data), _PIECE_BYTES)
    _unwritten.extend(data[start : start + _PIECE_BYTES] for start in starts)
    if native.poll is None:
        _write_on_a_thread(descriptor)
    else:
        _write_ready(descriptor)


def _descriptor_of(stream: TextIO) -> int | None:
    """The descriptor of a standard Python stream; None for others, such as StringIO or a tee."""
    if type(stream) is not io.TextIOWrapper:
        return None
    try:
        # Windows' console wants text, and reads it at once.
        return None if native.poll is None and stream.isatty() else stream.fileno()
    except (OSError, ValueError):  # of no file, or closed
        return None


def _write_ready(descriptor: int) -> None:
    # To the descriptor itself: a thread that waits inside the stream's buffer would hold its lock,
    # which makes the interpreter abort at its exit.
    assert native.poll is not None  # noqa: S101 - it was looked at before
    poll = native.poll()
    poll.register(descriptor, select.POLLOUT)
    while _unwritten and any(event & select.POLLOUT for _, event in poll.poll(0)):
        os.write(descriptor, _unwritten.popleft())


def _write_on_a_thread(descriptor: int) -> None:
    """If the system can't tell whether a pipe is full, write on a thread that may wait forever."""
    written = native.Bell()

    def write() -> None:
        with contextlib.suppress(OSError):
            while _unwritten and _writing.acquire(blocking=False):
                try:
                    while _unwritten:
                        os.write(descriptor, _unwritten.popleft())
                finally:
                    _writing.release()
        written.ring()

    if not _writing.locked():
        native.start_new_thread(write, ())
        written.wait(_MAX_WRITE_WAIT_S)
