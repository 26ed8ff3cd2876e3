"""The attempts for one ping."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple, Protocol

from loghc.ping import Attempt

__all__ = ["Backoff", "Timing", "deliver"]


class Backoff(NamedTuple):
    """How long to wait between the attempts for one ping.

    Attributes:
        first: seconds before the second attempt, at most.
        factor: by which each wait exceeds the one before.
        cap: seconds that no wait exceeds, a ``Retry-After`` included.
    """

    first: float = 0.5
    factor: float = 2.0
    cap: float = 60.0

    def wait(self, attempts: int, retry_after: float | None) -> float:
        """Seconds to wait after this many attempts, with jitter: half of it is random."""
        # The exponent is bounded: after a week of outage a float would overflow.
        longest = min(self.cap, self.first * self.factor ** min(attempts - 1, 64))
        # Not the random module: importing it takes longer than importing all of loghc.
        seconds = longest * (1 + os.urandom(1)[0] / 255) / 2
        return seconds if retry_after is None else min(self.cap, max(seconds, retry_after))


class Timing(Protocol):
    """How much time the attempts may take."""

    def for_attempt(self) -> float:
        """Seconds for the next attempt; 0 or less when there is no time for another."""

    def pause(self, seconds: float) -> None:
        """Wait that long, or until there is a reason to wait no longer."""


def deliver(
    send: Callable[[float], Attempt],
    backoff: Backoff,
    timing: Timing,
    failed: Callable[[Attempt], None],
) -> Attempt | None:
    """Send until the service takes the ping, refuses it for good, or the time is over.

    Args:
        send: makes an attempt within this many seconds.
        backoff: the pauses.
        timing: the time for attempts and pauses.
        failed: told of each attempt after which there may be another.

    Returns:
        The attempt that decided; None when the time was over first.
    """
    attempts = 0
    while (seconds := timing.for_attempt()) > 0:
        attempt = send(seconds)
        attempts += 1
        if attempt.delivered or not attempt.transient:
            return attempt
        failed(attempt)
        timing.pause(backoff.wait(attempts, attempt.retry_after))
    return None
