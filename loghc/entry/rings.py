"""Reads what a process of the program recorded, in the ring file that it wrote until it died.

A ring is read while its process writes on, and after it died in the middle of a write. Nothing in
it is trusted.
"""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

from loghc.entry.directory import Directory
from loghc.entry.ring_area import CHUNK_BYTES, RingArea
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
    """A ring was written by a version of loghc that uses another format."""


def read_ring(
    directory: Directory, name: str, limit: int, since_ns: int = 0, after: int = 0
) -> Reading | None:
    """Read the tail of a ring, as far back as needed.

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
    area = RingArea(fd, capacity, head, max(after, head - 4 * limit - CHUNK_BYTES))
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
    area: RingArea, limit: int, since_ns: int
) -> tuple[list[tuple[int, Frame]], list[str], int, int]:
    """The newest records, oldest first.

    Returns:
        The records with their positions; tracebacks, oldest first; the bytes of all records ever
        written; where the newest one ends.
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
