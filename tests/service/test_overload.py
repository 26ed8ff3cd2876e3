"""A service that is up, but slow, or takes only so many pings: it is told what is true now."""

from __future__ import annotations

import itertools
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from conftest import RunScript, complaints
from loghc import Event, Outcome
from loghc.delivery import Delivery
from loghc.delivery.troubles import Troubles
from loghc.testing import Fault, PingReceiver
from pings import client_of, ping, sped_up
from waiting import wait_until

BEGIN = """
import sys, threading, time
from loguru import logger
from loghc import HealthSink
logger.remove()
"""

TWENTY_RUNS = """
logger.add(HealthSink(sys.argv[1], drain=5))
for number in range(20):
    logger.info("sync.start")
    if number == 19:
        logger.error("sync.error: the last one")
    else:
        logger.info("sync.done")
"""
NOTES = """
logger.add(HealthSink(sys.argv[1], drain=5))
for number in range(200):
    logger.info("sync.log")
logger.error("sync.error: after the notes")
"""
SHORT_JOB = """
logger.add(HealthSink(sys.argv[1], drain=10))
logger.info("sync.start")
logger.info("sync.log")
logger.info("sync.done")
"""


@pytest.mark.parametrize("program", [TWENTY_RUNS, NOTES], ids=["runs", "notes"])
def test_the_failure_arrives_however_much_waits_before_it(
    program: str, ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    ping_receiver.always(Fault(delay=0.4))
    done = run_script(BEGIN + program, ping_receiver.url)
    assert done.returncode == 0
    last = [each for each in ping_receiver.pings if each.event.ends_run][-1]
    assert last.event is Event.FAIL
    assert ping_receiver.state == "down"
    (line,) = complaints(done.stderr)
    assert re.search(r"\d+ pings superseded by newer ones", line)


def test_a_short_job_s_pings_all_arrive_in_order_at_a_service_that_is_well(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    ping_receiver.always(Fault(delay=0.2))
    done = run_script(BEGIN + SHORT_JOB, ping_receiver.url)
    assert [each.event for each in ping_receiver.pings] == [Event.START, Event.LOG, Event.SUCCESS]
    assert complaints(done.stderr) == []


def scaled(receiver: PingReceiver, outcomes: list[Outcome], factor: float) -> Delivery:
    policy = sped_up(factor)
    return Delivery(client_of(receiver.url), Troubles("here"), outcomes.append, policy)


@contextmanager
def limited(receiver: PingReceiver, pings: int, seconds: float) -> Iterator[None]:
    """Answer 429 to more than so many pings within a time."""
    over = threading.Event()

    def run() -> None:
        begun, taken = time.monotonic(), len(receiver.pings)
        while not over.wait(0.001):
            if time.monotonic() - begun > seconds:
                begun, taken = time.monotonic(), len(receiver.pings)
            full = len(receiver.pings) - taken >= pings
            receiver.always(Fault(429) if full else None)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        receiver.always(None)


@pytest.mark.slow
def test_a_job_that_pings_more_often_than_the_service_takes_for_an_hour(
    ping_receiver: PingReceiver, capfd: pytest.CaptureFixture[str]
) -> None:
    factor = 120.0  # an hour in 30 s
    outcomes: list[Outcome] = []
    delivery = scaled(ping_receiver, outcomes, factor)
    with limited(ping_receiver, 5, 60 / factor):
        until = time.monotonic() + 3600 / factor
        failed_at = 0.0
        for number in itertools.count():
            if time.monotonic() >= until:
                break
            run_id = f"00000000-0000-4000-8000-{number:012}"
            delivery.put(ping(Event.START, run_id))
            event = Event.FAIL if number == 90 else Event.SUCCESS
            delivery.put(ping(event, run_id))
            if event is Event.FAIL:
                failed_at = time.monotonic()
                wait_until(lambda: any(each.event is Event.FAIL for each in ping_receiver.pings))
                assert time.monotonic() - failed_at < 5 * 60 / factor
            time.sleep(20 / factor)
        newest = run_id
        wait_until(lambda: ping_receiver.pings[-1].run_id == newest)
    assert delivery.wait(20)
    delivery.stop(5)
    assert len(capfd.readouterr().err.splitlines()) < 10
    stats = delivery.stats
    assert (stats.failed, stats.pending) == (0, 0)
    assert stats.superseded > 0
    assert stats.delivered == len(ping_receiver.pings)
    assert len(outcomes) == stats.delivered + stats.superseded


def test_the_newest_end_is_not_late_at_a_service_that_is_slow_and_never_fails(
    ping_receiver: PingReceiver, capfd: pytest.CaptureFixture[str]
) -> None:
    outcomes: list[Outcome] = []
    delivery = scaled(ping_receiver, outcomes, 20.0)  # 10 s are 0.5 s
    ping_receiver.always(Fault(delay=0.05))
    for number in range(100):
        delivery.put(ping(Event.LOG, text=str(number)))
    delivery.put(ping(Event.SUCCESS, text="the end"))
    wait_until(lambda: any(each.event is Event.SUCCESS for each in ping_receiver.pings))
    before = len(ping_receiver.pings)
    assert 3 < before < 60
    assert delivery.wait(20)
    delivery.stop(5)
    assert delivery.stats.superseded >= 100 - before
    assert "pings superseded by newer ones" in capfd.readouterr().err


def test_many_failures_of_an_outage_are_counted_in_one_that_is_told() -> None:
    outcomes: list[Outcome] = []
    receiver = PingReceiver().start()
    receiver.stop()
    delivery = scaled(receiver, outcomes, 20.0)
    delivery.put(ping(Event.FAIL, text="failure 0"))
    wait_until(lambda: delivery._sender._failures > 0)  # else its log may make room
    for number in range(1, 100):
        delivery.put(ping(Event.FAIL, text=f"failure {number}"))
    delivery.put(ping(Event.SUCCESS, text="well again"))
    wait_until(lambda: delivery._sender._failures > 1)
    with receiver:
        assert delivery.wait(20)
        texts = [each.text for each in receiver.pings]
        assert receiver.pings[-1].event is Event.SUCCESS
    assert len(texts) == 33
    assert texts[0].startswith("failure 0")
    assert "and 68 more failures since" in texts[1]
    assert texts[1].startswith("failure 69")
    assert delivery.stats.delivered == len(outcomes) == 101
    delivery.stop(5)


STRESS = """
outcomes = []
each, failing, drain = map(int, sys.argv[2:])
sink = HealthSink(sys.argv[1], drain=drain, on_outcome=outcomes.append)
logger.add(sink)

def log(thread):
    for number in range(each):
        logger.info("sync.log")
        if number % failing == failing - 1:
            logger.bind(run_id=f"{thread} {number}").error("sync.error")

threads = [threading.Thread(target=log, args=(n,)) for n in range(16)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
logger.info("sync.done: the last one")
logger.remove()
sink.wait(20)
stats = sink.stats
assert stats.pending == 0, stats
print(stats.delivered, stats.failed, stats.superseded, len(outcomes))
"""


@pytest.mark.parametrize(
    ("each", "failing", "drain"),
    [(100, 100, 30), pytest.param(3750, 1000, 30, marks=pytest.mark.slow)],
    ids=["1,600", "60,000"],
)
def test_sixteen_threads_and_a_slow_service_agree_on_every_ping(
    each: int, failing: int, drain: int, ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    ping_receiver.always(Fault(delay=0.01))
    arguments = map(str, (each, failing, drain))
    done = run_script(BEGIN + STRESS, ping_receiver.url, *arguments, timeout=120)
    assert done.returncode == 0, done.stderr
    delivered, failed, superseded, outcomes = map(int, done.stdout.split())
    total = 16 * (each + each // failing) + 1
    assert delivered + failed + superseded == total
    assert outcomes <= total
    assert superseded > 0
    # A failure that is counted in another one was delivered with it.
    more = sum(
        int(found[1])
        for received in ping_receiver.pings
        if (found := re.search("and ([0-9]+) more failures", received.text))
    )
    assert delivered == len(ping_receiver.pings) + more
    assert ping_receiver.pings[-1].text.endswith("sync.done: the last one\n")
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) < 20


def test_a_service_that_is_always_slower_than_the_timeout_is_waited_for(
    ping_receiver: PingReceiver,
) -> None:
    ping_receiver.always(Fault(delay=0.5))
    client = client_of(ping_receiver.url, timeout=0.2)
    delivery = Delivery(client, Troubles("here"), None, sped_up())
    events, run = [Event.START, Event.SUCCESS, Event.FAIL], ping(Event.LOG).run_id
    for event in events:
        delivery.put(ping(event, run))
    assert delivery.wait(30)
    assert delivery.stats.failed == 0
    told = [each.event for each in ping_receiver.pings]
    assert told == sorted(told, key=events.index)
    assert told[-1] is Event.FAIL
    requests = []  # for each of more pings: by now it is known how slow the service is
    for _ in range(5):
        before = len(ping_receiver.pings)
        delivery.put(ping(Event.SUCCESS, run))
        assert delivery.wait(30)
        requests.append(len(ping_receiver.pings) - before)
        if requests[-1] == 1:
            break
    assert 1 in requests
