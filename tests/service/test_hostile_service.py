"""What a hostile service can do: be slow, and be reported. Nothing else."""

from __future__ import annotations

import gzip
import math
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator

import pytest
from loguru import logger

import pings
from loghc import HealthSink, Outcome
from loghc.ping import Answer, Attempt
from loghc.service.answer import announced_limit, shown
from loghc.testing import Fault, PingReceiver

SECONDS = 0.5  # that an attempt may take here


def attempt(url: str, seconds: float = SECONDS) -> Attempt:
    return pings.attempt(url, seconds)


Endless = Callable[..., str]


@pytest.fixture
def endless() -> Iterator[Endless]:
    """Makes a service that sends a beginning, and then a part over and over, as fast as it can."""
    listeners = []

    def serve(listener: socket.socket, begin: bytes, part: bytes) -> None:
        with listener.accept()[0] as connection:
            connection.recv(65_536)
            many = part * (1 + 65_536 // len(part))
            try:
                connection.sendall(begin)
                while True:
                    connection.sendall(many)
            except OSError:
                return

    def make(begin: bytes, part: bytes) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        threading.Thread(target=serve, args=(listener, begin, part), daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/hunter22"

    yield make
    for listener in listeners:
        listener.close()


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("begin", "part"),
    [
        (b"", b"x"),
        (b"HTTP/1.1 200 ", b"x"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n"),
        (b"", b"HTTP/1.1 103 Early Hints\r\nX: " + b"y" * 60_000 + b"\r\n\r\n"),
        (b"HTTP/1.1 100 Continue\r\n", b"X: y\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"y"),
        (b"HTTP/1.1 200 OK\r\n", b"Set-Cookie: " + b"y" * 60_000 + b"\r\n"),
        (b"HTTP/1.1 500 No\r\n\r\n", b"x"),
        (b"HTTP/1.1 500 No\r\nContent-Length: 999999999999999\r\n\r\n", b"x"),
        (CHUNKED, b"0"),
        (CHUNKED, b"1;" + b"x" * 1000),
        (CHUNKED + b"0\r\n", b"X: y\r\n"),
        (CHUNKED.replace(b"200", b"500") + b"7fffffffffffffff\r\n", b"x"),
        (b"HTTP/1.1 407 No\r\nContent-Encoding: gzip\r\n\r\n", gzip.compress(b"x" * 10_000_000)),
    ],
)
def test_an_endless_answer_takes_neither_memory_nor_time(
    begin: bytes, part: bytes, endless: Endless
) -> None:
    url = endless(begin, part)
    attempt("http://127.0.0.1:9/")  # has imported what it needs
    tracemalloc.start()
    try:
        begun = time.monotonic()
        result = attempt(url, SECONDS)
        taken = time.monotonic() - begun
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < 10 * SECONDS
    assert peak < 20_000_000
    assert not result.delivered
    assert result.error
    assert "Error:" not in result.error  # what no words were found for
    assert len(result.error) < 400
    assert result.error.isprintable()
    assert "hunter22" not in str(result)


@pytest.mark.parametrize("fault", [Fault(pace=0.1), Fault(500, pace=0.1), Fault(delay=math.inf)])
def test_a_byte_now_and_then_does_not_keep_an_attempt_going(
    fault: Fault, ping_receiver: PingReceiver
) -> None:
    ping_receiver.always(fault)
    begun = time.monotonic()
    result = attempt(ping_receiver.url, SECONDS)
    assert time.monotonic() - begun < 10 * SECONDS
    assert not result.delivered
    assert result.transient
    assert "timed out" in str(result.error)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("one\rtwo\nthree\x00", r"one two three\x00"),
        ("\u202eevil\u200b", r"\u202eevil\u200b"),
        ("\x9b31m", r"\x9b31m"),
        ("loghc: all is well", "loghc: all is well"),
    ],
)
def test_the_service_s_text_is_shown_escaped(
    body: str, said: str, ping_receiver: PingReceiver
) -> None:
    ping_receiver.always(Fault(400, body=body))
    error = attempt(ping_receiver.url).error
    assert said in str(error)
    assert str(error).isprintable()


def test_the_service_s_text_is_cut(ping_receiver: PingReceiver) -> None:
    ping_receiver.always(Fault(400, body="x" * 60_000, reason="y" * 60_000))
    error = str(attempt(ping_receiver.url).error)
    assert "x" * 50 in error
    assert len(error) < 300


@pytest.mark.parametrize("before", range(80, 121, 5))
def test_no_part_of_the_url_is_shown_by_the_cut(before: int, ping_receiver: PingReceiver) -> None:
    uuid = ping_receiver.url.rpartition("/")[2]
    ping_receiver.always(Fault(400, body="." * before + uuid))
    error = str(attempt(ping_receiver.url).error)
    assert "." * 50 in error
    assert uuid[:5] not in error


@pytest.mark.usefixtures("asked_again_soon")
def test_what_the_service_repeats_of_the_url_is_not_shown(
    ping_receiver: PingReceiver, capfd: pytest.CaptureFixture[str]
) -> None:
    uuid = ping_receiver.url.rpartition("/")[2]
    outcomes: list[Outcome] = []
    ping_receiver.script(
        Fault(400, body=f"no check {uuid}", reason=uuid),
        Fault(302, headers={"Location": f"https://{uuid}.example/{uuid}"}),
        Fault(302, headers={"Location": f"HTTPS://u:{uuid}@x.example/{uuid}"}),
        Fault(400, body=uuid.replace("-", "").upper()),
    )
    sink = HealthSink(ping_receiver.url, on_outcome=outcomes.append)
    handler = logger.add(sink)
    for _ in range(4):
        logger.info("sync.log")
    assert sink.wait(10)
    logger.remove(handler)
    assert len(outcomes) == 4
    shown_texts = f"{outcomes!r}{capfd.readouterr().err}"
    assert uuid[:8] not in shown_texts.lower()
    assert "***" in shown_texts


@pytest.mark.parametrize(
    "value", ["-1", "1e3", "+5", "0x10", "5 5", "", "\u0665", "9" * 5000, "5,6"]
)
def test_a_body_limit_that_makes_no_sense_is_ignored(value: str) -> None:
    assert announced_limit(Answer(200, {"ping-body-limit": value}, "OK")) is None


@pytest.mark.parametrize(
    ("value", "body"),
    [
        ("0", b""),
        ("1" * 18, b"sync.start\n" + b"x" * 5000 + b"\nsync.done\n"),
        (" 3 ", b"ne\n"),
    ],
)
def test_a_body_limit_that_makes_sense_is_kept_to(
    value: str, body: bytes, ping_receiver: PingReceiver
) -> None:
    ping_receiver.always(Fault(headers={"Ping-Body-Limit": value}))
    sink = HealthSink(ping_receiver.url)
    logger.add(sink, format="{message}")
    logger.info("sync.start")
    assert sink.wait(20)
    sink.write("x" * 5000 + "\n")
    logger.info("sync.done")
    assert sink.wait(20)
    sink.stop()
    assert ping_receiver.requests[1].body == body


def test_cookies_are_not_kept(ping_receiver: PingReceiver) -> None:
    ping_receiver.always(Fault(headers={"Set-Cookie": "a=b; Path=/"}))
    sink = HealthSink(ping_receiver.url)
    logger.add(sink, format="{message}")
    logger.info("sync.start")
    logger.info("sync.done")
    assert sink.wait(20)
    sink.stop()
    assert len(ping_receiver.requests) == 2
    assert all("cookie" not in request.headers for request in ping_receiver.requests)


def test_no_compressed_answer_is_asked_for_or_unpacked(ping_receiver: PingReceiver) -> None:
    bomb = gzip.compress(b"x" * 50_000_000)
    ping_receiver.always(Fault(400, body=bomb, headers={"Content-Encoding": "gzip"}))
    tracemalloc.start()
    try:
        assert not attempt(ping_receiver.url).delivered
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    (request,) = ping_receiver.requests
    assert request.headers.get("Accept-Encoding", "identity") == "identity"


@pytest.mark.parametrize(
    "value", ["999999999", "-5", "9" * 70_000, "Fri, 31 Dec 9999 23:59:59 GMT", "0 " * 30_000, "x"]
)
def test_retry_after_can_t_make_a_sink_sleep_or_fail(
    value: str, ping_receiver: PingReceiver
) -> None:
    ping_receiver.script(Fault(503, headers={"Retry-After": value[:60_000]}))
    sink = HealthSink(ping_receiver.url, drain=0.5)
    logger.add(sink)
    logger.info("sync.done")
    begun = time.monotonic()
    sink.wait(0.1)
    sink.stop()
    assert time.monotonic() - begun < 10
    assert ping_receiver.requests


def test_a_text_is_shown_in_one_line_and_cut() -> None:
    assert shown("a\n\tb\x1b") == r"a b\x1b"
    assert len(shown("\x1b" * 1000)) < 300
