"""Timing on a noisy machine: cases take turns, and a ratio is taken within each turn."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Case", "Spread", "looped", "ratio", "ratio_of_bests", "take_turns"]

Case = Callable[[], float]
"""Does some work, and returns the seconds that one operation took."""


@dataclass(frozen=True)
class Spread:
    """A figure with its spread.

    Attributes:
        median: half of the values are below it.
        low: a tenth of the values are below it.
        high: nine tenths of the values are below it.
        best: the least value.
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
    """Run all cases in turn, round after round, each round beginning with another case.

    A machine that slows down then slows all of them. The garbage collector runs only between
    rounds.

    Returns:
        The seconds of each case, one for each round.
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


def ratio_of_bests(seconds: Sequence[float], of: Sequence[float]) -> float:
    """The same for the best rounds: other programs only ever add to the time of a process."""
    return min(seconds) / min(of)


def looped(
    function: Callable[[Any], object], values: Sequence[Any], seconds: float = 0.002
) -> Case:
    """A case that calls a function with each of some values, again and again for about `seconds`.

    A short turn is seldom interrupted: take many of them rather than long ones.
    """

    def run(passes: int) -> float:
        started = time.perf_counter()
        for _ in range(passes):
            for value in values:
                function(value)
        return (time.perf_counter() - started) / (passes * len(values))

    once = run(1)
    passes = max(1, round(seconds / (once * len(values))))
    return lambda: run(passes)
