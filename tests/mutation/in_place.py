"""Runs tests on a mutant in a fork of a pytest that has collected them all.

The fork puts the changed code into the functions that are there already, which saves the second
that imports and the collection take. Processes that the tests start import the changed copy.
"""

from __future__ import annotations

import gc
import os
import traceback
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from mutation.changes import Mutant
from mutation.forks import CANNOT, Fate, Named, fate_of, output


class InPlace:
    """A pytest plugin: does some work instead of running the tests.

    Args:
        copy: the folder with the copy of loghc that pytest imports.
        work: is done once all tests are collected.
    """

    def __init__(self, copy: Path, work: Callable[[], None]) -> None:
        self._work = work
        self._items: list[Any] = []
        self._functions: dict[str, list[FunctionType]] = {}
        self._sources = {
            str(path.relative_to(copy)): path.read_bytes() for path in copy.glob("loghc/**/*.py")
        }

    def pytest_runtestloop(self, session: Any) -> bool:
        self._items = session.items
        functions = defaultdict(list)
        for each in gc.get_objects():
            if isinstance(each, FunctionType):
                functions[each.__code__.co_filename].append(each)
        self._functions = functions
        gc.freeze()
        self._work()
        return True

    def run(self, copy: Path, mutant: Mutant | None, tests: dict[str, float]) -> Fate:
        """What becomes of a mutant: killed, survived, timeout, or `fresh` where this can't tell."""

        def be_the_rest_of_pytest(note: Path) -> None:
            os.truncate(output(copy), 0)
            if mutant is not None and not self._changed(copy, mutant):
                os._exit(CANNOT)
            try:
                self._run_tests(Named(tests, note))
            except BaseException:  # noqa: BLE001 - SystemExit, too, is a test that has failed
                traceback.print_exc()
                os._exit(1)
            os._exit(0)

        return fate_of(copy, tests, be_the_rest_of_pytest)

    def _changed(self, copy: Path, mutant: Mutant) -> bool:
        """Change the functions that the mutant is in; whether that was possible."""
        path = str(copy / mutant.path)
        live = self._functions.get(path)
        if live is None:
            return True  # will be imported, by a test
        old = _codes(self._sources[mutant.path], path)
        new = _codes((copy / mutant.path).read_bytes(), path)
        found = False
        for function in live:
            name = function.__code__.co_qualname
            plain = name.replace(".<locals>", "")
            if f"{mutant.where}.".startswith(f"{plain}.") or plain.startswith(f"{mutant.where}."):
                lines = [code.co_firstlineno for code in old[name]]
                try:
                    function.__code__ = new[name][lines.index(function.__code__.co_firstlineno)]
                except (IndexError, ValueError):  # it's gone, or has other free variables
                    return False
                found = True
        return found

    def _run_tests(self, named: Named) -> None:
        items = named.chosen(self._items)
        items[0].config.pluginmanager.register(named)
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if named.failed:
                os._exit(1)


def _codes(source: bytes, path: str) -> dict[str, list[CodeType]]:
    """The code of a module's functions by their qualified names, in order of lines."""
    found = defaultdict(list)

    def visit(code: CodeType) -> None:
        for each in code.co_consts:
            if isinstance(each, CodeType):
                found[each.co_qualname].append(each)
                visit(each)

    visit(compile(source, path, "exec"))
    for codes in found.values():
        codes.sort(key=lambda code: code.co_firstlineno)
    return found
