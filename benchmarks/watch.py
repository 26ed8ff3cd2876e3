"""What `loghc run` adds to a program, and how soon it tells of a death."""

from __future__ import annotations

import contextlib
import os
import signal
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.results import Row, Section, compared_rows
from benchmarks.timing import Spread, take_turns
from loghc.testing import PingReceiver

__all__ = [
    "added",
    "added_to_empty_script",
    "death_to_post",
    "measure_watch",
    "short_children",
]

_PROGRAMS = {"an empty script": "", "half a second": "import time; time.sleep(0.5)"}

# The least that could start a program and wait for it.
_WRAPPER = "import subprocess, sys; sys.exit(subprocess.run(sys.argv[1:]).returncode)"

_VICTIM = """
import os, time
from loguru import logger
logger.remove()
logger.add(lambda message: None)
for number in range(2000):
    logger.info("copied file number {}", number)
print(os.getpid(), flush=True)
time.sleep(60)
"""

_BARRIER = """
import multiprocessing
from loguru import logger
def work(barrier, number):
    for _ in range(1000):
        logger.info("copied a file")
    barrier.wait()
    logger.info("last of {}", number)
if __name__ == "__main__":
    logger.remove()
    logger.add(lambda message: None)
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(64)
    workers = [context.Process(target=work, args=(barrier, n)) for n in range(64)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
"""

_CHILDREN = """
import os, sys
from loguru import logger
logger.remove()
logger.add(lambda message: None)
most = 0
for number in range(int(sys.argv[1])):
    child = os.fork()
    if not child:
        logger.info("child {}", number)
        os._exit(0)
    os.waitpid(child, 0)
    if number % 100 == 0:
        most = max(most, len(os.listdir(os.environ["LOGHC_RUN"])))
with open(f"/proc/{os.getppid()}/status") as status:
    peak = next(line.split()[1] for line in status if line.startswith("VmHWM"))
print(most, peak)
"""


# Records in turn without the tap among the handlers, and with it; prints the nanoseconds of each.
_RECORDED = """
import gc, sys, time
from loguru import logger
logger.remove()
logger.add(lambda message: None)
watched = logger._core.handlers
ways = [dict(watched), watched]
def batch():
    begun = time.perf_counter_ns()
    for number in range(200):
        logger.info("copied file number {}", number)
    return (time.perf_counter_ns() - begun) / 200
gc.disable()
for turn in range(int(sys.argv[1])):
    pair = [0, 0]
    for way in (0, 1) if turn % 2 else (1, 0):
        logger._core.handlers = ways[way]
        pair[way] = batch()
    gc.collect() if turn % 10 == 9 else None
    print(*pair)
"""

_THOUSAND = """
from loguru import logger
logger.remove()
logger.add(lambda message: None)
for number in range(1000):
    logger.info("copied file number {}", number)
"""
_TIMED = "\nimport time\nprint(time.process_time())\n"


@contextlib.contextmanager
def _service(*, https: bool = False) -> Iterator[tuple[PingReceiver, dict[str, str], Path]]:
    """A service, an environment with its URL, and a directory for programs."""
    with (
        tempfile.TemporaryDirectory() as folder,
        PingReceiver(ssl_context=_certified(folder) if https else None) as receiver,
    ):
        env = {**os.environ, "HEALTH_CHECK_URL": receiver.url, "PYTHONPYCACHEPREFIX": folder}
        if https:
            env["SSL_CERT_FILE"] = f"{folder}/authority.pem"
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        env.pop("XDG_STATE_HOME", None)
        yield receiver, env, Path(folder)


def _certified(folder: str) -> ssl.SSLContext:
    import trustme

    authority = trustme.CA()
    authority.cert_pem.write_to_path(f"{folder}/authority.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


def _loghc() -> list[str]:
    script = Path(sys.executable).with_name("loghc")
    return [str(script) if script.exists() else "loghc", "run"]


def added(rounds: int = 15, *, https: bool = False) -> dict[str, dict[str, list[float]]]:
    """Seconds that programs take: bare, in a wrapper that only waits, and under ``loghc run``."""
    found = {}
    with _service(https=https) as (_, env, folder):
        for name, source in _PROGRAMS.items():
            program = folder / "program.py"
            program.write_text(source)
            bare = [sys.executable, str(program)]
            ways = {
                "bare": bare,
                "wrapper": [sys.executable, "-c", _WRAPPER, *bare],
                "loghc run": [*_loghc(), *bare],
            }

            def run(command: list[str]) -> float:
                begun = time.perf_counter()
                subprocess.run(command, check=True, env=env)
                return time.perf_counter() - begun

            for command in ways.values():  # once for the caches
                run(command)
            turns = {way: lambda command=command: run(command) for way, command in ways.items()}
            found[name] = take_turns(turns, rounds)
    return found


def death_to_post(rounds: int = 15) -> list[float]:
    """Seconds from a program's death by SIGKILL to the arrival of the ping."""
    seconds = []
    with _service() as (receiver, env, folder):
        program = folder / "program.py"
        program.write_text(_VICTIM)
        for _ in range(rounds):
            receiver.clear()
            command = [*_loghc(), str(program)]
            process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE)
            assert process.stdout is not None
            pid = int(process.stdout.readline())
            receiver.wait(1)
            killed = time.time()
            os.kill(pid, signal.SIGKILL)
            seconds.append(receiver.wait(2)[1].time.timestamp() - killed)
            process.communicate()
    return seconds


