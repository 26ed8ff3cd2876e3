"""Requests over urllib3, with one deadline for the whole of each.

urllib3 bounds each operation of a socket by itself. What it lacks stands here, as extensions of its
own connection classes: one deadline from the look-up of the name to the last byte of the answer, a
cut-off from another thread, and a bound on what is read.

Importing this module imports urllib3.
"""

from __future__ import annotations

import contextlib
import encodings.idna  # noqa: F401 - the codec for host names: imported here, not in mid-request
import functools
import http.client
import io
import logging
import os
import socket
import ssl
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.ssl_ import create_urllib3_context

from loghc.ping import Answer
from loghc.service.deadline import Deadline
from loghc.service.lookup import addresses
from loghc.service.proxies import Proxy

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["ANSWER_LIMIT", "Transport", "system_trust"]

ANSWER_LIMIT = 64 * 1024
"""Bytes of an answer's body that are read."""

# Bytes of a whole answer, with its head, interim ones before it, and the sizes of chunks.
_LONGEST_ANSWER = 1024 * 1024


def system_trust() -> ssl.SSLContext:
    """TLS 1.2 or newer, with the certificates that the system trusts (or ``SSL_CERT_FILE``).

    ``ssl.create_default_context()`` has no floor of its own on some builds of Python; urllib3's
    does.
    """
    context = create_urllib3_context()
    context.load_default_certs()
    return context


class Transport:
    """Connections to the service, direct or through a proxy, one request at a time.

    Args:
        deadline: bounds each request. With a manager of the caller's own, it is given to urllib3
            as the timeout for connecting and reading, and can't cut a request off.
        context: what TLS connections verify certificates with.
        proxy: the proxy to go through.
        manager: the caller's own pool manager, used as it is.
    """

    def __init__(
        self,
        deadline: Deadline,
        context: ssl.SSLContext | None = None,
        proxy: Proxy | None = None,
        manager: urllib3.PoolManager | None = None,
    ) -> None:
        self._deadline = deadline
        self._own = manager is None
        if manager is None:
            # TCP_NODELAY, also to a proxy: the end of a request must not wait for an answer.
            options: dict[str, Any] = {
                "maxsize": 1,
                "ssl_context": context,
                "socket_options": HTTPConnection.default_socket_options,
            }
            if proxy is None:
                manager = urllib3.PoolManager(**options)
            else:
                manager = urllib3.ProxyManager(proxy.url, proxy_headers=proxy.headers, **options)
            manager.pool_classes_by_scheme = {
                "http": functools.partial(_HTTPPool, deadline=deadline),  # type: ignore[dict-item]
                "https": functools.partial(_HTTPSPool, deadline=deadline),  # type: ignore[dict-item]
            }
        self._manager = manager

    def post(self, url: str, body: bytes, headers: Mapping[str, str], seconds: float) -> Answer:
        """Make one request.

        Args:
            url: where to.
            body: what to send.
            headers: the request's. A manager's own don't count beside these.
            seconds: for all of it.

        Raises:
            urllib3.exceptions.HTTPError, OSError: there was no answer, or none that is HTTP.
        """
        self._deadline.begin(seconds)
        with _quiet():
            response = self._manager.request(
                "POST",
                url,
                body=body,
                headers=headers,
                timeout=urllib3.Timeout(total=self._deadline.left()),
                retries=False,
                redirect=False,
                preload_content=False,
            )
            whole = False
            try:
                start = response.read(ANSWER_LIMIT, decode_content=False)
                whole = len(start) < ANSWER_LIMIT
            except ValueError as error:  # http.client's, for a chunk's size below zero
                raise http.client.HTTPException(str(error)) from error
            finally:
                # What is left unread must not be taken for the next answer.
                response.release_conn() if whole else response.close()
        return Answer.of(response.status, response.headers.items(), start)

    def open(self, url: str, seconds: float) -> None:
        """Open a connection and close it again, with no request sent to the service.

        Args:
            url: where to.
            seconds: for all of it.

        Raises:
            urllib3.exceptions.HTTPError, OSError: it could not be opened.
        """
        self._deadline.begin(seconds)
        with _quiet():
            pool = self._manager.connection_from_url(url)
            connection = pool._get_conn()
            try:
                if pool.proxy is not None and url.startswith("https:"):
                    pool._prepare_proxy(connection)
                else:
                    connection.connect()
            finally:
                connection.close()

    def close(self) -> None:
        """Close the connections, unless they are the caller's; the next request opens others."""
        self._deadline.cut_by(None)
        if self._own:
            self._manager.clear()


class _EndlessError(http.client.HTTPException):
    pass


