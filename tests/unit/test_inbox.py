"""The queue between the app's threads and the thread that sends, against the plainest model."""

from __future__ import annotations

import random
import threading

import pytest

from loghc import Event
from loghc.delivery.inbox import Inbox
from loghc.delivery.queued import LOG_LEFT_OUT, Queued
from loghc.log.body import Body
from loghc.ping import Ping
from waiting import wait_until_in

_EVENTS = (Event.START, Event.LOG, Event.SUCCESS, Event.FAIL)  # the least important first
_LOGS, _PINGS = 4, 6


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loghc.delivery.inbox.LOGS", _LOGS)
    monkeypatch.setattr("loghc.delivery.inbox.PINGS", _PINGS)


def nothing_in_front(_: int) -> list[Queued]:
    raise AssertionError("nobody asked for what goes in front")


class Model:
    """A list of all pings that wait, in order."""

    def __init__(self) -> None:
        self.waiting: list[Queued] = []
        self.dropped: list[Queued] = []
        self.with_log: list[Queued] = []
        self.left_out: set[Queued] = set()

    def put(self, queued: Queued) -> None:
        self.waiting.append(queued)
        if queued.has_log:
            self.with_log.append(queued)
        if len(self.with_log) >= _LOGS:
            self.left_out.add(least := self._least(self.with_log))
            self.with_log.remove(least)
        if len(self.waiting) > _PINGS:
            least = self._least(self.waiting)
            self.waiting.remove(least)
            self.dropped.append(least)
            self.forget(least)

    def forget(self, queued: Queued) -> None:
        if queued in self.with_log:
            self.with_log.remove(queued)

    @staticmethod
    def _least(pings: list[Queued]) -> Queued:
        return min(pings, key=lambda each: (_EVENTS.index(each.ping.event), each.number))


@pytest.mark.parametrize("seed", range(10))
def test_it_keeps_order_and_drops_what_matters_least(seed: int) -> None:
    chance = random.Random(seed)
    dropped: list[Queued] = []
    inbox, model = Inbox(dropped.append, nothing_in_front), Model()
    everything: list[Queued] = []
    taken: list[Queued] = []
    for _ in range(200):
        kind = chance.random()
        if kind < 0.8:
            body = (lambda: Body(log=b"x")) if chance.random() < 0.8 else Body
            queued = inbox.number(Ping(chance.choice(_EVENTS), "a run", body))
            everything.append(queued)
            inbox.put(queued)
            model.put(queued)
        elif kind < 0.9:
            taken = inbox.take()
            assert taken == model.waiting
            model.waiting = []
        elif taken:
            gone = taken.pop()
            inbox.forget_log(gone)
            model.forget(gone)
        assert len(inbox) == len(model.waiting)
        assert dropped == model.dropped
    assert len(dropped) > 5
    assert [each.number for each in everything] == list(range(len(everything)))
    left_out = {each for each in everything if each.has_log and each.ping.body() is LOG_LEFT_OUT}
    assert left_out == model.left_out
    assert len(left_out) > 5


def test_what_was_asked_for_goes_in_front_once() -> None:
    asked: list[int] = []
    owed = Queued(Ping(Event.FAIL, "an old run", Body))

    def in_front(number: int) -> list[Queued]:
        asked.append(number)
        return [owed]

    inbox = Inbox(print, in_front)
    first, second = (inbox.number(Ping(Event.START, "a run", Body)) for _ in range(2))
    inbox.put(second)
    inbox.put(first)
    inbox.asks_in_front = True
    assert inbox.take() == [owed, first, second]
    assert inbox.take() == []
    inbox.asks_in_front = True
    assert inbox.take() == [owed]
    assert asked == [0, 2]


def test_a_body_that_is_rendered_is_not_left_out() -> None:
    queued = Queued(Ping(Event.FAIL, "a run", lambda: Body(log=b"whole")))
    queued.body = queued.ping.body()
    queued.leave_out_log()
    assert queued.ping.body() == Body(log=b"whole")


def test_whoever_waits_is_woken_by_a_ping_or_a_ring() -> None:
    inbox = Inbox(print, nothing_in_front)
    for wake in (lambda: inbox.put(inbox.number(Ping(Event.START, "a run", Body))), inbox.ring):
        waiting = threading.Thread(target=inbox.wait, args=(60,))
        waiting.start()
        wait_until_in(waiting, "wait")
        wake()
        waiting.join(20)
        assert not waiting.is_alive()
