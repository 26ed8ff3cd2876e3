"""A file that holds the end of this process's log, and outlives the process.

It is mapped into memory, and no descriptor stays open.
"""

import _thread
import posix
import sys
import time

from . import layout
from .stdlib import load
from .trusted import FILE, TrustedDirectory, open_trusted
from .writer import writer

TYPE_CHECKING = False  # importing typing here would keep the program from shadowing it
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Ring", "open_ring", "require_harmless_limit"]

_LEAST = 1024  # bytes
_LARGEST = 2**64 - 1  # that a word of the header holds
_DESCRIPTORS = "/proc/self/fd"


class Ring:
    """Takes records in; the oldest are overwritten.

    Attributes:
        append: adds a record: its data and its time. Only the end of a record that is longer than
            half the ring is kept.
        append_marker: adds a marker's record and what is to be said of it; its number, from 1 on.
        started_ns: when the ring was opened.
        emitter: makes the function that records are given to, as `writer` says.
    """

    def __init__(self, mapping: "Any", capacity: int) -> None:
        self._mapping = mapping
        self._words = memoryview(mapping).cast("Q")
        self._lock = _thread.RLock()
        self.started_ns = int(self._words[layout.RING_STARTED])
        self.append, self.append_marker, self.emitter = writer(mapping, self._words, capacity)

    def append_traceback(self, data: bytes, time_ns: int) -> None:
        """Add an uncaught exception's traceback."""
        self.append(data, time_ns, layout.TRACEBACK)

    def count_failure(self) -> None:
        """Count a failure marker. It takes no lock: that may be the parent's."""
        self._words[layout.RING_FAILURES] += 1

    def raise_level(self, number: int) -> None:
        """Say that a record of a level was logged; the highest counts."""
        if number >= self._words[layout.RING_LEVEL]:
            self._words[layout.RING_LEVEL] = min(int(number) + 1, _LARGEST)

    def count_orphan(self) -> None:
        """Count a forked child that got no ring. It takes no lock either."""
        self._words[layout.RING_ORPHANS] += 1

    def count(self, word: int) -> None:
        """Count one more of something, such as lost records (`layout.RING_LOST`)."""
        try:  # not `with`: as in the writer
            self._lock.acquire()
            self._words[word] += 1
        finally:
            self._lock.release()


def open_ring(path: str, capacity: int, pid: int, suffix: str = layout.SUFFIX) -> Ring:
    """Open a new ring, in a file of its own.

    Args:
        path: the run directory's.
        capacity: bytes of its data area.
        pid: this process.
        suffix: of the file's name.

    Raises:
        OSError, ValueError: it can't be opened, or there is no room for it.
    """
    capacity = min(max(_LEAST, capacity // 8 * 8), layout.MAX_CAPACITY_BYTES)
    now = time.monotonic_ns()
    wall = time.time_ns()
    with TrustedDirectory(path) as directory:
        mapping = _create(f"{pid}-{now}{suffix}", directory, layout.HEADER + capacity)
    words = memoryview(mapping).cast("Q")
    words[layout.RING_PID] = pid
    words[layout.RING_STARTED] = now
    words[layout.RING_WALL_OFFSET] = (wall - now) & _LARGEST
    words[layout.RING_CAPACITY] = capacity
    words[layout.RING_HEAD] = capacity
    words[layout.RING_MAGIC] = layout.MAGIC
    return Ring(mapping, capacity)


def _create(name: str, directory: int, size: int) -> "Any":
    flags = posix.O_RDWR | posix.O_CREAT | posix.O_EXCL
    fd = open_trusted(name, FILE, flags, directory=directory)
    try:
        _allocate(fd, size)
        return _map_file(fd, size)
    except BaseException:
        posix.unlink(name, dir_fd=directory)
        raise
    finally:
        posix.close(fd)


def _allocate(fd: int, size: int) -> None:
    """Allocate a file's space.

    A write into a mapped page for which the file system has no room raises SIGBUS, which kills.

    Raises:
        OSError: there is no room, or the file system only pretends that there is.
    """
    require_harmless_limit()
    posix.posix_fallocate(fd, 0, size)
    if posix.fstat(fd).st_blocks * 512 < size:
        raise OSError(95, "the file system allocates nothing")


def require_harmless_limit() -> None:
    """Refuse to write a file where that could end the process: a limit on its size has a signal.

    Python ignores that signal, unless the program wants it otherwise.

    Raises:
        OSError: it would kill.
    """
    signals = load("_signal")
    number = getattr(signals, "SIGXFSZ", None)
    if number is not None and signals.getsignal(number) == signals.SIG_DFL:
        raise OSError(27, "a file size limit would kill")


def _map_file(fd: int, size: int) -> "Any":
    """Map a file, shared, for reading and writing, for as long as the process lives.

    Before Python 3.13, a mmap object keeps a duplicate of the descriptor. The program may close
    that number with all others and get it again for a file of its own. So it is closed here, at
    once, and the object is never deallocated: it would close the number once more.

    Raises:
        OSError, ValueError: the file can't be mapped.
    """
    mmap = load("mmap").mmap
    if sys.version_info >= (3, 13):
        mapping = mmap(fd, size, trackfd=False)
    else:
        # The duplicate will be the least number that is free now.
        spare = posix.dup(fd)
        posix.close(spare)
        mapping = mmap(fd, size)
        _close_duplicate(fd, spare)
    _keep(mapping)
    return mapping


def _close_duplicate(fd: int, spare: int) -> None:
    own = _identity(fd)
    if _identity(spare) == own:
        posix.close(spare)
        return
    # Another thread opened a file in between. Where /proc is missing, the duplicate stays open.
    for name in posix.listdir(_DESCRIPTORS):
        number = int(name)
        if number != fd and _identity(number) == own:
            posix.close(number)
            return


def _identity(fd: int) -> "tuple[int, int] | None":
    try:
        found = posix.fstat(fd)
    except OSError:
        return None
    return found.st_dev, found.st_ino


_kept = []  # type: list[object]


def _keep(value: object) -> None:
    """Keep an object alive until the process has gone, even while the interpreter tears down.

    A datetime holds its tzinfo, but CPython's garbage collector doesn't look into a datetime: a
    cycle through one is never found. Other Pythons tear nothing down.
    """
    _kept.append(value)
    try:
        datetime = load("_datetime")
    except ImportError:
        return

    class Keeper(datetime.tzinfo):  # type: ignore[misc, name-defined]
        pass

    keeper = Keeper()
    keeper.value = value
    keeper.cycle = datetime.datetime(1, 1, 1, tzinfo=keeper)
