"""Which thread may use what a sender remembers, and how another thread takes it over."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from loghc import native

__all__ = ["Ownership", "TakenOverError"]

_LOOK_EVERY_S = 0.05  # to see whether another thread has taken over


class TakenOverError(Exception):
    """Another thread has taken over: this one must not touch anything any more."""


class Ownership:
    """Held by the thread that sends, except within `away`, or for good by whoever took it over."""

    def __init__(self) -> None:
        self._lock = native.RLock()
        self._is_held = False  # by the thread that sends
        self._is_taken_over = False

    def acquire(self) -> bool:
        """Become the owner, once nobody else is; False if another thread took over for good."""
        while not self._lock.acquire(timeout=_LOOK_EVERY_S):
            if self._is_taken_over:
                return False
        if self._is_taken_over:  # without waiting for this thread
            self._lock.release()
            return False
        self._is_held = True
        return True

    def release(self) -> None:
        """Give ownership up, if this thread still has it."""
        if self._is_held:
            self._is_held = False
            self._lock.release()

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Wait for the network or call the app: another thread may take over within this block.

        Raises:
            TakenOverError: at the end of the block, if one has.
        """
        self.release()
        try:
            yield
        finally:
            if not self.acquire():
                raise TakenOverError

    def run_owned(self, action: Callable[[], None], seconds: float) -> None:
        """Call a function as the owner; don't, if that isn't possible within ``seconds``."""
        try:  # no `with`: a signal handler may raise on this thread
            if self._lock.acquire(timeout=seconds):
                action()
        finally:
            with contextlib.suppress(RuntimeError):  # not acquired
                self._lock.release()

    def take_over(self, seconds: float) -> None:
        """Become the owner for good, even if the current one isn't done within ``seconds``."""
        self._lock.acquire(timeout=seconds)  # and never release it
        self._is_taken_over = True
