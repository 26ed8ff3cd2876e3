"""Where the app's threads leave pings for the thread that sends."""

from __future__ import annotations

import contextlib
import itertools
from collections import deque
from collections.abc import Callable

from loghc import native
from loghc.delivery.queued import Queued
from loghc.delivery.state import BY_IMPORTANCE
from loghc.ping import Event, Ping

__all__ = ["LOGS", "PINGS", "Inbox"]

LOGS = 32
"""Logs that are held at most, with the one that is being sent."""

PINGS = 10_000
"""Pings that wait here at most, and as many again with the thread that sends. In trouble far fewer
are kept, see ``state.py``. For a moment there may be twice as many, so that no end has to make room
for a note that was taken before it."""


class Inbox:
    """A bounded queue.

    ``put`` waits for no lock, and makes each change with a single deque operation, which nothing
    can interrupt: a signal handler or a finalizer may call it while it is running, and an exception
    raised by a signal handler leaves the queue whole. Each ping is taken out by one thread: the one
    that sends, or one that makes room.

    Args:
        drop: called with each ping that makes room for others.
        in_front: returns what goes before the pings that are taken, given a number for it.

    Attributes:
        asks_in_front: it is to be called at the next ``take``.
    """

    def __init__(
        self, drop: Callable[[Queued], object], in_front: Callable[[int], list[Queued]]
    ) -> None:
        self._drop = drop
        self._in_front = in_front
        self.asks_in_front = False
        self._numbers = itertools.count()
        self._new: dict[Event, deque[Queued]] = {event: deque() for event in BY_IMPORTANCE}
        self._with_log: dict[Event, deque[Queued]] = {event: deque() for event in BY_IMPORTANCE}
        self._bell = native.Bell()

    def __len__(self) -> int:
        return sum(map(len, self._new.values()))

    def number(self, ping: Ping) -> Queued:
        """A ping, numbered in the order of all pings."""
        return Queued(ping, next(self._numbers))

    def put(self, queued: Queued) -> None:
        """Add a ping. Returns at once; if the queue is full, what matters least is dropped."""
        if queued.has_log:
            self._with_log[queued.ping.event].append(queued)
        self._new[queued.ping.event].append(queued)
        while sum(map(len, self._with_log.values())) >= LOGS:  # one more is being sent
            self._leave_out_a_log()
        while len(self) > PINGS:
            self._drop_one()
        self.ring()

    def take(self) -> list[Queued]:
        """All pings put since the last call, in order. For the thread that sends."""
        taken: list[Queued] = []
        for waiting in self._new.values():
            with contextlib.suppress(IndexError):  # it is empty
                while True:
                    taken.append(waiting.popleft())
        taken.sort(key=lambda queued: queued.number)
        if not self.asks_in_front:
            return taken
        self.asks_in_front = False
        number = taken[0].number if taken else next(self._numbers)
        return [*self._in_front(number), *taken]

    def forget_log(self, queued: Queued) -> None:
        """A ping's log is no longer held."""
        with contextlib.suppress(ValueError):  # it was left out
            self._with_log[queued.ping.event].remove(queued)

    def ring(self) -> None:
        """Wake whoever waits for something to do."""
        self._bell.ring()

    def wait(self, seconds: float) -> None:
        """Wait until a ping is put, or somebody rings."""
        self._bell.wait(seconds)

    def _leave_out_a_log(self) -> None:
        for logs in self._with_log.values():
            with contextlib.suppress(IndexError):  # there is none
                logs.popleft().leave_out_log()
                return

    def _drop_one(self) -> None:
        for waiting in self._new.values():
            with contextlib.suppress(IndexError):  # there is none
                queued = waiting.popleft()
                self.forget_log(queued)
                self._drop(queued)
                return
