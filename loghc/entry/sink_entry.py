"""What a sink keeps outside of its process: nothing by default, an entry in a state directory."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loghc.entry.earlier import Teller
    from loghc.log.tail import Log, Snapshot
    from loghc.ping import Attempt, Event, Ping

__all__ = ["SinkEntry"]


class SinkEntry:
    """What one sink keeps for the next start, and tells of earlier ones; this one keeps nothing.

    Nothing in here raises, or waits for a disk.

    Attributes:
        left_to: who tells what this process can't deliver; empty: nobody.
    """

    left_to = ""

    def kept_with(self, log: Log) -> Log:
        """What the sink appends its records to, so that they are in this log and outside."""
        return log

    def marker_seen(self, teller: Teller, log: Callable[[], Snapshot], *, starts: bool) -> None:
        """A marker came: queue what earlier processes owe before its own ping.

        Args:
            teller: sends the pings.
            log: gives the sink's log so far.
            starts: the marker starts a run.
        """

    def note(self, event: Event, run_id: str, cause: str, *, ends: bool, owed: bool) -> None:
        """A marker's ping is about to be queued.

        Args:
            event: what it tells.
            run_id: its run.
            cause: a failure's headline.
            ends: it ends its run.
            owed: its end is to be delivered.
        """

    def settled(self, ping: Ping, attempt: Attempt) -> None:
        """A ping came to its outcome. Any thread may call this."""

    def finish(self) -> None:
        """The sink was stopped: keep what is still owed, or leave nothing behind."""

    def after_fork(self) -> None:
        """In a forked child: the entry is the parent's. This process has none yet."""
