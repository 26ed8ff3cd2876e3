"""Which messages are markers."""

import sys

TYPE_CHECKING = False  # importing typing in a watched program would keep it from shadowing it
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Markers"]

_LAST = chr(sys.maxunicode)  # no character sorts after it


class Markers:
    """Finds the event of a message.

    A message is a marker if it equals one, or starts with one that is followed neither by a word
    character nor by a dot or hyphen and a word character. If several match, the longest counts.

    Args:
        events: from marker to what it stands for.

    Attributes:
        events: as given.
        bounds: a message that is a marker sorts at or after the first of these, and before the
            second. So two comparisons rule out nearly every other message, at half the cost of
            `str.startswith`, however many markers there are.
    """

    __slots__ = ("_longest_first", "bounds", "events")

    def __init__(self, events: "dict[str, Any]") -> None:
        self.events = events
        # One that fits sorts after those that it begins with: the longest is found first.
        self._longest_first = sorted(events.items(), key=lambda item: item[0], reverse=True)
        self.bounds = min(events, default=""), max(map(_after, events), default="")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Markers) and self.events == other.events

    __hash__ = object.__hash__

    def match(self, message: str) -> "Any":
        """What a message stands for; None if it isn't a marker."""
        first, after = self.bounds
        if not first <= message < after:
            return None
        for marker, event in self._longest_first:
            if message.startswith(marker) and not _continues_word(message, len(marker)):
                return event
        return None


def _continues_word(message: str, end: int) -> bool:
    """Whether a longer word than the marker stands there: "sync.started", "sync.done-partial"."""
    if message[end : end + 1] in (".", "-"):
        end += 1
    following = message[end : end + 1]
    return following.isalnum() or following == "_"


def _after(marker: str) -> str:
    """The least text that sorts after everything that begins with the marker."""
    stem = marker.rstrip(_LAST)
    if not stem:  # there is none, but this is as good
        return marker + 1000 * _LAST
    return stem[:-1] + chr(ord(stem[-1]) + 1)
