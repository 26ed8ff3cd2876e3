"""When sending has to end."""

from __future__ import annotations

import math

from loghc.clock import monotonic

__all__ = ["ClosingTime"]


class ClosingTime:
    """When a courier has to be done.

    Args:
        at: a moment of the monotonic clock; infinity: never.
        within: another closing time, no later than which this one is.
    """

    def __init__(self, at: float = math.inf, within: ClosingTime | None = None) -> None:
        self._at = at
        self._within = within

    @property
    def at(self) -> float:
        """The moment of the monotonic clock."""
        return self._at if self._within is None else min(self._at, self._within.at)

    @property
    def left(self) -> float:
        """Seconds until then, 0 or less when it has passed."""
        return self.at - monotonic()

    @property
    def over(self) -> bool:
        """Whether it has passed."""
        return self.left <= 0

    @property
    def known(self) -> bool:
        """Whether it will come."""
        return self.at < math.inf

    @property
    def abandoned(self) -> bool:
        """Whether what is still done counts no more."""
        return self.at == -math.inf

    def bring_forward(self, at: float) -> None:
        """Make it this moment, if that is earlier."""
        self._at = min(self._at, at)

    def abandon(self) -> None:
        """Let nothing count from now on."""
        self._at = -math.inf
