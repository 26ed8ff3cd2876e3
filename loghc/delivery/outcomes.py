"""What became of the pings: counts, waiting, and the app's ``on_outcome``."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from loghc import native
from loghc.callbacks import calling_back
from loghc.clock import monotonic
from loghc.delivery.closing import ClosingTime
from loghc.delivery.queued import Queued
from loghc.delivery.report import Report
from loghc.delivery.thread import ThreadOnDemand
from loghc.ping import Attempt, Outcome, Stats

__all__ = ["Outcomes"]

_UNTOLD = 10_000  # outcomes that wait to be told at most; the oldest go first, and that is said


class Outcomes:
    """Keeps the pings that have no outcome yet, and counts those that have.

    A ping's first outcome counts; a later one, of a sender that was given up, is ignored.

    Args:
        report: tells what ``on_outcome`` raises.
        on_outcome: called with each Outcome on a thread of its own, which nothing waits for.
    """

    def __init__(self, report: Report, on_outcome: Callable[[Outcome], object] | None) -> None:
        self._report = report
        self._on_outcome = on_outcome
        self._open: dict[Queued, None] = {}  # in the order of their markers
        # Held for no call and no allocation: nothing that waits for another lock can run meanwhile.
        self._lock = native.RLock()
        self._delivered = 0
        self._failed = 0
        self._waiting: list[native.Bell] = []
        self._untold: deque[Outcome] = deque()
        self._teller = ThreadOnDemand(
            self._tell, lambda: self._untold, self.changed, calls_app=True
        )
        self._can_tell = False

    def expect(self, queued: Queued) -> None:
        """A ping was queued. To say so twice does no harm."""
        if not queued.settled:
            self._open[queued] = None

    def settle(self, queued: Queued, attempt: Attempt) -> bool:
        """A ping came to its outcome; False when it has one already."""
        with self._lock:
            first = queued in self._open
            if first:
                queued.settled = True
                del self._open[queued]
                if attempt.delivered:
                    self._delivered += 1
                else:
                    self._failed += 1
        if first:
            seconds = monotonic() - queued.since
            self._report.outcome(queued.ping, attempt, queued.attempts, seconds)
            if self._on_outcome is not None:
                self._untold.append(_outcome(queued, attempt))
                if len(self._untold) > _UNTOLD:
                    self._next_untold()
                    self._report.untold()
                self._can_tell = self._teller.start()
            self.changed()
        return first

    def withdraw(self, queued: Queued) -> None:
        """A ping is not to be sent after all: it has no outcome."""
        self._open.pop(queued, None)
        self.changed()

    def is_open(self, queued: Queued) -> bool:
        """Whether a ping has no outcome yet."""
        return queued in self._open

    def open(self) -> list[Queued]:
        """The pings without an outcome, oldest first."""
        return list(self._open)

    @property
    def pending(self) -> int:
        """How many pings have no outcome yet."""
        return len(self._open)

    @property
    def stats(self) -> Stats:
        """How many pings were delivered, failed, and are still pending."""
        return Stats(self._delivered, self._failed, self.pending)

    @property
    def telling(self) -> bool:
        """Whether ``on_outcome`` is being told, by another thread than this one."""
        to_be_told = self._can_tell and self._untold
        return bool(to_be_told or self._teller.at_work) and not self._teller.is_current

    def end(self, seconds: float) -> None:
        """Wait until the thread that calls ``on_outcome`` has ended, so many seconds at most."""
        self._teller.end(seconds)

    def changed(self) -> None:
        """Wake all who wait."""
        for bell in list(self._waiting):
            bell.ring()

    def wait_for(self, condition: Callable[[], object], closing: ClosingTime) -> bool:
        """Wait until a condition holds, looking at each change.

        Args:
            condition: what to wait for.
            closing: when to give up.

        Returns:
            Whether it holds.
        """
        bell = native.Bell()
        self._waiting.append(bell)
        try:
            while not condition():
                if closing.over:
                    return False
                bell.wait(closing.left)
            return True
        finally:
            self._waiting.remove(bell)

    def _tell(self) -> None:
        while self._on_outcome is not None and (outcome := self._next_untold()) is not None:
            self._tell_one(self._on_outcome, outcome)

    def _tell_one(self, on_outcome: Callable[[Outcome], object], outcome: Outcome) -> None:
        try:
            with calling_back():
                on_outcome(outcome)
        except BaseException:  # noqa: BLE001 - the app's own function may raise what it likes
            self._report.raised("on_outcome raised, which changes nothing for the ping:")

    def _next_untold(self) -> Outcome | None:
        try:
            return self._untold.popleft()
        except IndexError:
            return None


def _outcome(queued: Queued, attempt: Attempt) -> Outcome:
    return Outcome(
        event=queued.ping.event,
        run_id=queued.ping.run_id,
        delivered=attempt.delivered,
        status=attempt.status,
        error=attempt.error,
        attempts=queued.attempts,
        elapsed=monotonic() - queued.since,
    )
