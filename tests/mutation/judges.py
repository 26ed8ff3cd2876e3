"""Which tests judge a mutant, in which order."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from mutation.calls import Calls
from mutation.changes import Mutant


class Judges:
    """The tests that come by what was changed: those that killed others of its module first.

    Args:
        calls: what the tests of each room call.
        spend: seconds of tests for a mutant.
    """

    def __init__(self, calls: Mapping[str, Calls], spend: float) -> None:
        self._calls, self._spend = calls, spend
        self._killers: dict[str, list[str]] = {}  # by module, the last one first
        self._unfit: set[str] = set()

    def of(self, mutant: Mutant) -> dict[str, float]:
        """The tests' names, in order, with the seconds that each takes."""
        calls = self._calls[mutant.room]
        called_late = not called_at_import(mutant, calls)

        def comes_by(name: str) -> bool:
            if called_late and mutant.where:
                return _is_within(name, _place(mutant)) or name == _place(mutant)
            return name.startswith(f"{mutant.path}:")  # any that uses the module

        found = sorted(
            (not test.startswith("tests/unit/"), seconds, test)
            for test, (seconds, functions) in calls.tests.items()
            if any(map(comes_by, functions))
        )
        spent = itertools.accumulate(seconds for _, seconds, _ in found)
        judges = {
            test: seconds
            for (_, seconds, test), so_far in zip(found, spent, strict=True)
            if so_far <= self._spend and test not in self._unfit
        }
        first = [test for test in self._killers.get(mutant.path, ()) if test in judges]
        return {test: judges[test] for test in dict.fromkeys([*first, *judges])}

    def has_killed(self, test: str, mutant: Mutant) -> None:
        known = self._killers.setdefault(mutant.path, [])
        known[:] = [test, *(each for each in known if each != test)][:40]

    def drop(self, test: str) -> None:
        """No longer use a test, as it fails on the code as it is."""
        self._unfit.add(test)


def called_at_import(mutant: Mutant, calls: Calls) -> bool:
    """Whether the function that was changed has been called before the first test begins."""
    place = _place(mutant)
    return any(
        name == place or _is_within(name, place) or _is_within(place, name)
        for name in calls.at_import
    )


def _place(mutant: Mutant) -> str:
    return f"{mutant.path}:{mutant.where}"


def _is_within(name: str, place: str) -> bool:
    return name.startswith(f"{place}.") or (place.endswith(":") and name.startswith(place))
