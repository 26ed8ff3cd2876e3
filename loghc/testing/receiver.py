"""A monitoring service for tests: in this process, on a loopback port, with faults on demand."""

from __future__ import annotations

import contextlib
import math
import os
import re
import secrets
import socket
import socketserver
import ssl
import struct
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime, timezone
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias
from urllib.parse import parse_qs, unquote

from loghc.ping import Event

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Fault", "Headers", "PingReceiver", "ReceivedPing", "ReceivedRequest"]

Cut: TypeAlias = Literal["request", "body", "before-answer", "answer"]
State: TypeAlias = Literal["new", "started", "up", "down"]

_CUTS: Final = ("request", "body", "before-answer", "answer")

_UUID: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_SUFFIX: Final = "/(?P<suffix>start|fail|log|[0-9]+)"
_ROUTES: Final = (
    re.compile(f"/(?P<uuid>{_UUID})(?:/|{_SUFFIX})?"),
    re.compile(f"/(?P<key>[-a-zA-Z0-9_]+)/(?P<slug>[-a-zA-Z0-9_]+)(?:{_SUFFIX})?"),
)
_RUN_ID: Final = re.compile(_UUID, re.IGNORECASE | re.ASCII)

# The service refuses a longer body (Django's DATA_UPLOAD_MAX_MEMORY_SIZE).
_LONGEST_BODY_TAKEN: Final = 2_621_440
# The receiver doesn't read a longer one to its end: nothing honest sends that.
_LONGEST_BODY_READ: Final = 16 * 2**20


class Headers(Mapping[str, str]):
    """A request's headers; their names match in any case.

    A header that came more than once has its values joined by ``", "``.
    """

    __slots__ = ("_items",)

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        self._items: dict[str, tuple[str, str]] = {}
        for name, value in items:
            _, before = self._items.get(name.lower(), (name, None))
            joined = value if before is None else f"{before}, {value}"
            self._items[name.lower()] = (name, joined)

    def __getitem__(self, name: str) -> str:
        return self._items[name.lower()][1]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._items.values())

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"Headers({dict(self)!r})"


