"""What a service is told, and in which words: not every service knows all of the protocol."""

from __future__ import annotations

from collections.abc import Collection

from loghc.ping import Attempt, Event, Ping

__all__ = ["Vocabulary"]

_NOT_KNOWN = frozenset({400, 404})  # how services answer a suffix that they don't know
_STATUS = "/<status>"


class Vocabulary:
    """Which events a service is told, and what it was seen not to understand.

    A 404 or 400 to ``/start``, ``/log`` or ``/<status>`` says that the service knows no such check,
    or no such suffix. Once it has taken a plain ping or ``/fail``, it is known to be the suffix,
    unless it has taken that suffix before. Starts and logs then stop; a status becomes ``/fail``.

    One delivery keeps one of these for as long as it lives. Only the thread that sends uses it.

    Args:
        events: the events to send; the others are left out from the beginning.
    """

    def __init__(self, events: Collection[Event] = tuple(Event)) -> None:
        self._events = frozenset(events)
        self._check_known = False
        self._taken: set[str] = set()
        self._refused: set[str] = set()  # at a time when the check was not known to exist
        self._not_understood: set[str] = set()

    def wants(self, event: Event) -> bool:
        """Whether an event is one of those to send."""
        return event in self._events

    def worded(self, ping: Ping) -> Ping | None:
        """A ping as this service understands it; None when it understands no such ping."""
        suffix = _suffix(ping)
        if suffix not in self._not_understood:
            return ping
        return plain(ping) if suffix == _STATUS else None

    def may_lack(self, ping: Ping, attempt: Attempt) -> bool:
        """Whether a refusal may be about the suffix alone, and not about the check."""
        return (
            not attempt.delivered
            and attempt.status in _NOT_KNOWN
            and _suffix(ping) in ("/start", "/log", _STATUS)
            and _suffix(ping) not in self._taken
        )

    def learn(self, ping: Ping, attempt: Attempt) -> list[str]:
        """Take in what an answer tells.

        Returns:
            The suffixes that are now known not to be understood, and were not before.
        """
        suffix = _suffix(ping)
        if self.may_lack(ping, attempt):
            self._refused.add(suffix)
        elif attempt.delivered:
            self._taken.add(suffix)
            self._refused.discard(suffix)
            self._check_known = self._check_known or suffix in ("", "/fail")
        elif suffix == "" and attempt.status is not None:
            # The check itself is refused now. Whatever is set right may change the rest as well.
            self._check_known = False
            self._not_understood.clear()
        if not self._check_known:
            return []
        found = sorted(self._refused - self._not_understood)
        self._not_understood |= self._refused
        self._refused.clear()
        return found

    @property
    def check_known(self) -> bool:
        """Whether the service has taken a ping that every service understands."""
        return self._check_known


def plain(ping: Ping) -> Ping:
    """A ping with an exit status, told without it: as success or ``/fail``."""
    return ping._replace(exit_status=None)


def _suffix(ping: Ping) -> str:
    return ping.suffix if ping.exit_status is None else _STATUS
