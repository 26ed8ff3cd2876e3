"""A program whose sink has a guard prints and ends the same as with one that has none."""

from __future__ import annotations

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
import os, sys, time
import json, shlex, ctypes  # which a guard's start imports
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
logger.add(sys.stderr)
"""
# They print what is imported, and from where; the last three, a port of urllib3's connection.
OTHER_EACH_TIME = (
    "sys.modules",
    "sys.modules, after loguru",
    "sys.path_importer_cache",
    "modules",
    "an exception in a thread, without loguru",
    "exceptions in children, without loguru",
    "gc",
    "pytest",
    "-W error",
    "-X dev",
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for name in (*PROGRAMS, *SURROUNDINGS) if name not in OTHER_EACH_TIME]
)
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
        ended.append((steady(done.stdout), steady(done.stderr), done.returncode))
        shutil.rmtree(work)
    assert ended[1] == ended[0]
