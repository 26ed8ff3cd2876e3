"""What a guard costs, and how soon it tells of a death."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.results import Row, Section
from benchmarks.timing import Spread
from loghc.testing import PingReceiver

__all__ = ["AtRest", "at_rest", "death_to_post", "first_marker", "measure_guard"]

_NAME = "loghc-guard\n"
_IMPORTS_S = 1.0  # until it has imported all that it needs
_WAITED_S = 2.0  # while the guard has nothing to do
_LONGEST_S = 30.0  # until it is there

# Logs its first start marker, prints how long that took, and waits to be killed.
_JOB = """
import os, sys, time
from loguru import logger
from loghc import HealthSink
logger.remove()
logger.add(HealthSink(os.environ["URL"], guard=sys.argv[1] == "guard"))
logger.info("copied a file")
begun = time.perf_counter()
logger.info("sync.start")
print(time.perf_counter() - begun, flush=True)
time.sleep(60)
"""


class AtRest(NamedTuple):
    """What was seen of a guard that waits.

    Attributes:
        memory: its own bytes, not those that it shares with others.
        resident: its bytes in memory in all.
        processor: seconds of processor time in ``_WAITED_S`` seconds of waiting.
    """

    memory: float
    resident: float
    processor: float


@contextlib.contextmanager
def _job(receiver: PingReceiver, way: str) -> Iterator[tuple[subprocess.Popen[str], float]]:
    """A process with an open run, and the seconds that its start took; it is killed at the end."""
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "URL": receiver.url, "PYTHONPYCACHEPREFIX": folder}
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        command = [sys.executable, "-c", _JOB, way]
        process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            yield process, float(process.stdout.readline())
        finally:
            process.kill()
            process.communicate()


def death_to_post(rounds: int = 10) -> list[float]:
    """Seconds from the death of a process that has a guard, by SIGKILL, to the ping's arrival."""
    seconds = []
    with PingReceiver() as receiver:
        for _ in range(rounds):
            receiver.clear()
            with _job(receiver, "guard") as (process, _):
                receiver.wait(1)
                _guard_of(process.pid)
                time.sleep(_IMPORTS_S)
                killed = time.time()
                process.send_signal(signal.SIGKILL)
                process.wait()  # as a shell or cron does: the kernel tells a reaped one's status
                seconds.append(receiver.wait(2)[1].time.timestamp() - killed)
    return seconds


def at_rest(rounds: int = 10) -> list[AtRest]:
    """Look at guards that wait."""
    seen = []
    with PingReceiver() as receiver:
        for _ in range(rounds):
            with _job(receiver, "guard") as (process, _):
                guard = _guard_of(process.pid)
                time.sleep(_IMPORTS_S)
                before = _processor(guard)
                time.sleep(_WAITED_S)
                processor = _processor(guard) - before
                rollup = (guard / "smaps_rollup").read_text()
                private = _bytes(rollup, "Private_Clean") + _bytes(rollup, "Private_Dirty")
                seen.append(AtRest(private, _bytes(rollup, "Rss"), processor))
    return seen


def first_marker(rounds: int = 10) -> dict[str, list[float]]:
    """Seconds that the first start marker takes its caller, without a guard and with one."""
    seconds: dict[str, list[float]] = {"no guard": [], "guard": []}
    with PingReceiver() as receiver:
        for _ in range(rounds):
            for way, values in seconds.items():
                receiver.clear()
                with _job(receiver, way) as (process, took):
                    values.append(took)
                    receiver.wait(1)
                    if way == "guard":
                        _guard_of(process.pid)  # so that it is none of the next turn's
    return seconds


def measure_guard() -> Section:
    """All of it."""
    seen = at_rest()
    rows = [
        Row("from SIGKILL to the ping", "ms", Spread.of(death_to_post()).scaled(1e3)),
        Row("the guard's memory: its own", "MB", _spread(seen, "memory", 1e-6)),
        Row("  in all", "MB", _spread(seen, "resident", 1e-6)),
        Row(f"processor time in {_WAITED_S:g} s", "ms", _spread(seen, "processor", 1e3)),
    ]
    rows += [
        Row(f"first start marker, {way}", "ms", Spread.of(values).scaled(1e3))
        for way, values in first_marker().items()
    ]
    return Section(
        "guard",
        "HealthSink(guard=True)",
        "A process with an open run, and its guard. Goals: 300 ms from death to ping on a quiet "
        "machine; no processor time while it waits; 1 ms for the caller of the first marker.",
        rows,
    )


def _spread(seen: list[AtRest], name: str, factor: float) -> Spread:
    return Spread.of([getattr(each, name) for each in seen]).scaled(factor)


def _guard_of(pid: int) -> Path:
    """The directory in ``/proc`` of the guard that holds a process's pidfd."""
    until = time.monotonic() + _LONGEST_S
    while time.monotonic() < until:
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (process / "comm").read_text() != _NAME:
                    continue
                if f"Pid:\t{pid}\n" in (process / "fdinfo/4").read_text():
                    return process
        time.sleep(0.01)
    raise TimeoutError(f"process {pid} has no guard")


def _processor(process: Path) -> float:
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _bytes(rollup: str, name: str) -> int:
    line = next(line for line in rollup.splitlines() if line.startswith(f"{name}:"))
    return 1024 * int(line.split()[1])
