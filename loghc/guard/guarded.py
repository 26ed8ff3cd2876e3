"""The entry of a sink that has a guard."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from loghc.entry.keeper import Keeper
from loghc.guard.settings import Settings
from loghc.guard.spawning import known_python
from loghc.guard.starting import obstacle, report_obstacle, the_guard

if TYPE_CHECKING:
    from loghc.log.tail import Snapshot
    from loghc.service.url import PingUrl

__all__ = ["GuardedEntry"]


class GuardedEntry(Keeper):
    """An entry that this process's guard watches, from the first start marker on.

    Without a state directory there is no entry before that, nor where there can't be a guard.

    Args:
        url: the ping URL.
        options: the sink's.
        clean: removes from a cause what may not be kept.
    """

    def __init__(
        self, url: PingUrl, options: Mapping[str, Any], clean: Callable[[str], str]
    ) -> None:
        super().__init__(url, options, clean)
        self._settings = functools.partial(Settings.of_sink, url, options)
        self._obstacle = functools.partial(obstacle, options)
        self._watched: str | None = None  # the path of the entry that the guard has, or will have
        self._is_given = True  # to the guard
        known_python()  # asked here, so that no marker pays for it

    @property
    def left_to(self) -> str:
        """The guard, if it has the entry."""
        return super().left_to if self._unguarded else "the guard"

    @property
    def _unguarded(self) -> bool:
        return self._watched is None or self._watched != self.path or not the_guard.is_there

    def marker_seen(self, log: Callable[[], Snapshot], *, starts: bool) -> bool:
        """Make the entry at the first start, and have it guarded; again if the guard was killed."""
        if starts and self._unguarded:
            why = self._obstacle()
            if why is None:
                looks = super().marker_seen(log, starts=True)
                self._watched, self._is_given = self.path, False
                return looks
            report_obstacle(why)
        if self._watched is not None or self._state is not None:
            return super().marker_seen(log, starts=starts)
        return False

    def finish(self) -> None:
        """Leave what is owed to the guard; if that is nothing, it can stop watching."""
        super().finish()
        if self._watched is not None and not self._runs.owed:
            the_guard.release(self._watched)
            self._watched = None

    def _write(self) -> None:
        """Give the entry to the guard, on the thread that nobody waits for."""
        watched = self._watched
        if watched is not None and not self._is_given:
            self._is_given = True
            the_guard.watch(self._settings(watched))
        super()._write()

    def after_fork(self) -> None:
        """In a forked child: the guard is the parent's, like the entry."""
        super().after_fork()
        self._watched = None
