"""Mutation testing of the core: changes one thing in the code, and sees whether a test notices.

    .venv/bin/python tests/mutants.py --room delivery --sample 100 --seed 1

Each mutant is one change of loghc, in a copy that goes before the real one on the path, also for
the processes that tests start. It is killed when a test fails, or doesn't end. A server that has
imported pytest and the libraries, but not loghc, forks for each mutant, so that it costs no
start-up. A first run, without a change, finds out which tests call which functions: a mutant is
judged by those that call what was changed, the quickest first, but for those that killed another
mutant of the same module: they go before all.

`mutants_accepted.toml` lists the survivors that are no gap in the tests, each with a reason. They
are run with `--recheck` alone; an entry that fits no mutant any more is an error.

Left out are docstrings, annotations, `__all__`, `__slots__`, what is in f-strings, and a module's
numbers with a point, which are seconds to wait.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import hashlib
import importlib
import itertools
import json
import math
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import tomllib

ROOT = Path(__file__).resolve().parent.parent
ACCEPTED = Path(__file__).with_name("mutants_accepted.toml")
_LIBRARIES = (
    "apscheduler.schedulers.background", "hypothesis.stateful", "hypothesis.strategies", "loguru",
    "pytest", "trustme", "urllib3",
)  # fmt: skip
ONE_TEST = 20  # seconds that one test may take at first, and the start of a run
# Times as long as at first, and so many seconds, a test may take then; more counts as killed.
LATE = 4
MEMORY = 8 * 2**30  # bytes of addresses: a mutant that starts threads without end has a thousand

ROOMS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    # room: modules, and the tests that judge them, quickest first
    "runs": (
        ("runs.py", "markers.py", "lifecycle.py"),
        (
            "unit/test_runs.py", "unit/test_completion.py", "unit/test_markers.py",
            "unit/test_lifecycle.py", "unit/test_slips.py",
            "service/test_overlapping_runs.py", "service/test_event_truth.py",
            "service/test_sink.py", "service/test_loguru_modes.py", "process/test_exit.py",
        ),
    ),
    "delivery": (
        ("delivery/*.py",),
        (
            "unit/test_closing.py",
            "unit/test_report.py", "unit/test_retry.py", "unit/test_courier.py",
            "unit/test_stopping.py",
            "unit/test_outcomes.py",
            "unit/test_outbox.py", "service/test_faults.py", "service/test_body_limit.py",
            "service/test_hostile_service.py", "service/test_event_truth.py",
            "service/test_sink.py", "service/test_delivery.py", "service/test_threads.py",
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
            "service/test_logging_loops.py", "service/test_transport.py",
        ),
    ),
    "log": (
        (
            "log/body.py", "log/diagnosis.py", "log/masking.py", "log/private_keys.py",
            "log/redaction.py", "log/secrets.py", "log/spelling.py", "log/tail.py",
            "log/tracebacks.py",
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
        ("watch/collector.py",),
        ("unit/test_collector.py", "unit/test_rings.py", "unit/test_watch.py"),
    ),
}  # fmt: skip

_COMPARE = {
    ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "==",
    ast.Is: "is not", ast.IsNot: "is", ast.In: "not in", ast.NotIn: "in",
}  # fmt: skip
_ARITHMETIC: dict[type, ast.operator] = {
    ast.Add: ast.Sub(), ast.Sub: ast.Add(), ast.Mult: ast.Div(), ast.Div: ast.Mult(),
    ast.FloorDiv: ast.Mult(), ast.Mod: ast.Mult(), ast.Pow: ast.Mult(), ast.BitAnd: ast.BitOr(),
    ast.BitOr: ast.BitAnd(), ast.LShift: ast.RShift(), ast.RShift: ast.LShift(),
}  # fmt: skip
_NAMES = {
    "min": "max", "max": "min", "any": "all", "all": "any", "startswith": "endswith",
    "endswith": "startswith", "append": "appendleft", "popleft": "pop", "partition": "rpartition",
    "rpartition": "partition", "match": "search", "fullmatch": "match", "monotonic": "time",
    "removesuffix": "removeprefix", "appendleft": "append",
}  # fmt: skip
_NEEDLESS = frozenset(
    ("lower", "upper", "strip", "rstrip", "lstrip", "copy", "reversed", "sorted", "removesuffix")
)


class Mutant(NamedTuple):
    """One change: the code between two offsets becomes another."""

    room: str
    path: str
    where: str
    line: int
    start: int
    end: int
    code: str
    before: str
    after: str

    def key(self) -> tuple[str, str, str, str]:
        return self.path, self.where, self.before, self.after


def _replacements(node: ast.AST, top_level: bool) -> Iterator[tuple[ast.AST, str]]:
    """What could stand instead of a node, or instead of a part of it."""

    def text(part: ast.AST) -> str:
        return ast.unparse(ast.fix_missing_locations(part))

    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        operator = _COMPARE[type(node.ops[0])]
        yield node, f"{text(node.left)} {operator} {text(node.comparators[0])}"
    elif isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield node, f"({text(ast.BoolOp(other, node.values))})"
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub)):
        yield node, f"({text(node.operand)})"
    elif isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        other = _ARITHMETIC[type(node.op)]
        yield node, f"({text(ast.BinOp(node.left, other, node.right))})"
    elif isinstance(node, ast.AugAssign) and type(node.op) in _ARITHMETIC:
        yield node, text(ast.AugAssign(node.target, _ARITHMETIC[type(node.op)], node.value))
        yield node, text(ast.Assign([node.target], node.value))
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, bool):
            yield node, str(not node.value)
        elif isinstance(node.value, int):
            yield node, str(node.value + 1)
        elif isinstance(node.value, float) and not top_level:
            yield node, repr(node.value * 10 or 1.0)
        elif isinstance(node.value, (str, bytes)):
            extra = "XX" if isinstance(node.value, str) else b"XX"
            yield node, repr(extra + node.value)
    elif isinstance(node, (ast.If, ast.While, ast.IfExp)):
        yield node.test, f"(not ({text(node.test)}))"
    elif isinstance(node, ast.comprehension):
        for condition in node.ifs:
            yield condition, f"(not ({text(condition)}))"
            yield condition, "True"
    elif isinstance(node, ast.Call):
        yield from _other_calls(node, text)
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
        yield node, text(node.value)
    elif isinstance(node, ast.Return) and node.value is not None:
        if not (isinstance(node.value, ast.Constant) and not node.value.value):
            yield node, "return None"
    elif isinstance(node, (ast.Expr, ast.Delete, ast.Raise)) or (
        isinstance(node, (ast.Assign, ast.AnnAssign)) and not top_level and _keeps(node)
    ):
        yield node, "pass"
    elif isinstance(node, ast.With) and "lock" in ast.unparse(node.items[0]):
        header = ast.Pass(
            lineno=node.lineno,
            col_offset=node.col_offset,
            end_lineno=node.items[-1].context_expr.end_lineno,
            end_col_offset=node.items[-1].context_expr.end_col_offset,
        )
        yield header, "if True"
    elif isinstance(node, (ast.Break, ast.Continue)):
        yield node, "continue" if isinstance(node, ast.Break) else "break"


def _other_calls(node: ast.Call, text: Any) -> Iterator[tuple[ast.AST, str]]:
    for position, keyword in enumerate(node.keywords):
        if keyword.arg is not None and keyword.arg != "daemon":
            others = [*node.keywords[:position], *node.keywords[position + 1 :]]
            yield node, text(ast.Call(node.func, node.args, others))
    if isinstance(node.func, ast.Name):
        if node.func.id in _NAMES:
            other: ast.expr = ast.Name(_NAMES[node.func.id])
            yield node, text(ast.Call(other, node.args, node.keywords))
        if node.func.id in _NEEDLESS and node.args:
            yield node, text(node.args[0])
    elif isinstance(node.func, ast.Attribute):
        if node.func.attr in _NAMES:
            other = ast.Attribute(node.func.value, _NAMES[node.func.attr])
            yield node, text(ast.Call(other, node.args, node.keywords))
        if node.func.attr in _NEEDLESS:
            yield node, text(node.func.value)


def _keeps(node: ast.Assign | ast.AnnAssign) -> bool:
    """Whether something outlives the function that is assigned to in it."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return node.value is not None and any(
        isinstance(target, (ast.Attribute, ast.Subscript)) for target in targets
    )


