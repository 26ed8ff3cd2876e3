"""Which messages are markers, and the events that they stand for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from loghc.ping import Event
from loghc.portable import markers

__all__ = ["Markers", "job_markers"]


def job_markers(job: str) -> dict[str, Event]:
    """The markers of a job: ``<job>.start``, ``<job>.done``, ``<job>.error``, ``<job>.log``.

    Raises:
        TypeError: ``job`` is not a str.
        ValueError: ``job`` is empty, contains white space, ends with a dot, or is itself a marker.
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


class Markers(markers.Markers):
    """Finds the event of a message with the matcher of ``loghc.portable``, and checks its markers.

    Args:
        events: from marker to Event (or an Event's value, such as ``"fail"``).

    Raises:
        TypeError: not a mapping, or a marker that is not a str.
        ValueError: an empty marker, or an unknown event.

    Example:
        >>> Markers({"Backup finished": Event.SUCCESS}).match("Backup finished: 12 files")
        <Event.SUCCESS: 'success'>
    """

    __slots__ = ()

    def __init__(self, events: Mapping[str, Event]) -> None:
        if not isinstance(events, Mapping):
            raise TypeError(
                f"markers: expected a mapping from message to Event, not {type(events).__name__}"
            )
        super().__init__({_marker(text): _event(text, event) for text, event in events.items()})

    if TYPE_CHECKING:

        def match(self, message: str) -> Event | None:
            """The event that a message stands for; None if it isn't a marker."""


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
