"""The service keeps the first bytes of a body: the end of the log must arrive all the same."""

from __future__ import annotations

from typing import Any

import pytest
from loguru import logger

from loghc import Event, HealthSink, Outcome, Stats
from loghc.testing import Fault, PingReceiver
from pings import events

LIMIT = 10_000  # what a self-hosted instance keeps by default


@pytest.fixture
def small_service(ping_receiver: PingReceiver) -> PingReceiver:
    ping_receiver.body_limit = LIMIT
    return ping_receiver


@pytest.fixture
def sink(ping_receiver: PingReceiver) -> HealthSink:
    sink = HealthSink(ping_receiver.url)
    logger.add(sink, format="{message}")
    return sink


def log_lines(count: int = 9_000, text: str = "copied a photo, then another") -> None:
    for n in range(count):
        logger.info("{} {}", n, text)


def sent(receiver: PingReceiver) -> list[int]:
    """Bytes that were sent with each request."""
    return [len(request.body) for request in receiver.requests]


def test_an_error_that_is_first_to_learn_of_the_limit_sends_its_end_once_more(
    small_service: PingReceiver, sink: HealthSink
) -> None:
    log_lines()
    logger.error("sync.error: disk full")
    assert sink.wait(10)

    fail, end = small_service.pings
    assert events((fail, end)) == [Event.FAIL, Event.LOG]
    assert fail.run_id == end.run_id is not None
    assert sent(small_service) == [100_000, LIMIT]
    assert not fail.text.endswith("disk full\n")
    assert end.text.endswith("copied a photo, then another\nsync.error: disk full\n")
    assert len(end.body) == LIMIT
    assert small_service.state == "down"
    assert sink.stats == Stats(delivered=2, failed=0, pending=0)


def test_after_a_start_that_taught_the_limit_an_error_alone_ends_with_its_line(
    small_service: PingReceiver, sink: HealthSink
) -> None:
    logger.info("sync.start")
    assert sink.wait(10)
    log_lines()
    logger.error("sync.error: disk full")
    assert sink.wait(10)

    start, fail = small_service.pings
    assert events((start, fail)) == [Event.START, Event.FAIL]
    assert start.run_id == fail.run_id
    assert fail.text.endswith("then another\nsync.error: disk full\n")
    assert len(fail.body) == LIMIT == sent(small_service)[1]


def test_a_traceback_leaves_two_thirds_of_what_the_service_keeps_for_the_log(
    small_service: PingReceiver, sink: HealthSink
) -> None:
    logger.info("sync.start")
    assert sink.wait(10)
    log_lines(count=100)
    calls = "".join(f"def f{number}(): f{number + 1}()\n" for number in range(400))
    functions: dict[str, Any] = {}
    exec(f"{calls}def f400(): raise ValueError('too deep')", functions)
    try:
        functions["f0"]()
    except ValueError:
        logger.exception("sync.error")
    assert sink.wait(10)
    fail = small_service.pings[-1]
    assert "copied a photo, then another\n" in fail.text
    assert LIMIT // 4 < len(fail.text) - fail.text.index("sync.error") <= LIMIT // 3


def test_the_limit_is_obeyed_when_a_ping_is_sent_and_not_when_its_marker_is_logged(
    small_service: PingReceiver, sink: HealthSink
) -> None:
    # All four markers are queued when the first answer comes.
    small_service.script(Fault(503, delay=0.5))
    log_lines()
    for marker in ("sync.start", "sync.error: one", "sync.start", "sync.done: two"):
        logger.info(marker)
    assert sink.wait(10)
    pings = small_service.pings
    assert events(pings) == [Event.FAIL, Event.SUCCESS]  # the starts are void by then
    assert pings[1].text.endswith("sync.done: two\n")
    assert sent(small_service)[-1] == LIMIT


def test_a_success_too_sends_its_end_once_more(
    small_service: PingReceiver, sink: HealthSink
) -> None:
    log_lines()
    logger.info("sync.done")
    assert sink.wait(10)
    assert events(small_service.pings) == [Event.SUCCESS, Event.LOG]
    assert small_service.pings[1].text.endswith("then another\nsync.done\n")
    assert small_service.state == "up"


@pytest.mark.parametrize("marker", ["sync.start", "sync.log"])
def test_a_start_or_log_is_never_sent_once_more(
    small_service: PingReceiver, sink: HealthSink, marker: str
) -> None:
    log_lines()
    logger.info(marker)
    logger.info("sync.done")
    assert sink.wait(10)
    assert sent(small_service) == [100_000, LIMIT]
    assert small_service.pings[1].text.endswith("sync.done\n")