def mutants_of(room: str, path: Path) -> Iterator[Mutant]:
    """All mutants of a module."""
    source = path.read_bytes()
    lines = source.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))

    def visit(node: ast.AST, where: str, in_function: bool) -> Iterator[Mutant]:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            where = f"{where}.{node.name}".lstrip(".")
            in_function = in_function or not isinstance(node, ast.ClassDef)
        if _uninteresting(node):
            return
        for part, code in _replacements(node, not in_function):
            start = starts[part.lineno - 1] + part.col_offset  # type: ignore[attr-defined]
            end = starts[part.end_lineno - 1] + part.end_col_offset  # type: ignore[attr-defined]
            first, last = starts[part.lineno - 1], starts[part.end_lineno]  # type: ignore[attr-defined]
            before = source[first:last].decode()
            after = (source[first:start] + code.encode() + source[end:last]).decode()
            yield Mutant(
                room, str(path.relative_to(ROOT)), where, part.lineno,  # type: ignore[attr-defined]
                start, end, code, _flat(before), _flat(after),
            )  # fmt: skip
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "ctx", "op", "ops"):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from visit(child, where, in_function)

    for mutant in visit(ast.parse(source), "", in_function=False):
        if mutant.before != mutant.after:
            yield mutant


def _flat(code: str) -> str:
    return " ".join(code.split())


