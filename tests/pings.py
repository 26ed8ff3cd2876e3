"""What tests of the way to the service share: pings, clients, deliveries, and a bare service."""

from __future__ import annotations

import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import urllib3

from loghc import Event, Outcome
from loghc.delivery import Delivery
from loghc.delivery.report import Report
from loghc.delivery.retry import Backoff
from loghc.log.masking import Masker
from loghc.ping import Attempt, Ping
from loghc.service.client import PingClient
from loghc.service.url import PingUrl
from loghc.testing import PingReceiver

RUN = "5e1f5e1f-0000-4000-8000-222222222222"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"


def wait_until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Return as soon as the condition holds; fail when it does not within that time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def client_of(
    url: str, timeout: float = 20.0, http: urllib3.PoolManager | None = None
) -> PingClient:
    parsed = PingUrl.parse(url)
    return PingClient(parsed, Masker(parsed).text, timeout, {}, http, "0")


def send(client: PingClient, body: bytes = b"the end", seconds: float = 20.0) -> Attempt:
    """Make one attempt for the success of a run."""
    return client.send(Ping(Event.SUCCESS, RUN, bytes), body, seconds)


def attempt(
    url: str, timeout: float = 20.0, body: bytes = b"a log", http: urllib3.PoolManager | None = None
) -> Attempt:
    """Make one attempt with a client that is used for nothing else."""
    client = client_of(url, timeout, http)
    try:
        return send(client, body, timeout)
    finally:
        client.close()


def delivery_to(
    url: str,
    on_outcome: Callable[[Outcome], object] | None = None,
    backoff: Backoff | None = None,
    timeout: float = 5.0,
) -> Delivery:
    return Delivery(client_of(url, timeout), Report("the receiver"), on_outcome, backoff)


def ping(event: Event, run_id: str | None = None, text: str = "") -> Ping:
    return Ping(event, run_id or str(uuid.uuid4()), text.encode)


def numbered(number: int) -> Ping:
    """A ping that changes nothing at the service, with a number as its log."""
    return ping(Event.LOG, text=str(number))


def numbers(receiver: PingReceiver) -> list[int]:
    """The numbers of the numbered pings that arrived."""
    return [int(ping.body) for ping in receiver.pings]


@contextmanager
def service(serve: Callable[[socket.socket], None], host: str = "127.0.0.1") -> Iterator[int]:
    """A service that handles each connection on a thread of its own; gives its port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:

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
    """A request whose body ends with ``the end``."""
    data = b""
    while not data.rstrip().endswith(b"the end"):
        more = connection.recv(65_536)
        if not more:
            raise OSError("closed")
        data += more
    return data


def answer_ok(connection: socket.socket) -> None:
    receive_request(connection)
    connection.sendall(OK)


def unused_port() -> int:
    """A port that refuses connections."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
