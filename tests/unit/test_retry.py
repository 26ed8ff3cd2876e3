"""The attempts for one ping, when sending ends, and what a service is told."""

from __future__ import annotations

import math
import time

import pytest

from loghc import Event
from loghc.delivery.closing import ClosingTime
from loghc.delivery.retry import Backoff, deliver
from loghc.delivery.vocabulary import Vocabulary, plain
from loghc.ping import Attempt, Ping

OK = Attempt(delivered=True, status=200)
DOWN = Attempt(delivered=False, status=503, error="503", transient=True)
BUSY = DOWN._replace(retry_after=20.0)
GONE = Attempt(delivered=False, status=410, error="410 gone")
UNKNOWN = Attempt(delivered=False, status=404, error="404 not found")


class Times:
    """A `Timing` without time: how much each attempt gets, and the pauses that were asked for."""

    def __init__(self, *attempts: float) -> None:
        self.attempts = list(attempts)
        self.pauses: list[float] = []

    def for_attempt(self) -> float:
        return self.attempts.pop(0)

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


@pytest.mark.parametrize(
    ("answers", "last", "pauses"),
    [
        ([OK], OK, 0),
        ([GONE], GONE, 0),
        ([DOWN, DOWN, OK], OK, 2),
        ([DOWN, GONE], GONE, 1),
        ([DOWN, DOWN, DOWN], None, 3),
    ],
)
def test_attempts_are_made_until_one_is_final_or_the_time_is_over(
    answers: list[Attempt], last: Attempt | None, pauses: int
) -> None:
    timing, given, failed = Times(9.0, 5.0, 1.0, 0.0), list[float](), list[Attempt]()
    left = list(answers)

    def send(seconds: float) -> Attempt:
        given.append(seconds)
        return left.pop(0)

    assert deliver(send, Backoff(), timing, failed.append) == last
    assert given == [9.0, 5.0, 1.0][: len(answers)]
    assert failed == answers[:pauses]
    assert len(timing.pauses) == pauses
    for pause, longest in zip(timing.pauses, [0.5, 1.0, 2.0], strict=False):
        assert longest / 2 <= pause <= longest


@pytest.mark.parametrize("left", [0.0, -1.0])
def test_without_time_no_attempt_is_made(left: float) -> None:
    assert deliver(lambda _: pytest.fail("made"), Backoff(), Times(left), lambda _: None) is None


def test_a_pause_is_as_long_as_the_service_asks_for() -> None:
    timing = Times(1.0, 1.0)
    answers = [BUSY, OK]
    assert deliver(lambda _: answers.pop(0), Backoff(), timing, lambda _: None) == OK
    assert timing.pauses == [20.0]


