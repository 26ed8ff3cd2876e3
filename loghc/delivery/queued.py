"""A ping on its way to an outcome."""

from __future__ import annotations

import time

from loghc.clock import monotonic
from loghc.log.body import Body
from loghc.ping import Attempt, Ping

__all__ = ["LOG_LEFT_OUT", "SUPERSEDED", "Queued"]

LOG_LEFT_OUT = Body(
    footer=b"loghc: the log was left out, as more pings waited than logs are kept for.\n"
)
"""The body of a ping whose log made room for others."""

SUPERSEDED = Attempt(delivered=False, error="superseded by a newer ping", superseded=True)
"""What becomes of a ping that is void."""


class Queued:
    """A ping on its way to an outcome.

    Attributes:
        ping: what to send.
        number: its place in the order of all pings.
        since: when it was queued, in seconds of the monotonic clock.
        body: what to attach, once it has been rendered.
        attempts: requests made for it so far, including the one in progress.
        last: the result of the last finished one.
        failures: attempts in a row that failed because of the ping itself, or may have.
        refused_since: when the service first refused it, by the monotonic clock; None: never.
        not_before: when to try it again, while others are tried.
        step: how much of its log is left out, as in ``Body.shortened``.
        shed_for: the failed attempt because of which something is left out; None: there was none.
        shed_at: how many pings had passed when less of its log failed as well; None: not tried.
        less_after: failures after which less is tried once more, even if no ping has passed since.
        counted: older failures that are counted in this one.
        is_offer: a copy of a log that the service may ignore.
        settled: it has its outcome.
    """

    __slots__ = (
        "attempts",
        "body",
        "counted",
        "failures",
        "is_offer",
        "last",
        "less_after",
        "not_before",
        "number",
        "ping",
        "refused_since",
        "settled",
        "shed_at",
        "shed_for",
        "since",
        "step",
    )

    def __init__(self, ping: Ping, number: int = 0, body: Body | None = None) -> None:
        self.ping = ping
        self.number = number
        self.since = monotonic()
        self.body = body
        self.attempts = 0
        self.last: Attempt | None = None
        self.failures = 0
        self.refused_since: float | None = None
        self.not_before = 0.0
        self.step = 0
        self.shed_for: Attempt | None = None
        self.shed_at: int | None = None
        self.less_after = 0
        self.counted: list[Queued] = []
        self.is_offer = False
        self.settled = False

    @property
    def unfinished(self) -> Attempt:
        """The last attempt to report if nothing more is tried."""
        if self.last is not None:
            return self.last._replace(delivered=False)
        error = "no answer came in time" if self.attempts else "dropped before the first attempt"
        return Attempt(delivered=False, error=error)

    @property
    def has_log(self) -> bool:
        """Whether its body may be more than nothing."""
        return self.ping.body is not Body

    @property
    def happened(self) -> float:
        """When its marker was logged, in seconds of the wall clock."""
        return time.time() - (monotonic() - self.since)

    def leave_out_log(self) -> None:
        """Let go of the log; a line in its place says so."""
        if self.body is None:
            self.ping = self.ping._replace(body=_log_left_out)


def _log_left_out() -> Body:
    return LOG_LEFT_OUT