def test_the_end_follows_before_the_pings_of_later_markers(
    small_service: PingReceiver, sink: HealthSink
) -> None:
    log_lines()
    for marker in ("sync.error", "sync.start", "sync.done"):
        logger.info(marker)
    assert sink.wait(10)
    pings = small_service.pings
    assert events(pings) == [Event.FAIL, Event.LOG, Event.START, Event.SUCCESS]
    assert pings[0].run_id == pings[1].run_id != pings[2].run_id == pings[3].run_id


def test_a_body_within_the_limit_is_not_sent_once_more(
    small_service: PingReceiver, sink: HealthSink
) -> None:
    logger.info("x" * (LIMIT - len("\nsync.done\n")))
    logger.info("sync.done")
    assert sink.wait(10)
    assert sent(small_service) == [LIMIT]


def test_a_body_one_byte_beyond_the_limit_is_sent_once_more(
    small_service: PingReceiver, sink: HealthSink
) -> None:
    logger.info("x" * (LIMIT + 1 - len("\nsync.done\n")))
    logger.info("sync.done")
    assert sink.wait(10)
    assert sent(small_service) == [LIMIT + 1, LIMIT]


@pytest.mark.parametrize("limit", [9_998, 9_999, 10_000, 10_001])
def test_the_end_is_cut_at_a_character(
    ping_receiver: PingReceiver, sink: HealthSink, limit: int
) -> None:
    ping_receiver.body_limit = limit
    log_lines(3_000, "写真をコピーしました😀")
    logger.info("sync.error: 容量不足")
    logger.info("sync.error: 容量不足")
    assert sink.wait(10)
    _, end, second = ping_receiver.pings
    for ping in (end, second):
        assert ping.body.decode("utf-8").endswith("sync.error: 容量不足\n")
        assert limit - 3 <= len(ping.body) <= limit


def test_a_service_that_keeps_nothing_gets_nothing_more(
    ping_receiver: PingReceiver, sink: HealthSink
) -> None:
    ping_receiver.body_limit = 0
    logger.info("sync.error: one")
    logger.info("sync.error: two")
    assert sink.wait(10)
    assert events(ping_receiver.pings) == [Event.FAIL, Event.FAIL]
    assert sent(ping_receiver) == [len("one\n\nsync.error: one\n"), 0]


def test_a_limit_that_grows_is_used(ping_receiver: PingReceiver, sink: HealthSink) -> None:
    ping_receiver.body_limit = 0
    log_lines()
    for limit in (500, LIMIT, 200_000, 200_000):
        logger.info("sync.log")
        assert sink.wait(10)
        ping_receiver.body_limit = limit
    logger.info("sync.log")
    logger.info("sync.done")
    assert sink.wait(10)
    assert sent(ping_receiver) == [100_000, 0, 500, LIMIT, 100_000, 100_000]
    assert all(ping.text.endswith("sync.log\n") for ping in ping_receiver.pings[2:5])


def test_a_limit_that_shrinks_is_used(ping_receiver: PingReceiver, sink: HealthSink) -> None:
    log_lines()
    for limit in (LIMIT, 500, 50):
        logger.info("sync.log")
        assert sink.wait(10)
        ping_receiver.body_limit = limit
    logger.info("sync.done")
    assert sink.wait(10)
    assert sent(ping_receiver) == [100_000, 100_000, LIMIT, 500, 50]
    assert events(ping_receiver.pings)[-2:] == [Event.SUCCESS, Event.LOG]
    assert ping_receiver.pings[-1].text.endswith("sync.log\nsync.done\n")


def test_a_limit_that_shrinks_again_meanwhile_makes_no_endless_row_of_pings(
    ping_receiver: PingReceiver, sink: HealthSink
) -> None:
    announced = [Fault(headers={"Ping-Body-Limit": str(limit)}) for limit in (5_000, 500, 50, 5)]
    ping_receiver.script(*announced)
    log_lines()
    logger.info("sync.done")
    assert sink.wait(10)
    assert sent(ping_receiver) == [100_000, 5_000]


def test_an_answer_that_announces_no_limit_leaves_the_last_one(
    small_service: PingReceiver, sink: HealthSink
) -> None:
    log_lines()
    logger.info("sync.start")
    assert sink.wait(10)
    small_service.body_limit = None
    logger.info("sync.log")
    logger.info("sync.done")
    assert sink.wait(10)
    assert sent(small_service) == [100_000, LIMIT, LIMIT]


