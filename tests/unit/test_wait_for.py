"""Processes are waited for, and no longer than for the time that they have."""

from __future__ import annotations

import subprocess
import sys

from loghc.watch.processes import wait_for
from processes import needs_posix

pytestmark = needs_posix


def test_who_has_not_ended_in_time_is_named() -> None:
    asleep = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert wait_for([asleep.pid], 0.05) == [asleep.pid]
        assert asleep.poll() is None
    finally:
        asleep.communicate(b"\n")
    assert wait_for([asleep.pid], 60) == []
