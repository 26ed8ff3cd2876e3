"""One deadline for the whole of an attempt; whoever waits for the network asks it for how long."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

__all__ = ["Deadline", "current_deadline", "is_working", "limited", "working_to"]


class Deadline:
    """The end of one attempt, for the thread that makes it; another thread may bring it forward.

    Args:
        seconds: from now.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._seconds = seconds
        self._lock = threading.RLock()  # a signal handler may cancel
        self._cancelled = False
        self._socket: socket.socket | None = None

    def left(self) -> float:
        """Seconds that are left.

        Raises:
            TimeoutError: none are, or the attempt was cancelled.
        """
        left = self._end - time.monotonic()
        if self._cancelled:
            raise TimeoutError("cancelled")
        if left <= 0:
            raise TimeoutError(f"timed out after {self._seconds:.1f} s")
        return left

    def watch(self, sock: socket.socket) -> None:
        """Remember the socket in use, so that ``cancel`` can cut it off."""
        with self._lock:
            self._socket = getattr(sock, "socket", sock)  # TLS within TLS wraps the real one
        self.left()

    def cancel(self) -> None:
        """End the attempt now, from any thread. Nothing is sent after this returns."""
        with self._lock:
            self._cancelled = True
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    # Not SSLSocket's own shutdown: that drops its encryption first, so that what
                    # the other thread is about to send would leave as plain text.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class _Current(threading.local):
    deadline: Deadline | None = None


_current = _Current()


@contextlib.contextmanager
def working_to(deadline: Deadline) -> Iterator[None]:
    """Within this block, the calling thread's connections keep to the deadline."""
    _current.deadline = deadline
    try:
        yield
    finally:
        _current.deadline = None


def current_deadline() -> Deadline:
    """The deadline that the calling thread works to.

    Raises:
        RuntimeError: it works to none.
    """
    if _current.deadline is None:
        raise RuntimeError("used outside of an attempt")
    return _current.deadline


@contextlib.contextmanager
def limited(sock: socket.socket) -> Iterator[None]:
    """Within this block, one operation of a socket ends with the calling thread's deadline."""
    deadline = current_deadline()
    sock.settimeout(deadline.left())
    try:
        yield
    except TimeoutError:
        deadline.left()  # says for how long
        raise


def is_working() -> bool:
    """Whether the calling thread is making an attempt."""
    return _current.deadline is not None
