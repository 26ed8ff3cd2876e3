"""What is said of a sink's pings: trouble once, plainly, and its end. Never through loguru."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from loghc.ping import Attempt, Event, Ping
from loghc.stderr import say, say_exception

__all__ = ["Report"]

_NOT_FOUND = 404
_log_unknown = object()  # the trouble of a service that takes every ping but those to /log
_WORTH_SAYING = 2  # failed attempts for one ping: a single one heals by itself within a second
_SAID_AGAIN = 60.0  # seconds between two lines about logs that were left out
_LISTED = 4  # pings that are named one by one; more of them are counted by event


class Report:
    """Tells the troubles of one sink's pings, each once, and when they are over.

    Args:
        where: the ping URL, masked.
        mask: takes secrets out of a text.
    """

    def __init__(self, where: str, mask: Callable[[str], str] = str) -> None:
        self._where = where
        self._mask = mask
        self._said: set[object] = set()
        self._lost = 0  # pings that had failed when all was well the last time
        self._left_out = 0
        self._left_out_said_at = -_SAID_AGAIN

    def clone(self) -> Report:
        """A report of the same place, with nothing said yet."""
        return Report(self._where, self._mask)

    def raised(self, what: str) -> None:
        """Something raised that is being handled; with its traceback."""
        say_exception(what, self._mask)

    def exposed(self) -> None:
        """Pings go unencrypted to a host that isn't local."""
        say(
            f"pings to {self._where} are not encrypted: whoever is on their way can read the log "
            "and the ping URL. Use https, if the service offers it."
        )

    def retrying(self, ping: Ping, attempt: Attempt, attempts: int) -> None:
        """An attempt failed and there will be another. The first is not worth a line yet."""
        if attempts < _WORTH_SAYING:
            return
        self._once(
            "retrying",
            f"{_name(ping)} to {self._where} not delivered: {attempt.error}; "
            f"trying again until it is.{_advice(attempt)}",
        )

    def lost(self, ping: Ping, attempt: Attempt) -> None:
        """The service refused a ping for good."""
        unknown = attempt.status == _NOT_FOUND and ping.event is Event.LOG
        self._once(
            # Not by the answer's text, which may be another each time.
            _log_unknown if unknown else ("lost", attempt.status or attempt.error),
            f"{_name(ping)} to {self._where} not delivered: {attempt.error}.{_advice(attempt)}",
        )

    def dropped(self, ping: Ping, capacity: int) -> None:
        """A ping made room for a newer one."""
        self._once(
            "dropped",
            f"{_name(ping)} to {self._where} dropped: {capacity:,} newer ones wait; "
            "more may follow, and will be counted when pings are delivered again.",
        )

    def left_out(self) -> None:
        """A ping leaves without its log, which made room for others."""
        self._left_out += 1

    def caught_up(self) -> None:
        """Nothing waits to be sent any more."""
        # A burst that goes on and on is no news each time that it pauses.
        if time.monotonic() - self._left_out_said_at > _SAID_AGAIN:
            self.stopped()

    def stopped(self) -> None:
        """The sink stopped, or caught up: how many logs were left out is said by now."""
        count, self._left_out = self._left_out, 0
        if count:
            self._left_out_said_at = time.monotonic()
            say(
                f"the logs of {_count(count)} to {self._where} were left out: more pings waited "
                "than logs are kept for."
            )

    def untold(self) -> None:
        """on_outcome is too slow to be told everything."""
        self._once(
            "untold", "on_outcome is too slow to be told of every outcome: the oldest are left out."
        )

    def delivered(self, ping: Ping, failed: int) -> None:
        """A ping arrived: if there was trouble, it is over.

        Args:
            ping: which one.
            failed: pings that failed so far, since the sink was made.
        """
        lasting = self._said & {_log_unknown}  # says nothing of the other pings, nor they of it
        if ping.event is Event.LOG:
            lasting = set()
        if self._said - lasting:
            lost = failed - self._lost
            meanwhile = f"; {_count(lost)} lost meanwhile" if lost else ""
            say(f"pings to {self._where} are delivered again{meanwhile}.")
            self._said = lasting
        self._lost = failed

    def waiting(self, pings: int, seconds: float) -> None:
        """The app is held up while pings are delivered."""
        say(
            f"waiting at most {seconds:.0f} s more for {_count(pings)} to {self._where} "
            "to be delivered."
        )

    def undelivered(self, pings: Sequence[Ping], seconds: float, cause: str | None) -> None:
        """Pings were given up when the sink stopped."""
        events = [ping.event.value for ping in pings]
        if len(events) > _LISTED:
            events = [f"{events.count(event)} {event}" for event in dict.fromkeys(events)]
        names = ", ".join(events)
        because = f": {cause}" if cause else ""
        say(
            f"{_count(len(pings))} ({names}) to {self._where} not delivered within "
            f"{seconds:.1f} s{because}; given up."
        )

    def _once(self, key: object, text: str) -> None:
        if key not in self._said:
            self._said.add(key)
            say(text)


def _name(ping: Ping) -> str:
    return f"{ping.event.value} ping"


def _advice(attempt: Attempt) -> str:
    return f" {attempt.advice}" if attempt.advice else ""


def _count(pings: int) -> str:
    return f"{pings} ping" + ("" if pings == 1 else "s")