class _Reader(io.RawIOBase):
    """Reads an answer from a socket, within the deadline and not without end."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._deadline = deadline
        self._left = _LONGEST_ANSWER

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        if self._left <= 0:
            raise _EndlessError("the answer has no end")
        with self._deadline.bounds(self._sock):
            count = self._raw.readinto(buffer)
        self._left -= count or 0
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Readable:
    """As much of a socket as http.client's response needs."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._sock, self._deadline))


class _Response(http.client.HTTPResponse):
    def __init__(self, deadline: Deadline, sock: socket.socket, **options: Any) -> None:
        super().__init__(_Readable(sock, deadline), **options)  # type: ignore[arg-type]

    def begin(self) -> None:
        try:
            super().begin()
        except _EndlessError:
            raise http.client.LineTooLong("head") from None

    def _read_status(self) -> tuple[str, int, str]:
        """The status of the real answer. http.client passes over no interim one but 100."""
        try:
            while True:
                version, status, reason = super()._read_status()  # type: ignore[misc]
                if not 100 <= status < 200:
                    return version, status, reason
                http.client.parse_headers(self.fp)
        except _EndlessError:
            raise http.client.HTTPException("no answer but interim ones") from None


class _Bounded(HTTPConnection):
    """A connection that keeps to a deadline.

    Args:
        deadline: given by the pool, with urllib3's own options.
    """

    debuglevel = 0  # whatever the app sets for http.client: it prints the requests, secrets and all

    def __init__(self, *args: Any, deadline: Deadline, **options: Any) -> None:
        super().__init__(*args, **options)
        self._deadline = deadline
        self._second: socket.socket | None = None  # descriptor of the same connection
        self.response_class = functools.partial(_Response, deadline)  # type: ignore[assignment]

    def _new_conn(self) -> socket.socket:
        """Connect to the name's addresses in turn, with a fair share of the time for each."""
        # The name with a dot at its end, where it has one: that is for the look-up alone.
        found = addresses(self._dns_host, self.port, self._deadline)
        failure: OSError | None = None
        for position, (family, kind, protocol, _, address) in enumerate(found):
            sock = None
            try:
                sock = socket.socket(family, kind, protocol)  # the system may allow no IPv6
                for option in self.socket_options or ():
                    sock.setsockopt(*option)
                sock.settimeout(self._deadline.left() / (len(found) - position))
                self._watch(sock)
                sock.connect(address)
                sock.settimeout(self._deadline.left())  # for a TLS handshake, as a whole
            except OSError as error:  # a deadline that passed, too
                if sock is not None:
                    sock.close()
                failure = failure or error
            else:
                return sock
        raise failure or OSError("the name has no address")

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        try:
            with self._deadline.bounds(self.sock):
                super().send(data)
        except (ConnectionResetError, ssl.SSLEOFError) as error:
            # All versions of urllib3 look for an answer that came first after this one alone.
            raise BrokenPipeError(error.errno, "closed by the other side") from error

    def close(self) -> None:
        self._watch(None)
        super().close()

    def _watch(self, sock: socket.socket | None) -> None:
        # TLS takes the socket's descriptor over, and a proxy's TLS wraps another around that: a
        # descriptor of its own reaches the connection whatever stands on top.
        old, second = self._second, None if sock is None else sock.dup()
        self._second = second
        try:
            self._deadline.cut_by(None if second is None else functools.partial(_shut_down, second))
        finally:
            if old is not None:
                old.close()


def _shut_down(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


class _BoundedTLS(_Bounded, HTTPSConnection):
    pass


class _HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Bounded


class _HTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _BoundedTLS


# urllib3's debug lines name the ping URL, and a record that it logs may come back, through a
# handler that feeds loguru, to the sink that waits for this very thread.
_requesting: set[int] = set()  # the threads that make a request of loghc's now


class _OnlyOthers(logging.Filter):
    """Passes what urllib3 logs of requests that are not loghc's."""

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002
        return threading.get_ident() not in _requesting


_only_others = _OnlyOthers()


@contextlib.contextmanager
def _quiet() -> Any:
    """Within this block, urllib3 logs nothing of what the calling thread requests."""
    # A filter counts for its own logger alone, so every logger of urllib3's gets it. Each time: a
    # module that urllib3 imports late brings a logger of its own.
    logging.getLogger("py.warnings").addFilter(_only_others)  # where logging.captureWarnings leads
    for name in list(logging.root.manager.loggerDict):
        if name == "urllib3" or name.startswith("urllib3."):
            logging.getLogger(name).addFilter(_only_others)
    _requesting.add(threading.get_ident())
    try:
        yield
    finally:
        _requesting.discard(threading.get_ident())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_requesting.clear)
