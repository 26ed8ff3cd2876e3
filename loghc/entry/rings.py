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

__all__ = [
    "Frame",
    "Note",
    "Reading",
    "UnknownVersionError",
    "count_markers",
    "read_notes",
    "read_ring",
]

_LIMIT_BYTES = layout.HEADER + layout.MAX_CAPACITY_BYTES
_WORDS = struct.Struct(layout.FRAME)
_CHUNK_BYTES = 1 << 16  # that are read at least
# What may lie between frames is a record that was never written to its end; and what another
# program made up may be anything.
_MAX_CANDIDATES = 20_000  # places that may be a frame's end, and are none
_LOWER_BITS = 24  # of a position; the upper ones seldom change
_UPPER_BYTES = 5
_IN_THREAD = "Exception in thread "


class Frame(NamedTuple):
    """A record.

    Attributes:
        time_ns: when it was logged, by CLOCK_MONOTONIC.
        data: the formatted record, UTF-8.
        cut: it was longer than half the ring, and this is its end.
        marker: what the recorder says of it if it is a marker's: its number in the ring, and
            what its message in the channel says.
    """

    time_ns: int
    data: bytes
    cut: bool = False
    marker: bytes = b""


class Reading(NamedTuple):
    """What a ring holds.

    Attributes:
        pid: the process.
        started_ns: when the ring was opened, by CLOCK_MONOTONIC.
        wall_offset_ns: what to add to a monotonic time to get the wall clock's.
        failures: how many failure markers were logged.
        markers: how many markers were, in all.
        level: the highest level number that was recorded, -1 for none.
        written: bytes of records ever.
        traceback: the uncaught exception's that ended the process, None without.
        threads: those that ended threads, oldest first, as Python prints them.
        frames: the newest records, oldest first, enough for the limit, or all.
        lost: how many records could not be recorded.
        orphans: how many forked children of the process could not open a ring.
        position: where the newest frame ends.
    """

    pid: int
    started_ns: int
    wall_offset_ns: int
    failures: int
    markers: int
    level: int
    written: int
    traceback: str | None
    threads: list[str]
    frames: list[Frame]
    lost: int
    orphans: int
    position: int


class Note(NamedTuple):
    """Why a process could not be recorded."""

    pid: int
    text: str


class UnknownVersionError(ValueError):
    """A ring was written by a version of loghc that writes it otherwise."""


def read_ring(
    directory: Directory, name: str, limit: int, since_ns: int = 0, after: int = 0
) -> Reading | None:
    """Read the end of a ring, as far back as it is needed.

    Args:
        directory: the run directory.
        name: the file's.
        limit: bytes; records are read, from the newest back, until they are at least as long.
        since_ns: records before this time are not read either.
        after: a position: frames that end there or before are not read either.

    Returns:
        None if the file isn't a ring, or not yet.

    Raises:
        UnknownVersionError: it is one of another version.
    """
    try:
        fd = directory.open(name, _LIMIT_BYTES)
    except (OSError, ValueError):
        return None
    try:
        return _read(fd, limit, since_ns, after)
    except OSError:
        return None
    finally:
        os.close(fd)


def count_markers(directory: Directory, name: str) -> int:
    """How many markers a ring's header counts; 0 where it isn't a ring."""
    try:
        fd = directory.open(name)
    except (OSError, ValueError):
        return 0
    try:
        return int.from_bytes(os.pread(fd, 8, layout.RING_MARKERS * 8), sys.byteorder)
    except OSError:
        return 0
    finally:
        os.close(fd)


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


def _read(fd: int, limit: int, since_ns: int, after: int) -> Reading | None:
    header = os.pread(fd, layout.HEADER, 0)
    if len(header) < layout.HEADER:
        return None
    words = memoryview(header).cast("Q")
    magic = words[layout.RING_MAGIC]
    if magic & (1 << layout.FORMAT_BITS) - 1 != layout.FORMAT:
        return None
    if magic != layout.MAGIC:
        raise UnknownVersionError(magic >> layout.FORMAT_BITS)
    capacity, head = words[layout.RING_CAPACITY], words[layout.RING_HEAD]
    if not 0 < capacity <= os.fstat(fd).st_size - layout.HEADER or head < capacity:
        return None
    # Small records are mostly what stands around them. A ring has room for what is asked for, and
    # as much again around it: whoever made up a larger one gains nothing.
    area = _Area(fd, capacity, head, max(after, head - 4 * limit - _CHUNK_BYTES))
    frames, tracebacks, written, position = _newest(area, limit, since_ns)
    own = [text for text in tracebacks if not text.startswith(_IN_THREAD)]
    return Reading(
        pid=words[layout.RING_PID],
        started_ns=words[layout.RING_STARTED],
        wall_offset_ns=_signed(words[layout.RING_WALL_OFFSET]),
        failures=words[layout.RING_FAILURES],
        markers=words[layout.RING_MARKERS],
        level=words[layout.RING_LEVEL] - 1,
        written=written,
        traceback=own[-1] if own else None,
        threads=[text for text in tracebacks if text.startswith(_IN_THREAD)],
        # What was overwritten while it was read can't be told from what wasn't, by what was read.
        frames=[frame for start, frame in frames if start >= area.oldest],
        lost=words[layout.RING_LOST],
        orphans=words[layout.RING_ORPHANS],
        position=position,
    )


def _signed(word: int) -> int:
    return word - (word >> 63 << 64)


def _newest(
    area: _Area, limit: int, since_ns: int
) -> tuple[list[tuple[int, Frame]], list[str], int, int]:
    """The newest records, oldest first.

    Returns:
        Their positions and they; tracebacks, oldest first; the bytes of records ever; where the
        newest one ends.
    """
    frames: list[tuple[int, Frame]] = []
    tracebacks: list[str] = []
    written = position = 0
    size = 0
    found = area.frame_before(area.head)
    while found is not None:
        start, time_ns, before, end = found
        data = area.data(start, end)
        about = b""
        if before & layout.MARKER:
            about, _, data = data.partition(b"\n")
        if not position:
            position = end
            counted = 0 if before & layout.TRACEBACK else len(data)
            written = (before & layout.WRITTEN_MASK) + counted
        if before & layout.TRACEBACK:
            tracebacks.append(data.decode("utf-8", "replace"))
        elif size >= limit or time_ns < since_ns:
            break
        else:
            frames.append((start, Frame(time_ns, data, bool(before & layout.CUT), about)))
            size += len(data)
        found = area.frame_before(start)
    frames.reverse()
    tracebacks.reverse()
    return frames, tracebacks, written, position


class _Area:
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
        self._load(head - 2 * _CHUNK_BYTES)

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
                self.oldest + layout.FRAME_BYTES, upper << _LOWER_BITS, position - _CHUNK_BYTES
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
        start = max(self.oldest, min(start, self._start - len(self._text) - _CHUNK_BYTES))
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


# Where the upper bytes of a frame's last word end, before the frame's own end.
_LAG = 0 if sys.byteorder == "little" else 3
