"""The run directory: where the program's processes leave their records, and find the watcher."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable

from loghc.entry.directory import Directory, make_directory
from loghc.portable.config import FILE_NAME
from loghc.portable.trusted import FIFO, open_trusted

__all__ = ["PREFIX", "RunDirectory", "memory_directory"]

_IN_MEMORY = "/dev/shm"  # noqa: S108 - the directory made in it is the user's alone
_ROOM_BYTES = 32 * 2**20  # that have to be free there; containers have 64 MB by default
PREFIX = "loghc-run-"
_CHANNEL_READ_BYTES = 65_536  # at a time
_CHANNEL_BYTES = 1 << 20  # as much as the system allows everybody, where it allows it


class RunDirectory(Directory):
    """A directory of this run's own, which only this user can enter. It is locked.

    Attributes:
        channel: a descriptor to read messages from.
    """

    def __init__(self, parent: str | None = None) -> None:
        """Make it, in memory unless a parent is given.

        Raises:
            OSError: there is no room for one.
        """
        super().__init__(make_directory(parent or memory_directory(), PREFIX))
        self.lock(create=True)
        os.mkfifo("channel", 0o600, dir_fd=self.descriptor)
        # For writing, too: the last writer's end is no end of file then.
        self.channel = open_trusted("channel", FIFO, os.O_RDWR, directory=self.descriptor)
        with contextlib.suppress(OSError, AttributeError):
            fcntl.fcntl(self.channel, fcntl.F_SETPIPE_SZ, _CHANNEL_BYTES)

    def configure(self, fields: Iterable[tuple[str, str]]) -> None:
        """Write what the recorder needs to know."""
        self.write_fields(FILE_NAME, fields)

    def read_channel(self) -> bytes:
        """Some of what came through the channel since; without waiting for more."""
        with contextlib.suppress(BlockingIOError):
            return os.read(self.channel, _CHANNEL_READ_BYTES)
        return b""

    @property
    def told_failure(self) -> bool:
        """Whether a failure was left that found no room in the channel."""
        return self.has("failed")

    def close(self) -> None:
        """Leave it, and its lock, to others."""
        super().close()
        os.close(self.channel)


def memory_directory() -> str:
    """A directory in memory where there is one with room, else the one for temporary files."""
    try:
        room = os.statvfs(_IN_MEMORY)
        free = room.f_bavail * room.f_frsize
        if os.access(_IN_MEMORY, os.W_OK | os.X_OK) and free >= _ROOM_BYTES:
            return _IN_MEMORY
    except OSError:
        pass
    for name in ("TMPDIR", "TEMP", "TMP"):  # as the tempfile module looks for it
        path = os.environ.get(name)
        if path and os.access(path, os.W_OK | os.X_OK):
            return os.path.abspath(path)
    return "/tmp"  # noqa: S108
