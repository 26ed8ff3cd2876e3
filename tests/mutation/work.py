"""Runs mutants in several processes."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mutation import fresh
from mutation.changes import Mutant
from mutation.forks import Fate, forks, output, run_pytest
from mutation.in_place import InPlace
from mutation.judges import Judges

Run = Callable[[Path, Mutant | None, dict[str, float]], Fate]


class Result(NamedTuple):
    """What became of a mutant."""

    number: int
    # killed, survived or timeout; fresh: has to be run in a new pytest; unfit: the test fails
    # on the code as it is, so another has to judge.
    fate: str
    test: str  # that killed it
    judges: int
    seconds: float


def results(
    mutants: Mapping[int, Mutant],
    package: Path,
    judges: Judges,
    files: Sequence[str] | None,
    jobs: int,
) -> Iterator[Result]:
    """Run mutants in several processes; what becomes of each.

    Args:
        mutants: by number.
        package: the code as it is.
        judges: which tests to run.
        files: of tests, to collect once, where the code is changed in place; None: a new pytest
            for each mutant.
        jobs: processes.
    """
    reading, writing = os.pipe()

    def report(result: Result) -> None:
        os.write(writing, (json.dumps(result) + "\n").encode())

    def run(number: int) -> None:
        os.close(reading)
        mine = dict(itertools.islice(mutants.items(), number, None, jobs))
        with tempfile.TemporaryDirectory(prefix="mutants-") as directory:
            shutil.copytree(package, Path(directory, "loghc"))
            if files is None:
                _judge(mine, Path(directory), judges, fresh.run, report)
            else:
                _judge_in_place(mine, Path(directory), judges, files, report)

    workers = forks(jobs, run)
    os.close(writing)
    with os.fdopen(reading) as lines:
        for line in lines:
            yield Result(*json.loads(line))
    for pid in workers:
        os.waitpid(pid, 0)


def _judge_in_place(
    mutants: Mapping[int, Mutant],
    copy: Path,
    judges: Judges,
    files: Sequence[str],
    report: Callable[[Result], None],
) -> None:
    plugin = InPlace(copy, lambda: _judge(mutants, copy, judges, plugin.run, report))
    status = run_pytest(copy, files, plugin)
    if status:
        raise SystemExit(f"pytest ended with {status}: {output(copy).read_text()[-3000:]}")


def _judge(
    mutants: Mapping[int, Mutant],
    copy: Path,
    judges: Judges,
    run: Run,
    report: Callable[[Result], None],
) -> None:
    """Run mutants, one after the other, in a copy of loghc."""
    sound: set[str] = set()
    for number, mutant in mutants.items():
        target = copy / mutant.path
        source = target.read_bytes()
        changed = source[: mutant.start] + mutant.code.encode() + source[mutant.end :]
        begun = time.monotonic()
        while True:
            tests = judges.of(mutant)
            _write(target, changed)
            fate, test = run(copy, mutant, tests) if tests else ("survived", "")
            _write(target, source)
            if test not in tests or test in sound:
                break
            if run(copy, None, {test: tests[test]})[0] == "survived":
                sound.add(test)
                break
            report(Result(number, "unfit", test, len(tests), 0))
            judges.drop(test)
        if fate == "killed" and test in tests:
            judges.has_killed(test, mutant)
        report(Result(number, fate, test, len(tests), round(time.monotonic() - begun, 1)))


_written = itertools.count(1_000_000_000)


def _write(target: Path, source: bytes) -> None:
    target.write_bytes(source)
    when = next(_written)  # no compiled code of what was there before fits
    os.utime(target, (when, when))
