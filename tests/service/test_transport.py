"""The way to the service: connections kept, opened anew, cut off, closed, and bounded in time."""

from __future__ import annotations

import gc
import math
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import loguru
import pytest
import trustme
import urllib3
from loguru import logger

import loghc
from conftest import RunScript
from loghc import Event, HealthSink, Outcome
from loghc.deadline import Deadline
from loghc.log.body import Body
from loghc.ping import Attempt
from loghc.service.client import PingClient
from loghc.service.connection import pool_classes
from loghc.service.lookup import Resolver
from loghc.testing import Fault, PingReceiver
from pings import RUN_ID, attempt, client_of, delivery_to, numbered, ping, send
from services import OK, answer_ok, receive_request, service, unused_port
from waiting import wait_until

# Connections: kept, opened anew.


def test_one_connection_serves_many_pings_and_is_closed() -> None:
    ended: list[int] = []
    all_sent = threading.Event()

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
        answer_ok(connection)
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
        answer_ok(connection)
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


def test_the_connection_is_closed_as_soon_as_nothing_more_waits_to_be_sent() -> None:
    ended = threading.Event()
    requests: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        with suppress(OSError):
            while True:
                requests.append(receive_request(connection))
                connection.sendall(OK)
        ended.set()

    with service(serve) as port:
        sink = HealthSink(f"http://127.0.0.1:{port}/x")
        logger.add(sink, format="{message}: the end")
        logger.info("sync.start")
        assert ended.wait(10)  # the run goes on
        assert sink.stats.delivered == 1
        ended.clear()
        logger.info("sync.done")
        assert ended.wait(10)
        assert sink.stats.delivered == 2
    assert len(requests) == 2


def test_pings_that_wait_together_share_a_connection() -> None:
    connections: list[int] = []
    begun, proceed = threading.Event(), threading.Event()

    def serve(connection: socket.socket) -> None:
        connections.append(0)
        while receive_request(connection):
            connections[-1] += 1
            begun.set()
            proceed.wait(20)
            connection.sendall(OK)

    with service(serve) as port:
        delivery = delivery_to(f"http://127.0.0.1:{port}/x")
        delivery.put(ping(Event.LOG, text="the end"))
        assert begun.wait(20)
        for _ in range(4):
            delivery.put(ping(Event.LOG, text="the end"))
        proceed.set()
        assert delivery.wait(20)
        delivery.stop(1)
    assert connections == [5]


