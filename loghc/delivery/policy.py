"""How patient a delivery is."""

from __future__ import annotations

import os
from typing import NamedTuple

__all__ = ["Backoff", "Policy"]


class Backoff(NamedTuple):
    """How long to wait between attempts.

    Attributes:
        first: seconds before the second attempt, at most.
        factor: how many times as long each wait is as the one before.
        cap: the longest wait in seconds, also for a ``Retry-After``.
    """

    first: float = 0.5
    factor: float = 2.0
    cap: float = 60.0

    def wait(self, failures: int, retry_after: float | None = None) -> float:
        """Seconds to wait after this many failures in a row, with jitter: half of it is random."""
        # The exponent is bounded: after a week-long outage a float would overflow.
        longest = min(self.cap, self.first * self.factor ** min(failures - 1, 64))
        # Not the random module: importing it takes longer than importing all of loghc.
        seconds = longest * (1 + os.urandom(1)[0] / 255) / 2
        return seconds if retry_after is None else min(self.cap, max(seconds, retry_after))


class Policy(NamedTuple):
    """How patient a delivery is.

    Attributes:
        backoff: the pauses between attempts.
        max_backoff_at_exit_s: the longest pause, while the app waits.
        overloaded_after_s: trouble begins when the oldest ping has waited this long.
        repeat_after_s: until a check that never answered is tried once more.
        refused_for_s: how long a check that did answer may refuse a ping before it is dropped.
        suffix_apart_s: between two refusals that show that the service doesn't know a suffix.
        ask_again_s: until the service is tried again with what it did not know or take.
        late_after_s: a ping sent later than this says when it happened.
        quiet_s: between the first two reports of one kind of trouble; then twice as long each time.
        longest_quiet_s: the most that this grows to.
    """

    backoff: Backoff = Backoff()
    max_backoff_at_exit_s: float = 0.5
    overloaded_after_s: float = 10.0
    repeat_after_s: float = 2.0
    refused_for_s: float = 300.0
    suffix_apart_s: float = 60.0
    ask_again_s: float = 3600.0
    late_after_s: float = 60.0
    quiet_s: float = 300.0
    longest_quiet_s: float = 3600.0