@dataclass(frozen=True, slots=True)
class ReceivedPing:
    """A ping that the service accepted.

    Attributes:
        event: what it told; an exit status of 0 is a success, any other a failure.
        path: the whole path of the request, without the query.
        query: the query string as it was sent, without the question mark.
        run_id: the query's ``rid`` in lower case, None without one.
        exit_status: 0 to 255 where the path ended with it, else None.
        body: the bytes that the service keeps, the first ``body_limit`` of what was sent.
        headers: the request's headers, their names in any case.
        time: when it was received, in UTC.
        method: GET, HEAD, POST or any other: all of them count as pings.
        duration: seconds since the start with the same run id, for a success or a failure that
            has one; else None.
    """

    event: Event
    path: str
    query: str
    run_id: str | None
    exit_status: int | None
    body: bytes
    headers: Headers
    time: datetime
    method: str
    duration: float | None

    @property
    def text(self) -> str:
        """The body as text; what isn't UTF-8 in it becomes U+FFFD."""
        return self.body.decode("utf-8", errors="replace")

    def __str__(self) -> str:
        words = [f"{self.event.value:7}", self.method, self.path, _shown(self.body)]
        if self.run_id is not None:
            words.insert(3, f"rid={self.run_id}")
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request, whatever became of it.

    Attributes:
        method: the HTTP method; empty when what came was not HTTP.
        path: the whole path, without the query; the first line when what came was not HTTP.
        query: the query string as it was sent, without the question mark.
        headers: the request's headers, their names in any case.
        body: what was read of the body: all of it, up to 16 MiB, unless a fault or the client
            ended the connection earlier.
        status: the HTTP status that it is answered with, None where no answer is given.
        accepted: whether it counts as a ping.
        time: when it was received, in UTC.
    """

    method: str
    path: str
    query: str
    headers: Headers
    body: bytes
    status: int | None
    accepted: bool
    time: datetime

    def __str__(self) -> str:
        answer = "no answer" if self.status is None else f"answered {self.status}"
        target = f"{self.path}?{self.query}" if self.query else self.path
        return f"{self.method or 'not HTTP:'} {target} {_shown(self.body)}: {answer}"


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one request. ``Fault()`` is a normal answer.

    Attributes:
        status: answer with this HTTP status in place of the service's own.
        reason: the words beside the status; None: the usual ones.
        headers: more headers for the answer; one that it has already is replaced.
        body: the answer's body; None: the service's own, or the reason where `status` is given.
        delay: seconds before the answer; `math.inf`: it never comes.
        pace: seconds between any two bytes of the answer, its headers included; 0: all at once.
        endless: the answer's body never ends.
        raw: send these bytes in place of an HTTP answer, then close the connection.
        cut: where the connection breaks. ``"request"``: when the request's head has come, its body
            unread. ``"body"``: in the middle of the request's body. ``"before-answer"``: when the
            request was read whole, with nothing answered. ``"answer"``: in the middle of the
            answer's body, or of its head where it has none. None: nowhere.
        reset: whether a cut resets the connection (TCP RST) or closes it in order (FIN).
        counts: whether the service takes the ping all the same; it takes none that it would refuse
            normally, nor one whose body was not read. None: it does if it is the answer's way that
            is troubled (`delay`, `pace`, `endless`, `headers`, a late `cut`), and doesn't if the
            answer is another one (`status`, `body`, `raw`) or never comes.

    Raises:
        ValueError: a number is out of range, or `cut` is none of the above.

    Example:
        >>> busy = Fault(503, headers={"Retry-After": "2"})
        >>> shed = Fault(200, body="OK (rate limited)")
        >>> moved = Fault(302, headers={"Location": "https://elsewhere.example/"})
        >>> slow, hanging = Fault(delay=0.2), Fault(delay=math.inf)
        >>> broken, lost = Fault(cut="body"), Fault(cut="before-answer")
        >>> trickling, gibberish = Fault(pace=0.1), Fault(raw=b"SSH-2.0-OpenSSH_9.6")
    """

    status: int | None = None
    _: KW_ONLY
    reason: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)
    body: bytes | str | None = None
    delay: float = 0.0
    pace: float = 0.0
    endless: bool = False
    raw: bytes | None = None
    cut: Cut | None = None
    reset: bool = True
    counts: bool | None = None

    def __post_init__(self) -> None:
        # Here a slip shows in the test, not on a thread of the server.
        if self.status is not None and not 200 <= self.status <= 999:
            raise ValueError(f"status must be an HTTP status from 200 to 999, not {self.status!r}")
        for name in ("delay", "pace"):
            seconds = getattr(self, name)
            if not seconds >= 0:
                raise ValueError(f"{name} must be seconds, 0 or more, not {seconds!r}")
        if self.cut is not None and self.cut not in _CUTS:
            raise ValueError(f"cut must be one of {', '.join(_CUTS)} or None, not {self.cut!r}")

    @property
    def _answers(self) -> bool:
        """Whether there is an HTTP answer to a request that was read whole."""
        lost = self.raw is not None or self.cut == "before-answer"
        return not lost and math.isfinite(self.delay)

    @property
    def _lets_ping_count(self) -> bool:
        if self.cut in ("request", "body"):
            return False
        if self.counts is not None:
            return self.counts
        is_services_answer = self.status is None and self.body is None and self.raw is None
        return is_services_answer and math.isfinite(self.delay)


_NO_FAULT: Final = Fault()


