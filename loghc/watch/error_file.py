"""What a program adds to standard error when that is a file, as in ``>> sync.log 2>&1``."""

from __future__ import annotations

import contextlib
import os
import stat

__all__ = ["ErrorFile"]

_LIMIT_BYTES = 4096


class ErrorFile:
    """Remembers the length of standard error when this is created, if it is a regular file."""

    def __init__(self) -> None:
        self._begin: int | None = None
        with contextlib.suppress(OSError):
            status = os.fstat(2)
            if stat.S_ISREG(status.st_mode):
                self._begin = status.st_size

    def added(self) -> bytes:
        """The last 4096 bytes at most of what was added since then; empty if it can't be read."""
        if self._begin is None:
            return b""
        with contextlib.suppress(OSError):
            # Descriptor 2 was opened for writing; this path opens the file for reading.
            descriptor = os.open("/proc/self/fd/2", os.O_RDONLY | os.O_CLOEXEC)
            try:
                size = os.fstat(descriptor).st_size
                begin = self._begin if size >= self._begin else 0  # it was emptied meanwhile
                begin = max(begin, size - _LIMIT_BYTES)
                return os.pread(descriptor, size - begin, begin)
            finally:
                os.close(descriptor)
        return b""
