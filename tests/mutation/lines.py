"""Which tests judge a mutant: those that run its line, in any process, the nearest first."""

from __future__ import annotations

import ast
import bisect
import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

from mutation.changes import Mutant, bound_by
from mutation.workplace import Recorded


class Judges:
    """Chooses tests.

    Args:
        tests: what each test runs.
        sources: the code of each module, by its path.
        spend_s: seconds of tests for a mutant, at most.
    """

    def __init__(
        self, tests: Mapping[str, Recorded], sources: Mapping[str, str], spend_s: float
    ) -> None:
        self._tests, self._sources, self._spend_s = tests, sources, spend_s
        self._extent = {name: sum(map(len, test.lines.values())) for name, test in tests.items()}
        self._by_line: dict[str, dict[int, list[str]]] = {path: {} for path in sources}
        for name, test in tests.items():
            for path, lines in test.lines.items():
                for line in lines:
                    self._by_line[path].setdefault(line, []).append(name)
        self._run = {path: sorted(lines) for path, lines in self._by_line.items()}
        # The statements that run when a module is imported: what they bind, and what they use.
        self._bound: list[tuple[set[str], set[str]]] = []
        self._imported: dict[str, set[int]] = defaultdict(set)
        for path, source in sources.items():
            for node in ast.parse(source).body:
                if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                    self._imported[path].update(range(node.lineno, (node.end_lineno or 0) + 1))
                    used = {
                        getattr(each, "id", getattr(each, "attr", "")) for each in ast.walk(node)
                    }
                    self._bound.append((set(bound_by(node)), used))

    def of(self, mutant: Mutant) -> dict[str, float]:
        """Tests in order, with the seconds that each takes."""
        found = self._using(mutant.names) if mutant.names else set()
        if not found:
            position = bisect.bisect_right(self._run[mutant.path], mutant.line)
            lines = self._run[mutant.path][max(0, position - 1) : position or None]
            if mutant.names is not None:  # made at import, and used nobody knows how
                lines = self._run[mutant.path]
            found = {name for line in lines for name in self._by_line[mutant.path][line]}
        mixed = _mixed(sorted(found, key=lambda name: (self._extent[name], name)))
        words = {*_words(mutant.path)}  # a file of tests that is named like the module goes first
        order = sorted(mixed, key=lambda name: -len(words.intersection(_words(name))))
        spent = itertools.accumulate(self._tests[name].seconds for name in order)
        within = [name for name, sum_s in zip(order, spent, strict=True) if sum_s <= self._spend_s]
        return {name: self._tests[name].seconds for name in within[:200]}  # fit a command line

    def _using(self, given: Iterable[str]) -> set[str]:
        """The tests that run a function's line with a name that is bound at import.

        Or with a name of which another such statement makes something.
        """
        names, size = set(given), 0
        while len(names) > size:
            size = len(names)
            names.update(*(bound for bound, used in self._bound if used & names))
        pattern = re.compile(rf"\b(?:{'|'.join(names)})\b")
        return {
            name
            for path, source in self._sources.items()
            for line, text in enumerate(source.splitlines(), 1)
            if line not in self._imported[path] and pattern.search(text)
            for name in self._by_line[path].get(line, ())
        }


def _words(path: str) -> list[str]:
    return re.split(r"[\W_]", path.partition("::")[0])


def _mixed(tests: Iterable[str]) -> list[str]:
    """The first of each file, then the second of each, and so on: they notice different things."""
    ranks: dict[str, int] = {}
    places: dict[str, itertools.count[int]] = defaultdict(itertools.count)
    for test in tests:
        ranks[test] = next(places[test.partition("::")[0]])
    return sorted(ranks, key=lambda test: ranks[test])
