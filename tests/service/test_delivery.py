"""The way of pings to their outcomes: what overflows, stops, waits, overlaps, and what is said."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import math
import os
import re
import socket
import ssl
import sys
import textwrap
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trustme
import urllib3
from loguru import logger

from conftest import RunScript, complaints
from loghc import Event, HealthSink, Outcome, Stats, native
from loghc.delivery import Delivery
from loghc.delivery.inbox import LOGS, PINGS
from loghc.delivery.policy import Backoff, Policy
from loghc.delivery.queued import LOG_LEFT_OUT
from loghc.delivery.troubles import Troubles
from loghc.log.body import Body
from loghc.ping import Attempt, Ping
from loghc.service.client import PingClient
from loghc.testing import Fault, PingReceiver
from pings import client_of, delivery_to, numbered, numbers, ping
from processes import needs_posix
from services import answer_ok, service, unused_port
from waiting import refuse_thread, seconds_for, wait_until, wait_until_in

BEGIN = """
import atexit, os, signal, sys, threading, time
import urllib3
from loguru import logger
from loghc import HealthSink
logger.remove()
"""


def script(text: str) -> str:
    return BEGIN + textwrap.dedent(text)


UNAVAILABLE = b"HTTP/1.1 503 Busy\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n"


# Overflow.


def test_what_overflows_is_known_at_once_and_bounds_what_waits(
    ping_receiver: PingReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes: list[Outcome] = []
    ping_receiver.always(Fault(delay=math.inf))
    delivery = delivery_to(ping_receiver.url, outcomes.append, timeout=60)
    failures = [ping(Event.FAIL) for _ in range(100)]
    for each in failures:
        delivery.put(each)
    wait_until(lambda: ping_receiver.requests)  # nothing is decided while an attempt lasts
    for _ in range(PINGS + 1000):
        delivery.put(ping(Event.SUCCESS))
    assert delivery.stats.pending <= PINGS + 100
    assert 1000 <= delivery.stats.failed <= 1100
    assert "dropped" in capsys.readouterr().err
    wait_until(lambda: len(outcomes) == delivery.stats.failed)
    assert {outcome.event for outcome in outcomes} == {Event.SUCCESS}
    delivery.stop(0)
    lost = {outcome.run_id for outcome in outcomes[:1000]}
    assert not lost & {each.run_id for each in failures}


def test_the_end_of_every_one_of_a_hundred_overlapping_runs_arrives(
    ping_receiver: PingReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    ping_receiver.always(Fault(delay=0.02))
    sink = HealthSink(ping_receiver.url, drain=60.0)
    logger.add(sink, format="{message}")
    for number in range(100):
        logger.bind(run_id=f"run {number}").info("sync.start")
    for number in range(100):
        level, marker = ("ERROR", "sync.error") if number % 5 == 0 else ("INFO", "sync.done")
        logger.bind(run_id=f"run {number}").log(level, marker + ": run {}", number)
    logger.remove()
    ends = [each for each in ping_receiver.pings if each.event.ends_run]
    assert len({each.run_id for each in ends}) == len(ends) == 100
    assert sink.stats == Stats(delivered=len(ping_receiver.pings), failed=0, pending=0)
    with_log = [
        each for each in ends if each.event is Event.FAIL and each.body != LOG_LEFT_OUT.whole()
    ]
    assert len(with_log) == 20  # failures keep theirs before successes do
    assert said_left_out(capsys.readouterr().err) == left_out(ping_receiver)


def said_left_out(said: str) -> int:
    return sum(int(count) for count in re.findall("the logs of ([0-9]+) pings? left out", said))


def left_out(receiver: PingReceiver) -> int:
    return sum(each.body == LOG_LEFT_OUT.whole() for each in receiver.pings)


def test_a_burst_is_counted_right_and_no_service_that_fails_and_recovers(
    ping_receiver: PingReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    ping_receiver.always(Fault(delay=0.01))
    sink = HealthSink(ping_receiver.url)
    logger.add(sink, format="{message}")
    for number in range(60):
        logger.info("sync.log: {}", number)
    assert sink.wait(30)
    logger.remove()
    assert sink.stats == Stats(60, 0, 0)
    said = capsys.readouterr().err
    assert said_left_out(said) == left_out(ping_receiver) > 0
    assert "delivered again" not in said
    assert "not delivered" not in said
    assert len(said.splitlines()) <= 2


def test_a_burst_that_goes_on_is_said_once_and_the_rest_when_the_sink_stops(
    ping_receiver: PingReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    sink = HealthSink(ping_receiver.url)
    logger.add(sink, format="{message}")
    for _ in range(6):
        ping_receiver.script(Fault(delay=0.2))
        for _ in range(60):
            logger.info("sync.log")
        assert sink.wait(30)
    logger.remove()
    said = capsys.readouterr().err
    assert said.count("left out") == 2
    assert said_left_out(said) == left_out(ping_receiver)


def test_no_more_than_32_logs_are_held(ping_receiver: PingReceiver) -> None:
    ping_receiver.always(Fault(delay=math.inf))
    delivery = delivery_to(ping_receiver.url, timeout=60)
    held: list[int] = []

    class Log:
        def __init__(self) -> None:
            held.append(1)

        def __call__(self) -> Body:
            return Body(log=b"a log")

        def __del__(self) -> None:
            held.pop()

    for event in itertools.islice(itertools.cycle(Event), 400):
        delivery.put(Ping(event, str(uuid.uuid4()), Log()))
    assert len(held) <= LOGS
    delivery.stop(0)


def test_an_on_outcome_that_is_too_slow_is_told_the_newest_and_holds_up_nothing(
    ping_receiver: PingReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[Outcome] = []
    go_on = threading.Event()

    def slow(outcome: Outcome) -> None:
        go_on.wait(60)
        told.append(outcome)

    delivery = delivery_to(f"http://127.0.0.1:{unused_port()}/x", slow)
    delivery.put(numbered(0))
    delivery.stop(0)  # and is being told
    for _ in range(2 * PINGS + 500):
        delivery.put(ping(Event.SUCCESS))
    delivery.stop(0)
    stats = delivery.stats
    assert stats.failed + stats.superseded == 2 * PINGS + 501
    go_on.set()
    assert delivery.wait(60)
    assert len(told) == PINGS + 1
    assert capsys.readouterr().err.count("on_outcome is too slow") == 1


# Stopping.


def test_what_stop_gives_up_is_told_to_on_outcome_on_a_thread_of_its_own(
    ping_receiver: PingReceiver,
) -> None:
    ping_receiver.always(503)
    told: list[tuple[Outcome, int]] = []
    delivery = delivery_to(
        ping_receiver.url, lambda outcome: told.append((outcome, threading.get_ident()))
    )
    delivery.put(numbered(0))
    delivery.put(numbered(1))
    delivery.stop(0.2)
    assert delivery.wait(20)
    assert [outcome.delivered for outcome, _ in told] == [False, False]
    assert told[0][0].attempts >= 1
    assert told[1][0].error == "dropped before the first attempt"
    assert threading.get_ident() not in {thread for _, thread in told}


@pytest.mark.parametrize("kept", [False, True])
def test_stop_cuts_off_the_request_in_progress_also_on_a_connection_that_was_kept(
    kept: bool,
) -> None:
    hung, cut_off = threading.Event(), threading.Event()

    def serve(connection: object) -> None:
        if kept:
            answer_ok(connection)  # type: ignore[arg-type]
        connection.recv(65_536)  # type: ignore[attr-defined]
        hung.set()
        while connection.recv(65_536):  # type: ignore[attr-defined]
            pass
        cut_off.set()

    with service(serve) as port:
        delivery = delivery_to(f"http://127.0.0.1:{port}/x", timeout=60)
        if kept:
            delivery.put(ping(Event.LOG, text="the end"))
        delivery.put(ping(Event.LOG, text="the second"))
        assert hung.wait(20)
        delivery.stop(0)
        assert cut_off.wait(20)  # of the minute that the request may take
    assert delivery.stats == Stats(int(kept), 1, 0)


def test_stop_does_not_wait_out_a_long_pause_between_attempts(ping_receiver: PingReceiver) -> None:
    ping_receiver.script(Fault(503, headers={"Retry-After": "60"}))
    delivery = delivery_to(ping_receiver.url)
    delivery.put(numbered(0))
    wait_until(lambda: ping_receiver.requests)
    begun = time.monotonic()
    delivery.stop(30)
    assert time.monotonic() - begun < 15
    assert delivery.stats.delivered == 1


def test_a_retry_after_beyond_the_time_that_is_left_at_stop_is_not_obeyed(
    ping_receiver: PingReceiver,
) -> None:
    ping_receiver.script(Fault(503, headers={"Retry-After": "60"}, delay=0.5))
    delivery = delivery_to(ping_receiver.url)
    delivery.put(numbered(0))
    delivery.stop(30)  # while the answer is on its way
    assert delivery.stats.delivered == 1


def test_at_stop_the_pauses_between_attempts_begin_short_again(
    ping_receiver: PingReceiver,
) -> None:
    ping_receiver.always(503)
    delivery = delivery_to(ping_receiver.url, backoff=Backoff(first=0.001, factor=30.0))
    delivery.put(numbered(0))
    wait_until(lambda: len(ping_receiver.requests) == 4)  # the next pause is of 13 s and more
    ping_receiver.script(503, 503, None)
    begun = time.monotonic()
    delivery.stop(30)
    assert time.monotonic() - begun < 10
    assert delivery.stats.delivered == 1


def test_a_stop_that_comes_while_a_pause_is_chosen_ends_it(ping_receiver: PingReceiver) -> None:
    stopping: list[threading.Thread] = []

    class Quiet(Troubles):
        def waiting(self, pings: int, seconds: float) -> None:
            said.set()

    class Meanwhile(Backoff):
        def wait(self, failures: int, retry_after: float | None = None) -> float:
            if stopping:
                return 0.0
            stopping.append(threading.Thread(target=delivery.stop, args=(30,)))
            stopping[0].start()
            assert said.wait(20)
            return 25.0

    said = threading.Event()
    ping_receiver.script(503)
    delivery = Delivery(client_of(ping_receiver.url), Quiet(""), policy=Policy(backoff=Meanwhile()))
    begun = time.monotonic()
    delivery.put(numbered(0))
    assert delivery.wait(60)
    stopping[0].join()
    assert time.monotonic() - begun < 15
    assert delivery.stats.delivered == 1


@pytest.mark.parametrize("answer", [b"", UNAVAILABLE], ids=["an attempt", "pauses"])
def test_another_thread_can_make_a_stop_give_up_at_once(
    answer: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    asked, cut_off = threading.Event(), threading.Event()

    def serve(connection: socket.socket) -> None:
        connection.settimeout(60)
        while connection.recv(65_536):
            asked.set()
            connection.sendall(answer)
        cut_off.set()

    with service(serve) as port:
        delivery = delivery_to(f"http://127.0.0.1:{port}/x", timeout=120)
        delivery.put(ping(Event.FAIL))
        assert asked.wait(20)
        stopping = threading.Thread(target=delivery.stop, args=(60,))
        stopping.start()
        wait_until_in(stopping, "wait_for")
        begun = time.monotonic()
        delivery.abort()
        stopping.join(20)
        assert not stopping.is_alive()
        assert cut_off.wait(20)
        assert time.monotonic() - begun < 15  # of the minute
    assert delivery.stats == Stats(0, 1, 0)
    (seconds,) = re.findall(r"not delivered within ([\d.]+) s.*given up", capfd.readouterr().err)
    assert 0 <= float(seconds) < 15


def test_no_attempt_begins_after_a_stop_s_time_is_over(ping_receiver: PingReceiver) -> None:
    ping_receiver.always(Fault(503, delay=0.1))
    delivery = delivery_to(ping_receiver.url, backoff=Backoff(first=0.001, cap=0.002))
    for number in range(3):
        delivery.put(numbered(number))
    delivery.stop(0.5)
    requests = len(ping_receiver.requests)
    assert delivery.stats == Stats(0, 3, 0)
    ping_receiver.always(None)
    delivery.put(numbered(3))
    assert delivery.wait(20)
    delivery.stop(5)
    assert numbers(ping_receiver) == [3]
    assert len(ping_receiver.requests) == requests + 1


def test_what_an_abandoned_attempt_comes_to_later_is_ignored(
    ping_receiver: PingReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    sending, go_on, over = threading.Event(), threading.Event(), threading.Event()
    send = PingClient.send

    def late(self: PingClient, *args: object) -> object:
        result = send(self, *args)  # type: ignore[arg-type]
        if not over.is_set():
            sending.set()
            go_on.wait(30)
            over.set()
        return result

    monkeypatch.setattr(PingClient, "send", late)
    outcomes: list[Outcome] = []
    delivery = delivery_to(ping_receiver.url, outcomes.append)
    delivery.put(numbered(0))
    assert sending.wait(20)
    delivery.stop(0)
    assert delivery.stats == Stats(0, 1, 0)
    go_on.set()
    assert over.wait(20)
    delivery.put(numbered(1))
    assert delivery.wait(20)
    delivery.stop(5)
    assert delivery.stats == Stats(1, 1, 0)
    assert [outcome.delivered for outcome in outcomes] == [False, True]
    assert numbers(ping_receiver) == [0, 1]


def test_an_on_outcome_that_never_returns_holds_up_neither_the_pings_nor_a_stop(
    ping_receiver: PingReceiver,
) -> None:
    called, for_ever = threading.Event(), threading.Event()

    def hang(outcome: Outcome) -> None:
        called.set()
        for_ever.wait(60)

    delivery = delivery_to(ping_receiver.url, hang)
    for number in range(5):
        delivery.put(numbered(number))
    assert called.wait(20)
    begun = time.monotonic()
    delivery.stop(30)
    assert time.monotonic() - begun < 15
    assert delivery.stats == Stats(5, 0, 0)
    assert not delivery.wait(0.1)
    for_ever.set()


def test_an_on_outcome_that_never_returns_holds_up_no_exit(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    begun = time.monotonic()
    done = run_script(
        script("""
        logger.add(HealthSink(sys.argv[1], on_outcome=lambda _: time.sleep(1000)))
        logger.info("sync.start")
        logger.info("sync.done")
        """),
        ping_receiver.url,
    )
    assert done.returncode == 0
    assert time.monotonic() - begun < 8  # of a drain of 10, and more
    assert [each.event for each in ping_receiver.pings] == [Event.START, Event.SUCCESS]


def test_a_ping_that_comes_as_two_stops_end_is_not_given_up_before_its_time(
    ping_receiver: PingReceiver,
) -> None:
    for _ in range(5):
        ping_receiver.script(Fault(delay=0.1))
        delivery = delivery_to(ping_receiver.url)
        delivery.put(numbered(0))
        stops = [threading.Thread(target=delivery.stop, args=(30,)) for _ in range(2)]
        for stop in stops:
            stop.start()
        while all(stop.is_alive() for stop in stops):
            pass
        delivery.put(numbered(1))
        for stop in stops:
            stop.join()
        assert delivery.wait(20)
        delivery.stop(5)
        assert delivery.stats == Stats(2, 0, 0)


HUNG_LOOK_UP = """
import socket

