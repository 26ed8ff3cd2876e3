"""The script that asks whether a test would notice: what it changes, and which tests it asks."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from guards import needs_guard
from mutants import sample
from mutation.changes import Mutant, mutants_of
from mutation.lines import Judges
from mutation.workplace import Recorded, Workplace

ROOT = Path(__file__).resolve().parent.parent.parent
MODULE = "loghc/room/module.py"


def changed(source: str) -> list[str]:
    return [mutant.after for mutant in mutants_of(MODULE, source)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a < b", ["pass", "a <= b"]),
        ("a and b", ["pass", "(a or b)"]),
        ("x = not a", ["x = (a)"]),
        ("x = a + b", ["x = (a - b)"]),
        ("x = True", ["x = False"]),
        ("LIMIT = 3", ["LIMIT = 4"]),
        ("LIMIT = 300", ["LIMIT = 600"]),
        ("x = a[1:]", ["x = a", "x = a[2:]"]),
        ("x = sorted(a)", ["x = a"]),
        ("x = a.lower()", ["x = a"]),
        ("x = match(a, key=b)", ["x = match(a)", "x = search(a, key=b)"]),
        ("def f(self):\n    self.x = a", ["pass"]),
        ("def f():\n    return a", ["return None"]),
        ("while a:\n    break", ["while (not (a)):", "continue"]),
        ("{a for a in b if c}", ["pass", "{a for a in b if (not (c))}", "{a for a in b if True}"]),
    ],
)  # fmt: skip
def test_one_thing_is_changed(source: str, expected: list[str]) -> None:
    assert sorted(after.strip() for after in changed(source)) == sorted(expected)


@pytest.mark.parametrize(
    "source",
    [
        'x = "text"',
        'x = f"{a < b}"',
        'x = "%s" % a',
        "x = 0.5",
        "x: Literal[1, 2]",
        '"""Text."""',
        '__all__ = ["a"]',
        "TYPE_CHECKING = False",
        "import a",
        "if TYPE_CHECKING:\n    x = 1",
        "if sys.version_info < (3, 12):\n    x = 1",
        "x = open(a, encoding=b)",
    ],
)
def test_nobody_could_tell_or_should_have_to(source: str) -> None:
    assert changed(source) == []


def test_a_comment_says_that_no_test_can_tell() -> None:
    source = "x = a < b  # no test can tell: a saving\ny = a < b\n"
    assert [(each.line, each.equivalent) for each in mutants_of(MODULE, source)] == [
        (1, True),
        (2, False),
    ]


SOURCE = """\
LIMIT = 3
DOUBLE = LIMIT + LIMIT
UNUSED = 4
def one():
    x = LIMIT
    return [
        1,
    ]
def two():
    return DOUBLE
"""


def judges(tests: Mapping[str, list[int]], spend_s: float = 100) -> Judges:
    recorded = {name: Recorded(10, {MODULE: lines}) for name, lines in tests.items()}
    return Judges(recorded, {MODULE: SOURCE}, spend_s)


def mutant(line: int) -> Mutant:
    return next(each for each in mutants_of(MODULE, SOURCE) if each.line == line)


TESTS = {
    "unit/a.py::large": [5, 6, 10],
    "unit/a.py::small": [5, 6],
    "unit/a.py::smaller": [5],
    "unit/b.py::two": [10],
    "unit/b.py::all": [1, 2, 3, 5, 6, 9, 10],
}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (6, ["small", "all", "large"]),
        (7, ["small", "all", "large"]),  # a part of the statement above
        (2, ["two", "large", "all"]),
        (1, ["smaller", "two", "small", "all", "large"]),  # of which DOUBLE is made
        (3, ["smaller", "two", "small", "all", "large"]),  # who knows
    ],
)
def test_those_that_run_the_line_judge_and_the_nearest_first(
    line: int, expected: list[str]
) -> None:
    found = judges(TESTS).of(mutant(line))
    assert [name.rpartition("::")[2] for name in found] == expected


def test_no_more_time_is_spent_than_allowed() -> None:
    assert list(judges(TESTS, spend_s=25).of(mutant(6))) == ["unit/a.py::small", "unit/b.py::all"]


def test_a_seed_stands_for_a_sample_of_all_rooms() -> None:
    mutants = [
        each
        for room, count in (("a", 40), ("b", 40), ("c", 2))
        for each in mutants_of(f"loghc/{room}/module.py", "x = True\n" * count)
    ]
    found = sample(mutants, [""], 12, seed=1)
    assert Counter(each.room for each in found) == {"a": 5, "b": 5, "c": 2}
    assert found == sample(mutants, [""], 12, seed=1)
    assert found != sample(mutants, [""], 12, seed=2)


needs_monitoring = pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring is 3.12's")


@pytest.mark.slow
@needs_monitoring
@needs_guard
def test_lines_that_a_guard_runs_are_recorded(tmp_path: Path) -> None:
    test = "tests/process/test_guard.py::test_what_a_stop_gives_up_is_left_to_the_guard"
    found = Workplace(tmp_path, ROOT, "HEAD").record([test])[test]
    assert found is not None
    assert {"loghc/guard/process.py", "loghc/death/wait_status.py"} <= set(found.lines)


@pytest.mark.slow
@needs_monitoring
def test_lines_are_recorded_in_every_process_and_a_change_is_noticed(tmp_path: Path) -> None:
    unit, process = "tests/unit/test_utf8.py", "tests/process/test_one_matcher.py"
    place = Workplace(tmp_path, ROOT, "HEAD")
    found = place.record([unit, process])
    assert all(found.values())
    whole = {"loghc/watch/watcher.py", "loghc/inside/tap.py", "loghc/portable/ring.py"}
    for name, test in found.items():
        assert (whole <= set(test.lines)) == ("loghc_run" in name)
        assert (set(test.lines) == {"loghc/utf8.py"}) == (unit in name)

    tests = {name: test.seconds for name, test in found.items()}
    assert place.failed(tests) is None
    place.write("loghc/inside/tap.py", b"broken(")
    assert "loghc_run" in (place.failed(tests) or "")
    place.write("loghc/utf8.py", b"broken(")
    assert place.failed(tests) == ""
