"""What a program adds to standard error when that is a file, as in ``>> sync.log 2>&1``."""

from __future__ import annotations

import contextlib
import os
import stat

__all__ = ["ErrorFile"]

_LIMIT_BYTES = 4096


class ErrorFile:
    """Remembers how long standard error is when this is made, if it is a regular file."""

    def __init__(self) -> None:
        self._begin: int | None = None
        with contextlib.suppress(OSError):
            status = os.fstat(2)
            if stat.S_ISREG(status.st_mode):
                self._begin = status.st_size

    def added(self) -> bytes:
        """The last 4 kB added since then; empty if they can't be read."""
        if self._begin is None:
            return b""
        with contextlib.suppress(OSError):
            # It was opened for writing; by this path it can be read.
            descriptor = os.open("/proc/self/fd/2", os.O_RDONLY | os.O_CLOEXEC)
            try:
                size = os.fstat(descriptor).st_size
                begin = self._begin if size >= self._begin else 0  # it was emptied meanwhile
                begin = max(begin, size - _LIMIT_BYTES)
                return os.pread(descriptor, size - begin, begin)
            finally:
                os.close(descriptor)
        return b""
