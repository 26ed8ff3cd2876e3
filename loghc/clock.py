"""The clock for all waits."""

from __future__ import annotations

import time

__all__ = ["monotonic"]

if hasattr(time, "clock_gettime"):

    def monotonic() -> float:
        """Seconds of a clock that never goes back or stands still.

        It reads the same clock as ``time.monotonic``, which tests may freeze (freezegun does): a
        wait for a service that can't be reached would never end.
        """
        return time.clock_gettime(time.CLOCK_MONOTONIC)

else:
    monotonic = time.monotonic
