"""PingReceiver, the monitoring service for tests, over real sockets."""

from __future__ import annotations

import contextlib
import doctest
import gc
import http.client
import math
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
import trustme
from loguru import logger

import loghc.testing.faults
import loghc.testing.receiver
from loghc import HealthSink
from loghc.ping import Event
from loghc.testing import Fault, PingReceiver
from services import server_context
from waiting import running_threads, seconds_for, wait_until

A = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
B = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"


@pytest.fixture
def receiver() -> Iterator[PingReceiver]:
    with PingReceiver() as receiver:
        yield receiver


def connect(receiver: PingReceiver) -> socket.socket:
    """A plain TCP connection to the receiver."""
    port = urlsplit(receiver.base_url).port
    assert port is not None
    return socket.create_connection(("127.0.0.1", port), timeout=10)


class Answer(NamedTuple):
    status: int
    reason: str
    headers: Message
    body: bytes


def send(
    url: str,
    body: bytes | Iterable[bytes] = b"",
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
) -> Answer:
    """Send one request on a connection of its own, and read the answer to its end."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    if parts.scheme == "https":
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=10, context=tls
        )
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    with contextlib.closing(connection):
        connection.request(method, url.split(parts.netloc, 1)[1], body, headers or {})
        answer = connection.getresponse()
        return Answer(answer.status, answer.reason, answer.headers, answer.read())


def converse(receiver: PingReceiver, request: bytes) -> bytes:
    """Send raw bytes, and return all that comes back until the receiver closes."""
    with connect(receiver) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        with client.makefile("rb") as answer:
            return answer.read()


def head(receiver: PingReceiver, *headers: str, method: str = "POST") -> bytes:
    """The head of a ping's request, as sent."""
    lines = [f"{method} {urlsplit(receiver.url).path} HTTP/1.1", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1")


# The protocol


def test_both_urls_name_the_same_check(receiver: PingReceiver) -> None:
    send(receiver.url + "/start")
    send(receiver.slug_url)

    assert [ping.path for ping in receiver.pings] == [
        urlsplit(receiver.url).path + "/start",
        urlsplit(receiver.slug_url).path,
    ]
    assert receiver.state == "up"
    assert receiver.pings[1].duration is not None


@pytest.mark.parametrize("form", ["url", "slug_url"])
@pytest.mark.parametrize(
    ("suffix", "event", "exit_status"),
    [
        ("", Event.SUCCESS, None),
        ("/start", Event.START, None),
        ("/fail", Event.FAIL, None),
        ("/log", Event.LOG, None),
        ("/0", Event.SUCCESS, 0),
        ("/1", Event.FAIL, 1),
        ("/007", Event.FAIL, 7),
        ("/255", Event.FAIL, 255),
    ],
)
def test_the_suffix_tells_the_event(
    receiver: PingReceiver, form: str, suffix: str, event: Event, exit_status: int | None
) -> None:
    answer = send(getattr(receiver, form) + suffix)

    assert (answer.status, answer.reason, answer.body) == (200, "OK", b"OK")
    (ping,) = receiver.pings
    assert (ping.event, ping.exit_status) == (event, exit_status)


@pytest.mark.parametrize(
    ("target", "status", "body"),
    [
        ("{unknown}", 404, b"not found"),
        ("{unknown}/256", 404, b"not found"),
        ("{unknown}?rid=bad", 404, b"not found"),
        ("{unknown}?create=1", 404, b"not found"),
        ("{uuid}/nosuch", 404, b"not found"),
        ("{uuid}/-1", 404, b"not found"),
        ("{uuid}/Fail", 400, b"invalid url format"),
        ("{uuid}/256", 400, b"invalid url format"),
        ("{uuid}/99999999999999999999", 400, b"invalid url format"),
        ("{uuid}/00000000000000000000000300", 400, b"invalid url format"),
        ("{uuid}/256?rid=bad", 400, b"invalid url format"),
        ("{uuid}?rid=bad", 400, b"invalid uuid format"),
        ("{uuid}?rid=", 400, b"invalid uuid format"),
        ("{uuid}?rid=aaaaaaaaaaaa4aaa8aaaaaaaaaaaaaaa", 400, b"invalid uuid format"),
        ("{uuid}?rid={A}%20", 400, b"invalid uuid format"),
        ("{uuid}?rid={A}&rid=bad", 400, b"invalid uuid format"),
        ("{key}/unknown", 404, b"not found"),
        ("{key}/unknown?create=0", 404, b"not found"),
        ("{key}/unknown?create=true", 404, b"not found"),
        ("{key}/Nightly-Sync", 400, b"invalid url format"),
        ("{key}/New?create=1", 400, b"invalid url format"),
        ("wrongkey/nightly-sync", 404, b"not found"),
        ("wrongkey/new?create=1", 404, b"not found"),
        ("wrongkey/New", 400, b"invalid url format"),
    ],
)
def test_what_the_service_refuses(
    receiver: PingReceiver, target: str, status: int, body: bytes
) -> None:
    names = {"uuid": urlsplit(receiver.url).path[1:], "unknown": uuid.uuid4(), "A": A}

    answer = send(f"{receiver.base_url}/{target.format(key=receiver.ping_key, **names)}")

    assert (answer.status, answer.body) == (status, body)
    assert "Ping-Body-Limit" not in answer.headers
    assert receiver.pings == ()
    assert receiver.state == "new"


@pytest.mark.parametrize(
    "ending", ["//start", "/start/", "/1.5", "/start/now/x", "/%C3%A9", "/a%20b", "x"]
)
def test_a_path_of_no_known_shape_is_a_404_page(receiver: PingReceiver, ending: str) -> None:
    answer = send(receiver.url + ending)

    assert answer.status == 404
    assert b"<h1>" in answer.body


def test_slashes_before_the_uuid_are_not_folded(receiver: PingReceiver) -> None:
    path = urlsplit(receiver.url).path

    assert send(f"{receiver.base_url}/{path}").status == 404
    assert receiver.requests[0].path == f"/{path}"


def test_a_slash_after_the_uuid_is_fine_and_after_the_slug_is_not(receiver: PingReceiver) -> None:
    assert send(receiver.url + "/").status == 200
    assert send(receiver.slug_url + "/").status == 404


def test_create_makes_a_slug_once(receiver: PingReceiver) -> None:
    new = f"{receiver.base_url}/{receiver.ping_key}/weekly"

    answers = [send(f"{new}/start?create=1"), send(f"{new}?create=1"), send(new)]

    assert [(answer.status, answer.reason) for answer in answers] == [
        (201, "Created"),
        (200, "OK"),
        (200, "OK"),
    ]
    assert answers[0].body == b"Created"
    assert answers[0].headers["Ping-Body-Limit"] == "100000"
    assert len(receiver.pings) == 3


def test_create_makes_the_slug_although_the_ping_is_refused(receiver: PingReceiver) -> None:
    new = f"{receiver.base_url}/{receiver.ping_key}/weekly"

    assert send(f"{new}?create=1&rid=bad").status == 400
    assert receiver.pings == ()
    assert send(new).status == 200


def test_a_created_slug_has_a_state_of_its_own(receiver: PingReceiver) -> None:
    send(f"{receiver.base_url}/{receiver.ping_key}/weekly/fail?create=1")

    assert receiver.state == "new"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"])
def test_any_method_is_a_ping(receiver: PingReceiver, method: str) -> None:
    answer = send(receiver.url, b"a body", method)

    assert answer.status == 200
    assert answer.headers["Content-Length"] == "2"
    assert answer.headers["Ping-Body-Limit"] == "100000"
    assert answer.body == (b"" if method == "HEAD" else b"OK")
    (ping,) = receiver.pings
    assert (ping.method, ping.body) == (method, b"a body")


def test_an_answer_says_when_and_from_whom_unless_a_fault_does(receiver: PingReceiver) -> None:
    receiver.script(None, Fault(headers={"Server": "nginx", "Date": "now", "Connection": "x"}))

    usual, changed = (send(receiver.url).headers for _ in range(2))

    sent = parsedate_to_datetime(usual["Date"])
    assert abs((datetime.now(timezone.utc) - sent).total_seconds()) < 60
    assert usual["Server"] == "PingReceiver"
    assert changed.get_all("Server") == ["nginx"]
    assert (changed.get_all("Date"), changed.get_all("Connection")) == (["now"], ["x"])


def test_a_head_request_gets_no_body(receiver: PingReceiver) -> None:
    assert converse(receiver, head(receiver, method="HEAD")).endswith(b"\r\n\r\n")


def test_a_run_id_in_capitals_is_the_same_run(receiver: PingReceiver) -> None:
    send(f"{receiver.url}/start?rid={A.upper()}")
    send(f"{receiver.url}?rid={A}")

    start, done = receiver.pings
    assert start.run_id == done.run_id == A
    assert done.duration is not None


def test_of_two_run_ids_the_last_counts(receiver: PingReceiver) -> None:
    send(f"{receiver.url}?rid=bad&rid={B}")

    assert receiver.pings[0].run_id == B


def test_durations_are_measured_between_pings_of_one_run(receiver: PingReceiver) -> None:
    began = time.monotonic()
    send(f"{receiver.url}/start?rid={A}")
    send(f"{receiver.url}/start?rid={B}")
    send(f"{receiver.url}/log?rid={A}")
    send(f"{receiver.url}/fail?rid={B}")
    send(f"{receiver.url}?rid={A}")
    send(f"{receiver.url}?rid={A}")
    send(f"{receiver.url}")
    elapsed = time.monotonic() - began

    *untimed, fail, done, again, without_run = receiver.pings
    assert [ping.duration for ping in untimed] == [None, None, None]
    assert fail.duration is not None
    assert done.duration is not None
    assert 0 < fail.duration < done.duration < elapsed
    assert (again.duration, without_run.duration) == (None, None)


@pytest.mark.parametrize(
    ("pings", "state"),
    [
        ([], "new"),
        (["/log"], "new"),
        (["/start"], "started"),
        (["/start", ""], "up"),
        (["/start", "/fail"], "down"),
        (["/start", "/3"], "down"),
        (["/fail", "/log"], "down"),
        (["/fail", "/start"], "started"),
        (["/fail", ""], "up"),
        ([f"/start?rid={A}", f"/start?rid={B}", f"?rid={A}"], "started"),
        ([f"/start?rid={A}", f"/start?rid={B}", f"?rid={A}", f"?rid={B}"], "up"),
        ([f"/start?rid={A}", f"/fail?rid={B}"], "down"),
        ([f"/start?rid={A}", ""], "up"),
        (["/start", f"?rid={A}"], "started"),
        (["/start", "/fail?rid=bad"], "started"),
    ],
)
def test_the_state_follows_from_the_pings(
    receiver: PingReceiver, pings: list[str], state: str
) -> None:
    for ping in pings:
        send(receiver.url + ping)

    assert receiver.state == state


# Bodies


def test_the_first_bytes_of_a_body_are_kept() -> None:
    with PingReceiver(body_limit=10) as receiver:
        answer = send(receiver.url, "0123456789 and é".encode())

        assert answer.headers["Ping-Body-Limit"] == str(receiver.body_limit) == "10"
        assert receiver.pings[0].body == b"0123456789"
        assert receiver.requests[0].body == "0123456789 and é".encode()


def test_without_a_limit_none_is_announced_and_all_is_kept() -> None:
    with PingReceiver(body_limit=None) as receiver:
        answer = send(receiver.url, b"x" * 1_000_000)

        assert "Ping-Body-Limit" not in answer.headers
        assert len(receiver.pings[0].body) == 1_000_000


def test_the_limit_can_change_while_it_runs(receiver: PingReceiver) -> None:
    send(receiver.url, b"four")
    receiver.body_limit = 3
    answer = send(receiver.url, b"four")

    assert [ping.body for ping in receiver.pings] == [b"four", b"fou"]
    assert answer.headers["Ping-Body-Limit"] == "3"


def test_a_negative_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="body_limit must be bytes, 0 or more, or None, not -1"):
        PingReceiver(body_limit=-1)


