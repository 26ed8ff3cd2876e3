"""Signals are for the app's threads: one that they block must not reach the app through loghc's."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

__all__ = ["block_signals", "set_blocked_signals"]

# What a fault of the thread itself raises.
_OWN = {
    getattr(signal, name, None)
    for name in ("SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV", "SIGSYS", "SIGTRAP")
}


def block_signals() -> AbstractSet[int]:
    """Block all signals on the calling thread, as far as it can be done; those blocked before."""
    if not hasattr(signal, "pthread_sigmask"):
        return frozenset()
    return signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - _OWN)


def set_blocked_signals(blocked: AbstractSet[int]) -> None:
    """Block these on the calling thread, and no others."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
