"""Corners of the delivery: waits cut short, finalizers that log, stops while on_outcome runs."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import os
import ssl
import sys
import textwrap
import threading
import time
import uuid
import warnings
import weakref
from collections.abc import Callable, Iterator

import pytest
import trustme
import urllib3
from loguru import logger

import loghc.delivery.courier
from conftest import RunScript
from loghc import Event, HealthSink, Outcome
from loghc.delivery.courier import CAPACITY, THREAD_NAME, Backoff, Delivery, Stats
from loghc.delivery.report import Report
from loghc.log.masking import Masker
from loghc.ping import Ping
from loghc.service.client import PingClient
from loghc.service.url import PingUrl
from loghc.testing import Fault, PingReceiver

BEGIN = """
import atexit, os, signal, sys, threading, time
import urllib3
from loguru import logger
from loghc import HealthSink
logger.remove()
"""


def script(text: str) -> str:
    return BEGIN + textwrap.dedent(text)


def wait_until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def numbered(number: int) -> Ping:
    return Ping(Event.LOG, str(uuid.uuid4()), lambda: str(number).encode())


def delivery_to(
    url: str,
    on_outcome: Callable[[Outcome], object] | None = None,
    backoff: Backoff | None = None,
    timeout: float = 5.0,
) -> Delivery:
    parsed = PingUrl.parse(url)
    client = PingClient(parsed, Masker(parsed).text, timeout, {}, None, "0")
    return Delivery(client, Report("the receiver"), on_outcome, backoff)


def bodies(receiver: PingReceiver) -> list[int]:
    return [int(ping.body) for ping in receiver.pings]


# Overflow.


def test_overflow_in_mid_retry_drops_the_ping_that_is_being_tried(
    ping_receiver: PingReceiver,
) -> None:
    ping_receiver.script(Fault(503, headers={"Retry-After": "60"}))
    outcomes: list[Outcome] = []
    delivery = delivery_to(ping_receiver.url, outcomes.append)
    delivery.put(numbered(0))
    wait_until(lambda: ping_receiver.requests)  # it waits for a minute now
    for number in range(1, CAPACITY + 1):
        delivery.put(numbered(number))
    assert delivery.wait(20)  # eviction ends that minute
    delivery.stop(5)
    assert bodies(ping_receiver) == list(range(1, CAPACITY + 1))
    assert [outcome.delivered for outcome in outcomes] == [False] + [True] * CAPACITY
    assert outcomes[0].status == 503


def test_overflow_in_mid_request_delivers_or_drops_the_ping_but_never_both(
    ping_receiver: PingReceiver,
) -> None:
    ping_receiver.script(Fault(503, delay=0.5))
    outcomes: list[Outcome] = []
    delivery = delivery_to(ping_receiver.url, outcomes.append)
    delivery.put(numbered(0))
    wait_until(lambda: delivery.stats.pending == 1 and delivery._active is not None)
    for number in range(1, CAPACITY + 1):
        delivery.put(numbered(number))
    assert delivery.wait(20)
    delivery.stop(5)
    assert bodies(ping_receiver) == list(range(1, CAPACITY + 1))
    assert outcomes[0].attempts == 1
    assert not outcomes[0].delivered


def test_what_waits_to_be_told_is_bounded_and_holds_no_log(ping_receiver: PingReceiver) -> None:
    told: list[Outcome] = []
    go_on = threading.Event()

    def slow(outcome: Outcome) -> None:
        go_on.wait(30)
        told.append(outcome)

    class Body:
        def __call__(self) -> bytes:
            return b"1"

    delivery = delivery_to(ping_receiver.url, slow)
    delivery.put(numbered(0))
    wait_until(lambda: ping_receiver.pings)
    held = []
    for _ in range(loghc.delivery.courier._UNTOLD + 200):
        body = Body()
        held.append(weakref.ref(body))
        delivery.put(Ping(Event.LOG, str(uuid.uuid4()), body))
        del body
    gc.collect()
    assert sum(ref() is not None for ref in held) <= CAPACITY
    dropped = loghc.delivery.courier._UNTOLD + 200 - CAPACITY
    assert delivery.stats.failed == dropped
    assert len(delivery._lost) == loghc.delivery.courier._UNTOLD
    go_on.set()
    assert delivery.wait(30)
    delivery.stop(5)
    assert len(told) == 1 + loghc.delivery.courier._UNTOLD + CAPACITY


# Stopping.


def test_what_stop_gives_up_is_told_to_on_outcome_on_a_thread_of_its_own(
    ping_receiver: PingReceiver,
) -> None:
    ping_receiver.always(503)
    told: list[tuple[Outcome, str]] = []
    delivery = delivery_to(
        ping_receiver.url,
        lambda outcome: told.append((outcome, threading.current_thread().name)),
    )
    delivery.put(numbered(0))
    delivery.put(numbered(1))
    delivery.stop(0.2)
    assert [outcome.delivered for outcome, _ in told] == [False, False]
    assert told[0][0].attempts >= 1
    assert told[1][0].error == "dropped before the first attempt"
    assert {name for _, name in told} == {THREAD_NAME}


def test_stop_cuts_off_the_request_under_way(ping_receiver: PingReceiver) -> None:
    ping_receiver.always(Fault(delay=math.inf))
    delivery = delivery_to(ping_receiver.url, timeout=60)
    delivery.put(numbered(0))
    wait_until(lambda: delivery._active is not None)
    worker = delivery._worker
    assert worker is not None
    time.sleep(0.2)  # into the request
    worker.deadline = math.inf
    delivery._give_up(0.0)
    worker.thread.join(10)  # of the minute that the request may take
    assert not worker.thread.is_alive()


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
    delivery = delivery_to(ping_receiver.url, backoff=Backoff(first=0.02, factor=8.0))
    delivery.put(numbered(0))
    wait_until(lambda: len(ping_receiver.requests) == 4)  # the next pause is of 5 s and more
    ping_receiver.script(503, 503, None)
    begun = time.monotonic()
    delivery.stop(30)
    assert time.monotonic() - begun < 4
    assert delivery.stats.delivered == 1


def test_a_stop_that_comes_while_a_pause_is_chosen_ends_it(ping_receiver: PingReceiver) -> None:
    stopping: list[threading.Thread] = []

    class Meanwhile(Backoff):
        def wait(self, attempts: int, retry_after: float | None) -> float:
            if stopping:
                return 0.0
            stopping.append(threading.Thread(target=delivery.stop, args=(30,)))
            stopping[0].start()
            wait_until(lambda: delivery._worker is not None and delivery._worker.leaving)
            return 25.0

    ping_receiver.script(503)
    delivery = delivery_to(ping_receiver.url, backoff=Meanwhile())
    begun = time.monotonic()
    delivery.put(numbered(0))
    assert delivery.wait(60)
    stopping[0].join()
    assert time.monotonic() - begun < 15
    assert delivery.stats.delivered == 1


def test_nothing_is_begun_between_a_stop_s_deadline_and_its_end(
    ping_receiver: PingReceiver,
) -> None:
    found: list[Stats] = []

    class Late(Report):
        def waiting(self, pings: int, seconds: float) -> None:
            super().waiting(pings, seconds)
            wait_until(lambda: delivery._worker is None)  # its time is over
            found.append(delivery.stats)  # who asks sees that somebody sends what waits
            assert delivery._worker is None
            assert not delivery.wait(1)  # who waits sends it

    ping_receiver.script(Fault(delay=math.inf))
    url = PingUrl.parse(ping_receiver.url)
    client = PingClient(url, Masker(url).text, 2.0, {}, None, "0")
    delivery = Delivery(client, Late("the receiver"))
    delivery.put(numbered(0))
    delivery.put(numbered(1))
    delivery.stop(1.5)
    assert found == [Stats(0, 0, 2)]
    assert delivery.stats == Stats(0, 2, 0)
    assert len(ping_receiver.requests) == 1


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
    assert bodies(ping_receiver) == [0, 1]


def test_a_pool_manager_that_fails_at_once_is_waited_for_no_longer_than_drain(
    ping_receiver: PingReceiver,
) -> None:
    ping_receiver.always(503)
    delivery = delivery_to(ping_receiver.url)
    delivery.put(numbered(0))
    begun = time.monotonic()
    delivery.stop(0.5)
    assert time.monotonic() - begun < 0.5 + 3
    assert delivery.stats.failed == 1


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


def test_a_marker_logged_by_a_signal_handler_in_mid_put_does_not_deadlock(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    done = run_script(
        script("""
        from loghc.delivery.courier import Delivery
        sink = HealthSink(sys.argv[1])
        def on_signal(*_):
            with sink._delivery._changed:
                pass
            sink.stats
        signal.signal(signal.SIGUSR1, on_signal)
        with sink._delivery._changed:
            os.kill(os.getpid(), signal.SIGUSR1)
        print("went on")
        """),
        ping_receiver.url,
        timeout=15,
    )
    assert done.stdout == "went on\n"


# Waiting where no thread can be started.


@pytest.fixture
def no_new_delivery_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == THREAD_NAME:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)


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
    assert bodies(ping_receiver) == list(range(60))


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
    assert bodies(ping_receiver) == [0, 1]


def test_an_on_outcome_that_logs_a_marker_where_no_thread_starts_causes_no_endless_pings(
    no_new_delivery_thread: None, ping_receiver: PingReceiver
) -> None:
    sink = HealthSink(
        ping_receiver.url, on_outcome=lambda _: logger.info("sync.log: told"), drain=1.0
    )
    logger.add(sink, format="{message}", catch=False)
    logger.info("sync.done")
    assert sink.wait(5)
    logger.remove()
    assert len(ping_receiver.requests) == 1


# Finalizers that log.


def test_a_finalizer_that_logs_in_the_middle_of_the_delivery_causes_no_deadlock(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    done = run_script(
        script("""
        import faulthandler, gc

        class Logs:
            def __init__(self):
                self.itself = self

            def __del__(self):
                logger.info("collected")

        holds_lock, marking = threading.Event(), threading.Event()

        def collect_in_mid_lock(frame, event, arg):
            if frame.f_code.co_name == "_settle" and not holds_lock.is_set():
                holds_lock.set()
                marking.wait(10)
                gc.collect()  # as any allocation there may do

        faulthandler.dump_traceback_later(20, exit=True)
        gc.disable()
        sink = HealthSink(sys.argv[1])
        put = sink._delivery.put

        def put_later(ping):  # loguru's lock is held here
            if holds_lock.is_set():
                marking.set()
                time.sleep(0.3)
            put(ping)

        sink._delivery.put = put_later
        logger.add(sink, format="{message}")
        threading.settrace(collect_in_mid_lock)
        Logs()
        logger.info("sync.start")
        holds_lock.wait(10)
        logger.info("sync.done")
        print(sink.wait(15), sink.stats.delivered)
        """),
        ping_receiver.url,
        timeout=40,
    )
    assert done.stdout == "True 2\n", done.stderr
    assert [ping.event for ping in ping_receiver.pings] == [Event.START, Event.SUCCESS]


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
    assert bodies(ping_receiver) == [1]
    assert [outcome.delivered for outcome in outcomes] == [False, True]
    assert "LookupError: a bug" in capsys.readouterr().err


def test_a_body_that_cannot_be_made_is_no_reason_not_to_ping(
    ping_receiver: PingReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> bytes:
        raise ValueError("a bug")

    delivery = delivery_to(ping_receiver.url)
    delivery.put(Ping(Event.SUCCESS, str(uuid.uuid4()), broken))
    assert delivery.wait(20)
    delivery.stop(5)
    assert ping_receiver.pings[0].text == "loghc: the log could not be attached."
    assert "ValueError: a bug" in capsys.readouterr().err


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
    thread = delivery._worker
    assert thread is not None
    delivery.stop(5)
    assert delivery.stats.delivered == 3
    assert capsys.readouterr().err.count("on_outcome raised") == 3


def test_a_wait_on_the_delivery_thread_returns_at_once(ping_receiver: PingReceiver) -> None:
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
    ping_receiver.script(*(Fault(403, body=f"request {number}") for number in range(5)))
    sink = HealthSink(ping_receiver.url)
    logger.add(sink, format="{message}")
    for _ in range(5):
        logger.info("sync.start")
    assert sink.wait(20)
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_service_without_log_pings_is_mentioned_once(
    ping_receiver: PingReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    ping_receiver.script(*(404, None) * 4)
    sink = HealthSink(ping_receiver.url)
    logger.add(sink, format="{message}")
    for _ in range(4):
        logger.info("sync.log")
        logger.info("sync.done")
    assert sink.wait(20)
    assert len(capsys.readouterr().err.splitlines()) == 1


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


# More of stopping, and of forking.


def test_a_client_that_was_cancelled_makes_no_request(ping_receiver: PingReceiver) -> None:
    url = PingUrl.parse(ping_receiver.url)
    client = PingClient(url, Masker(url).text, 5.0, {}, None, "0")
    client.cancel()
    assert not client.send(numbered(0), b"0", 5.0).delivered
    assert ping_receiver.requests == ()


def test_stop_cuts_off_a_request_on_a_connection_that_was_kept(
    ping_receiver: PingReceiver,
) -> None:
    delivery = delivery_to(ping_receiver.url, timeout=60)
    delivery.put(numbered(0))
    assert delivery.wait(10)
    ping_receiver.always(Fault(delay=math.inf))
    delivery.put(numbered(1))
    wait_until(lambda: len(ping_receiver.requests) == 2)
    worker = delivery._worker
    assert worker is not None
    delivery._give_up(0.0)
    worker.thread.join(10)
    assert not worker.thread.is_alive()


def test_a_long_wait_is_mentioned_once(
    ping_receiver: PingReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
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
        delivery.put(Ping(Event.SUCCESS, run, lambda: b"x" * 100 + b" the end"))
        delivery.put(Ping(Event.START, str(uuid.uuid4()), bytes))
        assert delivery.wait(20)
        delivery.stop(5)
        assert [ping.event for ping in receiver.pings] == [Event.SUCCESS, Event.LOG, Event.START]
        assert receiver.pings[1].text.endswith(" the end")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_has_a_connection_of_its_own_and_says_its_own_trouble(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    ping_receiver.script(404, 404)
    done = run_script(
        script("""
        sink = HealthSink(sys.argv[1])
        logger.add(sink, format="{message}")
        logger.info("sync.start")
        assert sink.wait(10)
        pid = os.fork()
        if pid == 0:
            assert sink._delivery._client._connection is None
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
