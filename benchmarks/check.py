"""The short form: fails when a goal is missed by far more than noise could do."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import jobs, memory, records, services, threads, watch
from benchmarks.results import shown
from benchmarks.timing import ratio

__all__ = ["check"]

_TRIES = 3


@dataclass(frozen=True)
class _Bar:
    """A figure that must not exceed a bar, twice its goal or so; the best of some tries counts."""

    what: str
    goal: float
    bar: float
    measure: Callable[[], float | None]


def _beside_the_floor() -> float:
    seconds = records.compared(100_000, rounds=15)
    return ratio(seconds["loghc"], seconds["floor"]).median


def _flat_in_limit() -> float:
    small, large = (records.compared(limit, rounds=8) for limit in (10_000, 10_000_000))
    return min(large["loghc"]) / min(small["loghc"])


def _flat_in_records() -> float:
    few, many = (records.compared(100_000, before=count, rounds=8) for count in (1_000, 1_000_000))
    return min(many["loghc"]) / min(few["loghc"])


def _whole_call() -> float:
    seconds = records.in_logger(rounds=30)
    return ratio(seconds["loghc"], seconds["no-op sink"]).median


def _marker_while_hung() -> float:
    return statistics.median(services.marker_calls(math.inf, 60)) * 1e3


def _import() -> float:
    return min(jobs.added_by_import(rounds=10)["loghc"]) * 1e3


def _short_job() -> float | None:
    return jobs.share_of_requests(jobs.run_jobs(rounds=5).cpu)


def _deaths() -> list[float]:
    return [1e3 * seconds for seconds in watch.death_to_post(rounds=5)]


def _four_threads() -> float:
    seconds = threads.with_threads(4, rounds=8)
    return ratio(seconds["loghc"], seconds["no-op sink"]).median


_BARS = (
    _Bar("a record, of the floor", 1.25, 2.5, _beside_the_floor),
    _Bar("a record at 10 MB, of one at 10 kB", 1.0, 2.0, _flat_in_limit),
    _Bar("a record after 1,000,000, of one after 1,000", 1.0, 2.0, _flat_in_records),
    _Bar("logger.info, of one to a no-op sink", 1.03, 1.25, _whole_call),
    _Bar("a marker while the service hangs, ms", 1.0, 2.0, _marker_while_hung),
    _Bar("import loghc after loguru, ms", 10.0, 20.0, _import),
    # Below the 0.9 or so that importing urllib3 for a ping would cost.
    _Bar("processor time for a job, of what requests adds", 0.5, 0.8, _short_job),
    _Bar("loghc run adds to an empty script, ms", 150, 300, watch.added_to_empty_script),
    _Bar("from a program's SIGKILL to the ping, ms", 100, 200, lambda: min(_deaths())),
    _Bar("4 threads, time of a no-op sink", 1.03, 1.6, _four_threads),
    _Bar("memory for a full tail of 100 kB, kB", 150, 250, lambda: memory.tail() / 1e3),
    _Bar(
        "memory in an outage, kB", 4_000, 8_000, lambda: memory.outage(records_between=1_000) / 1e3
    ),
)


def check() -> bool:
    """Measure each figure, at most three times, until it is within its bar.

    Returns:
        Whether all are.
    """
    good = True
    for bar in _BARS:
        best = math.inf
        for _ in range(_TRIES):
            value = bar.measure()
            if value is None:
                break
            best = min(best, value)
            if best <= bar.bar:
                break
        skipped = math.isinf(best)
        missed = not skipped and best > bar.bar
        good = good and not missed
        verdict = "skipped: no requests here" if skipped else "MISSED" if missed else "ok"
        print(
            f"{bar.what:48} {'' if skipped else shown(best):>8}   "
            f"goal {bar.goal:g}, bar {bar.bar:g}   {verdict}",
            flush=True,
        )
    return good
