"""The pings that wait to be sent, bounded, and what is left out when there are too many."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable

from loghc import native
from loghc.delivery.queued import Queued
from loghc.log.body import Body
from loghc.ping import Event

__all__ = ["LOGS", "PINGS", "Outbox"]

LOGS = 32
"""Logs that are held at most, with the one that is being sent."""

PINGS = 10_000
"""Pings that wait at most."""

# Whose log goes first. Of two that are alike, the older one's.
_BY_IMPORTANCE = (Event.START, Event.LOG, Event.SUCCESS, Event.FAIL)


class Outbox:
    """A bounded queue.

    ``put`` waits for no lock and makes each change by one operation of a deque or dict, which
    nothing can interrupt: a signal handler, or a finalizer, may call it in the middle of itself,
    and an exception out of a signal handler leaves the queue whole. The other methods are for
    the one thread that sends.

    Args:
        drop: called with each ping that makes room for others, before it is gone.
    """

    def __init__(self, drop: Callable[[Queued], object]) -> None:
        self._drop = drop
        self._waiting: deque[Queued] = deque()
        self._with_log: dict[Event, deque[Queued]] = {event: deque() for event in _BY_IMPORTANCE}
        self._start_of: dict[str, Queued] = {}  # by run id, where the run's end doesn't wait
        # What can be spared, in this order, each from the oldest on.
        self._spare_starts: deque[Queued] = deque()  # of runs whose ends wait too
        self._notes: deque[Queued] = deque()  # pings of Event.LOG
        self._starts: deque[Queued] = deque()
        self._successes: deque[Queued] = deque()
        self._bell = native.Bell()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, queued: Queued) -> None:
        """Add a ping. Returns at once; what matters least makes room when there is none."""
        self._waiting.append(queued)
        if queued.ping.body is not Body:  # which has nothing to leave out
            self._with_log[queued.ping.event].append(queued)
        self._index(queued)
        while sum(map(len, self._with_log.values())) >= LOGS:
            self._leave_out_a_log()
        while len(self._waiting) > PINGS:
            self._drop_one()
        self.ring()

    def put_back(self, queued: Queued) -> None:
        """Make a ping the next one to be taken."""
        self._waiting.appendleft(queued)

    def take(self) -> Queued | None:
        """The next ping to deal with; None when none waits."""
        try:
            queued = self._waiting.popleft()
        except IndexError:
            return None
        self._forget(queued)
        return queued

    def discard(self, queued: Queued) -> None:
        """Take a ping out, if it waits."""
        if _discard(self._waiting, queued):
            self._forget(queued)

    def ring(self) -> None:
        """Wake whoever waits for something to do."""
        self._bell.ring()

    def wait(self, seconds: float) -> None:
        """Wait until a ping is put, or somebody rings."""
        self._bell.wait(seconds)

    def _index(self, queued: Queued) -> None:
        """Remember what a ping could make room for."""
        event, run_id = queued.ping.event, queued.ping.run_id
        if event is Event.LOG:
            self._notes.append(queued)
        elif event is Event.START:
            self._starts.append(queued)
            self._start_of[run_id] = queued
        else:
            start = self._start_of.pop(run_id, None)
            if start is not None and _discard(self._starts, start):
                self._spare_starts.append(start)
            if event is Event.SUCCESS:
                self._successes.append(queued)

    def _forget(self, queued: Queued) -> None:
        """A ping doesn't wait any more."""
        _discard(self._with_log[queued.ping.event], queued)
        for index in (self._spare_starts, self._notes, self._starts, self._successes):
            _discard(index, queued)
        if self._start_of.get(queued.ping.run_id) is queued:
            self._start_of.pop(queued.ping.run_id, None)

    def _leave_out_a_log(self) -> None:
        for logs in self._with_log.values():
            with contextlib.suppress(IndexError):  # there is none
                logs.popleft().leave_out_log()
                return

    def _drop_one(self) -> None:
        for index in (
            self._spare_starts,
            self._notes,
            self._starts,
            self._successes,
            self._waiting,
        ):
            with contextlib.suppress(IndexError):  # it is empty
                queued = index[0]
                # First: if an exception out of a signal handler comes now, it is known for gone,
                # and whoever takes it passes over it.
                self._drop(queued)
                _discard(self._waiting, queued)
                self._forget(queued)
                return


def _discard(index: deque[Queued], queued: Queued) -> bool:
    """Remove a ping from a deque; False when another thread did so before."""
    try:
        index.remove(queued)
    except ValueError:
        return False
    return True
