"""Opens files outside of the process only if they are ours, and of the expected kind.

A run directory's path comes from the environment, and anyone can read its name. Others may be able
to write to a state directory. So nothing in them is opened by a path alone: first the directory is
opened, then what is in it, relative to its descriptor, without following links or waiting.
"""

import posix

__all__ = [
    "DIRECTORY",
    "FIFO",
    "FILE",
    "TrustedDirectory",
    "open_trusted",
    "read_trusted",
    "require_trusted",
]

DIRECTORY = 0o040000
FIFO = 0o010000
FILE = 0o100000

_KINDS = {DIRECTORY: "directory", FIFO: "named pipe", FILE: "regular file"}
_TYPE = 0o170000
_PERMISSIONS = 0o777  # a set-group bit may be inherited
_FLAGS = (
    posix.O_NOFOLLOW | posix.O_NONBLOCK | posix.O_CLOEXEC | getattr(posix, "O_NOCTTY", 0)
)  # a FIFO opened for reading would wait for a writer
_ROOT = 0  # who may have started the watcher; root could read and change all anyway
_NOT_PERMITTED = 1
_TOO_LARGE = 27


def open_trusted(
    path: "str | bytes",
    kind: int,
    flags: int = posix.O_RDONLY,
    *,
    directory: "int | None" = None,
    limit: "int | None" = None,
) -> int:
    """Open something that must be ours; returns its descriptor.

    Ours means that it belongs to the effective user or to root. Others must not be able to enter a
    directory.

    Args:
        path: where it is.
        kind: `DIRECTORY`, `FIFO` or `FILE`.
        flags: for `open`, beside those that keep it from following a link or waiting.
        directory: the descriptor of a directory that the path is in.
        limit: the bytes that a file may have at most.

    Raises:
        OSError: it can't be opened, or isn't ours.
    """
    flags |= _FLAGS | (posix.O_DIRECTORY if kind == DIRECTORY else 0)
    descriptor = posix.open(path, flags, 0o600, dir_fd=directory)
    try:
        found = posix.fstat(descriptor)
        _check(found, kind, path)
        if limit is not None and found.st_size > limit:
            raise OSError(_TOO_LARGE, "it is too large", path)
    except BaseException:
        posix.close(descriptor)
        raise
    return descriptor


def read_trusted(path: "str | bytes", limit: int, *, directory: "int | None" = None) -> bytes:
    """Read a whole file that must be ours.

    Raises:
        OSError: it can't be read, is too large, or isn't ours.
    """
    descriptor = open_trusted(path, FILE, directory=directory, limit=limit)
    try:
        parts = []
        while limit > 0:
            part = posix.read(descriptor, limit)
            if not part:
                break
            parts.append(part)
            limit -= len(part)
        return b"".join(parts)
    finally:
        posix.close(descriptor)


def require_trusted(path: "str | bytes") -> None:
    """Check a directory that must be ours, without a descriptor: there may be none left.

    Raises:
        OSError: it isn't there, or isn't ours.
    """
    _check(posix.lstat(path), DIRECTORY, path)


def _check(found: "posix.stat_result", kind: int, path: "str | bytes") -> None:
    if found.st_mode & _TYPE != kind:
        raise OSError(_NOT_PERMITTED, f"it isn't a {_KINDS[kind]}", path)
    if found.st_uid not in (posix.geteuid(), _ROOT):
        raise OSError(_NOT_PERMITTED, "it belongs to another user", path)
    if kind == DIRECTORY and found.st_mode & _PERMISSIONS != 0o700:
        raise OSError(_NOT_PERMITTED, "it is open to other users", path)


class TrustedDirectory:
    """A directory that must be ours, as long as a `with` statement lasts: its descriptor.

    A descriptor that a watched program kept for longer could become one of the program's own.

    Raises:
        OSError: it can't be opened, or isn't ours.
    """

    def __init__(self, path: "str | bytes") -> None:
        self._path = path
        self._descriptor = -1

    def __enter__(self) -> int:
        self._descriptor = open_trusted(self._path, DIRECTORY)
        return self._descriptor

    def __exit__(self, *exception: object) -> None:
        posix.close(self._descriptor)
