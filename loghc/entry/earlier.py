"""Sends what earlier processes owe a check: undelivered ends, and runs that were cut off."""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any, Protocol

from loghc.entry.claim import Claim
from loghc.entry.collector import Collector, Facts
from loghc.entry.owed import Owed
from loghc.fork import InChild, in_child
from loghc.log.body import Body, moment
from loghc.log.headline import after, of_traceback
from loghc.log.redaction import Redactor, redactor
from loghc.log.tail import Snapshot
from loghc.ping import Event
from loghc.portable.run_ids import run_id_from
from loghc.report import Once, report
from loghc.utf8 import encode

if TYPE_CHECKING:
    from loghc.entry.black_box import BlackBox

__all__ = ["EarlierRuns", "LazyBody", "PingQueue"]

_OTHER_VERSION = "loghc: its log was kept by another version of loghc, and can't be read"
_WATCHER_DIED = "cut off: loghc died with this run (a power failure, a killed container)"
_WATCHER_KILLED = "cut off: loghc was killed in this run, and how the program ended isn't known"
_ENDED_LATER = " (loghc was killed in this run, so its exit status isn't known)"
_PROCESS_DIED = "cut off: the process died in this run (killed, out of memory, a power failure)"
_LOG_DROPPED = "loghc: its log was dropped to make room for newer ones"
_NEWER_END = "loghc: a newer run of this check has ended since; so this is a note"
_WITHHELD = (
    "an earlier process's log is not sent: its HealthSink says send_logs=False, or has a redact "
    "rule that can't be passed to another process."
)

_once = Once()
_claims: set[Claim] = set()  # that this process holds


def _let_go() -> None:
    """In a forked child: leave the parent's claims to the parent."""
    while _claims:
        _claims.pop().release()


in_child(InChild.REPORT, _let_go)


class PingQueue(Protocol):
    """Takes the pings of earlier runs."""

    def put_late(
        self, event: Event, run_id: str, body: Callable[[], Body], exit_status: int | None = None
    ) -> bool:
        """Queue the end of an earlier run; False if its event isn't one to send."""

    def render(self, log: Snapshot, **around: Any) -> Callable[[], Body]:
        """A function that renders a body, which is not queued yet."""


class LazyBody:
    """A ping's body, rendered when it is first asked for."""

    def __init__(self, render: Callable[[], Body]) -> None:
        self._render = render
        self._body: Body | None = None
        self._lock = threading.Lock()

    def __call__(self) -> Body:
        """The body, the same each time."""
        with self._lock:
            if self._body is None:
                self._body = self._render()
            return self._body


