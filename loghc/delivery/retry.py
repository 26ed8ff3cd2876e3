"""What follows a failed attempt: another one, with how much of the log, or none."""

from __future__ import annotations

from typing import NamedTuple

from loghc.clock import monotonic
from loghc.delivery.capabilities import Capabilities
from loghc.delivery.policy import Policy
from loghc.delivery.queued import Queued
from loghc.log.body import SHORTEST
from loghc.ping import Attempt

__all__ = ["LessThatPassed", "Next", "after_failure", "blames_size"]

_LOG_REFUSED = frozenset({400, 403, 413, 422})
_PROXY_STATUSES = frozenset(
    {502, 503, 504}
)  # what a proxy answers while the service behind it is away
_TOO_LARGE = 413
_PASSING_FAILURES = 3  # in a row; one more is due to the ping, or to its log
_LESS_AGAIN_FACTOR = 4  # less is tried again after this many times as many failures


class Next(NamedTuple):
    """What follows a failed attempt.

    Attributes:
        refused: no other attempt.
        pause: seconds before the next one; None: the usual ones.
        is_set_aside: others are to be tried meanwhile.
    """

    refused: bool = False
    pause: float | None = None
    is_set_aside: bool = False


def after_failure(
    queued: Queued, attempt: Attempt, capabilities: Capabilities, policy: Policy, *,
    passed: int, now: float,
) -> Next:  # fmt: skip
    """Decide what follows a failed attempt, and how much of the log the next one has.

    Args:
        queued: the ping.
        attempt: what it came to.
        capabilities: what is known of the service.
        policy: how long to try.
        passed: how many pings the service has taken in this process.
        now: the time now, in seconds of the monotonic clock.
    """
    less_is_left = _shed(queued, attempt, passed, answered=capabilities.answered)
    if not attempt.transient:
        if queued.refused_since is None:
            queued.refused_since = now
        if capabilities.answered:
            if now - queued.refused_since >= policy.refused_for_s:
                return Next(refused=True)
        elif not (attempt.status == _TOO_LARGE and less_is_left):
            if capabilities.repeated:
                return Next(refused=True)
            capabilities.repeated = True
            return Next(pause=policy.repeat_after_s)
    else:
        capabilities.repeated = False  # what was asked once more was not answered
    return Next(is_set_aside=queued.failures >= _PASSING_FAILURES and not less_is_left)


def blames_size(attempt: Attempt) -> bool:
    """Whether a body failed for its size: the next one would fail for it, too."""
    return attempt.was_sending or attempt.status == _TOO_LARGE


class LessThatPassed:
    """How much of a log a service took, where all of it was too large. It is asked again hourly.

    Args:
        ask_again_s: until all of a log is tried again.
    """

    def __init__(self, ask_again_s: float) -> None:
        self._ask_again_s = ask_again_s
        self._step = 0
        self._until = 0.0
        self._why = ""

    def leave_out(self, queued: Queued) -> str:
        """Leave out of a ping, before its first attempt, what would not pass.

        Returns:
            Why something is left out of it, if something is.
        """
        if not queued.attempts and monotonic() < self._until:
            queued.step = self._step
        return self._why if queued.shed_for is None else _why_shortened(queued.shed_for)

    def remember(self, queued: Queued, failed: Attempt) -> str:
        """Take in that a ping passed with less, after an attempt that failed; why less."""
        why = _why_shortened(failed)
        if blames_size(failed):
            self._step, self._until, self._why = (
                queued.step,
                monotonic() + self._ask_again_s,
                why,
            )
        return why


def _why_shortened(attempt: Attempt) -> str:
    """Why a ping has less of its log."""
    if attempt.was_sending:
        return "all of it could not be sent in time"
    return f"the service answered {attempt.error} to all of it"


def _shed(queued: Queued, attempt: Attempt, passed: int, *, answered: bool) -> bool:
    """Choose how much of the log the next attempt has; whether less of it is still to be tried."""
    status, body = attempt.status, queued.body
    is_fault = status is not None and status >= 500
    suspicious = attempt.was_sending or status in _LOG_REFUSED or is_fault
    steps = []
    if body is not None and suspicious:
        steps = [step for step in (1, SHORTEST) if body.shortened(step, "") is not body]
    its_own = not attempt.transient or (
        suspicious and (bool(steps) or status not in _PROXY_STATUSES)
    )
    queued.failures = queued.failures + 1 if its_own else 0
    if not steps:
        return False
    if queued.step == steps[-1]:  # less failed, too: it is not the log, as long as none passes
        queued.step, queued.shed_at, queued.less_after = (
            0,
            passed,
            _LESS_AGAIN_FACTOR * queued.failures,
        )
        return False
    if queued.step:
        queued.step = SHORTEST
        queued.shed_for = queued.shed_for or attempt
        return True
    is_due = blames_size(attempt) or queued.failures >= queued.less_after
    if queued.shed_at == passed and not is_due and (answered or attempt.transient):
        return False
    queued.shed_for = attempt
    at_once = status == _TOO_LARGE
    if passed and status not in _PROXY_STATUSES:
        # A log that is short anyway isn't given up over one hiccup of the service.
        at_once = at_once or steps[0] < SHORTEST or queued.failures > 1
    if not (at_once or answered or attempt.transient):
        queued.step = SHORTEST  # it is asked once more alone
    elif at_once or queued.failures >= _PASSING_FAILURES:
        queued.step = steps[0]
    return True