def test_the_service_refuses_more_than_it_can_upload(receiver: PingReceiver) -> None:
    assert send(receiver.url, body=b"x" * 2_621_440).status == 200
    assert send(receiver.url, body=b"x" * 2_621_441).status == 400
    assert [len(request.body) for request in receiver.requests] == [2_621_440, 2_621_441]
    assert len(receiver.pings) == 1


def test_a_cut_character_shows_as_a_replacement(receiver: PingReceiver) -> None:
    receiver.body_limit = 4
    send(receiver.url, "café".encode())

    assert receiver.pings[0].text == "caf\ufffd"
    assert str(receiver.pings[0]).endswith("4 bytes ending 'caf\ufffd'")


@pytest.mark.parametrize("more", range(4))
def test_a_ping_is_shown_though_what_is_shown_begins_inside_a_character(
    receiver: PingReceiver, more: int
) -> None:
    send(receiver.url, ("🙂" * 200 + "x" * more).encode())
    assert str(receiver.pings[0]).endswith(f"🙂{'x' * more}'")


@pytest.mark.parametrize(
    ("ending", "body", "shown"),
    [
        ("", b"", "success POST {path} no body"),
        ("/fail", b"one\ntwo\n \n", "fail    POST {path}/fail 10 bytes ending 'two'"),
        ("/log", b" \n", "log     POST {path}/log 2 bytes ending ''"),
        (
            f"/start?rid={A}",
            70 * b"x",
            "start   POST {path}/start rid=" + A + " 70 bytes ending {x}",
        ),
    ],
)
def test_a_ping_is_shown_with_the_end_of_its_log(
    receiver: PingReceiver, ending: str, body: bytes, shown: str
) -> None:
    send(receiver.url + ending, body)
    path = urlsplit(receiver.url).path
    assert str(receiver.pings[0]) == shown.format(path=path, A=A, x=repr(60 * "x"))


