"""The run directory: where the program's processes leave their records, and find the watcher."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable

from loghc.entry.directory import Directory, make_directory
from loghc.entry.memory import RUN_PREFIX, memory_directory
from loghc.portable.config import FILE_NAME
from loghc.portable.layout import SUFFIX
from loghc.portable.trusted import FIFO, open_trusted

__all__ = ["RunDirectory"]

_MAX_HELD = 64  # rings that are held open, as descriptors are scarce
_CHANNEL_READ_BYTES = 65_536  # at a time
_CHANNEL_BYTES = 1 << 20  # the most that Linux lets every user set by default


class RunDirectory(Directory):
    """A locked directory for this run alone, which only this user can enter.

    It may be deleted while the program runs: logind clears a user's files in `/dev/shm` at the last
    logout. Processes go on writing to their rings, which are therefore held open here.

    Attributes:
        channel: a descriptor to read messages from.
    """

    def __init__(self, parent: str | None = None) -> None:
        """Create the directory, in memory unless a parent is given.

        Raises:
            OSError: there is no room for one.
        """
        super().__init__(make_directory(parent or memory_directory(), RUN_PREFIX))
        self._held: dict[str, int] = {}  # rings, and their descriptors
        self._known: set[str] = set()  # rings that were there when last listed
        self._told_failure = False
        self._fields: list[tuple[str, str]] = []
        self.channel = self._make_channel()

    def _make_channel(self) -> int:
        self.lock(create=True)
        os.mkfifo("channel", 0o600, dir_fd=self.descriptor)
        # Opened for writing, too, so that there is no end of file when the last writer leaves.
        channel = open_trusted("channel", FIFO, os.O_RDWR, directory=self.descriptor)
        with contextlib.suppress(OSError, AttributeError):
            fcntl.fcntl(channel, fcntl.F_SETPIPE_SZ, _CHANNEL_BYTES)
        return channel

    def configure(self, fields: Iterable[tuple[str, str]]) -> None:
        """Write what the recorder needs to know."""
        self._fields = list(fields)
        self.write_fields(FILE_NAME, self._fields)

    def hold_rings(self, newest: str) -> bool:
        """Hold new rings open; returns whether the newest one was found."""
        names = self.names()
        for name in names:
            if name.endswith(SUFFIX) and name not in self._held and len(self._held) < _MAX_HELD:
                with contextlib.suppress(OSError):
                    self._held[name] = super().open(name)
        return newest in names

    @property
    def deleted(self) -> bool:
        """Whether it, or anything that processes look for in it, was deleted."""
        return self.gone or not self.has("channel")

    def make_anew(self) -> bool:
        """Recreate it where it was deleted; returns whether all rings are still held.

        Raises:
            OSError: it can't be made.
        """
        self._told_failure = self.told_failure  # the path may be gone, but not the directory
        lost = [name for name in self._known if name not in self._held]
        with contextlib.suppress(FileExistsError):  # it may only have been emptied
            os.mkdir(self.path, 0o700)
        made = Directory(self.path)
        os.dup2(made.descriptor, self.descriptor, inheritable=False)
        made.close()
        channel = self._make_channel()
        os.dup2(channel, self.channel, inheritable=False)  # the watcher waits on this one
        os.close(channel)
        self.configure(self._fields)
        return not lost

    def names(self) -> list[str]:
        """The names in it, and the rings that were in it and are held."""
        names = super().names()
        self._known.update(name for name in names if name.endswith(SUFFIX))
        self._told_failure = self._told_failure or "failed" in names
        return list(dict.fromkeys([*names, *self._held]))

    def open(self, name: str, limit: int | None = None) -> int:
        """Open a file of ours for reading, or a held ring; its descriptor.

        Raises:
            OSError: there is none, or it has more bytes than the limit.
        """
        if name in self._held:
            return os.dup(self._held[name])
        return super().open(name, limit)

    def delete(self, name: str) -> None:
        """Delete a file, if there is one and it can be deleted."""
        self._known.discard(name)
        if name in self._held:
            os.close(self._held.pop(name))
        super().delete(name)

    def read_channel(self) -> bytes:
        """Read what came through the channel, or some of it, without waiting for more."""
        with contextlib.suppress(BlockingIOError):
            return os.read(self.channel, _CHANNEL_READ_BYTES)
        return b""

    @property
    def told_failure(self) -> bool:
        """Whether a process left word of a failure for which the channel had no room."""
        return self._told_failure or self.has("failed")

    def close(self) -> None:
        """Close it, and release its lock."""
        super().close()
        for descriptor in (self.channel, *self._held.values()):
            os.close(descriptor)
        self._held.clear()
