"""Reports trouble with a sink's pings: once, plainly, and when it is over. Never through loguru."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from loghc.delivery.policy import Policy
from loghc.delivery.tally import Tally
from loghc.ping import Attempt, Event, Ping
from loghc.report import Once, report, report_debug, report_exception, report_interactive

__all__ = ["Troubles"]

_REFUSED = frozenset({400, 404})  # refusals of one kind of ping
_TOO_LARGE = 413
_LISTED = 4  # pings that are named one by one; more of them are counted by event
_CONSEQUENCES = {
    "/start": "no more starts are sent",
    "/log": "no more logs are sent",
    "/<status>": "a failure is sent as /fail",
}


class Troubles:
    """Reports trouble with one sink's pings, each kind once, and when it is over.

    What it remembers belongs to the thread that sends, or to the one that takes over. Methods that
    other threads may call are marked.

    Args:
        where: the ping URL, masked.
        mask: takes secrets out of a text.
        limit_name: what a user calls the limit for a body.
        policy: how long to be quiet about what was reported.
    """

    def __init__(
        self,
        where: str,
        mask: Callable[[str], str] = str,
        limit_name: str = "limit",
        policy: Policy = Policy(),  # noqa: B008 - a tuple
    ) -> None:
        self._where = where
        self._mask = mask
        self._limit_name = limit_name
        self._policy = policy
        self._once = Once(policy.quiet_s, policy.longest_quiet_s)
        self._once_ever = Once()
        self._announced = False  # that pings are not delivered
        self._recovered = True  # some was, since
        self._lost: Counter[tuple[Event, int | str | None]] = Counter()
        self._superseded: Counter[str] = Counter()  # by event, since that was last reported
        self._given_up = 0
        self.left_to: Callable[[], str] = str  # who sends what is given up; empty: nobody
        self._dropped = Tally()
        self._dropped_reported = 0
        self._logs_left_out = 0

    @property
    def _fate(self) -> str:
        left_to = self.left_to()
        return f"left to {left_to}" if left_to else "given up"

    def clone(self) -> Troubles:
        """The same for a forked child, with nothing reported yet."""
        other = Troubles(self._where, self._mask, self._limit_name, self._policy)
        other.left_to = self.left_to
        return other

    # What any thread may call.

    def raised(self, what: str) -> None:
        """Report the exception being handled, with its traceback."""
        report_exception(what, self._mask)

    def exposed(self) -> None:
        """Pings go unencrypted to a host that isn't local."""
        report_interactive(
            f"pings to {self._where} are not encrypted: anyone on the way can read the log "
            "and the ping URL. Use https if the service offers it."
        )

    def outcomes_dropped(self) -> None:
        """on_outcome is too slow to be called with every outcome."""
        self._once_ever.report(
            "outcomes", "on_outcome is too slow: the oldest outcomes are dropped."
        )

    def dropped(self, ping: Ping, capacity: int) -> None:
        """A ping made room for a newer one."""
        self._dropped.add()
        self._once.report(
            "dropped",
            f"{_name(ping)} to {self._where} dropped: {capacity:,} newer ones wait; "
            "more may follow, and will be counted when pings are delivered again.",
        )

    def outcome(self, ping: Ping, attempt: Attempt, attempts: int, seconds: float) -> None:
        """Report what became of a ping, in debug."""
        became = f"lost: {attempt.error}"
        if attempt.delivered:
            became = f"delivered, {attempt.status}"
        elif attempt.superseded:
            became = "superseded"
        taken = f"attempts: {attempts}, {seconds:.2f} s"
        report_debug(f"{_name(ping)} to {self._where} {became} ({taken}).")

    def not_sent(self, ping: Ping) -> None:
        """Report, in debug, that ``events=`` or the service leaves a ping out."""
        report_debug(f"{_name(ping)} to {self._where} left out.")

    def waiting(self, pings: int, seconds: float) -> None:
        """The app is held up while pings are delivered. What can't be is reported in the end."""
        report_interactive(
            f"waiting at most {seconds:.0f} s more for {_count(pings)} to {self._where} "
            "to be delivered."
        )

    # What goes wrong.

    def retrying(self, ping: Ping, attempt: Attempt, *, check_known: bool = False) -> None:
        """Attempts fail, and will be repeated.

        Args:
            ping: which one.
            attempt: the last of them.
            check_known: the service has taken other pings for the same check.
        """
        if not self._announced and self._once.is_due("trouble"):
            self._announced, self._recovered = True, False
            report(
                f"{_name(ping)} to {self._where} not delivered: {attempt.error}; "
                f"trying again until it is.{self._advice(ping, attempt, check_known=check_known)}"
            )

    def refused(self, ping: Ping, attempt: Attempt, *, check_known: bool) -> None:
        """The service refused a ping for good.

        Args:
            ping: which one.
            attempt: what the service answered.
            check_known: it has taken other pings for the same check.
        """
        # Not by the answer's text, which may differ each time.
        trouble = ping.event, attempt.status or attempt.error
        if self._once.is_due(trouble):
            report(
                f"{_name(ping)} to {self._where} not delivered: {attempt.error}."
                f"{self._advice(ping, attempt, check_known=check_known)}"
            )
        self._lost[trouble] += 1

    def unsupported(self, suffix: str) -> None:
        """The service turned out to know the check, but not all of the protocol."""
        lost = 0
        for event, cause in list(self._lost):
            if f"/{event.value}" == suffix and cause in _REFUSED:
                lost += self._lost.pop((event, cause))
        so_far = f" ({_count(lost)} lost)" if lost > 1 else ""  # the first was reported
        self._once.report(
            ("unsupported", suffix),
            f"the service at {self._where} knows the check, but not {suffix}: "
            f"{_CONSEQUENCES[suffix]}{so_far}. events= leaves events out from the start.",
        )

    def shortened(self, ping: Ping, why: str, *, too_large: bool) -> None:
        """The service took a ping only with less of its log."""
        advice = f" Lower {self._limit_name}, or have it accept larger bodies." if too_large else ""
        self._once.report(
            "shortened",
            f"{_name(ping)} to {self._where} delivered with less of its log: {why}.{advice}",
        )

    def superseded(self, pings: Sequence[Ping]) -> None:
        """Newer pings made these void."""
        self._superseded.update(each.event.value for each in pings)

    def logs_left_out(self, pings: int) -> None:
        """This many pings are sent without their logs, which made room for others."""
        self._logs_left_out += pings

    def more_failures(self, failures: int) -> None:
        """This many failures are counted in another one."""
        self._once.report(
            "more failures",
            f"{failures} more failures wait for {self._where}: they are counted in the next one.",
        )

    # How it ends.

    def delivered(self, ping: Ping) -> None:
        """A ping was delivered: such pings are no longer refused."""
        self._recovered = True
        over = [
            (event, cause)
            for event, cause in self._lost
            if event is ping.event or cause not in _REFUSED
        ]
        if over:
            lost = sum(self._lost.pop(each) for each in over)
            report(f"pings to {self._where} are delivered again; {_count(lost)} lost meanwhile.")

    def over(self, *, stopped: bool = False) -> None:
        """Nothing waits to be sent any more.

        Args:
            stopped: the sink is stopped, so what was not reported yet is reported now.
        """
        # A few pings are void after a single failed attempt.
        many = self._superseded.total() > _LISTED or self._logs_left_out or self._newly_dropped
        if self._announced:
            if self._recovered:
                self._report_numbers()
        elif many and (stopped or self._once.is_due("trouble")):
            self._report_numbers()

    def given_up(self, pings: Sequence[Ping], seconds: float, cause: str | None) -> None:
        """Pings were given up when the sink stopped."""
        because = f": {cause}" if cause else ""
        numbers = self._take_numbers()
        if self._announced:
            self._given_up += len(pings)
        report(
            f"{_count(len(pings))} ({_listed([each.event.value for each in pings])}) to "
            f"{self._where} not delivered within {seconds:.1f} s{because}; {self._fate}."
            f"{f' {numbers[0].upper()}{numbers[1:]}.' if numbers else ''}"
        )

    @property
    def _numbers(self) -> str:
        """What was left out since the last report, in words."""
        parts = []
        if self._superseded:
            names = _listed(list(self._superseded.elements()))
            parts.append(f"{_count(self._superseded.total())} superseded by newer ones ({names})")
        if self._newly_dropped:
            parts.append(f"{_count(self._newly_dropped)} dropped")
        if self._logs_left_out:
            parts.append(f"the logs of {_count(self._logs_left_out)} left out")
        return ", ".join(parts)

    @property
    def _newly_dropped(self) -> int:
        return int(self._dropped) - self._dropped_reported

    def _take_numbers(self) -> str:
        numbers = self._numbers
        self._superseded = Counter()
        self._dropped_reported = int(self._dropped)
        self._logs_left_out = 0
        return numbers

    def _report_numbers(self) -> None:
        numbers = self._take_numbers()
        if self._announced:
            lost = f"{_count(self._given_up)} lost meanwhile" if self._given_up else ""
            parts = filter(None, (f"pings to {self._where} are delivered again", numbers, lost))
            report(f"{'; '.join(parts)}.")
        else:
            report(f"pings to {self._where} came faster than they could be delivered: {numbers}.")
        self._announced = False
        self._given_up = 0

    def _advice(self, ping: Ping, attempt: Attempt, *, check_known: bool) -> str:
        advice = attempt.advice
        if attempt.status == _TOO_LARGE:
            advice = f"Lower {self._limit_name}."
        elif attempt.status in _REFUSED:
            advice = _about_suffix(ping, check_known=check_known) or advice
        return f" {advice}".rstrip()


def _about_suffix(ping: Ping, *, check_known: bool) -> str:
    """What to do about a refusal that may be about a ping's suffix alone, or an empty str."""
    if ping.event in (Event.START, Event.LOG):
        name = ping.event.value
        return (
            f"The service knows no check by this URL, or does not know /{name}: if it takes other "
            f"pings, no more {name}s are sent. events= leaves them out from the start."
        )
    if not check_known:
        return ""
    if ping.event is Event.FAIL:
        return (
            "The service has taken other pings of this check: it doesn't know /fail, and a missing "
            "success is its only sign of a failure, or the check was deleted."
        )
    return "The service has taken other pings of this check: it may have been deleted."


def _name(ping: Ping) -> str:
    return f"{ping.event.value} ping"


def _listed(events: Sequence[str]) -> str:
    """Events by name, or counted if there are many."""
    if len(events) > _LISTED:
        counts = Counter(events)
        return ", ".join(f"{count} {event}" for event, count in counts.items())
    return ", ".join(events)


def _count(pings: int) -> str:
    return f"{pings} ping" + ("" if pings == 1 else "s")
