"""Reads what a process of the program recorded, in the ring file that it wrote until it died.

A ring is read while its process writes on, and after it died in the middle of a write. Nothing in
it is trusted.
"""

from __future__ import annotations

import os
import struct
import sys
from typing import NamedTuple

from loghc.entry.directory import Directory
from loghc.portable import layout
from loghc.portable.trusted import FILE, open_trusted

__all__ = ["Frame", "Note", "Reading", "read_notes", "read_ring"]

_LIMIT_BYTES = layout.HEADER + layout.MAX_CAPACITY_BYTES
_WORDS = struct.Struct(layout.FRAME)


class Frame(NamedTuple):
    """A record.

    Attributes:
        time_ns: when it was logged, by CLOCK_MONOTONIC.
        data: the formatted record, UTF-8.
        cut: it was longer than half the ring, and this is its end.
    """

    time_ns: int
    data: bytes
    cut: bool = False


class Reading(NamedTuple):
    """What a ring holds.

    Attributes:
        pid: the process.
        started_ns: when the ring was opened, by CLOCK_MONOTONIC.
        wall_offset_ns: what to add to a monotonic time to get the wall clock's.
        failed: a failure marker was logged.
        markers: how many markers were logged.
        level: the highest level number that was recorded, -1 for none.
        overwritten: bytes of records that newer ones took the place of.
        written: bytes of records ever.
        traceback: the uncaught exception's that ended the process, None without.
        attached: the version of loguru that was recorded, None if unknown.
        frames: the newest records, oldest first, enough for the limit, or all.
        lost: how many records could not be recorded.
        orphans: how many forked children of the process could not open a ring.
    """

    pid: int
    started_ns: int
    wall_offset_ns: int
    failed: bool
    markers: int
    level: int
    overwritten: int
    written: int
    traceback: str | None
    attached: str | None
    frames: list[Frame]
    lost: int
    orphans: int


class Note(NamedTuple):
    """Why a process could not be recorded."""

    pid: int
    text: str


def read_ring(directory: Directory, name: str, limit: int, since_ns: int = 0) -> Reading | None:
    """Read the end of a ring.

    Args:
        directory: the run directory.
        name: the file's.
        limit: bytes; records are read, from the newest back, until they are at least as long.
        since_ns: records before this time are not read either.

    Returns:
        None if the file isn't a ring, or not yet.
    """
    try:
        fd = open_trusted(name, FILE, directory=directory.descriptor, limit=_LIMIT_BYTES)
    except (OSError, ValueError):
        return None
    try:
        size = os.fstat(fd).st_size
        if size <= layout.HEADER:
            return None
        copy = _read(fd, min(size, _LIMIT_BYTES))
        # What was overwritten while the copy was made can't be told from what wasn't, by the copy.
        head = int.from_bytes(os.pread(fd, 8, layout.RING_HEAD * 8), sys.byteorder)
    except OSError:
        return None
    finally:
        os.close(fd)
    return _reading(copy, head, limit, since_ns)


def read_notes(directory: Directory) -> list[Note]:
    """What processes left that could not open a ring."""
    notes = []
    for name in sorted(directory.names()):
        pid = name.partition("-")[0]
        if name.endswith(layout.NOTE_SUFFIX) and pid.isdigit():
            try:
                text = os.readlink(name, dir_fd=directory.descriptor)
            except OSError:
                continue
            notes.append(Note(int(pid), text))
    return notes


def _read(fd: int, size: int) -> bytes:
    parts = []
    offset = 0
    while offset < size:
        part = os.pread(fd, size - offset, offset)
        if not part:
            break
        parts.append(part)
        offset += len(part)
    return b"".join(parts)


def _reading(copy: bytes, head: int, limit: int, since_ns: int) -> Reading | None:
    words = memoryview(copy)[: layout.HEADER].cast("Q")
    capacity = words[layout.RING_CAPACITY]
    if (
        words[layout.RING_MAGIC] != layout.MAGIC
        or not 0 < capacity <= len(copy) - layout.HEADER
        or words[layout.RING_HEAD] < capacity
    ):
        return None
    walk = _Walk(copy[layout.HEADER : layout.HEADER + capacity], words[layout.RING_HEAD], head)
    frames, traceback, written = walk.newest(limit, since_ns)
    version = copy[layout.RING_VERSION * 8 :][: layout.VERSION_BYTES].rstrip(b"\0")
    return Reading(
        pid=words[layout.RING_PID],
        started_ns=words[layout.RING_STARTED],
        wall_offset_ns=_signed(words[layout.RING_WALL_OFFSET]),
        failed=bool(words[layout.RING_FAILED]),
        markers=words[layout.RING_MARKERS],
        level=words[layout.RING_LEVEL] - 1,
        overwritten=walk.overwritten(written),
        written=written,
        traceback=traceback,
        attached=version.decode("utf-8", "replace") or None,
        frames=frames,
        lost=words[layout.RING_LOST],
        orphans=words[layout.RING_ORPHANS],
    )


