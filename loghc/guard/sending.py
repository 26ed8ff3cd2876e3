"""Sends what a sink of a dead process owed, as the next start would."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from loghc.delivery import Delivery
from loghc.delivery.outcomes import is_settled
from loghc.delivery.troubles import Troubles
from loghc.entry.black_box import BlackBox
from loghc.entry.claim import Claim, note_death
from loghc.entry.directory import Directory
from loghc.entry.earlier import EarlierRuns
from loghc.log.body import Body
from loghc.log.masking import Masker
from loghc.log.rendering import Renderer
from loghc.ping import Attempt, Event, Ping
from loghc.service.client import PingClient
from loghc.version import __version__

if TYPE_CHECKING:
    from loghc.guard.settings import Settings
    from loghc.log.tail import Snapshot

__all__ = ["GuardedSink"]

_CLAIMED_WITHIN_S = 2.0  # a child forked at the last moment may hold the lock for a while
_PAUSE_S = 0.02


class GuardedSink:
    """A sink of the guarded process, by its entry.

    Args:
        settings: the sink's.

    Raises:
        OSError: its entry can't be used.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        masker = Masker(settings.url, settings.headers)
        self._renderer = Renderer(settings.limit, masker, None, mask_secrets=settings.mask_secrets)
        self._earlier = EarlierRuns(settings.limit)
        client = PingClient(
            settings.url, masker.text, settings.timeout, settings.headers, None, __version__
        )
        self._delivery = Delivery(
            client,
            Troubles(settings.url.masked, masker.text),
            events=settings.events,
            drain=settings.drain,
            on_settled=self._settled,
        )
        # Locked, an entry in memory isn't swept. On a disk nothing is held: it may be unmounted.
        self._held: Directory | None = None
        if settings.state is None:
            self._held = Directory(settings.entry)
            self._held.lock(create=True)

    def queue_ends(self, facts: Mapping[str, str]) -> None:
        """Queue what is owed.

        Args:
            facts: how the process ended, for ``note_death``.

        Raises:
            OSError: nothing is owed, or another process sends it already.
        """
        directory = self._held or self._locked()
        self._held = None
        note_death(directory, facts)
        claim = Claim(directory)
        if self._settings.state is None:
            self._earlier.send_claims([claim], self)
            return
        box = BlackBox(self._settings.state)
        try:
            self._earlier.send_claims([claim], self, *box.newest_end(claim.fields["check"]))
        finally:
            box.close()

    def deliver(self) -> None:
        """Send what is queued, for at most ``drain`` seconds, and delete the entry in memory."""
        self._delivery.stop(self._settings.drain, exiting=True)
        if self._settings.state is None:
            with contextlib.suppress(OSError):
                directory = Directory(self._settings.entry)
                directory.remove()
                directory.close()

    def release(self) -> None:
        """Unlock the entry: the sink was removed, and owes nothing."""
        if self._held is not None:
            self._held.close()

    def put_late(
        self, event: Event, run_id: str, body: Callable[[], Body], exit_status: int | None = None
    ) -> bool:
        """As ``PingQueue`` says."""
        if event not in self._settings.events:
            return False
        self._delivery.put(Ping(event, run_id, body, exit_status))
        return True

    def render(self, log: Snapshot, **around: Any) -> Callable[[], Body]:
        """As ``PingQueue`` says."""
        return functools.partial(self._renderer.render, log, **around)

    def _settled(self, ping: Ping, attempt: Attempt) -> None:
        if is_settled(attempt):
            self._earlier.settled(ping.run_id)

    def _locked(self) -> Directory:
        directory = Directory(self._settings.entry)
        until = time.monotonic() + _CLAIMED_WITHIN_S
        while not directory.lock():
            if time.monotonic() > until:
                directory.close()
                raise BlockingIOError("another process sends it")
            time.sleep(_PAUSE_S)
        return directory
