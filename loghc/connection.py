"""HTTP connections that keep to one deadline, whatever the other side does, and can be cut off.

urllib3 sets a timeout on each operation of a socket: a server that sends a byte now and then keeps
a request going for ever. Here the whole of an attempt, from the first connection to the last byte
of the answer, has one deadline; only the look-up of a host name can't be interrupted.

Importing this module imports urllib3.
"""

from __future__ import annotations

import contextlib
import encodings.idna  # noqa: F401 - the codec for host names: imported here, not in mid-request
import http.client
import io
import logging
import socket
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.connection import allowed_gai_family

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["Deadline", "pool_manager", "working_to"]


class Deadline:
    """The end of one attempt, for the thread that makes it; another thread may bring it forward.

    Args:
        seconds: from now.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._seconds = seconds
        self._lock = threading.RLock()  # a signal handler may cancel
        self._cancelled = False
        self._socket: socket.socket | None = None

    def left(self) -> float:
        """Seconds that are left.

        Raises:
            TimeoutError: none are, or the attempt was cancelled.
        """
        left = self._end - time.monotonic()
        if self._cancelled:
            raise TimeoutError("cancelled")
        if left <= 0:
            raise TimeoutError(f"timed out after {self._seconds:.1f} s")
        return left

    def watch(self, sock: socket.socket) -> None:
        """Remember the socket in use, so that ``cancel`` can cut it off."""
        with self._lock:
            self._socket = getattr(sock, "socket", sock)  # TLS within TLS wraps the real one
        self.left()

    def cancel(self) -> None:
        """End the attempt now, from any thread. Nothing is sent after this returns."""
        with self._lock:
            self._cancelled = True
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    # Not SSLSocket's own shutdown: that drops its encryption first, so that what
                    # the other thread is about to send would leave as plain text.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class _Current(threading.local):
    deadline: Deadline | None = None


_current = _Current()


@contextlib.contextmanager
def working_to(deadline: Deadline) -> Iterator[None]:
    """Within this block, the calling thread's connections keep to the deadline.

    urllib3 is quiet meanwhile: its debug lines name the ping URL, and a record that it logs may
    come back, through a handler that feeds loguru, to the sink that waits for this very thread.
    """
    _hush()
    _current.deadline = deadline
    try:
        yield
    finally:
        _current.deadline = None


def pool_manager(proxy: str | None, **options: Any) -> urllib3.PoolManager:
    """A urllib3 pool manager whose connections keep to the deadline of the thread that uses them.

    Args:
        proxy: URL of the proxy to go through, or None.
        **options: for ``urllib3.PoolManager`` or ``urllib3.ProxyManager``.
    """
    manager = urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)
    manager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
    return manager


def _deadline() -> Deadline:
    deadline = _current.deadline
    if deadline is None:
        raise RuntimeError("used outside of an attempt")
    return deadline


class _TimedReader(io.RawIOBase):
    """Reads from a socket, never longer than the attempt may take."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        self._sock.settimeout(_deadline().left())
        try:
            return self._raw.readinto(buffer)
        except TimeoutError:
            _deadline().left()  # says for how long
            raise

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


class _Timed(HTTPConnection):
    response_class = _TimedResponse
    debuglevel = 0  # whatever the app sets for http.client: it prints the requests, secrets and all

    def _new_conn(self) -> socket.socket:
        """Connect to the host's addresses in turn, a fair share of the time for each."""
        # The name that urllib3 keeps for look-ups: with a trailing dot where one was given.
        found = socket.getaddrinfo(
            self._dns_host, self.port, allowed_gai_family(), socket.SOCK_STREAM
        )
        failure: OSError = OSError("the name has no address")
        for position, (family, kind, protocol, _, address) in enumerate(found):
            share = _deadline().left() / (len(found) - position)
            sock = socket.socket(family, kind, protocol)
            try:
                for option in self.socket_options or ():
                    sock.setsockopt(*option)
                sock.settimeout(share)
                sock.connect(address)
                _deadline().watch(sock)
                sock.settimeout(_deadline().left())
            except OSError as error:  # a deadline that passed, too
                sock.close()
                failure = error
            else:
                return sock
        raise failure

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        _deadline().watch(self.sock)
        self.sock.settimeout(_deadline().left())
        super().send(data)


class _TimedTLS(_Timed, HTTPSConnection):
    pass


class _HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Timed


class _HTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TimedTLS


class _OnlyOthers(logging.Filter):
    """Lets pass what urllib3 logs of requests that are not loghc's."""

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002
        return _current.deadline is None


_only_others = _OnlyOthers()


def _hush() -> None:
    # A filter counts for its own logger alone, so every logger of urllib3's gets it. Each time: a
    # module that urllib3 imports late brings a logger of its own.
    logging.getLogger("py.warnings").addFilter(_only_others)  # where logging.captureWarnings leads
    for name in list(logging.root.manager.loggerDict):
        if name == "urllib3" or name.startswith("urllib3."):
            logging.getLogger(name).addFilter(_only_others)