def test_headers_are_a_mapping_without_regard_to_case(receiver: PingReceiver) -> None:
    send(receiver.url, headers={"X-One": "1"})
    headers = receiver.pings[0].headers
    assert headers["x-one"] == headers["X-ONE"] == "1"
    assert len(headers) == len(list(headers)) > 1
    assert "'X-One': '1'" in repr(headers)
    assert "X-Two" not in headers


def test_chunked_bodies_are_read_but_the_service_keeps_nothing(receiver: PingReceiver) -> None:
    chunks = b"4;name=value\r\nphot\r\n3\r\nos!\r\n0\r\nTrailer: x\r\n\r\n"
    answers = converse(
        receiver,
        head(receiver, "Transfer-Encoding: chunked")
        + chunks
        + head(receiver, "Content-Length: 2")
        + b"hi",
    )

    assert answers.count(b"HTTP/1.1 200 OK") == 2
    assert [request.body for request in receiver.requests] == [b"photos!", b"hi"]
    assert [ping.body for ping in receiver.pings] == [b"", b"hi"]


def test_a_waiting_client_is_told_to_continue(receiver: PingReceiver) -> None:
    with connect(receiver) as client:
        client.sendall(head(receiver, "Expect: 100-continue", "Content-Length: 5"))
        assert client.recv(100).startswith(b"HTTP/1.1 100 Continue")
        client.sendall(b"hello")
        assert client.recv(1000).startswith(b"HTTP/1.1 200 OK")

    assert receiver.pings[0].body == b"hello"


# What is kept of pings and requests


def test_a_ping_holds_what_was_sent(receiver: PingReceiver) -> None:
    before = datetime.now(timezone.utc)
    send(
        f"{receiver.slug_url}/3?create=1&rid={A}",
        b"the end of the log",
        headers={"User-Agent": "a test", "X-Twice": "1"},
    )

    (ping,) = receiver.pings
    assert ping.path == urlsplit(receiver.slug_url).path + "/3"
    assert ping.query == f"create=1&rid={A}"
    assert ping.run_id == A
    assert ping.text == "the end of the log"
    assert ping.headers["user-agent"] == ping.headers["USER-AGENT"] == "a test"
    assert "x-none" not in ping.headers
    assert dict(ping.headers)["X-Twice"] == "1"
    assert before <= ping.time <= datetime.now(timezone.utc)
    with pytest.raises(AttributeError):
        ping.body = b""  # type: ignore[misc]


