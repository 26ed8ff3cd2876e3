"""What the service was not sent: counted until it is reported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from loghc.delivery.tally import Tally
from loghc.delivery.words import MAX_LISTED, count_of, listed
from loghc.ping import Ping

__all__ = ["LeftOut"]


class LeftOut:
    """Counts the pings and logs that were left out since the last report.

    Any thread may call ``dropped``; the rest belongs to the thread that sends.
    """

    def __init__(self) -> None:
        self._superseded: Counter[str] = Counter()  # by event
        self._dropped = Tally()
        self._dropped_reported = 0
        self._logs = 0

    def superseded(self, pings: Sequence[Ping]) -> None:
        """Newer pings made these void."""
        self._superseded.update(each.event.value for each in pings)

    def dropped(self) -> None:
        """A ping made room for a newer one."""
        self._dropped.add()

    def log(self) -> None:
        """A ping was sent without its log, which made room for others."""
        self._logs += 1

    @property
    def worth_reporting(self) -> bool:
        """Whether it is more than a few void pings, which a single failed attempt makes."""
        return bool(self._superseded.total() > MAX_LISTED or self._logs or self._newly_dropped)

    def take(self) -> str:
        """All of it in words, and count anew; empty if there is nothing."""
        parts = []
        if self._superseded:
            names = listed(list(self._superseded.elements()))
            total = count_of(self._superseded.total())
            parts.append(f"{total} superseded by newer ones ({names})")
        if dropped := self._newly_dropped:
            parts.append(f"{count_of(dropped)} dropped")
            self._dropped_reported += dropped
        if self._logs:
            parts.append(f"the logs of {count_of(self._logs)} left out")
        self._superseded.clear()
        self._logs = 0
        return ", ".join(parts)

    @property
    def _newly_dropped(self) -> int:
        return int(self._dropped) - self._dropped_reported
