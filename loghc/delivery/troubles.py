"""Reports trouble with a sink's pings: once, plainly, and when it is over. Never through loguru."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from loghc.delivery.advice import SUFFIX_REFUSED, advice_on
from loghc.delivery.left_out import LeftOut
from loghc.delivery.policy import Policy
from loghc.delivery.words import count_of, listed, name_of
from loghc.ping import Attempt, Event, Ping
from loghc.report import Once, report, report_debug, report_exception, report_interactive

__all__ = ["Troubles"]

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
        self._given_up = 0
        self.left_to: Callable[[], str] = str  # who sends what is given up; empty: nobody
        self._left_out = LeftOut()

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
        self._left_out.dropped()
        self._once.report(
            "dropped",
            f"{name_of(ping)} to {self._where} dropped: {capacity:,} newer ones wait; "
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
        report_debug(f"{name_of(ping)} to {self._where} {became} ({taken}).")

    def not_sent(self, ping: Ping) -> None:
        """Report, in debug, that ``events=`` or the service leaves a ping out."""
        report_debug(f"{name_of(ping)} to {self._where} left out.")

    def waiting(self, pings: int, seconds: float) -> None:
        """The app is held up while pings are delivered. What can't be is reported in the end."""
        report_interactive(
            f"waiting at most {seconds:.0f} s more for {count_of(pings)} to {self._where} "
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
                f"{name_of(ping)} to {self._where} not delivered: {attempt.error}; "
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
                f"{name_of(ping)} to {self._where} not delivered: {attempt.error}."
                f"{self._advice(ping, attempt, check_known=check_known)}"
            )
        self._lost[trouble] += 1

    def unsupported(self, suffix: str) -> None:
        """The service turned out to know the check, but not all of the protocol."""
        lost = 0
        for event, cause in list(self._lost):
            if f"/{event.value}" == suffix and cause in SUFFIX_REFUSED:
                lost += self._lost.pop((event, cause))
        so_far = f" ({count_of(lost)} lost)" if lost > 1 else ""  # the first was reported
        self._once.report(
            ("unsupported", suffix),
            f"the service at {self._where} knows the check, but not {suffix}: "
            f"{_CONSEQUENCES[suffix]}{so_far}. To leave events out from the start, "
            "use events= or --events.",
        )

    def shortened(self, ping: Ping, why: str, *, too_large: bool) -> None:
        """The service took a ping only with less of its log."""
        advice = f" Lower {self._limit_name}, or have it accept larger bodies." if too_large else ""
        self._once.report(
            "shortened",
            f"{name_of(ping)} to {self._where} delivered with less of its log: {why}.{advice}",
        )

    def superseded(self, pings: Sequence[Ping]) -> None:
        """Newer pings made these void."""
        self._left_out.superseded(pings)

    def log_left_out(self) -> None:
        """A ping was sent without its log, which made room for others."""
        self._left_out.log()

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
            if event is ping.event or cause not in SUFFIX_REFUSED
        ]
        if over:
            lost = sum(self._lost.pop(each) for each in over)
            report(f"pings to {self._where} are delivered again; {count_of(lost)} lost meanwhile.")

    def over(self, *, stopped: bool = False) -> None:
        """Nothing waits to be sent any more.

        Args:
            stopped: the sink is stopped, so what was not reported yet is reported now.
        """
        if self._announced:
            if self._recovered:
                self._report_numbers()
        elif self._left_out.worth_reporting and (stopped or self._once.is_due("trouble")):
            self._report_numbers()

    def given_up(self, pings: Sequence[Ping], seconds: float, cause: str | None) -> None:
        """Pings were given up when the sink stopped."""
        because = f": {cause}" if cause else ""
        numbers = self._left_out.take()
        if self._announced:
            self._given_up += len(pings)
        report(
            f"{count_of(len(pings))} ({listed([each.event.value for each in pings])}) to "
            f"{self._where} not delivered within {seconds:.1f} s{because}; {self._fate}."
            f"{f' {numbers[0].upper()}{numbers[1:]}.' if numbers else ''}"
        )

    def _report_numbers(self) -> None:
        numbers = self._left_out.take()
        if self._announced:
            lost = f"{count_of(self._given_up)} lost meanwhile" if self._given_up else ""
            parts = filter(None, (f"pings to {self._where} are delivered again", numbers, lost))
            report(f"{'; '.join(parts)}.")
        else:
            report(f"pings to {self._where} came faster than they could be delivered: {numbers}.")
        self._announced = False
        self._given_up = 0

    def _advice(self, ping: Ping, attempt: Attempt, *, check_known: bool) -> str:
        return f" {advice_on(ping, attempt, self._limit_name, check_known=check_known)}".rstrip()
