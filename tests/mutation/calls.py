"""Which functions of loghc each test calls, and how long it takes."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from mutation.forks import ROOT, exit_status, forks, output, run_pytest

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


class Calls(NamedTuple):
    """What a room's tests do. Functions are named `loghc/runs.py:Runs.assign`."""

    state: str  # of the tests
    tests: dict[str, tuple[float, list[str]]]  # name: seconds, functions that it calls
    at_import: list[str]  # functions that are called before the first test


def state_of(files: Iterable[str]) -> str:
    """Changes when the tests do."""
    return hashlib.sha256(b"".join((ROOT / each).read_bytes() for each in files)).hexdigest()


class _Noting:
    """A pytest plugin: notes what is called. `hits` is where the functions' calls are written."""

    def __init__(self, hits: Path) -> None:
        self._hits = hits
        self._begun = 0.0
        self.tests: dict[str, tuple[float, list[str]]] = {}
        self.at_import: list[str] = []

    def _called(self) -> list[str]:
        functions = self._hits.read_text().split("\n") if self._hits.exists() else []
        self._hits.unlink(missing_ok=True)
        if "_hits" in sys.modules:
            sys.modules["_hits"].seen.clear()
        return sorted({*functions} - {""})

    def pytest_collection_finish(self) -> None:
        self.at_import = self._called()

    def pytest_runtest_logstart(self) -> None:
        self._begun = time.monotonic()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self.tests[nodeid] = (time.monotonic() - self._begun, self._called())


def calls_of(room: str, modules: Sequence[Path], files: Sequence[str]) -> Calls:
    """Run a room's tests on the code as it is; they must pass."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as directory:
        copy = Path(directory)
        hits, result = copy / "hits", copy / "result"
        shutil.copytree(ROOT / "loghc", copy / "loghc")
        (copy / "_hits.py").write_text(_HITS.format(path=str(hits)))
        for path in modules:
            (copy / path.relative_to(ROOT)).write_text(_instrumented(path), encoding="utf-8")

        def run(_: int) -> None:
            os.setsid()
            noting = _Noting(hits)
            status = run_pytest(copy, files, noting)
            if status == 0:
                result.write_text(json.dumps([noting.tests, noting.at_import]))

        [pid] = forks(1, run)
        exit_status(pid, 1800)
        if not result.exists():
            print(output(copy).read_text(errors="replace")[-3000:])
            raise SystemExit(f"{room}: the tests fail on the code as it is")
        calls = Calls(state_of(files), *json.loads(result.read_text()))
    seconds = sum(each[0] for each in calls.tests.values())
    print(f"{room}: {len(calls.tests)} tests, which take {seconds:.0f} s", flush=True)
    return calls


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
