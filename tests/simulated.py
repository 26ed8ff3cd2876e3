"""A sender whose clock only waits move, and a service that answers as a test says."""

from __future__ import annotations

import itertools
import math
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from loghc import Event, Outcome
from loghc.deadline import Deadline
from loghc.delivery.capabilities import Capabilities
from loghc.delivery.inbox import Inbox
from loghc.delivery.outcomes import Outcomes
from loghc.delivery.policy import Policy
from loghc.delivery.queued import Queued
from loghc.delivery.sender import Sender
from loghc.delivery.shared import Shared
from loghc.delivery.troubles import Troubles
from loghc.log.body import Body
from loghc.ping import Attempt, Ping

_WORDS = {"start": Event.START, "done": Event.SUCCESS, "fail": Event.FAIL, "note": Event.LOG}
_NAMES = {"/start": "start", "": "done", "/fail": "fail", "/log": "note"}

_MAX_IDLE_TURNS = 1000  # that take no time

LOG = b"".join(b"%04d copied a photo\n" % number for number in range(1000))
RECORD = b"sync.error: disk full\n"
NO_ANSWER = Attempt(delivered=False, error="connection refused", transient=True)
WEB_PAGE = Attempt(delivered=True, status=200, is_web_page=True)
STALLED = Attempt(delivered=False, error="timed out", transient=True, was_sending=True)

Answer = Attempt | int


def answered(status: int, **fields: Any) -> Attempt:
    """What a client makes of an answer with this status."""
    if status < 300:
        return Attempt(delivered=True, status=status, **fields)
    transient = status >= 500 or status in (408, 425, 429)
    error = f"{status} said the service"
    return Attempt(delivered=False, status=status, error=error, transient=transient, **fields)


def ping_of(text: str) -> Ping:
    """A ping from words such as ``fail A``, ``3 A`` for an exit status, ``fail A with a log``.

    ``fail A with little log`` has one that is short anyway.
    """
    word, run_id, *more = text.split()
    before = {"a": LOG, "little": LOG[:100]}[more[1]] if more else b""
    headline = b"" if word in ("start", "done", "note", "0") else b"OSError: disk full"
    log = Body(headline, before + RECORD, b"", len(RECORD))
    status = int(word) if word.isdecimal() else None
    event = _WORDS.get(word, Event.FAIL if status else Event.SUCCESS)
    return Ping(event, run_id, lambda: log, status)


def words_of(ping: Ping) -> str:
    """The words for a ping, without what they say of its log."""
    return f"{_NAMES.get(ping.suffix, ping.suffix[1:])} {ping.run_id}"


def _log_of(body: Body) -> str:
    if b"loghc: this ping has the last" in body.footer:
        return "end"
    if b"loghc: this ping has" in body.footer:
        return "record"
    return "all"


class _Client:
    """Answers in place of a service."""

    def __init__(self, play: Play) -> None:
        self.deadline = Deadline()
        self.body_limit = None
        self.closed = 0
        self._play = play

    def clone(self, _within: Deadline) -> _Client:
        return self

    def send(self, ping: Ping, body: Body) -> Attempt:
        return self._play.answer_to(ping, body)

    def cancel(self) -> None:
        self.deadline.cancel()

    def close(self) -> None:
        self.closed += 1


class _Inbox(Inbox):
    play: Play

    def wait(self, seconds: float) -> None:
        self.play.advance(seconds)