def recorded(rounds: int = 300) -> dict[str, list[float]]:
    """Seconds for a `logger.info` with one handler, in a program that is watched and in one not."""
    with _service() as (_, env, folder):
        program = folder / "program.py"
        program.write_text(_RECORDED)
        command = [*_loghc(), str(program), str(rounds)]
        done = subprocess.run(command, check=True, env=env, capture_output=True, text=True)
    pairs = [[float(word) / 1e9 for word in line.split()] for line in done.stdout.splitlines()]
    return {"not recorded": [pair[0] for pair in pairs], "recorded": [pair[1] for pair in pairs]}


def processor_time(source: str, rounds: int = 40) -> list[float]:
    """Seconds of processor time that being watched adds to a program, round by round."""
    with _service() as (_, env, folder):
        program = folder / "program.py"
        program.write_text(source + _TIMED)
        bare = [sys.executable, str(program)]

        def run(command: list[str]) -> float:
            return float(subprocess.run(command, check=True, env=env, capture_output=True).stdout)

        turns = {
            "bare": lambda: run(bare),
            "watched": lambda: run([*_loghc(), *bare]),
        }
        seconds = take_turns(turns, rounds)
    return [ours - alone for ours, alone in zip(seconds["watched"], seconds["bare"], strict=True)]


def last_lines_of_64() -> tuple[int, bool]:
    """How many last lines of 64 processes arrived, and whether what arrived is in order."""
    with _service() as (receiver, env, folder):
        program = folder / "program.py"
        program.write_text(_BARRIER)
        subprocess.run([*_loghc(), str(program)], check=True, env=env)
        lines = receiver.wait(2)[1].text.splitlines()
    last = {line.rpartition(" ")[2] for line in lines if "last of" in line}
    return len(last), all("last of" in line for line in lines[-64:])


def short_children(count: int = 10_000) -> tuple[int, int]:
    """Most files in the run directory, and kilobytes of the watcher's memory."""
    with _service() as (_, env, folder):
        program = folder / "program.py"
        program.write_text(_CHILDREN)
        command = [*_loghc(), str(program), str(count)]
        done = subprocess.run(command, check=True, env=env, capture_output=True, text=True)
    files, kilobytes = done.stdout.split()
    return int(files), int(kilobytes)


def measure_watch() -> Section:
    """All of it."""
    rows = []
    both = {**added(), **{f"{name} (https)": of for name, of in added(https=True).items()}}
    for name, seconds in both.items():
        rows += compared_rows(f"{name}, {{}}", seconds, "bare", unit="ms", name="way", program=name)
        pairs = zip(seconds["loghc run"], seconds["bare"], strict=True)
        extra = [ours - bare for ours, bare in pairs]
        rows.append(Row(f"{name}, loghc run adds", "ms", Spread.of(extra).scaled(1e3)))
    rows.append(Row("from SIGKILL to the ping", "ms", Spread.of(death_to_post()).scaled(1e3)))
    rows += compared_rows("logger.info, {}", recorded(), "not recorded", unit="ns")
    for name, source in {"nothing": "", "1,000 records": _THOUSAND}.items():
        spread = Spread.of(processor_time(source)).scaled(1e3)
        rows.append(Row(f"processor time in a program, {name}", "ms", spread))
    arrived, in_order = last_lines_of_64()
    rows.append(Row("last lines of 64 processes that arrived", "", Spread.of([float(arrived)])))
    rows.append(Row("  at the end of the body", "", Spread.of([float(in_order)])))
    files, kilobytes = short_children()
    rows.append(Row("most files with 10,000 short children", "", Spread.of([float(files)])))
    rows.append(Row("  memory of the watcher", "kB", Spread.of([float(kilobytes)])))
    return Section(
        "watch",
        "A program under `loghc run`",
        "Against a receiver on this machine. Goals: 150 ms added to an empty script, 60 ms to half "
        "a second, 100 ms from death to ping; 1.2 for a recorded logger.info; 3 ms of processor "
        "time in a program without records, 10 ms for 1,000.",
        rows,
    )


def added_to_empty_script() -> float:
    """Milliseconds, of the medians."""
    seconds = added(rounds=5)["an empty script"]
    return 1e3 * (statistics.median(seconds["loghc run"]) - statistics.median(seconds["bare"]))