def test_a_program_that_closes_all_descriptors_as_daemons_do_still_pings(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    result = run_script(
        """
import os, sys
from loguru import logger
from loghc import HealthSink

sink = HealthSink(sys.argv[1])
logger.add(sink)
logger.info("sync.start")
assert sink.wait(20)
os.closerange(3, 1024)
logger.info("sync.done")
assert sink.wait(20)
assert sink.stats.delivered == 2
""",
        ping_receiver.url,
    )
    assert result.returncode == 0, result.stderr
    assert "Exception ignored" not in result.stderr
    # The second may come twice: a connection that idled may still have been about to be closed, and
    # closes the new one's descriptor, which has got the same number.
    told = dict.fromkeys((ping.event, ping.run_id) for ping in ping_receiver.pings)
    assert [event for event, _ in told] == [Event.START, Event.SUCCESS]


# Answers.


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
        result = attempt(f"http://127.0.0.1:{port}/x", body=b"the end")
    assert (result.delivered, result.transient) == (False, True)
    assert result.error == "the answer is not HTTP"


def test_an_answer_that_is_shorter_than_it_says_counts_and_its_connection_is_not_kept() -> None:
    def serve(connection: socket.socket) -> None:
        receive_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nOK")

    with service(serve) as port:
        client = client_of(f"http://127.0.0.1:{port}/x")
        assert [send(client).delivered for _ in range(3)] == [True] * 3
        client.close()


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


INTERIM = {
    "102": b"HTTP/1.1 102 Processing\r\n\r\n",
    "103 with headers": b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n",
    "100, 102, 103": b"HTTP/1.1 100 Continue\r\n\r\n"
    b"HTTP/1.1 102 Processing\r\nX: y\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n",
    "an unknown one": b"HTTP/1.1 199 Wait\r\nContent-Length: 5\r\n\r\n",
}
GONE = b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("interim", INTERIM.values(), ids=INTERIM)
def test_interim_answers_are_passed_over_and_the_real_one_counts(interim: bytes) -> None:
    answers = [interim + OK, interim + GONE, OK]

    def serve(connection: socket.socket) -> None:
        while answers:
            receive_request(connection)
            connection.sendall(answers.pop(0))

    with service(serve) as port:
        client = client_of(f"http://127.0.0.1:{port}/x")
        assert [send(client).status for _ in range(3)] == [200, 410, 200]
        client.close()


TOO_LARGE = {
    "many headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    "a long header": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
    "many long headers": b"HTTP/1.1 200 OK\r\n" + (b"X: " + b"y" * 60_000 + b"\r\n") * 50,
    "an interim one": b"HTTP/1.1 103 Early Hints\r\n" + b"X: y\r\n" * 200 + b"\r\n" + OK,
}


@pytest.mark.usefixtures("asked_again_soon")
@pytest.mark.parametrize("head", TOO_LARGE.values(), ids=TOO_LARGE)
def test_a_head_that_is_too_large_is_a_refusal_for_good_and_named_so(
    head: bytes, ping_receiver: PingReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    ping_receiver.always(Fault(raw=head))
    outcomes: list[Outcome] = []
    sink = HealthSink(ping_receiver.url, on_outcome=outcomes.append)
    logger.add(sink)
    logger.info("sync.done")
    assert sink.wait(10)
    assert [(each.delivered, each.attempts) for each in outcomes] == [(False, 2)]
    assert outcomes[0].error == "the head of the answer is too large"
    assert "the head of the answer is too large" in capsys.readouterr().err


# Names and addresses.


def test_a_family_of_addresses_that_the_system_does_not_allow_is_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = socket.getaddrinfo

    def look_up(name: bytes, port: int, **options: int) -> object:
        found = real(name, port, **options)
        return [(9999, *found[0][1:]), *found]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with service(answer_ok) as port:
        assert attempt(f"http://127.0.0.1:{port}/x", body=b"the end").delivered


def test_what_comes_after_the_connection_has_all_the_time_that_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with service(answer_ok) as port:
        found = socket.getaddrinfo("127.0.0.1", port, type=socket.SOCK_STREAM)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found * 2)
        deadline = Deadline()
        deadline.begin(1000)
        connection = pool_classes(deadline, Resolver())["http"]("h.example", port)._get_conn()
        connected = connection._new_conn()
        assert 900 < (connected.gettimeout() or 0) <= 1000
        assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        connection.close()
        connected.close()


@pytest.mark.parametrize(
    ("families", "error"),
    [([], "OSError: the name has no address"), ([socket.AF_INET, 9999], "connection refused")],
)
def test_the_first_address_that_fails_says_why_and_none_says_so(
    families: list[int], error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = ("127.0.0.1", unused_port())
    found = [(family, socket.SOCK_STREAM, 6, "", refused) for family in families]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    assert attempt("http://h.example/x").error == error


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
    real = socket.getaddrinfo
    looked_up: list[bytes] = []
    requests: list[bytes] = []

    def look_up(name: bytes, port: int, **options: int) -> object:
        if options.get("flags", 0) & socket.AI_NUMERICHOST:
            return real(name, port, **options)
        looked_up.append(name)
        return real("127.0.0.1", port, **options)

    def serve(connection: socket.socket) -> None:
        requests.append(receive_request(connection))
        connection.sendall(OK)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with service(serve) as port:
        assert attempt(f"http://{host}:{port}/x", body=b"the end").delivered
    assert looked_up == [host.encode()]
    assert f"\r\nHost: h.example:{port}\r\n".encode() in requests[0]
    assert requests[0].count(b"Host:") == 1


@pytest.mark.skipif(not address_is_there("::1"), reason="needs IPv6")
def test_an_ipv6_address_is_connected_to_and_named_in_brackets() -> None:
    requests: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        requests.append(receive_request(connection))
        connection.sendall(OK)

    with service(serve, host="::1") as port:
        assert attempt(f"http://[::1]:{port}/x", body=b"the end").delivered
    assert f"\r\nHost: [::1]:{port}\r\n".encode() in requests[0]


def test_a_ping_url_without_a_path_is_pinged_at_the_root() -> None:
    requests: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        requests.append(receive_request(connection))
        connection.sendall(OK)

    with service(serve) as port:
        assert attempt(f"http://127.0.0.1:{port}?create=1", body=b"the end").delivered
    assert requests[0].startswith(f"POST /?create=1&rid={RUN_ID} HTTP/1.1\r\n".encode())


@pytest.mark.parametrize("host", ["0", "127.0.0.1"])
def test_the_port_is_the_url_s_whatever_the_host(host: str) -> None:
    with service(answer_ok) as port:
        assert attempt(f"http://{host}:{port}/x", body=b"the end").delivered


# Leaving.


@pytest.mark.parametrize("begun_before", [False, True])
def test_a_service_that_swallows_the_first_attempt_gets_the_last_ping_on_a_new_connection(
    begun_before: bool,
) -> None:
    swallowed, arrived = threading.Event(), threading.Event()

    def serve(connection: socket.socket) -> None:
        connection.recv(65_536)
        if swallowed.is_set():
            arrived.set()
            connection.sendall(OK)
        else:
            swallowed.set()
            while connection.recv(65_536):  # until it is given up
                pass

    with service(serve) as port:
        sink = HealthSink(f"http://127.0.0.1:{port}/x", drain=4.0, timeout=10.0)
        logger.add(sink)
        logger.info("sync.done")
        if begun_before:
            assert swallowed.wait(20)
        logger.remove()
        assert sink.stats == loghc.Stats(delivered=1, failed=0, pending=0)
        assert arrived.is_set()


def test_a_client_that_was_cancelled_makes_no_request(ping_receiver: PingReceiver) -> None:
    client = client_of(ping_receiver.url)
    client.cancel()
    assert not send(client).delivered
    assert ping_receiver.requests == ()


def cut_late(client: PingClient) -> None:
    client.deadline.end_at(time.monotonic())
    client.deadline.cut_if_over()


@pytest.mark.parametrize("cut_off", [PingClient.cancel, cut_late])
@pytest.mark.parametrize("kept", [False, True])
def test_a_request_in_progress_is_cut_off_also_on_a_connection_that_was_kept(
    kept: bool, cut_off: Callable[[PingClient], object], ping_receiver: PingReceiver
) -> None:
    client = client_of(ping_receiver.url, timeout=60)
    if kept:
        assert client.send(numbered(0), Body(log=b"0"), 60).delivered
    ping_receiver.always(Fault(delay=math.inf))
    attempts: list[Attempt] = []
    sending = threading.Thread(
        target=lambda: attempts.append(client.send(numbered(1), Body(log=b"1"), 60))
    )
    sending.start()
    wait_until(lambda: len(ping_receiver.requests) == 1 + kept)
    cut_off(client)
    sending.join(20)
    assert not sending.is_alive()
    assert [each.delivered for each in attempts] == [False]
    client.close()


# What can't be imported at the moment.


NO_DESCRIPTOR = """
import os, resource
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
taken = os.open(os.devnull, os.O_RDONLY)  # the lowest that is free
os.close(taken)

def begin():
    resource.setrlimit(resource.RLIMIT_NOFILE, (taken, most))

def end():
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
"""
BLOCKED_IMPORT = """
import sys

class Blocked:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.startswith("urllib3"):
            raise PermissionError(13, "Permission denied", name)

def begin():
    sys.meta_path.insert(0, Blocked)

def end():
    sys.meta_path.remove(Blocked)
"""


@pytest.mark.parametrize("trouble", [NO_DESCRIPTOR, BLOCKED_IMPORT], ids=["EMFILE", "EACCES"])
def test_what_cannot_be_imported_at_the_moment_is_a_passing_fault(
    trouble: str, ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    pytest.importorskip("resource")
    result = run_script(
        trouble
        + """
import sys, time
from loguru import logger
from loghc import HealthSink

outcomes = []
sink = HealthSink(sys.argv[1], on_outcome=outcomes.append)
logger.add(sink)
begin()
logger.info("sync.done")
assert not sink.wait(2.5)
assert "urllib3" not in sys.modules
end()
assert sink.wait(20)
print(sink.stats.delivered, outcomes[0].attempts > 1)
""",
        ping_receiver.url,
    )
    assert result.stdout == "1 True\n", result.stderr
    assert "can't be imported" in result.stderr
    assert "delivered again" in result.stderr
    assert "please report" not in result.stderr
    assert len(result.stderr.splitlines()) == 3  # with loguru's own line
    assert [ping.event for ping in ping_receiver.pings] == [Event.SUCCESS]


# TLS.


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """A certificate authority that is trusted."""
    authority = trustme.CA()
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    return authority


@pytest.fixture
def tls(authority: trustme.CA) -> ssl.SSLContext:
    """A server's context, for a certificate that is trusted."""
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
        begun = time.monotonic()
        result = attempt(f"https://localhost:{port}/x", timeout=2.0, body=b"x" * 20_000_000)
        taken = time.monotonic() - begun
        over.set()
    assert result.error == "timed out after 2.0 s"
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
    assert [each.delivered for each in attempts] == [False]


# What a distribution may set for all programs.
LAX_OPENSSL = """
openssl_conf = conf
[conf]
ssl_conf = ssl
[ssl]
system_default = lax
[lax]
MinProtocol = TLSv1
CipherString = DEFAULT:@SECLEVEL=0
"""
OLD_TLS = """
import socket, ssl, sys
from urllib.parse import urlsplit
url = urlsplit(sys.argv[1])
lax = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
lax.minimum_version = ssl.TLSVersion.TLSv1
lax.set_ciphers("ALL:@SECLEVEL=0")
lax.load_default_certs()
try:
    with socket.create_connection((url.hostname, url.port)) as sock:
        with lax.wrap_socket(sock, server_hostname=url.hostname) as wrapped:
            print(wrapped.version())
except ssl.SSLError as error:
    print(error)

import urllib3  # else a busy machine may spend the drain on that
from loguru import logger
from loghc import HealthSink
sink = HealthSink(sys.argv[1], drain=1.0)
logger.remove()
logger.add(sink)
logger.info("sync.done")
logger.remove()
print(sink.stats.delivered)
"""


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize("python", [sys.executable, "/usr/bin/python3"])
def test_no_tls_older_than_1_2_is_spoken_also_where_the_system_allows_it(
    python: str, tls: ssl.SSLContext, tmp_path: Path
) -> None:
    tls.minimum_version, tls.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    tls.set_ciphers("ALL:@SECLEVEL=0")
    (tmp_path / "openssl.cnf").write_text(LAX_OPENSSL)
    homes = {Path(module.__file__).parents[1] for module in (loghc, loguru, urllib3)}
    lax = {
        "OPENSSL_CONF": str(tmp_path / "openssl.cnf"),
        "PYTHONPATH": os.pathsep.join(map(str, homes)),
    }
    with PingReceiver(ssl_context=tls) as receiver:
        done = run_python(python, OLD_TLS, receiver.url, env=lax)
        assert receiver.requests == ()
    spoken, delivered = done.stdout.splitlines()
    if spoken != "TLSv1.1":
        pytest.skip(f"this OpenSSL speaks no TLS 1.1: {spoken}")
    assert delivered == "0"
    assert "the service doesn't support TLS 1.2 or newer" in done.stderr


def run_python(
    python: str, source: str, *args: str, env: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a script with an interpreter that has what loghc needs, or skip the test."""
    environment = {**os.environ, **env}
    if python != sys.executable:
        check = [python, "-c", "import sys, loghc, loguru, urllib3"]
        try:
            subprocess.run(check, env=environment, check=True, capture_output=True, timeout=30)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip(f"{python} can't import loghc")
    return subprocess.run(
        [python, "-W", "ignore", "-c", source, *args],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
