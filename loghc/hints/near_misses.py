"""Messages that were almost surely meant as markers, and aren't."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping

from loghc.markers import job_markers
from loghc.ping import Event

__all__ = ["NearMisses"]

_EXAMINED = 300  # characters: a marker stands at a message's beginning, or close to it
_DEFAULT_JOB = "sync"
_ALONE = r"(?!\w|[.-]\w)"  # no longer word follows
_COLOUR = r"\x1b\[[0-9;]*m"

# Words that others use for what loghc calls start, done, error and log. Not "stop", "run" and their
# like, which may mean something else.
_WORDS = {
    Event.START: "start started starts starting begin begins began begun beginning strat strt",
    Event.SUCCESS: "done finish finished finishes end ended complete completed completes success "
    "succeeded successful ok okay dnoe doen",
    Event.FAIL: "error err errors errored fail fails failed failure failing exception crash "
    "crashed eror",
    Event.LOG: "log logs",
}


class NearMisses:
    """Finds near misses of a sink's own markers.

    Those have another word, other capitals, another separator or white space, a tag in front, or
    are the default job's.

    Args:
        job: the sink's.
        own: the ``markers=`` that replace the job's, or None.
    """

    def __init__(self, job: str, own: Mapping[str, Event] | None) -> None:
        markers = job_markers(job) if own is None else own
        self._events = {text: Event(event) for text, event in markers.items()}
        self._job = None if own is not None else job
        first_words = {text.lower().split()[0] for text in markers if text.split()}
        # Each near miss has one of these in it.
        self._keys = {_DEFAULT_JOB} | ({job.lower()} if own is None else first_words)

    def find(self, message: str) -> tuple[Event, str | None] | None:
        """What a near miss is probably meant to tell, and the marker for that, if the sink has one.

        Args:
            message: no marker.

        Returns:
            None for an ordinary message.
        """
        text = message[:_EXAMINED]
        lowered = text.lower()
        if not any(key in lowered for key in self._keys):
            return None
        text = re.sub(_COLOUR, " ", text)
        for found in self._pattern.finditer(text):
            if _is_tag(text[: found.start()]):
                event = Event(str(found.lastgroup).rstrip("_"))
                meant = next((text for text, told in self._events.items() if told is event), None)
                return event, meant
        return None

    @functools.cached_property
    def _pattern(self) -> re.Pattern[str]:
        """Matches what may stand in place of a marker; its groups are named by the event."""
        parts = {event.value: [] for event in Event}  # type: dict[str, list[str]]
        if self._job is None:
            for text, event in self._events.items():
                parts[event.value].append(r"\s+".join(map(re.escape, text.split())) or r"\b\B")
        else:
            for event, words in _WORDS.items():
                parts[event.value].append(
                    rf"{re.escape(self._job)}[._:/-](?:{'|'.join(words.split())})"
                )
        if self._job != _DEFAULT_JOB:
            for marker, event in job_markers(_DEFAULT_JOB).items():
                parts[event.value].append(re.escape(marker))
        groups = "|".join(f"(?P<{name}>{'|'.join(each)})" for name, each in parts.items() if each)
        return re.compile(rf"(?<![\w.-])(?:{groups}){_ALONE}", re.IGNORECASE)


def _is_tag(before: str) -> bool:
    """Whether nothing but a tag or the like stands before a marker: no sentence's beginning.

    ``[photos]``, ``photos:``, ``12:00:01 | INFO |``, a quote, white space, the beginning of a JSON
    object.
    """
    before = re.sub(r"\[[^\]]*\]", " ", before).rstrip()
    return len(re.findall(r"\w*[a-z]\w*", before)) <= 1 and not re.search(r"[a-z]$", before)