@pytest.mark.parametrize(("byte", "seconds"), [(0, 1.0), (51, 1.2), (255, 2.0)])
def test_the_jitter_is_half_of_a_pause(
    byte: int, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.urandom", lambda count: bytes([byte] * count))
    backoff = Backoff(first=2.0, factor=3.0, cap=10.0)
    assert backoff.wait(1, None) == pytest.approx(seconds)
    assert backoff.wait(2, None) == pytest.approx(3 * seconds)
    assert backoff.wait(3, None) == pytest.approx(5 * seconds)  # the cap
    assert backoff.wait(1, 0.5) == pytest.approx(seconds)
    assert backoff.wait(1, 7.0) == 7.0
    assert backoff.wait(1, 11.0) == 10.0
    assert backoff.wait(10**9, None) == pytest.approx(5 * seconds)


# When sending ends


def test_a_closing_time_can_only_come_forward() -> None:
    closing = ClosingTime()
    assert (closing.at, closing.left, closing.known) == (math.inf, math.inf, False)
    now = time.monotonic()
    closing.bring_forward(now + 1000)
    closing.bring_forward(now + 2000)
    assert closing.at == now + 1000
    assert closing.known
    assert 900 < closing.left <= 1000
    assert not closing.abandoned
    closing.bring_forward(now - 10)
    assert closing.left <= -10
    assert not closing.abandoned
    closing.abandon()
    assert (closing.at, closing.abandoned, closing.known) == (-math.inf, True, True)


def test_a_closing_time_within_another_is_no_later_than_that() -> None:
    outer = ClosingTime(100.0)
    assert ClosingTime(50.0, outer).at == 50.0
    inner = ClosingTime(200.0, outer)
    assert inner.at == 100.0
    outer.abandon()
    assert inner.abandoned
    inner = ClosingTime(math.inf, ClosingTime())
    assert not inner.known


# What a service is told


def ping(event: Event, exit_status: int | None = None) -> Ping:
    return Ping(event, "a run", bytes, exit_status)


START, SUCCESS, FAIL, LOG = map(ping, Event)
STATUS = ping(Event.FAIL, 3)


def test_events_that_are_not_to_be_sent_are_not_wanted() -> None:
    vocabulary = Vocabulary((Event.FAIL, Event.SUCCESS))
    assert [vocabulary.wants(event) for event in Event] == [False, True, True, False]
    assert all(map(Vocabulary().wants, Event))


@pytest.mark.parametrize(
    ("unknown", "suffix"), [(START, "/start"), (LOG, "/log"), (STATUS, "/<status>")]
)
@pytest.mark.parametrize("known", [SUCCESS, FAIL])
def test_a_suffix_is_not_understood_once_the_check_is_known(
    unknown: Ping, suffix: str, known: Ping
) -> None:
    vocabulary = Vocabulary()
    assert vocabulary.may_lack(unknown, UNKNOWN)
    assert vocabulary.learn(unknown, UNKNOWN) == []
    assert vocabulary.worded(unknown) == unknown
    assert not vocabulary.check_known
    assert vocabulary.learn(known, OK) == [suffix]
    assert vocabulary.check_known
    assert vocabulary.worded(unknown) == (plain(STATUS) if unknown is STATUS else None)
    assert vocabulary.worded(known) == known
    assert vocabulary.learn(unknown, UNKNOWN) == []  # known by now


def test_a_suffix_is_not_understood_at_once_where_the_check_is_known() -> None:
    vocabulary = Vocabulary()
    vocabulary.learn(SUCCESS, OK)
    assert vocabulary.learn(LOG, UNKNOWN._replace(status=400)) == ["/log"]
    assert vocabulary.learn(START, UNKNOWN) == ["/start"]


@pytest.mark.parametrize(
    ("told", "answer"),
    [(SUCCESS, UNKNOWN), (FAIL, UNKNOWN), (START, GONE), (START, DOWN), (START, OK)],
)
def test_other_answers_say_nothing_of_a_suffix(told: Ping, answer: Attempt) -> None:
    vocabulary = Vocabulary()
    assert not vocabulary.may_lack(told, answer)
    vocabulary.learn(told, answer)
    assert vocabulary.learn(FAIL, OK) == []
    assert vocabulary.worded(told) == told


def test_a_suffix_that_was_taken_once_is_understood() -> None:
    vocabulary = Vocabulary()
    vocabulary.learn(START, UNKNOWN)
    vocabulary.learn(START, OK)
    assert vocabulary.learn(SUCCESS, OK) == []
    assert not vocabulary.may_lack(START, UNKNOWN)
    assert vocabulary.learn(START, UNKNOWN) == []
    assert vocabulary.worded(START) == START


def test_a_start_or_log_that_is_taken_does_not_make_the_check_known() -> None:
    vocabulary = Vocabulary()
    vocabulary.learn(LOG, OK)
    vocabulary.learn(START, UNKNOWN)
    assert not vocabulary.check_known
    assert vocabulary.worded(START) == START


@pytest.mark.parametrize("answer", [UNKNOWN, GONE])
def test_all_may_change_when_the_check_itself_is_refused(answer: Attempt) -> None:
    vocabulary = Vocabulary()
    vocabulary.learn(START, UNKNOWN)
    vocabulary.learn(SUCCESS, OK)
    vocabulary.learn(FAIL, answer)  # that may be about /fail alone
    vocabulary.learn(SUCCESS, Attempt(delivered=False, error="timed out"))  # no answer
    assert vocabulary.worded(START) is None
    vocabulary.learn(SUCCESS, answer)
    assert vocabulary.worded(START) == START
    assert not vocabulary.check_known
    assert vocabulary.learn(SUCCESS, OK) == []  # what was refused before is forgotten
    assert vocabulary.worded(START) == START
