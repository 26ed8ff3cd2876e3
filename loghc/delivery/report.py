"""What is said of a sink's pings: trouble once, plainly, and its end. Never through loguru."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from loghc.clock import monotonic
from loghc.ping import Attempt, Event, Ping
from loghc.report import report, report_debug, report_exception, report_if_seen

__all__ = ["Report"]

# Refusals of one kind of ping: that another kind is taken doesn't end such a trouble.
_OWN_TO_EVENT = frozenset({400, 404})
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
        # The troubles that were said and are not over, with the number of pings lost to each.
        self._troubles: dict[_Trouble, int] = {}
        self._left_out = 0
        self._left_out_said_at = -_SAID_AGAIN

    def clone(self) -> Report:
        """A report of the same place, with nothing said yet."""
        return Report(self._where, self._mask)

    def raised(self, what: str) -> None:
        """Something raised that is being handled; with its traceback."""
        report_exception(what, self._mask)

    def exposed(self) -> None:
        """Pings go unencrypted to a host that isn't local."""
        report_if_seen(
            f"pings to {self._where} are not encrypted: whoever is on their way can read the log "
            "and the ping URL. Use https, if the service offers it."
        )

    def retrying(self, ping: Ping, attempt: Attempt, attempts: int) -> None:
        """An attempt failed and there will be another. The first is not worth a line yet."""
        if attempts < _WORTH_SAYING:
            return
        self._once(
            _RETRYING,
            f"{_name(ping)} to {self._where} not delivered: {attempt.error}; "
            f"trying again until it is.{_advice(attempt)}",
        )

    def lost(self, ping: Ping, attempt: Attempt, *, check_known: bool) -> None:
        """The service refused a ping for good.

        Args:
            ping: which one.
            attempt: what the service answered.
            check_known: it has taken other pings for the same check.
        """
        if attempt.status in _OWN_TO_EVENT:
            attempt = attempt._replace(advice=_about_suffix(ping, check_known) or attempt.advice)
        # Not by the answer's text, which may be another each time.
        trouble = _Trouble(ping.event, attempt.status or attempt.error)
        self._once(
            trouble,
            f"{_name(ping)} to {self._where} not delivered: {attempt.error}.{_advice(attempt)}",
        )
        self._troubles[trouble] += 1

    def not_understood(self, suffixes: Sequence[str]) -> None:
        """The service turned out to know the check, but not all of the protocol."""
        news = []
        for suffix in suffixes:
            lost = self._forget(suffix)
            if not lost:
                news.append(suffix)
            elif lost > 1:  # the first was said
                report(f"the service at {self._where} does not know {suffix}: {_count(lost)} lost.")
        if news:
            consequences = [_CONSEQUENCES[suffix] for suffix in news]
            report(
                f"the service at {self._where} knows the check, but not {' nor '.join(news)}: "
                f"{', and '.join(consequences)}. events= leaves events out from the beginning."
            )

    def dropped(self, ping: Ping, capacity: int) -> None:
        """A ping made room for a newer one."""
        self._once(
            _DROPPED,
            f"{_name(ping)} to {self._where} dropped: {capacity:,} newer ones wait; "
            "more may follow, and will be counted when pings are delivered again.",
        )
        self._troubles[_DROPPED] += 1

    def left_out(self) -> None:
        """A ping leaves without its log, which made room for others."""
        self._left_out += 1

    def caught_up(self) -> None:
        """Nothing waits to be sent any more."""
        # A burst that goes on and on is no news each time that it pauses.
        if monotonic() - self._left_out_said_at > _SAID_AGAIN:
            self.stopped()

    def stopped(self) -> None:
        """The sink stopped, or caught up: how many logs were left out is said by now."""
        count, self._left_out = self._left_out, 0
        if count:
            self._left_out_said_at = monotonic()
            report(
                f"the logs of {_count(count)} to {self._where} were left out: more pings waited "
                "than logs are kept for."
            )

    def untold(self) -> None:
        """on_outcome is too slow to be told everything."""
        self._once(
            _UNTOLD, "on_outcome is too slow to be told of every outcome: the oldest are left out."
        )

    def outcome(self, ping: Ping, attempt: Attempt, attempts: int, seconds: float) -> None:
        """For who debugs: what became of a ping."""
        became = f"delivered, {attempt.status}" if attempt.delivered else f"lost: {attempt.error}"
        taken = f"attempts: {attempts}, {seconds:.2f} s"
        report_debug(f"{_name(ping)} to {self._where} {became} ({taken}).")

    def not_sent(self, ping: Ping) -> None:
        """For who debugs: a ping is not to be sent, by ``events=`` or as it is not understood."""
        report_debug(f"{_name(ping)} to {self._where} left out.")

    def delivered(self, ping: Ping) -> None:
        """A ping arrived: what trouble there was with such pings is over."""
        over = [trouble for trouble in self._troubles if trouble.ends_with(ping.event)]
        if not over:
            return
        lost = sum(self._troubles.pop(trouble, 0) for trouble in over)
        meanwhile = f"; {_count(lost)} lost meanwhile" if lost else ""
        report(f"pings to {self._where} are delivered again{meanwhile}.")

    def waiting(self, pings: int, seconds: float) -> None:
        """The app is held up while pings are delivered; what can't be is reported in the end."""
        report_if_seen(
            f"waiting at most {seconds:.0f} s more for {_count(pings)} to {self._where} "
            "to be delivered."
        )

    def undelivered(self, pings: Sequence[Ping], seconds: float, cause: str | None) -> None:
        """Pings were given up when the sink stopped."""
        events = [ping.event.value for ping in pings]
        if len(events) > _LISTED:
            events = [f"{events.count(event)} {event}" for event in dict.fromkeys(events)]
        names = ", ".join(events)
        if _RETRYING in self._troubles:
            self._troubles[_RETRYING] += len(pings)
        because = f": {cause}" if cause else ""
        report(
            f"{_count(len(pings))} ({names}) to {self._where} not delivered within "
            f"{seconds:.1f} s{because}; given up."
        )

    def _forget(self, suffix: str) -> int:
        """Count a suffix's trouble as over; how many pings were lost to it."""
        refusals = [
            trouble
            for trouble in self._troubles
            if trouble.event is not None
            and f"/{trouble.event.value}" == suffix
            and trouble.cause in _OWN_TO_EVENT
        ]
        return sum(self._troubles.pop(trouble) for trouble in refusals)

    def _once(self, trouble: _Trouble, text: str) -> None:
        if trouble not in self._troubles:
            self._troubles[trouble] = 0
            report(text)


