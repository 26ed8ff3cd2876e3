"""A whole short job as a process, and what an import costs."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks.results import Row, Section
from benchmarks.timing import Spread, ratio, take_turns
from loghc.testing import PingReceiver

__all__ = [
    "Jobs",
    "added_by_import",
    "measure_imports",
    "measure_jobs",
    "run_jobs",
    "share_of_requests",
]

_WORK = """
from loguru import logger
logger.remove()
class Nowhere:
    def write(self, message):
        pass
logger.add(Nowhere())
{begin}
for number in range(1000):
    logger.info("copied file number {{}}", number)
{end}
"""

_JOBS = {
    "no pings": _WORK.format(begin="", end=""),
    "loghc": _WORK.format(
        begin="""
import sys
from loghc import HealthSink
logger.add(HealthSink(sys.argv[1]))
logger.info("sync.start")
""",
        end='logger.info("sync.done")',
    ),
    # What the import of urllib3 alone takes from a job, though it is out of the job's way.
    "bare urllib3 on a thread": _WORK.format(
        begin="""
import sys, uuid, collections, queue, threading
lines, url, rid = collections.deque(maxlen=1000), sys.argv[1], str(uuid.uuid4())
logger.add(lambda message: lines.append(str(message)))
pings = queue.SimpleQueue()
def deliver():
    import urllib3
    with urllib3.PoolManager() as pool:
        while (ping := pings.get()) is not None:
            pool.request("POST", f"{ping[0]}?rid={rid}", body=ping[1], timeout=10)
thread = threading.Thread(target=deliver)
thread.start()
logger.info("sync.start")
pings.put((url + "/start", "".join(lines).encode()))
""",
        end="""
logger.info("sync.done")
pings.put((url, "".join(lines).encode()))
pings.put(None)
thread.join()
""",
    ),
    "requests": _WORK.format(
        begin="""
import sys, uuid, collections, requests
lines, url, rid = collections.deque(maxlen=1000), sys.argv[1], str(uuid.uuid4())
logger.add(lambda message: lines.append(str(message)))
logger.info("sync.start")
requests.post(url + "/start", params={"rid": rid}, data="".join(lines).encode(), timeout=10)
""",
        end="""
logger.info("sync.done")
requests.post(url, params={"rid": rid}, data="".join(lines).encode(), timeout=10)
""",
    ),
}

# Starts a job from a process smaller than the job: on Linux a child's peak counts its parent's.
_TIMER = """
import os, sys, time
begun = time.perf_counter()
job = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, used = os.wait4(job, 0)
seconds = time.perf_counter() - begun
print(os.waitstatus_to_exitcode(status), seconds, used.ru_utime + used.ru_stime, used.ru_maxrss)
"""

_IMPORT = """
import time, loguru
begun = time.process_time()
import {module}
print(time.process_time() - begun)
"""


@contextlib.contextmanager
def _compiled() -> Iterator[dict[str, str]]:
    """An environment in which modules are kept compiled, as an installation has them."""
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "PYTHONPYCACHEPREFIX": folder}
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        yield env


@dataclass
class Jobs:
    """What the jobs took, for each its rounds. Without requests where that is missing.

    Attributes:
        elapsed: seconds from start to exit.
        cpu: seconds of the processor's time.
        memory: kilobytes at most.
    """

    elapsed: dict[str, list[float]] = field(default_factory=dict)
    cpu: dict[str, list[float]] = field(default_factory=dict)
    memory: dict[str, list[float]] = field(default_factory=dict)


def run_jobs(rounds: int = 15) -> Jobs:
    """Run the jobs in turn."""
    measured = Jobs()
    with PingReceiver() as receiver, _compiled() as env:

        def run(name: str) -> float:
            job = [sys.executable, "-c", _JOBS[name], receiver.url]
            timer = [sys.executable, "-S", "-c", _TIMER, *job]
            found = subprocess.run(timer, check=True, capture_output=True, text=True, env=env)
            status, elapsed, cpu, kilobytes = map(float, found.stdout.split())
            if status:
                raise RuntimeError(f"the job {name!r} failed:\n{found.stderr}")
            measured.memory.setdefault(name, []).append(kilobytes)
            measured.cpu.setdefault(name, []).append(cpu)
            return elapsed

        names = [
            name for name in _JOBS if name != "requests" or importlib.util.find_spec("requests")
        ]
        for name in names:  # once for the caches
            run(name)
        measured.cpu.clear()
        measured.memory.clear()
        receiver.clear()
        measured.elapsed = take_turns(
            {name: functools.partial(run, name) for name in names}, rounds
        )
        receiver.wait(2 * rounds * (len(names) - 1))
    return measured


def share_of_requests(seconds: dict[str, list[float]]) -> float | None:
    """What loghc adds to a job, as a share of what requests adds; None without requests.

    Of the medians: what is added is small beside what a busy machine adds to a single job.
    """
    if "requests" not in seconds:
        return None
    none, ours, theirs = (
        statistics.median(seconds[name]) for name in ("no pings", "loghc", "requests")
    )
    return (ours - none) / (theirs - none)


def measure_jobs() -> Section:
    """Start, 1,000 records, done, exit."""
    measured = run_jobs()
    rows = []
    for what, seconds in (("", measured.elapsed), ("processor time, ", measured.cpu)):
        rows += [
            Row(
                f"{what}{name}",
                "ms",
                Spread.of(values).scaled(1e3),
                "no pings",
                ratio(values, seconds["no pings"]),
                {"job": name},
            )
            for name, values in seconds.items()
        ]
        share = share_of_requests(seconds)
        if share is not None:
            rows.append(Row(f"{what}loghc adds, of what requests adds", "", Spread.of([share])))
    rows += [
        Row(f"peak memory, {name}", "kB", Spread.of(values), at={"job": name})
        for name, values in measured.memory.items()
    ]
    return Section(
        "jobs",
        "A whole short job, as a process",
        "Start, 1,000 records, done, exit, against a receiver on this machine. "
        "Goal: nearer to none than to requests.",
        rows,
    )


def added_by_import(
    modules: Sequence[str] = ("loghc",), rounds: int = 25
) -> dict[str, list[float]]:
    """Processor seconds that an import takes after loguru's, each time in a new process."""
    with _compiled() as env:

        def run(module: str) -> float:
            command = [sys.executable, "-c", _IMPORT.format(module=module)]
            return float(subprocess.run(command, check=True, capture_output=True, env=env).stdout)

        for module in modules:  # once for the caches
            run(module)
        return take_turns({name: functools.partial(run, name) for name in modules}, rounds)


def measure_imports() -> Section:
    """What an import adds."""
    modules = [
        module
        for module in (
            "loghc",
            "http.client",
            "urllib3",
            "requests",
            "httpx",
            "healthchecks_io",
        )
        if importlib.util.find_spec(module)
    ]
    seconds = added_by_import(modules)
    return Section(
        "imports",
        "What an import adds to loguru's own",
        "Processor time, in a new process each time. The best says what the work is, the rest is "
        "the machine's. "
        "Goal: under 10 ms.",
        [
            Row(f"import {module}", "ms", Spread.of(values).scaled(1e3), at={"module": module})
            for module, values in seconds.items()
        ],
    )
