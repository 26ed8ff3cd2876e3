"""Messages that were almost surely meant as markers, and are none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from loghc.markers import Markers, job_markers
from loghc.ping import Event

__all__ = ["LOOKED_AT", "NearMiss", "NearMisses"]

LOOKED_AT = 300
"""Characters of a message that are looked at: a marker stands at its beginning, or close to it."""

_DEFAULT_JOB = "sync"

# Words that others use for what loghc calls start, done, error and log. Not "stop", "run" and their
# like, which may mean something else.
_WORDS = {
    Event.START: "started starts starting begin begins began begun beginning strat strt",
    Event.SUCCESS: "finish finished finishes end ended complete completed completes success "
    "succeeded successful ok okay dnoe doen",
    Event.FAIL: "err errors errored fail fails failed failure failing exception crash crashed eror",
    Event.LOG: "logs",
}


class NearMiss(NamedTuple):
    """A message that is no marker.

    Attributes:
        event: what it was probably meant to tell.
        meant: the marker that tells this; None when the sink has none for it.
        why: what is wrong with the message.
        may_be_prose: the message is one that a program may well log for its readers.
    """

    event: Event
    meant: str | None
    why: str
    may_be_prose: bool = False


class NearMisses:
    """Finds near misses of a sink's own markers.

    One slip at a time: another word, other capitals, another separator, something in front. Two in
    one message are more likely to be prose.

    Args:
        job: the sink's.
        own: the ``markers=`` that replace the job's, or None.

    Attributes:
        keys: each near miss has one of these in it, in lower case.
    """

    def __init__(self, job: str, own: Mapping[str, Event] | None) -> None:
        events = {
            text: Event(event) for text, event in (job_markers(job) if own is None else own).items()
        }
        self._events = events
        self._markers = Markers(events)
        self._lowered = Markers({text.lower(): event for text, event in events.items()})
        self._texts = {_single_spaced(text): text for text in events}
        self._job = None if own is not None else job
        default = own is not None or job != _DEFAULT_JOB
        self._default = Markers(job_markers(_DEFAULT_JOB)) if default else None
        # What a message has to contain, in lower case, to be looked at at all.
        first_words = {text.lower().split()[0] for text in events if text.split()}
        keys = {job.lower()} if own is None else first_words
        self.keys = tuple(keys | ({f"{_DEFAULT_JOB}."} if default else set()))

    def find(self, message: str) -> NearMiss | None:
        """The near miss that a message is; None for a marker, and for any ordinary message."""
        text = message[:LOOKED_AT]
        lowered = text.lower()
        if not any(key in lowered for key in self.keys) or self._markers.match(text):
            return None
        plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
        coloured = plain != text and self._markers.match(plain)
        if coloured:
            return self._miss(coloured, "codes for colours stand in front of it")
        return (
            self._other_capitals(lowered)
            or (self._of_job(text, self._job) if self._job is not None else self._other_space(text))
            or self._not_at_start(text)
            or self._of_default_job(text)
        )

    def _other_capitals(self, lowered: str) -> NearMiss | None:
        event = self._lowered.match(lowered)
        return event and self._miss(event, "its capitals differ")

    def _of_job(self, text: str, job: str) -> NearMiss | None:
        """Another word after the job's name, or another separator than the dot."""
        found = re.match(rf"{re.escape(job)}\.([a-z]+)(?!\w|[.-]\w)", text, re.IGNORECASE)
        if found:
            word = found[1].lower()
            for event, words in _WORDS.items():
                if word in words.split():
                    return self._miss(event, f"it has .{found[1]}")
        # "sync start" alone: what goes on may be a sentence.
        other = rf"\s*{re.escape(job)}\s*([^\w\s]?)\s*(start|done|error|log)[.!]*\s*"
        found = re.fullmatch(other, text, re.IGNORECASE)
        if found:
            event = job_markers("_")[f"_.{found[2].lower()}"]
            miss = self._miss(event, "its white space or punctuation differs")
            return miss._replace(may_be_prose=True)
        found = re.match(
            rf"{re.escape(job)}[_:/-](start|done|error|log)(?!\w|[.-]\w)", text, re.IGNORECASE
        )
        return found and self._miss(
            job_markers("_")[f"_.{found[1].lower()}"], "its punctuation differs"
        )

    def _other_space(self, text: str) -> NearMiss | None:
        spaced = _single_spaced(text)
        for single, marker in self._texts.items():
            if _stands_in(single, spaced) and not _stands_in(marker, text):
                return NearMiss(self._events[marker], marker, "its white space differs")
        return None

    def _not_at_start(self, text: str) -> NearMiss | None:
        for marker, event in self._events.items():
            position = text.find(marker)
            while position >= 0:
                before = text[:position]
                if self._markers.match(text[position:]) is event and (
                    _is_tag(before) if self._job is not None else not _ends_in_word(before)
                ):
                    return NearMiss(event, marker, "it does not begin with the marker")
                position = text.find(marker, position + 1)
        return None

    def _of_default_job(self, text: str) -> NearMiss | None:
        event = self._default and self._default.match(text)
        if not event:
            return None
        job = "markers=" if self._job is None else f"job={self._job!r}"
        return self._miss(event, f"the sink has {job}")

    def _miss(self, event: Event, why: str) -> NearMiss:
        meant = next((text for text, told in self._events.items() if told is event), None)
        return NearMiss(event, meant, why)


def _single_spaced(text: str) -> str:
    return " ".join(text.split())


def _stands_in(part: str, text: str) -> bool:
    """Whether a text has a part, as whole words."""
    return re.search(rf"(?<![\w.-]){re.escape(part)}(?!\w|[.-]\w)", text) is not None


def _ends_in_word(before: str) -> bool:
    return re.search(r"[\w.-]$", before) is not None


def _is_tag(before: str) -> bool:
    """Whether what stands before a marker is a tag or the like, and no sentence's beginning.

    ``[photos]``, ``photos:``, ``12:00:01 | INFO |``, a quote, white space, the beginning of a JSON
    object.
    """
    if _ends_in_word(before):
        return False
    if before.startswith("{"):
        return True
    if before[-1:] in "'\"`" and before.strip("'\"` "):  # quoted in a sentence
        return False
    words = before.split()
    if not words:
        return True
    plain = [word for word in words if re.fullmatch(r"[A-Za-z]*[a-z][A-Za-z]*[:,]?", word)]
    last = words[-1]
    tag = not last[-1].isalnum() or last.isupper() or re.match(r"\d+[:.,-]", last)
    return len(plain) <= 1 and bool(tag)