def test_a_repeated_header_has_its_values_joined(receiver: PingReceiver) -> None:
    path = urlsplit(receiver.url).path
    converse(receiver, f"GET {path} HTTP/1.1\r\nX-Tag: a\r\nx-tag: b\r\n\r\n".encode())

    assert receiver.pings[0].headers["X-Tag"] == "a, b"


def test_requests_hold_the_refused_ones_too(receiver: PingReceiver) -> None:
    send(receiver.url, b"in")
    send(f"{receiver.base_url}/nowhere?x=1", b"out", "PUT")

    taken, refused = receiver.requests
    assert (taken.status, taken.accepted, taken.body) == (200, True, b"in")
    assert (refused.method, refused.path, refused.query) == ("PUT", "/nowhere", "x=1")
    assert (refused.status, refused.accepted, refused.body) == (404, False, b"out")


def test_pings_are_a_snapshot(receiver: PingReceiver) -> None:
    before = receiver.pings
    send(receiver.url)

    assert before == ()
    assert len(receiver.pings) == 1


def test_clear_forgets_pings_but_not_the_state(receiver: PingReceiver) -> None:
    send(receiver.url + "/start")
    receiver.clear()

    assert (receiver.pings, receiver.requests) == ((), ())
    assert receiver.state == "started"
    send(receiver.url)
    assert receiver.wait(1)[0].duration is not None


def test_wait_returns_as_soon_as_the_pings_are_there(receiver: PingReceiver) -> None:
    other = threading.Thread(target=lambda: [send(receiver.url) for _ in range(2)])
    other.start()

    elapsed = seconds_for(lambda: receiver.wait(2, timeout=30))

    other.join()
    assert len(receiver.pings) == 2
    assert elapsed < 5


def test_wait_returns_all_pings_not_only_the_awaited(receiver: PingReceiver) -> None:
    send(receiver.url)
    send(receiver.url)

    assert receiver.wait(1) == receiver.pings
    assert len(receiver.wait(1)) == 2


def test_wait_in_vain_says_what_came(receiver: PingReceiver) -> None:
    receiver.script(None, 503)
    send(f"{receiver.url}/start?rid={A}", b"first line\nlast line\n")
    send(receiver.url, b"done")

    with pytest.raises(AssertionError) as failure:
        receiver.wait(2, timeout=0.01)

    path = urlsplit(receiver.url).path
    assert str(failure.value).splitlines() == [
        "1 of 2 pings came within 0.01 s",
        f"  1. start   POST {path}/start rid={A} 21 bytes ending 'last line'",
        "2 requests came; not accepted:",
        f"  - POST {path} 4 bytes ending 'done': answered 503",
    ]


def test_repr_tells_where_and_how_much_but_not_the_path(receiver: PingReceiver) -> None:
    send(receiver.url)
    send(receiver.base_url)

    assert repr(receiver) == (
        f"<PingReceiver at {receiver.base_url}, check up, 1 pings, 2 requests>"
    )
    receiver.stop()
    assert repr(receiver).startswith("<PingReceiver stopped,")


# Bounds


def test_the_oldest_requests_are_dropped_beyond_the_history_limit() -> None:
    with PingReceiver(history_limit=300_000) as receiver:
        for n in range(8):
            send(receiver.url, bytes([n]) * 90_000)
        send(f"{receiver.base_url}/nowhere", b"x" * 1000)

        assert [ping.body[:1] for ping in receiver.pings] == [b"\5", b"\6", b"\7"]
        assert [len(request.body) for request in receiver.requests] == [90_000] * 3 + [1000]
        assert receiver.dropped_requests == 5
        assert "3 pings, 4 requests, 5 dropped" in repr(receiver)
        assert len(receiver.wait(8)) == 3  # the dropped ones arrived, too
        with pytest.raises(AssertionError, match=r"(?s)^8 of 9 pings.*the 5 oldest requests"):
            receiver.wait(9, timeout=0.01)


def test_many_small_requests_with_long_headers_are_bounded_too() -> None:
    with PingReceiver(history_limit=500_000) as receiver:
        for _ in range(30):
            send(receiver.url, headers={f"X-{n}": "x" * 8_000 for n in range(6)})

        assert 5 < len(receiver.requests) < 10
        assert len(receiver.requests) + receiver.dropped_requests == 30


def test_the_newest_request_is_kept_whatever_its_size() -> None:
    with PingReceiver(history_limit=0) as receiver:
        send(receiver.url, b"old")
        send(receiver.url, b"new")

        assert [ping.text for ping in receiver.pings] == ["new"]


def test_clear_forgets_what_was_dropped() -> None:
    with PingReceiver(history_limit=0) as receiver:
        send(receiver.url)
        send(receiver.url)
        receiver.clear()

        assert receiver.dropped_requests == 0


def test_a_limit_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="history_limit must be bytes, 0 or more, not -1"):
        PingReceiver(history_limit=-1)


# Faults


