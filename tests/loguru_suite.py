"""Runs loguru's own tests alone, with a HealthSink beside every sink, and under ``loghc run``.

    python tests/loguru_suite.py DIRECTORY [PYTEST_ARGUMENT...]

DIRECTORY is loguru's source at the tag of the version that is installed; its tests need freezegun
and pytest-mypy-plugins. Each test has to come to the same each time, but for those that `EXPECTED`
names. As a pytest plugin (``-p loguru_suite``) this module adds the sinks.
"""

from __future__ import annotations

import fnmatch
import functools
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from loghc import HealthSink
from loghc.testing import PingReceiver

# Tests that see the second handler, and why they do.
EXPECTED = {
    "tests.test_repr::*": "repr(logger) names all handlers",
    "tests.test_add_option_enqueue::test_*caught_exception_queue_get*": "fails in all handlers",
}

_URL = "SUITE_URL"
_SHARED = (
    "level", "format", "filter", "colorize", "serialize", "backtrace", "diagnose", "enqueue",
    "context", "catch",
)  # fmt: skip


def pytest_configure() -> None:
    """Put a HealthSink beside every sink from now on."""
    from loguru._logger import Logger

    add, remove = Logger.add, Logger.remove
    adding = threading.Lock()

    @functools.wraps(add)  # so that pickle finds it
    def add_both(logger: Any, sink: Any, **options: Any) -> int:
        core = logger._core
        shared = {name: value for name, value in options.items() if name in _SHARED}
        with adding:
            handler: int = add(logger, sink, **options)
            second = add(logger, HealthSink(os.environ[_URL]), **shared)
            # Its number is not one of those that the tests expect.
            with core.lock:
                handlers = core.handlers.copy()
                handlers[_beside(handler)] = handlers.pop(second)
                core.handlers = handlers
                core.handlers_count -= 1
        return handler

    @functools.wraps(remove)
    def remove_both(logger: Any, handler: int | None = None) -> None:
        remove(logger, handler)
        if isinstance(handler, int) and _beside(handler) in logger._core.handlers:
            remove(logger, _beside(handler))

    Logger.add, Logger.remove = add_both, remove_both


def _beside(handler: int) -> int:
    return -1000 - handler


def _outcomes(
    command: Sequence[str], directory: Path, url: str, arguments: Sequence[str]
) -> dict[str, str]:
    """Run the tests; what each came to."""
    with tempfile.TemporaryDirectory() as kept:
        report = Path(kept, "report.xml")
        options = ["-q", "-o", "addopts=", "-p", "no:cacheprovider", "--timeout=300"]
        options += [f"--junit-xml={report}", "--ignore=tests/test_type_hinting.py"]
        options += ["--ignore=tests/typesafety", "--tb=short", *arguments]
        path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, _URL: url, "HEALTH_CHECK_URL": url, "PYTHONPATH": path}
        subprocess.run([*command, *options], cwd=directory, env=environment, check=False)
        return {
            f"{case.get('classname')}::{case.get('name')}": _outcome(case)
            for case in ElementTree.parse(report).iter("testcase")
        }


def _outcome(case: ElementTree.Element) -> str:
    kinds = {child.tag for child in case} & {"failure", "error", "skipped"}
    return ", ".join(sorted(kinds)) or "passed"


def main() -> int:
    """Compare; the exit status is 1 where a test came to something else."""
    directory, arguments = Path(sys.argv[1]), sys.argv[2:]
    python = sys.executable
    unexplained = 0
    with PingReceiver(history_limit=1_000_000) as receiver:
        alone = _outcomes([python, "-m", "pytest"], directory, receiver.url, arguments)
        for title, command in (
            ("a HealthSink beside every sink", [python, "-m", "pytest", "-p", "loguru_suite"]),
            ("loghc run", [python, "-m", "loghc", "run", "--python", python, "-m", "pytest"]),
        ):
            found = _outcomes(command, directory, receiver.url, arguments)
            print(f"\n{title}: {len(found)} tests, {len(alone)} alone")
            for test in sorted(alone.keys() | found.keys()):
                if alone.get(test) == found.get(test):
                    continue
                reasons = [why for name, why in EXPECTED.items() if fnmatch.fnmatch(test, name)]
                unexplained += not reasons
                why = f" ({reasons[0]})" if reasons else ""
                print(f"  {test}: {alone.get(test)} alone, then {found.get(test)}{why}")
            print(f"  {len(receiver.pings)} pings; the last: {receiver.pings[-1:]}"[:300])
            receiver.clear()
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
