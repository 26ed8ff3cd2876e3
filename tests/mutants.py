"""Would a test notice? Changes one thing in loghc, a mutant, and runs the tests that run its line.

    .venv/bin/python tests/mutants.py --jobs 2 --sample 60

It works on what is committed, in clones below a temporary directory, with Python 3.12 or newer. A
first run of the fast tests records which lines each of them runs, in every process that it starts;
what a process of another Python runs, or one that is started with -S, isn't seen. A mutant is
killed when a test fails twice with the change, or doesn't end, and passes without it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from mutation.changes import Mutant, mutants_of
from mutation.lines import Judges
from mutation.workplace import Recorded, Workplace, adopt_orphans

ROOT = Path(__file__).resolve().parent.parent
_FIRST = 6  # tests, which kill mostly; to collect all takes some seconds

_workplace: Workplace  # of a process of the pool
_sound: set[str] = set()  # tests that were seen to pass without a change


class Result(NamedTuple):
    """What became of a mutant."""

    mutant: Mutant
    killed_by: str  # a test, or nothing
    tests: int
    seconds: float

    @property
    def fate(self) -> str:
        if self.killed_by:
            return "killed"
        return "equivalent" if self.mutant.equivalent else "survived"


def main() -> bool:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sample", type=int, help="so many mutants; default: all")
    parser.add_argument("--seed", type=int, help="of the sample; default: the commit's hash")
    parser.add_argument("--only", action="append", help="those whose `path:line function` has this")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--spend", type=float, default=120, help="seconds of tests for a mutant")
    parser.add_argument("--least", type=float, default=92, help="percent to be killed")
    parser.add_argument("--lines", type=Path, help="a file that keeps what the first run records")
    options = parser.parse_args()
    commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=ROOT, text=True).strip()
    seed = int(commit[:8], 16) if options.seed is None else options.seed
    with tempfile.TemporaryDirectory(prefix="mutants-", ignore_cleanup_errors=True) as directory:
        places: multiprocessing.SimpleQueue[Workplace] = multiprocessing.SimpleQueue()
        for number in range(options.jobs):
            places.put(Workplace(Path(directory, str(number)), ROOT, commit))
        code = Path(directory, "0/tree")
        paths = sorted(code.glob("loghc/**/*.py"))
        sources = {str(path.relative_to(code)): path.read_text(encoding="utf-8") for path in paths}
        mutants = [each for path, source in sources.items() for each in mutants_of(path, source)]
        chosen = sample(mutants, options.only or [""], options.sample, seed)
        print(f"{len(chosen)} mutants of {len(mutants)}, seed {seed}, of {commit}", flush=True)
        with ProcessPoolExecutor(options.jobs, None, _begin, [places]) as pool:
            judges = Judges(_recorded(pool, code, options.lines), sources, options.spend)
            work = ((mutant, judges.of(mutant)) for mutant in chosen)
            results = list(_shown(pool.map(_judge, work)))
    return _summary(results, seed) < options.least


def sample(mutants: list[Mutant], only: list[str], size: int | None, seed: int) -> list[Mutant]:
    named = [each for each in mutants if any(text in each.title for text in only)]
    rooms: dict[str, list[Mutant]] = {}
    for mutant in random.Random(seed).sample(named, len(named)):
        rooms.setdefault(mutant.room, []).append(mutant)
    turns = [(turn, room) for room, found in rooms.items() for turn in range(len(found))]
    return sorted(rooms[room][turn] for turn, room in sorted(turns)[:size])


def _begin(places: multiprocessing.SimpleQueue[Workplace]) -> None:
    global _workplace  # noqa: PLW0603 - a process of the pool has one
    _workplace = places.get()
    adopt_orphans()


def _recorded(pool: Executor, code: Path, kept: Path | None) -> dict[str, Recorded]:
    """What each fast test runs: as kept from the last time, or found out."""
    known: dict[str, Any] = json.loads(kept.read_text()) if kept and kept.exists() else {}
    files = sorted(code.glob("tests/*/test_*.py"), key=lambda path: -path.stat().st_size)
    others = [*code.glob("loghc/**/*.py"), *code.glob("tests/*.py")]
    common = _hash(sorted(path for path in others if path.name != "mutants.py"))
    keys = {str(path.relative_to(code)): common + _hash([path]) for path in files}
    new = [name for name, key in keys.items() if key not in known]
    for number, (name, tests) in enumerate(pool.map(_record, new), 1):
        known[keys[name]] = tests
        print(f"recorded {number} of {len(new)} files of tests: {name}", flush=True)
    if kept:
        kept.write_text(json.dumps({key: known[key] for key in keys.values()}))
    found = {name: test for key in keys.values() for name, test in known[key].items()}
    tests = {name: Recorded(*test) for name, test in found.items() if test}
    print(f"{len(tests)} tests judge; {len(found) - len(tests)} fail or are skipped", flush=True)
    return tests


def _hash(paths: Iterable[Path]) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def _record(file: str) -> tuple[str, dict[str, Recorded | None]]:
    """What the tests of a file do; what fails is tried once more."""
    found = _workplace.record([file])
    again = [name for name, test in found.items() if test is None]
    return file, found | (_workplace.record(again) if again else {})


def _judge(work: tuple[Mutant, dict[str, float]]) -> Result:
    """Run tests on a mutant until one fails."""
    mutant, tests = work
    source = (_workplace.tree / mutant.path).read_bytes()
    changed = source[: mutant.start] + mutant.code.encode() + source[mutant.end :]
    begun = time.monotonic()
    left, killed_by = list(tests), ""
    while left and not killed_by:
        batch = left[:_FIRST] if len(left) == len(tests) else left
        _workplace.write(mutant.path, changed)
        failed = _workplace.failed({name: tests[name] for name in batch})
        left = left[len(batch) if failed is None else batch.index(failed or batch[0]) + 1 :]
        if failed is not None:
            suspect = failed or batch[0]
            killed_by = suspect if _kills(mutant, source, suspect, tests[suspect]) else ""
    _workplace.write(mutant.path, source)
    return Result(mutant, killed_by, len(tests), time.monotonic() - begun)


def _kills(mutant: Mutant, source: bytes, test: str, seconds: float) -> bool:
    """Whether a test that failed with a change fails again, and passes without it."""
    if _workplace.failed({test: seconds}) is None:
        return False
    _workplace.write(mutant.path, source)
    if test not in _sound and _workplace.failed({test: seconds}) is None:
        _sound.add(test)
    return test in _sound


def _shown(results: Iterable[Result]) -> Iterator[Result]:
    for number, result in enumerate(results, 1):
        how = f"by {result.killed_by}" if result.killed_by else f"{result.tests} tests"
        mutant = result.mutant
        print(f"{number}. {result.fate} ({how}, {result.seconds:.0f} s) {mutant.title}")
        print(f"    - {mutant.before}\n    + {mutant.after}", flush=True)
        yield result


def _summary(results: list[Result], seed: int) -> float:
    """Print the scores, which leave out what is marked as equivalent; the one of all rooms."""
    for room in [*sorted({each.mutant.room for each in results}), "all"]:
        counts = Counter(each.fate for each in results if room in (each.mutant.room, "all"))
        judged = counts["killed"] + counts["survived"]
        score = 100 * counts["killed"] / max(judged, 1)
        print(f"{room:9} {score:5.1f} % of {judged}; {counts['equivalent']} equivalent, apart")
    print(f"seed {seed}")
    return score


if __name__ == "__main__":
    if sys.version_info < (3, 12):
        sys.exit("lines are recorded with sys.monitoring: Python 3.12 or newer is needed")
    sys.exit(main())
