"""Mutation testing of the core: changes one thing in the code, and sees whether a test notices.

    .venv/bin/python tests/mutants.py --room delivery --sample 100 --seed 1

Each mutant is one change of loghc, in a copy that goes before the real one on the path, also for
the processes that tests start. It is killed when a test fails, or doesn't end. A first run, without
a change, finds out which tests call which functions: a mutant is judged by those that come by what
was changed. A test that kills is run without the change as well, where it must pass.

`mutants_accepted.toml` lists the survivors that are no gap in the tests, each with a reason. They
are run with `--recheck` alone; an entry that fits no mutant any more is an error.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import tomllib

from mutation.calls import Calls, calls_of, state_of
from mutation.changes import Mutant, mutants_of
from mutation.forks import ROOT, forks
from mutation.judges import Judges, called_at_import
from mutation.work import Result, results

ACCEPTED = Path(__file__).with_name("mutants_accepted.toml")
_LIBRARIES = (
    "apscheduler.schedulers.background", "hypothesis.stateful", "hypothesis.strategies", "loguru",
    "pytest", "trustme", "urllib3",
)  # fmt: skip
ROOMS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    # room: modules, and the tests that judge them, quickest first
    "runs": (
        ("runs.py", "markers.py", "exit.py"),
        (
            "unit/test_runs.py", "unit/test_completion.py", "unit/test_markers.py",
            "unit/test_crash_watch.py", "unit/test_slips.py",
            "service/test_overlapping_runs.py", "service/test_event_truth.py",
            "service/test_sink.py", "service/test_loguru_modes.py", "process/test_exit.py",
        ),
    ),
    "delivery": (
        ("delivery/*.py",),
        (
            "unit/test_state.py", "unit/test_thread.py", "unit/test_troubles.py",
            "service/test_faults.py", "service/test_body_limit.py",
            "service/test_overload.py", "service/test_refused_bodies.py",
            "service/test_hostile_service.py", "service/test_event_truth.py",
            "service/test_sink.py", "service/test_delivery.py", "service/test_threads.py",
            "process/test_exit.py",
        ),
    ),
    "service": (
        ("service/*.py",),
        (
            "unit/test_answer.py", "unit/test_deadline.py", "unit/test_slips.py",
            "unit/test_environment.py", "unit/test_url.py", "unit/test_lookup.py",
            "unit/test_proxies.py", "unit/test_watch.py", "service/test_client.py",
            "service/test_proxy.py", "service/test_tls.py", "service/test_faults.py",
            "service/test_hostile_service.py", "service/test_body_limit.py",
            "service/test_logging_loops.py", "service/test_transport.py", "service/test_sink.py",
        ),
    ),
    "log": (
        (
            "log/body.py", "log/masking.py", "log/secrets/private_keys.py",
            "log/redaction.py", "log/secrets/__init__.py", "log/secrets/diagnosis.py",
            "log/rendering.py", "log/secrets/repeats.py", "log/secrets/views.py", "log/spelling.py",
            "log/tail.py", "log/tracebacks.py",
        ),  # the rest are tables: each row has its own examples
        (
            "unit/test_utf8.py", "unit/test_spelling.py", "unit/test_body.py",
            "unit/test_tracebacks.py", "unit/test_diagnosis.py", "unit/test_private_keys.py",
            "unit/test_redaction.py", "unit/test_masking.py",
            "unit/test_tail.py", "unit/test_secrets.py", "service/test_body_limit.py",
            "service/test_canary.py",
        ),
    ),
    "collector": (
        ("entry/collector.py",),
        ("unit/test_collector.py", "unit/test_rings.py", "unit/test_watch.py"),
    ),
}  # fmt: skip


def _modules(room: str) -> list[Path]:
    return [path for pattern in ROOMS[room][0] for path in sorted((ROOT / "loghc").glob(pattern))]


def _tests(room: str) -> list[str]:
    return [f"tests/{name}" for name in ROOMS[room][1]]


def _difference(mutant: Mutant) -> tuple[str, str]:
    return f"    - {mutant.before}", f"    + {mutant.after}"


def accepted() -> dict[tuple[str, str, str, str], str]:
    """The survivors that are no gap, with the reason for each."""
    entries = tomllib.loads(ACCEPTED.read_text(encoding="utf-8")).get("mutant", [])
    return {
        (each["path"], each["where"], each["before"], each["after"]): each["reason"]
        for each in entries
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--room", action="append", choices=ROOMS, help="all by default")
    parser.add_argument("--sample", type=int, help="so many mutants of each room; default: all")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument(
        "--spend",
        type=float,
        default=math.inf,
        help="seconds of tests for a mutant; default: all",
    )
    parser.add_argument(
        "--seen",
        type=Path,
        help="a file that keeps what the first run found out, for the next time",
    )
    parser.add_argument("--only", default="", help="mutants of functions whose name contains this")
    parser.add_argument("--recheck", action="store_true", help="run the accepted ones too")
    parser.add_argument("--list", action="store_true", help="show the mutants, and run nothing")
    options = parser.parse_args()
    known = accepted()
    everything = [
        mutant
        for room in ROOMS
        for path in _modules(room)
        for mutant in mutants_of(room, path, ROOT)
    ]
    stale = set(known) - {mutant.key() for mutant in everything}
    for entry in sorted(stale):
        print("accepted, but no such mutant:", *entry, sep="\n    ")
    chosen: list[Mutant] = []
    for room in options.room or ROOMS:
        of_room = [mutant for mutant in everything if mutant.room == room]
        of_room = [each for each in of_room if options.only in f"{each.path}:{each.where}"]
        if options.sample is not None and options.sample < len(of_room):
            picked = random.Random(options.seed).sample(range(len(of_room)), options.sample)
            of_room = [of_room[number] for number in sorted(picked)]
        chosen += of_room
    print(f"{len(chosen)} mutants of {len(everything)}", flush=True)
    if options.list:
        for mutant in chosen:
            print(f"{mutant.path}:{mutant.line} {mutant.where}", *_difference(mutant), sep="\n")
        return 0
    skipped = [] if options.recheck else [mutant for mutant in chosen if mutant.key() in known]
    to_run = [mutant for mutant in chosen if options.recheck or mutant.key() not in known]
    return _summarise(_run_all(to_run, options), skipped, known) or bool(stale)


def _run_all(mutants: list[Mutant], options: argparse.Namespace) -> list[tuple[Mutant, Result]]:
    for name in _LIBRARIES:
        importlib.import_module(name)
    calls = _calls(dict.fromkeys(mutant.room for mutant in mutants), options)
    judges = Judges(calls, options.spend)
    in_place, in_fresh = {}, {}
    for number, mutant in enumerate(mutants):
        late = mutant.in_body and not called_at_import(mutant, calls[mutant.room])
        (in_place if late else in_fresh)[number] = mutant
    found: list[tuple[Mutant, Result]] = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as directory:
        package = Path(directory) / "loghc"  # somebody may change the real one meanwhile
        shutil.copytree(ROOT / "loghc", package)
        files = list(
            dict.fromkeys(name for each in in_place.values() for name in _tests(each.room))
        )
        for result in results(in_place, package, judges, files, options.jobs):
            if result.fate == "fresh":
                in_fresh[result.number] = in_place[result.number]
            else:
                _note(found, in_place[result.number], result)
        for result in results(in_fresh, package, judges, None, options.jobs):
            _note(found, in_fresh[result.number], result)
    if len(found) < len(mutants):
        raise SystemExit(f"only {len(found)} of {len(mutants)} mutants were run")
    return found


def _note(found: list[tuple[Mutant, Result]], mutant: Mutant, result: Result) -> None:
    if result.fate == "unfit":
        print(f"left out, as it fails without a change: {result.test}", flush=True)
        return
    found.append((mutant, result))
    if result.fate != "killed":
        print(f"{result.fate} {mutant.path}:{mutant.line} {mutant.where}", end="")
        print(f" ({result.judges} tests, {result.seconds} s) {result.test}")
        print(*_difference(mutant), sep="\n", flush=True)
    if len(found) % 50 == 0:
        print(f"{len(found)} run", flush=True)


def _calls(rooms: Iterable[str], options: argparse.Namespace) -> dict[str, Calls]:
    """What the tests of the rooms call: as kept from the last time, or found out."""
    seen: Path | None = options.seen
    kept = json.loads(seen.read_text(encoding="utf-8")) if seen and seen.exists() else {}
    calls = {room: Calls(*each) for room, each in kept.items()}
    new = [
        room for room in rooms if room not in calls or calls[room].state != state_of(_tests(room))
    ]
    with tempfile.TemporaryDirectory(prefix="mutants-") as directory:

        def find_out(number: int) -> None:
            for room in new[number :: options.jobs]:
                found = calls_of(room, _modules(room), _tests(room))
                Path(directory, room).write_text(json.dumps(found))

        for pid in forks(options.jobs, find_out):
            os.waitpid(pid, 0)
        found = [path.name for path in Path(directory).iterdir()]
        calls |= {room: Calls(*json.loads(Path(directory, room).read_text())) for room in found}
    if seen:
        seen.write_text(json.dumps(calls), encoding="utf-8")
    if len(found) < len(new):
        raise SystemExit(f"tests to be mended first: those of {set(new) - set(found)}")
    return calls


def _summarise(
    found: list[tuple[Mutant, Result]],
    skipped: list[Mutant],
    known: dict[tuple[str, str, str, str], str],
) -> bool:
    """Print the scores; whether a room has less than 95 %."""
    bad = False
    for room in dict.fromkeys([*(m.room for m, _ in found), *(m.room for m in skipped)]):
        counts = Counter(result.fate for mutant, result in found if mutant.room == room)
        listed = sum(mutant.room == room for mutant in skipped)
        for mutant, (_, fate, test, *_) in found:
            if mutant.room == room and mutant.key() in known and fate != "survived":
                print(f"accepted, but {fate}: {mutant.path}:{mutant.line} {mutant.after} ({test})")
        killed = counts["killed"] + counts["timeout"]
        total = killed + counts["survived"]
        score = 100 * killed / total if total else 100.0
        bad = bad or score < 95
        print(
            f"{room}: {score:.1f} % of {total} ({counts['killed']} killed, {counts['timeout']} "
            f"by time, {counts['survived']} survived), {listed} accepted"
        )
    return bad


if __name__ == "__main__":
    sys.exit(main())
