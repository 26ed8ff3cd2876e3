"""Runs programs in processes of their own, with and without loghc."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from loghc.ping import Event
from loghc.testing import PingReceiver

LOGHC = (sys.executable, "-m", "loghc")
RUN = (*LOGHC, "run")
TIMEOUT = 60  # seconds

needs_posix = pytest.mark.skipif(os.name != "posix", reason="signals and forks are POSIX's")


def events(receiver: PingReceiver) -> list[tuple[Event, int | None]]:
    """What a receiver was told, with the exit statuses."""
    return [(ping.event, ping.exit_status) for ping in receiver.pings]


def run(
    *command: str | Path,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    stdin: str | bytes = "",
    timeout: float = TIMEOUT,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; its standard input is `stdin`."""
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**_environment(), **(env or {})},
        input=stdin if isinstance(stdin, str) else stdin.decode(),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def started(
    *command: str | Path, cwd: Path, env: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start a command whose standard output can be read line by line while it runs."""
    return subprocess.Popen(
        [str(word) for word in command],
        cwd=cwd,
        env={**_environment(), "PYTHONUNBUFFERED": "1", **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def first_process(cwd: Path) -> tuple[str, ...]:
    """A command in front of what is to be process 1 of a container; killed, it takes all along."""
    command = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child")
    with contextlib.suppress(OSError):
        if run(*command, "--mount-proc", "true", cwd=cwd).returncode == 0:
            return (*command, "--mount-proc")
    pytest.skip("no process namespaces here")


def _environment() -> dict[str, str]:
    # Whether output is buffered decides on what a killed process has printed; and without bytecode
    # that is kept, each process would compile loghc anew.
    unwanted = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")
    return {name: value for name, value in os.environ.items() if name not in unwanted}
