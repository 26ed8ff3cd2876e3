"""A monitoring service in miniature, for tests of programs that ping."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loghc.testing.receiver import Fault, Headers, PingReceiver, ReceivedPing, ReceivedRequest

__all__ = ["Fault", "Headers", "PingReceiver", "ReceivedPing", "ReceivedRequest"]


def __getattr__(name: str) -> object:
    """Import the receiver on first use: pytest loads this package in every run, for its fixture."""
    if name in __all__:
        from loghc.testing import receiver

        return getattr(receiver, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
