"""What is reported of pings in trouble: each trouble once, and when it is over."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from loghc import Event
from loghc.delivery.policy import Policy
from loghc.delivery.troubles import Troubles
from loghc.log.body import Body
from loghc.ping import Attempt, Ping

Said = Callable[[], list[str]]
START, SUCCESS, FAIL, LOG = (Ping(event, "a run", Body) for event in Event)
DOWN = Attempt(delivered=False, status=503, error="503 Service Unavailable", transient=True)


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    def read() -> list[str]:
        return capsys.readouterr().err.splitlines()

    return read


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr("loghc.report.monotonic", lambda: now[0])
    return now


def refused(status: int, error: str, advice: str = "") -> Attempt:
    return Attempt(delivered=False, status=status, error=error, advice=advice)


def test_an_outage_is_reported_once_and_so_is_its_end(said: Said) -> None:
    troubles = Troubles("here")
    for _ in range(3):
        troubles.retrying(FAIL, DOWN._replace(advice="Wait."))
    troubles.superseded([START, LOG, LOG, LOG, SUCCESS])
    troubles.delivered(FAIL)
    troubles.over()
    troubles.over()
    assert said() == [
        "loghc: fail ping to here not delivered: 503 Service Unavailable; trying again until it is."
        " Wait.",
        "loghc: pings to here are delivered again; "
        "5 pings superseded by newer ones (1 start, 3 log, 1 success).",
    ]


def test_what_was_given_up_is_not_followed_by_good_news_that_is_none(said: Said) -> None:
    troubles = Troubles("here")
    troubles.retrying(FAIL, DOWN)
    troubles.given_up([FAIL], 5.0, DOWN.error)
    troubles.over(stopped=True)
    assert "given up" in said()[-1]
    troubles.delivered(SUCCESS)
    troubles.over()
    assert said() == ["loghc: pings to here are delivered again; 1 ping lost meanwhile."]


def test_an_hour_of_trouble_that_comes_and_goes_takes_less_than_ten_lines(
    said: Said, clock: list[float]
) -> None:
    troubles = Troubles("here")
    superseded = 0
    for _ in range(360):
        clock[0] += 10
        troubles.retrying(SUCCESS, DOWN)
        troubles.superseded([START] * 5)
        superseded += 5
        troubles.delivered(SUCCESS)
        troubles.over()
    lines = said()
    assert 2 <= len(lines) < 10
    troubles.over(stopped=True)
    lines += said()
    counted = re.findall(r"(\d+) pings superseded", "\n".join(lines))
    assert sum(map(int, counted)) == superseded  # none is forgotten


def test_a_hiccup_is_not_worth_a_line(said: Said) -> None:
    troubles = Troubles("here")
    troubles.superseded([START])
    troubles.over()
    troubles.over(stopped=True)
    assert said() == []


def test_what_came_too_fast_is_counted_though_nothing_failed(said: Said) -> None:
    troubles = Troubles("here")
    troubles.superseded([LOG] * 9)
    troubles.log_left_out()
    troubles.log_left_out()
    troubles.over()
    assert said() == [
        "loghc: pings to here came faster than they could be delivered: 9 pings superseded by "
        "newer ones (9 log), the logs of 2 pings left out."
    ]


def test_what_is_given_up_is_named_or_counted_and_so_is_what_was_void(said: Said) -> None:
    troubles = Troubles("here")
    troubles.given_up([START, FAIL], 1.0, "503")
    troubles.superseded([LOG])
    troubles.given_up([FAIL] * 5, 2.0, None)
    assert said() == [
        "loghc: 2 pings (start, fail) to here not delivered within 1.0 s: 503; given up.",
        "loghc: 5 pings (5 fail) to here not delivered within 2.0 s; given up. "
        "1 ping superseded by newer ones (log).",
    ]


def test_refusals_are_told_apart_by_event_and_status_and_counted(said: Said) -> None:
    troubles = Troubles("here")
    for ping, status in ((FAIL, 409), (FAIL, 409), (SUCCESS, 409), (START, 404)):
        troubles.refused(ping, refused(status, f"{status} no", "Do it."), check_known=False)
    assert [line.split(" ")[1] for line in said()] == ["fail", "success", "start"]
    troubles.delivered(SUCCESS)  # says nothing of starts
    assert said() == ["loghc: pings to here are delivered again; 3 pings lost meanwhile."]
    troubles.delivered(START)
    assert said() == ["loghc: pings to here are delivered again; 1 ping lost meanwhile."]


@pytest.mark.parametrize("name", ["limit", "--limit"])
def test_what_is_too_large_names_the_limit_as_the_user_does(name: str, said: Said) -> None:
    troubles = Troubles("here", limit_name=name)
    troubles.refused(FAIL, refused(413, "413 too large"), check_known=True)
    troubles.shortened(FAIL, "it was too large", too_large=True)
    refusal, shortened = said()
    assert refusal.endswith(f"413 too large. Lower {name}.")
    assert shortened.endswith(f"it was too large. Lower {name}, or have it accept larger bodies.")


def test_dropped_pings_are_reported_once_and_counted(said: Said) -> None:
    troubles = Troubles("here")
    for _ in range(3):
        troubles.dropped(LOG, 10)
    troubles.over(stopped=True)
    first, last = said()
    assert "log ping to here dropped: 10 newer ones wait" in first
    assert last.endswith(": 3 pings dropped.")


def test_a_clone_has_reported_nothing_and_masks_as_the_first_did(said: Said) -> None:
    troubles = Troubles("here", lambda text: text.replace("secret", "***"), policy=Policy())
    troubles.retrying(FAIL, DOWN)
    clone = troubles.clone()
    clone.retrying(FAIL, DOWN)
    try:
        raise ValueError("secret")
    except ValueError:
        clone.raised("it raised:")
    lines = said()
    assert lines[0] == lines[1]
    assert lines[-1] == "ValueError: ***"


def test_who_debugs_is_told_of_each_ping(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGHC_DEBUG", "1")
    troubles = Troubles("here")
    troubles.outcome(FAIL, Attempt(delivered=True, status=200), 1, 0.5)
    troubles.outcome(FAIL, DOWN, 2, 0.5)
    troubles.outcome(LOG, DOWN._replace(superseded=True), 0, 0.5)
    troubles.not_sent(START)
    assert [line.removeprefix("loghc: debug: ") for line in said()] == [
        "fail ping to here delivered, 200 (attempts: 1, 0.50 s).",
        "fail ping to here lost: 503 Service Unavailable (attempts: 2, 0.50 s).",
        "log ping to here superseded (attempts: 0, 0.50 s).",
        "start ping to here left out.",
    ]
