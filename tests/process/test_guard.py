"""HealthSink(guard=True): what its process can't tell is told at once, and once."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from guards import JOB, SINK, STARTED
from loghc.ping import Event
from loghc.testing import PingReceiver
from processes import TIMEOUT, needs_posix

pytestmark = [
    needs_posix,
    pytest.mark.skipif(
        not hasattr(os, "pidfd_open")
        or str(Path("/proc/self/ns/pid").readlink()) != "pid:[4026531836]",
        reason="a guard needs a pidfd, and the initial pid namespace",
    ),
]

_LINUX = tuple(int(number) for number in re.findall(r"\d+", os.uname().release)[:2])
_TELLS_STATUS = _LINUX >= (6, 15)


@pytest.fixture
def job(receiver: PingReceiver, tmp_path: Path):
    """Runs a program with a guarded sink to its end."""

    def run_job(source: str, *, sink: str = SINK, env=None, **options):
        path = tmp_path / "job.py"
        path.write_text(JOB + sink + source)
        return subprocess.run(
            [sys.executable, str(path)],
            cwd=tmp_path,
            env={**os.environ, "URL": receiver.url, "LOGHC_DEBUG": "", **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
            **options,
        )

    return run_job


@pytest.mark.parametrize(
    ("death", "status", "headline"),
    [
        ("kill()", 137, "killed by SIGKILL"),
        ("kill(signal.SIGSEGV)", 139, "killed by SIGSEGV: a crash in native code"),
        ("os.abort()", 134, "ended by SIGABRT"),
        ("kill(signal.SIGTERM)", 143, "ended by SIGTERM"),
        ("os._exit(3)", 3, "exit status 3"),
        ("os._exit(0)", None, "exit status 0, in this run"),
        ("os.execv('/bin/sh', ['sh', '-c', 'exit 5'])", 5, "exit status 5"),
    ],
)
def test_a_death_is_told_at_once_with_the_last_line(receiver, job, death, status, headline):
    done = job(STARTED + death)
    start, failure = receiver.wait(2, timeout=TIMEOUT)
    assert failure.event is Event.FAIL
    assert failure.run_id == start.run_id
    first, second, *log = failure.text.splitlines()
    if _TELLS_STATUS:
        assert failure.exit_status == status
        assert first.startswith(f"{headline} (after ")
    assert second == ""
    assert log[0].endswith(" - before")
    assert log[-1].endswith(" - copied 7")
    assert done.stderr == ""
