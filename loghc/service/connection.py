"""A connection to the service that keeps to one deadline, and can be cut off.

A socket's own timeout counts for each operation: a server that sends a byte now and then keeps a
request going for ever. Here the whole of an attempt, from the first connection to the last byte of
the answer, has one deadline; only the look-up of a host name can't be interrupted.

Pings go over the standard library's HTTP: to import it takes less than a third of the time that
importing urllib3 takes, and a short job pays for that with each of its runs.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import os
import select
import socket
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from loghc.ping import Answer
from loghc.service.deadline import current_deadline, limited
from loghc.service.url import PingUrl

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["ANSWER_LIMIT", "Connection", "Timed", "open_socket"]

ANSWER_LIMIT = 64 * 1024
"""Bytes of an answer's body that are read."""

# Bytes of a whole answer, with its head and interim ones before it: http.client takes a chunk of
# size -1 for one without end.
_LONGEST_ANSWER = 1024 * 1024

# What sending fails with once the other side has closed.
_CLOSED = (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError)


class Connection:
    """A kept-alive connection to a ping URL's host, opened anew when it is not there any more.

    Args:
        url: the ping URL.
    """

    def __init__(self, url: PingUrl) -> None:
        # A dot at a name's end is for its look-up alone, and a zone is for this machine alone.
        name = url.host.rstrip(".").partition("%")[0]
        self._host = url.authority.replace(url.host, name, 1)
        self._origin = url.origin
        self._http = _TLS(url, name) if url.scheme == "https" else _Plain(url)

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Make one request, within the deadline that the calling thread works to.

        Args:
            url: of the host that the connection is for.
            body: what to send.
            headers: the request's, but for those that any request has.

        Raises:
            OSError, http.client.HTTPException: there was no answer, or none that is HTTP.
        """
        path = url.removeprefix(self._origin)
        response, sent = None, False
        try:
            if self._http.sock is not None and _is_spent(self._http.sock):
                self.close()
            if self._http.sock is None:
                self._http.connect()
            with contextlib.suppress(*_CLOSED):  # it may have answered before it closed
                self._http.request(
                    "POST",
                    path if path.startswith("/") else f"/{path}",
                    body,
                    {"Host": self._host, **headers},
                )
                sent = True
            response = self._http.getresponse()
            start = response.read(ANSWER_LIMIT)
        except BaseException as error:
            if response is not None:
                response.close()
            self.close()
            if isinstance(error, ValueError) and sent:  # http.client's, such as for a chunk's size
                raise http.client.HTTPException(str(error)) from error
            raise
        # An interim answer is followed by the real one, which is not for the next request.
        if not sent or not response.isclosed() or response.status < 200:
            response.close()
            self.close()
        return Answer.of(response.status, response.headers.items(), start)

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        self._http.close()

    def forget(self) -> None:
        """Let go of it in a forked child; the parent's stays open.

        Not by closing it: a lock in there may be held by a thread that the child does not have.
        """
        sock = self._http.sock
        if sock is not None:
            with contextlib.suppress(OSError):
                os.close(sock.detach())


def open_socket(host: str, port: int) -> socket.socket:
    """Connect to a host's addresses in turn, with a fair share of the time for each.

    Raises:
        OSError: the name doesn't resolve, or no address can be reached: why the first couldn't,
            which is the best of them.
    """
    # As bytes: the codec for names of other scripts, of which PingUrl leaves none, isn't needed.
    found = socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM)
    failure: OSError | None = None
    for position, (family, kind, protocol, _, address) in enumerate(found):
        share = current_deadline().left() / (len(found) - position)
        sock = None
        try:
            sock = socket.socket(family, kind, protocol)  # the system may allow no IPv6
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(share)
            sock.connect(address)
            current_deadline().watch(sock)
            sock.settimeout(current_deadline().left())
        except OSError as error:  # a deadline that passed, too
            if sock is not None:
                sock.close()
            failure = failure or error
        else:
            return sock
    raise failure or OSError("the name has no address")


def _is_spent(sock: socket.socket) -> bool:
    """Whether the other side closed a connection, or says what it wasn't asked."""
    if hasattr(select, "poll"):  # which, unlike others, takes any number and no descriptor
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([sock], [], [], 0)[0])


class _TimedReader(io.RawIOBase):
    """Reads an answer from a socket: never longer than the attempt may take, nor without end."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._left = _LONGEST_ANSWER

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        if self._left <= 0:
            raise http.client.HTTPException("the answer has no end")
        with limited(self._sock):
            count = self._raw.readinto(buffer)
        self._left -= count or 0
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedSocket:
    """As much of a socket as http.client's response needs."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimedReader(self._sock))


class _TimedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(_TimedSocket(sock), *args, **kwargs)  # type: ignore[arg-type]


class Timed(http.client.HTTPConnection):
    """Sends and receives within the deadline that the calling thread works to."""

    response_class = _TimedResponse
    debuglevel = 0  # whatever the app sets for http.client: it prints the requests, secrets and all

    def send(self, data: Any) -> None:
        """Send bytes, connecting first where need be."""
        if self.sock is None:
            if not self.auto_open:
                raise http.client.NotConnected
            self.connect()
        current_deadline().watch(self.sock)
        with limited(self.sock):
            super().send(data)


class _Plain(Timed):
    auto_open = 0  # never in the middle of a request

    def __init__(self, url: PingUrl) -> None:
        super().__init__(url.host, url.port)

    def connect(self) -> None:
        self.sock = open_socket(self.host, self.port)


class _TLS(_Plain):
    def __init__(self, url: PingUrl, name: str) -> None:
        super().__init__(url)
        import encodings.idna  # noqa: F401 - ssl asks for that codec: here, not in mid-request

        self._name = name
        self._context = ssl.create_default_context()
        self._context.set_alpn_protocols(["http/1.1"])
        self._context.hostname_checks_common_name = False  # as browsers and urllib3 do

    def connect(self) -> None:
        super().connect()
        self.sock = self._context.wrap_socket(
            self.sock, server_hostname=self._name, do_handshake_on_connect=False
        )
        current_deadline().watch(self.sock)
        with limited(self.sock):
            self.sock.do_handshake()
