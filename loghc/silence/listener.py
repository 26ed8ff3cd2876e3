"""What one sink listens for, and what is said at once when it pings nothing."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from loghc.markers import Markers, job_markers
from loghc.ping import Event
from loghc.report import report
from loghc.silence.near_misses import LOOKED_AT, NearMisses

__all__ = ["ALL", "Listener", "known", "program_is_watched", "this_thread"]

_LOOKS = 1000  # records that are looked at for near misses
_LAST_BUT_SURROGATES = "\ud7ff"
_QUOTED = 80  # characters of a message that are shown
_MASKED = 10_000  # characters of it that are masked first: a cut must not leave half a secret
_KEPT = 100  # sinks that are remembered
_NOTHING = ("", "")
ALL = ("", 100 * chr(sys.maxunicode))
"""Bounds that all messages lie within."""


class _Process:
    """What is known of this process's sinks."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.listeners: deque[Listener] = deque(maxlen=_KEPT)
        self.marker_seen = False
        self.said: set[object] = set()
        self.lately: deque[tuple[object, Listener]] = deque(maxlen=64)  # markers, and who took them
        self.program_logged = False
        self.to_be_stopped: set[Listener] = set()  # at the exit, by loguru

    def say_once(self, key: object, text: str) -> None:
        if key not in self.said:
            self.said.add(key)
            report(text)


known = _Process()
this_thread = threading.local()
"""Where ``heard`` tells whether a sink heard the marker that this thread logged last."""


class Listener:
    """What one sink listens for, and what it has been given so far.

    Args:
        sink: how the sink is named, without secrets.
        job: its job.
        own: the ``markers=`` that replace the job's, or None.
        markers: what makes a message a marker.
        mask: takes secrets out of a text.
        target: tells two sinks with the same ping URL; None: the sink is disabled.
        off: it is disabled on purpose.

    Attributes:
        glancing: the first records are still coming, and each is looked at.
        bounds: a message is looked at, however late it comes, if it sorts from the first of these
            on, and before the second.
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
        self.level: str | None = None  # that keeps markers at their usual level from it
        self.glancing = target is not None
        self.bounds = self._first_bounds(job, own)
        self._mask = mask
        self._glances = 0
        self._misses = 0
        self._events: set[Event] = set()
        self._near_misses = NearMisses(job, own)
        known.listeners.append(self)

    def glance(self, message: str) -> None:
        """Look at one of the first records, whatever its message."""
        self._glances += 1
        self.glancing = self._glances < _LOOKS
        self._came()
        beginning = message[:LOOKED_AT].lower()
        for key in self._near_misses.keys:
            if key in beginning:
                try:
                    self._examine(message)
                except Exception:  # noqa: BLE001 - a bug of ours must not become the app's
                    self.glancing = False
                break

    def look(self, message: str) -> None:
        """Look at a message within the bounds that is no marker, however late it comes."""
        self._came()
        self._misses += 1
        if self._misses >= _LOOKS:
            self.bounds = self.markers.first, self.markers.after
        if not self.glancing:
            self._examine(message)

    def _examine(self, message: str) -> None:
        miss = self._near_misses.find(message)
        if miss is None or miss.event in self._events or (miss.may_be_prose and self._events):
            return
        others = tuple(known.listeners)  # other threads may add sinks meanwhile
        if any(each.markers.match(message) for each in others):
            return
        instead = f" Write {miss.meant}, if it was meant as one." if miss.meant else ""
        known.say_once(
            (self, miss.event),
            f"{self.quoted(message)} is no marker of {self.sink}, and pinged nothing: {miss.why}. "
            f"The sink listens for {self.texts}.{instead}",
        )

    def quoted(self, message: str) -> str:
        """The beginning of a message, fit to be shown."""
        return repr(self._mask(message[:_MASKED])[:_QUOTED])

    def hear(self) -> None:
        """A marker came, whatever becomes of it."""
        self._came()
        this_thread.heard = True
        known.marker_seen = True

    def take(self, event: Event, record: Mapping[str, Any], where: str) -> None:
        """A marker is about to be sent.

        Args:
            event: what it tells.
            record: loguru's.
            where: the ping URL, masked.
        """
        self._events.add(event)
        if len(known.listeners) > 1:
            self._see_whether_twice(record, where)

    def meets_no_url(self, message: str) -> None:
        """A marker came to a disabled sink."""
        if not self.off and not program_is_watched():
            from loghc.silence.no_url import MEANT, why_no_url

            why = f"{why_no_url()} {MEANT}"
            known.say_once("no URL", f"{self.quoted(message)} pinged nothing: {why}")

    def stop(self, *, exiting: bool) -> bool:
        """The sink was stopped.

        Args:
            exiting: at the interpreter's exit, and not by a removal before.

        Returns:
            Whether, at the exit, it was the last one.
        """
        self.added = True
        self.removed = not exiting
        if self not in known.to_be_stopped:
            return False
        known.to_be_stopped.discard(self)
        return not known.to_be_stopped

    def _see_whether_twice(self, record: Mapping[str, Any], where: str) -> None:
        # By value: loguru's queue hands each sink a copy of its own.
        key = (record.get("time"), hash(record["message"]), self.target)
        lately = tuple(known.lately)
        if any(other is not self and key == seen for seen, other in lately):
            known.say_once(
                ("twice", self.target),
                f"two sinks ping {where} at the same markers, so each ping is sent twice. "
                "Add one HealthSink alone.",
            )
        known.lately.append((key, self))

    @property
    def looked(self) -> bool:
        """Whether a record came that was no marker."""
        return self._glances + self._misses > 0

    def _first_bounds(self, job: str, own: Mapping[str, Event] | None) -> tuple[str, str]:
        if self.off:
            return _NOTHING
        if own is None and self.target is not None and job[-1] < _LAST_BUT_SURROGATES:
            return job, job[:-1] + chr(ord(job[-1]) + 1)  # all that begins with the job's name
        return self.markers.first, self.markers.after

    def _came(self) -> None:
        self.added = True
        self.removed = False


def program_is_watched() -> bool:
    """Whether it is ``loghc run`` that the process's markers, and its end, are for."""
    return "LOGHC_RUN" in os.environ
