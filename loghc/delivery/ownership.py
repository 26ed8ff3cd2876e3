"""Which thread may touch what a sender remembers, and how another takes that over."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from loghc import native

__all__ = ["Ownership", "TakenOverError"]

_LOOK_EVERY_S = 0.05  # at whether somebody has taken over


class TakenOverError(Exception):
    """Somebody has taken over: this thread touches nothing any more."""


class Ownership:
    """Belongs to the thread that sends, except within `away`; or for good to who took it over."""

    def __init__(self) -> None:
        self._lock = native.RLock()
        self._is_held = False  # by the thread that sends
        self._is_taken_over = False

    def acquire(self) -> bool:
        """Have it on this thread, once who has it for a moment is done; False if it is taken."""
        while not self._lock.acquire(timeout=_LOOK_EVERY_S):
            if self._is_taken_over:
                return False
        if self._is_taken_over:  # it could not wait for this thread
            self._lock.release()
            return False
        self._is_held = True
        return True

    def release(self) -> None:
        """The thread that sends is done, if it still has it."""
        if self._is_held:
            self._is_held = False
            self._lock.release()

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Wait for the network, or call the app: somebody may take over within this block.

        Raises:
            TakenOverError: at its end, if somebody has.
        """
        self.release()
        try:
            yield
        finally:
            if not self.acquire():
                raise TakenOverError

    def run_owned(self, action: Callable[[], None], seconds: float) -> None:
        """Call a function while this thread has it; not at all, if that takes longer."""
        try:  # no `with`: a signal handler may raise on this thread
            if self._lock.acquire(timeout=seconds):
                action()
        finally:
            with contextlib.suppress(RuntimeError):  # not acquired
                self._lock.release()

    def take_over(self, seconds: float) -> None:
        """Have it for good, whether or not its thread comes back within ``seconds``."""
        self._lock.acquire(timeout=seconds)  # and never release it
        self._is_taken_over = True
