"""Throughput of several threads, beside a sink that does nothing."""

from __future__ import annotations

import threading
import time
from typing import Any

from loguru import logger

from benchmarks.results import Row, Section
from benchmarks.sinks import NOWHERE, NoSink
from benchmarks.timing import Case, Spread, ratio, take_turns
from loghc import HealthSink

__all__ = ["measure_threads", "with_threads"]

_RECORDS = 4_800


def with_threads(count: int, rounds: int = 15) -> dict[str, list[float]]:
    """Seconds for one record when `count` threads log at once."""

    def case(sink: Any) -> Case:
        def work(ready: threading.Barrier) -> None:
            ready.wait()
            for number in range(_RECORDS // count):
                logger.info("copied file number {}", number)

        def run() -> float:
            handler = logger.add(sink)
            ready = threading.Barrier(count + 1)
            workers = [threading.Thread(target=work, args=(ready,)) for _ in range(count)]
            for worker in workers:
                worker.start()
            started = time.perf_counter()
            ready.wait()
            for worker in workers:
                worker.join()
            seconds = time.perf_counter() - started
            logger.remove(handler)
            return seconds / _RECORDS

        return run

    logger.remove()
    return take_turns({"no-op sink": case(NoSink()), "loghc": case(HealthSink(NOWHERE))}, rounds)


def measure_threads() -> Section:
    """1, 4 and 16 threads."""
    rows = []
    for count in (1, 4, 16):
        seconds = with_threads(count)
        rows += [
            Row(
                f"{count} threads: {name}",
                "records/s",
                Spread.of([1 / value for value in values]),
                "a no-op sink's time",
                ratio(values, seconds["no-op sink"]),
                {"threads": count, "sink": name},
            )
            for name, values in seconds.items()
        ]
    return Section(
        "threads",
        "Throughput",
        f"{_RECORDS:,} records by 1, 4 and 16 threads at once. Goal: 1.03 of a no-op sink's time.",
        rows,
    )
