"""One attempt: what is sent, for how long, with which certificates, and what is learned."""

from __future__ import annotations

import gc
import io
import math
import os
import socket
import sys
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import trustme
import urllib3

from conftest import RunScript
from loghc import Event
from loghc.deadline import Deadline
from loghc.log.body import Body
from loghc.log.masking import Masker
from loghc.ping import Attempt, Ping
from loghc.service import transport
from loghc.service.client import PingClient, hidden_library, not_importable
from loghc.service.connection import pool_classes
from loghc.service.lookup import Resolver
from loghc.service.proxies import Proxy
from loghc.service.transport import Transport
from loghc.service.url import PingUrl
from loghc.testing import Fault, PingReceiver
from pings import client_of, send
from services import OK, server_context, service, unused_port
from waiting import wait_until


def client(
    url: str, headers: Mapping[str, str] | None = None, http: urllib3.PoolManager | None = None
) -> PingClient:
    parsed = PingUrl.parse(url)
    return PingClient(parsed, Masker(parsed).text, 20.0, headers or {}, http, "1.2")


def test_the_headers_say_what_the_body_is_and_who_sends_it(ping_receiver: PingReceiver) -> None:
    url = ping_receiver.url.replace("://", "://bob:p%40ss@")
    assert send(client(url)).delivered
    (request,) = ping_receiver.requests
    headers = {name.lower(): value for name, value in request.headers.items()}
    assert headers.pop("host") in url
    assert headers.pop("accept-encoding") == "identity"
    assert headers == {
        "content-type": "text/plain; charset=utf-8",
        "content-length": "7",
        "user-agent": "loghc/1.2",
        "authorization": "Basic Ym9iOnBAc3M=",
    }


def test_a_pool_managers_headers_go_before_loghcs_and_given_ones_before_all(
    ping_receiver: PingReceiver,
) -> None:
    asked: list[object] = []

    class Own(urllib3.PoolManager):
        def request(self, method: str, url: str, *args: Any, **options: Any) -> Any:
            asked.extend((method, options["redirect"], options["retries"]))
            return super().request(method, url, *args, **options)

    given = {"X-One": "given", "user-AGENT": "given/1"}
    with Own(headers={"x-one": "pool", "X-Two": "pool", "User-Agent": "pool/1"}) as http:
        assert send(client(ping_receiver.url, given, http)).delivered
    assert asked == ["POST", False, False]
    (request,) = ping_receiver.requests
    headers = {name.lower(): value for name, value in request.headers.items()}
    assert headers["x-one"] == "given"
    assert headers["x-two"] == "pool"
    assert headers["user-agent"] == "given/1"
    assert "authorization" not in headers


@pytest.mark.parametrize(("timeout", "seconds"), [(0.2, 60.0), (60.0, 0.2)])
def test_the_shorter_of_two_times_counts(
    timeout: float, seconds: float, ping_receiver: PingReceiver
) -> None:
    ping_receiver.always(Fault(delay=math.inf))
    attempt = send(client_of(ping_receiver.url, timeout), seconds=seconds)
    assert attempt.error == "timed out after 0.2 s"


def test_after_a_time_out_an_attempt_gets_twice_as_long_up_to_four_times(
    ping_receiver: PingReceiver,
) -> None:
    def seconds_of(client: PingClient) -> str | None:
        return send(client, seconds=60.0).error

    ping_receiver.script(*[Fault(delay=math.inf)] * 5, Fault(delay=0.15), Fault(delay=math.inf))
    one = client_of(ping_receiver.url, 0.1)
    assert [seconds_of(one) for _ in range(4)] == [
        f"timed out after 0.{tenths} s" for tenths in (1, 2, 4, 4)
    ]
    one = one.clone()
    assert seconds_of(one) == "timed out after 0.4 s"
    assert send(one).delivered  # but no sooner than before
    assert seconds_of(one) == "timed out after 0.4 s"
    assert send(one).delivered
    ping_receiver.script(Fault(delay=math.inf))
    assert seconds_of(one) == "timed out after 0.1 s"


def test_an_error_that_comes_at_once_is_no_reason_for_more_time(
    ping_receiver: PingReceiver,
) -> None:
    ping_receiver.script(Fault(cut="request"), Fault(delay=math.inf))
    one = client_of(ping_receiver.url, 0.2)
    assert send(one, seconds=60.0).error != send(one, seconds=60.0).error == "timed out after 0.2 s"


def test_an_attempt_takes_a_share_of_the_time_that_is_left(ping_receiver: PingReceiver) -> None:
    ping_receiver.always(Fault(delay=math.inf))
    one = client_of(ping_receiver.url, 60.0).clone(Deadline(0.9))
    assert send(one, seconds=60.0).error == "timed out after 0.6 s"
    one.cancel()
    assert not send(one, seconds=60.0).delivered
    assert len(ping_receiver.requests) == 1


