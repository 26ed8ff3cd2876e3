"""A program whose sink has a guard prints and ends the same as with one that has none."""

from __future__ import annotations

import re
import shutil
import sys

import pytest
from test_equivalence import parsed, steady, write

from equivalence_programs import PROGRAMS
from equivalence_surroundings import SURROUNDINGS
from guards import needs_guard
from loghc.testing import PingReceiver
from recorded import run

pytestmark = needs_guard

# In front of the program, in each Python that it starts: a run is open all the time.
SITE = """\
import gc, os, sys, time
import json, shlex, ctypes, loghc.guard.guarded  # which a guard's start imports
from loguru import logger
from loghc import HealthSink
logger.remove()
_guard = os.environ["LOGHC_TEST_GUARD"] == "1"
_sink = HealthSink(os.environ["LOGHC_TEST_URL"], guard=_guard)
logger.add(_sink)
logger.info("sync.start")
_sink.wait()
while len(os.listdir("/proc/self/task")) > 1:  # what starts the guard, and what sends the ping
    time.sleep(0.01)
del _guard, _sink
gc.collect()  # what those imports left
logger.add(sys.stderr)
"""


def steady_ports(output: bytes) -> str:
    """What a program prints, but also for the ports of a connection that it is warned of."""
    return re.sub(r"'127\.0\.0\.1', \d+", "", steady(output))


@pytest.mark.slow
@pytest.mark.parametrize("name", [*PROGRAMS, *SURROUNDINGS])
def test_a_guarded_program_prints_and_ends_as_without(receiver: PingReceiver, tmp_path, name):
    args, stdin, files = parsed({**PROGRAMS, **SURROUNDINGS}[name])
    work, site = tmp_path / "work", tmp_path / "site"
    write({"sitecustomize.py": SITE}, site)
    env = {"PYTHONHASHSEED": "0", "COLUMNS": "80", "LOGURU_COLORIZE": "NO"}
    env |= {"PYTHONPATH": str(site), "LOGHC_TEST_URL": receiver.url}
    ended = []
    for guard in ("0", "1"):
        write(files, work)
        done = run([sys.executable, *args], work, {**env, "LOGHC_TEST_GUARD": guard}, stdin)
        ended.append((steady_ports(done.stdout), steady_ports(done.stderr), done.returncode))
        shutil.rmtree(work)
    assert ended[1] == ended[0]