def test_scripted_statuses_come_first_and_do_not_count(receiver: PingReceiver) -> None:
    receiver.script(503, None, Fault(429, headers={"Retry-After": "2"}), Fault())

    answers = [send(receiver.url) for _ in range(5)]

    assert [answer.status for answer in answers] == [503, 200, 429, 200, 200]
    assert answers[0].reason == "Service Unavailable"
    assert answers[0].body == b"Service Unavailable"
    assert answers[2].headers["Retry-After"] == "2"
    assert len(receiver.pings) == 3
    assert [request.status for request in receiver.requests] == [503, 200, 429, 200, 200]


def test_script_adds_to_what_is_left_of_it(receiver: PingReceiver) -> None:
    receiver.script(500)
    receiver.script(502)

    assert [send(receiver.url).status for _ in range(3)] == [500, 502, 200]


def test_always_holds_until_it_is_lifted_and_lets_the_script_go_first(
    receiver: PingReceiver,
) -> None:
    receiver.always(503)
    receiver.script(429)

    assert [send(receiver.url).status for _ in range(3)] == [429, 503, 503]
    receiver.always(None)
    assert send(receiver.url).status == 200


def test_a_200_can_mean_not_found(receiver: PingReceiver) -> None:
    receiver.script(Fault(200, body="OK (not found)"))

    answer = send(receiver.url)

    assert (answer.status, answer.body) == (200, b"OK (not found)")
    assert receiver.pings == ()
    assert not receiver.requests[0].accepted


def test_an_answer_can_be_made_up_in_all_parts(receiver: PingReceiver) -> None:
    receiver.script(
        Fault(302, reason="Over there", headers={"Location": "http://x.example/"}, body=b"\xff"),
        Fault(headers={"ping-body-limit": "7"}),
        Fault(799),
        Fault(204, body="never sent"),
    )

    moved, announcing, odd, empty = [send(receiver.url) for _ in range(4)]

    assert (moved.status, moved.reason, moved.body) == (302, "Over there", b"\xff")
    assert moved.headers["Location"] == "http://x.example/"
    assert announcing.headers["Ping-Body-Limit"] == "7"
    assert (odd.status, odd.reason) == (799, "Unknown")
    assert (empty.status, empty.body) == (204, b"")
    assert len(receiver.pings) == 1
    receiver.script(Fault(204, body="never sent"))
    assert converse(receiver, head(receiver)).endswith(b"\r\n\r\n")  # a client would not look


def test_a_ping_can_count_although_the_answer_says_no(receiver: PingReceiver) -> None:
    receiver.script(Fault(500, counts=True), Fault(500, counts=True))

    assert send(receiver.url).status == 500
    assert send(receiver.base_url).status == 500
    assert len(receiver.pings) == 1


@pytest.mark.parametrize("cut", ["request", "body"])
def test_a_ping_whose_body_was_not_read_never_counts(receiver: PingReceiver, cut: Any) -> None:
    receiver.script(Fault(cut=cut, counts=True))
    with pytest.raises(OSError):  # noqa: PT011 - reset, or closed
        send(receiver.url, b"a log")
    wait_until(lambda: receiver.requests)
    assert receiver.pings == ()