class PingReceiver:
    """A Healthchecks server in this process, to test against: real sockets, no account.

    It listens within a ``with`` statement, or from `start` to `stop`. It has one check, that two
    URLs name, and answers as the service does: 404 for a check that it doesn't know, 400 for a
    malformed run id, 201 for a slug made by ``?create=1``, and so on. It keeps what arrived, and
    misbehaves when told to: see `Fault`. For a service that is down, `stop` it; it comes back at
    the same URL. The time limits of a check are not played: a run that takes long stays started.

    All methods may be called from any thread.

    Args:
        body_limit: bytes kept of each body, its first ones, and announced in the header
            ``Ping-Body-Limit``, default 100,000; None: all are kept and nothing is announced.
        ssl_context: a server's context with its certificate loaded, for https; the URLs then name
            ``localhost``. None, the default: http.
        host: the address to listen at, default ``"127.0.0.1"``.

    Raises:
        ValueError: `body_limit` is negative.

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
    ) -> None:
        self.ping_key = secrets.token_hex(11)
        """The key in `slug_url`; a slug to be made by ``?create=1`` needs it."""
        self._ssl_context = ssl_context
        self._host = host
        self._port = 0
        self._server: _Server | None = None
        self._changed = threading.Condition()
        self._uuid = str(uuid.uuid4())
        self._slug = "nightly-sync"
        self._check = _Check()
        self._checks = {self._slug: self._check}
        self._ambiguous: set[str] = set()
        self._pings: list[ReceivedPing] = []
        self._requests: list[ReceivedRequest] = []
        self._script: deque[Fault] = deque()
        self._always = _NO_FAULT
        self.body_limit = body_limit

    def start(self) -> Self:
        """Listen, and answer from now on; a receiver that was stopped takes its old port again.

        Returns:
            The receiver.

        Raises:
            RuntimeError: it runs already.
            OSError: the port can't be had.
        """
        if self._server is not None:
            raise RuntimeError("the receiver runs already")
        self._server = _Server((self._host, self._port), self, self._ssl_context)
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
        return f"{self.base_url}/{self._uuid}"

    @property
    def slug_url(self) -> str:
        """The same check's ping URL, in its slug form."""
        return f"{self.base_url}/{self.ping_key}/{self._slug}"

    @property
    def body_limit(self) -> int | None:
        """Bytes kept of a body; None: all. May be set at any time, for the requests after that."""
        return self._body_limit

    @body_limit.setter
    def body_limit(self, limit: int | None) -> None:
        if limit is not None and limit < 0:
            raise ValueError(f"body_limit must be bytes, 0 or more, or None, not {limit!r}")
        self._body_limit = limit

    @property
    def pings(self) -> tuple[ReceivedPing, ...]:
        """What the service accepted so far, in order of arrival."""
        with self._changed:
            return tuple(self._pings)

    @property
    def requests(self) -> tuple[ReceivedRequest, ...]:
        """All that came so far, accepted or not, in order of arrival: one for each attempt."""
        with self._changed:
            return tuple(self._requests)

    @property
    def state(self) -> State:
        """The state of the check as the service would show it."""
        with self._changed:
            return self._check.state

    def wait(self, count: int, timeout: float = 5.0) -> tuple[ReceivedPing, ...]:
        """Wait until pings have arrived.

        Args:
            count: how many, at least, since the receiver was made or cleared.
            timeout: seconds to wait at most.

        Returns:
            All pings that have arrived.

        Raises:
            AssertionError: there are fewer after that time; its message lists them, and the
                requests that were not accepted.
        """
        with self._changed:
            if self._changed.wait_for(lambda: len(self._pings) >= count, timeout):
                return tuple(self._pings)
            raise AssertionError(self._shortfall(count, timeout))

    def clear(self) -> None:
        """Forget the pings and requests so far; checks, their states and scripted faults stay."""
        with self._changed:
            self._pings.clear()
            self._requests.clear()

    def script(self, *faults: Fault | int | None) -> None:
        """Let the next requests go wrong, one fault for each, behind those scripted before.

        Args:
            *faults: in order; an int is short for ``Fault(status=int)``, None is a normal answer.

        Raises:
            TypeError: one is neither a Fault, an int nor None.
        """
        scripted = [_as_fault(fault) for fault in faults]
        with self._changed:
            self._script.extend(scripted)

    def always(self, fault: Fault | int | None) -> None:
        """Let all requests go wrong for which nothing is scripted, until told otherwise.

        Args:
            fault: an int is short for ``Fault(status=int)``; None: normal answers again.

        Raises:
            TypeError: it is neither a Fault, an int nor None.
        """
        with self._changed:
            self._always = _as_fault(fault)

    def add_ambiguous_slug(self, slug: str = "twins") -> str:
        """Have two checks of one slug, so that the service can't tell which is meant (409).

        Args:
            slug: the slug, of ``a-z 0-9 - _``.

        Returns:
            The ping URL that is ambiguous.
        """
        with self._changed:
            self._ambiguous.add(slug)
        return f"{self.base_url}/{self.ping_key}/{slug}"

    def __repr__(self) -> str:
        where = "stopped" if self._server is None else f"at {self.base_url}"
        with self._changed:
            counts = f"{len(self._pings)} pings, {len(self._requests)} requests"
            return f"<PingReceiver {where}, check {self._check.state}, {counts}>"

    def _shortfall(self, count: int, timeout: float) -> str:
        lines = [f"{len(self._pings)} of {count} pings came within {timeout:g} s"]
        lines += [f"  {n}. {ping}" for n, ping in enumerate(self._pings, 1)]
        refused = [request for request in self._requests if not request.accepted]
        if refused:
            lines.append(f"{len(self._requests)} requests came; not accepted:")
            lines += [f"  - {request}" for request in refused]
        return "\n".join(lines)

    def _next_fault(self) -> Fault:
        with self._changed:
            return self._script.popleft() if self._script else self._always

    def _receive(self, request: _Request, body: bytes, fault: Fault) -> _Answer:
        """Judge a whole request as the service does, note it, and say what to answer."""
        with self._changed:
            verdict = self._judge(request, body)
            answer = _Answer.of(verdict, fault, self._body_limit)
            accepted = verdict.check is not None and fault._lets_ping_count
            status = answer.status if fault._answers else None
            now = self._note(request, body, status, accepted=accepted)
            if verdict.check is not None and accepted:
                self._pings.append(
                    ReceivedPing(
                        event=verdict.event,
                        path=request.path,
                        query=request.query,
                        run_id=verdict.run_id,
                        exit_status=verdict.exit_status,
                        body=body[: self._body_limit],
                        headers=request.headers,
                        time=now,
                        method=request.method,
                        duration=verdict.check.take(verdict.event, verdict.run_id),
                    )
                )
                self._changed.notify_all()
        return answer

    def _note(
        self, request: _Request, body: bytes, status: int | None, *, accepted: bool = False
    ) -> datetime:
        with self._changed:
            now = datetime.now(timezone.utc)
            self._requests.append(
                ReceivedRequest(
                    method=request.method,
                    path=request.path,
                    query=request.query,
                    headers=request.headers,
                    body=body,
                    status=status,
                    accepted=accepted,
                    time=now,
                )
            )
            return now

    def _judge(self, request: _Request, body: bytes) -> _Verdict:
        """Decide on a request; the order of the questions is the service's."""
        path = unquote(request.path)
        route = next((match for regex in _ROUTES if (match := regex.fullmatch(path))), None)
        if route is None:
            return _Verdict(404, "<h1>Not Found</h1>")
        query = parse_qs(request.query, keep_blank_values=True)
        check, verdict = self._find(route, creates=query.get("create", [""])[-1] == "1")
        if check is None:
            return verdict
        suffix = route["suffix"] or ""
        # Four digits are enough to tell; int() refuses thousands of them.
        exit_status = int(suffix.lstrip("0")[:4] or "0") if suffix.isdigit() else None
        if exit_status is not None and exit_status > 255:
            return _Verdict(400, "invalid url format")
        if len(body) > _LONGEST_BODY_TAKEN:
            return _Verdict(400, "<h1>Bad Request (400)</h1>")
        run_id = query["rid"][-1].lower() if "rid" in query else None
        if run_id is not None and not _RUN_ID.fullmatch(query["rid"][-1]):
            return _Verdict(400, "invalid uuid format")
        if exit_status is not None:
            event = Event.FAIL if exit_status else Event.SUCCESS
        else:
            event = Event(suffix or "success")
        return _Verdict(verdict.status, verdict.text, check, event, run_id, exit_status)

    def _find(self, route: re.Match[str], *, creates: bool) -> tuple[_Check | None, _Verdict]:
        """Find the check that a URL names, or make it."""
        found = _Verdict(200, "OK")
        groups = route.groupdict()
        if groups.get("uuid") is not None:
            known = groups["uuid"] == self._uuid
            return (self._check, found) if known else (None, _Verdict(404, "not found"))
        slug = groups["slug"]
        if slug != slug.lower():
            return None, _Verdict(400, "invalid url format")
        if groups["key"] != self.ping_key:
            return None, _Verdict(404, "not found")
        if slug in self._ambiguous:
            return None, _Verdict(409, "ambiguous slug")
        if slug in self._checks:
            return self._checks[slug], found
        if not creates:
            return None, _Verdict(404, "not found")
        self._checks[slug] = _Check()
        return self._checks[slug], _Verdict(201, "Created")


