"""What the app and the service see when the service, or the way to it, is in trouble."""

from __future__ import annotations

import math
import random
import re
import socket
import statistics
import time
from collections.abc import Callable, Iterator

import pytest
from loguru import logger

from conftest import RunScript
from loghc import Event, HealthSink, Outcome, Stats
from loghc.delivery import Delivery
from loghc.delivery.inbox import LOGS
from loghc.delivery.policy import Backoff
from loghc.delivery.troubles import Troubles
from loghc.testing import Fault, PingReceiver
from pings import client_of, delivery_to, numbered, numbers, ping, sped_up
from services import unused_port
from waiting import wait_until

SECRET = "5ca1ab1e-0000-4000-8000-00000badcafe"

# A fault of one request that the next one heals.
PASSING = {
    "connection reset before the request": Fault(cut="request"),
    "connection reset in the middle of the request": Fault(cut="body"),
    "connection closed without an answer": Fault(cut="before-answer", reset=False),
    "connection reset in the middle of the answer": Fault(cut="answer"),
    "accepted and never answered": Fault(delay=math.inf),
    "one byte of answer now and then": Fault(pace=0.3),
    "not HTTP": Fault(raw=b"SSH-2.0-OpenSSH_9.6\r\n"),
    "an empty answer": Fault(raw=b""),
    "a flood of interim answers": Fault(raw=b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "408": Fault(408),
    "429": Fault(429),
    "500": Fault(500),
    "502": Fault(502),
    "503": Fault(503),
    "504": Fault(504),
    "200 that says rate limited": Fault(200, body="OK (rate limited)"),
}

REFUSED = {
    300: "Use the final URL",
    400: "Check the ping URL",
    401: "user and password",
    403: "user and password",
    404: "Check the ping URL",
    409: "rename one",
    410: "use the URL of one that exists",
    301: "Use the final URL",
    302: "Use the final URL",
    303: "Use the final URL",
    307: "Use the final URL",
    308: "Use the final URL",
}


class Watched:
    """A sink that is added to loguru, and the outcomes that it told."""

    def __init__(self, url: str, **options: object) -> None:
        self.outcomes: list[Outcome] = []
        self.sink = HealthSink(url, on_outcome=self.outcomes.append, **options)  # type: ignore[arg-type]
        # catch=False: what the sink raises would come out of the log call.
        self.handler = logger.add(self.sink, format="{message}", catch=False)


@pytest.fixture
def watched() -> Iterator[Callable[..., Watched]]:
    yield Watched
    logger.remove()


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_a_passing_fault_costs_a_retry_with_the_same_run_id_and_no_order(
    fault: Fault, ping_receiver: PingReceiver, watched: Callable[..., Watched]
) -> None:
    app = watched(ping_receiver.url, timeout=1.0)
    ping_receiver.script(fault)
    logger.info("sync.start")
    assert app.sink.wait(20)
    logger.info("sync.done")
    assert app.sink.wait(20)

    assert [outcome.event for outcome in app.outcomes] == [Event.START, Event.SUCCESS]
    assert all(outcome.delivered for outcome in app.outcomes)
    assert app.outcomes[0].attempts >= 2
    assert app.outcomes[1].attempts == 1
    assert len({ping.run_id for ping in ping_receiver.pings}) == 1
    queries = [request.query for request in ping_receiver.requests if request.query]
    assert len(set(queries)) == 1
    arrived = [ping.event for ping in ping_receiver.pings]
    assert arrived in ([Event.START, Event.SUCCESS], [Event.START, Event.START, Event.SUCCESS])


def test_an_endless_answer_is_read_no_further_than_64_kib(
    ping_receiver: PingReceiver, watched: Callable[..., Watched]
) -> None:
    app = watched(ping_receiver.url)
    ping_receiver.script(Fault(endless=True))
    logger.info("sync.start")
    logger.info("sync.done")
    assert app.sink.wait(20)
    assert [outcome.attempts for outcome in app.outcomes] == [1, 1]
    assert all(outcome.delivered for outcome in app.outcomes)


@pytest.mark.usefixtures("asked_again_soon")
@pytest.mark.parametrize(("status", "advice"), REFUSED.items())
def test_a_refusal_is_reported_with_its_meaning_and_the_check_is_asked_once_more(
    status: int,
    advice: str,
    ping_receiver: PingReceiver,
    watched: Callable[..., Watched],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with PingReceiver() as elsewhere:
        location = {"Location": elsewhere.url} if 300 <= status < 400 else {}
        ping_receiver.always(Fault(status, headers=location))
        app = watched(ping_receiver.url)
        logger.error("sync.error: 12 files left")
        logger.error("sync.error: again")
        assert app.sink.wait(20)

        assert [(outcome.delivered, outcome.status) for outcome in app.outcomes] == [
            (False, status),
            (False, status),
        ]
        assert [outcome.attempts for outcome in app.outcomes] == [2, 1]
        assert elsewhere.requests == ()
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert str(status) in said
    assert advice in said
    assert ping_receiver.url.rpartition("/")[2] not in said


def test_a_200_that_says_not_found_is_reported_as_not_delivered(
    ping_receiver: PingReceiver,
    watched: Callable[..., Watched],
    capsys: pytest.CaptureFixture[str],
) -> None:
    ping_receiver.always(Fault(200, body="OK (not found)"))
    app = watched(ping_receiver.url)
    logger.info("sync.done")
    assert app.sink.wait(20)
    assert app.sink.stats.failed == 1
    first, again = ping_receiver.requests
    assert (again.time - first.time).total_seconds() > 1.9
    assert "not found" in capsys.readouterr().err


@pytest.mark.usefixtures("asked_again_soon")
def test_a_log_ping_that_a_service_does_not_know_stops_no_other(
    ping_receiver: PingReceiver,
    watched: Callable[..., Watched],
    capsys: pytest.CaptureFixture[str],
) -> None:
    app = watched(ping_receiver.url)
    ping_receiver.script(404, 404)
    logger.info("sync.log")
    logger.info("sync.done")
    assert app.sink.wait(20)
    assert [ping.event for ping in ping_receiver.pings] == [Event.SUCCESS]
    assert "does not know /log" in capsys.readouterr().err


def test_retry_after_is_respected_where_it_makes_sense(
    ping_receiver: PingReceiver, watched: Callable[..., Watched]
) -> None:
    app = watched(ping_receiver.url)
    ping_receiver.script(Fault(429, headers={"Retry-After": "1"}))
    logger.info("sync.start")
    assert app.sink.wait(30)
    first, second = (request.time for request in ping_receiver.requests)
    assert (second - first).total_seconds() > 0.9  # by itself it would be 0.5 at most
    assert app.outcomes[0].delivered


def test_waits_double_from_half_a_second_with_jitter_and_never_exceed_a_minute() -> None:
    backoff = Backoff()
    for attempts in (1, 2, 3, 10, 100, 10**6):
        longest = min(60.0, 0.5 * 2 ** min(attempts - 1, 64))
        waits = [backoff.wait(attempts, None) for _ in range(200)]
        assert all(longest / 2 <= wait <= longest for wait in waits)
        assert len(set(waits)) > 1
    assert backoff.wait(1, 1e9) == 60
    assert backoff.wait(1, 20) == 20
    assert backoff.wait(10, 0.0) >= 30


def test_an_outage_is_said_once_and_its_end_once_and_what_counts_is_told(
    watched: Callable[..., Watched], capsys: pytest.CaptureFixture[str]
) -> None:
    receiver = PingReceiver().start()
    receiver.stop()
    app = watched(receiver.url)
    for number in range(15):
        logger.info("sync.start")
        if number == 7:
            logger.error("sync.error, number {}", number)
        else:
            logger.info("sync.done, number {}", number)
    wait_until(lambda: "not delivered" in peek(capsys))
    with receiver:
        assert app.sink.wait(60)
        pings = receiver.pings
    # The first start was tried: the service may have it, and wait for its end.
    ends = [ping.text.splitlines()[-1] for ping in pings]
    assert ends == ["sync.done, number 0", "sync.error, number 7", "sync.done, number 14"]
    assert app.sink.stats == Stats(delivered=3, failed=0, pending=0, superseded=27)
    assert sum(outcome.superseded for outcome in app.outcomes) == 27
    said = peek(capsys).splitlines()
    assert len(said) == 2
    assert "connection refused; trying again" in said[0]
    assert "delivered again; 27 pings superseded by newer ones (15 start, 12 success)" in said[1]
    assert receiver.url.rpartition("/")[2] not in peek(capsys)


@pytest.mark.parametrize("failures", [1, 2])
def test_an_outage_is_said_at_its_second_failure(
    failures: int, ping_receiver: PingReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    delivery = Delivery(client_of(ping_receiver.url), Troubles("here"), None, sped_up())
    ping_receiver.script(*[500] * failures)
    delivery.put(ping(Event.START))
    assert delivery.wait(20)
    assert len(ping_receiver.requests) == failures + 1
    delivery.stop(5)
    assert capsys.readouterr().err.count("trying again until it is") == failures - 1


def test_logs_that_overflow_are_left_out_oldest_first_and_counted(
    watched: Callable[..., Watched], capsys: pytest.CaptureFixture[str]
) -> None:
    receiver = PingReceiver().start()
    receiver.stop()
    app = watched(receiver.url)
    for number in range(LOGS + 8):
        logger.error("sync.log: {}", number)
    assert app.sink.stats.pending == LOGS + 8
    with receiver:
        assert app.sink.wait(60)
        texts = [ping.text.splitlines()[-1] for ping in receiver.pings]
    left_out = [number for number, text in enumerate(texts) if "the log was left out" in text]
    kept = [text for text in texts if text.startswith("sync.log")]
    assert len(left_out) in (8, 9)  # the first may be on its way already
    assert kept[-LOGS + 1 :] == [f"sync.log: {n}" for n in range(9, LOGS + 8)]
    assert [outcome.delivered for outcome in app.outcomes] == [True] * (LOGS + 8)
    assert f"the logs of {len(left_out)} pings" in peek(capsys)


def test_pings_without_logs_have_none_to_leave_out(capsys: pytest.CaptureFixture[str]) -> None:
    receiver = PingReceiver().start()
    receiver.stop()
    sink = HealthSink(receiver.url, send_logs=False)
    handler = logger.add(sink)
    for _ in range(LOGS + 8):
        logger.info("sync.log")
    with receiver:
        assert sink.wait(60)
        assert {ping.body for ping in receiver.pings} == {b""}
        assert len(receiver.pings) == LOGS + 8
        logger.remove(handler)
    assert "left out" not in capsys.readouterr().err


def test_a_server_that_flaps_gets_a_thousand_pings_in_order() -> None:
    chance = random.Random(20)
    faults = [Fault(cut="request"), Fault(cut="body"), Fault(cut="before-answer"), Fault(500)]
    faults += [Fault(raw=b"garbage"), Fault(cut="answer"), Fault(429), Fault(503)]
    outcomes: list[Outcome] = []
    with PingReceiver() as receiver:
        receiver.script(*(chance.choice([*faults, *[None] * 16]) for _ in range(3000)))
        delivery = delivery_to(receiver.url, outcomes.append, Backoff(first=0.001, cap=0.01))
        for number in range(1000):
            delivery.put(numbered(number))
            if number % 16 == 0:
                assert delivery.wait(60)
        assert delivery.wait(60)
        delivery.stop(5)
        arrived = numbers(receiver)
    assert sorted(set(arrived)) == list(range(1000))
    assert arrived == sorted(arrived)
    assert len(outcomes) == 1000
    assert all(outcome.delivered for outcome in outcomes)
    assert max(outcome.attempts for outcome in outcomes) > 1


@pytest.mark.parametrize("service", ["healthy", "hung", "refused"])
def test_a_marker_call_does_not_wait_for_the_service(
    service: str, ping_receiver: PingReceiver, watched: Callable[..., Watched]
) -> None:
    if service == "hung":
        ping_receiver.always(Fault(delay=math.inf))
    elif service == "refused":
        ping_receiver.stop()
    app = watched(ping_receiver.url, timeout=0.5, drain=0.1)
    for number in range(2000):
        logger.info("copied {}", "x" * 40 + str(number))
    took = []
    for _ in range(60):
        begun = time.perf_counter()
        logger.info("sync.log")
        took.append(time.perf_counter() - begun)
        time.sleep(0.002)
    assert statistics.median(took) < 0.005
    logger.remove(app.handler)


SHORT_JOB = """
import sys, time
import urllib3  # else a busy machine may spend the drain on that
from loguru import logger
from loghc import HealthSink
logger.remove()
logger.add(HealthSink(sys.argv[1], drain=float(sys.argv[2]), timeout=5.0), catch=False)
logger.info("sync.start")
logger.info("sync.done")
print(time.time(), flush=True)
"""

LASTING = {
    "hung": Fault(delay=math.inf),
    "drip": Fault(pace=0.5),
    "reset": Fault(cut="request"),
    "not_http": Fault(raw=b"SSH-2.0-OpenSSH_9.6\r\n"),
    "unavailable": Fault(503),
    "asks_for_a_day": Fault(429, headers={"Retry-After": "86400"}),
}


def assert_bounded_exit(run_script: RunScript, url: str, drain: float = 2.0) -> str:
    done = run_script(SHORT_JOB, url, str(drain))
    took = time.time() - float(done.stdout)  # since the job was done
    assert done.returncode == 0
    assert took < drain + 1.0 + 5.0  # its margin, and a busy machine's
    assert SECRET not in done.stderr
    assert url.rpartition("/")[2] not in done.stderr
    assert "Traceback" not in done.stderr
    assert len(re.findall(r"given up", done.stderr)) == 1
    return done.stderr


@pytest.mark.parametrize("fault", LASTING.values(), ids=LASTING)
def test_exit_is_bounded_and_what_is_lost_is_said_once(
    fault: Fault, ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    ping_receiver.always(fault)
    said = assert_bounded_exit(run_script, ping_receiver.url)
    assert "1 ping (success)" in said
    assert "1 ping superseded by newer ones (start)" in said


def test_exit_is_bounded_when_the_connection_is_refused(run_script: RunScript) -> None:
    # Time enough for an attempt, even on a busy machine.
    said = assert_bounded_exit(run_script, f"http://127.0.0.1:{unused_port()}/{SECRET}", 3.0)
    assert "connection refused" in said


def test_exit_is_bounded_when_the_name_does_not_resolve(run_script: RunScript) -> None:
    said = assert_bounded_exit(run_script, f"https://nowhere.invalid/{SECRET}", 3.0)
    assert "nowhere.invalid" in said


def test_exit_is_bounded_when_the_connection_is_accepted_by_nobody(run_script: RunScript) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        port = server.getsockname()[1]
        crowd = [socket.socket() for _ in range(4)]
        try:
            for member in crowd:  # fills the backlog: further connections hang
                member.setblocking(False)
                member.connect_ex(("127.0.0.1", port))
            assert_bounded_exit(run_script, f"http://127.0.0.1:{port}/{SECRET}")
        finally:
            for member in crowd:
                member.close()


def test_nothing_is_sent_after_stop_gave_up(
    ping_receiver: PingReceiver, watched: Callable[..., Watched]
) -> None:
    ping_receiver.script(Fault(delay=math.inf))
    app = watched(ping_receiver.url, drain=0.3)
    logger.info("sync.start")
    logger.info("sync.done")
    logger.remove(app.handler)
    assert app.sink.stats.failed + app.sink.stats.superseded == 2
    requests = len(ping_receiver.requests)
    logger.add(app.sink, format="{message}", catch=False)  # it works again
    logger.info("sync.log: afterwards")
    assert app.sink.wait(20)
    assert [ping.text.splitlines()[-1] for ping in ping_receiver.pings] == ["sync.log: afterwards"]
    assert len(ping_receiver.requests) == requests + 1


_seen: dict[int, str] = {}


def peek(capsys: pytest.CaptureFixture[str]) -> str:
    """All that was written to standard error so far in this test."""
    _seen[id(capsys)] = _seen.get(id(capsys), "") + capsys.readouterr().err
    return _seen[id(capsys)]