def test_a_fault_that_can_t_be_played_is_shown(
    receiver: PingReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    receiver.script(Fault(body=5))  # type: ignore[arg-type]
    with pytest.raises(OSError):  # noqa: PT011
        send(receiver.url)
    receiver.stop()
    assert "TypeError" in capsys.readouterr().err


def test_a_delayed_answer_comes_late_but_the_ping_is_there_at_once(receiver: PingReceiver) -> None:
    receiver.script(Fault(delay=0.3))
    order: list[object] = []
    client = threading.Thread(target=lambda: order.append(("answered", send(receiver.url).status)))

    began = time.monotonic()
    client.start()
    receiver.wait(1)
    order.append("arrived")
    client.join()

    assert order == ["arrived", ("answered", 200)]
    assert time.monotonic() - began >= 0.3


def test_a_hanging_service_never_answers(receiver: PingReceiver) -> None:
    receiver.script(Fault(delay=math.inf))
    with connect(receiver) as client:
        client.sendall(head(receiver))
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(1)
        receiver.stop()
        client.settimeout(20)
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""  # nor when it stops

    assert receiver.pings == ()
    assert [request.status for request in receiver.requests] == [None]


def test_an_answer_can_be_lost_after_the_ping_was_taken(receiver: PingReceiver) -> None:
    receiver.script(Fault(cut="before-answer"), Fault(cut="before-answer", reset=False))

    with pytest.raises(ConnectionResetError):
        send(receiver.url, b"taken")
    with pytest.raises(http.client.RemoteDisconnected):
        send(receiver.url, b"taken too")

    assert [ping.body for ping in receiver.pings] == [b"taken", b"taken too"]
    assert [request.status for request in receiver.requests] == [None, None]


def test_a_connection_can_break_before_the_body_is_read(receiver: PingReceiver) -> None:
    receiver.script(Fault(cut="request"))

    with pytest.raises(ConnectionError):
        send(receiver.url, b"x" * 1000)

    assert receiver.pings == ()
    assert [(request.method, request.body) for request in receiver.requests] == [("POST", b"")]


def test_a_connection_can_break_in_the_middle_of_the_body(receiver: PingReceiver) -> None:
    receiver.script(Fault(cut="body"))
    with connect(receiver) as client:
        client.sendall(head(receiver, "Content-Length: 10") + b"01234")
        with pytest.raises(ConnectionResetError):
            client.recv(1)

    assert receiver.pings == ()
    assert receiver.requests[0].body == b"01234"


def test_a_connection_can_break_in_the_middle_of_a_chunked_body(receiver: PingReceiver) -> None:
    receiver.script(Fault(cut="body"))
    with connect(receiver) as client:
        client.sendall(head(receiver, "Transfer-Encoding: chunked") + b"A\r\n01234")
        with pytest.raises(ConnectionResetError):
            client.recv(1)

    assert receiver.requests[0].body == b"01234"


@pytest.mark.parametrize(("method", "received"), [("GET", b"\r\n\r\nO"), ("HEAD", b"HTTP/1.1 200")])
def test_a_connection_can_break_in_the_middle_of_the_answer(
    receiver: PingReceiver, method: str, received: bytes
) -> None:
    receiver.script(Fault(cut="answer", reset=False))

    answer = converse(receiver, head(receiver, method=method))

    assert received in answer
    assert b"OK" not in answer.partition(b"\r\n\r\n")[2]
    assert b"Content-Length: 2\r\n\r\n" in answer or method == "HEAD"
    assert len(receiver.pings) == 1
    assert [request.status for request in receiver.requests] == [200]


def test_a_break_in_the_answer_can_be_a_reset(receiver: PingReceiver) -> None:
    receiver.script(Fault(200, body=b"x" * 100, cut="answer"))

    with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
        send(receiver.url)


def test_an_answer_can_trickle(receiver: PingReceiver) -> None:
    receiver.script(Fault(pace=0.001))
    with connect(receiver) as client:
        client.sendall(head(receiver))
        pieces: list[bytes] = []
        while not b"".join(pieces).endswith(b"\r\n\r\nOK"):
            pieces.append(client.recv(1000))

    assert len(pieces) > 20
    assert len(receiver.pings) == 1


def test_an_answer_can_be_something_else_than_http(receiver: PingReceiver) -> None:
    receiver.script(Fault(raw=b"SSH-2.0-OpenSSH_9.6\r\n"))

    with pytest.raises(http.client.BadStatusLine, match="SSH"):
        send(receiver.url)

    assert receiver.pings == ()
    assert [request.status for request in receiver.requests] == [None]


def test_an_answer_can_be_endless(receiver: PingReceiver) -> None:
    receiver.script(Fault(200, body="more", endless=True))
    with connect(receiver) as client, client.makefile("rb") as answer:
        client.sendall(head(receiver))
        while answer.readline().strip():
            pass
        assert answer.read(3_000_000) == b"more" * 750_000


@pytest.mark.parametrize("wrong", ["503", 3.5, True, Fault])
def test_what_is_no_fault_is_refused_where_it_is_scripted(
    receiver: PingReceiver, wrong: Any
) -> None:
    with pytest.raises(TypeError, match="a fault must be a Fault, an HTTP status or None, not"):
        receiver.script(wrong)
    with pytest.raises(TypeError, match="a fault must be a Fault, an HTTP status or None, not"):
        receiver.always(wrong)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"status": 199}, "status must be an HTTP status from 200 to 999, not 199"),
        ({"status": 1000}, "status must be an HTTP status from 200 to 999, not 1000"),
        ({"delay": -0.1}, "delay must be seconds, 0 or more, not -0.1"),
        ({"pace": math.nan}, "pace must be seconds, 0 or more, not nan"),
        ({"cut": "head"}, "cut must be one of request, body, before-answer, answer or None"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Fault(**options)


@pytest.mark.parametrize(
    ("version", "header", "stays"),
    [
        ("1.1", "", True),
        ("1.1", "Connection: close", False),
        ("1.0", "", False),
    ],
)
def test_a_connection_stays_open_as_its_client_wants(
    receiver: PingReceiver, version: str, header: str, stays: bool
) -> None:
    path = urlsplit(receiver.url).path
    request = f"GET {path} HTTP/{version}\r\nHost: x\r\n{header}".rstrip() + "\r\n\r\n"
    address = ("127.0.0.1", urlsplit(receiver.url).port or 0)
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(request.encode())
        answer = connection.makefile("rb")
        while answer.readline().strip():
            pass
        again = b""
        with contextlib.suppress(ConnectionError):
            connection.sendall(request.encode())
            again = answer.read(40)
        assert (b"HTTP/1.1 200" in again) == stays


# Clients that misbehave


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"hello\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    ],
)
def test_gibberish_is_answered_and_noted_but_consumes_no_fault(
    receiver: PingReceiver, capfd: pytest.CaptureFixture[str], sent: bytes
) -> None:
    receiver.script(503)

    answer = converse(receiver, sent)

    (request,) = receiver.requests
    assert answer.startswith(f"HTTP/1.1 {request.status} ".encode())
    assert request.status in (400, 414, 431, 505)
    assert (request.method, request.accepted) == ("", False)
    assert send(receiver.url).status == 503
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("length", ["-1", "1e3", "many", "9" * 30, "999999999999", "5, 5", "\xb2"])
def test_an_absurd_content_length_is_a_bad_request(receiver: PingReceiver, length: str) -> None:
    answer = converse(receiver, head(receiver, f"Content-Length: {length}") + b"hello")

    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert receiver.pings == ()
    assert [request.status for request in receiver.requests] == [400]


