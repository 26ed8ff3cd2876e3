"""What a state directory costs: a record that is kept in a ring as well, and the first marker."""

from __future__ import annotations

import tempfile
import time
from typing import Any

from loguru import logger

from benchmarks.results import Row, Section
from benchmarks.sinks import NoSink
from benchmarks.timing import Case, Spread, looped, ratio, take_turns
from loghc import HealthSink
from loghc.testing import PingReceiver

__all__ = ["first_markers", "in_logger", "measure_state"]

_LIMITS = (100_000, 10_000_000)  # bytes
_RECORD_BYTES = 60  # about
_WARM = 30
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
        return take_turns({name: _case(sink, limit) for name, sink in sinks.items()}, rounds)


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
    rows = []
    for limit in _LIMITS:
        seconds = in_logger(limit)
        rows += [
            Row(
                f"limit {limit:,}: {name}",
                "ns",
                Spread.of(values).scaled(1e9),
                "a no-op sink",
                ratio(values, seconds["no-op sink"]),
                {"sink": name, "limit": limit},
            )
            for name, values in seconds.items()
        ]
    markers = first_markers()
    rows += [
        Row(
            f"first marker: {name}",
            "ms",
            Spread.of(values).scaled(1e3),
            "loghc",
            ratio(values, markers["loghc"]),
            {"sink": name},
        )
        for name, values in markers.items()
    ]
    return Section(
        "state",
        "HealthSink(state=DIR)",
        "A whole logger.info within a run, with a full log; and the first marker, on the thread "
        "that logs it. Goals: 1.25 of a no-op sink at any limit; 1 ms.",
        rows,
    )


def _case(sink: Any, limit: int) -> Case:
    """Each turn adds and removes the sink, whose run stays open."""

    def run() -> float:
        handler = logger.add(sink)
        try:
            for number in range(_WARM):
                _log(number)
            return timed()
        finally:
            logger.remove(handler)

    handler = logger.add(sink)
    logger.info("sync.start")
    for number in range(limit // _RECORD_BYTES):
        _log(number)
    timed = looped(_log, range(300))
    logger.remove(handler)
    return run


def _log(number: int) -> None:
    logger.info("copied file number {}", number)
