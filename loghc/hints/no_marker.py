"""Reports why no sink got a marker: at once for ``job()``, at the process's exit for others."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
from collections.abc import Iterator
from typing import Any

from loghc.handlers import core, handlers, sink_of
from loghc.hints.listener import Listener, known, program_is_watched
from loghc.report import is_interactive, report

__all__ = ["marker_of_job"]

_MAX_DESCRIBED = 3  # sinks that are described one by one
_INFO = 20  # loguru's number for the level at which markers are usually logged


@contextlib.contextmanager
def marker_of_job(name: str, message: str, *, own_logger: bool) -> Iterator[None]:
    """A block that logs a job's marker: if no sink gets it, that is reported, once for each job.

    Args:
        name: of the job.
        message: the marker.
        own_logger: the app passed the logger that it is logged to.
    """
    if name not in tuple(known.jobs):
        known.jobs.append(name)
    known.thread.got_marker = False
    yield
    if not known.thread.got_marker:
        with contextlib.suppress(Exception):  # loguru's insides are looked at
            _report_no_sink(name, message, own_logger=own_logger)


def _report_no_sink(name: str, message: str, *, own_logger: bool) -> None:
    from loghc.hints.no_url import MEANT
    from loghc.service.environment import turned_off

    listeners = tuple(known.listeners)
    if program_is_watched() or turned_off() or any(each.off for each in listeners):
        return
    found = _handlers_of_sinks()
    able = [each for each in listeners if each.markers.match(message)]
    able.sort(key=found.__contains__)  # those in the logger last
    if any(found[each]._enqueue for each in able if each in found) or (own_logger and able):
        return  # it may be on its way
    if able:
        why = f"{able[-1].sink} didn't get it.{_why(able[-1], found.get(able[-1]))}"
    elif listeners:
        why = (
            f"{listeners[-1].sink} listens for {listeners[-1].texts}. "
            f"Give both the same name, job={name!r}."
        )
    else:
        why = (
            "there is no HealthSink in this process. Add one: "
            f"logger.add(HealthSink(job={name!r})). {MEANT}"
        )
    known.is_explained = True
    known.once.report(("job", name), f"{message!r}, logged by job({name!r}), pinged nothing: {why}")


# Registered on import, so that what the app's own callbacks log comes first.
@atexit.register
def _report_no_marker() -> None:
    with contextlib.suppress(Exception):  # loguru's insides are looked at
        if os.getpid() != known.pid or not is_interactive() or program_is_watched():
            return
        found = _handlers_of_sinks()
        for handler in found.values():
            handler.complete_queue()  # a marker may still wait in it
        # A --help logs nothing. loguru keeps each module that has logged in `enabled`, and logging
        # configures itself when first used.
        if known.is_explained or not (core().enabled or logging.root.handlers):
            return
        listeners = [each for each in known.listeners if not each.off]
        for each in listeners[:_MAX_DESCRIBED]:
            given = "has no ping URL."
            if each.target is not None:
                given = "was given records." if each.records else "was given no record."
            report(
                f"no marker was seen, so nothing was pinged. {each.sink} {given}"
                f"{_why(each, found.get(each))} It listens for {each.texts}."
            )
        if len(listeners) > _MAX_DESCRIBED:
            report(f"no marker was seen by {len(listeners) - _MAX_DESCRIBED} more sinks.")


def _handlers_of_sinks() -> dict[Listener, Any]:
    """The global logger's handlers for sinks of ours."""
    found = {getattr(sink_of(each), "_listener", None): each for each in handlers()}
    return {key: handler for key, handler in found.items() if isinstance(key, Listener)}


def _why(listener: Listener, handler: Any) -> str:
    """What is known to keep markers from a sink: sentences, each after a space."""
    if handler is None and listener.removed:
        return (
            " It was removed from the global logger, by logger.remove() or logger.configure(): "
            "add it after those."
        )
    if handler is None and not (listener.added or listener.records):
        return " It was not added to the global logger: logger.add(sink), or job(..., logger=)."
    why = ""
    if disabled := [str(name) for name, enabled in core().enabled.items() if not enabled]:
        why += f" logger.disable() drops what {', '.join(disabled)} logs."
    levelno = getattr(handler, "levelno", 0)  # no handler: loguru removed all of them at the exit
    if levelno > _INFO:
        names = [each.name for each in core().levels.values() if each.no == levelno]
        why += f" Its level={(names or [levelno])[0]!r} drops less severe records."
    if getattr(handler, "_filter", None) is not None:
        why += " Its filter= may drop records."
    if not why and not listener.records and core().enabled:
        why = " Its level= or filter= dropped what was logged."
    elif not why and not core().enabled:
        why = (
            " Records of Python's own logging module reach loguru only through an intercept "
            "handler, as in loguru's README."
        )
    return why
