"""What a state directory costs: a record that is kept in a ring as well, and the first marker."""

from __future__ import annotations

import tempfile
import time
from typing import Any

from loguru import logger

from benchmarks.records import call_case
from benchmarks.results import Row, Section, compared_rows
from benchmarks.sinks import NoSink
from benchmarks.timing import Case, take_turns
from loghc import HealthSink
from loghc.testing import PingReceiver

__all__ = ["first_markers", "in_logger", "measure_state"]

_LIMITS = (100_000, 10_000_000)  # bytes
_RECORD_BYTES = 60  # about
_PAUSE_S = 0.2  # until what the last sink left to do is done


def in_logger(limit: int, rounds: int = 100) -> dict[str, list[float]]:
    """Seconds for a whole ``logger.info`` within a run, with a full log.

    Args:
        limit: bytes of log to keep.
        rounds: how often each sink takes its turn.
    """
    logger.remove()
    with PingReceiver() as receiver, tempfile.TemporaryDirectory() as state:
        sinks = {
            "no-op sink": NoSink(),
            "loghc": HealthSink(receiver.url, limit=limit),
            "loghc, state=DIR": HealthSink(receiver.url, limit=limit, state=state),
        }
        count = limit // _RECORD_BYTES
        cases = {name: call_case(sink, count, begin="sync.start") for name, sink in sinks.items()}
        return take_turns(cases, rounds)


def first_markers(rounds: int = 20) -> dict[str, list[float]]:
    """Seconds for the first marker of a sink, which makes its entry, beside one without."""

    def case(**options: Any) -> Case:
        def run() -> float:
            sink = HealthSink(receiver.url, **options)
            handler = logger.add(sink)
            time.sleep(_PAUSE_S)
            started = time.perf_counter()
            logger.info("sync.start")
            seconds = time.perf_counter() - started
            logger.info("sync.done")
            logger.remove(handler)
            return seconds

        return run

    logger.remove()
    with PingReceiver() as receiver, tempfile.TemporaryDirectory() as state:
        cases = {"loghc": case(), "loghc, state=DIR": case(state=state)}
        for each in cases.values():
            each()  # imports what sends, and makes what is made once
        return take_turns(cases, rounds)


def measure_state() -> Section:
    """The cost of a record and of the first marker with a state directory."""
    rows: list[Row] = []
    for limit in _LIMITS:
        seconds = in_logger(limit)
        case = f"limit {limit:,}: {{}}"
        rows += compared_rows(
            case, seconds, "no-op sink", unit="ns", against="a no-op sink", name="sink", limit=limit
        )
    rows += compared_rows("first marker: {}", first_markers(), "loghc", unit="ms", name="sink")
    return Section(
        "state",
        "HealthSink(state=DIR)",
        "A whole logger.info within a run, with a full log; and the first marker, on the thread "
        "that logs it. Goals: 1.25 of a no-op sink at any limit; 1 ms.",
        rows,
    )
