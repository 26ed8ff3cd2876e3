"""One lifetime of sending, with a client that answers as a test wants."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from loghc import Event, Stats
from loghc.delivery.closing import ClosingTime
from loghc.delivery.courier import Courier
from loghc.delivery.outbox import LOGS, Outbox
from loghc.delivery.outcomes import Outcomes
from loghc.delivery.queued import Queued
from loghc.delivery.report import Report
from loghc.delivery.retry import Backoff
from loghc.delivery.vocabulary import Vocabulary
from loghc.ping import Attempt, Ping
from waiting import seconds_for, wait_until_in

OK = Attempt(delivered=True, status=200)
DOWN = Attempt(delivered=False, status=503, error="503", transient=True)
UNKNOWN = Attempt(delivered=False, status=404, error="404 not found")


class Office:
    """A courier, all that it works with, and what its client was asked for."""

    def __init__(
        self,
        *answers: Any,
        events: tuple[Event, ...] = tuple(Event),
        mask: Callable[[str], str] = str,
    ) -> None:
        self.answers = list(answers)
        self.sent: list[tuple[Event, int | None, bytes, float]] = []
        self.calls: list[object] = []
        self.closing = ClosingTime()
        self.dropped: list[Queued] = []
        self.outbox = Outbox(self.dropped.append)
        report = Report("here", mask)
        self.outcomes = Outcomes(report, None)
        self.courier = Courier(
            self.outbox, self.outcomes, self, report, Vocabulary(events),  # type: ignore[arg-type]
            Backoff(first=0.001, cap=0.002), self.closing,
        )  # fmt: skip

    def put(self, event: Event, text: bytes = b"the log", exit_status: int | None = None) -> Queued:
        queued = Queued(Ping(event, "a run", lambda: text, exit_status))
        self.outcomes.expect(queued)
        self.outbox.put(queued)
        return queued

    # The client

    def send(self, ping: Ping, body: bytes, seconds: float) -> Attempt:
        self.sent.append((ping.event, ping.exit_status, body, seconds))
        answer = self.answers.pop(0)
        if isinstance(answer, Attempt):
            return answer
        return answer()  # type: ignore[no-any-return]

    def close(self) -> None:
        self.calls.append("close")

    def cancel(self) -> None:
        self.calls.append("cancel")

    def cut_if_older_than(self, moment: float) -> None:
        self.calls.append(moment)


@pytest.mark.parametrize(
    ("left", "least", "most"),
    [
        (math.inf, math.inf, math.inf),
        (100, 49, 50),
        (1.2, 0.55, 0.6),
        (0.9, 0.5, 0.5),
        (0.4, 0.3, 0.4),
        (-1, -2, -1),
    ],
)
def test_an_attempt_never_gets_all_the_time_that_is_left(
    left: float, least: float, most: float
) -> None:
    office = Office()
    office.closing.bring_forward(time.monotonic() + left)
    assert least <= office.courier.for_attempt() <= most


def test_pings_are_sent_in_order_and_the_connection_closed() -> None:
    office = Office(OK, OK)
    office.put(Event.START)
    office.put(Event.SUCCESS)
    office.courier.work()
    assert [(event, body) for event, _, body, _ in office.sent] == [
        (Event.START, b"the log"),
        (Event.SUCCESS, b"the log"),
    ]
    assert office.calls == ["close"]
    assert office.outcomes.stats == Stats(2, 0, 0)


def test_a_ping_that_was_given_up_while_it_waited_is_passed_over() -> None:
    office = Office(OK)
    office.outcomes.settle(office.put(Event.START), DOWN)
    office.put(Event.SUCCESS)
    office.courier.work()
    assert [sent[0] for sent in office.sent] == [Event.SUCCESS]


def test_a_body_is_made_once_and_attempts_are_counted() -> None:
    made: list[bytes] = []

    def body() -> bytes:
        made.append(b"the log")
        return made[-1]

    office = Office(DOWN, DOWN, OK)
    queued = Queued(Ping(Event.FAIL, "a run", body))
    office.outcomes.expect(queued)
    office.outbox.put(queued)
    office.courier.work()
    assert len(made) == 1
    assert (queued.attempts, queued.last) == (3, OK)


@pytest.mark.parametrize("error", [ImportError("no"), OSError(24, "Too many open files")])
def test_a_body_that_can_t_be_made_at_the_moment_is_tried_again(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    errors = [error, error]

    def body() -> bytes:
        if errors:
            raise errors.pop()
        return b"the log"

    office = Office(OK)
    queued = Queued(Ping(Event.FAIL, "a run", body))
    office.outcomes.expect(queued)
    office.outbox.put(queued)
    office.courier.work()
    assert [sent[2] for sent in office.sent] == [b"the log"]
    assert queued.attempts == 3
    said = capsys.readouterr().err
    assert "can't be imported now" in said.splitlines()[0]
    assert "report" not in said


def test_when_the_time_is_over_what_is_not_decided_goes_back() -> None:
    office = Office()
    office.put(Event.START)
    second = office.put(Event.FAIL)

    def over() -> Attempt:
        office.closing.bring_forward(time.monotonic() - 1)
        return DOWN

    office.answers = [OK, over]
    office.courier.work()
    assert len(office.sent) == 2
    assert office.outbox.take() is second
    assert second.last == DOWN
    assert office.outcomes.stats == Stats(1, 0, 1)
    office.outbox.put_back(second)
    office.courier.work()
    assert len(office.sent) == 2


def test_what_an_attempt_comes_to_after_it_was_abandoned_is_not_noted() -> None:
    office = Office()
    queued = office.put(Event.FAIL)

    def abandoned() -> Attempt:
        office.courier.abandon()
        return DOWN

    office.answers = [abandoned]
    office.courier.work()
    assert queued.last is None
    assert office.calls == ["cancel", "close"]
    assert office.closing.abandoned


def test_an_attempt_that_is_too_old_is_the_clients_to_cut() -> None:
    office = Office()
    office.courier.cut_attempt_begun_before(7.0)
    assert office.calls == [7.0]


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_in_an_attempt_leaves_the_ping_to_the_next_courier(
    interrupt: type[BaseException],
) -> None:
    def interrupted() -> Attempt:
        raise interrupt

    office = Office(interrupted)
    queued = office.put(Event.FAIL)
    with pytest.raises(interrupt):
        office.courier.work()
    assert office.outbox.take() is queued
    assert office.calls == ["close"]


def test_a_ping_that_meets_a_fault_of_ours_is_sent_once_though_the_fault_can_t_be_told() -> None:
    def broken(_: object = None) -> Any:
        raise RuntimeError("a fault")

    office = Office(broken, OK, mask=broken)
    office.put(Event.START)
    office.put(Event.SUCCESS)
    for _ in range(2):  # a thread that ends so is followed by another
        with contextlib.suppress(RuntimeError):
            office.courier.work()
    assert [event for event, *_ in office.sent] == [Event.START, Event.SUCCESS]
    assert office.outcomes.stats == Stats(delivered=1, failed=1, pending=0)


def test_logs_that_were_left_out_are_said_when_nothing_waits_any_more(
    capsys: pytest.CaptureFixture[str],
) -> None:
    office = Office(*[OK] * (LOGS + 1))
    for _ in range(LOGS + 1):
        office.put(Event.FAIL)

    def over() -> Attempt:
        office.closing.bring_forward(time.monotonic() - 1)
        return OK

    office.answers[3] = over
    office.courier.work()
    assert capsys.readouterr().err == ""
    rest = Office(*[OK] * LOGS)
    for _ in range(LOGS):
        rest.put(Event.FAIL)
    rest.courier.work()
    assert "the logs of 1 ping " in capsys.readouterr().err


@pytest.mark.parametrize(("left", "lines"), [(0.9, 1), (-0.1, 0)])
def test_a_trouble_is_said_as_long_as_there_is_time_to_try_again(
    left: float, lines: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def nearly_over() -> Attempt:
        office.closing.bring_forward(time.monotonic() + left)
        return DOWN

    office = Office(DOWN, nearly_over, OK)
    office.put(Event.FAIL)
    office.courier.work()
    assert capsys.readouterr().err.count("trying again") == lines


# What the service understands


def test_a_status_that_is_not_known_is_sent_at_once_without_it() -> None:
    office = Office(UNKNOWN, OK, OK)
    office.put(Event.FAIL, exit_status=3)
    office.put(Event.FAIL, exit_status=4)
    office.courier.work()
    assert [sent[:2] for sent in office.sent] == [
        (Event.FAIL, 3),
        (Event.FAIL, None),
        (Event.FAIL, None),
    ]
    assert office.outcomes.stats == Stats(2, 0, 0)


def test_a_ping_that_is_not_understood_is_withdrawn(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGHC_DEBUG", "1")
    office = Office(OK, UNKNOWN)
    office.put(Event.SUCCESS)
    office.put(Event.START)
    office.put(Event.START)
    office.courier.work()
    assert len(office.sent) == 2
    assert office.outcomes.stats == Stats(1, 1, 0)
    lines = capsys.readouterr().err.splitlines()
    assert sum("knows the check, but not /start" in line for line in lines) == 1
    assert [line for line in lines if line.endswith(" left out.")] == [
        "loghc: debug: start ping to here left out."
    ]


# The end of a body that was cut


@pytest.mark.parametrize("event", list(Event))
@pytest.mark.parametrize("wanted", [True, False])
def test_the_end_of_a_cut_body_follows_the_end_of_a_run_where_logs_are_sent(
    event: Event, wanted: bool
) -> None:
    events = tuple(Event) if wanted else (Event.START, Event.SUCCESS, Event.FAIL)
    office = Office(OK._replace(kept=3), OK, OK, events=events)
    office.put(event, b"the log, and its end")
    office.put(Event.START, b"later")
    office.courier.work()
    end = [(Event.LOG, b"the log, and its end")]
    follows = wanted and event in (Event.SUCCESS, Event.FAIL)
    assert [(sent[0], sent[2]) for sent in office.sent] == [
        (event, b"the log, and its end"),
        *(end if follows else []),
        (Event.START, b"later"),
    ]
    assert office.outcomes.stats == Stats(3 if follows else 2, 0, 0)


def test_no_end_follows_where_nothing_is_kept() -> None:
    for kept in (0, None):
        office = Office(OK._replace(kept=kept))
        office.put(Event.FAIL)
        office.courier.work()
        assert len(office.sent) == 1


# Pauses


def test_a_pause_lasts_as_long_as_it_should() -> None:
    office = Office()
    assert 0.04 <= seconds_for(lambda: office.courier.pause(0.05)) < 10


def test_a_pause_ends_when_the_app_begins_to_wait() -> None:
    office = Office()
    thread = threading.Thread(target=office.courier.pause, args=(60,))
    thread.start()
    wait_until_in(thread, "wait")
    office.outbox.ring()  # of something else
    office.closing.bring_forward(time.monotonic() + 60)
    office.outbox.ring()
    thread.join(20)
    assert not thread.is_alive()


def test_a_pause_ends_when_the_courier_is_abandoned() -> None:
    office = Office()
    thread = threading.Thread(target=office.courier.pause, args=(60,))
    thread.start()
    wait_until_in(thread, "wait")
    office.courier.abandon()
    thread.join(20)
    assert not thread.is_alive()


def test_a_pause_is_short_while_the_app_waits_and_never_beyond_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    office = Office()
    office.closing.bring_forward(time.monotonic() + 60)
    assert 0.45 <= seconds_for(lambda: office.courier.pause(60)) < 10
    waits: list[float] = []
    wait = office.outbox.wait

    def note(seconds: float) -> None:
        waits.append(seconds)
        wait(seconds)

    monkeypatch.setattr(office.outbox, "wait", note)
    office.closing.bring_forward(time.monotonic() + 0.05)
    office.courier.pause(60)
    assert 0 < sum(waits) < 0.2  # of the half second that it might have lasted
    assert office.closing.over
