"""The end of one attempt: every wait for the network asks how long it may take."""

from __future__ import annotations

import contextlib
import math
import socket
from collections.abc import Callable, Iterator

from loghc import native
from loghc.clock import monotonic

__all__ = ["Deadline"]

_LONGEST = 86_400.0  # seconds: a day; the system's own waits can't be much longer


class Deadline:
    """One end for the whole of an attempt, which another thread may bring forward.

    A socket's own timeout counts for each operation: a server that sends a byte now and then would
    keep a request going for ever. Connections are given a Deadline when they are made, and ask it
    before each operation.
    """

    def __init__(self) -> None:
        self._lock = native.RLock()  # a signal handler may cancel
        self._begun = math.inf
        self._seconds = 0.0
        self._end = -math.inf
        self._cancelled = False
        self._cut: Callable[[], object] | None = None

    def begin(self, seconds: float) -> None:
        """Start the time of an attempt.

        Raises:
            TimeoutError: cancelled.
        """
        with self._lock:
            self._begun = monotonic()
            self._seconds = min(seconds, _LONGEST)
            self._end = self._begun + self._seconds
        self.left()

    def left(self) -> float:
        """Seconds that are left.

        Raises:
            TimeoutError: none are, or the deadline was cancelled.
        """
        left = self._end - monotonic()
        if self._cancelled:
            raise TimeoutError("cancelled")
        if left <= 0:
            raise TimeoutError(f"timed out after {self._seconds:.1f} s")
        return left

    @contextlib.contextmanager
    def bounds(self, sock: socket.socket) -> Iterator[None]:
        """Within this block, one operation of a socket ends with the deadline."""
        sock.settimeout(self.left())
        try:
            yield
        except TimeoutError:
            self.left()  # says for how long
            raise

    def cut_by(self, cut: Callable[[], object] | None) -> None:
        """Remember what ends the wait that is about to begin; None: there is none.

        Raises:
            TimeoutError: the deadline passed, or was cancelled.
        """
        with self._lock:
            self._cut = cut
        if cut is not None:
            self.left()

    def cancel(self) -> None:
        """End the attempt in progress and every later one. Nothing is sent after this returns."""
        with self._lock:
            self._cancelled = True
            self._cut_now()

    def cut_if_older_than(self, moment: float) -> None:
        """End the attempt in progress if it began before a moment of the monotonic clock."""
        with self._lock:
            if self._begun < moment and self._cut is not None:
                self._seconds = monotonic() - self._begun
                self._end = -math.inf
                self._cut_now()

    def _cut_now(self) -> None:
        if self._cut is not None:
            self._cut()
