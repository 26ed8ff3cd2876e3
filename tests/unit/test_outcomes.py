"""What became of pings: counted once, whoever settles them, and the app is told."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from loghc import Event, Outcome, Stats
from loghc.callbacks import within_callback
from loghc.deadline import Deadline
from loghc.delivery import thread
from loghc.delivery.outcomes import Outcomes, is_settled
from loghc.delivery.policy import Backoff
from loghc.delivery.queued import SUPERSEDED, Queued
from loghc.delivery.tally import Tally
from loghc.delivery.troubles import Troubles
from loghc.log.body import Body
from loghc.ping import Attempt, Ping
from simulated import answered
from waiting import in_threads, refuse_thread, seconds_for, wait_until, wait_until_in

DELIVERED = answered(200)
LOST = answered(410)


def queued(number: int = 0) -> Queued:
    return Queued(Ping(Event.FAIL, "a run", Body), number)


@pytest.mark.parametrize(
    ("status", "owed"),
    [
        (200, False), (399, True), (400, False), (404, False), (408, True), (425, True),
        (429, True), (499, False), (500, True), (503, True), (None, True),
    ],
)  # fmt: skip
def test_what_is_owed_after_an_answer(status: int | None, owed: bool) -> None:
    attempt = Attempt(delivered=status == 200, status=status)
    assert is_settled(attempt) is not owed
    assert is_settled(attempt._replace(superseded=True))


def test_each_ping_counts_once() -> None:
    settled: list[tuple[Ping, Attempt]] = []
    outcomes = Outcomes(Troubles("here"), None, lambda *pair: settled.append(pair))
    pings = [queued(number) for number in range(5)]
    for each in pings:
        outcomes.expect(each)
    assert outcomes.stats == Stats(0, 0, 5)
    assert outcomes.open() == pings
    assert outcomes.settle(pings[0], DELIVERED)
    assert not outcomes.settle(pings[0], LOST)
    assert outcomes.settle(pings[1], LOST)
    assert outcomes.settle(pings[2], SUPERSEDED)
    outcomes.withdraw(pings[3])
    assert not outcomes.settle(pings[3], LOST)
    assert outcomes.stats == Stats(1, 1, 1, 1)
    assert outcomes.pending == 1
    assert outcomes.open() == [pings[4]]
    assert [attempt for _, attempt in settled] == [DELIVERED, LOST, SUPERSEDED]
    assert [each.settled for each in pings] == [True, True, True, True, False]
    outcomes.expect_again(pings[0])  # it has its outcome
    outcomes.expect_again(pings[4])  # it is expected
    assert outcomes.pending == 1
    outcomes.expect_again(new := queued(5))
    assert outcomes.open() == [pings[4], new]


def test_failures_that_are_counted_in_another_get_its_outcome() -> None:
    outcomes = Outcomes(Troubles("here"), None)
    pings = [queued(number) for number in range(3)]
    for each in pings:
        outcomes.expect(each)
    pings[2].counted = pings[:2]
    assert outcomes.settle(pings[2], DELIVERED)
    assert outcomes.stats == Stats(3, 0, 0)


def test_the_app_is_told_on_a_thread_that_nothing_waits_for() -> None:
    told: list[Outcome] = []
    threads: list[int] = []
    inside: list[bool] = []
    may_go = threading.Event()

    def on_outcome(outcome: Outcome) -> None:
        inside.append(outcomes.calling)  # it must not wait for itself
        inside.append(within_callback())  # its markers cause no pings
        threads.append(threading.get_ident())
        may_go.wait(20)
        told.append(outcome)

    outcomes = Outcomes(Troubles("here"), on_outcome)
    assert not outcomes.calling
    ping = queued()
    ping.attempts = 3
    outcomes.expect(ping)
    outcomes.settle(ping, LOST)
    wait_until(lambda: threads)
    assert outcomes.calling
    assert seconds_for(lambda: outcomes.wait_for(lambda: not outcomes.calling, Deadline(0.01))) < 10
    may_go.set()
    assert outcomes.wait_for(lambda: not outcomes.calling, Deadline(20))
    outcomes.end(20)
    assert threads != [threading.get_ident()]
    assert inside == [False, True]
    [outcome] = told
    assert (outcome.event, outcome.run_id, outcome.delivered) == (Event.FAIL, "a run", False)
    assert (outcome.status, outcome.error) == (410, "410 said the service")
    assert (outcome.attempts, outcome.superseded) == (3, False)
    assert 0 <= outcome.elapsed < 60


def test_outcomes_for_an_app_that_is_too_slow_are_bounded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("loghc.delivery.outcomes._WAITING", 2)
    told: list[int | None] = []
    called, may_go = threading.Event(), threading.Event()

    def on_outcome(outcome: Outcome) -> None:
        called.set()
        may_go.wait(20)
        told.append(outcome.status)

    outcomes = Outcomes(Troubles("here"), on_outcome)
    for status in (400, 401, 402, 403, 404):
        outcomes.expect(ping := queued())
        outcomes.settle(ping, answered(status))
        assert called.wait(20)
        assert ("too slow" in capsys.readouterr().err) is (status == 403)
    may_go.set()
    outcomes.end(20)
    assert told == [400, 403, 404]


def test_what_on_outcome_raises_ends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    told: list[int | None] = []

    def on_outcome(outcome: Outcome) -> None:
        told.append(outcome.status)
        if outcome.status == 400:
            raise SystemExit(3)

    outcomes = Outcomes(Troubles("here"), on_outcome)
    for status in (400, 401):
        outcomes.expect(ping := queued())
        outcomes.settle(ping, answered(status))
        wait_until(lambda status=status: status in told)
    outcomes.end(20)
    assert "SystemExit: 3" in capsys.readouterr().err


def test_what_was_superseded_is_told_as_that() -> None:
    told: list[Outcome] = []
    outcomes = Outcomes(Troubles("here"), told.append)
    outcomes.expect(ping := queued())
    outcomes.settle(ping, SUPERSEDED)
    outcomes.end(20)
    assert [(each.delivered, each.superseded) for each in told] == [(False, True)]


@pytest.mark.parametrize(("start", "calling"), [(lambda *_: 0, True), (refuse_thread, False)])
def test_the_app_is_waited_for_if_it_can_be_called(
    start: Callable[..., int], calling: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loghc.native.start_new_thread", start)
    outcomes = Outcomes(Troubles("here"), lambda _: None)
    outcomes.expect(ping := queued())
    outcomes.settle(ping, DELIVERED)
    assert outcomes.calling is calling
    thread._beginning.clear()


@pytest.mark.parametrize("settle", [True, False])
def test_a_wait_ends_when_its_condition_holds_or_its_time_is_over(settle: bool) -> None:
    outcomes = Outcomes(Troubles("here"), None)
    assert outcomes.wait_for(lambda: True, Deadline(0))
    assert not outcomes.wait_for(lambda: False, Deadline(0.01))
    outcomes.expect(ping := queued())
    waited: list[bool] = []
    threads = [
        threading.Thread(
            target=lambda: waited.append(
                outcomes.wait_for(lambda: not outcomes.pending, Deadline(60))
            )
        )
        for _ in range(3)
    ]
    for each in threads:
        each.start()
        wait_until_in(each, "wait")
    if settle:  # wakes all of them
        outcomes.settle(ping, DELIVERED)
    else:
        outcomes.withdraw(ping)
    for each in threads:
        each.join(20)
    assert waited == [True] * 3
    assert not outcomes._bells


def test_a_tally_loses_nothing() -> None:
    tally = Tally()
    assert int(tally) == 0
    in_threads(lambda _: [tally.add() for _ in range(500)], 8)
    assert int(tally) == 4000


def test_a_ping_that_is_given_up_says_how_far_it_came() -> None:
    ping = queued()
    assert ping.unfinished == Attempt(delivered=False, error="dropped before the first attempt")
    ping.attempts = 1
    assert ping.unfinished == Attempt(delivered=False, error="no answer came in time")
    ping.last = DELIVERED
    assert ping.unfinished == DELIVERED._replace(delivered=False)


def test_a_week_of_failures_waits_no_longer_than_a_minute() -> None:
    assert 30 <= Backoff().wait(100_000) <= 60
