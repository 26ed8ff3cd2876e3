"""A directory of ours outside of the process: made, opened once, locked, deleted."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable

from loghc.portable.fields import format_fields, parse_fields
from loghc.portable.layout import LOCK
from loghc.portable.ring import require_harmless_limit
from loghc.portable.trusted import DIRECTORY, FILE, open_trusted, read_trusted

__all__ = ["STATE", "Directory", "HeldLock", "make_directory", "state_directory"]

STATE = "loghc"  # our own directory in the given one, which others may be able to write
_FIELDS_LIMIT_BYTES = 1 << 20


class Directory:
    """A directory that belongs to this user, and that nobody else can enter.

    It is held open, and what is in it is opened relative to its descriptor. So a directory that
    takes its place later isn't mistaken for it.

    Args:
        path: where it is.
        parent: the descriptor of the directory that it is in, if that is open already.

    Attributes:
        path: where it is.
        descriptor: of the directory.

    Raises:
        OSError: it can't be opened, or isn't ours.
    """

    def __init__(self, path: str, parent: int | None = None) -> None:
        self.path = path
        self._locked: int | None = None
        name = path if parent is None else os.path.basename(path)
        self.descriptor = open_trusted(name, DIRECTORY, directory=parent)

    def names(self) -> list[str]:
        """What is in it; nothing if it can't be read."""
        try:
            return os.listdir(self.descriptor)
        except OSError:
            return []

    def has(self, name: str) -> bool:
        """Whether something of this name is in it."""
        try:
            os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except OSError:
            return False
        return True

    def size(self) -> int:
        """Bytes of all the files in it."""
        total = 0
        for name in self.names():
            with contextlib.suppress(OSError):
                found = os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
                total += found.st_size
        return total

    def open(self, name: str, limit: int | None = None) -> int:
        """Open a file of ours for reading; returns its descriptor.

        Raises:
            OSError: there is none, or it has more bytes than the limit.
        """
        return open_trusted(name, FILE, directory=self.descriptor, limit=limit)

    def read(self, name: str, limit: int) -> bytes:
        """Read a whole file of ours.

        Raises:
            OSError: there is none, or it has more bytes than the limit.
        """
        return read_trusted(name, limit, directory=self.descriptor)

    def write(self, name: str, data: bytes, *, sync: bool = False) -> None:
        """Write a file atomically. With ``sync``, wait until it is on the disk."""
        require_harmless_limit()
        new = f"{name}.new"
        self.delete(new)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        descriptor = open_trusted(new, FILE, flags, directory=self.descriptor)
        with open(descriptor, "wb") as file:
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.rename(new, name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
        if sync:
            self.sync()

    def read_fields(self, name: str) -> dict[str, str]:
        """What ``write_fields`` wrote. Of a repeated key, the last value counts.

        Raises:
            OSError: it can't be read.
        """
        return dict(self.read_pairs(name))

    def read_pairs(self, name: str) -> list[tuple[str, str]]:
        """What ``write_fields`` wrote, in order, with all values of repeated keys.

        Raises:
            OSError: it can't be read.
        """
        return parse_fields(self.read(name, _FIELDS_LIMIT_BYTES))

    def write_fields(
        self, name: str, fields: Iterable[tuple[str, str]], *, sync: bool = False
    ) -> None:
        """Write a file of ``key=value`` lines, as ``write`` does."""
        self.write(name, format_fields(fields), sync=sync)

    def delete(self, name: str) -> None:
        """Delete a file, if it exists and can be deleted."""
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=self.descriptor)

    def sync(self) -> None:
        """Sync the list of its files to the disk."""
        with contextlib.suppress(OSError):
            os.fsync(self.descriptor)

    def sync_file(self, name: str) -> None:
        """Sync the contents of a file to the disk."""
        with contextlib.suppress(OSError):
            descriptor = self.open(name)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def lock(self, *, create: bool = False) -> bool:
        """Lock it until it is closed; False if another process has locked it.

        Args:
            create: create the file to lock if there is none.

        Raises:
            OSError: there is nothing to lock in it.
        """
        flags = os.O_RDWR | (os.O_CREAT if create else 0)
        descriptor = open_trusted(LOCK, FILE, flags, directory=self.descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except BaseException:
            os.close(descriptor)
            raise
        if self._locked is not None:  # of a directory that was deleted and recreated
            os.close(self._locked)
        self._locked = descriptor
        return True

    def detach_lock(self) -> HeldLock | None:
        """Hand over the lock, so that ``close`` doesn't release it. None if there is none."""
        descriptor, self._locked = self._locked, None
        return None if descriptor is None else HeldLock(descriptor)

    @property
    def identity(self) -> tuple[int, int]:
        """Its device and inode, which identify it, as another may take its place."""
        found = os.fstat(self.descriptor)
        return found.st_dev, found.st_ino

    @property
    def gone(self) -> bool:
        """Whether it was deleted, or something else is in its place."""
        try:
            found = os.lstat(self.path)
        except OSError:
            return True
        return (found.st_dev, found.st_ino) != self.identity

    def remove(self) -> None:
        """Delete it with the files in it. What can't be deleted stays."""
        for name in self.names():
            self.delete(name)
        if not self.gone:
            with contextlib.suppress(OSError):
                os.rmdir(self.path)

    def close(self) -> None:
        """Close it, and release its lock."""
        descriptors, self._locked = (self._locked, self.descriptor), None
        self.descriptor = -1
        for descriptor in descriptors:
            if descriptor is not None and descriptor >= 0:
                os.close(descriptor)


class HeldLock:
    """A lock on a directory, in a process whose program may close any descriptor, and reuse it.

    Args:
        descriptor: of the lock's file. The lock holds until it and its copies in forked children
            are closed.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._identity = _identity(descriptor)

    def release(self) -> None:
        """Close it, unless the descriptor is another file's by now. A child closes its copy."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0 and _identity(descriptor) == self._identity:
            os.close(descriptor)


def _identity(descriptor: int) -> tuple[int, int] | None:
    try:
        found = os.fstat(descriptor)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def make_directory(parent: str, prefix: str) -> str:
    """A new directory with a random name, for this user alone; its path."""
    path = os.path.join(parent, prefix + os.urandom(8).hex())
    os.mkdir(path, 0o700)
    return path


def state_directory(path: str) -> Directory:
    """Our own directory in a state directory, which may be anybody's. Both are created if missing.

    Raises:
        OSError: it can't be made, or what is there isn't ours.
    """
    own = os.path.join(os.path.abspath(path), STATE)
    with contextlib.suppress(FileNotFoundError):  # tried first: a sink's first marker waits
        return Directory(own)
    os.makedirs(path, mode=0o700, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.mkdir(own, 0o700)
    return Directory(own)
