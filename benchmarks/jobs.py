"""A whole short job as a process, with and without pings; and what an import costs."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks.results import Row, Section, compared_rows
from benchmarks.timing import Spread, take_turns
from loghc.testing import PingReceiver

__all__ = [
    "LOGHC",
    "LOGHC_UNMASKED",
    "URLLIB3",
    "Jobs",
    "added_by_import",
    "measure_imports",
    "measure_jobs",
    "run_jobs",
]

NOTHING = "no pings"
LOGHC = "loghc"
LOGHC_UNMASKED = "loghc, mask_secrets=False"
URLLIB3 = "bare urllib3 on a thread"
REQUESTS = "requests"
BORGMATIC = "borgmatic"

_WORK = """
import sys
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
    NOTHING: _WORK.format(begin="", end=""),
    LOGHC: _WORK.format(
        begin="""
from loghc import HealthSink
logger.add(HealthSink(sys.argv[1]))
logger.info("sync.start")
""",
        end='logger.info("sync.done")',
    ),
    # As the bare one below, which masks nothing either.
    LOGHC_UNMASKED: _WORK.format(
        begin="""
from loghc import HealthSink
logger.add(HealthSink(sys.argv[1], mask_secrets=False))
logger.info("sync.start")
""",
        end='logger.info("sync.done")',
    ),
    # The least that sends the same two pings by urllib3 and keeps its import out of the job's way.
    URLLIB3: _WORK.format(
        begin="""
import queue, threading, uuid
lines, url, query = [], sys.argv[1], f"?rid={uuid.uuid4()}"
logger.add(lambda message: lines.append(str(message)))
pings = queue.SimpleQueue()
def deliver():
    import urllib3
    with urllib3.PoolManager() as pool:
        while (ping := pings.get()) is not None:
            pool.request("POST", ping[0] + query, body=ping[1], timeout=10)
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
    REQUESTS: _WORK.format(
        begin="""
import uuid, requests
lines, url, query = [], sys.argv[1], {"rid": str(uuid.uuid4())}
logger.add(lambda message: lines.append(str(message)))
logger.info("sync.start")
requests.post(url + "/start", params=query, data="".join(lines).encode(), timeout=10)
""",
        end="""
logger.info("sync.done")
requests.post(url, params=query, data="".join(lines).encode(), timeout=10)
""",
    ),
    # borgmatic's own hook and the handler it makes, which loguru hands its records to.
    BORGMATIC: _WORK.format(
        begin="""
import logging
from borgmatic.hooks.monitoring import healthchecks, monitor
hook, level = {"ping_url": sys.argv[1], "send_logs": True}, logging.INFO
healthchecks.initialize_monitor(hook, {}, "job.yaml", level, False)
logger.add(logging.getLogger().handlers[0])
logger.info("sync.start")
healthchecks.ping_monitor(hook, {}, "job.yaml", monitor.State.START, level, False)
""",
        end="""
logger.info("sync.done")
healthchecks.ping_monitor(hook, {}, "job.yaml", monitor.State.FINISH, level, False)
""",
    ),
}

_PACKAGES = {REQUESTS: "requests", BORGMATIC: "borgmatic"}

# Starts a job from a process smaller than the job: on Linux a child's peak memory is at least its
# parent's.
_TIMER = """
import os, sys, time
started = time.perf_counter()
job = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, used = os.wait4(job, 0)
seconds = time.perf_counter() - started
print(os.waitstatus_to_exitcode(status), seconds, used.ru_utime + used.ru_stime, used.ru_maxrss)
"""

_IMPORT = """
import time, loguru
started = time.process_time()
import {module}
getattr({module}, "HealthSink", None)  # loghc imports it when it is asked for
print(time.process_time() - started)
"""


@dataclass
class Jobs:
    """What the jobs took, by name, one value for each round.

    Attributes:
        elapsed: seconds from the start of the process to its end.
        cpu: seconds of processor time.
        memory: kilobytes at the peak.
    """

    elapsed: dict[str, list[float]] = field(default_factory=dict)
    cpu: dict[str, list[float]] = field(default_factory=dict)
    memory: dict[str, list[float]] = field(default_factory=dict)


def run_jobs(names: Sequence[str] = tuple(_JOBS), rounds: int = 15) -> Jobs:
    """Run the jobs in turn; those whose package is not installed are left out."""
    names = [name for name in names if importlib.util.find_spec(_PACKAGES.get(name, "loghc"))]
    measured = Jobs()
    with PingReceiver() as receiver, _bytecode_cache() as env:

        def run(name: str) -> float:
            job = [sys.executable, "-c", _JOBS[name], receiver.url]
            timer = [sys.executable, "-S", "-c", _TIMER, *job]
            done = subprocess.run(timer, check=True, capture_output=True, text=True, env=env)
            status, elapsed, cpu, kilobytes = map(float, done.stdout.split())
            if status:
                raise RuntimeError(f"the job {name!r} failed:\n{done.stderr}")
            measured.memory.setdefault(name, []).append(kilobytes)
            measured.cpu.setdefault(name, []).append(cpu)
            return elapsed

        for name in names:  # fills the caches
            run(name)
        measured.cpu.clear()
        measured.memory.clear()
        receiver.clear()
        measured.elapsed = take_turns(
            {name: functools.partial(run, name) for name in names}, rounds
        )
        receiver.wait(2 * rounds * len(set(names) - {NOTHING}))
    return measured


def measure_jobs() -> Section:
    """Start, 1,000 records, done, exit."""
    measured = run_jobs()
    rows = []
    for what, seconds in (("", measured.elapsed), ("processor time, ", measured.cpu)):
        rows += compared_rows(f"{what}{{}}", seconds, URLLIB3, unit="ms", name="job")
    rows += [
        Row(f"peak memory, {name}", "kB", Spread.of(values), at={"job": name})
        for name, values in measured.memory.items()
    ]
    return Section(
        "jobs",
        "A whole short job, as a process",
        "Start, 1,000 records, done, exit, against a receiver on this machine. "
        f"Goal: {LOGHC_UNMASKED} at 1.10 of {URLLIB3}.",
        rows,
    )


def added_by_import(
    modules: Sequence[str] = ("loghc",), rounds: int = 25
) -> dict[str, list[float]]:
    """Processor seconds that an import takes after loguru's, each time in a new process."""
    with _bytecode_cache() as env:

        def run(module: str) -> float:
            command = [sys.executable, "-c", _IMPORT.format(module=module)]
            return float(subprocess.run(command, check=True, capture_output=True, env=env).stdout)

        for module in modules:  # fills the caches
            run(module)
        return take_turns({name: functools.partial(run, name) for name in modules}, rounds)


def measure_imports() -> Section:
    """What an import adds."""
    modules = [
        module
        for module in ("loghc", "http.client", "urllib3", "requests", "httpx", "healthchecks_io")
        if importlib.util.find_spec(module)
    ]
    seconds = added_by_import(modules)
    return Section(
        "imports",
        "What an import adds to loguru's own",
        "Processor time, in a new process each time; compare the best. Goal: under 10 ms.",
        [
            Row(f"import {module}", "ms", Spread.of(values).scaled(1e3), at={"module": module})
            for module, values in seconds.items()
        ],
    )


@contextlib.contextmanager
def _bytecode_cache() -> Iterator[dict[str, str]]:
    """An environment in which modules are kept compiled, as an installation has them."""
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "PYTHONPYCACHEPREFIX": folder}
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        yield env
