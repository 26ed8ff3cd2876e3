"""Many threads, many tasks, and functions of the app's that misbehave."""

from __future__ import annotations

import gc
import re
import threading
import time
import tracemalloc

import pytest
from loguru import logger

from loghc import Event, HealthSink, Outcome, native
from loghc.delivery.inbox import LOGS, PINGS
from loghc.testing import Fault, PingReceiver
from services import unused_port
from waiting import in_threads, running_threads, seconds_for, wait_until, wait_until_in

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
                while sink.stats.pending > LOGS // 2:
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


def test_markers_through_two_handlers_are_told_in_the_order_in_which_they_came(
    ping_receiver: PingReceiver,
) -> None:
    reached, go_on = threading.Event(), threading.Event()

    class Name:  # of a run, that takes time
        def __str__(self) -> str:
            reached.set()
            go_on.wait(10)
            return "nightly"

    sink = HealthSink(ping_receiver.url)
    logger.add(sink, filter=lambda record: "run_id" in record["extra"])
    logger.add(sink, filter=lambda record: "run_id" not in record["extra"])
    first = threading.Thread(target=logger.bind(run_id=Name()).info, args=("sync.start",))
    second = threading.Thread(target=logger.info, args=("sync.log",))
    first.start()
    assert reached.wait(10)
    second.start()
    wait_until_in(second, "take")
    go_on.set()
    first.join()
    second.join()
    assert sink.wait(10)
    assert [ping.event for ping in ping_receiver.pings] == [Event.START, Event.LOG]


def test_there_is_no_thread_while_there_is_nothing_to_send(ping_receiver: PingReceiver) -> None:
    threads = running_threads()
    sink = HealthSink(ping_receiver.url, on_outcome=lambda _: None)
    logger.add(sink, format="{message}")
    for marker in ("sync.start", "sync.log", "sync.done"):
        assert running_threads() <= threads  # those of other tests may end
        logger.info(marker)
        assert sink.wait(10)
        wait_until(lambda: running_threads() <= threads)
    assert sink.stats.delivered == 3


def test_a_burst_of_markers_starts_no_thread_for_each(
    ping_receiver: PingReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = native.start_new_thread
    started: list[object] = []

    def counted(*args: object) -> int:
        started.append(args)
        return start(*args)  # type: ignore[arg-type]

    monkeypatch.setattr("loghc.native.start_new_thread", counted)
    ping_receiver.always(Fault(delay=0.002))
    sink = HealthSink(ping_receiver.url)
    logger.add(sink, format="{message}")
    for _ in range(300):
        logger.info("sync.start")
    # A few more than one start before the first of them runs; they end at once.
    assert len(started) < 150
    assert sink.wait(30)
    assert sink.stats.delivered == 300


def test_waiting_leaves_nothing_behind(ping_receiver: PingReceiver) -> None:
    sink = HealthSink(ping_receiver.url)
    logger.add(sink)
    logger.info("sync.start")
    assert sink.wait(10)
    bells = count_bells()  # other tests may have left some
    assert all(sink.wait(10) for _ in range(20))
    assert count_bells() < bells + 10


def count_bells() -> int:
    gc.collect()
    return sum(isinstance(each, native.Bell) for each in gc.get_objects())


def test_an_on_outcome_that_logs_causes_no_deadlock_and_no_endless_pings(
    ping_receiver: PingReceiver,
) -> None:
    def log(outcome: Outcome) -> None:
        logger.info("sync.log: {} delivered", outcome.event.value)

    for number in range(20):
        sink = HealthSink(ping_receiver.url, on_outcome=log)
        logger.add(sink, format="{message}", catch=False)
        logger.info("sync.start")
        logger.info("sync.done")
        if number % 2:
            assert sink.wait(10)  # it was told while its sink still hears what it logs
        begun = time.monotonic()
        logger.remove()
        assert time.monotonic() - begun < 5  # of the drain's 10
        assert sink.wait(10)  # on_outcome was told both, before the next sink is there to hear it
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


def test_an_on_outcome_that_takes_its_time_costs_a_stop_nothing(
    ping_receiver: PingReceiver,
) -> None:
    go_on = threading.Event()
    told: list[Outcome] = []

    def slow(outcome: Outcome) -> None:
        go_on.wait(60)
        told.append(outcome)

    sink = HealthSink(ping_receiver.url, on_outcome=slow, drain=30.0)
    logger.add(sink, format="{message}", catch=False)
    for _ in range(20):
        logger.info("sync.log")
    begun = time.monotonic()
    logger.remove()
    assert time.monotonic() - begun < 15
    assert (sink.stats.delivered, sink.stats.pending) == (20, 0)
    go_on.set()
    assert sink.wait(20)
    assert len(told) == 20


def test_on_outcome_may_wait_and_stop_without_a_deadlock(ping_receiver: PingReceiver) -> None:
    took: list[float] = []

    def odd(outcome: Outcome) -> None:
        took.append(seconds_for(lambda: (sink.wait(60), sink.stop())))

    sink = HealthSink(ping_receiver.url, on_outcome=odd, drain=60.0)
    logger.add(sink, format="{message}", catch=False)
    logger.info("sync.start")
    wait_until(lambda: took, 30)
    logger.info("sync.done")
    wait_until(lambda: len(took) == 2, 30)
    assert max(took) < 20  # of 60 for each
    assert [ping.event for ping in ping_receiver.pings] == [Event.START, Event.SUCCESS]


def test_an_hour_of_outage_at_full_speed_holds_32_logs_and_the_tail() -> None:
    limit = 20_000
    sink = HealthSink(f"http://127.0.0.1:{unused_port()}/x", limit=limit, drain=0.1)
    logger.add(sink, format="{message}", catch=False)
    tracemalloc.start()
    try:
        for number in range(120):
            for _ in range(20):
                logger.info("{}", f"{number:8}" * 125)
            logger.info("sync.log")
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Each body is rendered at most once, and the chunks of the log that they share are kept once.
    assert held < (LOGS + 2) * 2 * limit + 2_000_000
    assert sink.stats.pending == 120


@pytest.mark.slow
def test_a_week_of_outage_holds_so_many_pings_and_no_more() -> None:
    sink = HealthSink(f"http://127.0.0.1:{unused_port()}/x", drain=0.1)
    logger.add(sink, format="{message}", catch=False)
    for _ in range(PINGS):
        logger.info("sync.done")
    tracemalloc.start()
    try:
        for _ in range(3000):
            logger.info("sync.done")
        gained, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sink.stats.pending <= 2 * PINGS  # with the thread that sends, and before it takes them
    assert gained < 4_000_000  # 3,000 of them are others by now, each of about a kilobyte