class EarlierRuns:
    """What dead processes owe one check, until it has been sent.

    Args:
        limit: the most bytes of log in a ping.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._left: dict[str, Claim] = {}  # by run id

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._left

    def send(self, box: BlackBox, check: str, queue: PingQueue) -> None:
        """Claim what is owed, and queue it.

        Raises:
            OSError: the state directory can't be read.
        """
        self.send_claims(box.claim(check), queue, *box.newest_end(check))

    def send_claims(
        self,
        claims: Iterable[Claim],
        queue: PingQueue,
        newest: float = -math.inf,
        lived: Collection[str] = (),
    ) -> None:
        """Queue what some entries owe.

        Args:
            claims: the entries.
            queue: takes the pings.
            newest: when the newest end that was delivered for their check came, in seconds of the
                wall clock.
            lived: the names of the entries whose processes lived then.
        """
        for claim in claims:
            _claims.add(claim)
            try:
                owed = claim.owed()
                events = [Event(each.event) for each in owed]
            except (ValueError, KeyError) as error:
                report(
                    f"an earlier run's end can't be sent, what was kept of it is damaged: {error}."
                )
                owed, events = [], []
            queued = False
            for event, each in zip(events, owed, strict=True):
                run_id = run_id_from(each.run_id)
                is_late = each.happened < newest and claim.name not in lived
                body = self._body(claim, event, each, queue, is_late=is_late)
                status = None if is_late else each.status
                self._left[run_id] = claim
                if queue.put_late(Event.LOG if is_late else event, run_id, body, status):
                    queued = True
                else:
                    del self._left[run_id]
            if not queued:
                _forget(claim)

    def settled(self, run_id: str) -> bool:
        """Note that a run's ping has its final outcome; returns whether it was one of these."""
        claim = self._left.pop(run_id, None)
        if claim is None:
            return False
        if claim not in self._left.values():
            _forget(claim)
        return True

    def after_fork(self) -> None:
        """In a forked child: leave these to the parent."""
        self._left.clear()

    def _body(
        self, claim: Claim, event: Event, owed: Owed, queue: PingQueue, *, is_late: bool
    ) -> Callable[[], Body]:
        lines = [_NEWER_END] if is_late else []
        if claim.counted:
            lines.append(f"loghc: {claim.counted:,} more failures before it are only counted here")
        if claim.log_dropped:
            lines.append(_LOG_DROPPED)
        if claim.body is not None:
            kept = claim.body
            body = Body.of_failure(kept) if event is Event.FAIL else Body(log=kept)
            footer = body.footer + encode("".join(f"{line}\n" for line in lines))
            late = body._replace(footer=footer)
            return LazyBody(functools.partial(late.late, owed.happened))
        options = claim.options()
        if any((key, value) in (("send_logs", "0"), ("redact", "")) for key, value in options):
            _once.report("withheld", _WITHHELD)
            return Body
        return LazyBody(functools.partial(self._rendered, claim, owed, queue, lines, options))

    def _rendered(
        self,
        claim: Claim,
        owed: Owed,
        queue: PingQueue,
        lines: list[str],
        options: list[tuple[str, str]],
    ) -> Body:
        with claim.rings() as rings:
            collector = Collector(rings, self._limit)
            collector.load_printed()
            log, facts = collector.read(owed.until_ns)
        redact = redactor([value for key, value in options if key == "redact"])
        if facts.unreadable:
            lines = [*lines, _OTHER_VERSION]
        headline = owed.cause
        if owed.began is not None:
            headline = _death(owed) or _cut_off(claim, owed.began, facts)
        render = queue.render(
            _redacted(log, redact),
            headline=headline if redact is None else redact(headline),
            tracebacks=[traceback.text for traceback in facts.tracebacks],
            lines=lines,
        )
        body = render()
        limits = [int(value) for key, value in options if key == "limit" and value.isdigit()]
        if limits:
            body = body._replace(limit=min([*limits, *([body.limit] if body.limit else [])]))
        return body if owed.began is not None else body.late(owed.happened)


def _death(owed: Owed) -> str:
    """How the process of a run that was cut off died; empty if nobody saw it."""
    if not owed.cause or owed.began is None:
        return ""
    return owed.cause + after(max(0.0, owed.happened - owed.began))


def _cut_off(claim: Claim, began: float, facts: Facts) -> str:
    if "through" in claim.fields:
        cause = _PROCESS_DIED
    elif not claim.died_here:
        cause = _WATCHER_DIED
    else:
        cause = _WATCHER_KILLED
        # If there are several processes, another one's exception may not be the cause.
        ended = [each for each in facts.tracebacks if each.ended]
        if ended and facts.rings == 1:
            cause = of_traceback(ended[0].text) + _ENDED_LATER
    seen = f", last logged at {moment(facts.last_wall_ns / 1e9)}" if facts.last_wall_ns else ""
    return f"{cause}; it began at {moment(began)}{seen}"


def _redacted(log: Snapshot, redact: Redactor | None) -> Snapshot:
    if redact is None:
        return log
    chunks = (encode(redact(chunk.decode("utf-8", "replace"))) for chunk in log.chunks)
    return Snapshot(tuple(chunks), begins_inside_record=log.begins_inside_record)


def _forget(claim: Claim) -> None:
    claim.remove()
    claim.release()
    _claims.discard(claim)
