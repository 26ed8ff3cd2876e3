"""The short form, for the gate: fails when a figure misses its goal by more than noise can do."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import guard, jobs, memory, records, services, state, threads, watch
from benchmarks.results import shown
from benchmarks.timing import ratio, ratio_of_bests

__all__ = ["check"]

_TRIES = 3


@dataclass(frozen=True)
class _Bar:
    """A figure that must not exceed its bar; of some tries the best counts.

    Attributes:
        what: the figure, in words.
        goal: what the full run is to show on a quiet machine.
        bar: what is demanded here, where other programs may take the processor at any time.
        measure: returns the figure.
    """

    what: str
    goal: float
    bar: float
    measure: Callable[[], float]


def _record_against_floor() -> float:
    seconds = records.compared(100_000, rounds=100)
    return ratio(seconds["loghc's tail"], seconds["floor"]).median


def _record_at_large_limit() -> float:
    small, large = (records.compared(limit, rounds=10) for limit in (10_000, 10_000_000))
    return ratio_of_bests(large["loghc"], small["loghc"])


def _record_after_many() -> float:
    few, many = (records.compared(100_000, before=n, rounds=10) for n in (1_000, 1_000_000))
    return ratio_of_bests(many["loghc"], few["loghc"])


def _whole_call() -> float:
    seconds = records.in_logger(rounds=100)
    return ratio(seconds["loghc"], seconds["no-op sink"]).median


def _marker_against_plain(delay: float) -> float:
    seconds = services.marker_calls(delay, rounds=80)
    return ratio(seconds[services.MARKER], seconds[services.PLAIN]).median


def _marker_while_hung() -> float:
    seconds = services.marker_calls(math.inf, rounds=60)
    return statistics.median(seconds[services.MARKER]) * 1e3


def _call_with_state(limit: int) -> float:
    seconds = state.in_logger(limit, rounds=60)
    return ratio(seconds["loghc, state=DIR"], seconds["no-op sink"]).median


def _first_marker() -> float:
    return statistics.median(state.first_markers(rounds=10)["loghc, state=DIR"]) * 1e3


def _guarded_marker() -> float:
    return statistics.median(guard.first_marker(rounds=10)["guard"]) * 1e3


def _import() -> float:
    return min(jobs.added_by_import(rounds=10)["loghc"]) * 1e3


def _short_job() -> float:
    seconds = jobs.run_jobs((jobs.LOGHC_UNMASKED, jobs.URLLIB3), rounds=20).elapsed
    return ratio(seconds[jobs.LOGHC_UNMASKED], seconds[jobs.URLLIB3]).median


def _masking_in_a_short_job() -> float:
    seconds = jobs.run_jobs((jobs.LOGHC, jobs.LOGHC_UNMASKED), rounds=10).elapsed
    return ratio(seconds[jobs.LOGHC], seconds[jobs.LOGHC_UNMASKED]).median


def _deaths() -> list[float]:
    return [1e3 * seconds for seconds in watch.death_to_post(rounds=5)]


def _guarded_death() -> float:
    return 1e3 * statistics.median(guard.death_to_post(rounds=3))


def _four_threads() -> float:
    seconds = threads.with_threads(4, rounds=8)
    return ratio(seconds["loghc"], seconds["no-op sink"]).median


_BARS = (
    _Bar("a record in the tail at 100 kB, of a bare deque's", 1.15, 1.3, _record_against_floor),
    _Bar("a record at 10 MB, of one at 10 kB", 1.0, 2.0, _record_at_large_limit),
    _Bar("a record after 1,000,000, of one after 1,000", 1.0, 2.0, _record_after_many),
    _Bar("logger.info, of one to a no-op sink", 1.03, 1.15, _whole_call),
    _Bar("a marker, of a plain logger.info", 2.5, 3.5, lambda: _marker_against_plain(0)),
    _Bar("the same while the service hangs", 2.5, 3.5, lambda: _marker_against_plain(math.inf)),
    _Bar("a marker while the service hangs, ms", 1.0, 2.0, _marker_while_hung),
    _Bar("logger.info with state=DIR, of a no-op", 1.25, 1.5, lambda: _call_with_state(100_000)),
    _Bar("the same at 10 MB", 1.25, 1.5, lambda: _call_with_state(10_000_000)),
    _Bar("the first marker with state=DIR, ms", 1.0, 5.0, _first_marker),
    _Bar("the first start marker with guard=True, ms", 1.0, 5.0, _guarded_marker),
    _Bar("import loghc after loguru, ms", 10.0, 35.0, _import),
    _Bar("a short job unmasked, of urllib3 on a thread", 1.10, 1.30, _short_job),
    _Bar("a short job, of the same unmasked", 1.10, 1.40, _masking_in_a_short_job),
    _Bar("loghc run adds to an empty script, ms", 150, 500, watch.added_to_empty_script),
    _Bar("from a program's SIGKILL to the ping, ms", 100, 300, lambda: min(_deaths())),
    _Bar("from a guarded SIGKILL to the ping, ms", 300, 1500, _guarded_death),
    _Bar("4 threads, time of a no-op sink", 1.03, 1.6, _four_threads),
    _Bar("memory for a full tail of 100 kB, kB", 150, 250, lambda: memory.tail() / 1e3),
    _Bar(
        "memory in an outage, kB", 4_000, 8_000, lambda: memory.outage(records_between=1_000) / 1e3
    ),
)


def check() -> bool:
    """Measure each figure, at most three times, until it is within its bar.

    Returns:
        All of them are.
    """
    passed = True
    for bar in _BARS:
        best = math.inf
        for _ in range(_TRIES):
            best = min(best, bar.measure())
            if best <= bar.bar:
                break
        within = best <= bar.bar
        passed = passed and within
        print(
            f"{bar.what:48} {shown(best):>8}   "
            f"goal {bar.goal:g}, bar {bar.bar:g}   {'ok' if within else 'MISSED'}",
            flush=True,
        )
    return passed
