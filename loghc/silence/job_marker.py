"""Says when the markers that a job logs reach no sink."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from loghc.silence.listener import known, program_is_watched, this_thread

__all__ = ["marker_of_job"]


@contextlib.contextmanager
def marker_of_job(name: str, message: str) -> Iterator[None]:
    """Around the log call for a job's marker: say it, once for each job, if no sink hears it.

    Args:
        name: of the job.
        message: the marker.
    """
    this_thread.heard = False
    yield
    if not this_thread.heard and ("job", name) not in known.said:
        with contextlib.suppress(Exception):  # loguru's insides are looked at
            _say_unheard(name, message)


def _say_unheard(name: str, message: str) -> None:
    from loghc.service.environment import turned_off
    from loghc.silence.handlers import handlers_by_listener
    from loghc.silence.no_url import MEANT

    if program_is_watched() or turned_off() or any(each.off for each in tuple(known.listeners)):
        return
    handlers = handlers_by_listener()
    able = [each for each in tuple(known.listeners) if each.markers.match(message)]
    in_logger = [each for each in able if each in handlers]
    if any(handlers[each]._enqueue for each in in_logger):
        return  # it may be on its way
    if in_logger:
        why = f"level= or filter= keeps it from {in_logger[-1].sink}, or logger.disable() drops it."
    elif able:
        how = "removed from" if able[-1].removed else "not added to"
        why = f"{able[-1].sink} was {how} the logger."
    elif known.listeners:
        other = known.listeners[-1]
        why = f"{other.sink} listens for {other.texts}. Give both the same name, job={name!r}."
    else:
        why = (
            f"there is no HealthSink in this process. Add one: "
            f"logger.add(HealthSink(job={name!r})). {MEANT}"
        )
    known.say_once(("job", name), f"{message!r}, logged by job({name!r}), pinged nothing: {why}")
