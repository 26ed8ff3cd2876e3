"""How long something may take: one class, from the whole exit down to a socket's read."""

from __future__ import annotations

import contextlib
import math
import socket
import sys
from collections.abc import Callable, Iterator

from loghc import native
from loghc.clock import monotonic

__all__ = ["Deadline", "SendingTimeoutError"]

_MAX_S = 86_400.0  # a day; the system's waits can't be much longer
_MIN_TIMEOUT_S = 1e-6  # a timeout of 0 would mean non-blocking
_MIN_ATTEMPT_S = 0.5  # an attempt gets at least this, if that much is left


class SendingTimeoutError(TimeoutError):
    """Time ran out before everything that was sent had arrived."""


class Deadline:
    """A moment of the monotonic clock by which something ends. Another thread may change it.

    Deadlines nest: an attempt's lies within that of a stop, and both within that of a wait. An
    attempt gets only a share of the time left: a service that swallows one request may well answer
    the next, on a new connection. The share counts from the moment when both deadlines are known,
    so that a stop shortens an attempt in progress, however old it is.

    A socket's own timeout applies to each operation: a server that sends a byte now and then could
    keep a request going forever. Connections are given a Deadline when they are made, and check it
    before each operation.

    Args:
        seconds: from now; infinity: never.
        within: another deadline, which this one never exceeds.
        share: how much of the time left within the other deadline this one gets.
    """

    def __init__(
        self, seconds: float = math.inf, within: Deadline | None = None, share: float = 1.0
    ) -> None:
        self._lock = native.RLock()  # a signal handler may cancel
        self._within = within
        self._share = share
        self._set_at = monotonic()
        self._at = self._set_at + seconds
        self._cancelled = False
        self._cut: Callable[[], object] | None = None

    @property
    def at(self) -> float:
        """The moment of the monotonic clock."""
        if self._cancelled:
            return -math.inf
        if self._within is None:
            return self._at
        end = self._within.at
        if math.isfinite(end):
            both_known = max(self._set_at, self._within.set_at)
            left = end - both_known
            end = min(end, both_known + max(_MIN_ATTEMPT_S, self._share * left))
        return min(self._at, end)

    @property
    def set_at(self) -> float:
        """When it, or the deadline that it is within, was last set."""
        return self._set_at if self._within is None else max(self._set_at, self._within.set_at)

    @property
    def seconds(self) -> float:
        """Seconds until then; 0 or less once it has passed."""
        return self.at - monotonic()

    @property
    def over(self) -> bool:
        """Whether it has passed."""
        return self.seconds <= 0

    @property
    def known(self) -> bool:
        """Whether there is one: it isn't infinitely far away."""
        return self.at < math.inf

    @property
    def half_over(self) -> bool:
        """Whether more time has passed since it was set than is left."""
        return self.known and self.seconds <= (self.at - self.set_at) / 2

    @property
    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self._cancelled or (self._within is not None and self._within.cancelled)

    def begin(self, seconds: float) -> None:
        """Set it again, for an attempt that may take ``seconds``.

        Raises:
            TimeoutError: cancelled, or no time is left within the other.
        """
        native.holding(self._lock, self._begin, min(seconds, _MAX_S))
        self.left()

    def end_at(self, moment: float) -> None:
        """Set it to a moment of the monotonic clock."""
        native.holding(self._lock, self._set, moment)

    def bring_forward(self, moment: float) -> None:
        """Set it to a moment, if that is earlier."""
        native.holding(self._lock, self._bring_forward, moment)

    def cancel(self) -> None:
        """End what is in progress, and let nothing begin: nothing is sent after this returns."""
        native.holding(self._lock, self._cancel)

    def cut_if_over(self) -> None:
        """End the wait in progress if it is out of time."""
        native.holding(self._lock, self._cut_over)

    def _begin(self, seconds: float) -> None:
        self._set_at = monotonic()
        self._at = self._set_at + seconds

    def _set(self, moment: float) -> None:
        self._set_at = monotonic()
        self._at = moment

    def _bring_forward(self, moment: float) -> None:
        if moment < self._at:
            self._set(moment)

    def _cut_over(self) -> None:
        if self.over:
            self._cut_now()

    def _cancel(self) -> None:
        self._cancelled = True
        self._cut_now()

    # For connections.

    def left(self) -> float:
        """Seconds left.

        Raises:
            TimeoutError: there are none.
        """
        error = self._timed_out()
        if error is not None:
            raise error
        return max(self.seconds, _MIN_TIMEOUT_S)

    @contextlib.contextmanager
    def bounds(self, sock: socket.socket) -> Iterator[None]:
        """A block in which one socket operation ends at the deadline."""
        sock.settimeout(self.left())
        try:
            yield
        except TimeoutError as error:
            if _is_sending(sock):
                raise SendingTimeoutError(*(self._timed_out() or error).args) from None
            self.left()  # says after how long
            raise

    def cut_by(self, cut: Callable[[], object] | None) -> None:
        """Remember how to end the wait that is about to begin; None: none begins.

        Raises:
            TimeoutError: no time is left.
        """
        native.holding(self._lock, self._remember, cut)
        if cut is not None:
            self.left()

    def _remember(self, cut: Callable[[], object] | None) -> None:
        self._cut = cut

    def _timed_out(self) -> TimeoutError | None:
        if self.cancelled:
            return TimeoutError("cancelled")
        if not self.over:
            return None
        return TimeoutError(f"timed out after {max(0.0, self.at - self._set_at):.1f} s")

    def _cut_now(self) -> None:
        if self._cut is not None:
            self._cut()


def _is_sending(sock: socket.socket) -> bool:
    """Whether some of what was sent has not arrived yet, as far as the system knows."""
    if sys.platform != "linux":
        return False
    import fcntl
    import termios

    try:
        unsent = fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4))  # no test can tell: at least 4
    except (OSError, ValueError):
        return False
    return int.from_bytes(unsent, sys.byteorder) > 0
