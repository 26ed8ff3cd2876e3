"""The pings that wait to be sent: which is next, when, and which are void."""

from __future__ import annotations

import math

from loghc.clock import monotonic
from loghc.deadline import Deadline
from loghc.delivery.inbox import PINGS
from loghc.delivery.queued import LOG_LEFT_OUT, SUPERSEDED, Queued
from loghc.delivery.shared import Shared
from loghc.delivery.state import BY_IMPORTANCE, sort_out
from loghc.ping import Attempt, Event, Ping

__all__ = ["Waiting"]

_STARTED = 10_000  # runs remembered that the service may consider started


class Waiting:
    """The waiting pings, in order. They belong to the thread that sends.

    Args:
        shared: what the senders share.
        stop: when sending has to end; never, while nobody stops it.

    Attributes:
        in_trouble: not all of them can be sent in time.
    """

    def __init__(self, shared: Shared, stop: Deadline) -> None:
        self.in_trouble = False
        self._inbox = shared.inbox
        self._outcomes = shared.outcomes
        self._troubles = shared.troubles
        self._policy = shared.policy
        self._stop = stop
        self._pings: list[Queued] = []
        self._started: dict[str, None] = {}  # runs whose start was ever attempted
        self._paused_at = -math.inf
        self._pause = 0.0  # seconds, from then on

    def __len__(self) -> int:
        return len(self._pings) + len(self._inbox) + self._inbox.asks_in_front

    def inherit(self, other: Waiting) -> None:
        """Take over the pings of another one."""
        self._pings = other._pings
        self._started = other._started

    def sort_out(self) -> bool:
        """Take in new pings, and take out void ones; whether any is left."""
        waiting = [each for each in (*self._pings, *self._inbox.take()) if not each.settled]
        self._pings = waiting
        oldest = min((each.since for each in waiting), default=math.inf)
        is_late = monotonic() - oldest >= self._policy.overloaded_after_s
        if is_late or self._stop.half_over:
            self.in_trouble = True
        if self.in_trouble:
            result = sort_out(waiting, self._started, stopping=self._stop.known)
            self._pings = result.kept
            if result.counted_in is not None:
                self._count_in(result.counted_in, result.counted)
            self._supersede(result.void)
        self._make_room()
        if not self._pings:
            self.in_trouble = False
        return bool(self._pings)

    def next(self) -> tuple[Queued | None, float]:
        """The ping to send now, or None and the seconds until the next one is due."""
        now = monotonic()
        pause_ends = self._paused_at + self._shortened(self._pause)
        due = [each for each in self._pings if self._due(each) <= now]
        if due and pause_ends <= now:
            return due[0], 0.0
        return None, max(pause_ends, min(map(self._due, self._pings))) - now

    def pause(self, seconds: float) -> None:
        """Send nothing for a while."""
        self._paused_at, self._pause = monotonic(), seconds

    def restore_order(self) -> None:
        """Try ends that were set aside before newer ones again, as nothing has passed since.

        So the service may be at fault, and not the ping; and a failure must not arrive after the
        success that followed it.
        """
        for each in self._pings:
            if each.ping.event.ends_run:
                each.not_before = 0.0

    def put_first(self, ping: Ping, like: Queued) -> Queued:
        """Add a ping with the body of another one, in front of all others."""
        queued = Queued(ping, body=like.body)
        self._outcomes.expect(queued)
        self._pings.insert(0, queued)
        return queued

    def note_attempt(self, ping: Ping) -> None:
        """A ping is about to be tried."""
        if ping.event is Event.START:
            self._started[ping.run_id] = None
            if len(self._started) > _STARTED:
                del self._started[next(iter(self._started))]

    def note_delivered(self, ping: Ping) -> None:
        """The service took a ping, which may close runs."""
        if ping.event is Event.FAIL:
            self._started.clear()  # a failure closes all runs that were started before
        elif ping.event is Event.SUCCESS:
            self._started.pop(ping.run_id, None)

    def settle(self, queued: Queued, attempt: Attempt) -> None:
        """Give a ping its outcome."""
        self._inbox.forget_log(queued)
        if queued.body is LOG_LEFT_OUT:
            self._troubles.log_left_out()
        self._outcomes.settle(queued, attempt)

    def withdraw(self, queued: Queued) -> None:
        """A ping is not sent after all: it has no outcome."""
        self._inbox.forget_log(queued)
        self._outcomes.withdraw(queued)

    def _due(self, queued: Queued) -> float:
        if self._stop.known:
            return min(queued.not_before, self._paused_at + self._policy.max_backoff_at_exit_s)
        return queued.not_before

    def _shortened(self, pause: float) -> float:
        # A service that asks for more time than there is can't have it: the ping would be lost.
        return min(pause, self._policy.max_backoff_at_exit_s) if self._stop.known else pause

    def _count_in(self, failure: Queued, others: list[Queued]) -> None:
        for each in others:
            self._inbox.forget_log(each)
            failure.counted += [*each.counted, each]
        if not failure.has_log:
            self._troubles.more_failures(len(failure.counted))

    def _supersede(self, pings: list[Queued]) -> None:
        self._troubles.superseded([each.ping for each in pings])
        for each in pings:
            self.settle(each, SUPERSEDED)

    def _make_room(self) -> None:
        excess = len(self._pings) - PINGS
        if excess <= 0:  # no test can tell: none of none is dropped
            return
        by_importance = [
            each for event in BY_IMPORTANCE for each in self._pings if each.ping.event is event
        ]
        for each in by_importance[:excess]:
            self._troubles.dropped(each.ping, PINGS)
            self.settle(each, each.unfinished)
        self._pings = [each for each in self._pings if not each.settled]
