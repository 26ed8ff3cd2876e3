"""Runs tests on a mutant in a new pytest, which imports the changed copy."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from mutation.changes import Mutant
from mutation.forks import (
    LATE,
    ONE_TEST,
    Named,
    exit_status,
    forks,
    limits,
    output,
    run_pytest,
)  # fmt: skip

_FIRST = 8  # tests, which kill mostly: it takes a second or two to collect all


def run(copy: Path, _mutant: Mutant | None, tests: dict[str, float]) -> tuple[str, str]:
    """What becomes of a mutant: killed, survived or timeout; and the test that killed it."""
    names = iter(tests)
    for some in (list(itertools.islice(names, _FIRST)), list(names)):
        if some:
            fate, test = _run(copy, {each: tests[each] for each in some})
            if fate != "survived":
                return fate, test
    return "survived", ""


def _run(copy: Path, tests: dict[str, float]) -> tuple[str, str]:
    note = copy / "note"
    note.write_text("")

    def be_pytest(_: int) -> None:
        os.setsid()
        files = list(dict.fromkeys(each.partition("::")[0] for each in tests))
        os._exit(run_pytest(copy, files, Named(limits(tests), note)))

    [pid] = forks(1, be_pytest)
    status = exit_status(pid, ONE_TEST + LATE * sum(tests.values()))
    if status == 0:
        return "survived", ""
    by_time = status is None or b"+ Timeout +" in output(copy).read_bytes()
    return "timeout" if by_time else "killed", note.read_text()
