"""Services of the tests' own: sockets that answer as a test wants, and TLS servers."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
import trustme

from waiting import wait_until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"


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
    """A port that refuses connections: held, so that nobody else begins to listen there."""
    holder = socket.socket()
    holder.bind(("127.0.0.1", 0))
    _held.append(holder)
    return int(holder.getsockname()[1])


_held: list[socket.socket] = []


@contextmanager
def blackholes(number: int) -> Iterator[list[tuple[str, int]]]:
    """Addresses that answer nothing: the system drops what comes to a listener that is full."""
    with ExitStack() as stack:
        addresses = []
        for last in range(number):
            listening = stack.enter_context(socket.socket())
            try:
                listening.bind((f"127.0.0.{last + 2}", 0))
            except OSError:
                pytest.skip("needs all of 127.0.0.0/8")
            listening.listen(0)
            addresses.append(listening.getsockname())
            for _ in range(3):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(addresses[-1])
        yield addresses


def free_port() -> int:
    """A port for a server to listen on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def server_context(authority: trustme.CA, *names: str, **options: object) -> ssl.SSLContext:
    """A TLS server's context, with a certificate for some names; default: localhost."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = authority.issue_cert(*(names or ("localhost",)), **options)  # type: ignore[arg-type]
    certificate.configure_cert(context)
    return context


@contextmanager
def running_proxy(directory: Path, *options: str) -> Iterator[int]:
    """A forwarding proxy in a process of its own; gives its port.

    Args:
        directory: where it keeps its files.
        *options: more of proxy.py's.
    """
    port_file = directory / "port"
    arguments = ["--hostname", "127.0.0.1", "--port", "0", "--port-file", str(port_file)]
    arguments += ["--num-workers", "1", "--num-acceptors", "1", "--log-level", "ERROR"]
    arguments += ["--data-dir", str(directory), *options]
    with subprocess.Popen(
        [sys.executable, "-m", "proxy", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:

        def listens() -> bool:
            assert process.poll() is None, "the proxy ended"
            return port_file.exists() and bool(port_file.read_text().strip())

        try:
            wait_until(listens, 30)
            yield int(port_file.read_text())
        finally:
            process.terminate()
