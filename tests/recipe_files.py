"""The recipes' files, run as by somebody who copied them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from textwrap import indent

from processes import TIMEOUT

RECIPES = Path(__file__).parent / "recipes"
SYNC = "def sync(): ..."
MARKERS_ONLY = ("loghc", "run", "--markers-only")


def copied(name: str, into: Path, sync: str | None = None) -> Path:
    """Copy a recipe's file; `sync` is what its function of that name does, instead of nothing."""
    text = (RECIPES / name).read_text(encoding="utf-8")
    if sync is not None:
        assert SYNC in text
        text = text.replace(SYNC, "def sync():\n" + indent(sync, "    "))
    copy = into / name
    copy.write_text(text, encoding="utf-8")
    return copy


@contextmanager
def running(*command: str, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a command of this environment; what is left of it in the end is killed."""
    with (cwd / "stderr").open("w") as stderr:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def said(cwd: Path) -> str:
    """What a command that was `running` wrote to standard error."""
    return (cwd / "stderr").read_text(encoding="utf-8", errors="replace")


def ended(process: subprocess.Popen[str], by: int | None = None) -> int:
    """The exit status of a command, which a signal may be sent to first."""
    if by is not None:
        process.send_signal(by)
    return process.wait(timeout=TIMEOUT)
