"""The connection that pings leave over: kept, opened anew, cut off, and bounded in time."""

from __future__ import annotations

import gc
import http.client
import socket
import ssl
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import trustme
from loghc.service.connection import Connection

from conftest import RunScript
from loghc import Event, Outcome, Stats
from loghc.delivery import Delivery
from loghc.delivery.report import Report
from loghc.log.masking import Masker
from loghc.ping import Attempt, Ping
from loghc.service.client import PingClient
from loghc.service.url import PingUrl
from loghc.testing import PingReceiver

RUN = "5e1f5e1f-0000-4000-8000-222222222222"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"

Serve = Callable[[socket.socket], None]


@contextmanager
def service(serve: Serve) -> Iterator[int]:
    """A service that handles each connection on a thread of its own; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def handle(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                connection.settimeout(20)
                serve(connection)

        def accept() -> None:
            while True:
                try:
                    connection = listener.accept()[0]
                except OSError:
                    return
                threading.Thread(target=handle, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def receive_request(connection: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"the end"):
        more = connection.recv(65_536)
        if not more:
            raise OSError("closed")
        data += more
    return data


def answer_ok(connection: socket.socket) -> None:
    receive_request(connection)
    connection.sendall(OK)


def client_of(url: str, timeout: float = 20.0) -> PingClient:
    parsed = PingUrl.parse(url)
    return PingClient(parsed, Masker(parsed).text, timeout, {}, None, "0")


def send(client: PingClient, body: bytes = b"the end") -> Attempt:
    return client.send(Ping(Event.SUCCESS, RUN, bytes), body, 20.0)


def test_a_ping_over_a_direct_connection_needs_no_urllib3(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    source = """
import sys
from loguru import logger
from loghc import HealthSink

sink = HealthSink(sys.argv[1])
logger.add(sink)
logger.info("sync.done")
assert sink.wait(20)
assert sink.stats.delivered == 1
assert "urllib3" not in sys.modules
"""
    result = run_script(source, ping_receiver.url)
    assert result.returncode == 0, result.stderr


def test_one_connection_serves_many_pings_and_is_closed() -> None:
    ended: list[int] = []

    def serve(connection: socket.socket) -> None:
        requests = 0
        try:
            while True:
                receive_request(connection)
                requests += 1
                connection.sendall(OK)
        finally:
            ended.append(requests)
            all_sent.set()

    all_sent = threading.Event()
    with service(serve) as port:
        client = client_of(f"http://127.0.0.1:{port}/x")
        assert [send(client).delivered for _ in range(5)] == [True] * 5
        assert not ended
        client.close()
        assert all_sent.wait(20)
    assert ended == [5]


def test_a_connection_that_the_service_closed_is_opened_anew_without_a_failed_attempt() -> None:
    closed = threading.Semaphore(0)

    def serve(connection: socket.socket) -> None:
        receive_request(connection)
        connection.sendall(OK)
        connection.close()
        closed.release()

    with service(serve) as port:
        client = client_of(f"http://127.0.0.1:{port}/x")
        for _ in range(3):
            assert send(client).delivered
            assert closed.acquire(timeout=20)
        client.close()


def test_what_the_service_says_unasked_is_not_taken_for_an_answer() -> None:
    answered, said = threading.Event(), threading.Event()

    def serve(connection: socket.socket) -> None:
        receive_request(connection)
        connection.sendall(OK)
        if not said.is_set():
            answered.wait(20)
            connection.sendall(b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n")
            said.set()

    with service(serve) as port:
        client = client_of(f"http://127.0.0.1:{port}/x")
        assert send(client).status == 200
        answered.set()
        assert said.wait(20)
        assert send(client).status == 200
        client.close()


def test_an_answer_that_is_shorter_than_it_says_counts_and_its_connection_is_not_kept() -> None:
    def serve(connection: socket.socket) -> None:
        receive_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nOK")

    with service(serve) as port:
        client = client_of(f"http://127.0.0.1:{port}/x")
        assert [send(client).delivered for _ in range(3)] == [True] * 3
        client.close()


@pytest.mark.parametrize("politely", [True, False])
@pytest.mark.parametrize("size", [100_000, 20_000_000])
def test_a_refusal_that_comes_before_the_request_was_read_is_read(
    size: int, politely: bool
) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(100)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        if politely:
            connection.shutdown(socket.SHUT_WR)
            time.sleep(0.2)  # what is unread makes the close a reset, which is another way to fail

    with service(serve) as port:
        for _ in range(5):
            client = client_of(f"http://127.0.0.1:{port}/x")
            assert send(client, b"x" * size).status == 413
            client.close()


@pytest.mark.parametrize("size", [b"-1", b"-5"])
def test_a_chunk_of_a_negative_size_is_a_passing_fault(size: bytes) -> None:
    def serve(connection: socket.socket) -> None:
        receive_request(connection)
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + size + b"\r\n"
        )
        for _ in range(1000):
            connection.sendall(b"x" * 10_000)

    with service(serve) as port:
        client = client_of(f"http://127.0.0.1:{port}/x")
        attempt = send(client)
        client.close()
    assert (attempt.delivered, attempt.transient) == (False, True)
    assert attempt.error == "the answer is not HTTP"


def test_an_answer_that_stalls_before_its_connection_is_closed_leaves_no_socket() -> None:
    over = threading.Event()

    def serve(connection: socket.socket) -> None:
        receive_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\nOK")
        over.wait(20)

    with service(serve) as port:
        client = client_of(f"http://127.0.0.1:{port}/x", timeout=0.5)
        assert send(client).error == "timed out after 0.5 s"
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del client
            gc.collect()
        over.set()
    assert [str(warning.message) for warning in caught] == []


def test_a_connection_whose_descriptor_the_app_closed_is_given_up_for_another(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    source = """
import os, sys
from loguru import logger
from loghc import HealthSink

