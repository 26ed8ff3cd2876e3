"""The entry of a sink that a guard watches."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from loghc.entry.keeper import Keeper
from loghc.guard.settings import Settings
from loghc.guard.starting import obstacle, report_obstacle, the_guard

if TYPE_CHECKING:
    from loghc.log.tail import Snapshot
    from loghc.service.url import PingUrl

__all__ = ["GuardedEntry"]


class GuardedEntry(Keeper):
    """An entry of which the guard of this process is told at the first start.

    Without a state directory there is none before, and none where there can't be a guard.

    Args:
        url: the ping URL.
        options: the sink's.
        clean: makes of a cause what may be kept of it.
    """

    def __init__(
        self, url: PingUrl, options: Mapping[str, Any], clean: Callable[[str], str]
    ) -> None:
        super().__init__(url, options, clean)
        self._settings = functools.partial(Settings.of_sink, url, options)
        self._obstacle = functools.partial(obstacle, options)
        self._watched: str | None = None  # the entry that the guard knows of

    @property
    def left_to(self) -> str:
        """The guard, where it knows of the entry."""
        return "the guard" if self._watched else super().left_to

    def marker_seen(self, log: Callable[[], Snapshot], *, starts: bool) -> bool:
        """Have a run guarded, from its start on."""
        if starts and self._watched is None:
            why = self._obstacle()
            if why is None:
                looks = super().marker_seen(log, starts=True)
                self._watched = self.path
                if self._watched is not None:
                    the_guard.watch(self._settings(self._watched))
                return looks
            report_obstacle(why)
        if self._watched is not None or self._state is not None:
            return super().marker_seen(log, starts=starts)
        return False

    def finish(self) -> None:
        """Leave what is owed to the guard; if that is nothing, it need not watch this any more."""
        super().finish()
        if self._watched is not None and not self._owed:
            the_guard.release(self._watched)
            self._watched = None

    def after_fork(self) -> None:
        """In a forked child: the guard is the parent's, as the entry is."""
        super().after_fork()
        self._watched = None
