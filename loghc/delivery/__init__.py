"""From a queued ping to its outcome: what the sink and the watcher hand their pings to."""

from __future__ import annotations

import atexit
import functools
import math
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from loghc.clock import monotonic
from loghc.delivery.closing import ClosingTime
from loghc.delivery.courier import Courier
from loghc.delivery.outbox import PINGS, Outbox
from loghc.delivery.outcomes import Outcomes
from loghc.delivery.queued import Queued
from loghc.delivery.report import Report
from loghc.delivery.retry import Backoff
from loghc.delivery.thread import ThreadOnDemand
from loghc.delivery.vocabulary import Vocabulary
from loghc.fork import waiting_for_pings
from loghc.ping import Event, Outcome, Ping, Stats

if TYPE_CHECKING:
    from loghc.service.client import PingClient

__all__ = ["Delivery"]

_WORTH_SAYING = 1.0  # seconds of holding up the app after which it is said
_ABOUT_TO = 0.05  # seconds in which a thread begins that was started, or ends that was abandoned
_AT_EXIT = 0.5  # seconds that the exit leaves to on_outcome, and to what was cut off


class Delivery:
    """Sends pings in order, on a thread that lives while there is something to send.

    Args:
        client: makes the attempts; each courier gets a clone of it.
        report: tells the troubles.
        on_outcome: called with each Outcome, on a thread of its own.
        backoff: the pauses between attempts.
        events: the events to send; a ping of another one is left out, and has no outcome.
    """

    def __init__(
        self,
        client: PingClient,
        report: Report,
        on_outcome: Callable[[Outcome], object] | None = None,
        backoff: Backoff | None = None,
        events: Collection[Event] = tuple(Event),
    ) -> None:
        self._client = client
        self._report = report
        self._on_outcome = on_outcome
        self._backoff = backoff or Backoff()
        self._vocabulary = Vocabulary(events)
        self._open()

    def _open(self) -> None:
        self._outbox = Outbox(self._drop)
        self._outcomes = Outcomes(self._report, self._on_outcome)
        self._new_courier_thread()

    def _new_courier_thread(self) -> None:
        closing = self._closing = ClosingTime()
        self._courier: Courier | None = None
        self._thread = ThreadOnDemand(
            functools.partial(self._send, closing),
            lambda: self._outbox and not closing.over,
            self._at_rest,
        )

    @property
    def stats(self) -> Stats:
        """How many pings were delivered, failed, and are still pending."""
        return self._outcomes.stats

    @property
    def body_limit(self) -> int | None:
        """Bytes of a body that the service keeps, as it last announced; None before it did."""
        return self._client.body_limit

    def put(self, ping: Ping) -> None:
        """Queue a ping. Returns at once, whoever calls it."""
        if not self._vocabulary.wants(ping.event):
            self._report.not_sent(ping)
            return
        queued = Queued(ping)
        try:
            self._outcomes.expect(queued)
            self._outbox.put(queued)
        except BaseException:  # out of a signal handler: the ping leaves all the same
            self._outcomes.expect(queued)
            self._outbox.put(queued)  # a second time does no harm: it has one outcome
            raise
        finally:
            self._thread.start()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until every ping that is queued has an outcome, and ``on_outcome`` knows.

        Args:
            timeout: seconds at most; None: as long as it takes.

        Returns:
            Whether all have one. On a thread of the delivery's own at once, as waiting could not
            help there.
        """
        until = math.inf if timeout is None else monotonic() + timeout
        waiting = ClosingTime(until)
        if not self._thread.is_current:
            while self._outcomes.pending and not waiting.over:  # a stop() may come in between
                self._see_them_sent(until, ClosingTime(until, self._closing))
            self._outcomes.wait_for(lambda: not self._outcomes.telling, waiting)
        return not self._outcomes.pending and not self._outcomes.telling

    def stop(self, seconds: float, *, exiting: bool = False) -> None:
        """Deliver what is queued, and give up what can't be within the time.

        Args:
            seconds: to wait at most. On the thread that sends, the exit waits instead.
            exiting: the interpreter exits; Ctrl-C then ends the wait, and goes no further.
        """
        begun, closing, drained = monotonic(), self._closing, False
        thread = self._thread
        if thread.is_current:  # a finalizer, or redact, removes the sink: this thread can't wait
            atexit.register(self.stop, seconds, exiting=True)
            return
        if exiting:
            self._client.at_exit()
        try:
            with waiting_for_pings():
                drained = self._drain(begun, seconds, closing)
        except KeyboardInterrupt:
            if not exiting:
                raise
        finally:
            if closing is self._closing:  # else another thread's stop() was faster
                self._begin_anew(monotonic() - begun, drained=drained)
        if exiting:
            until = ClosingTime(monotonic() + _AT_EXIT)
            self._outcomes.end(until.left)
            thread.end(until.left)

    def abort(self) -> None:
        """Make a ``stop()`` in progress give up now. A signal handler may call this."""
        self._closing.bring_forward(monotonic())
        courier = self._courier
        if courier is not None:
            courier.abandon()
        self._outcomes.changed()

    def after_fork(self) -> None:
        """Begin anew in a forked child: the parent's pings are the parent's to send."""
        self._client = self._client.after_fork()
        self._report = self._report.clone()
        self._open()

    def _at_rest(self) -> None:
        self._outcomes.changed()
        self._thread.start()  # for a ping that an abandoned courier put back

    def _send(self, closing: ClosingTime) -> None:
        """Be a courier, on the calling thread."""
        # A clone of the last one's: it knows the limit for a body that the service announced.
        self._client = self._client.clone()
        courier = self._courier = Courier(
            self._outbox,
            self._outcomes,
            self._client,
            self._report,
            self._vocabulary,
            self._backoff,
            closing,
        )
        courier.work()

    def _drop(self, queued: Queued) -> None:
        self._report.dropped(queued.ping, PINGS)
        self._outcomes.settle(queued, queued.unfinished)

    def _see_them_sent(self, until: float, closing: ClosingTime) -> bool:
        """Wait until no ping is pending, sending on this thread where there is no other.

        Args:
            until: how long to wait for another thread, as a moment of the monotonic clock.
            closing: when all has to be sent. What this thread sends has until then: an attempt
                isn't cut short because there is something to say.
        """
        thread, waiting = self._thread, ClosingTime(until, closing)

        def done_or_stranded() -> bool:
            return not self._outcomes.pending or not thread.start()

        while self._outcomes.pending and not waiting.over:
            if not thread.start() and not thread.begins(_ABOUT_TO):
                thread.run_here(functools.partial(self._send, closing))
            else:
                self._outcomes.wait_for(done_or_stranded, waiting)
        return not self._outcomes.pending

    def _drain(self, begun: float, seconds: float, closing: ClosingTime) -> bool:
        """Wait until every ping has its outcome; False when the time is over first."""
        closing.bring_forward(begun + seconds)
        self._outbox.ring()  # a pause between attempts ends
        # Then it is said, and an attempt that waits since before this stop is cut off.
        for moment, act in sorted(
            [
                (begun + min(_WORTH_SAYING, seconds), self._say_what_is_waited_for),
                (begun + seconds / 2, lambda: self._cut_attempt_begun_before(begun)),
            ],
            key=lambda each: each[0],
        ):
            if self._see_them_sent(moment, closing):
                return True
            if closing.over:
                return False
            act()
        return self._see_them_sent(math.inf, closing)

    def _say_what_is_waited_for(self) -> None:
        self._report.waiting(self._outcomes.pending, self._closing.left)

    def _cut_attempt_begun_before(self, moment: float) -> None:
        courier = self._courier
        if courier is not None:
            courier.cut_attempt_begun_before(moment)

    def _begin_anew(self, waited: float, *, drained: bool) -> None:
        """Abandon the courier, and let a later ping have another.

        Args:
            waited: seconds, so far.
            drained: nothing is to be given up, and reported: what is pending came since.
        """
        closing = self._closing
        closing.abandon()
        courier = self._courier
        if courier is not None:
            courier.abandon()
        pending = [] if drained else self._outcomes.open()
        given_up = [each for each in pending if self._outcomes.settle(each, each.unfinished)]
        for queued in given_up:
            self._outbox.discard(queued)
        try:
            # What came since, and was taken, is put back: nothing newer may be sent before it.
            thread, until = self._thread, ClosingTime(monotonic() + _ABOUT_TO)
            self._outcomes.wait_for(lambda: not thread.at_work, until)
        finally:
            if closing is self._closing:  # else another thread's stop() was faster
                self._new_courier_thread()
        if given_up:
            cause = next((each.last.error for each in given_up if each.last is not None), None)
            self._report.undelivered([each.ping for each in given_up], waited, cause)
        self._report.stopped()
        self._thread.start()  # for what was put meanwhile
