"""Finds a Python program, and runs it in this interpreter as ``python`` would have run it."""

from __future__ import annotations

import builtins
import contextlib
import importlib.machinery
import importlib.metadata
import io
import os
import pkgutil
import runpy
import sys
import sysconfig
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Program", "ProgramNotFound", "find_module", "find_target"]


class ProgramNotFound(Exception):  # noqa: N818 - it is what its name says, and the user's slip
    """There is no such program; its text says, in one line, what was looked for."""


@dataclass(frozen=True)
class Program:
    """A Python program that was found but has not started.

    Attributes:
        argv: its ``sys.argv``.
        directory: the first entry of its ``sys.path``.
        execute: runs it; raises what the program raises.
    """

    argv: list[str]
    directory: str
    execute: Callable[[], object]

    def run(self) -> None:
        """Run the program to the end of its main thread.

        Raises:
            BaseException: whatever ends it, SystemExit and KeyboardInterrupt included.
        """
        sys.argv = self.argv
        _lead_path(self.directory)
        self.execute()


def find_target(target: str, args: Sequence[str]) -> Program:
    """The program that a script's path, or the name of an installed console script, stands for.

    A file here goes before a console script of that name, and that before a directory.

    Args:
        target: the path of a ``.py`` or ``.pyc`` file, of a directory or zip file with a
            ``__main__.py``, or a name.
        args: the program's own arguments.

    Raises:
        ProgramNotFound: there is none.
    """
    path = Path(target)
    if not path.is_file() and path.name == target:
        entry_points = importlib.metadata.entry_points(group="console_scripts", name=target)
        for entry_point in entry_points:
            return _console_script(entry_point, args)
    if path.is_file() or path.is_dir():
        if pkgutil.get_importer(_absolute(target)) is not None:
            return _archive(target, args)
        return _script(target, args)
    looked_for = f"no console script of {sys.executable} has that name"
    raise ProgramNotFound(
        f"{target!r}: no such file" + (f", and {looked_for}" if path.name == target else "")
    )


def find_module(name: str, args: Sequence[str]) -> Program:
    """The program that ``python -m name`` runs. Nothing is imported to find it.

    Args:
        name: a module, or a package with a ``__main__`` module.
        args: the program's own arguments.

    Raises:
        ProgramNotFound: there is none.
    """
    directory = str(Path.cwd())
    _lead_path(directory)
    # A namespace package in a package can be looked into only when the outer one is imported.
    with contextlib.suppress(KeyError):
        _check_module(name)

    def execute() -> None:
        _new_main()
        # runpy's own way for "python -m", so that tracebacks show the same frames.
        runpy._run_module_as_main(name)  # type: ignore[attr-defined]

    return Program(["-m", *args], directory, execute)


def _check_module(name: str) -> None:
    spec = _spec(name) if all(name.split(".")) else None
    if spec is None:
        raise ProgramNotFound(f"-m {name}: no such module")
    if spec.submodule_search_locations is not None and _spec(f"{name}.__main__") is None:
        raise ProgramNotFound(f"-m {name}: a package without a __main__ module")


def _script(path: str, args: Sequence[str]) -> Program:
    where = _absolute(path)

    def execute() -> None:
        main = _new_main()
        main.__file__ = where
        if where.endswith(".pyc"):
            main.__loader__ = importlib.machinery.SourcelessFileLoader("__main__", where)
        else:
            main.__loader__ = importlib.machinery.SourceFileLoader("__main__", where)
        if sys.version_info < (3, 15):
            main.__dict__["__cached__"] = None
        exec(_code(where), main.__dict__)  # noqa: S102 - to run it is what was asked for

    return Program([path, *args], str(Path(where).resolve().parent), execute)


