"""The service behind the receiver's sockets: it judges requests and remembers them."""

from __future__ import annotations

import threading
from collections import deque
from datetime import datetime, timezone
from typing import Final, NamedTuple

from loghc.testing.faults import Fault, FaultScript, is_answered, is_counted
from loghc.testing.protocol import Answer, Checks, Verdict
from loghc.testing.requests import ReceivedPing, ReceivedRequest, RequestHead

__all__ = ["Service"]

# About what the objects of one request take in memory besides its text.
_OVERHEAD_BYTES: Final = 2_000


class _Entry(NamedTuple):
    request: ReceivedRequest
    ping: ReceivedPing | None
    size: int  # bytes


class Service:
    """The checks, what arrived for them, and the faults to play; the server's threads share it.

    Every method but those of `checks` and `faults` may be called from any thread; for those two,
    hold `changed`.
    """

    def __init__(self, history_limit: int) -> None:
        self.body_limit: int | None = None
        self.changed = threading.Condition()  # reentrant
        self.checks = Checks()
        self.faults = FaultScript()
        self.dropped_requests = 0
        self._pings_taken = 0
        self._history_limit = history_limit
        self._history: deque[_Entry] = deque()
        self._size = 0

    @property
    def pings(self) -> tuple[ReceivedPing, ...]:
        """The pings that are kept, in order of arrival."""
        with self.changed:
            return tuple(entry.ping for entry in self._history if entry.ping is not None)

    @property
    def requests(self) -> tuple[ReceivedRequest, ...]:
        """The requests that are kept, in order of arrival."""
        with self.changed:
            return tuple(entry.request for entry in self._history)

    def wait(self, count: int, timeout: float) -> tuple[ReceivedPing, ...]:
        """Wait for pings; see `PingReceiver.wait`."""
        with self.changed:
            if self.changed.wait_for(lambda: self._pings_taken >= count, timeout):
                return self.pings
            raise AssertionError(self._shortfall(count, timeout))

    def clear(self) -> None:
        """Forget all requests and pings, and how many there were."""
        with self.changed:
            self._history.clear()
            self._size = self._pings_taken = self.dropped_requests = 0

    def next_fault(self) -> Fault:
        """Return the fault that the request now arriving meets."""
        with self.changed:
            return self.faults.next()

    def receive(self, head: RequestHead, body: bytes, fault: Fault) -> Answer:
        """Judge a whole request, remember it, and return the answer."""
        with self.changed:
            verdict = self.checks.judge(head, body)
            answer = Answer.to(verdict, fault, self.body_limit)
            status = answer.status if is_answered(fault) else None
            self._remember(head, body, status, verdict if is_counted(fault) else None)
            self.changed.notify_all()
        return answer

    def note(self, head: RequestHead, body: bytes, status: int | None) -> None:
        """Remember a request that can't be a ping, and the status of its answer."""
        with self.changed:
            self._remember(head, body, status, None)

    def _remember(
        self, head: RequestHead, body: bytes, status: int | None, verdict: Verdict | None
    ) -> None:
        now = datetime.now(timezone.utc)
        ping = None
        if verdict is not None and verdict.check is not None:
            ping = ReceivedPing(
                event=verdict.event,
                path=head.path,
                query=head.query,
                run_id=verdict.run_id,
                exit_status=verdict.exit_status,
                body=body[: self.body_limit] if verdict.reads_body else b"",
                headers=head.headers,
                time=now,
                method=head.method,
                duration=verdict.check.take(verdict.event, verdict.run_id),
                slug=verdict.check.slug,
            )
            self._pings_taken += 1
        request = ReceivedRequest(
            method=head.method,
            path=head.path,
            query=head.query,
            headers=head.headers,
            body=body,
            status=status,
            accepted=ping is not None,
            time=now,
        )
        entry = _Entry(request, ping, _size_of(request, ping))
        self._history.append(entry)
        self._size += entry.size
        while self._size > self._history_limit and len(self._history) > 1:
            self._size -= self._history.popleft().size
            self.dropped_requests += 1

    def _shortfall(self, count: int, timeout: float) -> str:
        requests = self.requests
        lines = [f"{self._pings_taken} of {count} pings came within {timeout:g} s"]
        lines += [f"  {n}. {ping}" for n, ping in enumerate(self.pings, 1)]
        refused = [request for request in requests if not request.accepted]
        if refused:
            lines.append(f"{len(requests)} requests came; not accepted:")
            lines += [f"  - {request}" for request in refused]
        if self.dropped_requests:
            lines.append(f"dropped, so not listed: the {self.dropped_requests} oldest requests")
        return "\n".join(lines)


def _size_of(request: ReceivedRequest, ping: ReceivedPing | None) -> int:
    """About how many bytes of memory a request and its ping take."""
    text = len(request.path) + len(request.query)
    text += sum(len(name) + len(value) for name, value in request.headers.items())
    cut_body = 0 if ping is None or ping.body is request.body else len(ping.body)
    return _OVERHEAD_BYTES + text + len(request.body) + cut_body
