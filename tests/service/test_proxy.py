"""What goes through a real proxy that the environment names, and what a bad one does."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from loghc.testing import PingReceiver
from pings import attempt, client_of, send
from services import running_proxy, server_context, unused_port

USER, PASSWORD = "bob", "p@ss:w/\u00f6rd"
QUOTED = "p%40ss%3Aw%2F%C3%B6rd"

Environment = Callable[..., None]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Environment:
    def set_variables(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_variables


@pytest.mark.parametrize(
    "url",
    [
        "socks5://bob:hunter2@p",
        "http://bob:hunter2@",
        "http://bob:hun/ter2@p",
        "http://[x/",
        "http://p$x",
    ],
)
def test_what_is_no_proxy_is_reported_and_not_passed_by(url: str, environment: Environment) -> None:
    environment(http_proxy=url)
    with PingReceiver() as receiver:
        result = attempt(receiver.url)
        assert receiver.requests == ()
    assert not result.delivered
    assert not result.transient
    assert "http_proxy: expected a proxy" in str(result.error)
    assert "ter2" not in str(result.error)


# Through one


@pytest.fixture(scope="module")
def proxy_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A proxy in a process of its own, that asks for the user and password."""
    with running_proxy(tmp_path_factory.mktemp("proxy"), *credentials()) as port:
        yield port


def credentials() -> tuple[str, str]:
    return ("--basic-auth", f"{USER}:{PASSWORD}")


@pytest.fixture
def tls(authority: trustme.CA, trusted: Path) -> ssl.SSLContext:
    """The context of a server that is trusted."""
    return server_context(authority)


def test_http_goes_through_the_proxy(proxy_port: int, environment: Environment) -> None:
    environment(http_proxy=f"http://{USER}:{QUOTED}@127.0.0.1:{proxy_port}")
    with PingReceiver() as receiver:
        assert attempt(receiver.url).delivered
        (ping,) = receiver.pings
    assert ping.body == b"a log"
    assert "via" in {name.lower() for name in ping.headers}
    assert "proxy-authorization" not in {name.lower() for name in ping.headers}


def test_https_goes_through_the_proxy_by_connect(
    proxy_port: int, tls: ssl.SSLContext, environment: Environment
) -> None:
    environment(https_proxy=f"http://{USER}:{QUOTED}@127.0.0.1:{proxy_port}")
    with PingReceiver(ssl_context=tls) as receiver:
        assert attempt(receiver.url).delivered
        (ping,) = receiver.pings
    names = {name.lower() for name in ping.headers}
    assert "via" not in names  # end to end: the proxy could not add one
    assert "proxy-authorization" not in names


def test_a_proxy_may_itself_be_reached_by_https(
    authority: trustme.CA, tls: ssl.SSLContext, tmp_path: Path, environment: Environment
) -> None:
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(str(tmp_path / "cert.pem"), append=True)
    files = ("--key-file", str(tmp_path / "key.pem"), "--cert-file", str(tmp_path / "cert.pem"))
    with (
        running_proxy(tmp_path, *credentials(), *files) as port,
        PingReceiver(ssl_context=tls) as receiver,
    ):
        environment(https_proxy=f"https://{USER}:{QUOTED}@localhost:{port}")
        assert attempt(receiver.url).delivered
        environment(https_proxy=f"https://{USER}:{QUOTED}@127.0.0.1:{port}")
        result = attempt(receiver.url)
        assert "the proxy: the certificate can't be verified" in str(result.error)
        assert len(receiver.requests) == 1


def test_no_proxy_goes_round_it(environment: Environment) -> None:
    environment(http_proxy="http://127.0.0.1:1", no_proxy="127.0.0.1")
    with PingReceiver() as receiver:
        assert attempt(receiver.url).delivered