def _signed(word: int) -> int:
    return word - (word >> 63 << 64)


class _Walk:
    """A ring's frames, from the newest back.

    Args:
        area: a copy of the data area.
        head: the position after the newest frame when the copy was begun.
        later: the same when the copy was complete; what was overwritten by then may be mixed up.
    """

    def __init__(self, area: bytes, head: int, later: int) -> None:
        capacity = len(area)
        cut = head % capacity
        self._text = area[cut:] + area[:cut]  # in the order of positions
        self._offset = head - capacity  # the position of its beginning
        self._head = head
        self._first = max(later - capacity, self._offset, capacity)

    def newest(self, limit: int, since_ns: int) -> tuple[list[Frame], str | None, int]:
        """The newest records, oldest first; the traceback; bytes of records ever."""
        frames: list[Frame] = []
        traceback = None
        written = None
        size = 0
        frame = self._last_frame(self._head)
        while frame is not None:
            start, time_ns, before, end = frame
            is_traceback = before & layout.TRACEBACK
            data = self._text[start - self._offset : end - self._offset - layout.FRAME_BYTES]
            if written is None:
                written = (before & layout.WRITTEN_MASK) + (0 if is_traceback else len(data))
            if is_traceback:
                traceback = traceback or data.decode("utf-8", "replace")
            elif size >= limit or time_ns < since_ns:
                break
            else:
                frames.append(Frame(time_ns, data, bool(before & layout.CUT)))
                size += len(data)
            frame = self._last_frame(start)
        frames.reverse()
        return frames, traceback, written or 0

    def overwritten(self, written: int) -> int:
        """Bytes of the records before the oldest one that is still there."""
        if self._first == len(self._text):  # the first lap: nothing was overwritten
            return 0
        frame = self._first_frame()
        return written if frame is None else frame[2] & layout.WRITTEN_MASK

    def _last_frame(self, until: int) -> tuple[int, int, int, int] | None:
        """The last whole frame that ends at a position or before: start, time, written, end."""
        frame = self._frame(until)
        if frame is not None:
            return frame
        # What ends there was reserved, but never or not yet written.
        least = self._first + layout.FRAME_BYTES
        position = min(until - 1, self._before_zeros(until))
        while position >= least:
            upper = position >> _LOWER_BITS
            floor = max(least, upper << _LOWER_BITS)
            found = self._text.rfind(_bytes(upper), self._at(floor) - 5, self._at(position))
            position = floor - 1 if found < 0 else self._position(found + 5)
            frame = self._frame(position)
            if frame is not None:
                return frame
            position -= found >= 0
        return None

    def _before_zeros(self, until: int) -> int:
        """Where a frame may end at the latest: its last word isn't all zeros, as a new ring is."""
        text = self._text[: max(0, until - self._offset)]
        return self._offset + len(text.rstrip(b"\0")) + 7

    def _first_frame(self) -> tuple[int, int, int, int] | None:
        """The oldest frame that is whole."""
        position = self._first + layout.FRAME_BYTES
        while position <= self._head:
            upper = position >> _LOWER_BITS
            top = min(self._head, ((upper + 1) << _LOWER_BITS) - 1)
            found = self._text.find(_bytes(upper), self._at(position) - 5, self._at(top))
            position = top if found < 0 else self._position(found + 5)
            frame = self._frame(position)
            if frame is not None:
                return frame
            position += 1
        return None

    def _frame(self, end: int) -> tuple[int, int, int, int] | None:
        """The frame that ends at a position, if it is whole."""
        if not self._first + layout.FRAME_BYTES <= end <= self._head:
            return None
        words = _WORDS.unpack_from(self._text, end - layout.FRAME_BYTES - self._offset)
        start, time_ns, before, stamp = words
        if stamp != end or not self._first <= start <= end - layout.FRAME_BYTES:
            return None
        return start, time_ns, before, end

    def _at(self, position: int) -> int:
        """Where the upper bytes of a frame's last word end, in the text, if it ends there."""
        return position - self._offset - _LAG

    def _position(self, at: int) -> int:
        return at + self._offset + _LAG


# A frame ends with its end's position, of which the upper five bytes seldom change. A search for
# those leaves few places to look at.
_LOWER_BITS = 24
_LAG = 0 if sys.byteorder == "little" else 3


def _bytes(upper: int) -> bytes:
    return upper.to_bytes(5, sys.byteorder)