def _uninteresting(node: ast.AST) -> bool:
    if isinstance(node, (ast.JoinedStr, ast.Import, ast.ImportFrom)):
        return True
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True  # a docstring
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return True
    if isinstance(node, ast.Raise):
        return False
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id in ("__all__", "__slots__")
    return False


# Tests.


class _Course:
    """A pytest plugin: which tests are run, in which order, and what is noted of them.

    Args:
        tests: their names, in order, and the seconds that each may take; None: all.
        note: where the name of a test that fails is written.
        hits: where functions of loghc are written that are called, a line each; None: nowhere.
    """

    def __init__(self, tests: dict[str, float] | None, note: Path, hits: Path | None) -> None:
        self._tests, self._note, self._hits = tests, note, hits
        self.seen: dict[str, tuple[float, list[str]]] = {}  # name: seconds, functions
        self._begun = 0.0

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        if self._tests is not None:
            rank = {test: number for number, test in enumerate(self._tests)}
            items[:] = sorted(
                (item for item in items if item.nodeid in rank), key=lambda item: rank[item.nodeid]
            )
            for item in items:
                item.add_marker(sys.modules["pytest"].mark.timeout(self._tests[item.nodeid]))

    def pytest_runtest_logstart(self) -> None:
        self._begun = time.monotonic()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        if self._hits is not None:
            functions = self._hits.read_text().split("\n") if self._hits.exists() else []
            self.seen[nodeid] = (time.monotonic() - self._begun, sorted({*functions} - {""}))
            self._hits.unlink(missing_ok=True)
            sys.modules["_hits"].seen.clear()

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self._note.write_text(report.nodeid, encoding="utf-8")

    def pytest_sessionfinish(self) -> None:
        if self._hits is not None:
            self._note.with_name("seen").write_text(json.dumps(self.seen))


def _run(
    copy: Path,
    files: list[str],
    tests: dict[str, float] | None,
    seconds: float,
    hits: Path | None = None,
) -> tuple[str, str]:
    """Run tests on a copy, in a fork: killed, survived, or timeout; and by which test."""
    note, output = copy / "note", copy / "output"
    note.write_text("")
    pid = os.fork()
    if pid == 0:
        _be_pytest(copy, files, _Course(tests, note, hits), output)
    deadline = time.monotonic() + seconds
    pause, done, status = 0.005, 0, 0
    while not done and time.monotonic() < deadline:
        time.sleep(pause)
        pause = min(0.1, pause * 1.2)
        done, status = os.waitpid(pid, os.WNOHANG)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)  # with what it started
    if not done:
        os.waitpid(pid, 0)
        return "timeout", note.read_text()
    if os.waitstatus_to_exitcode(status) == 0:
        return "survived", ""
    by_time = b"+ Timeout +" in output.read_bytes()
    return "timeout" if by_time else "killed", note.read_text()


def _be_pytest(copy: Path, files: list[str], course: _Course, output: Path) -> None:
    status = 99
    try:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.RLIM_INFINITY))
        os.chdir(ROOT)
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        os.environ["PYTHONPATH"] = str(copy)
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(copy / "hypothesis")
        sys.path.insert(0, str(copy))
        sys.argv = ["pytest"]
        import pytest

        options = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not slow"]
        options += ["--override-ini=addopts=--strict-markers", "--hypothesis-seed=0", "--tb=short"]
        options += [
            f"--timeout={ONE_TEST}",
            "--timeout-method=thread",
            f"--basetemp={copy / 'tmp'}",
        ]
        options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # of what is imported
        status = int(pytest.main([*options, *files], plugins=[course]))
        import loghc

        if not loghc.__file__.startswith(str(copy)):
            status = 98
    except BaseException as error:  # noqa: BLE001 - the parent sees it
        print(repr(error))
    finally:
        sys.stdout.flush()
        os._exit(status)


# Which functions each test calls.

