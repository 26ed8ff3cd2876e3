"""The clock by which waits end."""

from __future__ import annotations

import time

__all__ = ["monotonic"]

if hasattr(time, "clock_gettime"):

    def monotonic() -> float:
        """Seconds of a clock that never goes back, nor stands still.

        Not ``time.monotonic``, which is the same: tests freeze it (freezegun does), and a wait for
        a service that can't be reached would never end.
        """
        return time.clock_gettime(time.CLOCK_MONOTONIC)

else:
    monotonic = time.monotonic
