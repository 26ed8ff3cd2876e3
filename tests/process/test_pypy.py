"""PyPy, where one is found: it has no recorder, and not all of CPython's modules."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import loguru
import pytest
import urllib3

import loghc
from loghc import Event
from loghc.testing import PingReceiver
from pings import runs
from processes import RUN, run

PYPY = shutil.which("pypy3")
pytestmark = pytest.mark.skipif(PYPY is None, reason="needs pypy3")

LOGURU = """
from loguru import logger
logger.info("the last line")
"""
SINK = """
from loguru import logger
from loghc import HealthSink, job

logger.add(HealthSink())
with logger.contextualize(run_id="one"), job("sync"):
    logger.info("the last line")
"""
RUN_OF_A_SINK = [Event.START, Event.SUCCESS]

Program = Callable[..., str]


def by_pypy(*before: str, program: str, cwd: Path) -> None:
    """Run a program with PyPy, which finds loghc and what it needs: all of it is pure Python."""
    places = {str(Path(each.__file__).parents[1]) for each in (loghc, loguru, urllib3)}
    env = {"PYTHONPATH": os.pathsep.join(places)}
    done = run(*before, str(PYPY), program, cwd=cwd, env=env)
    assert done.returncode == 0, done.stderr


def test_a_sink_pings(receiver: PingReceiver, program: Program, tmp_path: Path) -> None:
    by_pypy(program=program(SINK), cwd=tmp_path)
    assert runs(receiver) == [RUN_OF_A_SINK]
    assert "the last line" in receiver.pings[1].text


def test_a_sink_hands_its_markers_and_its_log_to_the_watcher(
    receiver: PingReceiver, program: Program, tmp_path: Path
) -> None:
    by_pypy(*RUN, "--markers-only", program=program(SINK), cwd=tmp_path)
    assert runs(receiver) == [RUN_OF_A_SINK]
    assert "the last line" in receiver.pings[1].text


def test_what_was_not_seen_is_named_with_its_cause(
    receiver: PingReceiver, program: Program, tmp_path: Path
) -> None:
    by_pypy(*RUN, program=program(LOGURU), cwd=tmp_path)
    assert runs(receiver) == [RUN_OF_A_SINK]
    assert "was not seen: perhaps it isn't CPython" in receiver.pings[1].text