def _as_fault(fault: Fault | int | None) -> Fault:
    if fault is None:
        return _NO_FAULT
    if isinstance(fault, Fault):
        return fault
    if isinstance(fault, int) and not isinstance(fault, bool):
        return Fault(int(fault))
    raise TypeError(f"a fault must be a Fault, an HTTP status or None, not {fault!r}")


def _shown(body: bytes) -> str:
    """How a body ends, in few words."""
    if not body:
        return "no body"
    lines = body[-400:].decode("utf-8", errors="replace").splitlines()
    last = next((line for line in reversed(lines) if line.strip()), "")
    return f"{len(body)} bytes ending {last[-60:]!r}"


class _Check:
    """The state of one check: what the service remembers of its pings."""

    def __init__(self) -> None:
        self._status: Literal["new", "up", "down"] = "new"
        self._latest_start: tuple[str | None] | None = None
        self._starts: dict[str | None, float] = {}

    @property
    def state(self) -> State:
        return self._status if self._latest_start is None else "started"

    def take(self, event: Event, run_id: str | None) -> float | None:
        """Take a ping; return the seconds since its run's start, if it ends one."""
        now = time.perf_counter()
        if event is Event.START:
            self._starts[run_id] = now
            self._latest_start = (run_id,)
        if not event.ends_run:
            return None
        # A success of an older run leaves the latest start open, a failure never does.
        if event is Event.FAIL or run_id is None or self._latest_start == (run_id,):
            self._latest_start = None
        self._status = "down" if event is Event.FAIL else "up"
        started = self._starts.pop(run_id, None)
        return None if started is None else now - started


