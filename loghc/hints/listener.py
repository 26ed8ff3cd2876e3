"""What one sink listens for, and what is said at once when it pings nothing, or too much."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

from loghc import native
from loghc.hints.near_misses import NearMisses
from loghc.hints.process import known, quote
from loghc.markers import Markers, job_markers
from loghc.ping import Event

__all__ = ["Listener", "this_thread"]

_SAMPLED = 1000  # records: of all messages, and then of those that begin with the job's name
_LAST_BUT_SURROGATES = "\ud7ff"
_ALL = ("", 100 * chr(sys.maxunicode))  # bounds that all messages lie within

this_thread = native.local()
"""Where ``heard`` tells whether a sink heard the marker that this thread logged last."""


class Listener:
    """What one sink listens for, and what it has been given so far.

    Args:
        sink: how the sink is shown, without secrets.
        job: its job.
        own: the ``markers=`` that replace the job's, or None.
        markers: what makes a message a marker.
        mask: takes secrets out of a text.
        target: tells two sinks with the same ping URL; None: the sink has none.
        off: it is turned off on purpose.

    Attributes:
        bounds: a message is looked at if it sorts from the first of these on, and before the
            second. All are at first, so that a near miss is found, then less and less.
    """

    def __init__(
        self,
        sink: str,
        *,
        job: str,
        own: Mapping[str, Event] | None,
        markers: Markers,
        mask: Callable[[str], str],
        target: object,
        off: bool,
    ) -> None:
        self.sink = sink
        self.texts = ", ".join(job_markers(job) if own is None else own) or "nothing"
        self.markers = markers
        self.target = target
        self.off = off
        self.added = False
        self.removed = False
        self.records = 0  # that were no markers
        self._mask = mask
        self._events: set[Event] = set()
        self._near_misses = NearMisses(job, own)
        self._wider = []  # type: list[tuple[str, str]]
        self.bounds = markers.first, markers.after
        if target is not None:
            if own is None and job[-1] < _LAST_BUT_SURROGATES:
                self._wider.append((job, job[:-1] + chr(ord(job[-1]) + 1)))
            self._wider.append(_ALL)
            self.bounds = _ALL
        known.listeners.append(self)

    def record_seen(self, message: str) -> None:
        """Examine a message within the bounds that is no marker."""
        self.added, self.removed = True, False
        self.records += 1
        if self._wider and self.records % _SAMPLED == 0:
            self._wider.pop()
            last = self.markers.first, self.markers.after
            self.bounds = self._wider[-1] if self._wider else last
        miss = None if self.target is None else self._near_misses.find(message)
        if miss is None or miss[0] in self._events:
            return
        if any(each.markers.match(message) for each in tuple(known.listeners)):
            return  # another sink's marker
        if message.startswith(tuple(f"{name}." for name in tuple(known.jobs))):
            return  # job() says it, and knows more
        event, meant = miss
        instead = f" Did you mean {meant}?" if meant else ""
        known.once.report(
            (self, event),
            f"{quote(message, self._mask)} isn't a marker of {self.sink}, and pinged nothing. "
            f"The sink listens for {self.texts}.{instead}",
        )

    def marker_seen(self, event: Event) -> None:
        """A marker came, whatever becomes of it."""
        self.added, self.removed = True, False
        this_thread.heard = True
        known.marker_seen = True
        self._events.add(event)
        if len(known.listeners) > 1 and self.target is not None:
            self._report_same_url()

    def _report_same_url(self) -> None:
        for other in tuple(known.listeners):
            if other is self or other.target != self.target:
                continue
            if other._events and not other.removed:
                twice = ", and each ping is sent twice" if other.texts == self.texts else ""
                known.once.report(
                    ("same URL", self.target),
                    f"{other.sink} and {self.sink} ping the same URL: a success of one hides a "
                    f"failure of the other{twice}. Give each job a check of its own, and each "
                    "check one HealthSink.",
                )

    def stop(self, *, exiting: bool) -> None:
        """The sink was stopped: at the interpreter's exit, or by a removal before."""
        self.added = True
        self.removed = not exiting
