"""One lifetime of sending."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loghc.clock import monotonic
from loghc.delivery.closing import ClosingTime
from loghc.delivery.outbox import Outbox
from loghc.delivery.outcomes import Outcomes
from loghc.delivery.queued import LOG_LEFT_OUT, Queued
from loghc.delivery.report import Report
from loghc.delivery.retry import Backoff, deliver
from loghc.delivery.vocabulary import Vocabulary, plain
from loghc.log.body import Body
from loghc.ping import Attempt, Event, Ping

if TYPE_CHECKING:
    from loghc.service.client import PingClient

__all__ = ["Courier"]

_LEAVING_PAUSE = 0.5  # seconds between attempts, at most, while the app waits for them
_LEAST = 0.5  # seconds that an attempt is worth making for, if so much is left


class Courier:
    """Sends the pings of an outbox in their order until it is empty, or until closing time.

    It has a connection of its own, which is closed as soon as nothing more waits to be sent: one
    that idled through a job may be dead without a word, and would cost the last ping its time.

    Args:
        outbox: where the pings wait.
        outcomes: where what becomes of them goes.
        client: makes the attempts; nobody else uses it.
        report: tells the troubles.
        vocabulary: what the service is told, and in which words.
        backoff: the pauses between attempts.
        closing: when to be done.
    """

    def __init__(
        self,
        outbox: Outbox,
        outcomes: Outcomes,
        client: PingClient,
        report: Report,
        vocabulary: Vocabulary,
        backoff: Backoff,
        closing: ClosingTime,
    ) -> None:
        self._outbox = outbox
        self._outcomes = outcomes
        self._client = client
        self._report = report
        self._vocabulary = vocabulary
        self._backoff = backoff
        self._closing = closing

    def work(self) -> None:
        """Send what there is to send."""
        try:
            while not self._closing.over and (queued := self._outbox.take()) is not None:
                self._handle(queued)
            if not self._outbox:
                self._report.caught_up()
        finally:
            self._client.close()

    def cut_attempt_begun_before(self, moment: float) -> None:
        """Make an attempt fail that has been waiting since before a moment."""
        self._client.cut_if_older_than(moment)

    def abandon(self) -> None:
        """Send nothing any more: whatever is in progress is cut off."""
        self._closing.abandon()
        self._client.cancel()
        self._outbox.ring()

    # What retry asks of a Timing.

    def for_attempt(self) -> float:
        """Seconds for the next attempt: never all that is left until closing time.

        A service that swallows one attempt may well answer the next, on a new connection.
        """
        left = self._closing.left
        return min(left, max(_LEAST, left / 2))

    def pause(self, seconds: float) -> None:
        """Wait before the next attempt. It ends early when the app begins to wait for the ping."""
        hurried = self._closing.known
        # A service that asks for more time than there is, is not obeyed: that would lose the ping.
        until = monotonic() + (min(seconds, _LEAVING_PAUSE) if hurried else seconds)
        while self._closing.known is hurried and (left := until - monotonic()) > 0:
            self._outbox.wait(min(left, self._closing.left))
            if self._closing.over:
                return

    def _handle(self, queued: Queued) -> None:
        if not self._outcomes.is_open(queued):  # given up, or dropped, while it waited
            return
        try:
            self._deliver(queued)
        except Exception:  # noqa: BLE001 - a bug of ours must not end the thread
            try:
                self._report.raised("a ping could not be handled, please report this:")
            finally:  # whatever happens, it isn't sent again and again
                broken = Attempt(delivered=False, error="a fault in loghc")
                self._outcomes.settle(queued, broken)
        finally:
            # Where time is over, or Ctrl-C came on a thread of the app's.
            if self._outcomes.is_open(queued):
                self._outbox.put_back(queued)

    def _deliver(self, queued: Queued) -> None:
        ping = self._vocabulary.worded(queued.ping)
        if ping is None:
            self._report.not_sent(queued.ping)
            self._outcomes.withdraw(queued)
            return
        queued.ping = ping

        def send(seconds: float) -> Attempt:
            queued.attempts += 1
            try:
                body = queued.body = self._rendered(queued) if queued.body is None else queued.body
            except (ImportError, OSError) as error:
                from loghc.service.client import not_importable

                attempt = not_importable(error)
            else:
                attempt = self._client.send(queued.ping, body, seconds)
            if not self._closing.abandoned:  # else it is only that the attempt was cut off
                queued.last = attempt
            return attempt

        def failed(attempt: Attempt) -> None:
            if not self._closing.over:
                self._report.retrying(queued.ping, attempt, queued.attempts)

        attempt = deliver(send, self._backoff, self, failed)
        if attempt is None:
            return
        may_lack = self._vocabulary.may_lack(queued.ping, attempt)
        learned = self._vocabulary.learn(queued.ping, attempt)
        if may_lack and queued.ping.exit_status is not None:
            # It is put back, and sent at once: a failure must not be lost over its wording.
            queued.ping = plain(queued.ping)
            return
        if learned:
            self._report.not_understood(learned)
        if attempt.kept and self._vocabulary.wants(Event.LOG) and queued.ping.event.ends_run:
            # The service kept the front of the body, and the end is what matters.
            end = Queued(Ping(Event.LOG, queued.ping.run_id, queued.ping.body), queued.body)
            self._outcomes.expect(end)
            self._outbox.put_back(end)
        # Said first: who waits for the outcome may end the process as soon as it is there.
        if attempt.delivered:
            self._report.delivered(queued.ping)
        elif not learned:
            self._report.lost(queued.ping, attempt, check_known=self._vocabulary.check_known)
        self._outcomes.settle(queued, attempt)

    def _rendered(self, queued: Queued) -> Body:
        """A ping's body.

        Raises:
            ImportError, OSError: it can't be made at the moment.
        """
        try:
            body = queued.ping.body()
            if body is LOG_LEFT_OUT:
                self._report.left_out()
            return body
        except (ImportError, OSError):
            raise
        except Exception:  # noqa: BLE001 - a ping without its log is worth more than none
            self._report.raised("the log could not be attached to a ping, please report this:")
            return Body(footer=b"loghc: the log could not be attached.\n")
