"""A file of this process's own that holds the end of its log, outside of the process."""

import _thread
import posix
import sys
import time

from . import layout
from .layout import FRAME, FRAME_BYTES, HEADER, RING_HEAD
from .mapping import allocate, map_file
from .stdlib import load

TYPE_CHECKING = False  # importing typing here would keep the program from shadowing it
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Ring", "open_ring"]

_FLAGS = (
    posix.O_RDWR | posix.O_CREAT | posix.O_EXCL | posix.O_CLOEXEC | getattr(posix, "O_NOFOLLOW", 0)
)
_LEAST = 1024  # bytes

# From 3.11 on, CPython looks for signals and for other threads that wait at calls and at jumps
# backwards only. Code without those needs no lock, if there is a global one.
_UNINTERRUPTED = sys.version_info >= (3, 11) and getattr(sys, "_is_gil_enabled", lambda: True)()


class Ring:
    """Takes records in; the oldest are overwritten.

    Attributes:
        append: adds a record: its data and its time. Thread-safe, and safe for a signal handler
            or a finalizer that appends in the middle of it. Only the end of a record that is longer
            than the ring is kept.
    """

    def __init__(self, mapping: "Any", capacity: int) -> None:
        self._mapping = mapping
        self._words = memoryview(mapping).cast("Q")
        self._lock = _thread.RLock()
        make = _appender if _UNINTERRUPTED else _locking_appender
        self.append, self._append_flagged = make(mapping, self._words, capacity)

    def append_traceback(self, data: bytes, time_ns: int) -> None:
        """Add an uncaught exception's traceback."""
        self._append_flagged(data, time_ns, layout.TRACEBACK)

    def set_failed(self) -> None:
        """Say that a failure marker was logged. Nothing takes it back."""
        self._words[layout.RING_FAILED] = 1

    def raise_level(self, number: int) -> None:
        """Say that a record of a level was logged; the highest counts."""
        if number >= self._words[layout.RING_LEVEL]:
            self._words[layout.RING_LEVEL] = int(number) + 1

    def set_version(self, version: str) -> None:
        """Say which loguru this comes from."""
        text = version.encode("utf-8", "replace")[: layout.VERSION_BYTES]
        start = layout.RING_VERSION * 8
        self._mapping[start : start + len(text)] = text

    def count_orphan(self) -> None:
        """Count a forked child that got no ring. It takes no lock: that is the parent's."""
        self._words[layout.RING_ORPHANS] += 1

    def count(self, word: int) -> None:
        """Count one more of something, such as markers (`layout.RING_MARKERS`)."""
        with self._lock:
            self._words[word] += 1


def _appender(mapping: "Any", words: "Any", capacity: int) -> "tuple[Any, Any]":
    """`Ring.append` without a lock. It is called for each record, and every operation counts."""
    pack = load("_struct").Struct(FRAME).pack
    write = _writer(mapping, capacity)
    longest = capacity - FRAME_BYTES
    head = capacity
    base = capacity - HEADER  # a position less this is where it lies in the file, in this lap
    lap = 2 * capacity  # the position where this lap ends
    written = 0

    def append(data: bytes, time_ns: int) -> None:
        nonlocal head, written
        size = len(data)
        while True:
            start = head
            end = start + size + 32
            if end > lap:
                append_slowly(data, time_ns)
                return
            frame = data + pack(start, time_ns, written, end)
            # Someone else may have appended during that call. None can from here to the end.
            if head == start:
                break
        head = end
        written += size
        words[5] = end
        mapping[start - base : end - base] = frame

    def append_slowly(data: bytes, time_ns: int, flag: int = 0) -> None:
        nonlocal head, base, lap, written
        if len(data) > longest:
            data = _end(data, longest)
            flag += layout.CUT
        size = len(data)
        counted = 0 if flag >= layout.TRACEBACK else size
        while True:
            start = head
            end = start + size + 32
            frame = data + pack(start, time_ns, written + flag, end)
            if head == start:
                break
        head = end
        written += counted
        words[5] = end
        if end > lap:
            base += capacity
            lap += capacity
        write(start, frame)

    return append, append_slowly


def _locking_appender(mapping: "Any", words: "Any", capacity: int) -> "tuple[Any, Any]":
    """`Ring.append` with a lock that its owner may take again: space is reserved, then written."""
    pack = load("_struct").Struct(FRAME).pack
    write = _writer(mapping, capacity)
    longest = capacity - FRAME_BYTES
    head = capacity
    written = 0
    lock = _thread.RLock()

    def append(data: bytes, time_ns: int, flag: int = 0) -> None:
        nonlocal head, written
        if len(data) > longest:
            data = _end(data, longest)
            flag += layout.CUT
        size = len(data) + FRAME_BYTES
        with lock:
            start = head
            head = end = start + size
            before = written
            if flag < layout.TRACEBACK:
                written = before + size - FRAME_BYTES
            words[RING_HEAD] = end
            write(start, data + pack(start, time_ns, before + flag, end))

    return append, append


def _writer(mapping: "Any", capacity: int) -> "Any":
    limit = HEADER + capacity

    def write(position: int, frame: bytes) -> None:
        first = HEADER + position % capacity
        after = first + len(frame)
        if after <= limit:
            mapping[first:after] = frame
        else:
            mapping[first:limit] = frame[: limit - first]
            mapping[HEADER : after - capacity] = frame[limit - first :]

    return write


def open_ring(directory: str, capacity: int, pid: int) -> Ring:
    """Open a new ring, in a file of its own.

    Raises:
        OSError, ValueError: it can't be opened, or there is no room for it.
    """
    capacity = max(_LEAST, capacity // 8 * 8)
    now = time.monotonic_ns()
    wall = time.time_ns()
    path = f"{directory}/{pid}-{now}{layout.SUFFIX}"
    fd = posix.open(path, _FLAGS, 0o600)
    try:
        allocate(fd, HEADER + capacity)
        mapping = map_file(fd, HEADER + capacity)
    except BaseException:
        posix.unlink(path)
        raise
    finally:
        posix.close(fd)
    words = memoryview(mapping).cast("Q")
    words[layout.RING_PID] = pid
    words[layout.RING_STARTED] = now
    words[layout.RING_WALL_OFFSET] = wall - now
    words[layout.RING_CAPACITY] = capacity
    words[RING_HEAD] = capacity
    words[layout.RING_MAGIC] = layout.MAGIC
    return Ring(mapping, capacity)


def _end(data: bytes, size: int) -> bytes:
    """The last bytes of a UTF-8 text, from the beginning of a character on."""
    start = len(data) - size
    while start < len(data) and data[start] & 0xC0 == 0x80:
        start += 1
    return data[start:]
