"""Many threads at once; without a global lock where a free-threaded Python is found."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import loguru
import pytest
import urllib3

import loghc
from loghc import Event
from loghc.testing import PingReceiver
from processes import RUN, needs_posix

pytestmark = needs_posix

THREADS, RUNS, RECORDS = 16, 5, 10

PROGRAM = f"""
import sys, threading
from loguru import logger
from loghc import HealthSink, job

logger.remove()
sink = None
if len(sys.argv) > 1:
    sink = HealthSink(sys.argv[1], drain=60.0)
    logger.add(sink, format="{{message}}")
else:
    logger.add(lambda message: None, format="{{message}}")
begin = threading.Barrier({THREADS})

def work(number):
    begin.wait()
    for run in range({RUNS}):
        with job("sync"):
            for record in range({RECORDS}):
                logger.info("thread {{}} run {{}} record {{}}", number, run, record)

threads = [threading.Thread(target=work, args=(number,)) for number in range({THREADS})]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
if sink is not None:
    print(sink.wait(60), sink.stats.failed, sink.stats.pending)
"""


def free_threaded_pythons() -> list[str]:
    """Those on the PATH, and those of pyenv."""
    names = [f"python3.{minor}t" for minor in range(13, 20)]
    found = [path for name in names if (path := shutil.which(name))]
    kept = Path.home() / ".pyenv/versions"
    found += [str(path) for path in sorted(kept.glob("3.*t/bin/python3"))]
    return found


def environment() -> dict[str, str]:
    """Another Python finds loghc and what it needs here: all of it is pure Python."""
    places = {str(Path(each.__file__).parents[1]) for each in (loghc, loguru, urllib3)}
    return {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(places)}


@pytest.fixture(params=["this Python", "a free-threaded one"])
def python(request: pytest.FixtureRequest) -> str:
    if request.param == "this Python":
        return sys.executable
    found = free_threaded_pythons()
    if not found:
        pytest.skip("no free-threaded Python (python3.13t or newer) is installed")
    check = "import sys; sys.exit(sys._is_gil_enabled())"
    subprocess.run([found[-1], "-c", check], env=environment(), check=True, timeout=60)
    return found[-1]


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=100, check=False
    )


@pytest.mark.slow
def test_a_sink_that_many_threads_use_tells_each_end_once(
    python: str, ping_receiver: PingReceiver, tmp_path: Path
) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = run([python, str(program), ping_receiver.url])
    assert (done.returncode, done.stdout) == (0, "True 0 0\n"), done.stderr
    ends = Counter(each.run_id for each in ping_receiver.pings if each.event is Event.SUCCESS)
    assert set(ends.values()) == {1}
    assert Event.FAIL not in {each.event for each in ping_receiver.pings}
    for ping in ping_receiver.pings:  # no record is torn
        records = [line for line in ping.text.splitlines() if line.startswith("thread ")]
        assert all(len(line.split()) == 6 for line in records)


@pytest.mark.slow
def test_a_program_of_many_threads_is_recorded_as_a_whole(
    python: str, ping_receiver: PingReceiver, tmp_path: Path
) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    command = [*RUN, "--url", ping_receiver.url, python, str(program)]
    done = run(command)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    [end] = [each for each in ping_receiver.pings if each.event is Event.SUCCESS]
    told = [line.partition(" - ")[2] for line in end.text.splitlines() if " - thread " in line]
    assert Counter(told) == Counter(
        f"thread {thread} run {number} record {record}"
        for thread in range(THREADS)
        for number in range(RUNS)
        for record in range(RECORDS)
    )