@pytest.mark.parametrize(
    "chunks", [b"xyz\r\n", b"3\r\nabcd\r\n0\r\n\r\n", b"fffffff\r\n", b"-1\r\n"]
)
def test_absurd_chunks_are_a_bad_request(receiver: PingReceiver, chunks: bytes) -> None:
    answer = converse(receiver, head(receiver, "Transfer-Encoding: chunked") + chunks)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert receiver.pings == ()


def test_an_answer_arrives_though_the_body_was_left_unread(receiver: PingReceiver) -> None:
    answer = send(
        receiver.url,
        body=(b"x" * 100_000 for _ in range(50)),
        headers={"Content-Length": "99999999"},
    )

    assert answer.status == 400


@pytest.mark.parametrize(
    ("framing", "unfinished"),
    [("Content-Length: 10", b"hello"), ("Transfer-Encoding: chunked", b"A\r\nhello")],
)
def test_a_body_that_ends_too_early_is_no_ping(
    receiver: PingReceiver, framing: str, unfinished: bytes
) -> None:
    answer = converse(receiver, head(receiver, framing) + unfinished)

    assert answer == b""
    assert receiver.pings == ()
    (request,) = receiver.requests
    assert (request.body, request.status) == (b"hello", None)


def test_clients_that_go_away_leave_no_trace_on_stderr(
    receiver: PingReceiver, capfd: pytest.CaptureFixture[str]
) -> None:
    path = urlsplit(receiver.url).path
    receiver.always(Fault(200, endless=True))
    for sent in (b"", b"GE", b"POST ", f"GET {path} HTTP/1.1\r\n\r\n".encode()):
        with connect(receiver) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.sendall(sent)
    receiver.always(None)

    assert send(receiver.url).status == 200
    receiver.stop()
    assert capfd.readouterr().err == ""


def test_a_request_as_a_proxy_gets_it_is_understood(receiver: PingReceiver) -> None:
    answer = converse(receiver, f"POST {receiver.url}/start?rid={A} HTTP/1.1\r\n\r\n".encode())

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert receiver.pings[0].path == urlsplit(receiver.url).path + "/start"


# Starting and stopping


def test_one_connection_serves_many_requests_without_delay(receiver: PingReceiver) -> None:
    url = urlsplit(receiver.url)
    with contextlib.closing(http.client.HTTPConnection(url.netloc)) as connection:

        def many_pings() -> None:
            for _ in range(200):
                connection.request("POST", url.path, body=b"x" * 3000)
                assert connection.getresponse().read() == b"OK"

        # A small answer held back for the client's acknowledgement takes 40 ms on Linux.
        assert seconds_for(many_pings) < 5


def test_it_has_no_url_before_it_is_started() -> None:
    receiver = PingReceiver()
    with pytest.raises(RuntimeError, match="no URL before it is started"):
        _ = receiver.url
    assert repr(receiver) == "<PingReceiver stopped, check new, 0 pings, 0 requests>"
    receiver.stop()


def test_it_can_be_stopped_and_comes_back_at_the_same_url() -> None:
    receiver = PingReceiver().start()
    url = receiver.url
    send(url)
    receiver.stop()
    receiver.stop()
    with pytest.raises(ConnectionError):
        send(url)

    with receiver:
        assert receiver.url == url
        assert send(url).status == 200
        with pytest.raises(RuntimeError, match="runs already"):
            receiver.start()
    assert len(receiver.pings) == 2


@pytest.mark.parametrize(
    ("fault", "sent"),
    [
        (None, b""),
        (None, b"GET "),
        (None, b"POST {path} HTTP/1.1\r\nContent-Length: 10\r\n\r\nhalf"),
        (None, b"GET {path} HTTP/1.1\r\n\r\n"),
        (Fault(delay=60), b"GET {path} HTTP/1.1\r\n\r\n"),
        (Fault(delay=math.inf), b"GET {path} HTTP/1.1\r\n\r\n"),
        (Fault(pace=60), b"GET {path} HTTP/1.1\r\n\r\n"),
        (Fault(pace=math.inf), b"GET {path} HTTP/1.1\r\n\r\n"),
        (Fault(endless=True), b"GET {path} HTTP/1.1\r\n\r\n"),
        (Fault(endless=True, pace=0.01), b"GET {path} HTTP/1.1\r\n\r\n"),
    ],
)
def test_stopping_is_prompt_whatever_goes_on(
    receiver: PingReceiver, fault: Fault | None, sent: bytes
) -> None:
    receiver.always(fault)
    path = urlsplit(receiver.url).path
    with connect(receiver) as client, connect(receiver) as silent:
        client.sendall(sent.replace(b"{path}", path.encode()))
        if sent.endswith(b"\r\n\r\n"):
            wait_until(lambda: receiver.requests)

        assert seconds_for(receiver.stop) < 10

        for connection in (client, silent):
            with contextlib.suppress(ConnectionError):
                while connection.recv(1_000_000):
                    pass


def test_nothing_is_left_open_or_running_after_stop() -> None:
    threads = running_threads()
    with PingReceiver() as receiver:
        idle = [connect(receiver) for _ in range(5)]
        path = urlsplit(receiver.url).path
        for client in idle:
            client.sendall(f"GET {path} HTTP/1.1\r\n\r\n".encode())
        receiver.wait(5)
    wait_until(lambda: running_threads() <= threads)  # those of other tests may end

    del receiver
    gc.collect()  # an unclosed socket warns here, and a warning is an error
    for client in idle:
        client.close()


