"""Which messages are markers, and what they tell."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping

from loghc.ping import Event

__all__ = ["Markers", "job_markers"]

# A longer word than the marker follows: "sync.started", "sync.done.partial", "sync.done-late".
_GOES_ON = r"\w|[.-]\w"

_LAST = chr(sys.maxunicode)  # no character sorts after it


def job_markers(job: str) -> dict[str, Event]:
    """The markers of a job: ``<job>.start``, ``<job>.done``, ``<job>.error``, ``<job>.log``.

    Raises:
        TypeError: ``job`` is not a str.
        ValueError: ``job`` is empty, has white space in it, ends with a dot, or is a marker itself.
    """
    if not isinstance(job, str):
        raise TypeError(f"job: expected a str, not {type(job).__name__}")
    expected = "job: expected a name such as 'photos', without white space"
    if not job or re.search(r"\s", job):
        raise ValueError(f"{expected}, not {job!r}")
    if job.endswith("."):
        raise ValueError(f"{expected}, not {job!r}: loghc adds the dot itself")
    stem, _, word = job.rpartition(".")
    if stem and word in ("start", "done", "error"):
        raise ValueError(f"{expected}, not the marker {job!r}: the job is {stem!r}")
    return {
        f"{job}.start": Event.START,
        f"{job}.done": Event.SUCCESS,
        f"{job}.error": Event.FAIL,
        f"{job}.log": Event.LOG,
    }


class Markers:
    """Finds the event of a message.

    A message is a marker when it is the marker, or starts with it and then has no word character,
    nor a dot or hyphen followed by one. Where several fit, the longest counts.

    Args:
        events: from marker to Event (or an Event's value, such as ``"fail"``).

    Attributes:
        first: no message that is a marker sorts before this.
        after: each sorts before this. Two comparisons so tell nearly every other message from a
            marker, at half the cost of ``str.startswith`` and whatever the number of markers.

    Raises:
        TypeError: not a mapping, or a marker that is not a str.
        ValueError: an empty marker, or an unknown event.

    Example:
        >>> Markers({"Backup finished": Event.SUCCESS}).match("Backup finished: 12 files")
        <Event.SUCCESS: 'success'>
    """

    __slots__ = ("_events", "after", "first")

    def __init__(self, events: Mapping[str, Event]) -> None:
        if not isinstance(events, Mapping):
            raise TypeError(
                f"markers: expected a mapping from message to Event, not {type(events).__name__}"
            )
        checked = {_marker(text): _event(text, event) for text, event in events.items()}
        self._events = sorted(checked.items(), reverse=True)  # the longer of two that fit is first
        self.first = min(checked, default="")
        self.after = max(map(_after, checked), default="")

    def match(self, message: str) -> Event | None:
        """The event that a message tells, None for a message that isn't a marker."""
        for marker, event in self._events:
            if message.startswith(marker) and not re.match(
                _GOES_ON, message[len(marker) : len(marker) + 2]
            ):
                return event
        return None


def _marker(text: object) -> str:
    if not isinstance(text, str):
        raise TypeError(f"markers: expected messages to be str, not {type(text).__name__}")
    if not text:
        raise ValueError("markers: expected a message, not an empty str")
    return text


def _event(marker: str, event: object) -> Event:
    try:
        return Event(event)
    except ValueError:
        known = ", ".join(f"Event.{member.name}" for member in Event)
        raise ValueError(f"markers[{marker!r}]: expected one of {known}, not {event!r}") from None


def _after(marker: str) -> str:
    """The least text that sorts after everything that begins with the marker."""
    stem = marker.rstrip(_LAST)
    if not stem:  # there is none, but this is as good
        return marker + 1000 * _LAST
    return stem[:-1] + chr(ord(stem[-1]) + 1)
