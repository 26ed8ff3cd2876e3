"""Many threads, many tasks, and functions of the app's that misbehave."""

from __future__ import annotations

import re
import threading
import time
import tracemalloc

import pytest
from loguru import logger

from loghc import Event, HealthSink, Outcome
from loghc.delivery.courier import CAPACITY, THREAD_NAME
from loghc.testing import PingReceiver
from waiting import in_threads, seconds_for, wait_until

LINE = re.compile(r"(thread \d+ line \d+ x{50}|sync\.log: thread \d+ mark \d+)")


@pytest.mark.parametrize("handlers", [1, 2])
def test_sixteen_threads_tear_no_line_and_lose_no_ping(
    handlers: int, ping_receiver: PingReceiver
) -> None:
    sink = HealthSink(ping_receiver.url, limit=50_000)
    for _ in range(handlers):
        logger.add(sink, format="{message}", catch=False)

    def work(number: int) -> None:
        for line in range(600):
            logger.info("thread {} line {} {}", number, line, "x" * 50)
            if line % 200 == 100:
                while sink.stats.pending > CAPACITY // 2:
                    time.sleep(0.001)
                logger.info("sync.log: thread {} mark {}", number, line)

    in_threads(work, 16)
    assert sink.wait(30)

    # Added twice, it gets each record twice; each marker is one ping all the same.
    assert len(ping_receiver.pings) == 16 * 3
    assert sink.stats.failed == 0
    marks = set()
    for ping in ping_receiver.pings:
        lines = ping.text.splitlines()
        assert all(LINE.fullmatch(line) for line in lines[1:])  # the first may be cut
        if handlers == 1:
            assert lines[-1].startswith("sync.log: thread")
        marks |= {line for line in lines if line.startswith("sync.log")}
    assert len(marks) == 16 * 3


def test_the_same_sink_added_twice_pings_once_and_closes_its_run(
    ping_receiver: PingReceiver,
) -> None:
    sink = HealthSink(ping_receiver.url)
    first = logger.add(sink, format="{message}")
    logger.add(sink, format="{message}")
    logger.info("sync.start")
    logger.remove(first)
    logger.info("sync.done")
    assert sink.wait(10)
    assert [ping.event for ping in ping_receiver.pings] == [Event.START, Event.SUCCESS]
    assert len({ping.run_id for ping in ping_receiver.pings}) == 1


def test_the_delivery_thread_stays_while_a_run_is_open(
    ping_receiver: PingReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loghc.delivery.courier._LINGER", 0.02)
    sink = HealthSink(ping_receiver.url)
    logger.add(sink, format="{message}")
    logger.info("sync.start")
    assert sink.wait(10)
    (thread,) = [thread for thread in threading.enumerate() if thread.name == THREAD_NAME]
    thread.join(0.3)  # many times the time after which it would end
    assert thread.is_alive()
    logger.info("sync.done")
    thread.join(10)
    assert not thread.is_alive()


def test_the_delivery_thread_ends_when_it_idles_and_comes_back(
    ping_receiver: PingReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loghc.delivery.courier._LINGER", 0.05)
    sink = HealthSink(ping_receiver.url)
    logger.add(sink, format="{message}")
    for _ in range(3):
        logger.info("sync.log")
        assert sink.wait(10)
        wait_until(lambda: THREAD_NAME not in {thread.name for thread in threading.enumerate()})
    assert sink.stats.delivered == 3


def test_an_on_outcome_that_logs_causes_no_deadlock_and_no_endless_pings(
    ping_receiver: PingReceiver,
) -> None:
    def log(outcome: Outcome) -> None:
        logger.info("sync.log: {} delivered", outcome.event.value)

    for _ in range(20):
        sink = HealthSink(ping_receiver.url, on_outcome=log)
        logger.add(sink, format="{message}", catch=False)
        logger.info("sync.start")
        logger.info("sync.done")
        assert seconds_for(logger.remove) < 5  # of the drain's 10
        assert sink.stats.delivered == 2
    assert len(ping_receiver.requests) == 40


def test_an_on_outcome_that_waits_for_loguru_holds_up_no_ping(ping_receiver: PingReceiver) -> None:
    """The delivery thread wants the very lock that loguru holds while it stops the sink."""
    removing = threading.Event()

    def reconfigure(outcome: Outcome) -> None:
        removing.wait(10)
        logger.add(lambda _: None)

    sink = HealthSink(ping_receiver.url, on_outcome=reconfigure)
    handler = logger.add(sink, format="{message}", catch=False)
    logger.info("sync.start")
    ping_receiver.wait(1)
    logger.info("sync.log")
    logger.info("sync.done")
    threading.Timer(0.2, removing.set).start()
    assert seconds_for(lambda: logger.remove(handler)) < 8
    assert len(ping_receiver.wait(3)) == 3
    assert sink.stats.delivered == 3


def test_an_on_outcome_that_takes_a_second_costs_an_exit_no_more_than_drain(
    ping_receiver: PingReceiver,
) -> None:
    told = []

    def slow(outcome: Outcome) -> None:
        time.sleep(1)
        told.append(outcome)

    sink = HealthSink(ping_receiver.url, on_outcome=slow, drain=2.0)
    logger.add(sink, format="{message}", catch=False)
    for _ in range(20):
        logger.info("sync.log")
    assert seconds_for(logger.remove) < 2 + 1 + 3  # of 20 that it would take
    assert sink.stats.pending == 0
    assert told


def test_on_outcome_may_wait_and_stop_without_a_deadlock(ping_receiver: PingReceiver) -> None:
    done = threading.Event()

    def odd(outcome: Outcome) -> None:
        sink.wait(5)
        sink.stop()
        done.set()

    sink = HealthSink(ping_receiver.url, on_outcome=odd)
    logger.add(sink, format="{message}", catch=False)
    logger.info("sync.start")
    assert done.wait(10)
    logger.info("sync.done")
    ping_receiver.wait(2)


def test_an_hour_of_outage_at_full_speed_holds_32_bodies_and_the_tail() -> None:
    limit = 20_000
    receiver = PingReceiver().start()
    receiver.stop()
    sink = HealthSink(receiver.url, limit=limit, drain=0.1)
    logger.add(sink, format="{message}", catch=False)
    tracemalloc.start()
    try:
        for number in range(400):
            for _ in range(20):
                logger.info("{}", f"{number:8}" * 125)
            logger.info("sync.log")
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Each body is rendered at most once, and the chunks of the log that they share are kept once.
    assert sink.stats.pending > 0
    assert held < (CAPACITY + 2) * 2 * limit + 2_000_000
    assert sink.stats.pending <= CAPACITY + 1
