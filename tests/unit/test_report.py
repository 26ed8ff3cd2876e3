"""What is said of pings in trouble: each trouble once, and when it is over."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from loghc import Event
from loghc.delivery import report as module
from loghc.delivery.report import Report
from loghc.ping import Attempt, Ping
from loghc.report import report as report_line

WHERE = "https://h/***"
Said = Callable[[], list[str]]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    def read() -> list[str]:
        return capsys.readouterr().err.splitlines()

    return read


@pytest.fixture
def report() -> Report:
    return Report(WHERE)


def ping(event: Event, exit_status: int | None = None) -> Ping:
    return Ping(event, "a run", bytes, exit_status)


def refused(status: int | None, error: str, advice: str = "") -> Attempt:
    return Attempt(delivered=False, status=status, error=error, advice=advice)


DOWN = refused(503, "503 Service Unavailable")
START, SUCCESS, FAIL, LOG = map(ping, Event)


def test_the_first_failed_attempt_is_not_worth_a_line_and_the_second_is_said_once(
    report: Report, said: Said
) -> None:
    report.retrying(SUCCESS, DOWN, 1)
    assert said() == []
    report.retrying(SUCCESS, DOWN, 2)
    report.retrying(SUCCESS, DOWN, 3)
    report.retrying(FAIL, refused(None, "timed out"), 2)
    assert said() == [
        f"loghc: success ping to {WHERE} not delivered: 503 Service Unavailable; "
        "trying again until it is."
    ]
    report.delivered(LOG)
    report.delivered(LOG)
    assert said() == [f"loghc: pings to {WHERE} are delivered again."]
    report.retrying(SUCCESS, DOWN, 2)
    assert len(said()) == 1


def test_what_to_do_is_said_after_the_trouble(report: Report, said: Said) -> None:
    report.retrying(SUCCESS, refused(429, "429 rate limited", "Ping less."), 2)
    report.lost(SUCCESS, refused(410, "410 gone", "Use another."), check_known=False)
    assert said() == [
        f"loghc: success ping to {WHERE} not delivered: 429 rate limited; "
        "trying again until it is. Ping less.",
        f"loghc: success ping to {WHERE} not delivered: 410 gone. Use another.",
    ]


def test_lost_pings_are_counted_until_one_of_their_kind_arrives(report: Report, said: Said) -> None:
    for _ in range(3):
        report.lost(FAIL, refused(404, "404 not found", "Check it."), check_known=False)
    assert len(said()) == 1
    report.delivered(SUCCESS)  # which says nothing of failures
    assert said() == []
    report.delivered(FAIL)
    assert said() == [f"loghc: pings to {WHERE} are delivered again; 3 pings lost meanwhile."]
    report.lost(FAIL, refused(403, "403 forbidden"), check_known=False)
    report.delivered(SUCCESS)  # which was forbidden as well
    assert said()[1:] == [f"loghc: pings to {WHERE} are delivered again; 1 ping lost meanwhile."]


def test_refusals_without_a_status_are_told_apart_by_their_text(report: Report, said: Said) -> None:
    for error in ("the certificate is bad", "the certificate is bad", "no such method"):
        report.lost(SUCCESS, refused(None, error), check_known=False)
    assert [line.partition("delivered: ")[2] for line in said()] == [
        "the certificate is bad.",
        "no such method.",
    ]


@pytest.mark.parametrize("status", [400, 404])
@pytest.mark.parametrize(
    ("event", "known", "advice"),
    [
        (
            Event.START,
            False,
            "The service knows no check by this URL, or does not know /start: if it takes other "
            "pings, no more starts are sent. events= leaves them out from the beginning.",
        ),
        (
            Event.LOG,
            True,
            "The service knows no check by this URL, or does not know /log: if it takes other "
            "pings, no more logs are sent. events= leaves them out from the beginning.",
        ),
        (
            Event.FAIL,
            True,
            "The service knows the check, but not /fail: a missing success is all that tells "
            "it of a failure.",
        ),
        (Event.FAIL, False, "Check it."),
        (Event.SUCCESS, True, "Check it."),
    ],
)
def test_a_suffix_that_may_be_unknown_is_named(
    status: int, event: Event, known: bool, advice: str, report: Report, said: Said
) -> None:
    report.lost(ping(event), refused(status, "no", "Check it."), check_known=known)
    assert said() == [f"loghc: {event.value} ping to {WHERE} not delivered: no. {advice}"]
    report.lost(ping(event), refused(403, "forbidden", "Check it."), check_known=known)
    assert said()[0].endswith("forbidden. Check it.")


def test_what_a_service_does_not_understand_is_news_unless_it_was_foretold(
    report: Report, said: Said
) -> None:
    report.lost(START, refused(404, "404 not found"), check_known=False)
    said()
    report.not_understood(["/start"])
    assert said() == []
    report.lost(START, refused(404, "404 not found"), check_known=False)  # it is over: news again
    assert len(said()) == 1
    report.not_understood(["/<status>", "/log", "/start"])
    assert said() == [
        f"loghc: the service at {WHERE} knows the check, but not /<status> nor /log: "
        "a failure is sent as /fail, and no more logs are sent. "
        "events= leaves events out from the beginning."
    ]


@pytest.mark.parametrize("statuses", [(404, 404), (404, 400, 404)])
def test_several_pings_that_were_not_understood_are_counted(
    statuses: tuple[int, ...], report: Report, said: Said
) -> None:
    for status in statuses:
        report.lost(START, refused(status, "no"), check_known=False)
    said()
    report.not_understood(["/log", "/start"])
    assert said() == [
        f"loghc: the service at {WHERE} does not know /start: {len(statuses)} pings lost.",
        f"loghc: the service at {WHERE} knows the check, but not /log: no more logs are sent. "
        "events= leaves events out from the beginning.",
    ]


def test_a_refusal_for_another_reason_foretells_nothing(report: Report, said: Said) -> None:
    report.lost(START, refused(403, "403 forbidden"), check_known=False)
    report.dropped(START, 10_000)
    said()
    report.not_understood(["/start"])
    assert len(said()) == 1


def test_dropped_pings_are_said_once_and_counted(report: Report, said: Said) -> None:
    for _ in range(2):
        report.dropped(LOG, 10_000)
    assert said() == [
        f"loghc: log ping to {WHERE} dropped: 10,000 newer ones wait; "
        "more may follow, and will be counted when pings are delivered again."
    ]
    report.delivered(SUCCESS)
    assert said() == [f"loghc: pings to {WHERE} are delivered again; 2 pings lost meanwhile."]


def test_pings_that_were_given_up_are_named_or_counted(report: Report, said: Said) -> None:
    report.undelivered([START, LOG, LOG, FAIL], 2.04, "timed out")
    report.undelivered([START, LOG, LOG, FAIL, LOG], 10.0, None)
    report.undelivered([FAIL], 0.0, "")
    assert said() == [
        f"loghc: 4 pings (start, log, log, fail) to {WHERE} not delivered within 2.0 s: "
        "timed out; given up.",
        f"loghc: 5 pings (1 start, 3 log, 1 fail) to {WHERE} not delivered within 10.0 s; "
        "given up.",
        f"loghc: 1 ping (fail) to {WHERE} not delivered within 0.0 s; given up.",
    ]


def test_what_was_given_up_counts_as_lost_to_the_trouble_that_was_said(
    report: Report, said: Said
) -> None:
    report.undelivered([START], 1.0, None)  # of no trouble that was said
    report.delivered(SUCCESS)
    assert len(said()) == 1
    report.retrying(SUCCESS, DOWN, 2)
    report.undelivered([START, FAIL], 1.0, None)
    report.undelivered([SUCCESS], 1.0, None)
    said()
    report.delivered(SUCCESS)
    assert said() == [f"loghc: pings to {WHERE} are delivered again; 3 pings lost meanwhile."]


def test_a_wait_says_for_what_and_how_long_where_someone_looks(
    report: Report, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    report.waiting(1, 9.4)
    assert said() == []
    monkeypatch.setenv("LOGHC_DEBUG", "1")
    report.waiting(1, 9.4)
    report.waiting(2, 29.6)
    assert said() == [
        f"loghc: waiting at most 9 s more for 1 ping to {WHERE} to be delivered.",
        f"loghc: waiting at most 30 s more for 2 pings to {WHERE} to be delivered.",
    ]


def test_logs_that_were_left_out_are_counted_and_a_burst_is_no_news_each_time(
    report: Report, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(module, "monotonic", lambda: now)
    report.caught_up()
    report.stopped()
    assert said() == []
    report.left_out()
    report.caught_up()
    line = f"to {WHERE} were left out: more pings waited than logs are kept for."
    assert said() == [f"loghc: the logs of 1 ping {line}"]
    report.left_out()
    report.left_out()
    now += 60
    report.caught_up()
    assert said() == []
    now += 1
    report.caught_up()
    assert said() == [f"loghc: the logs of 2 pings {line}"]
    report.left_out()
    report.stopped()
    report.stopped()
    assert said() == [f"loghc: the logs of 1 ping {line}"]


def test_a_report_says_its_first_left_out_logs_also_on_a_machine_that_has_just_started(
    report: Report, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "monotonic", lambda: 0.5)
    report.left_out()
    report.caught_up()
    assert len(said()) == 1


def test_an_on_outcome_that_is_too_slow_is_said_once(report: Report, said: Said) -> None:
    report.untold()
    report.untold()
    assert said() == [
        "loghc: on_outcome is too slow to be told of every outcome: the oldest are left out."
    ]


def test_a_clone_has_said_nothing_yet_and_masks_as_the_first_did(said: Said) -> None:
    report = Report(WHERE, lambda text: text.replace("hunter2", "***"))
    report.retrying(SUCCESS, DOWN, 2)
    clone = report.clone()
    clone.retrying(SUCCESS, DOWN, 2)
    assert len(said()) == 2
    try:
        raise LookupError("hunter2")
    except LookupError:
        clone.raised("it raised:")
    first, *_, last = said()
    assert (first, last) == ("loghc: it raised:", "LookupError: ***")


@pytest.mark.parametrize("debug", [True, False])
def test_who_debugs_is_told_of_each_ping(
    debug: bool, report: Report, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGHC_DEBUG", "1" if debug else "")
    report.outcome(SUCCESS, Attempt(delivered=True, status=200), 1, 0.126)
    report.outcome(FAIL, DOWN, 3, 2)
    report.not_sent(LOG)
    lines = said()
    assert bool(lines) is debug
    if debug:
        ends = [
            f"success ping to {WHERE} delivered, 200 (attempts: 1, 0.13 s).",
            f"fail ping to {WHERE} lost: 503 Service Unavailable (attempts: 3, 2.00 s).",
            f"log ping to {WHERE} left out.",
        ]
        assert [line[-len(end) :] for line, end in zip(lines, ends, strict=True)] == ends


def test_that_pings_are_not_encrypted_is_said_where_someone_looks(
    report: Report, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    report.exposed()
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    report.exposed()
    assert capsys.readouterr().err.startswith(f"loghc: pings to {WHERE} are not encrypted: ")


def test_what_is_reported_moves_no_cursor_and_sounds_no_bell(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report_line("a note: \x1b]0;title\x07 \x9b31m caf\xe9\tand\x7f")
    said = capsys.readouterr().err
    assert said == "loghc: a note: \\x1b]0;title\\x07 \\x9b31m caf\xe9\tand\\x7f\n"
