"""Finds messages that were almost certainly meant as markers, and aren't."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping

from loghc.markers import job_markers
from loghc.ping import Event

__all__ = ["NearMisses"]

_MAX_EXAMINED = 300  # characters, as a marker is at a message's beginning or close to it
_DEFAULT_JOB = "sync"
# What may come before it: a tag in brackets, a time, a level, a quote; not words.
_TAG = r"(?:\[[^\]]*\]|[^a-z\[])*?(?<![\w.-])"
_ALONE = r"(?!\w|[.-]\w)"  # no longer word follows

# Other words for start, done, error and log. Not "stop", "run" and the like, which may mean
# something else.
_WORDS = {
    Event.START: "start(?:s|ed|ing)?|beg[iau]n(?:s|ning)?",
    Event.SUCCESS: "done|finish(?:ed|es)?|end(?:ed)?|complete[ds]?|succe(?:ss(?:ful)?|eded)|ok",
    Event.FAIL: "err(?:or)?(?:s|ed)?|fail(?:s|ed|ing|ure)?|exception|crash(?:ed)?",
    Event.LOG: "logs?",
}


class NearMisses:
    """Finds near misses of a sink's own markers.

    They have another word, different capitals, another separator or white space, a tag before them,
    or are the default job's.

    Args:
        markers: the sink's.
        job: whose markers they are, or None.
    """

    def __init__(self, markers: Mapping[str, Event], job: str | None) -> None:
        self._events = markers
        self._job = job
        own = [job] if job is not None else [text.split()[0] for text in markers if text.split()]
        # Each near miss contains one of these, which is cheaper to check than the rest.
        self._keys = {_DEFAULT_JOB, *(key.lower() for key in own)}

    def find(self, message: str) -> tuple[Event, str | None] | None:
        """The event that a near miss probably means, and the sink's marker for it, if there is one.

        Args:
            message: not a marker.

        Returns:
            None for an ordinary message.
        """
        text = message[:_MAX_EXAMINED]
        lowered = text.lower()
        if not any(key in lowered for key in self._keys):
            return None
        found = self._pattern.match(text)
        if found is None:
            return None
        event = Event(found.lastgroup)
        return event, next((text for text, meant in self._events.items() if meant is event), None)

    @functools.cached_property
    def _pattern(self) -> re.Pattern[str]:
        """Matches what may be meant as a marker. Its groups are named after the events."""
        parts = {event: [] for event in Event}  # type: dict[Event, list[str]]
        for text, event in {**job_markers(_DEFAULT_JOB), **self._events}.items():
            if words := text.split():
                parts[event].append(r"\s+".join(map(re.escape, words)))
        if self._job is not None:
            for event, other in _WORDS.items():
                parts[event].append(rf"{re.escape(self._job)}[._:/-](?:{other})")
        groups = "|".join(f"(?P<{event.value}>{'|'.join(each)})" for event, each in parts.items())
        return re.compile(f"{_TAG}(?i:{groups}){_ALONE}")
