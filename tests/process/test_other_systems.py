"""Windows and macOS, imitated: what they lack is taken away, and `sys.platform` says so.

What this can't show: how those systems' sockets, clocks and exits behave.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import RunScript
from loghc import Event
from loghc.testing import PingReceiver
from processes import needs_posix

pytestmark = needs_posix

IMITATED = """
import asyncio, logging, multiprocessing, os, select, signal, ssl, subprocess, sys, threading, time
import loguru, urllib3, urllib.request  # theirs is not what is tried here

def imitate(system):
    for module in (os, signal, select):
        for name in MISSING[system].split():
            if hasattr(module, name):
                delattr(module, name)
    for name in MISSING_MODULES[system].split():
        sys.modules[name] = None
    select.__spec__ = None  # else another copy of it could be had
    sys.platform = system
    if system == "win32":
        os.name = "nt"

MISSING = {
    "win32": (
        "fork forkpty register_at_fork getuid geteuid getgid getegid getpgid getpgrp killpg "
        "setsid mkfifo posix_fallocate posix_spawn pread pwrite sched_getaffinity sysconf uname "
        "wait4 WNOHANG O_CLOEXEC O_NOFOLLOW O_NONBLOCK O_DIRECTORY O_NOCTTY fchmod chown "
        "pidfd_open memfd_create pthread_sigmask pthread_kill sigwait sigtimedwait setitimer "
        "alarm SIGALRM SIGHUP SIGKILL SIGUSR1 SIGUSR2 SIGCHLD SIGBUS SIGSYS SIGTRAP SIGPIPE "
        "SIG_BLOCK poll epoll POLLIN POLLOUT"
    ),
    "darwin": "posix_fallocate sched_getaffinity pidfd_open memfd_create sigtimedwait epoll pipe2",
}
MISSING_MODULES = {
    "win32": "fcntl grp posix pty pwd resource syslog termios tty",
    "darwin": "spwd",
}
system = sys.argv.pop(1)
imitate(system)
"""

JOB = """
from loguru import logger
from loghc import HealthSink, job

sink = HealthSink(sys.argv[1])
logger.remove()
logger.add(sink, format="{message}")

@job("sync")
def sync(fails):
    logger.info("copied a.jpg")
    if fails:
        raise OSError("disk full")

sync(False)
try:
    sync(True)
except OSError:
    pass
print(sink.wait(20), sink.stats.delivered)
logger.info("sync.start")  # at the exit, which sends what is left, and tells that it is still open
"""

SYSTEMS = pytest.mark.parametrize("system", ["win32", "darwin"])


@SYSTEMS
def test_whole_pings_are_sent(
    system: str, ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    done = run_script(IMITATED + JOB, system, ping_receiver.url)
    assert (done.returncode, done.stdout, done.stderr) == (0, "True 4\n", "")
    told = [each.event for each in ping_receiver.pings]
    assert told[:5] == [Event.START, Event.SUCCESS, Event.START, Event.FAIL, Event.START]
    assert "copied a.jpg" in ping_receiver.pings[1].text
    assert "OSError: disk full" in ping_receiver.pings[3].text


@SYSTEMS
def test_a_standard_error_that_blocks_holds_nothing_up(system: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        IMITATED
        + """
from loghc.report import report

begun = time.monotonic()
for number in range(20):
    report("x" * 9_000)
print(time.monotonic() - begun < 10, flush=True)
"""
    )
    reading, writing = os.pipe()  # that nobody reads
    try:
        done = subprocess.run(
            [sys.executable, str(script), system],
            stdout=subprocess.PIPE,
            stderr=writing,
            timeout=60,
            check=False,
        )
    finally:
        os.close(reading)
        os.close(writing)
    assert (done.returncode, done.stdout) == (0, b"True\n")


@SYSTEMS
def test_what_is_reported_just_before_the_exit_is_read(system: str, run_script: RunScript) -> None:
    report = 'from loghc.report import report\nreport("one")\nreport("two")\n'
    done = run_script(IMITATED + report, system)
    assert (done.returncode, done.stderr) == (0, "loghc: one\nloghc: two\n")


def test_loghc_run_says_where_it_works(run_script: RunScript) -> None:
    command = 'from loghc.command.main import main\nsys.exit(main(["run", "true"]))\n'
    done = run_script(IMITATED + command, "win32")
    assert done.returncode == 2
    assert "needs a POSIX system" in done.stderr
    assert "Traceback" not in done.stderr
