"""Sends one ping after the other, and remembers what the service made of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from loghc.clock import monotonic
from loghc.deadline import Deadline
from loghc.delivery.bodies import rendered, to_send
from loghc.delivery.capabilities import without_status
from loghc.delivery.ownership import Ownership, TakenOverError
from loghc.delivery.queued import Queued
from loghc.delivery.retry import LessThatPassed, Next, after_failure, blames_size
from loghc.delivery.shared import Shared
from loghc.delivery.waiting import Waiting
from loghc.ping import Attempt, Event, Ping

if TYPE_CHECKING:
    from loghc.service.client import PingClient

__all__ = ["Sender"]

_FAILURES_TO_REPORT = 2  # failed attempts in a row: a single one heals by itself within a second


class Sender:
    """Everything that is remembered about the waiting pings and about the service.

    It belongs to the thread that sends, except while that thread waits for the network or calls
    the app. A stop that gives up may then take over for good: the thread touches nothing any more,
    and a successor continues.

    It has a connection of its own, which is closed as soon as nothing waits to be sent: one that
    idled through a job may have died silently, and would cost the last ping its time.

    Args:
        shared: what it shares with its successors.
        client: makes the attempts; nobody else uses it.

    Attributes:
        stop: when sending has to end; never, while nobody stops it.
    """

    def __init__(self, shared: Shared, client: PingClient) -> None:
        self.stop = Deadline()
        self._shared = shared
        self._inbox = shared.inbox
        self._troubles = shared.troubles
        self._capabilities = shared.capabilities
        self._policy = shared.policy
        self._client = client
        self._ownership = Ownership()
        self._waiting = Waiting(shared, self.stop)
        self._failures = 0  # in a row
        self._passed = 0
        self._newest_end = -1  # the number of the newest end that the service took
        self._less = LessThatPassed(shared.policy.ask_again_s)

    @property
    def has_work(self) -> bool:
        """Whether a ping waits."""
        return len(self._waiting) > 0

    @property
    def attempt(self) -> Deadline:
        """When the attempt in progress has to end. Any thread may read it, or cut it short."""
        return self._client.deadline

    @property
    def body_limit(self) -> int | None:
        """Bytes of a body that the service keeps, as it last announced; None before it did."""
        return self._client.body_limit

    def work(self, until: Deadline) -> None:
        """Send what there is to send.

        Args:
            until: when to be done.
        """
        if not self._ownership.acquire():
            return
        # A clone of the last client knows the limit for a body that the service announced.
        client = self._client = self._client.clone(until)
        try:
            while not until.over and (queued := self._next(until)) is not None:
                self._handle(queued)
        except TakenOverError:
            pass
        finally:
            client.close()
            self._ownership.release()

    def finish(self, seconds: float) -> None:
        """The sink was stopped, and everything sent: report what was not reported yet.

        Pings put from now on have no deadline, even if that report could not be made.

        Args:
            seconds: to wait for the thread that sends, at most.
        """
        self.stop.end_at(math.inf)
        self._ownership.run_owned(lambda: self._troubles.over(stopped=True), seconds)

    def cancel(self) -> None:
        """Send nothing any more, and cut off what is in progress. Any thread may call this."""
        self.stop.cancel()
        self._client.cancel()
        self._inbox.ring()

    def take_over(self, seconds: float) -> Sender:
        """Take everything that is remembered away from the thread that sends.

        Args:
            seconds: to wait for that thread, at most.

        Returns:
            The successor, which continues with it.
        """
        self.cancel()
        self._ownership.take_over(seconds)
        successor = Sender(self._shared, self._client)
        successor._waiting.inherit(self._waiting)
        successor._passed = self._passed
        successor._newest_end = self._newest_end
        successor._less = self._less
        return successor

    # Which ping is next.

    def _next(self, until: Deadline) -> Queued | None:
        """Wait for the next ping to be due; None if there is none, or no time is left."""
        while self._waiting.sort_out():
            queued, seconds = self._waiting.next()
            if queued is not None:
                return queued
            with self._ownership.away():
                self._inbox.wait(min(seconds, until.seconds))
            if until.over:
                return None
            if self._failures:
                self._waiting.restore_order()
        self._failures = 0
        self._troubles.over()
        return None

    # What becomes of it.

    def _handle(self, queued: Queued) -> None:
        try:
            ping = self._as_understood(queued)
            if ping is not None:
                self._judge(queued, ping, self._attempt(queued, ping))
        except TakenOverError:
            raise
        except Exception:  # noqa: BLE001 - a bug of ours must not end the thread
            try:
                self._troubles.raised("a ping could not be handled, please report this:")
            finally:  # whatever happens, it must not be sent again and again
                self._waiting.settle(queued, Attempt(delivered=False, error="a fault in loghc"))

    def _as_understood(self, queued: Queued) -> Ping | None:
        """A ping as it is to be sent now; None when it is not."""
        ping = queued.ping
        if ping.event.ends_run and queued.number < self._newest_end:
            # A check that is up again must not go down.
            ping = ping._replace(event=Event.LOG, exit_status=None)
        understood = self._capabilities.downgraded(ping)
        if understood is None or not self._capabilities.wants(understood.event):
            self._troubles.not_sent(ping)
            if ping.event is queued.ping.event:
                self._waiting.withdraw(queued)
            else:
                self._troubles.refused(queued.ping, queued.unfinished, check_known=True)
                self._waiting.settle(queued, queued.unfinished)
            return None
        return understood

    def _attempt(self, queued: Queued, ping: Ping) -> Attempt:
        self._waiting.note_attempt(ping)
        why = self._less.leave_out(queued)
        with self._ownership.away():
            queued.attempts += 1
            try:
                body = queued.body = queued.body or rendered(queued, self._troubles)
            except (ImportError, OSError) as error:
                from loghc.service.client import not_importable

                attempt = not_importable(error)
            else:
                body = to_send(queued, body, why, self._policy.late_after_s)
                attempt = self._client.send(ping, body)
        if self._capabilities.is_foreign(attempt):
            attempt = Attempt(
                delivered=False,
                status=attempt.status,
                error=f"{attempt.status}, but with a web page and not the service's answer",
                transient=True,
            )
        queued.last = attempt
        return attempt

    def _judge(self, queued: Queued, ping: Ping, attempt: Attempt) -> None:
        if self.stop.cancelled:
            return  # the attempt was merely cut off
        if attempt.delivered:
            self._take_delivered(queued, ping, attempt)
            return
        suffix = self._capabilities.learn(ping, attempt)
        if ping.exit_status is not None and self._capabilities.maybe_unsupported(ping, attempt):
            # It is sent again at once: a failure must not be lost over its wording.
            queued.ping = without_status(queued.ping)
        elif suffix is not None:
            self._troubles.unsupported(suffix)
            self._waiting.settle(queued, attempt)
        elif queued.is_offer and attempt.status is not None:
            self._waiting.settle(queued, attempt._replace(superseded=True))
        else:
            self._take_failed(queued, attempt)

    def _take_failed(self, queued: Queued, attempt: Attempt) -> None:
        now = monotonic()
        check_known = self._capabilities.check_known
        after = after_failure(
            queued, attempt, self._capabilities, self._policy, passed=self._passed, now=now
        )
        if after.refused:
            self._troubles.refused(queued.ping, attempt, check_known=check_known)
            self._waiting.settle(queued, attempt)
            return
        if after.pause is None:  # else the check never answered, which makes no ping void
            self._waiting.in_trouble = True
        self._failures += 1
        if self._failures >= _FAILURES_TO_REPORT and not self.stop.over:
            self._troubles.retrying(queued.ping, attempt, check_known=check_known)
        self._waiting.pause(self._pause_for(queued, attempt, after))

    def _pause_for(self, queued: Queued, attempt: Attempt, after: Next) -> float:
        """Seconds before the next attempt at any ping."""
        if after.pause is not None:
            return 0.0 if self.stop.known else after.pause
        if not after.is_set_aside:
            return self._policy.backoff.wait(self._failures, attempt.retry_after)
        is_new = queued.not_before == 0.0
        queued.not_before = monotonic() + self._policy.backoff.wait(queued.failures)
        return 0.0 if is_new else self._policy.backoff.wait(self._failures)

    def _take_delivered(self, queued: Queued, ping: Ping, attempt: Attempt) -> None:
        self._capabilities.learn(ping, attempt)
        self._passed += 1
        self._failures = 0
        self._waiting.pause(0.0)
        self._waiting.note_delivered(ping)
        if ping.event.ends_run:
            self._newest_end = queued.number
        if queued.step:
            self._take_shortened(queued, ping)
        elif attempt.kept and ping.event.ends_run:
            # The service kept only the front of the body, but the log's end matters as well.
            self._offer_log_of(queued)
        # Reported first: whoever waits for the outcome may then end the process at once.
        self._troubles.delivered(ping)
        self._waiting.settle(queued, attempt)

    def _take_shortened(self, queued: Queued, ping: Ping) -> None:
        """The service took a ping with less of its log."""
        failed = queued.shed_for
        if failed is None:  # it was known before that the whole log would not pass
            return
        too_large = blames_size(failed)
        why = self._less.remember(queued, failed)
        self._troubles.shortened(ping, why, too_large=too_large)
        if too_large:
            return
        if ping.event is Event.FAIL and self._capabilities.log_known:
            self._offer_log_of(queued)

    def _offer_log_of(self, queued: Queued) -> None:
        """Send the log of an end once more, as a note. It is no loss if the service refuses it."""
        log = Ping(Event.LOG, queued.ping.run_id, queued.ping.body)
        self._waiting.put_first(log, queued).is_offer = True
