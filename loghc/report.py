"""What is said on standard error: trouble once, plainly, and its end. Never through loguru."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence

from loghc.ping import Attempt, Event, Ping

__all__ = ["Report", "say", "say_exception"]

_WORTH_SAYING = 2  # failed attempts for one ping: a single one heals by itself within a second


def say(text: str) -> None:
    """Write one line to standard error; no trouble there can harm the app."""
    stream = sys.stderr
    if stream is None:  # a program without a console
        return
    try:  # noqa: SIM105 - contextlib would be imported for this alone
        stream.write(f"loghc: {text}\n")
    except Exception:  # noqa: BLE001, S110 - closed, full, replaced by the app: nowhere left to say it
        pass


def say_exception(what: str) -> None:
    """Say that something of the app's own, or a bug in loghc, raised; with its traceback."""
    say(f"{what}\n{traceback.format_exc().rstrip()}")


class Report:
    """Tells the troubles of one sink's pings, each once, and when they are over.

    Args:
        where: the ping URL, masked.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._said: set[object] = set()
        self._lost = 0  # pings since the trouble began

    def renewed(self) -> Report:
        """A report of the same place, with nothing said yet."""
        return Report(self._where)

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
        self._lost += 1
        self._once(
            ("lost", attempt.status, attempt.error, ping.event is Event.LOG),
            f"{_name(ping)} to {self._where} not delivered: {attempt.error}.{_advice(attempt)}",
        )

    def dropped(self, ping: Ping, capacity: int) -> None:
        """A ping made room for a newer one."""
        self._lost += 1
        self._once(
            "dropped",
            f"{_name(ping)} to {self._where} dropped: {capacity} newer ones wait; "
            "more may follow, and will be counted when pings are delivered again.",
        )

    def delivered(self) -> None:
        """A ping arrived: if there was trouble, it is over."""
        if self._said:
            lost = f"; {_count(self._lost)} lost meanwhile" if self._lost else ""
            say(f"pings to {self._where} are delivered again{lost}.")
            self._said.clear()
            self._lost = 0

    def waiting(self, pings: int, seconds: float) -> None:
        """The app is held up while pings are delivered."""
        say(
            f"waiting at most {seconds:.0f} s more for {_count(pings)} to {self._where} "
            "to be delivered."
        )

    def undelivered(self, pings: Sequence[Ping], seconds: float, cause: str | None) -> None:
        """Pings were given up when the sink stopped."""
        names = ", ".join(ping.event.value for ping in pings)
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
