"""What is reported, on a terminal, at the exit of a process in which no sink saw a marker."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import sys
from typing import Any

from loghc.handlers import core, handlers, sink_of
from loghc.hints.listener import Listener
from loghc.hints.process import known, on_terminal_or_debugging, program_is_watched
from loghc.report import report

__all__ = ["disabled_modules"]

_NAMED = 3  # sinks that are described one by one
_INFO = 20  # loguru's number for the level at which markers are usually logged
_HELP = frozenset({"-h", "--help", "--version"})


# Registered when this is imported: what the app's own callbacks log comes before.
@atexit.register
def _report_no_marker() -> None:
    with contextlib.suppress(Exception):  # loguru's insides are looked at
        if os.getpid() != known.pid or not on_terminal_or_debugging() or program_is_watched():
            return
        own = {}
        for handler in handlers():
            listener = getattr(sink_of(handler), "_listener", None)
            if isinstance(listener, Listener):
                own[listener] = handler
                handler.complete_queue()  # a marker may still wait in it
        listeners = [each for each in known.listeners if not each.off]
        if known.marker_seen or not (_program_logged() or any(each.records for each in listeners)):
            return
        for listener in listeners[:_NAMED]:
            why = _why_nothing(listener, own.get(listener))
            report(
                f"no marker was seen, so nothing was pinged. {listener.sink} {why} "
                f"It listens for {listener.texts}."
            )
        if len(listeners) > _NAMED:
            report(f"no marker was seen by {len(listeners) - _NAMED} more sinks.")


def disabled_modules() -> list[str]:
    """The modules that have logged and that ``logger.disable()`` keeps silent."""
    return [name for name, enabled in getattr(core(), "enabled", {}).items() if not enabled]


def _why_nothing(listener: Listener, handler: Any) -> str:
    level = getattr(handler, "levelno", 0)
    if level > _INFO:
        level = next((each.name for each in core().levels.values() if each.no == level), level)
        its_level = f"Its level={level!r} keeps less severe records from it."
    else:
        its_level = ""
    if listener.removed:
        if listener.records:
            return "was given records, and then removed from the logger."
        if listener.target is not None:
            return (
                "was removed before any record came, by logger.remove() or logger.configure(): "
                "add it after those."
            )
    elif listener.target is not None and not listener.added and handler is None:
        return "was never added to the logger: logger.add(sink)."
    if listener.target is None:  # it looks at nothing but markers
        return "was given no marker. It has no ping URL, either."
    if listener.records:
        return f"was given records. {its_level}".rstrip()
    if disabled := disabled_modules():
        return f"was given no record: logger.disable() drops those of {', '.join(disabled)}."
    if its_level:
        return f"was given no record. {its_level}"
    if not core().enabled:
        return (
            "was given no record. Those of Python's own logging module come to loguru through an "
            "intercept handler alone, as in loguru's README."
        )
    return "was given no record: its level= or filter= keeps them from it."


def _program_logged() -> bool:
    """Whether the program logged anything at all: a ``--help`` does not."""
    if core() is None:
        return False
    # loguru keeps each module that has logged there, unless there was no handler at all; logging
    # configures itself when it is first used.
    if core().enabled or logging.root.handlers:
        return True
    return not core().handlers and not _HELP.intersection(sys.argv)