def test_what_was_closed_reads_the_proxy_variables_anew(
    ping_receiver: PingReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = client_of(ping_receiver.url)
    assert send(one).delivered
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{unused_port()}")
    monkeypatch.setenv("no_proxy", "")
    assert send(one).delivered
    one.close()
    assert send(one).error == "the proxy: connection refused"


def test_at_the_exit_the_callers_own_pools_are_dropped() -> None:
    cleared: list[None] = []

    class Own(urllib3.PoolManager):
        def clear(self) -> None:
            cleared.append(None)

    client("http://h/x", http=Own()).at_exit()
    assert cleared == [None]
    client("http://h/x", http=object()).at_exit()  # type: ignore[arg-type]
    client("http://h/x").at_exit()


def test_the_systems_certificates_are_loaded_once_and_for_https_alone(
    authority: trustme.CA, trusted: Path, ping_receiver: PingReceiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    loaded: list[object] = []
    system_trust = transport.system_trust

    def counted(*args: str | None) -> object:
        loaded.append(system_trust(*args))
        return loaded[-1]

    monkeypatch.setattr(transport, "system_trust", counted)
    assert send(client_of(ping_receiver.url)).delivered
    assert loaded == []
    with PingReceiver(ssl_context=server_context(authority)) as receiver:
        first = client_of(receiver.url)
        assert send(first).delivered
        first.close()
        assert send(first).delivered
        second = first.clone()
        assert send(second).delivered
    assert len(loaded) == 1


def test_a_limit_is_learned_from_what_was_taken_and_the_body_cut_to_it(
    ping_receiver: PingReceiver,
) -> None:
    def announce(status: int, limit: int) -> None:
        ping_receiver.script(Fault(status, headers={"Ping-Body-Limit": str(limit)}))

    one = client_of(ping_receiver.url)
    assert one.body_limit is None
    announce(503, 3)
    assert send(one, b"0123456789").kept is None
    assert one.body_limit is None
    announce(200, 10)
    assert send(one, b"0123456789").kept is None  # all of it
    assert one.body_limit == 10
    announce(200, 4)
    assert send(one, b"0123456789").kept == 4
    ping_receiver.body_limit = None
    assert send(one, b"0123456789").kept is None
    assert one.body_limit == one.clone().body_limit == 4
    assert ping_receiver.requests[-1].body == b"6789"


def test_what_the_service_says_is_masked(ping_receiver: PingReceiver) -> None:
    secret = ping_receiver.url.rpartition("/")[2]
    ping_receiver.script(Fault(500, body=f"no {secret}"))
    assert send(client_of(ping_receiver.url)).error == '500 Internal Server Error ("no ***")'


# Connections


@pytest.fixture
def connections() -> Iterator[tuple[str, list[bytes]]]:
    """A service, and the first line of each connection to it.

    A body that begins with `long` gets an answer that is longer than what is read of one.
    """
    seen: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        seen.append(b"")
        place = len(seen) - 1
        with connection.makefile("rb") as stream:
            while line := stream.readline():
                seen[place] = seen[place] or line.strip()
                head = dict(pair.split(b": ", 1) for pair in iter(stream.readline, b"\r\n"))
                body = stream.read(int(head.get(b"Content-Length", b"0")))
                if line.startswith(b"CONNECT"):
                    answer = b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"
                elif body.startswith(b"long"):
                    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n" + bytes(65_537)
                else:
                    answer = OK
                connection.sendall(answer)

    with service(serve) as port:
        yield f"http://127.0.0.1:{port}/x", seen


@pytest.mark.parametrize("own", [False, True], ids=["", "http="])
def test_a_connection_is_used_again_unless_something_of_an_answer_is_left_in_it(
    own: bool, connections: tuple[str, list[bytes]]
) -> None:
    url, seen = connections
    with urllib3.PoolManager() as http:
        one = client(url, http=http if own else None)
        for number, body in enumerate([b"short", b"short", b"long", b"short", b"short"]):
            assert send(one, body).delivered
            assert len(seen) == (1 if number < 3 else 2)
        one.close()
        assert send(one, b"short").delivered
        assert len(seen) == (2 if own else 3)  # the caller's are the caller's to close


@pytest.mark.parametrize("own", [False, True], ids=["", "http="])
def test_after_a_fork_a_new_connection_is_opened_and_the_old_one_stays_as_it_is(
    own: bool, connections: tuple[str, list[bytes]]
) -> None:
    url, seen = connections
    with urllib3.PoolManager() as http:
        parent = client(url, {"X-Mine": "1"}, http if own else None)
        parent.body_limit = 5
        assert send(parent, b"short").delivered
        pools = weakref.ref(http.pools)
        child = parent.after_fork()
        assert (child.body_limit, child._headers()) == (5, parent._headers())
        left = weakref.ref(parent)
        del parent
        gc.collect()
        assert left() is not None  # and so what it holds is closed by nobody
        assert pools() is not None
        assert (pools() is http.pools) is not own
        assert send(child, b"short").delivered
        assert len(seen) == 2
        child.close()


def test_a_manager_without_pools_goes_through_a_fork_as_well() -> None:
    class Own:
        def request(self, *_: object, **__: object) -> urllib3.HTTPResponse:
            return urllib3.HTTPResponse(io.BytesIO(b"OK"), status=200, preload_content=False)

    parent = client("http://h/x", http=Own())  # type: ignore[arg-type]
    assert send(parent.after_fork()).delivered


def test_a_pool_keeps_no_more_connections_than_it_should() -> None:
    with pool_classes(Deadline(), Resolver())["http"]("127.0.0.1", 1, maxsize=1) as pool:
        one, another = pool._get_conn(), pool._get_conn()
        pool._put_conn(one)
        pool._put_conn(another)
        assert pool.pool.qsize() == 1


def test_a_pool_manager_of_the_callers_keeps_to_the_time_too(ping_receiver: PingReceiver) -> None:
    ping_receiver.always(Fault(delay=math.inf))
    with urllib3.PoolManager() as http:
        attempt = send(client_of(ping_receiver.url, 0.2, http))
    assert (attempt.error, attempt.transient) == ("timed out", True)


def test_a_connection_is_opened_and_closed_without_a_request(
    connections: tuple[str, list[bytes]],
) -> None:
    url, seen = connections
    Transport(Deadline()).open(url, 20)
    wait_until(lambda: seen == [b""])
    with pytest.raises(ConnectionRefusedError):
        Transport(Deadline()).open(f"http://127.0.0.1:{unused_port()}/", 20)
    with pytest.raises(TimeoutError):
        Transport(Deadline()).open(url, 0)


def test_a_connection_through_a_proxy_reaches_the_service_or_fails(
    connections: tuple[str, list[bytes]],
) -> None:
    url, seen = connections
    through = Transport(Deadline(), proxy=Proxy(url, None, None))
    through.open("http://hc.example/x", 20)
    wait_until(lambda: seen == [b""])  # the proxy is asked for nothing
    with pytest.raises(OSError, match="Tunnel connection failed: 403"):
        through.open("https://hc.example/x", 20)
    assert seen[0] == b""
    assert seen[1].startswith(b"CONNECT hc.example:443 HTTP/1.")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_that_is_forked_amid_a_request_keeps_nothing_of_urllib3s_quiet(
    run_script: RunScript,
) -> None:
    script = """
import os
from loghc.service import quiet

with quiet.quiet():
    pid = os.fork()
    if pid == 0:
        os._exit(len(quiet._requesting))
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), len(quiet._requesting))
"""
    assert run_script(script).stdout == "0 1\n"


@pytest.mark.parametrize("http", ["None", "urllib3.PoolManager()", "urllib3.PoolManager(2, {})"])
def test_what_http_client_prints_for_debugging_shows_no_ping_url(
    http: str, ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    script = f"""
import http.client, sys, urllib3
from loguru import logger
from loghc import HealthSink

http.client.HTTPConnection.debuglevel = 1
urllib3.request("GET", sys.argv[1].rpartition("/")[0] + "/the-apps-own")
sink = HealthSink(sys.argv[1], http={http})
logger.add(sink)
logger.info("sync.done")
assert sink.wait(20)
"""
    done = run_script(script, ping_receiver.url)
    assert [ping.event for ping in ping_receiver.pings] == [Event.SUCCESS], done.stderr
    assert "the-apps-own" in done.stdout
    assert ping_receiver.url.rpartition("/")[2] not in done.stdout + done.stderr


# What can't be imported


def test_an_import_that_fails_may_work_at_the_next_attempt() -> None:
    assert not_importable(OSError(24, "Too many open files")) == Attempt(
        delivered=False,
        error="what sends pings can't be imported now (OSError: [Errno 24] Too many open files)",
        advice="A process without free descriptors, or after chroot, can't import.",
        transient=True,
    )


def test_what_is_not_imported_yet_is_imported_before_anything_is_sent(
    ping_receiver: PingReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = OSError(24, "Too many open files")

    def refuse() -> None:
        raise error

    monkeypatch.setattr("loghc.service.client.import_what_sends", refuse)
    assert send(client(ping_receiver.url)) == not_importable(error)
    assert ping_receiver.requests == ()


@pytest.mark.parametrize("name", ["http", "email", "queue", "urllib3"])
def test_a_file_that_hides_a_library_is_named(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"{name}.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert hidden_library() is None  # it is imported: the file is too late
    monkeypatch.delitem(sys.modules, name)
    assert hidden_library() == str(tmp_path / f"{name}.py")
    attempt = PingClient.send(
        client_of("http://127.0.0.1:1/x"), Ping(Event.LOG, "run", Body), Body(), 1.0
    )
    assert attempt == Attempt(
        delivered=False,
        error=f"{tmp_path / name}.py hides a library that sends pings",
        advice="Rename that file.",
    )


@pytest.mark.parametrize("name", ["http", "email", "queue", "urllib3"])
def test_the_library_itself_and_a_folder_of_its_name_hide_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, name)
    assert hidden_library() is None
    (tmp_path / name).mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert hidden_library() is None
