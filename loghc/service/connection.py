"""urllib3's connections, with one deadline for a whole request.

urllib3 limits each socket operation separately. This extends its classes with what it lacks: one
deadline from the name's look-up to the last byte of the answer, a way for another thread to cut a
request off, and a limit on what is read.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import io
import os
import queue
import select
import socket
import ssl
from typing import TYPE_CHECKING, Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from loghc import native
from loghc.deadline import Deadline
from loghc.service.happy_eyeballs import connect_to_first
from loghc.service.lookup import Resolver

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["pool_classes"]

# Bytes of a whole answer, including its head, interim answers before it, and chunk sizes.
_ANSWER_LIMIT_BYTES = 1024 * 1024


def pool_classes(deadline: Deadline, resolver: Resolver) -> dict[str, Any]:
    """The pool classes for a pool manager, by scheme. Their connections respect a deadline."""
    given: dict[str, Any] = {"deadline": deadline, "resolver": resolver}
    return {
        "http": functools.partial(_HTTPPool, **given),
        "https": functools.partial(_HTTPSPool, **given),
    }


class _EndlessError(http.client.HTTPException):
    pass


class _Reader(io.RawIOBase):
    """Reads an answer from a socket, within the deadline and a size limit."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._deadline = deadline
        self._left = _ANSWER_LIMIT_BYTES

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
    """The part of a socket that http.client's response needs."""

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
        """The status of the real answer. Of interim answers, http.client skips only 100."""
        try:
            while True:
                version, status, reason = super()._read_status()  # type: ignore[misc]
                if status >= 200:
                    return version, status, reason
                http.client.parse_headers(self.fp)
        except _EndlessError:
            raise http.client.HTTPException("only interim answers came") from None


class _Bounded(HTTPConnection):
    """A connection that respects a deadline.

    Args:
        deadline: passed by the pool, along with urllib3's own options.
        resolver: passed likewise.
    """

    debuglevel = 0  # even if the app sets it for http.client: it prints requests with their secrets

    def __init__(self, *args: Any, deadline: Deadline, resolver: Resolver, **options: Any) -> None:
        super().__init__(*args, **options)
        self._resolver = resolver
        self._deadline = deadline
        self._second: socket.socket | None = None  # descriptor of the same connection
        self.response_class = functools.partial(_Response, deadline)  # type: ignore[assignment]

    @property
    def is_connected(self) -> bool:
        """Whether the other side has neither closed the connection nor sent anything unasked."""
        if self.sock is None or native.poll is None:
            return super().is_connected
        # Not as urllib3 does it, which under gevent makes an event loop for this thread.
        poll = native.poll()
        poll.register(self.sock.fileno(), select.POLLIN)
        return not poll.poll(0)

    def _new_conn(self) -> socket.socket:
        """Connect to the first of the name's addresses that answers."""
        # With the dot at the name's end, if it has one: that is for the look-up alone.
        host, port = self._dns_host, self.port
        found = self._resolver.addresses(host, port, self._deadline)
        sock, address = connect_to_first(found, self.socket_options or (), self._deadline)
        try:
            self._watch(sock)
            sock.settimeout(self._deadline.left())  # for a TLS handshake, as a whole
        except BaseException:
            sock.close()
            raise
        self._resolver.remember(host, port, address)
        return sock

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        try:
            with self._deadline.bounds(self.sock):
                super().send(data)
        except (ConnectionResetError, ssl.SSLEOFError) as error:
            # After this error alone do all versions of urllib3 look for an answer that came early.
            raise BrokenPipeError from error

    def close(self) -> None:
        # The app may have closed all descriptors. urllib3 closes what is idle at the exit, where an
        # exception would be printed.
        with contextlib.suppress(OSError):
            self._watch(None)
        with contextlib.suppress(OSError):
            super().close()

    def _watch(self, sock: socket.socket | None) -> None:
        # TLS takes over the socket's descriptor, and a proxy's TLS wraps another around it. A
        # duplicate descriptor reaches the connection whatever is on top.
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


class _Idle:
    """The idle connections of a pool that one thread uses. A forked child finds it empty.

    At each process's exit, urllib3 closes the connections in a pool's queue. In a child, a thread
    that isn't there may hold a lock of ``queue.LifoQueue``, or of a connection's deadline.
    """

    def __init__(self, maxsize: int) -> None:
        self._maxsize = maxsize
        self._items: list[object] = []
        self._pid = os.getpid()

    def put(self, item: object, **_: object) -> None:
        if len(self._items) >= self._maxsize:
            raise queue.Full
        self._items.append(item)

    def get(self, **_: object) -> object:
        if not self._items or self._pid != os.getpid():
            raise queue.Empty
        return self._items.pop()

    def qsize(self) -> int:
        return len(self._items)


class _HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Bounded
    QueueCls = _Idle  # type: ignore[assignment]


class _HTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _BoundedTLS
    QueueCls = _Idle  # type: ignore[assignment]
