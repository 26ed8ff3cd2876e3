"""How long a marker's log call takes, by the state of the service; and a ping of the peers'."""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import math
import time
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from loguru import logger

from benchmarks.results import Row, Section
from benchmarks.timing import Spread, ratio, take_turns
from loghc import HealthSink
from loghc.testing import Fault, PingReceiver

__all__ = ["MARKER", "PLAIN", "marker_calls", "measure_services"]

MARKER = "loghc"
PLAIN = "a plain logger.info"

_STATES = {"well": 0.0, "slow (0.2 s)": 0.2, "hung": math.inf}  # seconds to an answer

_TAIL = 100_000  # bytes

# A peer waits for each answer, or for its own time limit: a few calls show that.
_PEER_CALLS = {"well": 50, "slow (0.2 s)": 10, "hung": 2}

_PAUSE = 0.005  # seconds before each call, as a job does something between its log lines


def marker_calls(delay: float, rounds: int = 200) -> dict[str, list[float]]:
    """Seconds for a marker and for a plain record, logged in turn to one sink with a full tail.

    Args:
        delay: seconds that the service takes to answer.
        rounds: calls of each.
    """
    with _service(delay) as receiver, contextlib.redirect_stderr(io.StringIO()):
        logger.remove()
        handler = logger.add(HealthSink(receiver.url, limit=_TAIL, drain=0.05))
        _fill(logger.info)
        logger.info("sync.log")  # the first ping imports what sends it
        time.sleep(0.3)
        seconds = take_turns(
            {
                MARKER: functools.partial(_timed, logger.info, "sync.log"),
                PLAIN: functools.partial(_timed, logger.info, "copied one more file"),
            },
            rounds,
        )
        logger.remove(handler)
    return seconds


def measure_services() -> Section:
    """How long the job waits for a ping."""
    rows = []
    for state, delay in _STATES.items():
        ours = marker_calls(delay)
        rows += [
            _row(MARKER, state, ours[MARKER], PLAIN, ratio(ours[MARKER], ours[PLAIN])),
            _row(f"{MARKER}, 99th percentile", state, [_p99(ours[MARKER])]),
            _row(PLAIN, state, ours[PLAIN]),
        ]
        for peer, ping in _PEERS.items():
            with _service(delay) as receiver:
                rows.append(_row(peer, state, ping(receiver.url, _PEER_CALLS[state])))
    return Section(
        "services",
        "A call that pings, by the state of the service",
        "100 kB of log to send. loghc: logger.info of a marker, 200 calls. The peers: one ping of "
        "theirs, 50 calls, 10 or 2; healthchecks-decorator: one run, which is two pings, no log. "
        f"Goals: under 1 ms, and 2.5 of {PLAIN}, whatever the service does.",
        rows,
    )


def _timed(function: Callable[..., object], *arguments: object) -> float:
    time.sleep(_PAUSE)
    started = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - started


def _row(
    who: str, state: str, seconds: list[float], against: str = "", share: Spread | None = None
) -> Row:
    return Row(
        f"service {state}: {who}",
        "ms",
        Spread.of(seconds).scaled(1e3),
        against,
        share,
        {"who": who, "state": state},
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


def _borgmatic(url: str, calls: int) -> list[float]:
    from borgmatic.hooks.monitoring import healthchecks, monitor

    hook, file = {"ping_url": url, "send_logs": True}, "config.yaml"
    healthchecks.initialize_monitor(hook, {}, file, logging.INFO, dry_run=False)
    logging.getLogger().addHandler(logging.NullHandler())  # borgmatic has more handlers, too
    _fill(logging.getLogger("app").info)
    ping = functools.partial(
        healthchecks.ping_monitor, hook, {}, file, monitor.State.LOG, logging.INFO, dry_run=False
    )
    try:
        return [_timed(ping) for _ in range(calls)]
    finally:
        healthchecks.destroy_monitor(hook, {}, logging.INFO, dry_run=False)


def _decorator(url: str, calls: int) -> list[float]:
    from healthchecks_decorator import healthcheck

    @healthcheck(url=url, send_start=True)
    def job() -> None:
        pass

    return [_timed(job) for _ in range(calls // 2)]


def _py_healthchecks(url: str, calls: int) -> list[float]:
    from healthchecks_io import Client

    parts = urlsplit(url)
    client = Client(ping_url=f"{parts.scheme}://{parts.netloc}/")

    def ping() -> None:
        with contextlib.suppress(Exception):  # its timeout propagates into the job
            client.success_ping(uuid=PurePosixPath(parts.path).name, data="x" * _TAIL)

    return [_timed(ping) for _ in range(calls)]


_PEERS: dict[str, Callable[[str, int], list[float]]] = {
    "borgmatic": _borgmatic,
    "healthchecks-decorator": _decorator,
    "py-healthchecks.io": _py_healthchecks,
}
