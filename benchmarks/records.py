"""What one record costs, by the limit, its size, and the number of records before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from loguru import logger

from benchmarks.results import Row, Section, compared_rows
from benchmarks.sinks import (
    NOWHERE,
    KeepingSink,
    NoSink,
    borgmatic,
    floor,
    health,
    log_records,
    messages,
)
from benchmarks.timing import Case, looped, take_turns
from loghc import HealthSink
from loghc.log.tail import Tail

__all__ = ["call_case", "compared", "in_logger", "measure_calls", "measure_records"]

_LIMITS = (1_000, 10_000, 100_000, 1_000_000, 10_000_000, 50_000_000)  # bytes
_SIZES = (10, 100, 1_000, 10_000)  # bytes
_USUAL_SIZE = 110  # bytes

_FIRST = 1500  # records before all, which fill the tail
_WARM = 30  # records before those that are measured


def compared(
    limit: int,
    *,
    before: int | None = None,
    rounds: int = 100,
    size: int = _USUAL_SIZE,
    char: str = "x",
) -> dict[str, list[float]]:
    """Seconds for one record, written to each of some sinks in turn.

    Args:
        limit: bytes to keep.
        before: records written first; None: enough to fill the limit.
        rounds: how often each takes its turn.
        size: bytes of a record.
        char: what it is filled with.
    """
    given = _some(size, char)
    cases = {name: _filled(write, given, limit, before) for name, write in _writes(limit).items()}
    return take_turns(cases, rounds)


def measure_records() -> Section:
    """The cost of a record by the limit, its size, and the number of records before it."""
    rows: list[Row] = []
    for limit in _LIMITS:
        given = _some(_USUAL_SIZE)
        cases = {name: _filled(write, given, limit) for name, write in _writes(limit).items()}
        cases["borgmatic"] = _filled(borgmatic(limit), log_records(given), limit)
        rows += _rows(f"limit {limit:,}", take_turns(cases, 100), held=limit // _USUAL_SIZE)
    for size in _SIZES:
        for char in ("x", "é", "€"):
            seconds = compared(100_000, size=size, char=char)
            rows += _rows(f"{size:,} bytes of {char}", seconds, size=size, char=char)
    for before in (1_000, 10_000, 100_000, 1_000_000):
        rows += _rows(f"after {before:,}", compared(100_000, before=before), before=before)
    return Section(
        "records",
        "Cost of one record",
        "Tail.append, and HealthSink.write, which calls it and looks whether the record is a "
        "marker, with one of loguru's messages: 110 bytes of ASCII, and 100,000 bytes kept, unless "
        "a row says otherwise. The floor: a bare deque of bytes with a count. "
        "Goal: the tail at 1.15 of the floor at 100 kB, and the same at any limit.",
        rows,
    )


def in_logger(rounds: int = 200) -> dict[str, list[float]]:
    """Seconds for a whole ``logger.info`` with one handler, which each turn adds and removes."""
    sinks: dict[str, Any] = {
        "no-op sink": NoSink(),
        "floor as a method": KeepingSink(100_000),
        "loghc": HealthSink(NOWHERE),
    }

    logger.remove()
    return take_turns({name: call_case(sink, _FIRST) for name, sink in sinks.items()}, rounds)


def call_case(sink: Any, first: int, *, begin: str = "") -> Case:
    """A whole ``logger.info`` with one handler, which each turn adds and removes.

    Args:
        sink: the handler's.
        first: records before all.
        begin: a marker before those.
    """

    def run() -> float:
        handler = logger.add(sink)
        try:
            # To add a sink turns the processor's caches over: that is no part of a log call.
            for number in range(_WARM):
                _log(number)
            return timed()
        finally:
            logger.remove(handler)

    handler = logger.add(sink)
    if begin:
        logger.info(begin)
    for number in range(first):
        _log(number)
    timed = looped(_log, range(300))
    logger.remove(handler)
    return run


def measure_calls() -> Section:
    """The whole of a log call."""
    seconds = in_logger()
    return Section(
        "calls",
        "A whole logger.info",
        "One handler, loguru's default format, after the first thousand records, each of which is "
        "looked at for a near miss of a marker. Goal: 1.03 of a no-op sink.",
        compared_rows("{}", seconds, "no-op sink", unit="ns", against="a no-op sink"),
    )


def _writes(limit: int) -> dict[str, Callable[[str], None]]:
    return {
        "no-op sink": NoSink().write,
        "floor": floor(limit),
        "floor as a method": KeepingSink(limit).write,
        "loghc's tail": Tail(limit).append,
        "loghc": health(limit),
    }


def _log(number: int) -> None:
    logger.info("copied file number {}", number)


def _some(size: int, char: str = "x") -> list[str]:
    """Few enough to stay in the processor's caches, as a new record does."""
    return messages(max(4, min(32, 32_000 // size)), size, char)


def _filled(
    write: Callable[[Any], object], given: list[Any], limit: int, before: int | None = None
) -> Case:
    size = len(given[0] if isinstance(given[0], str) else given[0].msg)
    count = before if before is not None else limit // size + 1_000
    for number in range(count):
        write(given[number % len(given)])
    return looped(write, given)


def _rows(where: str, seconds: dict[str, list[float]], **at: object) -> list[Row]:
    case = f"{where}: {{}}"
    return compared_rows(case, seconds, "floor", unit="ns", against="the floor", name="sink", **at)
