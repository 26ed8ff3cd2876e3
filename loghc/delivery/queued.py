"""A ping on its way to an outcome."""

from __future__ import annotations

from loghc.clock import monotonic
from loghc.log.body import Body
from loghc.ping import Attempt, Ping

__all__ = ["LOG_LEFT_OUT", "Queued"]

LOG_LEFT_OUT = Body(
    footer=b"loghc: the log was left out, as more pings waited than logs are kept for.\n"
)
"""The body of a ping whose log made room for others."""


class Queued:
    """A ping on its way to an outcome.

    Attributes:
        ping: what to send.
        since: when it was queued, in seconds of the monotonic clock.
        body: what to attach, once it was rendered.
        attempts: requests made for it so far, the one in progress included.
        last: what the last finished one came to.
        settled: it came to its outcome.
    """

    __slots__ = ("attempts", "body", "last", "ping", "settled", "since")

    def __init__(self, ping: Ping, body: Body | None = None) -> None:
        self.ping = ping
        self.since = monotonic()
        self.body = body
        self.attempts = 0
        self.last: Attempt | None = None
        self.settled = False

    @property
    def unfinished(self) -> Attempt:
        """What to say of it if nothing more is tried."""
        if self.last is not None:
            return self.last._replace(delivered=False)
        error = "no answer came in time" if self.attempts else "dropped before the first attempt"
        return Attempt(delivered=False, error=error)

    def leave_out_log(self) -> None:
        """Let go of the log; a line in its place says so."""
        self.ping = self.ping._replace(body=_log_left_out)


def _log_left_out() -> Body:
    return LOG_LEFT_OUT
