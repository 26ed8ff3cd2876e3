"""A marker call while the service is well, slow, or hung; and the same call of the peers'."""

from __future__ import annotations

import contextlib
import io
import logging
import math
import os
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from loguru import logger

from benchmarks.results import Row, Section
from benchmarks.timing import Spread
from loghc import HealthSink
from loghc.testing import Fault, PingReceiver

__all__ = ["STATES", "marker_calls", "measure_services"]

STATES = {"well": 0.0, "slow (0.2 s)": 0.2, "hung": math.inf}
"""Seconds that the service takes to answer."""

_TAIL = 100_000  # bytes

# A peer waits for each answer, or for its own time limit: few calls are enough to see that.
_PEER_CALLS = {"well": 50, "slow (0.2 s)": 10, "hung": 2}


def marker_calls(delay: float, calls: int = 200) -> list[float]:
    """Seconds for each ``logger.info("sync.log")`` with a full tail."""
    with _service(delay) as receiver, contextlib.redirect_stderr(io.StringIO()):
        sink = HealthSink(receiver.url, limit=_TAIL, drain=0.05)
        logger.remove()
        handler = logger.add(sink)
        _fill(logger.info)
        seconds = []
        for number in range(calls):
            begun = time.perf_counter()
            logger.info("sync.log")
            seconds.append(time.perf_counter() - begun)
            logger.info("between the markers {}", number)
            time.sleep(0.005)
        logger.remove(handler)
    return seconds


def measure_services() -> Section:
    """How long the job waits for a ping."""
    rows = []
    for state, delay in STATES.items():
        ours = marker_calls(delay)
        rows += [_row("loghc", state, ours), _row("loghc, 99th percentile", state, [_p99(ours)])]
        for peer, ping in _peers():
            with _service(delay) as receiver:
                rows.append(_row(peer, state, ping(receiver.url, _PEER_CALLS[state])))
    return Section(
        "services",
        "A call that pings, by the state of the service",
        "100 kB of log to send. loghc: logger.info of a marker, 200 calls. The peers: one ping of "
        "theirs, 50 calls, 10 or 2; healthchecks-decorator: one run, which is two pings, no log. "
        "Goal: under 1 ms whatever the service does.",
        rows,
    )


def _row(who: str, state: str, seconds: list[float]) -> Row:
    return Row(
        f"service {state}: {who}",
        "ms",
        Spread.of(seconds).scaled(1e3),
        at={"who": who, "state": state},
    )


def _p99(seconds: list[float]) -> float:
    return sorted(seconds)[math.ceil(0.99 * len(seconds)) - 1]


@contextlib.contextmanager
def _service(delay: float) -> Iterator[PingReceiver]:
    with PingReceiver() as receiver:
        receiver.always(Fault(delay=delay) if delay else None)
        yield receiver


def _fill(log: Callable[[str], object]) -> None:
    for number in range(2 * _TAIL // 100):
        log(f"copied file number {number:6} of many" + 60 * "-")


def _timed(calls: int, function: Callable[[], object]) -> list[float]:
    seconds = []
    for _ in range(calls):
        begun = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - begun)
    return seconds


def _peers() -> list[tuple[str, Callable[[str, int], list[float]]]]:
    return [
        ("borgmatic", _borgmatic),
        ("healthchecks-decorator", _decorator),
        ("py-healthchecks.io", _py_healthchecks),
    ]


def _borgmatic(url: str, calls: int) -> list[float]:
    from borgmatic.hooks.monitoring import healthchecks, monitor

    hook, file = {"ping_url": url, "send_logs": True}, "config.yaml"
    healthchecks.initialize_monitor(hook, {}, file, logging.INFO, dry_run=False)
    logging.getLogger().addHandler(logging.NullHandler())  # as its app has one of its own
    _fill(logging.getLogger("app").info)

    def ping() -> None:
        healthchecks.ping_monitor(hook, {}, file, monitor.State.LOG, logging.INFO, dry_run=False)

    try:
        return _timed(calls, ping)
    finally:
        healthchecks.destroy_monitor(hook, {}, logging.INFO, dry_run=False)


def _decorator(url: str, calls: int) -> list[float]:
    from healthchecks_decorator import healthcheck

    @healthcheck(url=url, send_start=True)
    def job() -> None:
        pass

    return _timed(max(1, calls // 2), job)


def _py_healthchecks(url: str, calls: int) -> list[float]:
    from healthchecks_io import Client

    parts = urlsplit(url)
    client = Client(ping_url=f"{parts.scheme}://{parts.netloc}/")
    log = "x" * _TAIL

    def ping() -> None:
        with contextlib.suppress(Exception):  # it lets its timeout out into the job
            client.success_ping(uuid=os.path.basename(parts.path), data=log)  # noqa: PTH119

    return _timed(calls, ping)