def test_a_sink_that_is_removed_and_added_again_still_knows_the_limit(
    small_service: PingReceiver,
) -> None:
    sink = HealthSink(small_service.url)
    handler = logger.add(sink, format="{message}")
    logger.info("sync.start")
    logger.remove(handler)
    handler = logger.add(sink, format="{message}")
    log_lines()
    logger.info("sync.done")
    logger.remove(handler)
    assert sent(small_service) == [len("sync.start\n"), LIMIT]


def test_without_an_announced_limit_the_sinks_own_counts(
    ping_receiver: PingReceiver, sink: HealthSink
) -> None:
    ping_receiver.body_limit = None
    log_lines()
    logger.info("sync.start")
    logger.info("sync.done")
    assert sink.wait(10)
    assert sent(ping_receiver) == [100_000, 100_000]


def test_the_smaller_of_both_limits_counts(small_service: PingReceiver) -> None:
    sink = HealthSink(small_service.url, limit=300)
    logger.add(sink, format="{message}")
    log_lines()
    logger.info("sync.start")
    logger.info("sync.done")
    assert sink.wait(10)
    assert sent(small_service) == [300, 300]


@pytest.mark.parametrize(
    "announced", ["", "banana", "-1", "1e3", "10.5", "0x10", "10 000", "9" * 40, "²", "1,000"]
)
def test_a_limit_that_makes_no_sense_is_ignored(
    ping_receiver: PingReceiver, sink: HealthSink, announced: str
) -> None:
    ping_receiver.always(Fault(headers={"Ping-Body-Limit": announced}))
    log_lines(20)
    logger.info("sync.error")
    logger.info("sync.error")
    assert sink.wait(10)
    assert events(ping_receiver.pings) == [Event.FAIL, Event.FAIL]
    assert all(ping.text.endswith("sync.error\n") for ping in ping_receiver.pings)


@pytest.mark.usefixtures("asked_again_soon")
def test_a_refused_ping_is_not_followed_by_its_end(
    small_service: PingReceiver, sink: HealthSink, capfd: pytest.CaptureFixture[str]
) -> None:
    small_service.always(Fault(404, headers={"Ping-Body-Limit": "100"}))
    log_lines()
    logger.info("sync.error")
    assert sink.wait(10)
    assert len(small_service.requests) == 2
    assert sink.stats == Stats(delivered=0, failed=1, pending=0)
    assert "404" in capfd.readouterr().err


def test_a_service_without_log_pings_keeps_getting_the_others(
    small_service: PingReceiver, capfd: pytest.CaptureFixture[str]
) -> None:
    outcomes: list[Outcome] = []
    sink = HealthSink(small_service.url, on_outcome=outcomes.append)
    logger.add(sink, format="{message}")
    small_service.script(None, 404)
    log_lines()
    logger.info("sync.error")
    logger.info("sync.done")
    assert sink.wait(10)
    assert events(small_service.pings) == [Event.FAIL, Event.SUCCESS]
    assert [(outcome.event, outcome.status) for outcome in outcomes] == [
        (Event.FAIL, 200),
        (Event.LOG, 404),
        (Event.SUCCESS, 200),
    ]
    assert outcomes[0].run_id == outcomes[1].run_id
    assert [outcome.superseded for outcome in outcomes] == [False, True, False]
    assert capfd.readouterr().err == ""


def test_the_end_follows_also_when_the_sink_is_removed_at_once(
    small_service: PingReceiver,
) -> None:
    handler = logger.add(HealthSink(small_service.url), format="{message}")
    log_lines()
    logger.info("sync.error")
    logger.remove(handler)
    assert events(small_service.pings) == [Event.FAIL, Event.LOG]
    assert small_service.pings[1].text.endswith("sync.error\n")


def test_without_logs_nothing_needs_to_follow(ping_receiver: PingReceiver) -> None:
    ping_receiver.body_limit = 0
    sink = HealthSink(ping_receiver.url, send_logs=False)
    logger.add(sink)
    logger.info("sync.error")
    assert sink.wait(10)
    assert sent(ping_receiver) == [0]


def test_a_body_is_redacted_before_it_is_cut_to_the_services_limit(
    ping_receiver: PingReceiver,
) -> None:
    ping_receiver.body_limit = 20
    handler = logger.add(HealthSink(ping_receiver.url, redact="secret"), format="{message}")
    logger.info("sync.start")
    logger.info("secret" * 10)
    logger.info("sync.done")
    logger.remove(handler)
    start, done = ping_receiver.requests
    assert start.body == b"sync.start\n"
    assert done.body == b"redacted]\nsync.done\n"
