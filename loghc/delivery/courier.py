"""Sends pings in the order of their markers, on one thread, until each is delivered or reported."""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from loghc.delivery.report import Report
from loghc.ping import Attempt, Event, Outcome, Ping

if TYPE_CHECKING:
    from loghc.service.client import PingClient

__all__ = ["CAPACITY", "THREAD_NAME", "Backoff", "Delivery", "Stats"]

CAPACITY = 32
"""Pings that wait at most; a newer one then takes the place of the oldest."""

THREAD_NAME = "loghc-delivery"

# Seconds without a ping, and with no run open, after which the thread ends. A program that forks
# between its jobs then has one thread, as without loghc: Python 3.12 and newer warn of a fork that
# finds more. In a run it stays: some versions could start none at exit, to tell how the run ended.
_LINGER = 5.0

_PATIENCE = 1.0  # seconds of holding up the app after which it is said
_UNTOLD = 1000  # dropped pings of which on_outcome is yet to be told, at most; the rest is counted
_BRIEFLY = 0.001  # seconds that a marker waits for the lock at most
_GRACE = 0.5  # seconds beyond a stop's deadline for telling on_outcome what was given up


class Backoff(NamedTuple):
    """How long to wait between the attempts for one ping.

    Attributes:
        first: seconds before the second attempt, at most.
        factor: by which each wait exceeds the one before.
        cap: seconds that no wait exceeds, a ``Retry-After`` included.
    """

    first: float = 0.5
    factor: float = 2.0
    cap: float = 60.0

    def wait(self, attempts: int, retry_after: float | None) -> float:
        """Seconds to wait after this many attempts, with jitter: half of it is random."""
        # The exponent is bounded: after a week of outage a float would overflow.
        longest = min(self.cap, self.first * self.factor ** min(attempts - 1, 64))
        # Not the random module: importing it takes longer than importing all of loghc.
        seconds = longest * (1 + os.urandom(1)[0] / 255) / 2
        return seconds if retry_after is None else min(self.cap, max(seconds, retry_after))


@dataclass(frozen=True)
class Stats:
    """Pings counted by what became of them.

    Attributes:
        delivered: the service took them.
        failed: refused, or given up; each was reported.
        pending: still to be delivered.
    """

    delivered: int
    failed: int
    pending: int


class _Queued:
    """A ping on its way to an outcome."""

    def __init__(self, ping: Ping, body: bytes | None = None) -> None:
        self.ping = ping
        self.body = body  # rendered when it is first sent
        self.since = time.monotonic()
        self.attempts = 0
        self.last: Attempt | None = None
        self.evicted = False  # newer pings took its place while it was being sent

    def outcome(self) -> Outcome:
        last = self.last or Attempt(delivered=False, error="dropped before the first attempt")
        return Outcome(
            event=self.ping.event,
            run_id=self.ping.run_id,
            delivered=last.delivered,
            status=last.status,
            error=last.error,
            attempts=self.attempts,
            elapsed=time.monotonic() - self.since,
        )


class _Worker:
    """Whoever sends at the moment: the delivery thread, or a thread that waits for it."""

    def __init__(
        self,
        client: PingClient,
        *,
        tells: bool = False,
        leaving: bool = False,
        deadline: float = math.inf,
    ) -> None:
        self.client = client
        self.thread = threading.current_thread()
        # Calls on_outcome: a thread of ours only. The app's may hold loguru's locks, and a marker
        # that on_outcome logs there would be taken for the app's own.
        self.tells = tells
        self.leaving = leaving  # ends when the queue is empty
        self.deadline = deadline  # monotonic time after which it begins nothing more


