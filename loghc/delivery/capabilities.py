"""What a service was seen to understand: not every service knows the whole protocol."""

from __future__ import annotations

import math
from collections.abc import Collection

from loghc.clock import monotonic
from loghc.delivery.policy import Policy
from loghc.ping import Attempt, Event, Ping

__all__ = ["Capabilities", "without_status"]

_NOT_KNOWN = frozenset({400, 404})  # how services answer a suffix that they don't know
_STATUS = "/<status>"
_OPTIONAL = ("/start", "/log", _STATUS)


class Capabilities:
    """Which events a service is sent, and what it was seen not to understand.

    A 404 or 400 for ``/start``, ``/log`` or ``/<status>`` means that the service doesn't know the
    check, or doesn't know the suffix, or is being updated. If it takes the plain URL, has never
    taken the suffix, and refuses it twice, a minute apart, it doesn't know the suffix. It is tried
    again hourly.

    Only the thread that sends uses it, except for ``wants``.

    Args:
        policy: how far apart two refusals have to be, and when to try again.
        events: the events to send; the others are left out from the beginning.

    Attributes:
        answered: the service has taken some ping in this process.
        repeated: a check that had not answered was tried a second time.
    """

    def __init__(self, policy: Policy, events: Collection[Event] = tuple(Event)) -> None:
        self._policy = policy
        self._events = frozenset(events)
        self.answered = False
        self.repeated = False
        self._answered_plainly = False
        self._check_known = False
        self._taken: set[str] = set()
        self._refused_at: dict[str, float] = {}
        self._unknown_until: dict[str, float] = {}

    def wants(self, event: Event) -> bool:
        """Whether an event is one of those to send."""
        return event in self._events

    def downgraded(self, ping: Ping) -> Ping | None:
        """A ping as this service understands it; None if it understands no such ping."""
        suffix = _suffix(ping)
        if self._unknown_until.get(suffix, -math.inf) <= monotonic():
            return ping
        return without_status(ping) if suffix == _STATUS else None

    @property
    def log_known(self) -> bool:
        """Whether the service has taken ``/log`` before."""
        return "/log" in self._taken

    def maybe_unsupported(self, ping: Ping, attempt: Attempt) -> bool:
        """Whether a failed attempt may be due to the suffix alone, and not to the check."""
        suffix = _suffix(ping)
        is_new = suffix in _OPTIONAL and suffix not in self._taken
        return is_new and attempt.status in _NOT_KNOWN

    def learn(self, ping: Ping, attempt: Attempt) -> str | None:
        """Learn from an answer.

        Returns:
            The suffix that the service doesn't understand, if this answer shows that.
        """
        suffix = _suffix(ping)
        if attempt.delivered:
            self.answered = True
            self._answered_plainly = not attempt.is_web_page  # else it would be foreign
            self._taken.add(suffix)
            self._check_known = self._check_known or suffix in ("", "/fail")
        elif self.maybe_unsupported(ping, attempt):
            now = monotonic()
            first = self._refused_at.setdefault(suffix, now)
            if self._check_known and now - first >= self._policy.suffix_apart_s:
                self._unknown_until[suffix] = now + self._policy.ask_again_s
                return suffix
        return None

    def is_foreign(self, attempt: Attempt) -> bool:
        """Whether the answer is a web page, though the service has answered otherwise before."""
        return attempt.is_web_page and self._answered_plainly

    @property
    def check_known(self) -> bool:
        """Whether the service has taken a ping that every service understands."""
        return self._check_known


def without_status(ping: Ping) -> Ping:
    """A ping with an exit status, reworded without it: as success or ``/fail``."""
    return ping._replace(exit_status=None)


def _suffix(ping: Ping) -> str:
    return ping.suffix if ping.exit_status is None else _STATUS
