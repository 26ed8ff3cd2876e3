"""A file of this process's own that holds the end of its log, outside of the process."""

import _thread
import posix
import time

from . import layout
from .mapping import allocate, map_file

__all__ = ["Ring", "open_ring"]

_FLAGS = (
    posix.O_RDWR | posix.O_CREAT | posix.O_EXCL | posix.O_CLOEXEC | getattr(posix, "O_NOFOLLOW", 0)
)
_LEAST = 1024  # bytes


class Ring:
    """Takes data in; what is too old is overwritten.

    Thread-safe, and safe for a signal handler or finalizer that appends in the middle of `append`:
    space is reserved first, in which no one else writes, and the lock may be taken again by its owner.
    """

    def __init__(self, mapping: "object", capacity: int) -> None:
        self._mapping = mapping
        self._words = memoryview(mapping).cast("Q")  # type: ignore[arg-type]
        self._capacity = capacity
        self._end = layout.HEADER + capacity
        self._longest = capacity - layout.ALIGN
        self._lock = _thread.RLock()
        self._head = capacity
        self._back = 0
        self._written = 0

    def append(self, data: bytes, time_ns: int, kind: int = layout.KIND_RECORD) -> None:
        """Add a record. Only the end of one that is longer than the ring is kept."""
        length = len(data)
        if length > self._longest:
            data = _end(data, self._longest)
            length = len(data)
        size = (length + 63) & -32  # with the frame's own words, up to where the next may begin
        words = self._words
        with self._lock:
            # Nothing here is a call, up to where the space is reserved: no signal handler runs, and
            # no other thread, in any Python since 3.10.
            start = self._head
            back = self._back
            written = self._written
            self._head = head = start + size
            self._back = size << 32
            if not kind:
                self._written = written + length
            words[5] = head
            words[6] = start
            at = 256 + start % self._capacity
            first = at + 32
            after = first + length
            if after <= self._end:
                self._mapping[first:after] = data  # type: ignore[index]
            else:
                self._wrap(first, data)
            at >>= 3
            words[at + 1] = time_ns
            words[at + 2] = back + (kind << 30) + length
            words[at + 3] = written
            words[at] = start

    def _wrap(self, first: int, data: bytes) -> None:
        fits = self._end - first
        mapping = self._mapping
        mapping[first : self._end] = data[:fits]  # type: ignore[index]
        mapping[layout.HEADER : layout.HEADER + len(data) - fits] = data[fits:]  # type: ignore[index]

    def set_failed(self) -> None:
        """Say that a failure marker was logged. Nothing takes it back."""
        self._words[layout.RING_FAILED] = 1

    def set_level(self, number: int) -> None:
        """Say what the highest level of a record is."""
        self._words[layout.RING_LEVEL] = number + 1

    def set_version(self, version: str) -> None:
        """Say which loguru this comes from."""
        text = version.encode("utf-8", "replace")[: layout.VERSION_BYTES]
        start = layout.RING_VERSION * 8
        self._mapping[start : start + len(text)] = text  # type: ignore[index]

    def count(self, word: int) -> None:
        """Count one more of something, such as markers (`layout.RING_MARKERS`)."""
        with self._lock:
            self._words[word] += 1


def open_ring(directory: str, capacity: int, pid: int) -> Ring:
    """Open a new ring, in a file of its own.

    Raises:
        OSError, ValueError: it can't be opened, or there is no room for it.
    """
    capacity = max(_LEAST, capacity // layout.ALIGN * layout.ALIGN)
    now = time.monotonic_ns()
    wall = time.time_ns()
    path = "%s/%d-%d%s" % (directory, pid, now, layout.SUFFIX)
    fd = posix.open(path, _FLAGS, 0o600)
    try:
        allocate(fd, layout.HEADER + capacity)
        mapping = map_file(fd, layout.HEADER + capacity)
    except BaseException:
        posix.unlink(path)
        raise
    finally:
        posix.close(fd)
    words = memoryview(mapping).cast("Q")  # type: ignore[arg-type]
    words[layout.RING_PID] = pid
    words[layout.RING_STARTED] = now
    words[layout.RING_WALL_OFFSET] = wall - now
    words[layout.RING_CAPACITY] = capacity
    words[layout.RING_HEAD] = words[layout.RING_LAST] = capacity
    words[layout.RING_MAGIC] = layout.MAGIC
    return Ring(mapping, capacity)


def _end(data: bytes, size: int) -> bytes:
    """The last bytes of a UTF-8 text, from the beginning of a character on."""
    start = len(data) - size
    while start < len(data) and data[start] & 0xC0 == 0x80:
        start += 1
    return data[start:]
