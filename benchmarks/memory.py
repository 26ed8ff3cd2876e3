"""Memory of a full tail, and of a full queue while the service does not answer."""

from __future__ import annotations

import contextlib
import gc
import io
import math
import tracemalloc
from collections.abc import Callable

from loguru import logger

from benchmarks.results import Row, Section
from benchmarks.sinks import borgmatic, floor, health, log_records, messages
from benchmarks.timing import Spread
from loghc import HealthSink
from loghc.testing import Fault, PingReceiver

__all__ = ["measure_memory", "outage", "tail"]

_LIMIT = 100_000
_QUEUE = 32  # pings


def measure_memory() -> Section:
    """Memory as tracemalloc counts it."""

    def peer() -> object:
        emit = borgmatic(_LIMIT)
        for number in range(5_000):
            emit(log_records([f"copied file {number:6} " + 91 * "x"])[0])
        return emit

    rows = [
        _row("full tail: floor", tail(lambda: floor(_LIMIT))),
        _row("full tail: loghc", tail(health)),
        _row("full tail: borgmatic", _held(peer)),
        _row("outage, 32 pings of one log: loghc", outage(records_between=0)),
        _row("outage, 32 pings of 32 logs: loghc", outage(records_between=1_000)),
    ]
    return Section(
        "memory",
        "Memory",
        "100,000 bytes of log in records of 110 bytes, as tracemalloc counts. In an outage, the "
        "queue is full: 32 pings, each with its log.",
        rows,
    )


def tail(make: Callable[[], Callable[[str], object]] = health) -> int:
    """Bytes of memory that a sink with a full tail takes."""

    def fill() -> object:
        write = make()
        for number in range(5_000):
            write(f"copied file {number:6} " + 90 * "x" + "\n")
        return write

    return _held(fill)


def outage(records_between: int) -> int:
    """Bytes of memory that a sink and its 32 pings take while the service doesn't answer.

    Args:
        records_between: records between two markers; 1,000 replace all of the tail.
    """
    with PingReceiver() as receiver, contextlib.redirect_stderr(io.StringIO()):
        receiver.always(Fault(delay=math.inf))
        logger.remove()

        def fill() -> object:
            sink = HealthSink(receiver.url, drain=0.01)
            logger.add(sink)
            for _ in range(_QUEUE):
                for number in range(records_between):
                    logger.info(f"copied file {number:6} " + 91 * "x")
                logger.info("sync.log")
            return sink

        logger.add(HealthSink(receiver.url, drain=0.01))
        logger.info("sync.log")  # imports what sends a ping, before memory is counted
        logger.remove()
        try:
            return _held(fill)
        finally:
            logger.remove()


def _held(make: Callable[[], object]) -> int:
    messages(1)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        made = make()
        gc.collect()
        held = tracemalloc.get_traced_memory()[0] - before
        del made
    finally:
        tracemalloc.stop()
    return held


def _row(case: str, held: int) -> Row:
    return Row(case, "kB", Spread.of([held / 1000]))
