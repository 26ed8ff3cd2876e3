"""A monitoring service in miniature, for tests of programs that ping."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loghc.testing.faults import Fault
    from loghc.testing.receiver import PingReceiver, ReceivedCheck
    from loghc.testing.requests import Headers, ReceivedPing, ReceivedRequest

__all__ = ["Fault", "Headers", "PingReceiver", "ReceivedCheck", "ReceivedPing", "ReceivedRequest"]


def __getattr__(name: str) -> object:
    """Import on first use: pytest loads this package in every run, for its fixture."""
    if name in ("PingReceiver", "ReceivedCheck"):
        from loghc.testing import receiver

        return getattr(receiver, name)
    if name == "Fault":
        from loghc.testing import faults

        return faults.Fault
    if name in __all__:
        from loghc.testing import requests

        return getattr(requests, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
