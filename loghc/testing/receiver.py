"""A monitoring service for tests: in this process, on a loopback port, with faults on demand."""

from __future__ import annotations

import re
import ssl
from typing import TYPE_CHECKING

from loghc.testing.faults import Fault
from loghc.testing.protocol import Check, State
from loghc.testing.requests import ReceivedPing, ReceivedRequest
from loghc.testing.server import Server
from loghc.testing.service import Service

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["PingReceiver", "ReceivedCheck"]


class PingReceiver:
    """A Healthchecks server in this process, to test against: real sockets, no account.

    It listens inside a ``with`` statement, or from `start` to `stop`. It has one check with two
    URLs, and more where `check` asks for them. It answers as a real server does: 404 for an
    unknown check, 400 for a malformed run id, 201 for a slug created by ``?create=1``, and so on.
    It keeps what arrived, and misbehaves on demand: see `Fault`. To play a service that is down,
    `stop` it; `start` it, and it is back at the same URL. A check's time limits are not simulated,
    so a run that takes long stays started; nor are its keyword filters, nor a limit on pings a
    minute.

    All methods may be called from any thread.

    Args:
        body_limit: bytes kept of each body, its first ones, and announced in the header
            ``Ping-Body-Limit``, default 100,000; None: all are kept and nothing is announced.
        ssl_context: a server's context with its certificate loaded, for https; the URLs then name
            ``localhost``. None, the default: http.
        host: the address to listen on. The default, ``"127.0.0.1"``, is reached by every program
            on this machine and none elsewhere. Any other address, such as ``"0.0.0.0"``, opens the
            port to everyone who can reach that address: nobody is asked for a password, and
            without `ssl_context` the pings and the logs in them cross the network unencrypted.
            Over the network, nothing that was received can be read.
        history_limit: bytes of memory, about, for the requests and pings that are kept, default
            100,000,000. Beyond it the oldest are dropped, and counted in `dropped_requests`.

    Raises:
        ValueError: a limit is out of range.

    Example:
        >>> from loguru import logger
        >>> from loghc import HealthSink
        >>> with PingReceiver() as receiver:
        ...     handler = logger.add(HealthSink(receiver.url), format="{message}")
        ...     logger.info("sync.start")
        ...     logger.info("sync.done, 12 photos")
        ...     start, done = receiver.wait(2)
        ...     logger.remove(handler)
        >>> print(done.text, end="")
        sync.start
        sync.done, 12 photos
        >>> done.event.value, receiver.state
        ('success', 'up')
    """

    def __init__(
        self,
        *,
        body_limit: int | None = 100_000,
        ssl_context: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        history_limit: int = 100_000_000,
    ) -> None:
        if history_limit < 0:
            raise ValueError(f"history_limit must be bytes, 0 or more, not {history_limit!r}")
        self._service = Service(history_limit)
        self._ssl_context = ssl_context
        self._host = host
        self._port = 0
        self._server: Server | None = None
        self.body_limit = body_limit

    def start(self) -> Self:
        """Listen and answer from now on; a receiver that was stopped takes its old port again.

        Returns:
            The receiver.

        Raises:
            RuntimeError: it runs already.
            OSError: the port is not available.
        """
        if self._server is not None:
            raise RuntimeError("the receiver runs already")
        address = (self._host, self._port)
        self._server = Server(address, self._service, self._ssl_context)
        self._port = self._server.server_address[1]
        return self

    def stop(self) -> None:
        """Close all connections, answered or not, and stop listening; no-op if it doesn't run."""
        server, self._server = self._server, None
        if server is not None:
            server.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def base_url(self) -> str:
        """Scheme, host and port, with no slash at the end.

        Raises:
            RuntimeError: it was never started.
        """
        if not self._port:
            raise RuntimeError("the receiver has no URL before it is started")
        if self._ssl_context is not None:
            return f"https://localhost:{self._port}"
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    @property
    def url(self) -> str:
        """The check's ping URL, in its UUID form."""
        return f"{self.base_url}/{self._service.checks.check.uuid}"

    @property
    def slug_url(self) -> str:
        """The same check's ping URL, in its slug form."""
        return f"{self.base_url}/{self.ping_key}/{self._service.checks.check.slug}"

    @property
    def ping_key(self) -> str:
        """The key in `slug_url`; a slug that ``?create=1`` is to create needs it."""
        return self._service.checks.ping_key

    @property
    def body_limit(self) -> int | None:
        """Bytes kept of a body; None: all. May be set at any time, for the requests after that."""
        return self._service.body_limit

    @body_limit.setter
    def body_limit(self, limit: int | None) -> None:
        if limit is not None and limit < 0:
            raise ValueError(f"body_limit must be bytes, 0 or more, or None, not {limit!r}")
        self._service.body_limit = limit

    @property
    def pings(self) -> tuple[ReceivedPing, ...]:
        """The pings that the service accepted, in order of arrival."""
        return self._service.pings

    @property
    def requests(self) -> tuple[ReceivedRequest, ...]:
        """All requests, accepted or not, in order of arrival: one for each attempt."""
        return self._service.requests

    @property
    def dropped_requests(self) -> int:
        """How many of the oldest requests, pings among them, gave way to `history_limit`."""
        return self._service.dropped_requests

    @property
    def state(self) -> State:
        """The state of the check as the service would show it."""
        with self._service.changed:
            return self._service.checks.check.state

    def wait(self, count: int, timeout: float = 5.0) -> tuple[ReceivedPing, ...]:
        """Wait until pings have arrived.

        Args:
            count: how many, at least, since the receiver was made or cleared.
            timeout: seconds to wait at most.

        Returns:
            All pings that have arrived, and are kept.

        Raises:
            AssertionError: too few arrived in time; the message lists them, and the requests that
                were not accepted.
        """
        return self._service.wait(count, timeout)

    def clear(self) -> None:
        """Forget the requests and pings so far; checks, their states and scripted faults stay."""
        self._service.clear()

    def script(self, *faults: Fault | int | None) -> None:
        """Make the next requests go wrong, one fault for each, after those scripted before.

        Args:
            *faults: in order; an int is short for ``Fault(status=int)``, None is a normal answer.

        Raises:
            TypeError: one is neither a Fault, an int nor None.
        """
        with self._service.changed:
            self._service.faults.extend(faults)

    def always(self, fault: Fault | int | None) -> None:
        """Make every request go wrong for which nothing is scripted, until this is called again.

        Args:
            fault: an int is short for ``Fault(status=int)``; None: normal answers again.

        Raises:
            TypeError: it is neither a Fault, an int nor None.
        """
        with self._service.changed:
            self._service.faults.set_always(fault)

    def check(self, slug: str) -> ReceivedCheck:
        """One of several checks, made when it is first asked for; it has `url` and `pings`.

        Args:
            slug: of ``a-z 0-9 - _``.

        Raises:
            ValueError: the service knows no such slugs.
        """
        if not re.fullmatch("[a-z0-9_-]+", slug):
            raise ValueError(f"slug must be of a-z 0-9 - _, not {slug!r}")
        with self._service.changed:
            checks = self._service.checks
            return ReceivedCheck(self, checks.by_slug(slug) or checks.create(slug))

    def __repr__(self) -> str:
        where = "stopped" if self._server is None else f"at {self.base_url}"
        with self._service.changed:
            counts = f"{len(self.pings)} pings, {len(self.requests)} requests"
            dropped = f", {self.dropped_requests} dropped" if self.dropped_requests else ""
            return f"<PingReceiver {where}, check {self.state}, {counts}{dropped}>"


class ReceivedCheck:
    """One of a receiver's checks, see `PingReceiver.check`."""

    def __init__(self, receiver: PingReceiver, check: Check) -> None:
        self._receiver = receiver
        self._check = check

    @property
    def url(self) -> str:
        """Its ping URL, in its UUID form."""
        return f"{self._receiver.base_url}/{self._check.uuid}"

    @property
    def slug_url(self) -> str:
        """Its ping URL, in its slug form."""
        return f"{self._receiver.base_url}/{self._receiver.ping_key}/{self._check.slug}"

    @property
    def pings(self) -> tuple[ReceivedPing, ...]:
        """The pings that the service accepted for it, in order of arrival."""
        return tuple(ping for ping in self._receiver.pings if ping.slug == self._check.slug)

    @property
    def state(self) -> State:
        """Its state as the service would show it."""
        return self._check.state

    def __repr__(self) -> str:
        return f"<check {self._check.slug!r}, {self.state}, {len(self.pings)} pings>"