@pytest.mark.parametrize("secure", [False, True])
def test_a_wrong_password_is_reported_and_what_to_do(
    secure: bool, proxy_port: int, tls: ssl.SSLContext, environment: Environment
) -> None:
    environment(all_proxy=f"http://{USER}:hunter2@127.0.0.1:{proxy_port}")
    with PingReceiver(ssl_context=tls if secure else None) as receiver:
        result = attempt(receiver.url)
        assert receiver.requests == ()
    assert not result.delivered
    assert not result.transient
    assert "407" in str(result.error)
    assert "proxy" in result.advice
    assert "hunter2" not in str(result)
    assert base64.b64encode(f"{USER}:hunter2".encode()).decode() not in str(result)


# Through a bad one


@pytest.fixture
def bad_proxy() -> Iterator[Callable[[bytes, float], int]]:
    """Makes a proxy that answers with certain bytes, and so many seconds between any two."""
    stopping = threading.Event()
    listeners = []

    def serve(listener: socket.socket, answer: bytes, pace: float) -> None:
        with listener.accept()[0] as connection:
            connection.recv(65_536)
            for byte in answer:
                try:
                    connection.sendall(bytes([byte]))
                except OSError:
                    return
                if pace and stopping.wait(pace):
                    return
            if not answer:
                stopping.wait(30)
                return
            # Closing over what is yet to be read would take the answer back.
            connection.settimeout(5)
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65_536):
                    pass

    def make(answer: bytes, pace: float = 0.0) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        threading.Thread(target=serve, args=(listener, answer, pace), daemon=True).start()
        return listener.getsockname()[1]  # type: ignore[no-any-return]

    yield make
    stopping.set()
    for listener in listeners:
        listener.close()


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize(("status", "transient"), [(502, True), (503, True), (403, False)])
def test_what_a_proxy_refuses_is_reported(
    secure: bool, status: int, transient: bool, bad_proxy, environment: Environment
) -> None:
    port = bad_proxy(f"HTTP/1.1 {status} \x1b[31mNo\r\nContent-Length: 0\r\n\r\n".encode())
    environment(all_proxy=f"http://bob:hunter2@127.0.0.1:{port}")
    result = attempt(("https" if secure else "http") + "://hc.example.com/hunter3")
    assert not result.delivered
    assert result.transient is transient
    assert str(status) in str(result.error)
    assert str(result.error).isprintable()
    assert "hunter" not in str(result)


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize(
    ("answer", "pace"), [(b"", 0.0), (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 99, 0.1)]
)
def test_a_proxy_that_hangs_or_drips_is_left_in_time(
    secure: bool, answer: bytes, pace: float, bad_proxy, environment: Environment
) -> None:
    environment(all_proxy=f"http://127.0.0.1:{bad_proxy(answer, pace)}")
    begun = time.monotonic()
    result = attempt(("https" if secure else "http") + "://hc.example.com/hunter3", 0.5)
    assert time.monotonic() - begun < 5
    assert not result.delivered
    assert result.transient
    assert "timed out" in str(result.error)


def test_a_proxy_that_is_not_there_is_named(environment: Environment) -> None:
    environment(all_proxy=f"http://bob:hunter2@127.0.0.1:{unused_port()}")
    for scheme in ("http", "https"):
        result = attempt(f"{scheme}://hc.example.com/hunter3")
        assert result.transient
        assert "the proxy: connection refused" in str(result.error)
        assert "hunter" not in str(result)


def test_a_proxy_whose_name_does_not_resolve_is_not_taken_for_the_service(
    environment: Environment,
) -> None:
    environment(all_proxy="http://no-such-proxy.invalid:3128")
    result = attempt("https://hc.example.com/hunter3")
    assert "the proxy" in str(result.error)
    assert "hc.example.com" not in str(result.error)


@pytest.mark.skipif(os.name != "posix", reason="needs a shell's environment")
def test_the_variables_are_read_when_the_first_ping_is_sent(environment: Environment) -> None:
    with PingReceiver() as receiver:
        client = client_of(receiver.url)
        environment(http_proxy="http://127.0.0.1:1")
        assert not send(client).delivered
        client.close()  # and again when the next one is
        environment(no_proxy="*")
        assert send(client).delivered
        client.close()
