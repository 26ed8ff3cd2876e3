"""The requests that a receiver got, as its user sees them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from loghc.ping import Event

__all__ = ["Headers", "ReceivedPing", "ReceivedRequest", "RequestHead"]


class Headers(Mapping[str, str]):
    """A request's headers, looked up without regard to case.

    A header that was sent more than once has its values joined by ``", "``.
    """

    __slots__ = ("_items",)

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        values: dict[str, tuple[str, list[str]]] = {}
        for name, value in items:
            values.setdefault(name.lower(), (name, []))[1].append(value)
        self._items = {key: (name, ", ".join(parts)) for key, (name, parts) in values.items()}

    def __getitem__(self, name: str) -> str:
        return self._items[name.lower()][1]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._items.values())

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"Headers({dict(self)!r})"


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A request without its body; most attributes are those of `ReceivedRequest`."""

    method: str
    path: str
    query: str
    headers: Headers
    version: str = "HTTP/1.1"
    kept_alive: bool = False


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request, whether or not it was accepted as a ping.

    Attributes:
        method: the HTTP method; empty if the client did not speak HTTP.
        path: the whole path, without the query; the first line if the client did not speak HTTP.
        query: the query string as it was sent, without the question mark.
        headers: the request's headers, looked up without regard to case.
        body: the part of the body that was read: all of it, up to 4 MiB, unless a fault or the
            client ended the connection earlier.
        status: the HTTP status of the answer, None if none is sent.
        accepted: it counts as a ping.
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
        return f"{self.method or 'not HTTP:'} {target} {_summary(self.body)}: {answer}"


@dataclass(frozen=True, slots=True)
class ReceivedPing:
    """A ping that the service accepted.

    Attributes:
        event: what it reports; an exit status of 0 is a success, any other a failure.
        path: the whole path of the request, without the query.
        query: the query string as it was sent, without the question mark.
        run_id: the query's ``rid`` in lower case, None without one.
        exit_status: 0 to 255 if the path ended with it, else None.
        body: the bytes that the service keeps: the first ``body_limit`` of those sent, and none of
            a body that was sent in chunks (``Transfer-Encoding: chunked``).
        headers: the request's headers, looked up without regard to case.
        time: when it was received, in UTC.
        method: GET, HEAD, POST or any other: all of them count as pings.
        duration: seconds since the start with the same run id, for a success or failure that has
            one; else None.
        slug: of the check that it is for.
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
    slug: str

    @property
    def text(self) -> str:
        """The body as text; what is not UTF-8 becomes U+FFFD."""
        return self.body.decode("utf-8", errors="replace")

    def __str__(self) -> str:
        words = [f"{self.event.value:7}", self.method, self.path, _summary(self.body)]
        if self.run_id is not None:
            words.insert(3, f"rid={self.run_id}")
        return " ".join(words)


def _summary(body: bytes) -> str:
    """Describe a body in a few words: its size and its last line."""
    if not body:
        return "no body"
    lines = body[-400:].decode("utf-8", errors="replace").splitlines()
    last = next((line for line in reversed(lines) if line.strip()), "")
    return f"{len(body)} bytes ending {last[-60:]!r}"
