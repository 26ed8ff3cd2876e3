"""When a ping is sent again, with how much of its log, and what is sent in its place."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import groupby

import pytest

from loghc import Event, Stats
from loghc.deadline import Deadline
from loghc.log.body import Body
from loghc.ping import Ping
from simulated import LOG, NO_ANSWER, RECORD, STALLED, WEB_PAGE, Answer, Play, answered, ping_of

MakePlay = Callable[..., Play]


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> MakePlay:
    return lambda *args, **options: Play(monkeypatch, *args, **options)


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[str]]:
    def read() -> list[str]:
        return capsys.readouterr().err.splitlines()

    return read


# When it is sent again.


def test_an_attempt_that_fails_is_repeated_ever_more_seldom(play: MakePlay) -> None:
    outage = play([NO_ANSWER]).run(0)
    outage.put("fail A")
    outage.run(250)
    assert outage.times == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 63.5, 123.5, 183.5, 243.5]


@pytest.mark.parametrize(
    ("asked", "waited"), [(None, 0.5), (0.1, 0.5), (7.0, 7.0), (60.0, 60.0), (600.0, 60.0)]
)
def test_the_service_may_ask_for_more_time_up_to_a_minute(
    asked: float | None, waited: float, play: MakePlay
) -> None:
    busy = play([answered(503, retry_after=asked), 200])
    busy.put("fail A")
    assert busy.run().times == [0, waited]


def test_what_worked_again_begins_with_short_pauses(play: MakePlay) -> None:
    flaps = play([503, 503, 503, 200, 503, 200])
    flaps.put("fail A", "fail B")
    assert flaps.run().times == [0, 0.5, 1.5, 3.5, 3.5, 4.0]


def test_so_does_an_outage_that_nothing_outlived(play: MakePlay) -> None:
    away = play([503, 503, 404, 404, 503, 200])
    away.put("done A")
    away.put_at(100, "done B")
    assert away.run().times == [0, 0.5, 1.5, 3.5, 100, 100.5]


def test_a_stop_ends_a_pause_and_shortens_those_that_follow(play: MakePlay) -> None:
    away = play([answered(503, retry_after=60.0)])
    away.put("fail A")
    away.at(20, lambda: away.stop_in(2.2))
    away.run()
    assert away.times == [0, 20, 20.5, 21, 21.5, 22]
    assert round(away.now, 3) == 22.2


def test_what_a_service_asked_for_before_a_stop_holds_up_nothing_after_it(play: MakePlay) -> None:
    away = play([answered(503, retry_after=60.0), 200])
    away.put("fail A")
    away.at(20, lambda: away.stop_in(5))
    away.run()
    away.sender.finish(0)
    away.put("done B")
    assert away.run().times == [0, 20, 20]


def test_a_check_that_never_answered_is_asked_once_more(
    play: MakePlay, said: Callable[[], list[str]]
) -> None:
    wrong = play([404])
    wrong.put("fail A", "done B")
    assert wrong.run().requests == [
        (0, "fail A", "all"),
        (2, "fail A", "all"),
        (2, "done B", "all"),
    ]
    assert wrong.became == "fail A lost, done B lost"
    assert len(said()) == 2  # one for each event


def test_before_the_exit_it_is_asked_at_once(play: MakePlay) -> None:
    wrong = play([404])
    wrong.stop_in(10)
    wrong.put("fail A")
    assert wrong.run().times == [0, 0]


def test_a_repeat_that_met_an_outage_says_nothing_of_the_check(play: MakePlay) -> None:
    restarts = play([404, 503, 404, 200])
    restarts.put("fail A")
    assert restarts.run().times == [0, 2, 3, 5]
    assert restarts.became == "fail A delivered"


def test_a_check_that_never_answered_makes_no_ping_void(play: MakePlay) -> None:
    wrong = play([404, 200])
    wrong.put("start A", "done A")
    assert wrong.run().sent == "start A, start A, done A"


def test_a_check_that_answered_once_may_refuse_for_five_minutes(play: MakePlay) -> None:
    removed = play([200, 410])
    removed.put("fail A", "fail B")
    removed.run(299)
    assert removed.became == "fail A delivered"
    assert removed.run(100).became == "fail A delivered, fail B lost"
    assert removed.times[-1] >= 300
    assert removed.times[-2] < 300


def test_a_web_page_is_no_answer_where_the_service_answered_otherwise(play: MakePlay) -> None:
    portal = play([200, WEB_PAGE, 200])
    portal.put("fail A", "fail B")
    assert portal.run().sent == "fail A, fail B, fail B"
    assert portal.became == "fail A delivered, fail B delivered"


def test_it_is_waited_for_until_it_answers_itself_again(play: MakePlay) -> None:
    portal = play([200, WEB_PAGE])
    portal.put("fail A", "fail B")
    assert portal.run(1000).became == "fail A delivered"


def test_a_service_that_answers_with_web_pages_is_believed(play: MakePlay) -> None:
    odd = play([WEB_PAGE])
    odd.put("fail A", "fail B")
    assert odd.run().sent == "fail A, fail B"


def test_nothing_is_sent_once_the_time_is_over(play: MakePlay) -> None:
    slow = play([200], took=3.0)
    slow.stop_in(5)
    slow.put("fail A", "fail B", "fail C")
    assert slow.run().times == [0, 3]


@pytest.mark.parametrize("failures", [1, 2])
def test_an_outage_is_reported_at_the_second_failure(
    failures: int, play: MakePlay, said: Callable[[], list[str]]
) -> None:
    away = play([503] * failures + [200])
    away.put("fail A")
    away.run()
    assert len(said()) == (0, 2)[failures > 1]


def test_nothing_is_said_of_trying_again_once_the_time_is_over(
    play: MakePlay, said: Callable[[], list[str]]
) -> None:
    away = play([503], took=3.0)
    away.stop_in(5)
    away.put("fail A")
    assert away.run().times == [0, 3.5]
    assert said() == []


def test_who_debugs_sees_how_often_each_ping_was_sent(
    play: MakePlay, said: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGHC_DEBUG", "1")
    away = play([503, 200], events=(Event.FAIL,))
    away.put("fail A", "note A")
    away.run()
    assert said() == [
        "loghc: debug: fail ping to here delivered, 200 (attempts: 2, 0.50 s).",
        "loghc: debug: log ping to here left out.",
    ]


def test_an_attempt_that_was_cut_off_has_no_outcome(play: MakePlay) -> None:
    cut = play([NO_ANSWER], took=1.0)
    cut.put("fail A")
    cut.at(0.5, cut.sender.cancel)
    assert cut.run().became == ""
    assert cut.sent == "fail A"
    assert cut.sender.attempt.cancelled
    assert cut.inbox._bell.wait(0)  # whoever waits looks up
    assert cut.counts.pending == 1


# What a service knows.


def test_a_suffix_is_unknown_after_two_refusals_a_minute_apart(
    play: MakePlay, said: Callable[[], list[str]]
) -> None:
    def answer(words: str, _: str) -> Answer:
        return 404 if words.startswith("start") else 200

    partly = play(answer)
    partly.put("done A")
    partly.run()
    partly.put("start B")
    partly.run(59)
    assert partly.became == "done A delivered"
    partly.run(62)
    assert partly.became == "done A delivered, start B lost"
    assert said()[-1].endswith("To leave events out from the start, use events= or --events.")
    asked = len(partly.requests)
    partly.put("start C with a log", "done C", "fail D")
    assert partly.run().sent.endswith("done C, fail D")  # no start
    assert len(partly.requests) == asked + 2
    assert partly.counts.pending == 0
    assert not any(partly.inbox._with_log.values())
    partly.now += 3600
    partly.put("start E")
    assert partly.run().sent.endswith("start E")  # once an hour it is asked again
    partly.put("start F")
    assert partly.run().sent.endswith("start E")


@pytest.mark.parametrize("status", [410, 401, 409])
def test_other_refusals_say_nothing_of_a_suffix(status: int, play: MakePlay) -> None:
    partly = play(lambda words, _: status if words.startswith("start") else 200)
    partly.put("done A")
    partly.run()
    partly.put("start B")
    partly.run()
    assert partly.times[-1] >= 300
    partly.put("start C")
    assert partly.run(10).sent.endswith("start C")


def test_a_suffix_that_was_taken_once_stays_known(play: MakePlay) -> None:
    updated = play([200, 200, 404])
    updated.put("done A", "start B")
    updated.run()
    updated.put("start C")
    updated.run()
    assert updated.times[-1] >= 300
    updated.put("start D")
    assert updated.run(1).sent.endswith("start D")


def test_a_suffix_is_not_unknown_before_the_check_is_known(play: MakePlay) -> None:
    only_notes = play(lambda words, _: 200 if words.startswith("note") else 404)
    only_notes.put("note A")
    only_notes.run()
    only_notes.put("start B")
    only_notes.run()
    assert only_notes.times[-1] >= 300


def test_a_failure_that_was_taken_makes_the_check_known(play: MakePlay) -> None:
    partly = play(lambda words, _: 200 if words.startswith("fail") else 404)
    partly.put("fail A")
    partly.run()
    partly.put("start B")
    partly.run()
    assert 60 <= partly.times[-1] < 300


def test_a_note_that_was_taken_changes_nothing_about_that(play: MakePlay) -> None:
    partly = play(lambda words, _: 404 if words.startswith("start") else 200)
    partly.put("done A", "note A")
    partly.run()
    partly.put("start B")
    partly.run()
    assert 60 <= partly.times[-1] < 300


def test_a_failure_is_sent_though_the_service_seems_not_to_know_it(play: MakePlay) -> None:
    odd = play(lambda words, _: 404 if words.startswith("fail") else 200)
    odd.put("done A")
    odd.run()
    odd.put("fail B")
    odd.run()
    assert odd.times[-1] >= 300
    odd.put("fail C")
    assert odd.run(1).sent.endswith("fail C")


def test_a_refusal_of_long_ago_counts_no_more_once_the_suffix_was_taken(play: MakePlay) -> None:
    updated = play([200, 404, 200, 200])
    updated.put("done A", "start B")
    updated.run()
    assert updated.became == "done A delivered, start B delivered"


@pytest.mark.parametrize("status", [404, 400])
@pytest.mark.parametrize(("words", "instead"), [("3 A", "fail A"), ("0 A", "done A")])
def test_an_exit_status_that_is_not_known_is_reworded_at_once(
    status: int, words: str, instead: str, play: MakePlay
) -> None:
    old = play([status, 200])
    old.put(words)
    assert old.run().requests == [(0, words, "all"), (0, instead, "all")]
    assert old.became == f"{instead} delivered"


def test_an_exit_status_that_was_taken_before_is_not_reworded(play: MakePlay) -> None:
    known = play([200, 404, 200])
    known.put("3 A", "4 B")
    assert known.run().sent == "3 A, 4 B, 4 B"


def test_events_that_are_left_out_are_not_sent_in_another_way(play: MakePlay) -> None:
    """A failure that would go as a note is lost where there are to be no notes."""
    no_notes = (Event.START, Event.SUCCESS, Event.FAIL)
    bad = play(lambda words, _: 500 if words == "fail A" else 200, events=no_notes)
    bad.put("fail A with a log")
    bad.at(20, lambda: bad.put("done B"))
    bad.run()
    assert bad.became == "done B delivered, fail A lost"


# How much of its log.

LOGS: dict[str, tuple[list[Answer], str]] = {
    "413 at first": ([413, 200], "all, end"),
    "413 to less as well": ([413, 413, 200], "all, end, record"),
    "413 to everything": ([413], "all, end, record, all, end, record"),
    "422 at first": ([422, 200], "all, record"),
    "403 at first": ([403, 200], "all, record"),
    "400 at first": ([400, 200], "all, record"),
    "500 at first": ([500, 500, 500, 200], "all, all, all, end"),
    "500 to less as well": ([500, 500, 500, 500, 200], "all, all, all, end, record"),
    "502 at first": ([502, 502, 502, 200], "all, all, all, end"),
    "no connection": ([NO_ANSWER] * 6 + [200], "all, all, all, all, all, all, all"),
    "stalled": ([STALLED, STALLED, STALLED, 200], "all, all, all, end"),
    "rate limited": ([429] * 6 + [200], "all, all, all, all, all, all, all"),
}


@pytest.mark.parametrize(("answers", "logs"), LOGS.values(), ids=LOGS)
def test_less_of_a_log_is_tried_at_a_service_that_took_nothing_yet(
    answers: list[Answer], logs: str, play: MakePlay
) -> None:
    strict = play(answers)
    strict.put("fail A with a log")
    assert strict.run(600).logs == logs


LATER: dict[str, tuple[list[Answer], str]] = {
    "413": ([413, 200], "all, end"),
    "400": ([400, 200], "all, end"),
    "403": ([403, 403, 200], "all, end, record"),
    "422": ([422, 422, 200], "all, end, record"),
    "500": ([500, 200], "all, end"),
    "500 to less as well": ([500, 500, 200], "all, end, record"),
    "500 to the record as well": ([500, 500, 500, 200], "all, end, record, all"),
    "502": ([502, 502, 502, 200], "all, all, all, end"),
    "503": ([503, 503, 503, 200], "all, all, all, end"),
    "504": ([504, 504, 504, 200], "all, all, all, end"),
    "stalled": ([STALLED, 200], "all, end"),
    "no connection": ([NO_ANSWER] * 6 + [200], "all, all, all, all, all, all, all"),
}


@pytest.mark.parametrize(("answers", "logs"), LATER.values(), ids=LATER)
def test_less_of_a_log_is_tried_at_once_where_other_pings_pass(
    answers: list[Answer], logs: str, play: MakePlay
) -> None:
    strict = play([200, *answers])
    strict.put("done A", "fail B with a log")
    strict.run(1000)
    assert ", ".join(strict.logs_of("fail B")) == logs


OVER_TIME: dict[str, tuple[list[Answer], str]] = {
    "500": ([200, 500], "all, end, record, 9 all, end, record, 42 all"),
    "500 at first": ([500], "3 all, end, record, 15 all, end, record, 34 all"),
    "502": ([200, 502], "3 all, end, record, 15 all, end, record, 34 all"),
    "413": ([200, 413], "all, end, record, " * 3 + "all, end, record"),
    "403": ([200, 403], "all, end, record, 9 all"),
    "403 at first": ([403], "all, record"),
    "403 at first, then 503": (
        [403, 503],
        "all, record, 6 all, end, record, 30 all, end, record, 14 all",
    ),
    "stalls": ([200, STALLED], "all, end, record, " * 18 + "all, end"),
    "413, then 503": ([200, 413, 503, 503, 503, 503, 200], "all, end, record, 3 all"),
    "413, then no connection": ([200, 413, NO_ANSWER, NO_ANSWER, 200], "all, 3 end"),
    "429, then 500": ([200, 429, 429, 429, 500, 200], "4 all, end"),
    "500, no connection, 500": ([200, 500, NO_ANSWER, 500, 200], "all, 2 end, record"),
}


@pytest.mark.parametrize(("answers", "logs"), OVER_TIME.values(), ids=OVER_TIME)
def test_where_less_fails_too_all_is_sent_again_and_less_ever_more_seldom(
    answers: list[Answer], logs: str, play: MakePlay
) -> None:
    strict = play(answers)
    if answers[0] == 200:
        strict.put("done A")
        strict.run()
    strict.put("fail B with a log")
    strict.run(3000)
    groups = [(log, len(list(group))) for log, group in groupby(strict.logs_of("fail B"))]
    assert ", ".join(log if n == 1 else f"{n} {log}" for log, n in groups) == logs


@pytest.mark.parametrize(
    ("answers", "logs"),
    [
        ([500, 200], "all, all"),
        ([500, 500, 200], "all, all, record"),
        ([413, 200], "all, record"),
        ([500, 500, 500, 200], "all, all, record, all"),
    ],
)
def test_a_log_that_is_short_anyway_is_not_given_up_over_one_hiccup(
    answers: list[Answer], logs: str, play: MakePlay
) -> None:
    strict = play([200, *answers])
    strict.put("done A", "fail B with little log")
    assert ", ".join(strict.run().logs_of("fail B")) == logs


def test_less_comes_before_other_pings(play: MakePlay) -> None:
    strict = play(lambda words, log: 500 if words == "fail A" and log == "all" else 200)
    strict.put("fail A with a log", "note B")
    assert strict.run().sent == "fail A, fail A, fail A, fail A, note B"


def test_a_ping_that_is_refused_whatever_it_carries_lets_others_pass(play: MakePlay) -> None:
    removed = play(lambda words, _: 410 if words == "start B" else 200)
    removed.put("done A", "start B", "note C")
    removed.run(10)
    assert removed.sent.startswith("done A, start B, start B, start B, note C")


def test_why_less_was_sent_is_what_was_answered_to_all_of_it(play: MakePlay) -> None:
    strict = play([200, 413, 500, 200])
    strict.put("done A", "fail B with a log", "fail C with a log")
    assert strict.run().logs == "all, all, end, record, record"
    assert all(b"answered 413" in body.footer for body in strict.bodies[2:])


def test_what_is_known_to_be_too_large_is_tried_once_less_fails_too(play: MakePlay) -> None:
    strict = play(lambda words, log: 413 if log == "all" else 500 if words == "fail B" else 200)
    strict.put("fail A with a log")
    strict.run()
    strict.put("fail B with a log")
    strict.run(5)
    assert strict.logs_of("fail B")[:4] == ["end", "record", "all", "end"]


def test_what_is_too_large_is_known_for_an_hour(play: MakePlay) -> None:
    small = play(lambda _, log: 413 if log == "all" else 200)
    small.put("fail A with a log")
    small.run()
    small.put("fail B with a log")
    assert small.run().logs == "all, end, end"
    assert b"the service answered 413 said the service to all of it" in small.bodies[-1].footer
    small.now += 3601
    small.put("fail C with a log")
    assert small.run().logs == "all, end, end, all, end"


def test_so_is_what_did_not_get_through_in_time(play: MakePlay) -> None:
    slow_link = play(lambda words, log: STALLED if words[0] == "f" and log == "all" else 200)
    slow_link.put("done A", "fail B with a log")
    slow_link.run()
    slow_link.put("fail C with a log")
    assert slow_link.run().logs == "all, all, end, end"
    assert b"all of it could not be sent in time" in slow_link.bodies[-1].footer


def test_what_a_log_was_refused_for_says_nothing_of_the_next(play: MakePlay) -> None:
    strict = play([200, 500, 200, 200])
    strict.put("done A", "fail B with a log", "done C with a log")
    assert strict.run().logs == "all, all, end, all"


def test_a_log_is_offered_again_after_a_failure_that_passed_shortened(play: MakePlay) -> None:
    strict = play([200, 500, 200, 200])
    strict.put("note A", "fail B with a log")
    assert strict.run().requests == [
        (0, "note A", "all"),
        (0, "fail B", "all"),
        (0.5, "fail B", "end"),
        (0.5, "note B", "all"),
    ]
    assert strict.became == "note A delivered, fail B delivered, note B delivered"


@pytest.mark.parametrize(
    ("before", "then"),
    [("done A", "fail B"), ("note A", "done B")],  # the first says nothing of notes
)
def test_in_no_other_case(before: str, then: str, play: MakePlay) -> None:
    strict = play([200, 500, 200])
    strict.put(before, f"{then} with a log")
    assert strict.run().sent == f"{before}, {then}, {then}"


def test_what_is_too_large_is_not_offered_again(play: MakePlay) -> None:
    small = play(lambda _, log: 413 if log == "all" and small.sent != "note A" else 200)
    small.put("note A", "fail B with a log")
    assert small.run().sent == "note A, fail B, fail B"


def test_nothing_is_offered_where_no_notes_are_to_be_sent(play: MakePlay) -> None:
    keeps_little = play([answered(200, kept=1000)], events=(Event.SUCCESS, Event.FAIL))
    keeps_little.put("fail B with a log")
    assert keeps_little.run().became == "fail B delivered"
    assert keeps_little.counts.pending == 0


@pytest.mark.parametrize("words", ["fail B", "done B", "3 B"])
def test_what_the_service_does_not_keep_is_offered_again(words: str, play: MakePlay) -> None:
    keeps_little = play([answered(200, kept=1000), 200])
    keeps_little.put(f"{words} with a log", "done C")
    assert keeps_little.run().sent == f"{words}, note B, done C"
    assert keeps_little.bodies[0].log == keeps_little.bodies[1].log


@pytest.mark.parametrize("words", ["start B", "note B"])
def test_of_ends_alone(words: str, play: MakePlay) -> None:
    keeps_little = play([answered(200, kept=1000), 200])
    keeps_little.put(f"{words} with a log")
    assert keeps_little.run().sent == words


def test_a_log_is_rendered_once_whatever_becomes_of_it(play: MakePlay) -> None:
    rendered: list[None] = []

    def body() -> Body:
        rendered.append(None)
        return Body(log=b"x" * 2000)

    keeps_little = play([503, answered(200, kept=1000), 200])
    keeps_little.put(Ping(Event.FAIL, "A", body))
    assert keeps_little.run().sent == "fail A, fail A, note A"
    assert len(rendered) == 1


def test_a_log_that_can_not_be_made_now_may_be_made_later(play: MakePlay) -> None:
    errors = iter([OSError(24, "Too many open files"), ImportError("after chroot")])

    def body() -> Body:
        for error in errors:
            raise error
        return Body(log=b"a log")

    short = play([200])
    short.put(Ping(Event.FAIL, "A", body))
    assert short.run().requests == [(1.5, "fail A", "all")]
    assert short.bodies == [Body(log=b"a log")]


def test_a_log_that_can_not_be_made_at_all_is_no_reason_not_to_ping(
    play: MakePlay, said: Callable[[], list[str]]
) -> None:
    def body() -> Body:
        raise ValueError("a bug")

    broken = play([503, 200])
    broken.put(Ping(Event.FAIL, "A", body))
    assert broken.run().sent == "fail A, fail A"
    assert {each.whole() for each in broken.bodies} == {b"loghc: the log could not be attached.\n"}
    assert [line for line in said() if line.startswith("ValueError")] == ["ValueError: a bug"]


def test_logs_that_were_sent_take_no_room(play: MakePlay) -> None:
    well = play([200])
    for number in range(40):
        well.put(f"fail {number} with a log")
        well.run()
    well.put("start A with a log")
    assert well.run().bodies[-1].log == LOG + RECORD


def test_an_offer_that_is_refused_is_no_loss(play: MakePlay, said: Callable[[], list[str]]) -> None:
    keeps_little = play([answered(200, kept=1000), 403, 200])
    keeps_little.put("fail B with a log", "done C")
    assert keeps_little.run().became == "fail B delivered, note B superseded, done C delivered"
    assert said() == []


def test_an_offer_that_met_no_answer_is_made_again(play: MakePlay) -> None:
    keeps_little = play([answered(200, kept=1000), NO_ANSWER, 200])
    keeps_little.put("fail B with a log")
    assert keeps_little.run().sent == "fail B, note B, note B"


def test_a_ping_without_a_log_has_nothing_to_leave_out(play: MakePlay) -> None:
    strict = play([200, 500, 500, 500, 200])
    strict.put("done A", "fail B")
    assert strict.run().logs == "all, all, all, all, all"


# What is set aside.


def test_a_ping_that_fails_three_times_waits_while_others_are_sent(play: MakePlay) -> None:
    strict = play(lambda words, _: 500 if words == "note B" else 200)
    strict.put("done A", "note B", "note C")
    strict.run(20)
    assert strict.sent.startswith("done A, note B, note B, note B, note C, note B")
    # after C passed it is asked as seldom as its own failures say
    assert strict.times[:6] == [0, 0, 0.5, 1.5, 1.5, 3.5]


def test_what_is_set_aside_keeps_its_own_pace(play: MakePlay) -> None:
    strict = play(lambda words, _: 500 if words.startswith("note") else 200)
    strict.put("done A", "note B", "note C")
    strict.run(40)
    times = [moment for moment, words, _ in strict.requests if words == "note B"]
    assert times == [0, 0.5, 1.5, 5.5, 13.5, 29.5]


def test_an_end_that_is_set_aside_does_so_while_others_pass(play: MakePlay) -> None:
    strict = play(lambda words, _: 500 if words == "fail B" else 200)
    strict.put("done A", "fail B", "note C")
    strict.put_at(2, "note D")
    strict.put_at(3.6, "note E")
    strict.run(10)
    assert (4.0, "note E", "all") in strict.requests  # each failure is followed by a pause
    assert [moment for moment, words, _ in strict.requests if words == "fail B"][:4] == [
        0, 0.5, 1.5, 3.5,
    ]  # fmt: skip


def test_what_is_set_aside_is_tried_twice_a_second_during_a_stop(play: MakePlay) -> None:
    strict = play([200, 500])
    strict.put("done A", "start B")
    strict.run(40)
    strict.requests.clear()
    strict.at(45, lambda: strict.stop_in(2.2))
    strict.run()
    assert strict.times == [45, 45.5, 46, 46.5, 47]


def test_an_end_that_is_set_aside_is_tried_again_before_newer_ones(play: MakePlay) -> None:
    away = play([200, *[500] * 6, 200])
    away.put("done A", "fail B", "start C", "done C")
    away.run()
    taken = [each for each in away.became.split(", ") if each.endswith("delivered")]
    assert taken == ["done A delivered", "fail B delivered", "done C delivered"]


def test_an_end_that_comes_after_a_newer_one_comes_as_a_note(play: MakePlay) -> None:
    strict = play(lambda words, _: 500 if words.endswith(" B") and strict.now < 30 else 200)
    strict.put("done A", "3 B")
    strict.put_at(10, "done C")
    strict.run()
    assert strict.requests[-1][1] == "note B"
    assert strict.became == "done A delivered, done C delivered, 3 B delivered"


def test_a_newer_note_makes_no_note_of_an_end(play: MakePlay) -> None:
    strict = play(lambda words, _: 500 if words == "fail B" and strict.now < 30 else 200)
    strict.put("fail B")
    strict.put_at(10, "note C")
    strict.run()
    assert strict.became == "note C delivered, fail B delivered"
    assert strict.sent.endswith("fail B")


# What is void.


def test_out_of_trouble_everything_is_sent(play: MakePlay) -> None:
    well = play([200], took=0.5)
    well.put("start A", "note A", "done A", "start B", "done B")
    assert well.run().sent == "start A, note A, done A, start B, done B"


def test_in_trouble_what_counts_is_sent(play: MakePlay, said: Callable[[], list[str]]) -> None:
    away = play([503, 200])
    away.put("start A", "note A", "done A", "start B", "note B", "done B")
    assert away.run().sent == "start A, done A, done B"  # A's start was attempted
    assert away.counts.stats == Stats(2, 0, 0, 4)
    assert said() == []  # not many


def test_trouble_ends_when_nothing_waits(play: MakePlay) -> None:
    away = play([503, 200])
    away.put("note A", "done A")
    away.run()
    away.put("note B", "done B")
    assert away.run().sent == "note A, done A, note B, done B"


def test_trouble_begins_when_the_oldest_ping_has_waited_ten_seconds(
    play: MakePlay, said: Callable[[], list[str]]
) -> None:
    slow = play([200], took=4.9)
    slow.put(*(f"note {n}" for n in range(9)), "done A")
    slow.run()
    assert slow.sent == "note 0, note 1, note 2, done A"
    assert said() == [
        "loghc: pings to here came faster than they could be delivered: "
        "6 pings superseded by newer ones (6 log)."
    ]


def test_what_is_not_reported_yet_is_reported_at_the_stop(
    play: MakePlay, said: Callable[[], list[str]]
) -> None:
    slow = play([200], took=4.9)
    for _ in range(2):
        slow.put(*(f"note {n}" for n in range(9)), "done A")
        slow.run()
    assert len(said()) == 1
    slow.stop_in(5)
    slow.sender.finish(0)
    assert len(said()) == 1


def test_whoever_sends_owns_nothing_once_all_is_sent(play: MakePlay) -> None:
    well = play([200])
    well.put("done A")
    well.run()
    did: list[None] = []
    other = threading.Thread(
        target=well.sender._ownership.run_owned, args=(lambda: did.append(None), 0.01)
    )
    other.start()
    other.join(20)
    assert did


def test_trouble_begins_when_half_of_the_time_of_a_stop_is_over(play: MakePlay) -> None:
    slow = play([200], took=1.0)
    slow.put(*(f"note {n}" for n in range(9)), "done A")
    slow.stop_in(5)
    slow.run()
    assert slow.sent == "note 0, note 1, note 2, done A"


def test_trouble_begins_with_the_tenth_second_and_not_before(play: MakePlay) -> None:
    slow = play([200], took=5.0)
    slow.put("note 0", "note 1", "note 2", "done A")
    assert slow.run().sent == "note 0, note 1, done A"
    slow = play([200], took=4.999)
    slow.put("note 0", "note 1", "note 2", "done A")
    assert slow.run().sent == "note 0, note 1, note 2, done A"


def test_at_a_stop_in_trouble_what_says_nothing_of_the_state_is_void(play: MakePlay) -> None:
    away = play([200, 503, 503, 200])
    away.put("start A")
    away.run()
    away.put("start B", "note B", "start C", "fail B", "done A")
    away.at(0.1, lambda: away.stop_in(5))
    assert away.run().sent == "start A, start B, fail B, fail B, done A"
    assert away.counts.stats == Stats(3, 0, 0, 3)


def test_a_start_that_is_set_aside_is_void_once_its_end_comes(play: MakePlay) -> None:
    strict = play(lambda words, _: 500 if words == "start A" else 200)
    strict.put("done 0", "start A")
    strict.put_at(1.6, "done A")  # once the start is set aside
    assert strict.run().became == "done 0 delivered, start A superseded, done A delivered"


def test_of_another_run_it_is_not(play: MakePlay) -> None:
    strict = play(lambda words, _: 500 if words == "start A" and strict.now < 8 else 200)
    strict.put("done 0", "start A")
    strict.put_at(1.6, "done B")
    assert strict.run().sent.endswith("start A")
    assert strict.became == "done 0 delivered, done B delivered, start A delivered"


@pytest.mark.parametrize("opened", ["start B", "note B"])
@pytest.mark.parametrize("closed", ["fail A", "done B", "done A"])
def test_a_success_is_kept_while_the_service_may_hold_its_run_open(
    opened: str, closed: str, play: MakePlay
) -> None:
    away = play([200, 200, 503, 200])
    away.put(opened, closed)
    away.run()
    away.put("note X", "done B", "done C")
    holds_open = opened == "start B" and closed == "done A"
    expected = "done B, done C" if holds_open else "done C"
    assert away.run().sent == f"{opened}, {closed}, note X, {expected}"


def test_of_many_failures_some_are_counted_in_another(play: MakePlay) -> None:
    away = play(lambda words, _: 200 if away.now > 60 else 503)
    for number in range(40):
        away.put_at(number / 10, f"fail {number}")
    away.put_at(59, *(f"fail {number}" for number in range(40, 50)))
    away.run()
    taken = [words for moment, words, _ in away.requests if moment > 60]
    assert taken == ["fail 0", *(f"fail {number}" for number in range(19, 50))]
    counting = away.bodies[-31].footer.decode()
    assert counting == "loghc: and 18 more failures since 1970-01-01 00:00:00 UTC\n"
    assert not any(b"more failures" in body.footer for body in away.bodies[-30:])
    assert away.counts.stats == Stats(50, 0, 0)
    assert [words for words, _ in away.outcomes[:3]] == ["fail 0", "fail 1", "fail 2"]


@pytest.mark.parametrize(
    "body", [Body, lambda: Body(log=b"a log", footer=b"why\n")], ids=["", "with a log"]
)
def test_what_is_counted_is_reported_where_no_body_can_say_it(
    body: Callable[[], Body], play: MakePlay, said: Callable[[], list[str]]
) -> None:
    away = play(lambda *_: 200 if away.now > 60 else NO_ANSWER)
    away.put(*(Ping(Event.FAIL, str(number), body) for number in range(40)))
    away.run()
    assert away.counts.stats == Stats(40, 0, 0)
    assert not any(away.inbox._with_log.values())
    lines = [line for line in said() if "more failures wait for here" in line]
    assert len(lines) == (body is Body)
    counting = [each.footer for each in away.bodies if b"more failures" in each.footer]
    assert all(footer.startswith(b"why\nloghc: and 8 more") for footer in counting)
    assert bool(counting) is (body is not Body)
    if body is Body:
        assert set(away.bodies) == {Body()}  # nothing at all, though it is late


def test_a_ping_that_is_sent_after_a_minute_says_when_it_happened(play: MakePlay) -> None:
    away = play([NO_ANSWER])
    away.put("fail A")
    away.run(130)
    late = [b"sent late, of " in body.headline for body in away.bodies]
    assert late == [moment > 60 for moment in away.times]


# Bounds.


def test_the_runs_that_count_as_started_are_bounded(
    play: MakePlay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loghc.delivery.waiting._STARTED", 2)
    away = play([200, 200, 200, 503, 200])
    away.put("start A", "start B", "start C")
    away.run()
    away.put("note X", "done A", "done B", "done C", "done D")
    assert away.run().sent.endswith("note X, done B, done C, done D")


def test_what_matters_least_makes_room(
    play: MakePlay, said: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loghc.delivery.waiting.PINGS", 3)
    crowded = play([200])
    crowded.put("fail A", "done B", "start C", "note D", "fail E", "start F")
    assert crowded.run().sent == "fail A, done B, fail E"
    assert crowded.became.startswith("start C lost, start F lost, note D lost")
    assert said()[0].startswith("loghc: start ping to here dropped: 3 newer ones wait")


def test_exactly_so_many_fit(play: MakePlay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loghc.delivery.waiting.PINGS", 3)
    crowded = play([200])
    crowded.put("start A", "note A", "done A")
    assert crowded.run().sent == "start A, note A, done A"


# Successors, and what goes in front.


@pytest.fixture
def passed_on(play: MakePlay) -> Callable[..., Play]:
    """What a sender sends after the one before it was stopped."""

    def passed_on(
        answer: Callable[[str, str], Answer], before: list[str], after: list[str]
    ) -> Play:
        strict = play(answer)
        late = strict.inbox.number(ping_of("fail late"))
        strict.put(*before)
        strict.run()
        strict.sender = strict.sender.take_over(0)
        strict.requests.clear()
        if not after:
            strict.counts.expect(late)
            strict.inbox.put(late)
        strict.put(*after)
        return strict.run()

    return passed_on


PassedOn = Callable[[Callable[[str, str], Answer], list[str], list[str]], Play]


def test_a_successor_knows_what_passed(passed_on: PassedOn) -> None:
    def answer(words: str, log: str) -> Answer:
        return 500 if words == "fail C" and log == "all" else 200

    assert passed_on(answer, ["start B"], ["fail C with a log"]).logs == "all, end"


def test_a_successor_knows_what_is_too_large(passed_on: PassedOn) -> None:
    def answer(words: str, log: str) -> Answer:
        return 413 if words.startswith("fail") and log == "all" else 200

    assert passed_on(answer, ["fail A with a log"], ["fail C with a log"]).logs == "end"


def test_a_successor_knows_the_newest_end(passed_on: PassedOn) -> None:
    assert passed_on(lambda *_: 200, ["done A"], []).sent == "note late"


def test_a_successor_knows_which_runs_were_started(passed_on: PassedOn) -> None:
    down = iter([503])
    answer: Callable[[str, str], Answer] = lambda words, _: (  # noqa: E731
        next(down, 200) if words == "note X" else 200
    )
    assert passed_on(answer, ["start A"], ["note X", "done A", "done B"]).sent == (
        "note X, done A, done B"
    )


def test_whoever_was_taken_over_sends_nothing_more(play: MakePlay) -> None:
    busy = play([200])
    before = busy.sender
    busy.sender = before.take_over(0)
    busy.put("done A")
    before.work(Deadline(10))
    assert busy.sent == ""
    assert busy.run().sent == "done A"


def test_what_is_taken_over_is_sent_once(play: MakePlay) -> None:
    busy = play([503, 200])
    busy.put("fail A", "fail B")
    busy.run(0.1)
    pending = busy.counts.open()
    busy.sender = busy.sender.take_over(0)
    busy.counts.settle(pending[0], pending[0].unfinished)
    busy.requests.clear()
    assert busy.run().sent == "fail B"
    assert busy.became == "fail A lost, fail B delivered"


def test_what_earlier_runs_owe_goes_in_front(play: MakePlay) -> None:
    owing = play([200])
    owing.put("start A")
    owing.owed = [ping_of("fail old"), ping_of("3 older")]
    owing.inbox.asks_in_front = True
    assert owing.sender.has_work
    assert owing.run().sent == "fail old, 3 older, start A"
    assert not owing.sender.has_work


def test_it_is_sent_though_nothing_else_waits(play: MakePlay) -> None:
    owing = play([200])
    owing.owed = [ping_of("fail old")]
    assert owing.run().sent == ""  # nobody asked
    assert not owing.sender.has_work
    owing.inbox.asks_in_front = True
    assert owing.sender.has_work
    owing.run()
    owing.put("done A")
    assert owing.run().sent == "fail old, done A"


def test_a_connection_is_kept_while_pings_wait_and_closed_when_none_does(play: MakePlay) -> None:
    well = play([200])
    well.put("start A", "done A")
    well.run()
    assert well.client.closed == 1


def test_a_stop_that_can_report_nothing_in_time_is_over_all_the_same(play: MakePlay) -> None:
    """Else nothing would ever be sent again, and nobody would hear of it."""
    busy = play([200])
    held, may_go = threading.Event(), threading.Event()

    def hold() -> None:
        busy.sender._ownership.acquire()
        held.set()
        may_go.wait(20)
        busy.sender._ownership.release()

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(20)
    busy.stop_in(5)
    busy.sender.finish(0.01)
    may_go.set()
    holder.join()
    busy.now += 10
    busy.put("done A")
    assert busy.run().sent == "done A"
