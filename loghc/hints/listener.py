"""What each sink of this process listens for, and what is reported at once about its messages."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable

from loghc import native
from loghc.hints.near_misses import NearMisses
from loghc.markers import Markers
from loghc.ping import Event
from loghc.report import Once

__all__ = ["Listener", "known", "program_is_watched", "quote"]

_MAX_REMEMBERED = 100  # sinks, and names of jobs
_QUOTED_CHARACTERS = 80  # of a message
_MASKED_CHARACTERS = 10_000  # of it, masked first so that the cut never leaves half a secret
_SAMPLE = 1000  # records: of all messages, and then of those that begin with the job's name
_LAST = chr(sys.maxunicode)


class _Process:
    """What is known about this process's sinks."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.listeners: deque[Listener] = deque(maxlen=_MAX_REMEMBERED)
        self.jobs: deque[str] = deque(maxlen=_MAX_REMEMBERED)  # the names that job() was given
        self.is_explained = False  # a marker came, or a line was reported on why none did
        self.thread = native.local()  # `got_marker`: a sink got what it logged last
        self.once = Once()


known = _Process()


class Listener:
    """What one sink listens for, and what it has been given so far.

    Args:
        sink: the sink as it is shown, without secrets.
        job: its job; None if ``markers=`` replaces the job's markers.
        markers: the sink's.
        mask: takes secrets out of a text.
        target: the same for two sinks with the same ping URL; None: the sink has none.
        off: it is turned off on purpose.

    Attributes:
        bounds: a message is examined if it sorts at or after the first of these, and before the
            second. At first they include every message, to find near misses, and later fewer.
    """

    def __init__(
        self,
        sink: str,
        *,
        job: str | None,
        markers: Markers,
        mask: Callable[[str], str],
        target: object,
        off: bool,
    ) -> None:
        self.sink = sink
        self.texts = ", ".join(markers.events) or "nothing"
        self.markers = markers
        self.target = target
        self.off = off
        self.added = False
        self.removed = False
        self.records = 0  # that were no markers
        self._mask = mask
        self._events: set[Event] = set()
        self._near_misses = NearMisses(markers.events, job)
        bounds = [("", _LAST)] if target is not None else []
        if target is not None and job is not None:
            bounds.append((job, job + _LAST))
        self._narrower = iter([*bounds, markers.bounds])
        self.bounds = next(self._narrower)
        known.listeners.append(self)

    def record_seen(self, message: str) -> None:
        """Examine a message within the bounds that is no marker."""
        self.records += 1
        if self.records % _SAMPLE == 0:
            self.bounds = next(self._narrower, self.bounds)
        miss = None if self.target is None else self._near_misses.find(message)
        if miss is None or miss[0] in self._events:
            return
        if any(each.markers.match(message) for each in tuple(known.listeners)):
            return  # another sink's marker
        if message.startswith(tuple(f"{name}." for name in tuple(known.jobs))):
            return  # job() says it, and knows more
        known.is_explained = True
        event, meant = miss
        instead = f" Did you mean {meant}?" if meant else ""
        known.once.report(
            (self, event),
            f"{quote(message, self._mask)} isn't a marker of {self.sink}, and pinged nothing. "
            f"The sink listens for {self.texts}.{instead}",
        )

    def marker_seen(self, event: Event) -> None:
        """The sink got a marker, whatever becomes of it."""
        self.removed = False
        known.thread.got_marker = known.is_explained = True
        self._events.add(event)
        for other in tuple(known.listeners) if self.target is not None else ():
            if other is self or other.removed or other.target != self.target or not other._events:
                continue
            twice = ", and each ping is sent twice" if other.texts == self.texts else ""
            known.once.report(
                ("same URL", self.target),
                f"{other.sink} and {self.sink} ping the same URL: a success of one hides a "
                f"failure of the other{twice}. Give each job a check of its own, and each "
                "check one HealthSink.",
            )

    def stop(self, *, exiting: bool) -> None:
        """The sink was stopped: at the interpreter's exit, or by a removal before."""
        self.added, self.removed = True, not exiting


def program_is_watched() -> bool:
    """Whether the process's markers, and its end, are for a ``loghc run``."""
    run = os.environ.get("LOGHC_RUN")
    if not run or os.name != "posix":
        return False
    from loghc.portable.config import watcher_lives

    return watcher_lives(run)


def quote(message: str, mask: Callable[[str], str] = str) -> str:
    """The beginning of a message in quotes, without the secrets that ``mask`` takes out."""
    return repr(mask(message[:_MASKED_CHARACTERS])[:_QUOTED_CHARACTERS])
