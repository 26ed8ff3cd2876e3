"""What `loghc run` starts: which executable, with which arguments."""

from __future__ import annotations

import contextlib
import os
import re
import sys

__all__ = ["Command", "isolating_option", "resolve"]

_PYTHON_FILES = (".py", ".pyw", ".pyc", ".pyz", ".zip")
_ISOLATING = "IES"  # options that make Python ignore PYTHONPATH, or not import site
_WITH_VALUE = "WX"  # Python's options whose value is the rest of the word, or the next word
_SHEBANG_BYTES = 128  # read from a script to find its first line


class Command:
    """A program to start.

    Attributes:
        argv: its arguments; the first is the command's name as it was typed.
        candidates: paths to execute, tried in this order.
        hint: what may have been meant if there is no such program; or "".
        isolated: the option, such as ``-I``, that keeps the recorder out of its Python; or "".
    """

    __slots__ = ("argv", "candidates", "hint", "isolated")

    def __init__(self, argv: list[str], candidates: list[str]) -> None:
        self.argv = argv
        self.candidates = candidates
        self.hint = _shell_hint(argv[0]) if not candidates else ""
        self.isolated = isolating_option(argv) or _isolating_shebang(candidates)


def resolve(words: list[str], python: str | None = None) -> Command:
    """Resolve the command that was typed.

    ``-m`` and ``-c``, a Python file, a zip file and a directory are run by Python. Anything else is
    looked up as a shell would do it, and then beside the Python that runs loghc, where the scripts
    of its environment are.

    Args:
        words: the command and its arguments, at least one.
        python: the Python for ``-m``, ``-c`` and files; None: the one that runs loghc.
    """
    first = words[0]
    if first[:2] in ("-m", "-c") or _is_for_python(first):
        if first[:2] not in ("-m", "-c") and not os.path.exists(first):
            return Command(words, [])
        python = python or sys.executable
        return Command([python, *words], [python] if os.sep in python else _on_path(python))
    if os.sep in first:
        return Command(words, [first])
    return Command(words, _on_path(first) or _beside_python(first))


def _is_for_python(name: str) -> bool:
    if os.path.isdir(name):
        return os.sep in name or not _on_path(name)
    if not name.lower().endswith(_PYTHON_FILES):
        return False
    # An installed script may be called "tool.py".
    return os.path.exists(name) or os.sep in name or not _on_path(name)


def _on_path(name: str) -> list[str]:
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    found = [os.path.join(folder or os.curdir, name) for folder in folders]
    return [path for path in found if os.path.isfile(path)]


def _beside_python(name: str) -> list[str]:
    path = os.path.join(os.path.dirname(sys.executable), name)
    return [path] if os.path.isfile(path) else []


def _shell_hint(name: str) -> str:
    """What may have been meant by a command that only a shell understands."""
    if not re.search(r"[\s&|;<>$`*]", name):
        return ""
    import shlex

    return f"; did you mean sh -c {shlex.quote(name)}?"


def isolating_option(argv: list[str]) -> str:
    """The option of a Python command line that keeps PYTHONPATH or site out, or an empty str."""
    if not argv or not os.path.basename(argv[0]).startswith(("python", "pypy")):
        return ""
    words = iter(argv[1:])
    for word in words:
        if not word.startswith("-") or word == "-" or word.startswith("--"):
            break
        for position, letter in enumerate(word[1:], 1):
            if letter in _ISOLATING:
                return f"-{letter}"
            if letter in "mc":
                return ""
            if letter in _WITH_VALUE:
                if position == len(word) - 1:
                    next(words, None)
                break
    return ""


def _isolating_shebang(candidates: list[str]) -> str:
    """The option on a script's first line that does the same, or an empty str."""
    with contextlib.suppress(OSError, IndexError), open(candidates[0], "rb") as file:
        first_line = file.read(_SHEBANG_BYTES).partition(b"\n")[0]
        if first_line.startswith(b"#!"):
            return isolating_option(os.fsdecode(first_line[2:]).split())
    return ""