_HITS = """
import os
seen = set()

def hit(name):
    if name not in seen:
        seen.add(name)
        try:
            file = os.open({path!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        except OSError:  # a test that leaves no descriptor
            return
        os.write(file, (name + "\\n").encode())
        os.close(file)
"""


def _instrumented(path: Path) -> str:
    """A module each of whose functions notes that it is called."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    found: list[tuple[int, str]] = []

    def visit(node: ast.AST, where: str) -> None:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            where = f"{where}.{node.name}".lstrip(".")
            if not isinstance(node, ast.ClassDef):
                first = node.body[0]
                if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                    line = first.end_lineno or 0  # after a docstring
                else:
                    line = min([first.lineno, *_lines_of_decorators(first)]) - 1
                name = f"{path.relative_to(ROOT)}:{where}"
                indent = " " * first.col_offset
                found.append((line, f"{indent}__import__('_hits').hit({name!r})\n"))
        for child in ast.iter_child_nodes(node):
            visit(child, where)

    visit(ast.parse("".join(lines)), "")
    for line, text in sorted(found, reverse=True):
        lines.insert(line, text)
    return "".join(lines)


def _lines_of_decorators(node: ast.stmt) -> list[int]:
    return [each.lineno for each in getattr(node, "decorator_list", [])]


def _tests_of(room: str) -> dict[str, tuple[float, list[str]]]:
    """The tests of a room, with how long each takes and which functions it calls.

    They must pass on the code as it is.
    """
    with tempfile.TemporaryDirectory(prefix="mutants-") as directory:
        copy = Path(directory)
        hits = copy / "hits"
        shutil.copytree(ROOT / "loghc", copy / "loghc")
        (copy / "_hits.py").write_text(_HITS.format(path=str(hits)))
        for pattern in ROOMS[room][0]:
            for path in (ROOT / "loghc").glob(pattern):
                (copy / path.relative_to(ROOT)).write_text(_instrumented(path), encoding="utf-8")
        fate, test = _run(copy, [f"tests/{name}" for name in ROOMS[room][1]], None, 1800, hits)
        if fate != "survived":
            print((copy / "output").read_text(errors="replace")[-3000:])
            raise SystemExit(f"{room}: the tests fail on the code as it is: {test}")
        seen = json.loads((copy / "seen").read_text())
    seconds = sum(each[0] for each in seen.values())
    print(f"{room}: {len(seen)} tests, which take {seconds:.0f} s", flush=True)
    return dict(seen)


def _state(room: str) -> str:
    """Changes when the room's tests do."""
    files = [ROOT / "tests" / name for name in ROOMS[room][1]]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def _forks(jobs: int, work: Callable[[int], object]) -> list[int]:
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