@dataclass(frozen=True, slots=True)
class _Request:
    """The head of a request."""

    method: str
    path: str
    query: str
    headers: Headers


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What the service makes of a request; `check` is None when it refuses it."""

    status: int
    text: str
    check: _Check | None = None
    event: Event = Event.SUCCESS
    run_id: str | None = None
    exit_status: int | None = None


@dataclass(frozen=True, slots=True)
class _Answer:
    """What goes back over the wire, apart from how."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def of(cls, verdict: _Verdict, fault: Fault, body_limit: int | None) -> _Answer:
        """Make the answer to a verdict, as a fault changes it."""
        status = verdict.status if fault.status is None else fault.status
        reason = _usual_reason(status) if fault.reason is None else fault.reason
        body: bytes | str = verdict.text if fault.status is None else reason
        if fault.body is not None:
            body = fault.body
        headers = {"Content-Type": "text/html; charset=utf-8"}
        if status in (200, 201):
            headers["Access-Control-Allow-Origin"] = "*"
            if body_limit is not None:
                headers["Ping-Body-Limit"] = str(body_limit)
        for name, value in fault.headers.items():
            for same in [known for known in headers if known.lower() == name.lower()]:
                del headers[same]
            headers[name] = value
        return cls(status, reason, headers, body.encode() if isinstance(body, str) else body)

    def head(self, *more: tuple[str, object]) -> bytes:
        """Return the status line and headers, as sent."""
        lines = [f"HTTP/1.1 {self.status} {self.reason}"]
        lines += [f"{name}: {value}" for name, value in (*self.headers.items(), *more)]
        return "".join(f"{line}\r\n" for line in (*lines, "")).encode("latin-1", "replace")


