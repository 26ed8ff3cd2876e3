"""From a queued ping to its outcome: what the sink and the watcher hand their pings to."""

from __future__ import annotations

import atexit
import functools
import math
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from loghc.clock import monotonic
from loghc.deadline import Deadline
from loghc.delivery.capabilities import Capabilities
from loghc.delivery.exiting import deliveries, exit_deadline, register
from loghc.delivery.inbox import PINGS, Inbox
from loghc.delivery.outcomes import Outcomes
from loghc.delivery.policy import Policy
from loghc.delivery.queued import Queued
from loghc.delivery.sender import Sender
from loghc.delivery.shared import Shared
from loghc.delivery.thread import ThreadOnDemand
from loghc.delivery.troubles import Troubles
from loghc.fork import waiting_for_pings
from loghc.ping import Attempt, Event, Outcome, Ping, Stats

if TYPE_CHECKING:
    from loghc.service.client import PingClient

__all__ = ["Delivery"]

NOTICE_DELAY_S = 1.0
"""Seconds after which it is reported that the app is held up."""

_THREAD_GRACE_S = 0.05  # for a started thread to begin, or for one that was cut off to finish
_EXIT_GRACE_S = 0.5  # at the exit, for on_outcome and for attempts that were cut off


class Delivery:
    """Sends pings in order, on a thread that lives while there is something to send.

    Args:
        client: makes the attempts; each thread gets a clone of it.
        troubles: reports them.
        on_outcome: called with each Outcome, on a thread of its own.
        policy: how patient to be.
        events: the events to send; pings of other events are left out, and have no outcome.
        drain: seconds that a stop at the exit may take. The longest counts for all.
        on_settled: called with each ping and its last attempt, at once. For loghc itself.
        earlier: returns what goes in front of the next ping, see ``ask_earlier``.

    Attributes:
        drain: as given.
    """

    def __init__(
        self,
        client: PingClient,
        troubles: Troubles,
        on_outcome: Callable[[Outcome], object] | None = None,
        policy: Policy = Policy(),  # noqa: B008 - a tuple
        events: Collection[Event] = tuple(Event),
        drain: float = 0.0,
        on_settled: Callable[[Ping, Attempt], object] | None = None,
        earlier: Callable[[], list[Ping]] = list,
    ) -> None:
        self._client = client
        self._troubles = troubles
        self._on_outcome = on_outcome
        self._on_settled = on_settled
        self._earlier = earlier
        self._policy = policy
        self._capabilities = Capabilities(policy, events)
        self.drain = drain
        self._open()
        register(self)

    def _open(self) -> None:
        self._inbox = Inbox(self._drop, self._in_front)
        self._outcomes = Outcomes(self._troubles, self._on_outcome, self._on_settled)
        shared = Shared(
            self._inbox, self._outcomes, self._troubles, self._capabilities, self._policy
        )
        self._give_work_to(Sender(shared, self._client))

    def _give_work_to(self, sender: Sender) -> None:
        self._sender = sender
        self._thread = ThreadOnDemand(
            lambda: sender.work(sender.stop),
            lambda: sender.has_work and not sender.stop.over,
            self._at_rest,
        )

    @property
    def stats(self) -> Stats:
        """How many pings were delivered, failed, superseded, and are still pending."""
        return self._outcomes.stats

    @property
    def body_limit(self) -> int | None:
        """Bytes of a body that the service keeps, as it last announced; None before it did."""
        return self._sender.body_limit

    def put(self, ping: Ping) -> None:
        """Queue a ping. Returns at once, whoever calls it."""
        if not self._capabilities.wants(ping.event):
            self._troubles.not_sent(ping)
            self._thread.start()
            return
        queued = self._inbox.number(ping)
        try:
            self._outcomes.expect(queued)
            self._inbox.put(queued)
        except BaseException:  # raised by a signal handler: the ping is sent all the same
            self._outcomes.expect_again(queued)
            self._inbox.put(queued)  # a second time does no harm: it has one outcome
            raise
        finally:
            self._thread.start()

    def ask_earlier(self) -> None:
        """Have ``earlier`` called, on the thread that sends, before the next ping is sent."""
        self._inbox.asks_in_front = True

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until every ping that is queued has an outcome, and ``on_outcome`` knows.

        Args:
            timeout: seconds at most; None: as long as it takes.

        Returns:
            Whether all have one. On the delivery's own thread it returns at once, as a wait there
            would never end.
        """
        waiting = Deadline(math.inf if timeout is None else timeout)
        while not (settled := self._outcomes.all_settled):
            if self._thread.is_current or waiting.over:
                break
            # Again and again: a stop() may come in between, and on_outcome may log a marker.
            self._drive_until_sent(waiting, Deadline(waiting.seconds, self._sender.stop))
            self._outcomes.wait_for(lambda: not self._outcomes.calling, waiting)
        return settled

    def stop(self, seconds: float, *, exiting: bool = False) -> None:
        """Deliver what is queued, and give up what can't be delivered in time.

        Args:
            seconds: to wait at most. Called on the thread that sends, it leaves the wait to the
                exit.
            exiting: the interpreter is exiting: all deliveries share one deadline, and Ctrl-C ends
                the wait without propagating.
        """
        thread, sender, begun, is_drained = self._thread, self._sender, monotonic(), False
        if thread.is_current:  # a finalizer, or redact, removes the sink: this thread can't wait
            atexit.register(self.stop, seconds, exiting=True)
            return
        if exiting:
            self._client.at_exit()
        deadline = exit_deadline(seconds) if exiting else Deadline(seconds)
        try:
            with waiting_for_pings():
                is_drained = self._drain(sender, deadline)
        except KeyboardInterrupt:
            if not exiting:
                raise
        finally:
            if sender is self._sender:  # else another thread's stop() was faster
                if is_drained:
                    sender.finish(_THREAD_GRACE_S)
                else:
                    self._replace_worker(monotonic() - begun)
        if exiting:
            grace = Deadline(_EXIT_GRACE_S)
            self._outcomes.end(grace.seconds)
            thread.end(grace.seconds)

    def abort(self) -> None:
        """Abort a ``stop()`` in progress. A signal handler may call this."""
        self._sender.stop.bring_forward(monotonic())
        self._sender.cancel()
        self._outcomes.changed()

    def hurry(self, deadline: Deadline) -> None:
        """Announce when sending has to end: pauses and attempts are shortened."""
        self._sender.stop.bring_forward(deadline.at)
        self._inbox.ring()

    def cut_late_attempt(self) -> None:
        """Cut the attempt in progress off if it is out of time."""
        self._sender.attempt.cut_if_over()

    @property
    def attempt_ends_in(self) -> float:
        """Seconds until an attempt in progress has to end; negative once that has passed."""
        return self._sender.attempt.seconds

    def after_fork(self) -> None:
        """Start over in a forked child: the parent sends its own pings."""
        self._client = self._client.after_fork()
        self._troubles = self._troubles.clone()
        self._open()

    def _at_rest(self) -> None:
        self._outcomes.changed()
        self._thread.start()  # for a ping that was queued while the thread was finishing

    def _in_front(self, number: int) -> list[Queued]:
        try:
            found = [Queued(ping, number) for ping in self._earlier()]
        except Exception:  # noqa: BLE001 - a bug of ours must not end the thread
            self._troubles.raised("the ends of earlier runs can't be sent, please report this:")
            return []
        for queued in found:
            self._outcomes.expect(queued)
        return found

    def _drop(self, queued: Queued) -> None:
        """The inbox is full."""
        self._troubles.dropped(queued.ping, PINGS)
        self._outcomes.settle(queued, queued.unfinished)

    def _drive_until_sent(self, until: Deadline, sending: Deadline) -> bool:
        """Wait until no ping is pending, and send on this thread if no other can be had.

        Args:
            until: how long to wait for another thread.
            sending: when everything has to be sent. An attempt on this thread may take until then:
                it isn't cut short just because there is something to report.
        """
        thread, sender = self._thread, self._sender

        def is_done_or_stranded() -> bool:
            return not self._outcomes.pending or not thread.start()

        while self._outcomes.pending and not until.over and not sending.over:
            if not thread.start() and not thread.begins(_THREAD_GRACE_S):
                thread.run_here(functools.partial(sender.work, sending))
            else:
                self._outcomes.wait_for(is_done_or_stranded, Deadline(until.seconds, sending))
        return not self._outcomes.pending

    def _drain(self, sender: Sender, deadline: Deadline) -> bool:
        """Wait until every ping has its outcome; False if time runs out first."""
        sender.stop.bring_forward(deadline.at)
        self._inbox.ring()  # a pause between attempts ends
        within = Deadline(deadline.seconds, sender.stop)
        notice = Deadline(NOTICE_DELAY_S)
        while True:
            moments = [each.attempt_ends_in for each in deliveries()]
            moments = [max(seconds, _THREAD_GRACE_S) for seconds in moments if seconds > -1]
            if notice.known:
                moments.append(notice.seconds)
            if self._drive_until_sent(Deadline(min(moments, default=math.inf)), within):
                return True
            if within.over:
                return False
            # An attempt that began before this stop doesn't know that there is less time now.
            for each in deliveries():
                each.cut_late_attempt()
            if notice.over and notice.known:
                notice.end_at(math.inf)
                self._troubles.waiting(self._outcomes.pending, within.seconds)

    def _replace_worker(self, waited: float) -> None:
        """Give up what is pending. Later pings get another thread.

        Args:
            waited: seconds so far.
        """
        sender = self._sender
        successor = sender.take_over(_THREAD_GRACE_S)
        pending = self._outcomes.open()
        given_up = [each for each in pending if self._outcomes.settle(each, each.unfinished)]
        if sender is self._sender:  # else another thread's stop() was faster
            self._give_work_to(successor)
        if given_up:
            cause = next((each.last.error for each in given_up if each.last is not None), None)
            self._troubles.given_up([each.ping for each in given_up], waited, cause)
        self._thread.start()  # for pings queued meanwhile
