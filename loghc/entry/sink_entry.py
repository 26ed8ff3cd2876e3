"""What a sink keeps outside of its process: nothing by default, an entry in a state directory."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loghc.entry.earlier import PingQueue
    from loghc.log.tail import Log, Snapshot
    from loghc.ping import Attempt, Event, Ping

__all__ = ["SinkEntry"]


class SinkEntry:
    """What one sink keeps for the next start, and sends for earlier ones; this one keeps nothing.

    No method raises, or waits for a disk on the app's threads.
    """

    @property
    def left_to(self) -> str:
        """Who sends what this process can't deliver; empty: nobody."""
        return ""

    def kept_with(self, log: Log) -> Log:
        """What the sink appends its records to, so that they are in this log and outside."""
        return log

    def marker_seen(self, log: Callable[[], Snapshot], *, starts: bool) -> bool:  # noqa: ARG002
        """A marker came, whose ping is not queued yet.

        Args:
            log: gives the sink's log so far.
            starts: the marker starts a run.

        Returns:
            Whether to look for what earlier processes owe: ``send_earlier``.
        """
        return False

    def note(self, event: Event, run_id: str, cause: str, *, ends: bool, owed: bool) -> None:
        """A marker's ping is about to be queued.

        Args:
            event: the ping's.
            run_id: its run.
            cause: a failure's headline.
            ends: it ends its run.
            owed: its end is to be delivered.
        """

    def send_earlier(self, queue: PingQueue) -> None:
        """Queue what earlier processes owe. Called on the thread that sends.

        Args:
            queue: takes the pings.
        """

    def settled(self, ping: Ping, attempt: Attempt) -> None:
        """A ping has its outcome. Any thread may call this."""

    def finish(self) -> None:
        """The sink was stopped: keep what is still owed, or leave nothing behind."""

    def after_fork(self) -> None:
        """In a forked child: the entry is the parent's. This process has none yet."""