def test_a_forgotten_receiver_does_not_keep_the_interpreter() -> None:
    source = (
        "from loghc.testing import PingReceiver, Fault\n"
        "import urllib.request, threading\n"
        "receiver = PingReceiver().start()\n"
        "receiver.always(Fault(delay=60))\n"
        "ask = lambda: urllib.request.urlopen(receiver.url)\n"
        "threading.Thread(target=ask, daemon=True).start()\n"
        "receiver.wait(1)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", source], timeout=20, capture_output=True, check=True
    )

    assert run.stdout == b""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_that_stops_it_leaves_the_parents_alone(receiver: PingReceiver) -> None:
    with connect(receiver) as client:
        client.sendall(head(receiver))
        assert client.recv(1000)
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)  # pytest-timeout's is not for a child
            signal.alarm(10)
            receiver.stop()
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7

        client.sendall(head(receiver))
        assert client.recv(1000).startswith(b"HTTP/1.1 200 OK")
    assert send(receiver.url).status == 200


# TLS


def test_https_with_a_certificate_of_ones_own(
    authority: trustme.CA, capfd: pytest.CaptureFixture[str]
) -> None:
    server = server_context(authority)
    client = ssl.create_default_context()
    authority.configure_trust(client)

    with PingReceiver(ssl_context=server) as receiver:
        assert receiver.url.startswith("https://localhost:")
        with connect(receiver):  # a client that never shakes hands holds up no other
            assert send(receiver.url, b"secret", tls=client).status == 200
            receiver.script(Fault(cut="before-answer"))
            with pytest.raises(ConnectionError):
                send(receiver.url, b"lost", tls=client)
            with pytest.raises(ssl.SSLCertVerificationError):
                send(receiver.url, tls=ssl.create_default_context())
            with pytest.raises(ConnectionError):
                send(receiver.url.replace("https", "http"))
            assert seconds_for(receiver.stop) < 10

    assert [ping.body for ping in receiver.pings] == [b"secret", b"lost"]
    assert capfd.readouterr().err == ""


# At large


def test_it_is_importable_without_pytest_or_urllib3() -> None:
    source = (
        "import sys, loghc.testing.receiver\n"
        "print(*{name.partition('.')[0] for name in sys.modules} & {'pytest', 'urllib3'})"
    )
    run = subprocess.run([sys.executable, "-c", source], capture_output=True, check=True)

    assert run.stdout.strip() == b""


def test_the_examples_in_the_docstrings_work() -> None:
    receiver, fault = (
        doctest.testmod(module) for module in (loghc.testing.receiver, loghc.testing.faults)
    )

    assert (receiver.failed, fault.failed) == (0, 0)
    assert (receiver.attempted, fault.attempted) >= (5, 6)


CLIENT = """
import http.client, sys
address, path, name = sys.argv[1:]
connection = http.client.HTTPConnection(address, timeout=30)
for n in range(50):
    connection.request("POST", path, body=f"{name} {n}")
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"OK")
    if name.endswith("0"):  # some keep their connection, some don't
        connection.close()
"""


def test_twenty_processes_at_once_lose_no_ping(receiver: PingReceiver) -> None:
    url = urlsplit(receiver.url)
    command = [sys.executable, "-I", "-S", "-c", CLIENT, url.netloc, url.path]
    clients = [subprocess.Popen([*command, f"client-{n}"]) for n in range(20)]

    assert [client.wait(60) for client in clients] == [0] * 20

    arrived = [ping.text.split() for ping in receiver.pings]
    assert len(arrived) == 20 * 50
    for n in range(20):
        numbers = [int(number) for name, number in arrived if name == f"client-{n}"]
        assert numbers == list(range(50))


def test_a_receiver_plays_several_checks(receiver):
    photos, mails = receiver.check("photos"), receiver.check("mails")
    assert (photos.state, mails.state) == ("new", "new")
    for job, check in (("photos", photos), ("mails", mails)):
        logger.add(HealthSink(check.slug_url, job=job))
    for message in ("photos.start", "mails.done", "photos.error"):
        logger.info(message)
    logger.remove()
    assert [ping.event for ping in photos.pings] == [Event.START, Event.FAIL]
    assert [ping.event for ping in mails.pings] == [Event.SUCCESS]
    assert (photos.state, mails.state, receiver.state) == ("down", "up", "new")
    assert receiver.check("photos").pings == photos.pings
    assert {ping.slug for ping in receiver.pings} == {"photos", "mails"}
    assert len({photos.url, mails.url, receiver.url}) == 3
    assert repr(photos) == "<check 'photos', down, 2 pings>"


def test_a_check_with_a_uuid_is_the_one_with_the_slug(receiver):
    check = receiver.check("photos")
    sink = HealthSink(check.url)
    logger.add(sink)
    logger.info("sync.done")
    assert sink.wait(10)
    assert [ping.slug for ping in check.pings] == ["photos"]


@pytest.mark.parametrize("slug", ["", "Photos", "a/b", "ä"])
def test_a_slug_that_the_service_would_not_know_is_refused(receiver, slug):
    with pytest.raises(ValueError, match="slug must be of a-z 0-9 - _"):
        receiver.check(slug)