sink = HealthSink(sys.argv[1])
logger.add(sink)
logger.info("sync.start")
assert sink.wait(20)
os.close(sink._delivery._client._connection._http.sock.fileno())
logger.info("sync.log")
logger.info("sync.done")
assert sink.wait(20)
"""
    result = run_script(source, ping_receiver.url)
    assert result.returncode == 0, result.stderr
    assert ping_receiver.pings[-1].event is Event.SUCCESS


def test_a_family_of_addresses_that_the_system_does_not_allow_is_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = socket.getaddrinfo

    def look_up(name: bytes, port: int, **options: int) -> object:
        found = real(name, port, **options)
        return [(9999, *found[0][1:]), *found]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with service(answer_ok) as port:
        client = client_of(f"http://127.0.0.1:{port}/x")
        assert send(client).delivered
        client.close()


def test_who_takes_over_from_a_worker_sends_on_a_connection_of_its_own() -> None:
    held, go_on, begun, proceed = (threading.Event() for _ in range(4))
    requests: list[bytes] = []

    def on_outcome(_: Outcome) -> None:
        held.set()
        go_on.wait(30)

    def serve(connection: socket.socket) -> None:
        while begin := connection.recv(1000):
            requests.append(begin)
            if len(requests) == 2:
                begun.set()
                proceed.wait(30)
            if not begin.endswith(b"the end"):
                receive_request(connection)
            connection.sendall(OK)

    with service(serve) as port:
        delivery = Delivery(
            client_of(f"http://127.0.0.1:{port}/x"), Report("the service"), on_outcome
        )
        delivery.put(Ping(Event.LOG, RUN, lambda: b"the end"))
        assert held.wait(20)
        thread = next(each for each in threading.enumerate() if each.name == THREAD_NAME)
        delivery.put(Ping(Event.LOG, RUN, lambda: bytes(20_000_000) + b"the end"))
        stopping = threading.Thread(target=delivery.stop, args=(30,))
        stopping.start()
        assert begun.wait(20)  # the stop sends it, as on_outcome holds up who should
        go_on.set()
        thread.join(20)  # and has closed what it sent on
        proceed.set()
        stopping.join(30)
    assert delivery.stats == Stats(2, 0, 0)
    assert len(requests) == 2


def test_nothing_is_sent_on_a_new_connection_in_the_middle_of_a_request() -> None:
    with service(lambda connection: None) as port:
        connection = Connection(PingUrl.parse(f"http://127.0.0.1:{port}/x"))
        with pytest.raises(http.client.NotConnected):
            connection._http.send(b"the end")


def address_is_there(host: str) -> bool:
    try:
        with socket.create_server((host, 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.parametrize("host", ["h.example", "h.example."])
def test_a_dot_at_a_name_s_end_is_for_its_look_up_alone(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, looked_up, requests = socket.getaddrinfo, [], []

    def look_up(name: bytes, port: int, **options: int) -> object:
        looked_up.append(name)
        return real("127.0.0.1", port, **options)

    def serve(connection: socket.socket) -> None:
        requests.append(receive_request(connection))
        connection.sendall(OK)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with service(serve) as port:
        client = client_of(f"http://{host}:{port}/x")
        assert send(client).delivered
        client.close()
    assert looked_up == [host.encode()]
    assert f"\r\nHost: h.example:{port}\r\n".encode() in requests[0]
    assert requests[0].count(b"Host:") == 1


@pytest.mark.skipif(not address_is_there("::1"), reason="needs IPv6")
def test_an_ipv6_address_is_connected_to_and_named_in_brackets() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        requests: list[bytes] = []

        def serve() -> None:
            with listener.accept()[0] as connection:
                requests.append(receive_request(connection))
                connection.sendall(OK)

        threading.Thread(target=serve, daemon=True).start()
        port = listener.getsockname()[1]
        client = client_of(f"http://[::1]:{port}/x")
        assert send(client).delivered
        client.close()
    assert f"\r\nHost: [::1]:{port}\r\n".encode() in requests[0]


def test_a_ping_url_without_a_path_is_pinged_at_the_root() -> None:
    requests: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        requests.append(receive_request(connection))
        connection.sendall(OK)

    with service(serve) as port:
        client = client_of(f"http://127.0.0.1:{port}?create=1")
        assert send(client).delivered
        client.close()
    assert requests[0].startswith(f"POST /?create=1&rid={RUN} HTTP/1.1\r\n".encode())


@pytest.mark.parametrize("host", ["0", "127.0.0.1"])
def test_the_port_is_the_url_s_whatever_the_host(host: str) -> None:
    with service(answer_ok) as port:
        client = client_of(f"http://{host}:{port}/x")
        assert send(client).delivered
        client.close()


# TLS.


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's context, for a certificate that is trusted."""
    authority = trustme.CA()
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


