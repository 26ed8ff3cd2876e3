"""Pings in words, for reports: by name, or counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from loghc.ping import Ping

__all__ = ["MAX_LISTED", "count_of", "listed", "name_of"]

MAX_LISTED = 4
"""Pings that are named one by one; more of them are counted by event."""


def name_of(ping: Ping) -> str:
    """What one ping is called."""
    return f"{ping.event.value} ping"


def listed(events: Sequence[str]) -> str:
    """Events by name, or counted if there are many."""
    if len(events) > MAX_LISTED:
        counts = Counter(events)
        return ", ".join(f"{count} {event}" for event, count in counts.items())
    return ", ".join(events)


def count_of(pings: int) -> str:
    """So many pings."""
    return f"{pings} ping" + ("" if pings == 1 else "s")
