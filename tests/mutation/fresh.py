"""Runs tests on a mutant in a new pytest, which imports the changed copy."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from mutation.changes import Mutant
from mutation.forks import Fate, Named, fate_of, run_pytest

_FIRST = 8  # tests, which kill mostly: it takes a second or two to collect all


def run(copy: Path, _mutant: Mutant | None, tests: dict[str, float]) -> Fate:
    """What becomes of a mutant: killed, survived or timeout; and the test that killed it."""
    names = iter(tests)
    for some in (list(itertools.islice(names, _FIRST)), list(names)):
        if some:
            fate, test = _run(copy, {each: tests[each] for each in some})
            if fate != "survived":
                return fate, test
    return "survived", ""


def _run(copy: Path, tests: dict[str, float]) -> Fate:
    def be_pytest(note: Path) -> None:
        files = list(dict.fromkeys(each.partition("::")[0] for each in tests))
        os._exit(run_pytest(copy, files, Named(tests, note)))

    return fate_of(copy, tests, be_pytest)