def test_a_tls_service_that_reads_a_little_now_and_then_is_not_waited_for(
    tls: ssl.SSLContext,
) -> None:
    over = threading.Event()

    def serve(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with tls.wrap_socket(connection, server_side=True) as wrapped:
            while not over.wait(0.1) and wrapped.recv(4096):
                pass

    with service(serve) as port:
        client = client_of(f"https://localhost:{port}/x", timeout=2.0)
        begun = time.monotonic()
        attempt = send(client, b"x" * 20_000_000)
        taken = time.monotonic() - begun
        over.set()
        client.close()
    assert attempt.error == "timed out after 2.0 s"
    assert taken < 10


def test_a_tls_service_that_never_shakes_hands_is_cut_off(tls: ssl.SSLContext) -> None:
    greeted = threading.Event()
    attempts: list[Attempt] = []

    def serve(connection: socket.socket) -> None:
        connection.recv(65_536)
        greeted.set()
        connection.recv(65_536)

    with service(serve) as port:
        client = client_of(f"https://localhost:{port}/x", timeout=60)
        sending = threading.Thread(target=lambda: attempts.append(send(client)))
        begun = time.monotonic()
        sending.start()
        assert greeted.wait(20)
        client.cancel()
        sending.join(20)
        assert time.monotonic() - begun < 10
        client.close()
    assert [attempt.delivered for attempt in attempts] == [False]
