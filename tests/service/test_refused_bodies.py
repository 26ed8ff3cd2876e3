"""The event outranks its log: a verdict is told though the service refuses the log with it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from loguru import logger

from loghc import Event, HealthSink, Outcome
from loghc.delivery import Delivery
from loghc.delivery.policy import Policy
from loghc.delivery.troubles import Troubles
from loghc.log.body import Body
from loghc.ping import Ping
from loghc.testing import Fault, PingReceiver
from pings import client_of, ping, sped_up
from services import service
from waiting import wait_until

LOG = b"".join(b"%05d copied a photo\n" % number for number in range(4000))
RECORD = b"sync.error: disk full\n"
ANSWER = b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\nOK"


def failure(log: bytes = LOG, record: bytes = RECORD, event: Event = Event.FAIL) -> Ping:
    headline = b"OSError: disk full" if event is Event.FAIL else b""
    body = Body(headline, log + record, b"", len(record))
    return Ping(event, "3e0e2c7a-0000-4000-8000-000000000000", lambda: body)


class Strict:
    """A service that judges bodies."""

    def __init__(self, judge: Callable[[bytes], int]) -> None:
        self.requests: list[tuple[str, bytes, int]] = []  # path, body, status
        self._judge = judge

    def serve(self, connection: socket.socket) -> None:
        file = connection.makefile("rb")
        while line := file.readline():
            length = 0
            while (header := file.readline().strip()) != b"":
                name, _, value = header.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            body = file.read(length)
            status = self._judge(body)
            self.requests.append((line.split()[1].decode(), body, status))
            connection.sendall(ANSWER % status)

    @property
    def taken(self) -> list[tuple[str, bytes]]:
        return [(path, body) for path, body, status in self.requests if status == 200]


@contextmanager
def strict(
    judge: Callable[[bytes], int], policy: Policy | None = None
) -> Iterator[tuple[Strict, Delivery, list[Outcome]]]:
    outcomes: list[Outcome] = []
    refusing = Strict(judge)
    with service(refusing.serve) as port:
        client = client_of(f"http://127.0.0.1:{port}/x", timeout=2.0)
        troubles = Troubles("here", limit_name="--limit")
        policy = policy or sped_up()
        delivery = Delivery(client, troubles, outcomes.append, policy)
        yield refusing, delivery, outcomes
        delivery.stop(0)


REFUSALS = {
    "500 to one character": (lambda body: 500 if b"00001 " in body else 200, 2),
    "500 to one character near the end": (lambda body: 500 if b"03990 " in body else 200, 3),
    "413 above 16 kB": (lambda body: 413 if len(body) > 16_000 else 200, 2),
    "403 to a traceback": (lambda body: 403 if b"03999 " in body else 200, 3),
    "422": (lambda body: 422 if len(body) > 1000 else 200, 3),
}


@pytest.mark.parametrize(("judge", "attempts"), REFUSALS.values(), ids=REFUSALS)
def test_a_verdict_is_told_though_the_service_refuses_its_log(
    judge: Callable[[bytes], int], attempts: int, capfd: pytest.CaptureFixture[str]
) -> None:
    with strict(judge) as (refusing, delivery, outcomes):
        delivery.put(ping(Event.START))
        delivery.put(failure())
        delivery.put(ping(Event.SUCCESS))
        assert delivery.wait(20)
        (path, body), *_ = refusing.taken[1:]
        assert path.startswith("/x/fail")
        assert body.startswith(b"OSError: disk full\n\n")
        assert RECORD in body
        assert b"loghc: this ping has " in body
        assert [each.delivered for each in outcomes if each.event is Event.FAIL] == [True]
        assert [each.attempts for each in outcomes if each.event is Event.FAIL] == [attempts]
        assert sum(each.event is Event.SUCCESS and each.delivered for each in outcomes) == 1
    said = capfd.readouterr().err
    assert "delivered with less of its log" in said
    assert ("--limit" in said) is (refusing.requests[1][2] == 413)


def test_what_is_too_large_is_known_the_next_time() -> None:
    with strict(lambda body: 413 if len(body) > 16_000 else 200) as (refusing, delivery, outcomes):
        for _ in range(3):
            delivery.put(failure())
            assert delivery.wait(20)
        assert [each.attempts for each in outcomes] == [2, 1, 1]
        assert len(refusing.requests) == 4


def test_a_service_is_asked_again_after_an_hour_for_what_it_did_not_take() -> None:
    hour_s = 0.5
    policy = sped_up()._replace(ask_again_s=hour_s, late_after_s=60.0)
    limit = [16_000]
    with strict(lambda body: 413 if len(body) > limit[0] else 200, policy) as (refusing, *rest):
        delivery, _ = rest

        def answers_to_a_failure() -> list[int]:
            before = len(refusing.requests)
            delivery.put(failure())
            assert delivery.wait(20)
            return [status for *_, status in refusing.requests[before:]]

        assert answers_to_a_failure() == [413, 200]
        assert answers_to_a_failure() == [200]
        time.sleep(hour_s)
        assert answers_to_a_failure() == [413, 200]
        limit[0] = 1_000_000
        assert answers_to_a_failure() == [200]
        assert len(refusing.taken[-1][1]) < 9000
        time.sleep(hour_s)
        for _ in range(2):
            assert answers_to_a_failure() == [200]
            assert len(refusing.taken[-1][1]) > 50_000


def test_a_suffix_that_a_service_does_not_know_is_learned_and_forgotten_after_an_hour() -> None:
    hour_s = 0.5
    policy = sped_up()._replace(ask_again_s=hour_s, suffix_apart_s=0.05)
    known = threading.Event()

    def judge(body: bytes) -> int:
        return 404 if body.startswith(b"start") and not known.is_set() else 200

    with strict(judge, policy) as (refusing, delivery, outcomes):

        def answers_to_a_start() -> list[int]:
            before = len(refusing.requests)
            delivery.put(ping(Event.START, text="start"))
            assert delivery.wait(20)
            return [status for *_, status in refusing.requests[before:]]

        delivery.put(ping(Event.SUCCESS))
        assert delivery.wait(20)
        assert set(answers_to_a_start()) == {404}  # repeated, as the check is known
        assert answers_to_a_start() == []
        assert [each.event for each in outcomes] == [Event.SUCCESS, Event.START]
        time.sleep(hour_s)
        assert set(answers_to_a_start()) == {404}
        assert answers_to_a_start() == []
        known.set()
        time.sleep(hour_s)
        assert answers_to_a_start() == [200]
        assert answers_to_a_start() == [200]
        assert delivery.stats.pending == 0


def test_a_verdict_is_told_by_the_fifth_attempt_where_nothing_else_has_passed() -> None:
    with strict(lambda body: 500 if b"03990 " in body else 200) as (refusing, delivery, _):
        delivery.put(failure())
        assert delivery.wait(20)
        assert [status for *_, status in refusing.requests] == [500] * 4 + [200]
        assert [len(body) > 50_000 for _, body, _ in refusing.requests[:3]] == [True] * 3


def test_a_ping_that_nothing_helps_holds_up_no_other() -> None:
    bad = b"sync.error: \xf0\x9f\x92\xa5\n"
    with strict(lambda body: 500 if b"\xf0\x9f\x92\xa5" in body else 200) as (
        refusing,
        delivery,
        _,
    ):
        delivery.put(failure(record=bad))
        delivery.put(ping(Event.START))
        delivery.put(ping(Event.SUCCESS, text="well again"))
        wait_until(lambda: any(body.startswith(b"well again") for _, body in refusing.taken))
        # It is tried again, but as a note: the check is well.
        wait_until(lambda: refusing.requests[-1][0].startswith("/x/log"))
        assert delivery.stats.pending == 1


@pytest.mark.parametrize("status", [502, 503, 504])
def test_in_an_outage_logs_stay_whole_behind_a_proxy_too(
    status: int, ping_receiver: PingReceiver
) -> None:
    outcomes: list[Outcome] = []
    delivery = Delivery(client_of(ping_receiver.url), Troubles("here"), outcomes.append, sped_up())
    delivery.put(ping(Event.START))
    assert delivery.wait(20)
    ping_receiver.always(status)
    delivery.put(failure())
    wait_until(lambda: len(ping_receiver.requests) > 8)
    ping_receiver.always(None)
    assert delivery.wait(20)
    assert ping_receiver.pings[-1].body.endswith(LOG[-50_000:] + RECORD)
    delivery.stop(5)


def test_one_hiccup_costs_a_short_log_nothing(ping_receiver: PingReceiver) -> None:
    delivery = Delivery(client_of(ping_receiver.url), Troubles("here"), None, sped_up())
    delivery.put(ping(Event.START))
    assert delivery.wait(20)
    ping_receiver.script(500)
    delivery.put(failure(b"a short log\n"))
    assert delivery.wait(20)
    assert ping_receiver.pings[-1].body == b"OSError: disk full\n\na short log\n" + RECORD
    delivery.stop(5)


def test_a_body_that_does_not_get_through_in_time_is_shortened() -> None:
    """As on a slow link, or where large packets get lost: what was sent doesn't arrive."""
    taken: list[int] = []
    over = threading.Event()

    def serve(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(1)
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        if length > 16_000:
            over.wait(20)  # reads nothing of it
            return
        taken.append(length)
        while length:
            length -= len(connection.recv(length))
        connection.sendall(ANSWER % 200)

    with service(serve) as port:
        outcomes: list[Outcome] = []
        client = client_of(f"http://127.0.0.1:{port}/x", timeout=1.0)
        delivery = Delivery(client, Troubles("here"), outcomes.append, sped_up())
        delivery.put(ping(Event.START))
        delivery.put(failure(LOG * 60))
        try:
            assert delivery.wait(20)
        finally:
            over.set()
        started, failed = (each.attempts for each in outcomes)
        assert started == 1
        assert failed <= 3
        assert taken[-1] < 9000
        delivery.stop(5)


def test_a_failure_that_passed_shortened_by_chance_is_followed_by_its_whole_log(
    ping_receiver: PingReceiver,
) -> None:
    delivery = Delivery(client_of(ping_receiver.url), Troubles("here"), None, sped_up())
    delivery.put(ping(Event.LOG))
    assert delivery.wait(20)
    ping_receiver.script(500)
    delivery.put(failure())
    assert delivery.wait(20)
    assert [each.event for each in ping_receiver.pings] == [Event.LOG, Event.FAIL, Event.LOG]
    assert len(ping_receiver.pings[1].body) < 9000
    assert ping_receiver.pings[2].body.endswith(LOG[-50_000:] + RECORD)
    delivery.stop(5)


def test_what_is_too_large_is_told_though_less_of_it_met_an_outage() -> None:
    """Nothing else passes meanwhile that would say what is at fault."""
    outage = iter([503] * 4)

    def judge(body: bytes) -> int:
        return 413 if len(body) > 16_000 else next(outage, 200)

    with strict(judge) as (refusing, delivery, _):
        delivery.put(failure())
        assert delivery.wait(20)
        assert [path for path, _ in refusing.taken] == [refusing.requests[0][0]]
        delivery.put(failure())  # it is known by now
        assert delivery.wait(20)
        assert [status for *_, status in refusing.requests[-2:]] == [200, 200]


def test_a_refusal_of_all_is_not_repeated_by_an_answer_that_refused_nothing() -> None:
    """The first ping of all: 403 to a log, and 503 to less of it, is no check that isn't there."""
    answers = iter([503])

    def judge(body: bytes) -> int:
        return 403 if len(body) > 1000 else next(answers, 200)

    with strict(judge) as (refusing, delivery, _):
        delivery.put(failure())
        assert delivery.wait(20)
        assert [status for *_, status in refusing.requests] == [403, 503, 403, 200]


@pytest.mark.parametrize("status", [500, 502])
def test_a_failure_of_an_outage_stays_one_and_comes_before_the_success_that_followed(
    status: int,
) -> None:
    up = threading.Event()
    tried: list[bytes] = []

    def judge(body: bytes) -> int:
        tried.append(body)
        return 200 if up.is_set() or body == b"begin" else status

    with strict(judge) as (refusing, delivery, _):
        delivery.put(ping(Event.START, text="begin"))
        assert delivery.wait(20)
        delivery.put(failure())
        wait_until(lambda: len(tried) > 8)  # it was set aside
        time.sleep(0.2)  # until it rests, for a second or more
        up.set()
        delivery.put(ping(Event.SUCCESS))
        assert delivery.wait(20)
        paths = [path.partition("?")[0] for path, _ in refusing.taken]
        assert [path for path in paths if path != "/x/log"] == ["/x/start", "/x/fail", "/x"]


def test_a_status_that_was_set_aside_is_a_note_once_a_newer_end_was_taken() -> None:
    up = threading.Event()

    def judge(body: bytes) -> int:
        return 500 if b"disk full" in body and not up.is_set() else 200

    with strict(judge) as (refusing, delivery, _):
        delivery.put(failure()._replace(exit_status=3))
        wait_until(lambda: len(refusing.requests) > 8)
        delivery.put(ping(Event.SUCCESS))
        wait_until(lambda: refusing.taken)
        up.set()
        assert delivery.wait(20)
    assert [path.partition("?")[0] for path, _ in refusing.taken] == ["/x", "/x/log"]


def test_the_markers_own_record_is_found_though_its_first_line_is_masked() -> None:
    refusing = Strict(lambda body: 413 if len(body) > 600 else 200)
    with service(refusing.serve) as port:
        sink = HealthSink(f"http://127.0.0.1:{port}/x")
        logger.add(sink, format="{message}")
        for number in range(100):
            logger.info("copied {}", number)
        logger.error("sync.error: password=hunt3rTwo\nno more")
        assert sink.wait(20)
    [(_, body)] = refusing.taken
    assert body.partition(b"\n\n")[2].startswith(b"sync.error: password=[redacted]\nno more\n")


def test_a_fault_of_the_connection_says_nothing_of_a_log(ping_receiver: PingReceiver) -> None:
    delivery = Delivery(client_of(ping_receiver.url), Troubles("here"), None, sped_up())
    delivery.put(ping(Event.START))
    assert delivery.wait(20)
    ping_receiver.script(*[Fault(cut="before-answer")] * 5)
    delivery.put(failure())
    assert delivery.wait(20)
    assert ping_receiver.pings[-1].body.endswith(LOG[-50_000:] + RECORD)
    delivery.stop(5)


def test_a_ping_that_arrives_more_than_a_minute_after_its_marker_says_so() -> None:
    faster = 200.0  # a minute is 0.3 s
    up = threading.Event()
    with strict(lambda _: 200 if up.is_set() else 503, sped_up(faster)) as (
        refusing,
        *rest,
    ):
        delivery, _ = rest
        delivery.put(failure())
        time.sleep(3 * 60 / faster)
        up.set()
        assert delivery.wait(20)
        delivery.put(failure())
        assert delivery.wait(20)
        late, prompt = (body.partition(b"\n")[0] for _, body in refusing.taken)
        assert late.startswith(b"OSError: disk full (sent late, of 20")
        assert prompt == b"OSError: disk full"
