"""Says when the markers that a job logs reach no sink."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from loghc.handlers import handlers, sink_of
from loghc.hints.at_exit import disabled_modules
from loghc.hints.listener import Listener, this_thread
from loghc.hints.process import known, program_is_watched

__all__ = ["marker_of_job"]


@contextlib.contextmanager
def marker_of_job(name: str, message: str, level: int, *, own_logger: bool) -> Iterator[None]:
    """Around the log call for a job's marker: say it, once for each job, if no sink hears it.

    Args:
        name: of the job.
        message: the marker.
        level: loguru's number for the level at which it is logged.
        own_logger: it is logged to a logger that the app gave.
    """
    known.jobs.add(name)
    this_thread.heard = False
    yield
    if not this_thread.heard:
        with contextlib.suppress(Exception):  # loguru's insides are looked at
            _report_unheard(name, message, level, own_logger=own_logger)


def _report_unheard(name: str, message: str, level: int, *, own_logger: bool) -> None:
    from loghc.hints.no_url import MEANT
    from loghc.service.environment import turned_off

    listeners = tuple(known.listeners)
    if program_is_watched() or turned_off() or any(each.off for each in listeners):
        return
    found = {getattr(sink_of(each), "_listener", None): each for each in handlers()}
    able = [each for each in listeners if each.markers.match(message)]
    in_logger = [each for each in able if each in found]
    if any(found[each]._enqueue for each in in_logger) or (own_logger and able):
        return  # it may be on its way
    if in_logger:
        why = _why_kept_away(in_logger[-1], found[in_logger[-1]], level)
    elif able:
        how = "removed from" if able[-1].removed else "not added to"
        why = f"{able[-1].sink} was {how} the global logger; job(..., logger=) names another."
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
    known.once.report(("job", name), f"{message!r}, logged by job({name!r}), pinged nothing: {why}")


def _why_kept_away(listener: Listener, handler: Any, level: int) -> str:
    if disabled := disabled_modules():
        return f"logger.disable() drops what {', '.join(disabled)} logs."
    what = "level=" if handler.levelno > level else "filter="
    return f"{what} keeps it from {listener.sink}."
