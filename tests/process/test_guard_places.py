"""HealthSink(guard=True) where there can't be one: that is said once, the sink works as without."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_other_systems import IMITATED, SYSTEMS

from guards import needs_guard
from loghc.ping import Event
from loghc.testing import PingReceiver
from processes import TIMEOUT, first_process, needs_posix

pytestmark = needs_posix

RUNS = """
sink = HealthSink(os.environ["URL"], guard=True)
logger.add(sink)
for _ in range(2):
    logger.info("sync.start")
    sink.wait()
    WAIT
    logger.info("sync.done")
"""
AT_REST = """thread = loghc.guard.starting.the_guard._thread
    while thread.at_work or not thread._started: pass"""
HEAD = """
import os, sys
from loguru import logger
from loghc import HealthSink
logger.remove()
"""
# As on a system without a process left: a flag that the kernel refuses.
NO_PROCESS = "import loghc.guard.spawning as s\ns._CLONE_VM = 0x10000\n"
NO_START = """
import loghc.guard.spawning, loghc.guard.starting
loghc.guard.spawning._CODE = "import nothing_of_the_kind"
loghc.guard.starting._ANSWERS_WITHIN_S = 0.1
"""


@pytest.fixture
def job(receiver: PingReceiver, tmp_path: Path):
    """Runs a program whose sink wants a guard; what it said."""

    def run_job(before: str, *, command: tuple[str, ...] = (), runs: str = RUNS, args=()):
        path = tmp_path / "job.py"
        path.write_text(before + runs.replace("WAIT", AT_REST if NO_START in before else "pass"))
        done = subprocess.run(
            [*command, sys.executable, str(path), *args],
            cwd=tmp_path,
            env={**os.environ, "URL": receiver.url, "LOGHC_DEBUG": ""},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    return run_job


def works(receiver: PingReceiver) -> bool:
    events = [ping.event for ping in receiver.wait(4, timeout=TIMEOUT)]
    return (events.count(Event.START), events.count(Event.SUCCESS)) == (2, 2)


@needs_guard
@pytest.mark.parametrize(
    ("before", "why"),
    [
        ("import os\ndel os.pidfd_open\n", "no process can watch another one on this system"),
        ("import sys\nsys.frozen = True\n", "this program isn't run by a Python of its own"),
        (
            "import sys\nsys.executable = '/usr/sbin/uwsgi'\n",
            "this program isn't run by a Python of its own",
        ),
        (NO_PROCESS, "no process can be started ("),
        (NO_START, "it was started, but doesn't answer"),
    ],
    ids=["no pidfd", "frozen", "embedded", "no process", "a Python that fails"],
)
def test_it_is_said_once_and_the_sink_works(receiver, job, before, why):
    said = job(HEAD + before)
    assert said.startswith(f"loghc: guard=True has no effect: {why}")
    assert said.endswith(". To learn how this process ends, use state= or loghc run.\n")
    assert said.count("\n") == 1
    assert works(receiver)


@needs_guard
@pytest.mark.parametrize("init", [(), ("sh", "-c", '"$@"; exit $?', "sh")], ids=["alone", "init"])
def test_in_a_container(receiver, job, tmp_path, init):
    said = job(HEAD, command=(*first_process(tmp_path), *init))
    assert "this is a container, or another pid namespace" in said
    assert said.count("\n") == 1
    assert works(receiver)


@needs_guard
def test_beside_a_pool_manager(receiver, job):
    runs = RUNS.replace("guard=True", "guard=True, http=urllib3.PoolManager()")
    said = job(HEAD + "import urllib3\n", runs=runs)
    assert "a PoolManager can't be passed to another process" in said
    assert works(receiver)


@SYSTEMS
def test_on_other_systems(receiver, job, system):
    said = job(IMITATED + HEAD, args=(system,))
    lines = [line for line in said.splitlines() if "guard=" in line]
    assert len(lines) == 1
    assert "no effect" in lines[0]
    assert works(receiver)
