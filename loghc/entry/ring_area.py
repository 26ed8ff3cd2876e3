"""Reads the frames in a ring's data area, from its end back as far as is asked for.

The ring may be written meanwhile, or its process may have died in the middle of a write: nothing
in it is trusted.
"""

from __future__ import annotations

import os
import struct
import sys

from loghc.portable import layout

__all__ = ["CHUNK_BYTES", "RingArea"]

CHUNK_BYTES = 1 << 16
"""The least that is read at once."""

_WORDS = struct.Struct(layout.FRAME)
# What may lie between frames is a record that was never written to its end; and what another
# program made up may be anything.
_MAX_CANDIDATES = 20_000  # places that may be a frame's end, and are none
_LOWER_BITS = 24  # of a position; the upper ones seldom change
_UPPER_BYTES = 5
# Where the upper bytes of a frame's last word end, before the frame's own end.
_LAG = 0 if sys.byteorder == "little" else 3


class RingArea:
    """A ring's data area, read from its end back as far as is asked for.

    Args:
        fd: the ring's file.
        capacity: bytes of the area.
        head: the position after the newest frame.
        least: what lies before this position isn't asked for.

    Attributes:
        head: the position after the newest frame.
        oldest: what lies before this position was overwritten, or isn't asked for.
    """

    def __init__(self, fd: int, capacity: int, head: int, least: int) -> None:
        self._fd = fd
        self._capacity = capacity
        self._start = head  # what was read begins here
        self._text = b""
        self._candidates = 0
        self.head = head
        self.oldest = max(head - capacity, capacity, least)
        self._load(head - 2 * CHUNK_BYTES)

    def data(self, start: int, end: int) -> bytes:
        """The data of a frame."""
        return self._text[start - self._start : end - layout.FRAME_BYTES - self._start]

    def frame_before(self, until: int) -> tuple[int, int, int, int] | None:
        """The last whole frame that ends at a position or before: start, time, written, end."""
        frame = self._frame(until)
        if frame is not None:
            return frame
        # What ends there was reserved, but never or not yet written.
        position = until - 1
        while position >= self.oldest + layout.FRAME_BYTES:
            upper = position >> _LOWER_BITS
            floor = max(
                self.oldest + layout.FRAME_BYTES, upper << _LOWER_BITS, position - CHUNK_BYTES
            )
            self._load(floor - layout.FRAME_BYTES)
            position = self._candidate(upper, floor, position)
            if position < floor:
                continue
            self._candidates += 1
            if self._candidates > _MAX_CANDIDATES:
                return None
            frame = self._frame(position)
            if frame is not None:
                return frame
            position -= 1
        return None

    def _candidate(self, upper: int, floor: int, until: int) -> int:
        """The last position up to one at which a frame may end; below the floor: there is none."""
        low = self._start + _LAG
        text = self._text[floor - _UPPER_BYTES - low : until - low]
        if not upper:  # a new ring is all zeros; a frame's last word isn't
            text = text[: len(text.rstrip(b"\0")) + 7]
        found = text.rfind(upper.to_bytes(_UPPER_BYTES, sys.byteorder))
        return floor - 1 if found < 0 else floor + found

    def _frame(self, end: int) -> tuple[int, int, int, int] | None:
        """The frame that ends at a position, if it is whole."""
        if not self.oldest + layout.FRAME_BYTES <= end <= self.head:
            return None
        self._load(end - layout.FRAME_BYTES)
        words = _WORDS.unpack_from(self._text, end - layout.FRAME_BYTES - self._start)
        start, time_ns, before, stamp = words
        if stamp != end or not self.oldest <= start <= end - layout.FRAME_BYTES:
            return None
        self._load(start)
        return start, time_ns, before, end

    def _load(self, start: int) -> None:
        """Read what lies from a position on, if it wasn't yet, and as much again."""
        start = max(start, self.oldest)
        if start >= self._start:
            return
        start = max(self.oldest, min(start, self._start - len(self._text) - CHUNK_BYTES))
        self._text = self._pread(start, self._start) + self._text
        self._start = start
        head = int.from_bytes(os.pread(self._fd, 8, layout.RING_HEAD * 8), sys.byteorder)
        self.oldest = max(self.oldest, head - self._capacity)

    def _pread(self, start: int, end: int) -> bytes:
        parts = []
        while start < end:
            place = start % self._capacity
            size = min(end - start, self._capacity - place)
            part = os.pread(self._fd, size, layout.HEADER + place)
            if not part:
                raise OSError("the ring became shorter")
            parts.append(part)
            start += len(part)
        return b"".join(parts)
