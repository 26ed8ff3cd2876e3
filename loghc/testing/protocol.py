"""The ping protocol from the service's side: which requests are pings, and what is answered."""

from __future__ import annotations

import re
import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from email.utils import formatdate
from http import HTTPStatus
from typing import Final, Literal, TypeAlias
from urllib.parse import parse_qs, unquote

from loghc.ping import Event
from loghc.testing.faults import Fault
from loghc.testing.requests import RequestHead

__all__ = ["Answer", "Check", "Checks", "State", "Verdict"]

State: TypeAlias = Literal["new", "started", "up", "down"]

_UUID: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_SUFFIX: Final = "/(?P<suffix>start|fail|log|[0-9]+)"
_ROUTES: Final = (
    re.compile(f"/(?P<uuid>{_UUID})(?:/|{_SUFFIX})?"),
    re.compile(f"/(?P<key>[-a-zA-Z0-9_]+)/(?P<slug>[-a-zA-Z0-9_]+)(?:{_SUFFIX})?"),
)
_HOST: Final = re.compile("(?:[a-z0-9.-]+|\\[[a-f0-9]*:[a-f0-9.:]+\\])(?::[0-9]+)?", re.IGNORECASE)
_RUN_ID: Final = re.compile(_UUID, re.IGNORECASE | re.ASCII)

# The service refuses a longer body (Django's DATA_UPLOAD_MAX_MEMORY_SIZE).
_MAX_BODY_BYTES: Final = 2_621_440


class Check:
    """The state of one check, and the runs that are open."""

    def __init__(self, slug: str) -> None:
        self.slug = slug
        self.uuid = str(uuid.uuid4())
        self._status: Literal["new", "up", "down"] = "new"
        self._latest_start: tuple[str | None] | None = None
        self._starts: dict[str | None, float] = {}

    @property
    def state(self) -> State:
        """The state as the service would show it."""
        return self._status if self._latest_start is None else "started"

    def take(self, event: Event, run_id: str | None) -> float | None:
        """Accept a ping; return the seconds since its run's start, if it ends one."""
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
class Verdict:
    """What the service makes of a request; `check` is None if it refuses it."""

    status: int
    text: str
    check: Check | None = None
    event: Event = Event.SUCCESS
    run_id: str | None = None
    exit_status: int | None = None
    reads_body: bool = False


class Checks:
    """The checks of one project: one that two URLs name, and those that pings create."""

    def __init__(self) -> None:
        self.ping_key = secrets.token_hex(11)
        self.check = Check("nightly-sync")
        self._others: dict[str, Check] = {}  # by slug

    def judge(self, request: RequestHead, body: bytes) -> Verdict:
        """Decide on a request: what the service checks, in its order."""
        if not _HOST.fullmatch(request.headers.get("Host", "none")):
            return _page(400)
        path = unquote(request.path)
        route = next((match for regex in _ROUTES if (match := regex.fullmatch(path))), None)
        if route is None:
            return _page(404)
        query = parse_qs(request.query, keep_blank_values=True)
        found = self._find(route, may_create=query.get("create", [""])[-1] == "1")
        if found.check is None:
            return found
        suffix = route["suffix"] or ""
        # Four digits are enough to tell; int() refuses thousands of them.
        exit_status = int(suffix.lstrip("0")[:4] or "0") if suffix.isdigit() else None
        if exit_status is not None and exit_status > 255:
            return Verdict(400, "invalid url format")
        # The service looks at the stated length, which a chunked body doesn't have.
        reads_body = "Content-Length" in request.headers
        if reads_body and len(body) > _MAX_BODY_BYTES:
            return _page(400)
        run_id = query["rid"][-1].lower() if "rid" in query else None
        if run_id is not None and not _RUN_ID.fullmatch(query["rid"][-1]):
            return Verdict(400, "invalid uuid format", reads_body=reads_body)
        if exit_status is not None:
            event = Event.FAIL if exit_status else Event.SUCCESS
        else:
            event = Event(suffix or "success")
        return replace(
            found,
            event=event,
            run_id=run_id,
            exit_status=exit_status,
            reads_body=reads_body,
        )

    def _find(self, route: re.Match[str], *, may_create: bool) -> Verdict:
        """Find the check that a URL names, or create it."""
        groups = route.groupdict()
        if groups.get("uuid") is not None:
            for check in (self.check, *self._others.values()):
                if groups["uuid"] == check.uuid:
                    return Verdict(200, "OK", check)
            return Verdict(404, "not found")
        slug = groups["slug"]
        if slug != slug.lower():
            return Verdict(400, "invalid url format")
        if groups["key"] != self.ping_key:
            return Verdict(404, "not found")
        found = self.by_slug(slug)
        if found is not None:
            return Verdict(200, "OK", found)
        if not may_create:
            return Verdict(404, "not found")
        return Verdict(201, "Created", self.create(slug))

    def by_slug(self, slug: str) -> Check | None:
        """The check with a slug, if there is one."""
        return self.check if slug == self.check.slug else self._others.get(slug)

    def create(self, slug: str) -> Check:
        """Make a check."""
        self._others[slug] = check = Check(slug)
        return check


@dataclass(frozen=True, slots=True)
class Answer:
    """The HTTP answer to a request."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def to(cls, verdict: Verdict, fault: Fault, body_limit: int | None) -> Answer:
        """Make the answer to a verdict, as changed by a fault."""
        status = verdict.status if fault.status is None else fault.status
        reason = usual_reason(status) if fault.reason is None else fault.reason
        body: bytes | str = verdict.text if fault.status is None else reason
        if fault.body is not None:
            body = fault.body
        headers = {
            "Server": "PingReceiver",
            "Date": formatdate(usegmt=True),
            "Content-Type": "text/html; charset=utf-8",
        }
        if status in (200, 201):
            headers["Access-Control-Allow-Origin"] = "*"
            if body_limit is not None:
                headers["Ping-Body-Limit"] = str(body_limit)
        for name, value in fault.headers.items():
            for same in [known for known in headers if known.lower() == name.lower()]:
                del headers[same]
            headers[name] = value
        return cls(status, reason, headers, body.encode() if isinstance(body, str) else body)

    @classmethod
    def refusing(cls, status: int) -> Answer:
        """Make the answer to what the server refuses without asking the service."""
        headers = {"Connection": "close", "Content-Type": "text/html"}
        return cls(status, usual_reason(status), headers, _page(status).text.encode())

    def head(self, version: str, *more: tuple[str, object]) -> bytes:
        """Return the status line and headers, as sent; the answer's own headers go first."""
        lines = [f"{version} {self.status} {self.reason}"]
        own = {name.lower() for name in self.headers}
        added = [(name, value) for name, value in more if name.lower() not in own]
        lines += [f"{name}: {value}" for name, value in (*self.headers.items(), *added)]
        return "".join(f"{line}\r\n" for line in (*lines, "")).encode("latin-1", "replace")


def _page(status: int) -> Verdict:
    """A refusal with a web page, of which there is only the heading."""
    return Verdict(status, f"<h1>{usual_reason(status)}</h1>")


def usual_reason(status: int) -> str:
    """The reason phrase that goes with a status, as RFC 9110 has it."""
    if status == 414:  # whose name Python's versions don't agree on
        return "URI Too Long"
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Unknown"
