"""The tail of a log whose frames come from several sources at once."""

from __future__ import annotations

from operator import attrgetter

from loghc.entry.rings import Frame

__all__ = ["MergedTail"]

_time = attrgetter("time_ns")


class MergedTail:
    """The newest frames of those that are added, in order of time.

    Args:
        size: bytes of data to keep at least.
    """

    def __init__(self, size: int) -> None:
        self._keep = size
        self._frames: list[Frame] = []
        self._size = 0
        self._trim_at = size
        self.since_ns = 0
        """What is older than this can't be at the end any more."""

    def add(self, frames: list[Frame]) -> None:
        """Add some, in any order."""
        self._frames.extend(frames)
        self._size += sum(len(frame.data) for frame in frames)
        if self._size >= self._trim_at:
            self._trim()

    def frames(self) -> list[Frame]:
        """The newest, oldest first."""
        self._trim()
        return self._frames

    def copy(self) -> MergedTail:
        """The same, to add to."""
        other = MergedTail(self._keep)
        other.__dict__.update(self.__dict__)
        other._frames = list(self._frames)
        return other

    def _trim(self) -> None:
        # Large parts of this are sorted already, which is what Python's sort handles best.
        self._frames.sort(key=_time)
        self._frames = _newest(self._frames, self._keep)
        self._size = sum(len(frame.data) for frame in self._frames)
        if self._size >= self._keep:
            self.since_ns = self._frames[0].time_ns
            self._trim_at = self._size + self._keep // 4


def _newest(frames: list[Frame], size: int) -> list[Frame]:
    """The last frames of which the data adds up to at least a size."""
    position = len(frames)
    while position and size > 0:
        position -= 1
        size -= len(frames[position].data)
    return frames[position:]
