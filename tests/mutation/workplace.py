"""A clone of the repository with an environment of its own, in which tests are run."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import shutil
import signal
import subprocess
import sysconfig
import time
import venv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from mutation import inside

_LIMIT_S, _LIMIT_FACTOR = 8, 5  # a test that takes that, and times as long as at first, is stuck
_START_S = 60  # until the first test begins
_RECORDING_S = 900  # for all tests of a file
_MEMORY_BYTES = 8 << 30  # of addresses: a mutant that starts threads without end has a thousand
_PYTEST = (
    "-q", "-n", "0", "-p", "no:cacheprovider", "--override-ini=addopts=", "--tb=short",
    "--hypothesis-seed=0", "--timeout-method=thread",
)  # fmt: skip
_COMMAND = "#!{}\nfrom loghc.command.main import main\nraise SystemExit(main())\n"


class Recorded(NamedTuple):
    """What a test did where nothing was changed."""

    seconds: float
    lines: dict[str, list[int]]  # of loghc's files that it ran, in all its processes


class Workplace:
    """Runs tests on a commit, in a process each time, and ends what that leaves behind.

    Args:
        base: a directory of its own.
        root: the repository.
        commit: what to check out.
    """

    def __init__(self, base: Path, root: Path, commit: str) -> None:
        self._base, self.tree = base, base / "tree"
        subprocess.run(["git", "clone", "-q", root, self.tree], check=True)
        subprocess.run(["git", "checkout", "-q", "--detach", commit], cwd=self.tree, check=True)
        venv.create(base / "venv", symlinks=True)
        self._python = base / "venv/bin/python"
        (base / "venv/bin/loghc").write_text(_COMMAND.format(self._python))
        (base / "venv/bin/loghc").chmod(0o755)
        (self._packages,) = (base / "venv/lib").glob("*/site-packages")
        shutil.copy(inside.__file__, self._packages / "_mutation.py")
        self._use_environment("")
        self._time_s = 1_000_000_000

    def _use_environment(self, last_line: str) -> None:
        """Have each Python find the tree, then what is installed for this one."""
        site = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})"
        path = self._packages / "mutation.pth"
        path.write_text(f"{self.tree}\n{site}\n{last_line}\n", encoding="utf-8")

    def write(self, path: str, source: bytes) -> None:
        """Change a file; no compiled code of what was there before fits."""
        self._time_s += 1
        (self.tree / path).write_bytes(source)
        os.utime(self.tree / path, (self._time_s, self._time_s))

    def record(self, names: Iterable[str]) -> dict[str, Recorded | None]:
        """What tests do; None for one that fails or is skipped."""
        self._use_environment("import _mutation; _mutation.record()")
        self._run(["-m", "not slow", "--timeout=300", *names], {}, _RECORDING_S)
        self._use_environment("")
        report = self._base / "report"
        found = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}
        return {
            name: Recorded(seconds, self._lines(number)) if passed else None
            for name, (number, seconds, passed) in found.items()
        }

    def _lines(self, number: int) -> dict[str, list[int]]:
        found: dict[str, set[int]] = {}
        with contextlib.suppress(FileNotFoundError):
            for each in (self._base / f"lines/{number}").read_text().splitlines():
                path, _, line = each.rpartition(":")
                found.setdefault(path, set()).add(int(line))
        return {path: sorted(lines) for path, lines in found.items()}

    def failed(self, tests: Mapping[str, float]) -> str | None:
        """The first test that fails or doesn't end, `""` if none even begins, None if all pass.

        Args:
            tests: their names in order, and the seconds that each should take.
        """
        limits = {name: _LIMIT_S + _LIMIT_FACTOR * each for name, each in tests.items()}
        if self._run(["-x", *tests], limits, _START_S + sum(limits.values())):
            return None
        now = self._base / "now"
        return now.read_text(encoding="utf-8").partition(" ")[2] if now.exists() else ""

    def _run(self, arguments: list[str], limits: dict[str, float], seconds: float) -> bool:
        for name in ("now", "report"):
            (self._base / name).unlink(missing_ok=True)
        for name in ("home", "tmp", "lines"):
            shutil.rmtree(self._base / name, ignore_errors=True)
            (self._base / name).mkdir(exist_ok=True)
        code = f"import _mutation; _mutation.main({limits!r}, {[*_PYTEST, *arguments]!r})"
        with (self._base / "output").open("wb") as output:
            process = subprocess.Popen(
                [self._python, "-c", code], cwd=self.tree, env=self._environment(),
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        resource.prlimit(process.pid, resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
        process.returncode = _status(process.pid, seconds)
        return process.returncode == 0

    def _environment(self) -> dict[str, str]:
        unwanted = ("PYTHON", "PYTEST", "HEALTH_CHECK", "LOGHC")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
        return kept | {
            "HOME": str(self._base / "home"),
            "HYPOTHESIS_STORAGE_DIRECTORY": str(self._base / "tmp/hypothesis"),
            "PATH": f"{self._base / 'venv/bin'}:{os.environ['PATH']}",
            "TMPDIR": str(self._base / "tmp"),
            "VIRTUAL_ENV": str(self._base / "venv"),
        }


def adopt_orphans() -> None:
    """Have the orphans of what this process starts become its children."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def _status(pid: int, seconds: float) -> int:
    """The exit status of a process; then its orphans are killed, in whatever session they are."""
    deadline, status = time.monotonic() + seconds, -signal.SIGALRM
    while time.monotonic() < deadline and _children():
        found, how = os.waitpid(-1, os.WNOHANG)
        if found == pid:
            status = os.waitstatus_to_exitcode(how)
            break
        if not found:  # else an orphan, for whose end a test may wait
            time.sleep(0.02)
    while children := _children():
        for each in children:
            os.kill(each, signal.SIGKILL)
            os.waitpid(each, 0)
    return status


def _children() -> list[int]:
    files = Path("/proc/self/task").glob("*/children")
    return [int(pid) for file in files for pid in file.read_text().split()]