def _archive(path: str, args: Sequence[str]) -> Program:
    """A directory or zip file with a ``__main__.py`` in it."""
    where = _absolute(path)
    importer = pkgutil.get_importer(where)
    if importer is None or importer.find_spec("__main__") is None:
        raise ProgramNotFound(f"{path!r}: there is no __main__.py in it")

    def execute() -> None:
        _new_main()
        runpy._run_module_as_main("__main__", False)  # type: ignore[attr-defined]  # noqa: FBT003

    return Program([path, *args], where, execute)


def _console_script(entry_point: importlib.metadata.EntryPoint, args: Sequence[str]) -> Program:
    script = _installed_script(entry_point)
    if script is not None:
        return _script(str(script), args)
    # An installer that keeps no script file, or none in Python: what such a file would say.
    attribute = entry_point.attr
    source = (
        f"import sys\nfrom {entry_point.module} import {attribute.partition('.')[0]}\n"
        f"if __name__ == '__main__':\n    sys.exit({attribute}())\n"
    )

    def execute() -> None:
        code = compile(source, f"<{entry_point.name}>", "exec", dont_inherit=True)
        exec(code, _new_main().__dict__)  # noqa: S102 - to run it is what was asked for

    directory = sysconfig.get_path("scripts")
    return Program([os.path.join(directory, entry_point.name), *args], directory, execute)  # noqa: PTH118


def _installed_script(entry_point: importlib.metadata.EntryPoint) -> Path | None:
    """The file that starts an entry point, where there is one and it is Python."""
    names = (entry_point.name, f"{entry_point.name}.exe")
    files = (entry_point.dist.files if entry_point.dist else None) or []
    places = [Path(str(file.locate())).resolve() for file in files if file.name in names]
    places += [Path(sysconfig.get_path("scripts"), name) for name in names]
    return next((place for place in places if _is_script(place)), None)


def _is_script(path: Path) -> bool:
    if path.parent.name not in ("bin", "Scripts"):
        return False
    try:
        _code(str(path))
    except (OSError, SyntaxError, ValueError):  # none there, or a wrapper in another language
        return False
    return True


def _code(path: str) -> types.CodeType:
    with io.open_code(path) as file:
        if path.endswith(".pyc"):
            code = pkgutil.read_code(file)
            if code is None:
                raise RuntimeError("Bad magic number in .pyc file")
            return code  # type: ignore[no-any-return]
        # Without dont_inherit the program would get this module's own __future__ imports.
        return compile(file.read(), path, "exec", dont_inherit=True)


def _new_main() -> types.ModuleType:
    """A module ``__main__`` as Python makes it, in place of the one that loghc was started by."""
    main = types.ModuleType("__main__")
    main.__dict__["__builtins__"] = builtins
    if sys.version_info < (3, 14):
        main.__annotations__ = {}
    sys.modules["__main__"] = main
    return main


def _lead_path(directory: str) -> None:
    """Put a program's directory where Python put loghc's own, unless it was told to put none."""
    if not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
        sys.path[0] = directory


def _absolute(path: str) -> str:
    # Not Path: Python itself leaves ".", ".." and links in a script's __file__ as they are.
    return os.path.join(os.getcwd(), path)  # noqa: PTH109, PTH118


def _spec(name: str) -> importlib.machinery.ModuleSpec | None:
    """Where a module is, found without importing the packages that it is in.

    Raises:
        KeyError: one of these is a namespace package, which can't be looked into before.
    """
    path: Sequence[str] | None = None
    spec = None
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        spec = _found(".".join(parts[:count]), path)
        if spec is None or (count < len(parts) and spec.submodule_search_locations is None):
            return None
        path = spec.submodule_search_locations
    return spec


def _found(name: str, path: Sequence[str] | None) -> importlib.machinery.ModuleSpec | None:
    for finder in sys.meta_path:
        find_spec = getattr(finder, "find_spec", None)
        spec = find_spec(name, path, None) if find_spec else None
        if spec is not None:
            return spec  # type: ignore[no-any-return]
    return None
