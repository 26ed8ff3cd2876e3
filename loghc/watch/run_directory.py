"""The run directory: where the program's processes leave their records, and find the watcher."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable

from loghc.inside.config import escaped

__all__ = ["RunDirectory", "lock", "read_fields", "remove", "write_fields"]

_IN_MEMORY = "/dev/shm"  # noqa: S108 - the directory made in it is the user's alone
_ROOM = 32 * 2**20  # bytes that have to be free there; containers have 64 MB by default
PREFIX = "loghc-run-"
_CHANNEL_READ = 65_536  # bytes at a time: as many as a pipe holds


class RunDirectory:
    """A directory of this run's own, which only this user can enter.

    Attributes:
        path: where it is.
        lock: the descriptor that holds its lock.
        channel: a descriptor to read messages from.
    """

    def __init__(self, parent: str | None = None) -> None:
        """Make it, in memory unless a parent is given.

        Raises:
            OSError: there is no room for one.
        """
        self.path = make_directory(parent or memory_directory(), PREFIX)
        self.lock = lock(self.path, create=True)
        channel = os.path.join(self.path, "channel")
        os.mkfifo(channel, 0o600)
        # For writing, too: the last writer's end is no end of file then.
        self.channel = os.open(channel, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def configure(self, fields: Iterable[tuple[str, str]]) -> None:
        """Write what the recorder needs to know."""
        write_fields(os.path.join(self.path, "config"), fields)

    def read_channel(self) -> bytes:
        """Some of what came through the channel since; without waiting for more."""
        with contextlib.suppress(BlockingIOError):
            return os.read(self.channel, _CHANNEL_READ)
        return b""

    @property
    def told_failure(self) -> bool:
        """Whether a failure was left that found no room in the channel."""
        return os.path.exists(os.path.join(self.path, "failed"))

    def remove(self) -> None:
        """Delete it with all that is in it."""
        remove(self.path)


def memory_directory() -> str:
    """A directory in memory where there is one with room, else the one for temporary files."""
    try:
        room = os.statvfs(_IN_MEMORY)
        if os.access(_IN_MEMORY, os.W_OK | os.X_OK) and room.f_bavail * room.f_frsize >= _ROOM:
            return _IN_MEMORY
    except OSError:
        pass
    for name in ("TMPDIR", "TEMP", "TMP"):  # as the tempfile module looks for it
        path = os.environ.get(name)
        if path and os.access(path, os.W_OK | os.X_OK):
            return os.path.abspath(path)
    return "/tmp"  # noqa: S108


def make_directory(parent: str, prefix: str) -> str:
    """A new directory with a random name, for this user alone."""
    path = os.path.join(parent, prefix + os.urandom(8).hex())
    os.mkdir(path, 0o700)
    return path


def lock(directory: str, *, create: bool = False) -> int | None:
    """Lock a run directory; the descriptor that holds the lock, None if somebody else has it.

    Raises:
        OSError: there is no such directory, or nothing to lock in it.
    """
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if create else 0)
    descriptor = os.open(os.path.join(directory, "lock"), flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def remove(directory: str) -> None:
    """Delete a run directory. What can't be deleted stays."""
    with contextlib.suppress(OSError):
        for entry in os.scandir(directory):
            with contextlib.suppress(OSError):
                os.unlink(entry.path)
        os.rmdir(directory)


def write_fields(path: str, fields: Iterable[tuple[str, str]], *, sync: bool = False) -> None:
    """Write a file of ``key=value`` lines, at once: nobody sees half of it."""
    lines = "".join(f"{key}={escaped(value)}\n" for key, value in fields)
    with open(os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(lines.encode("utf-8", "surrogateescape"))  # a path may be any bytes
        if sync:
            file.flush()
            os.fsync(file.fileno())
    os.rename(path + ".new", path)


def read_fields(path: str) -> dict[str, str]:
    """What ``write_fields`` wrote; of keys that are repeated, the last.

    Raises:
        OSError: it can't be read.
    """
    with open(path, "rb") as file:
        return dict(parse_fields(file.read()))


def parse_fields(data: bytes) -> list[tuple[str, str]]:
    """The pairs in lines of ``key=value``; a line without ``=`` has an empty value."""
    pairs = []
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        key, _, value = line.partition("=")
        if key:
            pairs.append((key, _unescaped(value)))
    return pairs


def _unescaped(value: str) -> str:
    parts = value.split("\\\\")
    return "\\".join(part.replace("\\n", "\n").replace("\\r", "\r") for part in parts)