class Delivery:
    """A bounded queue of pings, and one daemon thread that sends them.

    The thread starts with the first ping and ends with ``stop``, or when it idles; a later ping
    starts it again.

    Args:
        client: makes the attempts.
        report: tells the troubles.
        on_outcome: called with each Outcome on the delivery thread; what it raises is reported.
            Where the interpreter, at its exit, starts no thread any more, it may not be called.
        backoff: the waits between attempts.
        stays: whether the thread is to stay though there is nothing to send; asked now and then.
    """

    def __init__(
        self,
        client: PingClient,
        report: Report,
        on_outcome: Callable[[Outcome], object] | None = None,
        backoff: Backoff | None = None,
        stays: Callable[[], bool] = bool,
    ) -> None:
        self._client = client
        self._report = report
        self._on_outcome = on_outcome
        self._backoff = backoff or Backoff()
        self._stays = stays
        self._begin()

    def _begin(self) -> None:
        # Guards all that follows. Re-entrant: a signal handler may log a marker while its thread is
        # in here.
        self._changed = threading.Condition(threading.RLock())
        self._queue: deque[_Queued] = deque()
        self._arrived: deque[_Queued] = deque()  # put, and not in the queue yet
        self._active: _Queued | None = None  # taken from the queue, without an outcome yet
        self._lost: deque[_Queued] = deque()  # dropped, but not reported yet
        self._untold: deque[Outcome] = deque()  # of which on_outcome is yet to be told
        self._telling = 0  # pings that are being reported, or told
        self._worker: _Worker | None = None
        self._stop_by = math.inf  # monotonic time at which a stop that is under way gives up
        self._hurried = False  # a stop is to give up
        self._delivered = 0
        self._failed = 0

    @property
    def stats(self) -> Stats:
        """How many pings were delivered, failed, and are still pending."""
        with self._changed:
            self._take_in()
            return Stats(self._delivered, self._failed, self._pending())

    def put(self, ping: Ping) -> None:
        """Queue a ping. Returns at once; the oldest makes room when there is none."""
        self._arrived.append(_Queued(ping))
        # Who holds the lock may be in the middle of a garbage collection, with a finalizer that
        # logs and so waits for the very lock of loguru's that is held here. Then it, or whoever
        # has the lock next, takes the ping in.
        if self._changed.acquire(timeout=_BRIEFLY):
            try:
                self._take_in()
            finally:
                self._changed.release()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until every ping that is queued has an outcome.

        Args:
            timeout: seconds at most; None: as long as it takes.

        Returns:
            Whether all have one. On the delivery thread at once, as waiting could not help there.
        """
        until = math.inf if timeout is None else time.monotonic() + timeout
        with self._changed:
            if self._is_worker():
                return self._idle()
            self._take_in()
            if self._worker is not None or not self._queue:
                longest = None if timeout is None else min(timeout, threading.TIMEOUT_MAX)
                return self._changed.wait_for(self._idle, longest)
            # At once: another thread may wait, too.
            worker = self._take_over(min(until, self._stop_by))
        self._work(worker)
        self._tell_in_time()
        with self._changed:
            return self._idle()

    def stop(self, seconds: float, *, exiting: bool = False) -> None:
        """Deliver what is queued, give up what can't be within the time, and end the thread.

        Args:
            seconds: to wait at most.
            exiting: the interpreter exits; Ctrl-C then ends the wait, and goes no further.
        """
        begun = time.monotonic()
        try:
            self._drain(begun + seconds)
        except KeyboardInterrupt:
            if not exiting:
                raise
        finally:
            self._give_up(time.monotonic() - begun)

    def hurry(self) -> None:
        """Have a stop that is under way give up now. A signal handler may call this."""
        with self._changed:
            self._hurried = True
            self._stop_by = min(self._stop_by, time.monotonic())
            worker = self._worker
            if worker is not None:
                worker.deadline = self._stop_by
            self._changed.notify_all()
        if worker is not None:
            worker.client.cancel()

    def after_fork(self) -> None:
        """Begin anew in a forked child: the parent's pings are the parent's to send."""
        self._client = self._client.after_fork()
        self._report = self._report.renewed()
        self._begin()

    # Called with the lock held.

    def _take_in(self) -> None:
        """Move what was put into the queue, and see that somebody sends it."""
        while self._arrived:
            self._queue.append(self._arrived.popleft())
            active = self._active if self._active and not self._active.evicted else None
            if len(self._queue) + (active is not None) > CAPACITY:
                if active is not None:
                    active.evicted = True
                else:
                    oldest = self._queue.popleft()
                    oldest.evicted = True
                    self._lose(oldest)
            self._changed.notify_all()
        self._start()

    def _pending(self) -> int:
        return len(self._queue) + (self._active is not None)

    def _idle(self) -> bool:
        """Whether every ping has an outcome, and on_outcome knows."""
        self._take_in()
        return not (self._queue or self._active or self._lost or self._untold or self._telling)

    def _is_worker(self) -> bool:
        return self._worker is not None and self._worker.thread is threading.current_thread()

    def _start(self) -> None:
        if self._worker is not None or not self._queue:
            return
        if time.monotonic() >= self._stop_by:
            return  # the worker ended with its time, and the stop is about to report what is left
        worker = self._new_worker(
            tells=True, leaving=self._stop_by < math.inf, deadline=self._stop_by
        )
        worker.thread = threading.Thread(
            target=self._work, args=(worker,), name=THREAD_NAME, daemon=True
        )
        self._worker = worker
        try:
            worker.thread.start()
        except RuntimeError:
            # Python 3.12 starts no thread in an atexit callback, and a machine may have none left.
            # The next ping tries again; stop() and wait() deliver on the thread that calls them.
            self._worker = None

    def _take_over(self, deadline: float) -> _Worker:
        """Make the calling thread the worker; it is to call ``_work`` then."""
        self._worker = self._new_worker(leaving=True, deadline=deadline)
        return self._worker

    def _new_worker(self, **options: Any) -> _Worker:
        # With a client of its own: the worker before it may not have closed its connection yet.
        self._client = self._client.renewed()
        return _Worker(self._client, **options)

    def _lose(self, queued: _Queued) -> None:
        self._failed += 1
        queued.body = None
        queued.ping = queued.ping._replace(body=bytes)  # lets go of the log
        if len(self._lost) < _UNTOLD:
            self._lost.append(queued)

    # Called without the lock held.

    def _drain(self, deadline: float) -> None:
        with self._changed:
            self._stop_by = deadline
            worker = self._worker
            here = worker is None or worker.thread is threading.current_thread()
            if worker is None or here:
                worker = self._take_over(deadline)
            worker.leaving, worker.deadline = True, deadline
            self._changed.notify_all()
        if here:
            self._work(worker)
            return
        said = False
        while True:
            with self._changed:
                left = deadline - time.monotonic()
                done = self._changed.wait_for(
                    lambda: self._idle() or self._hurried, min(left, _PATIENCE)
                )
                left = deadline - time.monotonic()
                pending = self._pending()
                held_up = self._telling > 0 and self._active is None and not done and left > 0
                if held_up:
                    # on_outcome takes its time; it may even wait for a lock that stop()'s caller
                    # holds. What is left is delivered without it.
                    worker = self._take_over(deadline)
            if held_up:
                self._work(worker)
            if done or held_up or left <= 0:
                return
            if not said:
                said = True
                self._report.waiting(pending, left)

    def _give_up(self, waited: float) -> None:
        """Take the work from the worker, and report what it did not do."""
        with self._changed:
            self._take_in()
            worker, self._worker = self._worker, None
            self._stop_by, self._hurried = math.inf, False
            given_up = [*([self._active] if self._active else []), *self._queue]
            self._active = None
            self._queue.clear()
            for queued in given_up:
                self._lose(queued)
            self._changed.notify_all()
        if worker is not None:
            worker.client.cancel()
        if given_up:
            self._report.undelivered([queued.ping for queued in given_up], waited, _cause(given_up))
        while self._report_lost(_Worker(self._client)):
            pass
        self._tell_in_time()

    def _tell_in_time(self) -> None:
        """Tell on_outcome what it is yet to be told, without holding up the app for long."""
        if self._on_outcome is not None and self._untold:
            teller = _Worker(self._client, tells=True)
            thread = threading.Thread(
                target=self._tell_untold, args=(teller,), name=THREAD_NAME, daemon=True
            )
            with contextlib.suppress(RuntimeError):  # no more threads
                thread.start()
                with self._changed:
                    self._changed.wait_for(lambda: not self._untold and not self._telling, _GRACE)
        with self._changed:
            self._untold.clear()

    def _work(self, worker: _Worker) -> None:
        try:
            while True:
                self._tell_untold(worker)
                if self._report_lost(worker):
                    continue
                queued = self._next(worker)
                if queued is not None:
                    self._deliver_or_lose(worker, queued)
                elif not self._lost:
                    return
        finally:
            worker.client.close()
            with self._changed:
                if self._worker is worker:
                    self._worker = None

    def _next(self, worker: _Worker) -> _Queued | None:
        """The next ping to send; None when there is something else to do, or nothing any more."""
        with self._changed:
            while not self._changed.wait_for(
                lambda: (
                    self._arrived
                    or self._queue
                    or self._lost
                    or worker.leaving
                    or self._worker is not worker
                ),
                _LINGER,
            ):
                if not self._stays():
                    break
            self._take_in()
            if self._lost or self._worker is not worker or time.monotonic() >= worker.deadline:
                return None
            if not self._queue:
                self._worker = None  # at once: a ping put now needs a new one
                return None
            self._active = self._queue.popleft()
            return self._active

    def _deliver_or_lose(self, worker: _Worker, queued: _Queued) -> None:
        try:
            self._deliver(worker, queued)
        except Exception:  # noqa: BLE001 - a bug of ours must not end the thread
            self._report.raised("a ping could not be handled, please report this:")
            with self._changed:
                if self._active is queued:
                    self._active = None
                    self._lose(queued)
        except BaseException:  # Ctrl-C, on a thread of the app's: the ping waits for another worker
            with self._changed:
                if self._active is queued:
                    self._active = None
                    self._queue.appendleft(queued)
            raise

    def _deliver(self, worker: _Worker, queued: _Queued) -> None:
        if queued.body is None:
            queued.body = self._rendered(queued.ping)
        tries, leaving = 0, worker.leaving
        while True:
            attempt = worker.client.send(
                queued.ping, queued.body, worker.deadline - time.monotonic()
            )
            with self._changed:
                if self._worker is not worker:
                    return  # given up meanwhile, and reported
                queued.attempts += 1
                queued.last = attempt
                if attempt.delivered or not attempt.transient or queued.evicted:
                    self._settle(queued, attempt)
                    break
            self._report.retrying(queued.ping, attempt, queued.attempts)
            if worker.leaving is not leaving:  # little time is left: the waits begin short again
                tries, leaving = 0, worker.leaving
            tries += 1
            seconds = self._backoff.wait(tries, attempt.retry_after)
            if seconds > worker.deadline - time.monotonic():
                # The service asks for more time than there is: to obey it would lose the ping.
                seconds = self._backoff.wait(tries, None)
            if not self._pause(worker, queued, seconds, leaving=leaving):
                return
        self._report_one(worker, queued)

    def _rendered(self, ping: Ping) -> bytes:
        try:
            return ping.body()
        except Exception:  # noqa: BLE001 - a ping without its log is worth more than none
            self._report.raised("the log could not be attached to a ping, please report this:")
            return b"loghc: the log could not be attached."

    def _pause(self, worker: _Worker, queued: _Queued, seconds: float, *, leaving: bool) -> bool:
        """Wait before the next attempt; False when there will be none.

        A stop ends the wait. ``leaving`` says whether one was known when the wait was chosen: it
        may have come since.
        """
        until = min(time.monotonic() + seconds, worker.deadline)
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    queued.evicted or worker.leaving is not leaving or self._worker is not worker
                ),
                max(0.0, until - time.monotonic()),
            )
            if self._worker is not worker:
                return False  # given up meanwhile, and reported
            if queued.evicted:
                self._active = None
                self._lose(queued)
                return False
            if time.monotonic() >= worker.deadline:
                self._active = None
                self._queue.appendleft(queued)
                return False
        return True

    def _settle(self, queued: _Queued, attempt: Attempt) -> None:
        """With the lock held."""
        self._active = None
        self._telling += 1
        if not attempt.delivered:
            self._failed += 1
            return
        self._delivered += 1
        if attempt.kept and queued.ping.event.ends_run:
            # The service kept the front of the body, and the end is what matters.
            end = Ping(Event.LOG, queued.ping.run_id, queued.ping.body)
            self._queue.appendleft(_Queued(end, queued.body))

    def _report_lost(self, worker: _Worker) -> bool:
        """Report one ping that was dropped; False when there is none."""
        with self._changed:
            if not self._lost:
                return False
            queued = self._lost.popleft()
            self._telling += 1
        self._report_one(worker, queued)
        return True

    def _report_one(self, worker: _Worker, queued: _Queued) -> None:
        """Report a ping's outcome; ``_telling`` was counted up for it."""
        attempt = queued.last
        if attempt is not None and attempt.delivered:
            self._report.delivered(queued.ping, self._failed)
        elif attempt is not None and not attempt.transient:
            self._report.lost(queued.ping, attempt)
        elif queued.evicted:
            self._report.dropped(queued.ping, CAPACITY)
        with self._changed:
            self._telling -= 1
            if self._on_outcome is not None:
                self._untold.append(queued.outcome())
            self._changed.notify_all()
        self._tell_untold(worker)

    def _tell_untold(self, worker: _Worker) -> None:
        """Call on_outcome, if this worker may, for every ping of which it is yet to be told."""
        while worker.tells and self._on_outcome is not None:
            with self._changed:
                if not self._untold:
                    return
                outcome = self._untold.popleft()
                self._telling += 1
            try:
                self._on_outcome(outcome)
            except KeyboardInterrupt:
                raise
            except BaseException:  # noqa: BLE001 - the app's own function may raise what it likes
                self._report.raised("on_outcome raised, which changes nothing for the ping:")
            finally:
                with self._changed:
                    self._telling -= 1
                    self._changed.notify_all()


def _cause(given_up: list[_Queued]) -> str | None:
    """The first known reason why pings could not be delivered."""
    return next((queued.last.error for queued in given_up if queued.last is not None), None)
