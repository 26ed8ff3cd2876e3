"""The connection that pings leave over: kept, opened anew, cut off, and bounded in time."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import trustme

from conftest import RunScript
from loghc import Event
from loghc.client import PingClient
from loghc.masking import Masker
from loghc.ping import Attempt, Ping
from loghc.testing import PingReceiver
from loghc.url import PingUrl

RUN = "5e1f5e1f-0000-4000-8000-222222222222"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"

Serve = Callable[[socket.socket], None]


@contextmanager
def service(serve: Serve) -> Iterator[int]:
    """A service that handles its connections one after the other; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    connection = listener.accept()[0]
                except OSError:
                    return
                with connection, suppress(OSError):
                    connection.settimeout(20)
                    serve(connection)

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


def client_of(url: str, timeout: float = 20.0) -> PingClient:
    parsed = PingUrl.parse(url)
    return PingClient(parsed, Masker(parsed), timeout, {}, None, "0")


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


def test_an_answer_that_ends_too_early_is_none() -> None:
    def serve(connection: socket.socket) -> None:
        receive_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nOK")

    with service(serve) as port:
        client = client_of(f"http://127.0.0.1:{port}/x")
        attempt = send(client)
        client.close()
    assert (attempt.delivered, attempt.transient) == (False, True)
    assert attempt.error == "the answer broke off"


def test_an_answer_that_comes_before_the_request_was_read_is_read() -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(100)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        time.sleep(0.3)  # closing with a request unread may overtake the answer

    with service(serve) as port:
        client = client_of(f"http://127.0.0.1:{port}/x")
        attempt = send(client, b"x" * 20_000_000)
        client.close()
    assert attempt.status == 413


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
