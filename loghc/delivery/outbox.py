"""The pings that wait to be sent, bounded, and what is left out when there are too many."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from queue import Empty, SimpleQueue

from loghc.ping import Attempt, Event, Ping

__all__ = ["LOGS", "PINGS", "Outbox", "Queued"]

LOGS = 32
"""Logs that are held at most, with the one that is being sent."""

PINGS = 10_000
"""Pings that wait at most."""

LOG_LEFT_OUT = b"loghc: the log was left out, as more pings waited than logs are kept for.\n"
"""The body of a ping whose log made room for others."""

# Whose log goes first. Of two that are alike, the older one's.
_LOG_MATTERS = {Event.START: 0, Event.LOG: 1, Event.SUCCESS: 2, Event.FAIL: 3}


class Queued:
    """A ping on its way to an outcome.

    Attributes:
        ping: what to send.
        since: when it was queued, in seconds of the monotonic clock.
        body: what to attach, once it was rendered.
        attempts: requests made for it so far, the one in progress included.
        last: what the last finished one came to.
        dropped: it made room for others.
    """

    __slots__ = ("attempts", "body", "dropped", "last", "ping", "since")

    def __init__(self, ping: Ping, body: bytes | None = None) -> None:
        self.ping = ping
        self.since = time.monotonic()
        self.body = body
        self.attempts = 0
        self.last: Attempt | None = None
        self.dropped = False

    @property
    def unfinished(self) -> Attempt:
        """What to say of it if nothing more is tried."""
        if self.last is not None:
            return self.last._replace(delivered=False)
        error = "no answer came in time" if self.attempts else "dropped before the first attempt"
        return Attempt(delivered=False, error=error)

    def leave_out_log(self) -> None:
        """Let go of the log; a line in its place says so."""
        self.ping = self.ping._replace(body=_log_left_out)


def _log_left_out() -> bytes:
    return LOG_LEFT_OUT


class Outbox:
    """A bounded queue.

    ``put`` waits for no lock and makes each change by one operation of a deque or dict, which
    nothing can interrupt: a signal handler, or a finalizer, may call it in the middle of itself,
    and an exception out of a signal handler leaves the queue whole. The other methods are for
    the one thread that sends.

    Attributes:
        left_out: logs that were left out so far.
    """

    def __init__(self) -> None:
        self.left_out = 0
        self._waiting: deque[Queued] = deque()
        self._dropped: deque[Queued] = deque()
        self._with_log: deque[Queued] = deque()
        self._starts: dict[str, Queued] = {}  # by run id, those whose ends don't wait
        self._spare_starts: deque[Queued] = deque()  # those whose ends wait too
        self._successes: deque[Queued] = deque()
        self._bell: SimpleQueue[None] = SimpleQueue()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._dropped)

    def put(self, queued: Queued) -> None:
        """Add a ping. Returns at once; what matters least makes room when there is none."""
        event, run_id = queued.ping.event, queued.ping.run_id
        self._waiting.append(queued)
        self._with_log.append(queued)
        if event is Event.START:
            self._starts[run_id] = queued
        elif event.ends_run:
            start = self._starts.pop(run_id, None)
            if start is not None:
                self._spare_starts.append(start)
            if event is Event.SUCCESS:
                self._successes.append(queued)
        while len(self._with_log) >= LOGS:
            self._leave_out_a_log()
        while len(self._waiting) > PINGS:
            self._drop_one()
        self.ring()

    def put_back(self, queued: Queued) -> None:
        """Make a ping the next one to be taken."""
        self._waiting.appendleft(queued)

    def take(self) -> Queued | None:
        """The next ping to deal with, also one that was dropped; None when none waits."""
        try:
            queued = self._dropped.popleft() if self._dropped else self._waiting.popleft()
        except IndexError:  # a put has dropped the last one just now
            return None
        for index in (self._with_log, self._spare_starts, self._successes):
            _discard(index, queued)
        if self._starts.get(queued.ping.run_id) is queued:
            self._starts.pop(queued.ping.run_id, None)
        return queued

    def ring(self) -> None:
        """Wake whoever waits for something to do."""
        self._bell.put(None)

    def wait(self, seconds: float) -> None:
        """Wait until a ping is put, or somebody rings."""
        with contextlib.suppress(Empty):
            self._bell.get(timeout=max(0.0, seconds))

    def _leave_out_a_log(self) -> None:
        with_log = list(self._with_log)
        if not with_log:
            return
        queued = min(with_log, key=lambda each: _LOG_MATTERS[each.ping.event])
        if _discard(self._with_log, queued):
            queued.leave_out_log()
            self.left_out += 1

    def _drop_one(self) -> None:
        for index in (self._spare_starts, self._successes, self._waiting):
            try:
                queued = index.popleft()
            except IndexError:
                continue
            if index is self._waiting or _discard(self._waiting, queued):
                _discard(self._with_log, queued)
                queued.dropped = True
                queued.leave_out_log()
                self._dropped.append(queued)
            return


def _discard(index: deque[Queued], queued: Queued) -> bool:
    """Remove a ping from a deque; False when another thread did so before."""
    try:
        index.remove(queued)
    except ValueError:
        return False
    return True
