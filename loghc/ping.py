"""The values shared by the sink, the delivery and the client: pings, and what became of them.

None is a dataclass: defining one takes ten times as long, at every start of a program. Internal
values are named tuples. Those that users get aren't, so that ``"%s" % outcome`` works.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from loghc.log.body import Body

__all__ = ["TEMPORARY_REFUSALS", "Answer", "Attempt", "Event", "Outcome", "Ping", "Stats"]


TEMPORARY_REFUSALS = frozenset({408, 425, 429})
"""Statuses among 400 to 499 that may be over at the next attempt."""


class Event(enum.Enum):
    """What a ping signals.

    Attributes:
        START: a run starts; POST to ``<url>/start``.
        SUCCESS: a run succeeded; POST to ``<url>``.
        FAIL: a run failed; POST to ``<url>/fail``, or ``<url>/<n>`` with an exit status.
        LOG: a note for the check's history that doesn't change its state; POST to ``<url>/log``.
        ends_run: whether this event is the last of its run.
    """

    START = "start"
    SUCCESS = "success"
    FAIL = "fail"
    LOG = "log"

    # Every marker looks events up; Enum's own __hash__ is written in Python.
    __hash__ = object.__hash__

    def __init__(self, value: object) -> None:
        self.ends_run = value in ("success", "fail")


class Ping(NamedTuple):
    """One request to be made.

    Attributes:
        event: what it signals.
        run_id: the run that it belongs to, a UUID in its canonical text form.
        body: returns the text to attach. Called on the delivery thread, so that joining a long log
            costs the logging thread nothing. ``Body`` itself stands for no log.
        exit_status: 0 to 255, sent as ``<url>/<exit_status>`` in place of the event's suffix;
            None: the event's suffix is sent.
    """

    event: Event
    run_id: str
    body: Callable[[], Body]
    exit_status: int | None = None

    @property
    def suffix(self) -> str:
        """Appended to the URL's path: ``/start``, ``/fail``, ``/log``, ``/<n>``, or nothing."""
        if self.exit_status is not None:
            return f"/{self.exit_status}"
        return "" if self.event is Event.SUCCESS else f"/{self.event.value}"

    def __repr__(self) -> str:
        """Without the body, which is the app's log."""
        return f"Ping({self.event}, {self.run_id!r}, exit_status={self.exit_status})"


class Answer(NamedTuple):
    """The response to one request. None of it is trusted.

    Attributes:
        status: the HTTP status.
        headers: their names in lower case.
        text: the beginning of the body.
    """

    status: int
    headers: Mapping[str, str]
    text: str

    @classmethod
    def of(cls, status: int, headers: Iterable[tuple[str, str]], body: bytes) -> Answer:
        """An answer, from the headers as received and the beginning of the body."""
        named = {name.lower(): value for name, value in headers}
        return cls(status, named, body.decode("utf-8", "replace"))


class Attempt(NamedTuple):
    """The result of one request.

    Attributes:
        delivered: the service accepted the ping.
        status: the HTTP status; None if there was no answer.
        error: what went wrong, with secrets masked; None when delivered.
        advice: what to do about it, or empty.
        transient: trying again may help.
        retry_after: seconds that the service asks to wait; None if it doesn't.
        kept: bytes of the body that the service keeps, if that is less than was sent, else None.
        foreign_text: the answer, if the service accepted the ping in other words than Healthchecks'
            own; else empty.
        is_web_page: the status said that the ping was accepted, but the answer is a web page.
        was_sending: time ran out while the body was being sent.
        superseded: it was not tried any more, because newer pings made it void.
    """

    delivered: bool
    status: int | None = None
    error: str | None = None
    advice: str = ""
    transient: bool = False
    retry_after: float | None = None
    kept: int | None = None
    foreign_text: str = ""
    is_web_page: bool = False
    was_sending: bool = False
    superseded: bool = False


class _Value:
    """An immutable value that is compared, hashed and shown by its fields."""

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other) if type(self) is type(other) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(vars(self).values()))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({fields})"

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} can't be changed")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} can't be deleted")


class Outcome(_Value):
    """What became of one ping.

    Attributes:
        event: the ping's event.
        run_id: the run that it belonged to.
        delivered: the service accepted it.
        status: the last HTTP status; None if there was no answer.
        error: why it was not delivered, with secrets masked; None if it was.
        attempts: requests made for it; 0 if it was dropped before the first.
        elapsed: seconds from the marker to this outcome.
        superseded: it was not sent, because newer pings made it void: a service that was away or
            slow is sent what is true now, not everything that happened.
    """

    event: Event
    run_id: str
    delivered: bool
    status: int | None
    error: str | None
    attempts: int
    elapsed: float
    superseded: bool

    def __init__(
        self,
        event: Event,
        run_id: str,
        delivered: bool,  # noqa: FBT001 - as in a dataclass
        status: int | None,
        error: str | None,
        attempts: int,
        elapsed: float,
        superseded: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        vars(self).update(
            event=event,
            run_id=run_id,
            delivered=delivered,
            status=status,
            error=error,
            attempts=attempts,
            elapsed=elapsed,
            superseded=superseded,
        )


class Stats(_Value):
    """Pings counted by what became of them.

    Attributes:
        delivered: accepted by the service.
        failed: refused, dropped, or given up; each was reported.
        pending: still to be delivered.
        superseded: made void by newer ones while the service was away or slow; a report counted
            them.
    """

    delivered: int
    failed: int
    pending: int
    superseded: int

    def __init__(self, delivered: int, failed: int, pending: int, superseded: int = 0) -> None:
        vars(self).update(
            delivered=delivered, failed=failed, pending=pending, superseded=superseded
        )
