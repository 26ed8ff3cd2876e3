"""The markers that wait to become pings: a limited number, so that no flood delays a verdict."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import islice

from loghc.delivery.inbox import LOGS
from loghc.ping import Event
from loghc.watch.messages import Message

__all__ = ["WaitingMarkers"]

_MAX_MARKERS = 10_000  # then no more are taken in for now
_MAX_NOTES = 1_000


class WaitingMarkers:
    """Markers in order of time.

    Attributes:
        dropped: how many notes were dropped.
    """

    def __init__(self) -> None:
        self._markers: deque[Message] = deque()
        self.dropped = 0

    def __bool__(self) -> bool:
        return bool(self._markers)

    @property
    def is_full(self) -> bool:
        """Whether no more should be taken in for now."""
        return len(self._markers) >= _MAX_MARKERS

    def add(self, markers: Iterable[Message]) -> None:
        """Add markers; if there are too many notes, the oldest are dropped."""
        self._markers.extend(markers)
        excess = sum(each.event == "log" for each in self._markers) - _MAX_NOTES
        if excess > 0:
            self._drop_notes(excess)

    def take(self) -> Message:
        """Remove and return the oldest marker; there must be one."""
        return self._markers.popleft()

    def many_follow(self, event: Event) -> bool:
        """Whether enough markers of equal importance wait to use up all logs that are kept."""
        rivals = (m for m in self._markers if event is not Event.FAIL or m.event == "fail")
        return len(tuple(islice(rivals, LOGS))) == LOGS  # no further: thousands may wait

    def _drop_notes(self, count: int) -> None:
        self.dropped += count
        kept: deque[Message] = deque()
        for message in self._markers:
            if count and message.event == "log":
                count -= 1
            else:
                kept.append(message)
        self._markers = kept
