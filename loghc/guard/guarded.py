"""The entry of a sink that a guard watches."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from loghc.entry.sink_entry import SinkEntry
from loghc.guard.settings import Settings
from loghc.guard.starting import obstacle, report_obstacle, the_guard

if TYPE_CHECKING:
    from loghc.entry.earlier import Teller
    from loghc.entry.keeper import Keeper
    from loghc.log.tail import Log, Snapshot
    from loghc.ping import Attempt, Event, Ping
    from loghc.service.url import PingUrl

__all__ = ["GuardedEntry"]


class GuardedEntry(SinkEntry):
    """A keeper's entry, of which the guard of this process is told at the first start.

    Without a state directory there is none before, and none where there can't be a guard.

    Args:
        keeper: keeps the entry.
        url: the ping URL.
        options: the sink's.
    """

    def __init__(self, keeper: Keeper, url: PingUrl, options: Mapping[str, Any]) -> None:
        self._keeper = keeper
        self._in_memory = options["state"] is None
        self._settings = functools.partial(Settings.of_sink, url, options)
        self._obstacle = functools.partial(obstacle, options)
        self._watched: str | None = None  # the entry that the guard knows of

    @property
    def left_to(self) -> str:  # type: ignore[override]
        """The guard, where it knows of the entry."""
        return "the guard" if self._watched else self._keeper.left_to

    def kept_with(self, log: Log) -> Log:
        """As the keeper does it."""
        return self._keeper.kept_with(log)

    def marker_seen(self, log: Callable[[], Snapshot], *, starts: bool) -> bool:
        """Have a run guarded, from its start on."""
        if starts and self._watched is None:
            why = self._obstacle()
            if why is None:
                looks = self._keeper.marker_seen(log, starts=True)
                self._watched = self._keeper.path
                if self._watched is not None:
                    the_guard.watch(self._settings(self._watched))
                return looks
            report_obstacle(why)
        if self._watched is not None or not self._in_memory:
            return self._keeper.marker_seen(log, starts=starts)
        return False

    def tell_earlier(self, teller: Teller) -> None:
        """As the keeper does it."""
        self._keeper.tell_earlier(teller)

    def note(self, event: Event, run_id: str, cause: str, *, ends: bool, owed: bool) -> None:
        """As the keeper does it."""
        self._keeper.note(event, run_id, cause, ends=ends, owed=owed)

    def settled(self, ping: Ping, attempt: Attempt) -> None:
        """As the keeper does it."""
        self._keeper.settled(ping, attempt)

    def finish(self) -> None:
        """Leave what is owed to the guard; if that is nothing, it need not watch this any more."""
        self._keeper.finish()
        if self._watched is not None and not self._keeper.owes:
            the_guard.release(self._watched)
            self._watched = None

    def after_fork(self) -> None:
        """As the keeper does it. The guard is the parent's."""
        self._keeper.after_fork()
        self._watched = None
