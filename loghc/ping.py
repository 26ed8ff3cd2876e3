"""The values shared by the sink, the delivery and the client: what is sent, and what came of it.

None is a dataclass: to define one takes ten times as long, which every start of a program pays.
Those of loghc's own are named tuples. What users get are not: ``"%s" % outcome`` has to work.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from loghc.log.body import Body

__all__ = ["Answer", "Attempt", "Event", "Outcome", "Ping", "Stats"]


class Event(enum.Enum):
    """What a ping tells the service.

    Attributes:
        START: a run begins; POST to ``<url>/start``.
        SUCCESS: a run ended well; POST to ``<url>``.
        FAIL: a run failed; POST to ``<url>/fail``, or ``<url>/<n>`` with an exit status.
        LOG: a line for the check's history, its state unchanged; POST to ``<url>/log``.
    """

    START = "start"
    SUCCESS = "success"
    FAIL = "fail"
    LOG = "log"

    @property
    def ends_run(self) -> bool:
        """Whether this event is the last of its run."""
        return self in (Event.SUCCESS, Event.FAIL)


class Ping(NamedTuple):
    """One request to be made.

    Attributes:
        event: what it tells.
        run_id: the run that it belongs to, a UUID in its canonical text form.
        body: gives the text to attach. Called on the delivery thread, so that joining a long log
            costs the logging thread nothing. ``Body`` itself stands for no log.
        exit_status: 0 to 255, sent as ``<url>/<exit_status>`` in place of the event's own suffix;
            None: the event's own.
    """

    event: Event
    run_id: str
    body: Callable[[], Body]
    exit_status: int | None = None

    @property
    def suffix(self) -> str:
        """What follows the URL's path: ``/start``, ``/fail``, ``/log``, ``/<n>``, or nothing."""
        if self.exit_status is not None:
            return f"/{self.exit_status}"
        return "" if self.event is Event.SUCCESS else f"/{self.event.value}"

    def __repr__(self) -> str:
        """Without the body, which is the app's log."""
        return f"Ping({self.event}, {self.run_id!r}, exit_status={self.exit_status})"


class Answer(NamedTuple):
    """What came back over the network for one request. None of it is trusted.

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
        """An answer, from its headers as they came and the beginning of its body."""
        named = {name.lower(): value for name, value in headers}
        return cls(status, named, body.decode("utf-8", "replace"))


class Attempt(NamedTuple):
    """What one request came to.

    Attributes:
        delivered: the service took the ping.
        status: the HTTP status, None when there was no answer.
        error: what went wrong, with secrets masked; None when delivered.
        advice: what to do about it, or empty.
        transient: trying again may help.
        retry_after: seconds that the service asks to wait, None when it doesn't.
        kept: bytes of the body that the service keeps, where that is less than was sent, else None.
        foreign_text: what the service answered where it took the ping, but said so in other words
            than Healthchecks; or empty.
        is_web_page: the service seemed to take it, and answered with a web page.
        was_sending: the time was over while the body was still on its way.
        superseded: it was not tried any more, as newer pings made it void.
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
    """What is compared, hashed and shown by its fields, and never changes."""

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
        event: what the ping told.
        run_id: the run that it belonged to.
        delivered: the service took it.
        status: the last HTTP status, None when there was no answer.
        error: why it was not delivered, secrets masked; None when it was.
        attempts: requests made for it; 0 when it was dropped before the first.
        elapsed: seconds from the marker to this outcome.
        superseded: it was not sent any more, as newer pings made it void: a service that was
            away or slow is told what is true now, and not all that was.
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
        delivered: the service took them.
        failed: refused, dropped, or given up; each was reported.
        pending: still to be delivered.
        superseded: made void by newer ones, while the service was away or slow; they were counted
            in what was reported.
    """

    delivered: int
    failed: int
    pending: int
    superseded: int

    def __init__(self, delivered: int, failed: int, pending: int, superseded: int = 0) -> None:
        vars(self).update(
            delivered=delivered, failed=failed, pending=pending, superseded=superseded
        )