def hang(host, port, *args, flags=0, **options):
    if flags & socket.AI_NUMERICHOST:
        raise socket.gaierror(socket.EAI_NONAME, "not an address")
    time.sleep(1000)

socket.getaddrinfo = hang
"""


@pytest.mark.parametrize("how", ["stop", "exit"])
def test_a_look_up_that_hangs_holds_up_neither_stop_nor_exit(
    how: str, run_script: RunScript
) -> None:
    done = run_script(
        script(
            HUNG_LOOK_UP
            + """
logger.add(HealthSink("http://hung.example/x", drain=2.0))
logger.info("sync.done")
print(time.time())
if sys.argv[1] == "stop":
    logger.remove()
    print(time.time(), flush=True)
    os._exit(0)
"""
        ),
        how,
    )
    begun, ended = [*map(float, done.stdout.split()), time.time()][:2]
    assert ended - begun < 10, done.stderr  # of 1,000
    assert "1 ping (success)" in done.stderr
    assert "given up" in done.stderr


def test_a_look_up_that_hangs_once_does_not_cost_the_last_ping(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    done = run_script(
        script("""
        import socket
        real, looked_up = socket.getaddrinfo, threading.Event()

        def hang_once(host, port, *args, flags=0, **options):
            if flags & socket.AI_NUMERICHOST:
                raise socket.gaierror(socket.EAI_NONAME, "not an address")
            if not looked_up.is_set():
                looked_up.set()
                time.sleep(1000)
            return real("127.0.0.1", port, *args, **options)

        socket.getaddrinfo = hang_once
        sink = HealthSink(sys.argv[1].replace("127.0.0.1", "slow.example"), drain=3.0)
        logger.add(sink)
        logger.info("sync.done")
        assert looked_up.wait(20)
        logger.remove()
        print(sink.stats.delivered)
        """),
        ping_receiver.url,
    )
    assert done.stdout == "1\n", done.stderr


def test_a_ping_that_comes_during_a_stop_is_delivered_in_its_time(
    ping_receiver: PingReceiver,
) -> None:
    ping_receiver.script(Fault(delay=0.5))
    delivery = delivery_to(ping_receiver.url)
    delivery.put(numbered(0))
    stopping = threading.Thread(target=delivery.stop, args=(30,))
    stopping.start()
    wait_until(lambda: ping_receiver.requests)
    delivery.put(numbered(1))
    stopping.join(30)
    assert delivery.wait(30)
    assert numbers(ping_receiver) == [0, 1]


def test_a_pool_manager_that_fails_at_once_is_waited_for_no_longer_than_drain() -> None:
    asked: list[str] = []

    class Own(urllib3.PoolManager):
        def request(self, method: str, url: str, *args: Any, **options: Any) -> Any:
            asked.append(method)
            return super().request(method, url, *args, **options)

    with Own() as http:
        client = client_of(f"http://127.0.0.1:{unused_port()}/x", http=http)
        delivery = Delivery(client, Troubles("a port that refuses"))
        delivery.put(numbered(0))
        wait_until(lambda: asked)  # all is imported
        begun = time.monotonic()
        delivery.stop(0.5)
        assert time.monotonic() - begun < 10
    assert delivery.stats == Stats(0, 1, 0)
    assert 1 <= len(asked) <= 10  # with pauses between them


def test_ctrl_c_in_a_stop_that_is_no_exit_reaches_the_app(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    ping_receiver.always(Fault(delay=math.inf))
    done = run_script(
        script("""
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        handler = logger.add(HealthSink(sys.argv[1]), format="{message}")
        logger.info("sync.done")
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        try:
            logger.remove(handler)
        except KeyboardInterrupt:
            print("interrupted")
        """),
        ping_receiver.url,
    )
    assert done.stdout == "interrupted\n"


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("where", ["expect", "put"])
def test_a_put_that_is_interrupted_leaves_a_ping_that_is_sent_once(
    where: str, late: bool, ping_receiver: PingReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = delivery_to(ping_receiver.url)
    owner = delivery._outcomes if where == "expect" else delivery._inbox
    real = getattr(owner, where)

    def interrupted(queued: object) -> None:
        monkeypatch.undo()
        if late:
            real(queued)
        raise KeyboardInterrupt

    monkeypatch.setattr(owner, where, interrupted)
    with pytest.raises(KeyboardInterrupt):
        delivery.put(numbered(7))
    assert delivery.wait(20)
    delivery.stop(5)
    assert delivery.stats == Stats(1, 0, 0)
    assert numbers(ping_receiver) == [7]


def test_an_exit_waits_for_on_outcome_though_its_thread_has_not_begun_to_run(
    ping_receiver: PingReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start_later(function: Callable[..., None], arguments: tuple[object, ...]) -> int:
        def later() -> None:
            time.sleep(0.1)
            start(function, arguments)

        return start(later, ())

    start = native.start_new_thread
    told: list[Outcome] = []
    ping_receiver.script(Fault(delay=0.1))
    delivery = delivery_to(ping_receiver.url, told.append)
    delivery.put(numbered(0))
    wait_until(lambda: ping_receiver.requests)
    monkeypatch.setattr("loghc.delivery._EXIT_GRACE_S", 30.0)
    monkeypatch.setattr("loghc.native.start_new_thread", start_later)
    delivery.stop(20, exiting=True)
    assert len(told) == 1


def test_a_stop_ends_though_a_test_of_the_apps_has_frozen_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 1.0)  # what freezegun does
    monkeypatch.setattr(time, "time", lambda: 1.0)
    delivery = delivery_to(f"http://127.0.0.1:{unused_port()}/x")
    delivery.put(numbered(0))
    assert not delivery.wait(0.1)
    delivery.stop(0.2)
    assert delivery.stats == Stats(0, 1, 0)


@pytest.mark.parametrize("threads", [True, False], ids=["", "no thread"])
def test_a_ping_that_is_cut_off_as_a_stop_ends_is_sent_again(
    threads: bool, ping_receiver: PingReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drained(*args: Any) -> bool:
        """A ping comes just when all before it are delivered."""
        done = drain(*args)
        delivery.put(numbered(0))
        wait_until(lambda: ping_receiver.requests)
        if not threads:
            monkeypatch.setattr("loghc.native.start_new_thread", refuse_thread)
            waiting.start()
            wait_until_in(waiting, "wait_for")
        return done

    ping_receiver.script(Fault(delay=math.inf))
    # Whichever comes first, the stop's end or the wait for an answer, the attempt ends soon.
    delivery = delivery_to(ping_receiver.url, timeout=4)
    drain = delivery._drain
    waited: list[bool] = []
    waiting = threading.Thread(target=lambda: waited.append(delivery.wait(20)))
    monkeypatch.setattr(delivery, "_drain", drained)
    delivery.stop(5)
    wait_until(lambda: delivery.stats.delivered)
    if not threads:
        waiting.join(20)
        assert waited == [True]


def test_a_stop_gives_up_when_told_to_though_no_thread_has_begun_to_send(
    threads_asked_for: list[Any],
) -> None:
    delivery = delivery_to(f"http://127.0.0.1:{unused_port()}/x")
    delivery.put(numbered(0))
    stopping = threading.Thread(target=delivery.stop, args=(60,))
    stopping.start()
    wait_until_in(stopping, "wait_for")
    delivery.abort()
    stopping.join(20)
    assert not stopping.is_alive()
    assert delivery.stats == Stats(0, 1, 0)
    assert threads_asked_for


def test_a_stop_cuts_an_attempt_at_half_its_time_though_that_is_short(
    ping_receiver: PingReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loghc.delivery.NOTICE_DELAY_S", 60.0)
    ping_receiver.script(Fault(delay=math.inf))
    delivery = delivery_to(ping_receiver.url, timeout=60)
    delivery.put(numbered(0))
    wait_until(lambda: ping_receiver.requests)
    delivery.stop(4)
    assert delivery.stats == Stats(1, 0, 0)


@pytest.mark.parametrize("options", [{}, {"exiting": False}, {"exiting": True}], ids=str)
def test_a_stop_that_is_interrupted_gives_up_what_waits_and_an_exit_goes_on(
    options: dict[str, bool], ping_receiver: PingReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    ping_receiver.always(Fault(delay=math.inf))
    delivery = delivery_to(ping_receiver.url, timeout=60)
    delivery.put(numbered(0))
    wait_until(lambda: ping_receiver.requests)
    monkeypatch.setattr(delivery._outcomes, "wait_for", interrupted)
    goes_on = (
        contextlib.nullcontext() if options.get("exiting") else pytest.raises(KeyboardInterrupt)
    )
    with goes_on:
        delivery.stop(60, **options)
    assert delivery.stats == Stats(0, 1, 0)
    ping_receiver.always(None)
    delivery.put(numbered(1))
    assert delivery.wait(20)
    assert delivery.stats == Stats(1, 1, 0)


# Waiting where no thread can be started.


@pytest.fixture
def no_new_delivery_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loghc.native.start_new_thread", refuse_thread)


def test_two_threads_that_wait_where_none_can_be_started_lose_no_ping(
    no_new_delivery_thread: None, ping_receiver: PingReceiver
) -> None:
    ping_receiver.always(Fault(delay=0.01))
    delivery = delivery_to(ping_receiver.url)
    together = threading.Barrier(4)

    def wait() -> None:
        together.wait()
        delivery.wait(5)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for attempt in range(30):
            delivery.put(numbered(2 * attempt))
            delivery.put(numbered(2 * attempt + 1))
            threads = [threading.Thread(target=wait) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert delivery.stats.pending == 0
    finally:
        sys.setswitchinterval(interval)
    assert delivery.stats.delivered == 60
    assert numbers(ping_receiver) == list(range(60))


def test_a_stop_where_no_thread_can_be_started_sends_each_ping_once_to_a_slow_service(
    no_new_delivery_thread: None, ping_receiver: PingReceiver
) -> None:
    ping_receiver.always(Fault(delay=0.8))
    delivery = delivery_to(ping_receiver.url)
    delivery.put(numbered(0))
    delivery.put(numbered(1))
    delivery.stop(20)
    assert delivery.stats == Stats(2, 0, 0)
    assert numbers(ping_receiver) == [0, 1]


def test_a_stop_that_sends_for_itself_gives_up_when_another_thread_says_so(
    no_new_delivery_thread: None, ping_receiver: PingReceiver
) -> None:
    def abort() -> None:
        wait_until(lambda: ping_receiver.requests)
        delivery.abort()

    ping_receiver.always(Fault(delay=math.inf))
    delivery = delivery_to(ping_receiver.url, timeout=120)
    delivery.put(numbered(0))
    other = threading.Thread(target=abort)
    other.start()
    assert seconds_for(lambda: delivery.stop(80)) < 20
    other.join()
    assert delivery.stats == Stats(0, 1, 0)


def test_two_threads_that_wait_where_none_can_be_started_both_return_with_on_outcome_set(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    done = run_script(
        script("""
        from loghc import native

        def no_thread(*_):
            raise RuntimeError("can't start new thread")

        sink = HealthSink(sys.argv[1], on_outcome=print)
        logger.add(sink)
        waiting = threading.Event()

        def wait():
            waiting.set()
            returned.append(sink.wait(20))

        returned = []
        other = threading.Thread(target=wait)
        native.start_new_thread = no_thread
        logger.info("sync.start")
        logger.info("sync.done")
        other.start()
        assert waiting.wait(10)
        begun = time.monotonic()
        wait()
        other.join()
        print(returned, sink.stats.delivered, time.monotonic() - begun < 10)
        """),
        ping_receiver.url,
    )
    assert done.stdout.splitlines()[-1] == "[True, True] 2 True", done.stderr


def test_a_wait_that_is_interrupted_leaves_the_ping_to_the_next(
    no_new_delivery_thread: None, ping_receiver: PingReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = PingClient.send

    def interrupted(*args: object) -> None:
        monkeypatch.setattr(PingClient, "send", send)
        raise KeyboardInterrupt

    delivery = delivery_to(ping_receiver.url)
    delivery.put(numbered(0))
    delivery.put(numbered(1))
    monkeypatch.setattr(PingClient, "send", interrupted)
    with pytest.raises(KeyboardInterrupt):
        delivery.wait(10)
    assert delivery.stats.pending == 2
    delivery.stop(10)
    assert delivery.stats.delivered == 2
    assert numbers(ping_receiver) == [0, 1]


def test_an_on_outcome_that_logs_a_marker_where_no_thread_starts_causes_no_endless_pings(
    no_new_delivery_thread: None, ping_receiver: PingReceiver
) -> None:
    sink = HealthSink(
        ping_receiver.url, on_outcome=lambda _: logger.info("sync.log: told"), drain=1.0
    )
    logger.add(sink, format="{message}", catch=False)
    logger.info("sync.done")
    assert sink.wait(20)
    logger.remove()
    assert len(ping_receiver.requests) == 1


def test_an_on_outcome_that_logs_a_marker_triggers_no_ping_of_another_sink_either(
    ping_receiver: PingReceiver,
) -> None:
    sinks = [
        HealthSink(ping_receiver.url, on_outcome=lambda _: logger.info("sync.log: told"))
        for _ in range(2)
    ]
    for sink in sinks:
        logger.add(sink, format="{message}", catch=False)
    logger.info("sync.done")
    logger.complete()
    assert all(sink.wait(20) for sink in sinks)
    logger.remove()
    assert [each.event for each in ping_receiver.pings] == [Event.SUCCESS] * 2


# Signals.


@needs_posix
def test_signals_are_for_the_app_s_threads(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    ping_receiver.script(Fault(delay=0.2), Fault(delay=float("inf")))
    done = run_script(
        script("""
        def blocked():
            return signal.pthread_sigmask(signal.SIG_BLOCK, ())

        def sending():
            for frame in sys._current_frames().values():
                while frame is not None and frame.f_code.co_name != "post":
                    frame = frame.f_back
                if frame is not None:
                    return True

        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
        told = []
        sink = HealthSink(sys.argv[1], on_outcome=lambda _: told.append(blocked()))
        logger.add(sink, format="{message}")
        logger.info("sync.start")
        while not told:
            time.sleep(0.001)
        print(told == [{signal.SIGUSR2}])  # as a process that on_outcome starts has it
        logger.info("sync.done")
        while not sending() or len(sys._current_frames()) > 2:  # on_outcome's thread ends
            time.sleep(0.001)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        os.kill(os.getpid(), signal.SIGTERM)
        print(signal.sigpending() == {signal.SIGTERM}, flush=True)
        os._exit(0)
        """),
        ping_receiver.url,
    )
    assert (done.returncode, done.stdout) == (0, "True\nTrue\n"), done.stderr


# Finalizers that log.


@pytest.fixture
def by_chance(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], object]]:
    """What is called, once, in the middle of a request, as finalizers may be."""
    actions: list[Callable[[], object]] = []
    send = PingClient.send

    def sending(*arguments: Any) -> Any:
        while actions:
            actions.pop()()
        return send(*arguments)

    monkeypatch.setattr(PingClient, "send", sending)
    return actions


@pytest.mark.parametrize("redact", [str.upper, int], ids=["works", "raises"])
def test_a_failure_that_a_finalizer_logs_on_the_sending_thread_is_told(
    ping_receiver: PingReceiver,
    by_chance: list[Callable[[], object]],
    redact: Callable[[str], Any],
) -> None:
    by_chance.append(lambda: logger.error("sync.error: an upload was dropped"))
    sink = HealthSink(ping_receiver.url, redact=redact)  # it was called on that thread before
    logger.add(sink, format="{message}", catch=False)
    logger.info("sync.start")
    assert sink.wait(20)
    assert [each.event for each in ping_receiver.pings] == [Event.START, Event.FAIL]


def test_what_a_sink_sends_that_was_removed_on_the_sending_thread_is_waited_for_at_the_exit(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    ping_receiver.always(Fault(delay=0.3))
    done = run_script(
        script("""
        from loghc.service.client import PingClient

        removed = threading.Event()
        send = PingClient.send

        def sending(*arguments):
            if not removed.is_set():
                logger.remove()
                removed.set()
            return send(*arguments)

        PingClient.send = sending
        logger.add(HealthSink(sys.argv[1]), format="{message}")
        logger.info("sync.done")
        assert removed.wait(20)
        """),
        ping_receiver.url,
    )
    assert complaints(done.stderr) == []
    assert [each.event for each in ping_receiver.pings] == [Event.SUCCESS]


def test_a_sink_that_is_removed_on_the_sending_thread_gives_up_no_ping(
    ping_receiver: PingReceiver,
    by_chance: list[Callable[[], object]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    sink = HealthSink(ping_receiver.url)
    handler = logger.add(sink, format="{message}", catch=False)

    def removes() -> None:
        logger.error("sync.error: an upload was dropped")
        logger.remove(handler)

    by_chance.append(removes)
    logger.info("sync.start")
    wait_until(lambda: len(ping_receiver.pings) == 2)
    assert sink.wait(20)
    assert [each.event for each in ping_receiver.pings] == [Event.START, Event.FAIL]
    assert sink.stats == Stats(2, 0, 0)
    assert complaints(capsys.readouterr().err) == []


def test_a_finalizer_that_logs_in_the_middle_of_the_delivery_causes_no_deadlock(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    done = run_script(
        script("""
        import faulthandler, gc
        from loghc.ping import Attempt
        from loghc.service.client import PingClient

        class Logs:
            def __init__(self):
                self.itself = self

            def __del__(self):
                logger.info("collected")

        counting, marking = threading.Event(), threading.Event()

        class Collecting(Attempt):
            @property
            def delivered(self):  # asked for while the outcome is counted
                if not counting.is_set() and sys._getframe(1).f_code.co_name == "_settle_one":
                    counting.set()
                    marking.wait(10)
                    Logs()
                    gc.collect()  # as any allocation there may do
                return True

        send = PingClient.send
        PingClient.send = lambda *args: Collecting(*send(*args))
        faulthandler.dump_traceback_later(20, exit=True)
        gc.disable()
        sink = HealthSink(sys.argv[1])
        put = sink._outlet._delivery.put

        def put_later(ping):  # loguru's lock is held here
            if counting.is_set():
                marking.set()
                time.sleep(0.3)
            put(ping)

        sink._outlet._delivery.put = put_later
        logger.add(sink, format="{message}")
        logger.info("sync.start")
        assert counting.wait(10)
        logger.info("sync.done")
        print(sink.wait(15), sink.stats.delivered)
        """),
        ping_receiver.url,
        timeout=40,
    )
    assert done.stdout == "True 2\n", done.stderr
    assert [each.event for each in ping_receiver.pings] == [Event.START, Event.SUCCESS]
    assert ping_receiver.pings[-1].text.splitlines()[0] == "sync.start"


# Bugs of ours, and what the app's own functions raise.


def test_a_ping_whose_handling_raises_is_reported_and_the_next_is_sent(
    ping_receiver: PingReceiver,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    send = PingClient.send

    def broken(*args: object) -> None:
        monkeypatch.setattr(PingClient, "send", send)
        raise LookupError("a bug")

    monkeypatch.setattr(PingClient, "send", broken)
    outcomes: list[Outcome] = []
    delivery = delivery_to(ping_receiver.url, outcomes.append)
    delivery.put(numbered(0))
    delivery.put(numbered(1))
    assert delivery.wait(20)
    delivery.stop(5)
    assert numbers(ping_receiver) == [1]
    assert [outcome.error for outcome in outcomes] == ["a fault in loghc", None]
    said = capsys.readouterr().err
    assert said.startswith("loghc: a ping could not be handled, please report this:\nTraceback")
    assert "LookupError: a bug" in said


def test_a_body_that_cannot_be_made_is_no_reason_not_to_ping(
    ping_receiver: PingReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> Body:
        raise ValueError("a bug")

    delivery = delivery_to(ping_receiver.url)
    delivery.put(Ping(Event.SUCCESS, str(uuid.uuid4()), broken))
    assert delivery.wait(20)
    delivery.stop(5)
    assert ping_receiver.pings[0].text == "loghc: the log could not be attached.\n"
    said = capsys.readouterr().err
    assert said.startswith("loghc: the log could not be attached to a ping, please report this:")
    assert "ValueError: a bug" in said


@pytest.mark.parametrize("kind", [SystemExit, GeneratorExit, asyncio.CancelledError])
def test_an_on_outcome_that_exits_ends_no_delivery(
    kind: type[BaseException], ping_receiver: PingReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    def leave(outcome: Outcome) -> None:
        raise kind

    delivery = delivery_to(ping_receiver.url, leave)
    for number in range(3):
        delivery.put(numbered(number))
    assert delivery.wait(20)
    delivery.stop(5)
    assert delivery.stats.delivered == 3
    assert capsys.readouterr().err.count("on_outcome raised") == 3


def test_a_wait_has_all_its_time_for_pings_that_come_while_it_waits(
    ping_receiver: PingReceiver,
) -> None:
    def on_outcome(_: Outcome) -> None:
        if len(ping_receiver.requests) == 1:
            time.sleep(0.1)  # by then nothing else is waited for
            ping_receiver.script(Fault(delay=0.2))
            delivery.put(numbered(1))

    delivery = delivery_to(ping_receiver.url, on_outcome)
    delivery.put(numbered(0))
    assert delivery.wait(20)
    assert numbers(ping_receiver) == [0, 1]
    delivery.stop(5)


def test_a_wait_within_on_outcome_does_not_wait_for_itself(ping_receiver: PingReceiver) -> None:
    took: list[float] = []

    def waits(outcome: Outcome) -> None:
        begun = time.monotonic()
        delivery.wait(30)
        took.append(time.monotonic() - begun)

    delivery = delivery_to(ping_receiver.url, waits)
    delivery.put(numbered(0))
    wait_until(lambda: took)
    delivery.stop(5)
    assert took[0] < 5


# What is said.


def test_a_refusal_with_another_text_each_time_is_said_once(
    ping_receiver: PingReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    ping_receiver.script(*(Fault(403, body=f"request {number}") for number in range(6)))
    sink = HealthSink(ping_receiver.url)
    logger.add(sink, format="{message}")
    for _ in range(5):
        logger.info("sync.start")
    assert sink.wait(20)
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_service_without_log_pings_is_mentioned_once(
    ping_receiver: PingReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    ping_receiver.script(404, 404)
    sink = HealthSink(ping_receiver.url)
    logger.add(sink, format="{message}")
    for _ in range(4):
        logger.info("sync.log")
        logger.info("sync.done")
    assert sink.wait(20)
    lost, again = capsys.readouterr().err.splitlines()
    assert "does not know /log" in lost
    assert "delivered again; 1 ping lost" in again


# Crashes.


def test_a_sink_removed_by_a_thread_that_outlives_the_main_thread_reports_no_crash(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    run_script(
        script("""
        sink = HealthSink(sys.argv[1])
        logger.add(sink, format="{message}")

        def work():
            logger.info("sync.start")
            threading.main_thread().join()
            logger.remove()
            logger.add(sink, format="{message}")
            logger.info("sync.done")

        threading.Thread(target=work).start()
        """),
        ping_receiver.url,
    )
    assert [ping.event for ping in ping_receiver.pings] == [Event.START, Event.SUCCESS]
    assert len({ping.run_id for ping in ping_receiver.pings}) == 1


# The caller's own pool manager, and urllib3's warnings.


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_does_not_share_the_connection_of_the_callers_own_pool_manager(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    done = run_script(
        script("""
        http = urllib3.PoolManager()
        sink = HealthSink(sys.argv[1], http=http)
        logger.add(sink, format="{message}")
        logger.info("sync.log")
        assert sink.wait(10)

        def port():
            connection = http.connection_from_url(sys.argv[1]).pool.queue[-1]
            return connection.sock.getsockname()[1]

        before = port()
        pid = os.fork()
        if pid == 0:
            logger.info("sync.log")
            os._exit(0 if sink.wait(10) and port() != before else 9)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        logger.info("sync.log")
        assert sink.wait(10)
        assert port() == before
        """),
        ping_receiver.url,
    )
    assert done.returncode == 0, done.stderr
    assert len(ping_receiver.requests) == 3


@pytest.fixture
def captured_warnings() -> Iterator[None]:
    class Intercept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logger.log(record.levelno, record.getMessage())

    handler = Intercept()
    logging.getLogger().addHandler(handler)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        yield
        logging.captureWarnings(False)
    logging.getLogger().removeHandler(handler)


def test_urllib3s_warnings_of_a_ping_do_not_come_back_as_records(captured_warnings: None) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1", "localhost").configure_cert(context)
    with PingReceiver(ssl_context=context) as receiver:
        sink = HealthSink(receiver.url, http=urllib3.PoolManager(cert_reqs="CERT_NONE"))
        logger.add(sink, level=0, format="{message}")
        logger.info("sync.start")
        assert sink.wait(20)
        logger.info("sync.done")
        assert sink.wait(20)
        assert receiver.pings[-1].text == "sync.start\nsync.done\n"
        with urllib3.PoolManager(cert_reqs="CERT_NONE") as other:  # the app's own do come
            other.request("POST", receiver.url)
        logger.info("sync.done")
        assert sink.wait(20)
        assert "InsecureRequestWarning" in receiver.pings[-1].text


# More of stopping, and of forking.


def test_a_long_wait_is_mentioned_once(
    ping_receiver: PingReceiver, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGHC_DEBUG", "1")
    ping_receiver.always(Fault(delay=3.5))
    delivery = delivery_to(ping_receiver.url)
    delivery.put(numbered(0))
    delivery.stop(20)
    assert capsys.readouterr().err.count("waiting at most") == 1


def test_the_end_of_a_cut_body_goes_before_the_next_ping() -> None:
    with PingReceiver(body_limit=20) as receiver:
        receiver.script(Fault(delay=0.3))
        delivery = delivery_to(receiver.url)
        run = str(uuid.uuid4())
        delivery.put(Ping(Event.SUCCESS, run, lambda: Body(log=b"x" * 100 + b" the end")))
        delivery.put(Ping(Event.START, str(uuid.uuid4()), Body))
        assert delivery.wait(20)
        delivery.stop(5)
        assert [ping.event for ping in receiver.pings] == [Event.SUCCESS, Event.LOG, Event.START]
        assert receiver.pings[1].text.endswith(" the end")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_has_a_connection_of_its_own_and_says_its_own_trouble(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    ping_receiver.script(404, 404, 404)  # the check is asked once more, by the parent
    done = run_script(
        script("""
        sink = HealthSink(sys.argv[1])
        logger.add(sink, format="{message}")
        logger.info("sync.start")
        assert sink.wait(10)
        pid = os.fork()
        if pid == 0:
            logger.info("sync.start")
            assert sink.wait(10)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        logger.info("sync.done")
        """),
        ping_receiver.url,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("404 not found") == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_that_is_forked_in_mid_delivery_sends_its_own_pings_alone(
    run_script: RunScript,
) -> None:
    done = run_script(
        script("""
        from loghc.testing import Fault, PingReceiver

        service = PingReceiver()
        service.start()
        service.script(Fault(delay=1.0), Fault(delay=0.2))
        sink = HealthSink(service.url)
        logger.add(sink, format="{message}")
        logger.info("sync.start")
        logger.info("sync.log: the parent's")
        while not service.requests:
            time.sleep(0.001)
        assert sink.stats.pending == 2
        pid = os.fork()
        if pid == 0:
            assert sink.stats.pending == 0
            logger.info("sync.log: the child's")
            assert sink.wait(10)
            assert sink.stats.delivered == 1
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        logger.info("sync.done")
        assert sink.wait(10)
        assert sink.stats.delivered == 3
        for each in service.pings:
            print(each.text.splitlines()[-1])
        service.stop()
        """)
    )
    assert done.returncode == 0, done.stderr
    lasts = sorted(done.stdout.splitlines())
    assert lasts == ["sync.done", "sync.log: the child's", "sync.log: the parent's", "sync.start"]
    assert complaints(done.stderr) == []


# Many threads put, wait and stop.


@pytest.mark.parametrize("seconds", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_a_storm_of_puts_stops_and_waits_keeps_the_order_and_every_ping_has_one_outcome(
    seconds: int, ping_receiver: PingReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []
    delivered: set[int] = set()
    send = PingClient.send

    def noted(self: PingClient, each: Ping, body: Body) -> Attempt:
        number = int(body.log)
        begun.append(number)  # perhaps too late, by a thread from which a stop took all over
        attempt = send(self, each, body)
        if attempt.delivered:
            delivered.add(number)
        return attempt

    monkeypatch.setattr(PingClient, "send", noted)
    outcomes: list[Outcome] = []
    delivery = delivery_to(ping_receiver.url, outcomes.append)
    over, lock = threading.Event(), threading.Lock()
    count = itertools.count()

    def puts() -> None:
        while not over.is_set():
            with lock:  # as loguru's own does, it gives the pings their order
                delivery.put(ping(Event.FAIL, text=str(next(count))))
            if delivery.stats.pending > LOGS // 2:
                over.wait(0.002)

    def stops() -> None:
        while not over.is_set():
            delivery.stop(0.005)
            over.wait(0.003)

    def waits() -> None:
        while not over.is_set():
            delivery.wait(0.002)

    threads = [threading.Thread(target=each) for each in (puts, puts, puts, stops, waits)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        over.wait(seconds)
        over.set()
        for thread in threads:
            thread.join()
        assert delivery.wait(30)
    finally:
        over.set()
        sys.setswitchinterval(interval)
    delivery.stop(5)
    assert delivery.wait(30)
    order = [number for number in begun if number in delivered]
    assert order == sorted(order)
    assert delivery.stats.pending == 0
    assert len(outcomes) == len({each.run_id for each in outcomes}) == next(count)
    arrived = {each.run_id for each in ping_receiver.pings}
    assert {each.run_id for each in outcomes if each.delivered} <= arrived
