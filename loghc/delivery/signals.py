"""Keeps signals off loghc's threads: one that the app blocks must not reach it through them."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

__all__ = ["block_signals", "set_blocked_signals"]

# Raised by a fault of the thread itself.
_OWN = {
    getattr(signal, name, None)
    for name in ("SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV", "SIGSYS", "SIGTRAP")
}


def block_signals() -> AbstractSet[int]:
    """Block all signals on the calling thread, if possible; returns those blocked before."""
    if not hasattr(signal, "pthread_sigmask"):
        return frozenset()
    return signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - _OWN)


def set_blocked_signals(blocked: AbstractSet[int]) -> None:
    """Block exactly these signals on the calling thread."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
