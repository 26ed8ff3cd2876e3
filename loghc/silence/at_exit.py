"""What is said at the exit of a process in which no sink saw a marker, where someone looks."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from typing import Any

from loghc.report import debugging, report
from loghc.silence.listener import Listener, known, program_is_watched

__all__ = ["register", "tell"]

_NAMED = 3  # sinks that are described one by one
_INFO = 20  # loguru's number for the level at which markers are usually logged
_HELP = frozenset({"-h", "--help", "--version"})


def register() -> None:
    """Look at the exit. To be called with each sink; the first time counts.

    Not when this is imported: loguru's own callback, which stops the sinks, has to come later, and
    so has to be registered before.
    """
    if "at exit" not in known.said:
        known.said.add("at exit")
        atexit.register(_before_sinks_stop)


def _before_sinks_stop() -> None:
    with contextlib.suppress(Exception):
        someone_looks = debugging() or (sys.stderr is not None and sys.stderr.isatty())
        if known.marker_seen or os.getpid() != known.pid or not someone_looks:
            return
        from loghc.silence.handlers import core, handlers_by_listener

        # What still waits in loguru's queue comes before loguru stops its sinks.
        known.program_logged = _program_logged(core())
        handlers = handlers_by_listener()
        known.to_be_stopped = set(handlers)
        for listener, handler in handlers.items():
            if handler.levelno > _INFO:
                names = {level.no: name for name, level in core().levels.items()}
                listener.level = names.get(handler.levelno, str(handler.levelno))
        if not handlers:
            tell()


def tell() -> None:
    """Say it. At the exit, every sink has been stopped."""
    with contextlib.suppress(Exception):
        listeners = [each for each in known.listeners if not each.off]
        if known.marker_seen or program_is_watched() or not listeners:
            return
        if not any(each.looked for each in listeners) and not known.program_logged:
            return
        for listener in listeners[:_NAMED]:
            report(f"no marker was seen, so nothing was pinged. {_why_nothing(listener)}")
        if len(listeners) > _NAMED:
            report(f"no marker was seen by {len(listeners) - _NAMED} more sinks.")


def _why_nothing(listener: Listener) -> str:
    if not listener.added:
        why = "was never added to the logger: logger.add(sink)."
    elif listener.looked and listener.removed:
        why = "was given records, and then removed from the logger."
    elif listener.looked:
        why = "was given records."
    elif listener.target is None:  # it looks at nothing but markers
        why = "was given no marker."
    elif listener.removed:
        why = (
            "was removed before any record came, by logger.remove() or logger.configure(): "
            "add it after those."
        )
    else:
        why = "was given no record: its level= or filter= keeps them from it."
    if listener.level is not None:
        why += f" Its level={listener.level!r} keeps less severe records from it."
    if listener.target is None:
        why += " It has no ping URL, either."
    return f"{listener.sink} {why} It listens for {listener.texts}."


def _program_logged(core: Any) -> bool:
    """Whether the program logged anything at all: a ``--help`` does not."""
    if core is None:
        return False
    # loguru keeps each module that has logged there, unless there was no handler at all.
    return bool(core.enabled) or (not core.handlers and not _HELP.intersection(sys.argv))