def _usual_reason(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Unknown"


class _BodyError(Exception):
    """A request's body has no end to be read; the argument is what was read of it."""


class _BrokenOffError(_BodyError):
    """Because the connection ends, or is to be cut, in its middle."""


class _MalformedError(_BodyError):
    """Because what states its size makes no sense."""


class _Server(ThreadingHTTPServer):
    """The listening socket, its thread, and the connections with a daemon thread for each."""

    # A burst of clients waits here until the one accepting thread gets to them.
    request_queue_size = 4096
    # On Windows this option lets two servers have one port; elsewhere a restart needs it.
    allow_reuse_address = os.name == "posix"
    allow_reuse_port = False

    def __init__(
        self,
        address: tuple[str, int],
        receiver: PingReceiver,
        ssl_context: ssl.SSLContext | None,
    ) -> None:
        self.receiver = receiver
        self.stopping = threading.Event()
        self._ssl_context = ssl_context
        self._connections: set[socket.socket] = set()
        self._closed_one = threading.Condition()
        self._pid = os.getpid()
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Handler)
        # The interval is how long a stop may take while nothing arrives.
        self._thread = threading.Thread(
            target=self.serve_forever, args=(0.01,), name="loghc-ping-receiver", daemon=True
        )
        self._thread.start()

    def server_bind(self) -> None:
        # HTTPServer asks the resolver for the host's name here, which can take seconds.
        socketserver.TCPServer.server_bind(self)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        if self._ssl_context is not None:
            try:
                # The handshake comes with the first read, on the connection's own thread.
                connection = self._ssl_context.wrap_socket(
                    connection, server_side=True, do_handshake_on_connect=False
                )
            except OSError:
                connection.close()
                raise
        with self._closed_one:
            self._connections.add(connection)
        return connection, address

    def close_request(self, request: Any) -> None:
        super().close_request(request)
        with self._closed_one:
            self._connections.discard(request)
            self._closed_one.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that goes away, or a stop, is nothing to write about on standard error.
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def stop(self) -> None:
        if os.getpid() != self._pid:
            # A child got the sockets by a fork, not the threads: the parent is still serving.
            self.server_close()
            return
        self.stopping.set()
        self.shutdown()
        self.server_close()
        with self._closed_one:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    # Not SSLSocket.shutdown: that would take TLS away under a thread's feet.
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)
            self._closed_one.wait_for(lambda: not self._connections, timeout=5.0)
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client, with one request after the other."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server
    _resets = False

    def finish(self) -> None:
        if self._resets:
            layout = "hh" if sys.platform == "win32" else "ii"
            self.connection.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack(layout, 1, 0)
            )
        super().finish()
        if self._resets:
            # Before the server does its polite shutdown, which would send a FIN first.
            self.connection.close()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep the standard error clean."""

    def send_error(
        self,
        code: int,
        message: str | None = None,  # noqa: ARG002
        explain: str | None = None,  # noqa: ARG002
    ) -> None:
        """Answer what is not HTTP; http.server's own parser calls this."""
        self._refuse(_Request("", self.requestline, "", Headers()), b"", int(code))

    def __getattr__(self, name: str) -> Any:
        # http.server looks for do_GET, do_POST..., and to the service any method is a ping.
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def _answer(self) -> None:
        receiver = self.server.receiver
        fault = receiver._next_fault()
        request = self._head()
        try:
            if fault.cut == "request":
                raise _BrokenOffError(b"")
            body = self._read_body(request.headers, halfway=fault.cut == "body")
        except _MalformedError as error:
            self._refuse(request, error.args[0], 400)
        except _BrokenOffError as error:
            receiver._note(request, error.args[0], None)
            self._hang_up(fault)
        else:
            answer = receiver._receive(request, body, fault)
            stopped = fault.delay > 0 and self.server.stopping.wait(_patience(fault.delay))
            if stopped or fault.cut == "before-answer":
                self._hang_up(fault)
            else:
                self._send(answer, fault)

    def _head(self) -> _Request:
        # Not self.path: http.server folds slashes there that the service doesn't fold.
        target = self.requestline.split()[1]
        if target.startswith(("http://", "https://")):  # as a proxy is asked
            target = "/" + target.split("/", 3)[3] if target.count("/") > 2 else "/"
        path, _, query = target.partition("?")
        return _Request(self.command, path, query, Headers(self.headers.items()))

    def _read_body(self, headers: Headers, *, halfway: bool) -> bytes:
        """Read the request's body; with `halfway`, stop in its middle.

        Raises:
            _BrokenOffError: it ended, or was stopped, in its middle.
            _MalformedError: its size is nonsense, or beyond what is read.
        """
        if headers.get("Transfer-Encoding", "").lower() == "chunked":
            return self._read_chunks(halfway=halfway)
        stated = headers.get("Content-Length", "0").strip()
        if not re.fullmatch("[0-9]{1,19}", stated) or int(stated) > _LONGEST_BODY_READ:
            raise _MalformedError(b"")
        length = int(stated)
        if halfway:
            raise _BrokenOffError(self.rfile.read(length // 2))
        body = self.rfile.read(length)
        if len(body) < length:
            raise _BrokenOffError(body)
        return body

    def _read_chunks(self, *, halfway: bool) -> bytes:
        body = b""
        while True:
            line = self.rfile.readline(1000)
            if not line:
                raise _BrokenOffError(body)
            stated = line.partition(b";")[0].strip()
            if not re.fullmatch(b"[0-9a-fA-F]{1,8}", stated):
                raise _MalformedError(body)
            size = int(stated, 16)
            if halfway:
                raise _BrokenOffError(body + self.rfile.read(size // 2))
            if len(body) + size > _LONGEST_BODY_READ:
                raise _MalformedError(body)
            body += self.rfile.read(size)
            if size == 0:
                break
            if self.rfile.readline(3).strip():
                raise _MalformedError(body)
        while self.rfile.readline(65_537).strip():  # trailers
            pass
        return body

    def _send(self, answer: _Answer, fault: Fault) -> None:
        if fault.raw is not None:
            head, body = fault.raw, b""
            self.close_connection = True
        elif fault.endless:
            head, body = answer.head(("Connection", "close")), answer.body or b"\n"
            self.close_connection = True
        else:
            bodiless = answer.status in (204, 304)
            head = answer.head() if bodiless else answer.head(("Content-Length", len(answer.body)))
            body = b"" if bodiless or self.command == "HEAD" else answer.body
        if fault.cut == "answer":
            head, body = (head, body[: len(body) // 2]) if body else (head[: len(head) // 2], b"")
        self._write(head + body, fault.pace)
        while fault.endless and fault.cut is None and not self.server.stopping.is_set():
            self._write(body if fault.pace else body * (1 + 65_536 // len(body)), fault.pace)
        if fault.cut == "answer":
            self._hang_up(fault)

    def _write(self, data: bytes, pace: float) -> None:
        if not pace:
            self.wfile.write(data)
            return
        for n in range(len(data)):
            if n and self.server.stopping.wait(_patience(pace)):
                self.close_connection = True
                return
            self.wfile.write(data[n : n + 1])

    def _hang_up(self, fault: Fault) -> None:
        self._resets = fault.cut is not None and fault.reset
        self.close_connection = True

    def _refuse(self, request: _Request, body: bytes, status: int) -> None:
        """Answer, and close without having read the request to its end."""
        self.server.receiver._note(request, body, status)
        answer = _Answer(status, _usual_reason(status), {}, b"")
        self.wfile.write(answer.head(("Content-Length", 0), ("Connection", "close")))
        self.close_connection = True
        # Closing over unread bytes resets the connection, and may lose the answer on its way.
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(1.0)
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline and self.rfile.read(65_536):
            pass


def _patience(seconds: float) -> float | None:
    """Seconds as `Event.wait` takes them, which refuses infinity."""
    return min(seconds, threading.TIMEOUT_MAX) if math.isfinite(seconds) else None
