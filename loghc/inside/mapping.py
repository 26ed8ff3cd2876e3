"""A file mapped into memory without any descriptor that stays open."""

import posix
import sys

from .stdlib import load

TYPE_CHECKING = False  # importing typing here would keep the program from shadowing it
if TYPE_CHECKING:
    from typing import Any

__all__ = ["allocate", "map_file"]

_DESCRIPTORS = "/proc/self/fd"


def allocate(fd: int, size: int) -> None:
    """Take real space for a file.

    A write into a mapped page for which the file system has no room is a SIGBUS, which kills.

    Raises:
        OSError: there is no room, or the file system only pretends that there is.
    """
    signals = load("_signal")
    number = getattr(signals, "SIGXFSZ", None)
    if number is not None and signals.getsignal(number) == signals.SIG_DFL:
        raise OSError(27, "a file size limit would kill")  # Python ignores it unless told otherwise
    posix.posix_fallocate(fd, 0, size)
    if posix.fstat(fd).st_blocks * 512 < size:
        raise OSError(95, "the file system allocates nothing")


def map_file(fd: int, size: int) -> "Any":
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


def _keep(value: object) -> None:
    """Keep an object alive until the process has gone, even while the interpreter tears down.

    A datetime holds its tzinfo, but the garbage collector doesn't look into a datetime: a cycle
    through one is never found.
    """
    datetime = load("_datetime")

    class Keeper(datetime.tzinfo):  # type: ignore[misc, name-defined]
        pass

    keeper = Keeper()
    keeper.value = value
    keeper.cycle = datetime.datetime(1, 1, 1, tzinfo=keeper)
