"""Reads what a process of the program recorded: the ring file that it writes, or wrote until it died.

A ring is read while its process writes on, and after it died in the middle of a write. Nothing in it
is trusted.
"""

from __future__ import annotations

import os
import stat
import sys
from typing import NamedTuple

from loghc.inside import layout

__all__ = ["Frame", "Note", "Reading", "read_notes", "read_ring"]

_LARGEST = 1 << 28  # bytes of a ring
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
_WORDS = layout.ALIGN // 8
_BACK_MASK = (1 << 32) - 1


class Frame(NamedTuple):
    """A record.

    Attributes:
        time_ns: when it was logged, by CLOCK_MONOTONIC.
        data: the formatted record, UTF-8.
    """

    time_ns: int
    data: bytes


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


def read_ring(path: str | os.PathLike[str], limit: int) -> Reading | None:
    """Read the end of a ring.

    Args:
        path: the file.
        limit: bytes; records are read, from the newest back, until they are at least as long.

    Returns:
        None if the file isn't a ring, or not yet.
    """
    try:
        fd = os.open(path, _FLAGS)
    except (OSError, ValueError):
        return None
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or not layout.HEADER < found.st_size <= _LARGEST:
            return None
        copy = _read(fd, found.st_size)
        # What was overwritten while the copy was made can't be told from what wasn't, by the copy.
        head = int.from_bytes(os.pread(fd, 8, layout.RING_HEAD * 8), sys.byteorder)
    except OSError:
        return None
    finally:
        os.close(fd)
    return _reading(copy, head, limit)


def read_notes(directory: str | os.PathLike[str]) -> list[Note]:
    """What processes left that could not open a ring."""
    notes = []
    for name in sorted(os.listdir(directory)):
        pid = name.partition("-")[0]
        if name.endswith(layout.NOTE_SUFFIX) and pid.isdigit():
            try:
                text = os.readlink(os.path.join(directory, name))  # noqa: PTH115, PTH118
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


def _reading(copy: bytes, head: int, limit: int) -> Reading | None:
    whole = len(copy) // 8 * 8
    if whole <= layout.HEADER:
        return None
    words = memoryview(copy)[:whole].cast("Q")
    capacity = words[layout.RING_CAPACITY]
    if (
        words[layout.RING_MAGIC] != layout.MAGIC
        or not 0 < capacity <= whole - layout.HEADER
        or capacity % layout.ALIGN
    ):
        return None
    walk = _Walk(copy, words, capacity, head)
    frames, traceback, written = walk.newest(limit)
    version = copy[layout.RING_VERSION * 8 :][: layout.VERSION_BYTES].rstrip(b"\0")
    return Reading(
        pid=words[layout.RING_PID],
        started_ns=words[layout.RING_STARTED],
        wall_offset_ns=words[layout.RING_WALL_OFFSET],
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


class _Walk:
    """A ring's frames, from the newest back."""

    def __init__(self, copy: bytes, words: memoryview[int], capacity: int, head: int) -> None:
        self._copy = copy
        self._words = words
        self._capacity = capacity
        self._head = words[layout.RING_HEAD]
        # Positions before this one have been overwritten, or may have been.
        self._first = max(head - capacity, self._head - capacity, capacity)
        self._first += -self._first % layout.ALIGN

    def newest(self, limit: int) -> tuple[list[Frame], str | None, int]:
        """The newest records, oldest first; the traceback; bytes of records ever."""
        frames: list[Frame] = []
        traceback = None
        written = None
        size = 0
        position = self._words[layout.RING_LAST]
        after = self._head
        while True:
            if not self._is_frame(position, after):
                position = self._before(after)
                if position is None:
                    break
            at = self._at(position)
            time_ns, sizes, before = self._words[at + 1 : at + _WORDS].tolist()
            length = sizes & layout.LENGTH_MASK
            kind = sizes >> layout.KIND_SHIFT & 3
            if written is None:
                written = before + (length if kind == layout.KIND_RECORD else 0)
            if kind == layout.KIND_RECORD:
                if size >= limit:
                    break
                frames.append(Frame(time_ns, self._data(position, length)))
                size += length
            elif kind == layout.KIND_TRACEBACK and traceback is None:
                traceback = self._data(position, length).decode("utf-8", "replace")
            back = sizes >> layout.BACK_SHIFT & _BACK_MASK
            if not back:
                break
            position, after = position - back, position
        frames.reverse()
        return frames, traceback, written or 0

    def overwritten(self, written: int) -> int:
        """Bytes of the records before the oldest one that is still there."""
        for position in range(self._first, self._head, layout.ALIGN):
            if self._is_frame(position, self._head):
                return self._words[self._at(position) + layout.FRAME_WRITTEN]
        return written

    def _before(self, after: int) -> int | None:
        """The position of the last frame that ends before a position."""
        for position in range(after - layout.ALIGN, self._first - 1, -layout.ALIGN):
            if self._is_frame(position, after):
                return position
        return None

    def _is_frame(self, position: int, after: int) -> bool:
        if not self._first <= position < after <= self._head or position % layout.ALIGN:
            return False
        at = self._at(position)
        if self._words[at + layout.FRAME_STAMP] != position:
            return False
        length = self._words[at + layout.FRAME_SIZES] & layout.LENGTH_MASK
        return position + layout.ALIGN + length <= after

    def _at(self, position: int) -> int:
        return (layout.HEADER + position % self._capacity) // 8

    def _data(self, position: int, length: int) -> bytes:
        first = position % self._capacity + layout.ALIGN
        fits = self._capacity - first
        start = layout.HEADER + first
        data = self._copy[start : start + min(length, fits)]
        if length > fits:
            data += self._copy[layout.HEADER : layout.HEADER + length - fits]
        return data