class _Trouble(NamedTuple):
    """What is said once, until it is over.

    Attributes:
        event: whose pings are refused; None: the trouble is everybody's.
        cause: why: the status of the answer, where there was one.
    """

    event: Event | None
    cause: object

    def ends_with(self, event: Event) -> bool:
        """Whether it is over when a ping of this event is delivered."""
        return self.event is event or self.cause not in _OWN_TO_EVENT


_RETRYING = _Trouble(None, "retrying")
_DROPPED = _Trouble(None, "dropped")
_UNTOLD = _Trouble(None, "untold")
_CONSEQUENCES = {
    "/start": "no more starts are sent",
    "/log": "no more logs are sent",
    "/<status>": "a failure is sent as /fail",
}


def _about_suffix(ping: Ping, check_known: bool) -> str:  # noqa: FBT001
    """What to do about a refusal that may be about a ping's suffix alone, or an empty str."""
    if ping.event in (Event.START, Event.LOG):
        name = ping.event.value
        return (
            f"The service knows no check by this URL, or does not know /{name}: if it takes other "
            f"pings, no more {name}s are sent. events= leaves them out from the beginning."
        )
    if ping.event is Event.FAIL and check_known:
        return (
            "The service knows the check, but not /fail: a missing success is all that tells "
            "it of a failure."
        )
    return ""


def _name(ping: Ping) -> str:
    return f"{ping.event.value} ping"


def _advice(attempt: Attempt) -> str:
    return f" {attempt.advice}" if attempt.advice else ""


def _count(pings: int) -> str:
    return f"{pings} ping" + ("" if pings == 1 else "s")
