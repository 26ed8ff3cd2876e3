"""What became of the pings: counts, waiting, and the app's ``on_outcome``."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable

from loghc import native
from loghc.callbacks import calling_back
from loghc.clock import monotonic
from loghc.deadline import Deadline
from loghc.delivery.queued import Queued
from loghc.delivery.tally import Tally
from loghc.delivery.thread import ThreadOnDemand
from loghc.delivery.troubles import Troubles
from loghc.ping import TEMPORARY_REFUSALS, Attempt, Outcome, Ping, Stats

__all__ = ["Outcomes", "is_settled"]

_WAITING = 10_000  # outcomes for on_outcome, at most; then the oldest are dropped, and reported


def is_settled(last: Attempt | Outcome) -> bool:
    """Whether nothing more is owed for a ping: it was delivered, superseded or refused for good."""
    status = last.status
    refused = status is not None and 400 <= status < 500 and status not in TEMPORARY_REFUSALS
    return last.delivered or last.superseded or refused


class Outcomes:
    """Keeps the pings that have no outcome yet, and counts those that have.

    Several threads give pings their outcomes: the one that sends, one that makes room, one that
    stops. A ping's first outcome counts. Each change is one operation of a deque or a counter.

    Args:
        troubles: reports what ``on_outcome`` raises.
        on_outcome: called with each Outcome on a thread of its own, which nothing waits for.
        on_settled: called with each ping and its last attempt at once. It is loghc's own.
    """

    def __init__(
        self,
        troubles: Troubles,
        on_outcome: Callable[[Outcome], object] | None,
        on_settled: Callable[[Ping, Attempt], object] | None = None,
    ) -> None:
        self._troubles = troubles
        self._on_outcome = on_outcome
        self._on_settled = on_settled
        self._open: deque[Queued] = deque()  # in the order of their markers
        self._delivered, self._failed, self._superseded = Tally(), Tally(), Tally()
        self._bells: list[native.Bell] = []
        self._to_call: deque[Outcome] = deque()
        self._caller = ThreadOnDemand(
            self._call, lambda: self._to_call, self.changed, calls_app=True
        )
        self._can_call = False  # no test can tell: it is set before it is asked

    def expect(self, queued: Queued) -> None:
        """A ping was queued."""
        self._open.append(queued)

    def expect_again(self, queued: Queued) -> None:
        """The same, for a ping that may have been expected already."""
        if not queued.settled and queued not in self._open:
            self._open.append(queued)

    def settle(self, queued: Queued, attempt: Attempt) -> bool:
        """Settle a ping, and those that it counts; False if it has an outcome already."""
        for each in queued.counted:
            self._settle_one(each, attempt)
        return self._settle_one(queued, attempt)

    def withdraw(self, queued: Queued) -> None:
        """A ping is not sent after all: it has no outcome."""
        self._close(queued)
        self.changed()

    def open(self) -> list[Queued]:
        """The pings without an outcome, oldest first."""
        while True:
            with contextlib.suppress(RuntimeError):  # it was changed meanwhile
                return list(self._open)

    @property
    def pending(self) -> int:
        """How many pings have no outcome yet."""
        return len(self._open)

    @property
    def stats(self) -> Stats:
        """How many pings were delivered, failed, superseded, and are still pending."""
        return Stats(int(self._delivered), int(self._failed), self.pending, int(self._superseded))

    @property
    def calling(self) -> bool:
        """Whether a thread other than this one is calling ``on_outcome``."""
        to_be_called = self._can_call and self._to_call
        return bool(to_be_called or self._caller.at_work) and not self._caller.is_current

    @property
    def all_settled(self) -> bool:
        """Whether every ping has its outcome, and ``on_outcome`` was called with it."""
        return not self.pending and not self.calling

    def end(self, seconds: float) -> None:
        """Wait until the thread that calls ``on_outcome`` has finished, for at most `seconds`."""
        self._caller.end(seconds)

    def changed(self) -> None:
        """Wake all waiting threads."""
        for bell in list(self._bells):
            bell.ring()

    def wait_for(self, condition: Callable[[], object], deadline: Deadline) -> bool:
        """Wait until a condition holds, checking it at each change.

        Args:
            condition: what to wait for.
            deadline: when to give up.

        Returns:
            Whether it holds.
        """
        bell = native.Bell()
        self._bells.append(bell)
        try:
            while not condition():
                if deadline.over:
                    return False
                bell.wait(deadline.seconds)
            return True
        finally:
            self._bells.remove(bell)

    def _settle_one(self, queued: Queued, attempt: Attempt) -> bool:
        if not self._close(queued):
            return False
        if attempt.delivered:
            self._delivered.add()
        elif attempt.superseded:
            self._superseded.add()
        else:
            self._failed.add()
        seconds = monotonic() - queued.since
        self._troubles.outcome(queued.ping, attempt, queued.attempts, seconds)
        if self._on_settled is not None:
            self._on_settled(queued.ping, attempt)
        if self._on_outcome is not None:
            self._to_call.append(_outcome(queued, attempt, seconds))
            if len(self._to_call) > _WAITING:
                self._next_to_call()
                self._troubles.outcomes_dropped()
            self._can_call = self._caller.start()
        self.changed()
        return True

    def _close(self, queued: Queued) -> bool:
        """Give a ping its outcome; False if it already had one."""
        try:
            self._open.remove(queued)
        except ValueError:
            return False
        queued.settled = True
        return True

    def _call(self) -> None:
        while self._on_outcome is not None and (outcome := self._next_to_call()) is not None:
            self._call_with(self._on_outcome, outcome)

    def _call_with(self, on_outcome: Callable[[Outcome], object], outcome: Outcome) -> None:
        try:
            with calling_back():
                on_outcome(outcome)
        except BaseException:  # noqa: BLE001 - the app's own function may raise what it likes
            self._troubles.raised("on_outcome raised, which changes nothing for the ping:")

    def _next_to_call(self) -> Outcome | None:
        try:
            return self._to_call.popleft()
        except IndexError:
            return None


def _outcome(queued: Queued, attempt: Attempt, seconds: float) -> Outcome:
    return Outcome(
        event=queued.ping.event,
        run_id=queued.ping.run_id,
        delivered=attempt.delivered,
        status=attempt.status,
        error=attempt.error,
        attempts=queued.attempts,
        elapsed=seconds,
        superseded=attempt.superseded,
    )