def _tests_of_all(rooms: list[str], jobs: int) -> dict[str, dict[str, tuple[float, list[str]]]]:
    """The tests of several rooms, some at once."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as directory:

        def run(number: int) -> None:
            for room in rooms[number::jobs]:
                Path(directory, room).write_text(json.dumps(_tests_of(room)))

        for pid in _forks(jobs, run):
            os.waitpid(pid, 0)
        missing = [room for room in rooms if not Path(directory, room).exists()]
        if missing:
            raise SystemExit(f"the tests of these rooms have to be mended first: {missing}")
        return {room: json.loads(Path(directory, room).read_text()) for room in rooms}


def _judges(mutant: Mutant, tests: dict[str, tuple[float, list[str]]], spend: float) -> list[str]:
    """The tests that call what was changed, the quickest first."""
    place = f"{mutant.path}:{mutant.where}"
    found = sorted(
        (not test.startswith("tests/unit/"), seconds, test)
        for test, (seconds, functions) in tests.items()
        if any((name + ".").startswith(place + ".") or name == place for name in functions)
        or (not mutant.where and any(name.startswith(place) for name in functions))
    )
    spent = itertools.accumulate(seconds for _, seconds, _ in found)
    return [test for (*_, test), so_far in zip(found, spent, strict=True) if so_far <= spend]


# One mutant after the other.


def _work(
    mutants: list[Mutant],
    package: Path,
    tests: dict[str, dict[str, tuple[float, list[str]]]],
    spend: float,
    to: int,
) -> None:
    """Run mutants, and write each result as a line of JSON."""
    killers: dict[str, list[str]] = {}  # by module, the last one first
    with tempfile.TemporaryDirectory(prefix="mutants-") as directory:
        copy = Path(directory)
        shutil.copytree(package, copy / "loghc")
        for number, mutant in enumerate(mutants):
            target = copy / mutant.path
            source = target.read_bytes()
            target.write_bytes(source[: mutant.start] + mutant.code.encode() + source[mutant.end :])
            os.utime(target, (1e9 + number, 1e9 + number))  # no compiled one of an older mutant's
            begun = time.monotonic()
            judges = _judges(mutant, tests[mutant.room], spend)
            known = killers.setdefault(mutant.path, [])
            judges = [
                *(test for test in known if test in judges),
                *(test for test in judges if test not in known),
            ]
            fate, test = "survived", ""
            for some in (judges[:8], judges[8:]):  # to collect what kills it mostly, first
                if some and fate == "survived":
                    seconds = sum(tests[mutant.room][each][0] for each in some)
                    files = list(dict.fromkeys(each.partition("::")[0] for each in some))
                    limits = {test: LATE + LATE * tests[mutant.room][test][0] for test in some}
                    fate, test = _run(copy, files, limits, ONE_TEST + LATE * seconds)
            if "::" in test:
                known[:] = [test, *(each for each in known if each != test)][:40]
            target.write_bytes(source)
            os.utime(target, (2e9 + number, 2e9 + number))
            took = round(time.monotonic() - begun, 1)
            result = [_identity(mutant), fate, test, len(judges), took]
            os.write(to, (json.dumps(result) + "\n").encode())


def _difference(mutant: Mutant) -> tuple[str, str]:
    return f"    - {mutant.before}", f"    + {mutant.after}"


def _identity(mutant: Mutant) -> str:
    return f"{mutant.path} {mutant.start} {mutant.end} {mutant.code[:500]}"


# All of them.


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
        for room, (modules, _) in ROOMS.items()
        for pattern in modules
        for path in sorted((ROOT / "loghc").glob(pattern))
        for mutant in mutants_of(room, path)
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
    fates = _run_all(to_run, options)
    return _summarise(fates, skipped, known) or bool(stale)


def _run_all(mutants: list[Mutant], options: argparse.Namespace) -> list[tuple[Mutant, str, str]]:
    for name in _LIBRARIES:
        importlib.import_module(name)
    with tempfile.TemporaryDirectory(prefix="mutants-") as directory:
        package = Path(directory) / "loghc"  # somebody may change the real one meanwhile
        shutil.copytree(ROOT / "loghc", package)
        return _run_on(package, mutants, options)


def _run_on(
    package: Path, mutants: list[Mutant], options: argparse.Namespace
) -> list[tuple[Mutant, str, str]]:
    seen: Path | None = options.seen
    tests = json.loads(seen.read_text(encoding="utf-8")) if seen and seen.exists() else {}
    states = {room: _state(room) for room in dict.fromkeys(mutant.room for mutant in mutants)}
    new = [room for room, state in states.items() if tests.get(f"state of {room}") != state]
    tests.update(_tests_of_all(new, options.jobs))
    tests.update((f"state of {room}", states[room]) for room in new)
    if seen:
        seen.write_text(json.dumps(tests), encoding="utf-8")
    reading, writing = os.pipe()

    def run(number: int) -> None:
        os.close(reading)
        _work(mutants[number :: options.jobs], package, tests, options.spend, writing)

    workers = _forks(options.jobs, run)
    os.close(writing)
    by_id = {_identity(mutant): mutant for mutant in mutants}
    fates = []
    with os.fdopen(reading) as results:
        for line in results:
            identity, fate, test, judges, seconds = json.loads(line)
            mutant = by_id[identity]
            fates.append((mutant, fate, test))
            if fate != "killed":
                print(f"{len(fates)}: {fate} {mutant.path}:{mutant.line} {mutant.where}", end="")
                print(f" ({judges} tests, {seconds} s) {test}")
                print(*_difference(mutant), sep="\n", flush=True)
            if len(fates) % 50 == 0:
                print(f"{len(fates)} of {len(mutants)}", flush=True)
    for pid in workers:
        os.waitpid(pid, 0)
    if len(fates) < len(mutants):
        raise SystemExit(f"only {len(fates)} of {len(mutants)} mutants were run")
    return fates


def _summarise(
    fates: list[tuple[Mutant, str, str]],
    skipped: list[Mutant],
    known: dict[tuple[str, str, str, str], str],
) -> bool:
    """Print the scores; whether a room has less than 95 %."""
    bad = False
    for room in dict.fromkeys([*(m.room for m, *_ in fates), *(m.room for m in skipped)]):
        counts = Counter(fate for mutant, fate, _ in fates if mutant.room == room)
        listed = sum(mutant.room == room for mutant in skipped)
        for mutant, fate, test in fates:
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