class Play:
    """A sender and a service.

    Args:
        answers: to the requests, one after the other, the last one for good; or a function of
            the words for a ping and of how much of its log it has: ``all``, ``end``, ``record``.
        policy: as a delivery's.
        events: as a delivery's.
        took: seconds that each request takes.

    Attributes:
        now: the moment, in seconds from the start.
        requests: of each the moment, the words for the ping, how much of its log it had.
        bodies: of each request.
        outcomes: of each ping the words, and what became of it.
    """

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        answers: Iterable[Answer] | Callable[[str, str], Answer] = (200,),
        policy: Policy = Policy(),  # noqa: B008 - a tuple
        events: Iterable[Event] = tuple(Event),
        took: float = 0.0,
    ) -> None:
        self.now = 0.0
        self.requests: list[tuple[float, str, str]] = []
        self.bodies: list[Body] = []
        self.outcomes: list[tuple[str, str]] = []
        self._took = took
        self._idle_turns = 0
        self._later: list[tuple[float, int, Callable[[], object]]] = []
        self._order = itertools.count()
        self._calls = answers if callable(answers) else None
        self._answers = deque(() if callable(answers) else answers)
        for name, module in list(sys.modules.items()):
            if name.startswith("loghc.") and hasattr(module, "monotonic"):
                monkeypatch.setattr(module, "monotonic", lambda: 1e6 + self.now)
        clock = SimpleNamespace(time=lambda: self.now)  # the play begins with 1970
        monkeypatch.setattr("loghc.delivery.queued.time", clock)
        monkeypatch.setattr(os, "urandom", lambda count: b"\xff" * count)  # the longest waits
        self.owed: list[Ping] = []
        self.inbox = _Inbox(self._drop, self._in_front)
        self.inbox.play = self
        self.troubles = Troubles("here", policy=policy)
        self.counts = Outcomes(self.troubles, None, self._settled)
        shared = Shared(
            self.inbox, self.counts, self.troubles, Capabilities(policy, tuple(events)), policy
        )
        self.client: Any = _Client(self)
        self.sender = Sender(shared, self.client)

    def put(self, *pings: str | Ping) -> None:
        """Queue pings, or those with some words."""
        for ping in pings:
            queued = self.inbox.number(ping_of(ping) if isinstance(ping, str) else ping)
            self.counts.expect(queued)
            self.inbox.put(queued)

    def at(self, moment: float, action: Callable[[], object]) -> None:
        """Call a function at a moment."""
        self._later.append((moment, next(self._order), action))
        self._later.sort()

    def put_at(self, moment: float, *texts: str) -> None:
        """Queue pings at a moment."""
        self.at(moment, lambda: self.put(*texts))

    def stop_in(self, seconds: float) -> None:
        """What a stop does that takes so many seconds at most."""
        self.sender.stop.bring_forward(1e6 + self.now + seconds)

    def run(self, seconds: float = 1e5) -> Play:
        """Send, until nothing waits any more or so many seconds are over."""
        until = self.now + seconds
        while self.now < until:
            self.sender.work(Deadline(until - self.now, self.sender.stop))
            if self.sender.stop.over or not self._later or self._later[0][0] > until:
                break
            self.advance(math.inf)
        return self

    def advance(self, seconds: float) -> None:
        """Let time pass, up to what happens next."""
        moment = self.now + max(0.0, seconds)
        if self._later and self._later[0][0] <= moment:
            self.now, _, action = self._later.pop(0)
            action()
        else:
            assert moment < math.inf, "nobody ends this wait"
            self._idle_turns = self._idle_turns + 1 if moment == self.now else 0
            if self._idle_turns > _MAX_IDLE_TURNS:
                pytest.fail("it waits for no time, again and again")
            self.now = moment

    def answer_to(self, ping: Ping, body: Body) -> Attempt:
        words, log = words_of(ping), _log_of(body)
        self.requests.append((round(self.now, 3), words, log))
        self.bodies.append(body)
        ends = self.now + self._took
        while self.now < ends:
            self.advance(ends - self.now)
        if self._calls is not None:
            answer = self._calls(words, log)
        else:
            answer = self._answers.popleft() if len(self._answers) > 1 else self._answers[0]
        return answer if isinstance(answer, Attempt) else answered(answer)

    @property
    def times(self) -> list[float]:
        """When each request was made."""
        return [moment for moment, *_ in self.requests]

    @property
    def sent(self) -> str:
        """The words for each request."""
        return ", ".join(words for _, words, _ in self.requests)

    @property
    def logs(self) -> str:
        """How much of its log each request had."""
        return ", ".join(log for *_, log in self.requests)

    def logs_of(self, text: str) -> list[str]:
        """How much of its log each request for one ping had."""
        return [log for _, words, log in self.requests if words == text]

    @property
    def became(self) -> str:
        """What became of each ping that has an outcome."""
        return ", ".join(f"{words} {fate}" for words, fate in self.outcomes)

    def _settled(self, ping: Ping, attempt: Attempt | Outcome) -> None:
        fate = "delivered" if attempt.delivered else "superseded" if attempt.superseded else "lost"
        self.outcomes.append((words_of(ping), fate))

    def _drop(self, queued: Queued) -> None:
        self.counts.settle(queued, queued.unfinished)

    def _in_front(self, number: int) -> list[Queued]:
        owed = [Queued(ping, number) for ping in self.owed]
        for each in owed:
            self.counts.expect(each)
        self.owed = []
        return owed
