"""Processes, and pytest in them."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
ONE_TEST = 20  # seconds that one test may take at first, and the start of a run
# A test that then takes so many seconds, and times as long as at first, is one that doesn't end.
LATE_SECONDS, LATE = 2, 4
CANNOT = 97  # the exit status of a fork that can't judge a mutant
MEMORY = 8 * 2**30  # bytes of addresses: a mutant that starts threads without end has a thousand

Fate = tuple[str, str]


def forks(jobs: int, work: Callable[[int], object]) -> list[int]:
    """Have so many forks do some work, each told its number; their process ids."""
    pids = []
    for number in range(jobs):
        pid = os.fork()
        if pid == 0:
            try:
                work(number)
            except SystemExit as error:
                print(error, flush=True)
            except BaseException:  # noqa: BLE001 - this is a fork, and has to end here
                traceback.print_exc()
            finally:
                os._exit(0)
        pids.append(pid)
    return pids


def exit_status(pid: int, seconds: float) -> int | None:
    """How a fork that has a session of its own ends; None: not within the time.

    Then it's killed, and so is what it leaves behind.
    """
    deadline = time.monotonic() + seconds
    pause, done, status = 0.005, 0, 0
    while not done and time.monotonic() < deadline:
        time.sleep(pause)
        pause = min(0.1, pause * 1.2)
        done, status = os.waitpid(pid, os.WNOHANG)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    if not done:
        os.waitpid(pid, 0)
        return None
    return os.waitstatus_to_exitcode(status)


def run_pytest(copy: Path, files: Sequence[str], plugin: object) -> int:
    """Run pytest in this process, which hasn't imported loghc yet, on a copy of loghc.

    What it prints is in the copy's file `output`.
    """
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.RLIM_INFINITY))
    os.chdir(ROOT)
    descriptor = os.open(output(copy), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    own = [(number, os.dup(number)) for number in (1, 2)]
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.environ["PYTHONPATH"] = str(copy)
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(copy / "hypothesis")
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # it would search all that is installed
    sys.path.insert(0, str(copy))
    sys.argv = ["pytest"]
    import pytest

    options = ["-q", "-x", "-p", "no:cacheprovider", "-m", "not slow"]
    for name in ("pytest_timeout", "_hypothesis_pytestplugin", "loghc.testing.plugin"):
        options += ["-p", name]
    options += ["--override-ini=addopts=--strict-markers", "--hypothesis-seed=0", "--tb=short"]
    options += [f"--timeout={ONE_TEST}", "--timeout-method=thread", f"--basetemp={copy / 'tmp'}"]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # of what is imported
    status = int(pytest.main([*options, *files], plugins=[plugin]))
    for number, kept in own:
        os.dup2(kept, number)
    loghc = sys.modules.get("loghc")
    if loghc is not None and not str(loghc.__file__).startswith(str(copy)):
        raise SystemExit(f"the tests have imported {loghc.__file__}, not the copy")
    return status


def output(copy: Path) -> Path:
    return copy / "output"


def fate_of(copy: Path, tests: dict[str, float], be_pytest: Callable[[Path], object]) -> Fate:
    """Run tests in a fork: killed, survived or timeout, and by which test.

    Args:
        copy: the folder with the copy of loghc.
        tests: their names, and the seconds that each takes.
        be_pytest: ends the fork with the status of the tests, or `CANNOT`. It's told where to
            note a test's name.
    """
    note = copy / "note"
    note.write_text("")

    def run(_: int) -> None:
        os.setsid()
        be_pytest(note)

    [pid] = forks(1, run)
    status = exit_status(pid, ONE_TEST + LATE * sum(tests.values()))
    if status in (0, CANNOT):
        return ("fresh" if status else "survived"), ""
    by_time = status is None or b"+ Timeout +" in output(copy).read_bytes()
    return ("timeout" if by_time else "killed"), note.read_text()


class Named:
    """A pytest plugin: runs these tests, in this order, and notes the last one.

    Args:
        tests: their names, and the seconds that each takes.
        note: where the name is written of the test that fails, or doesn't end.
    """

    def __init__(self, tests: dict[str, float], note: Path) -> None:
        self._tests, self._note = tests, note
        self.failed = False

    def chosen(self, items: list[Any]) -> list[Any]:
        import pytest

        rank = {test: number for number, test in enumerate(self._tests)}
        found = [item for item in items if item.nodeid in rank]
        for item in found:
            late = LATE_SECONDS + LATE * self._tests[item.nodeid]
            item.add_marker(pytest.mark.timeout(late))
        return sorted(found, key=lambda item: rank[item.nodeid])

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items[:] = self.chosen(items)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._note.write_text(nodeid, encoding="utf-8")

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.failed = self.failed or report.failed
