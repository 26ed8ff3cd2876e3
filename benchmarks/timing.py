"""Timing for a noisy machine: cases take turns, and ratios come from the same turn."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Case", "Spread", "looped", "ratio", "take_turns"]

Case = Callable[[], float]
"""Does its work once, and returns the seconds that one operation took."""


@dataclass(frozen=True)
class Spread:
    """A figure with its spread.

    Attributes:
        median: half of the values are below it.
        low: a tenth of the values are below it.
        high: nine tenths are below it.
        best: the least.
    """

    median: float
    low: float
    high: float
    best: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of some values, one or more."""
        ordered = sorted(values)
        last = len(ordered) - 1
        return cls(
            statistics.median(ordered),
            ordered[round(0.1 * last)],
            ordered[round(0.9 * last)],
            ordered[0],
        )

    def scaled(self, factor: float) -> Spread:
        """The same in another unit."""
        return Spread(
            self.median * factor, self.low * factor, self.high * factor, self.best * factor
        )


def take_turns(cases: Mapping[str, Case], rounds: int) -> dict[str, list[float]]:
    """Run all cases in turn, round after round, beginning with another one each time.

    A machine that slows down, for a second or for good, so slows all of them. The garbage
    collector runs between the rounds alone.

    Returns:
        For each case its seconds, one for each round.
    """
    names = list(cases)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        for turn in range(rounds):
            shift = turn % len(names)
            for name in names[shift:] + names[:shift]:
                seconds[name].append(cases[name]())
            if turn % 10 == 9:
                gc.collect()
    finally:
        if was_enabled:
            gc.enable()
    return seconds


def ratio(seconds: Sequence[float], of: Sequence[float]) -> Spread:
    """How many times as long something took as its counterpart, round by round."""
    return Spread.of([ours / theirs for ours, theirs in zip(seconds, of, strict=True)])


def looped(
    function: Callable[[Any], object], values: Sequence[Any], seconds: float = 0.004
) -> Case:
    """A case that calls a function with each of the values, over and over for about this long."""

    def run(passes: int) -> float:
        begun = time.perf_counter()
        for _ in range(passes):
            for value in values:
                function(value)
        return (time.perf_counter() - begun) / (passes * len(values))

    once = run(1)
    passes = max(1, round(seconds / (once * len(values))))
    return lambda: run(passes)
