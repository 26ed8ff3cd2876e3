"""What `loghc run` says of test_equivalence's programs on standard error: of most, nothing."""

from __future__ import annotations

import os

__all__ = ["SAID"]

_SAID = {
    (
        "no process that logs with loguru was seen, so --marker had no effect; with --output it looks at what is printed, too.",  # noqa: E501
    ): (
        "shadowed names",
        "a local calendar",
        "loguru looked for",
        "sys.path",
        "sys.modules",
        "sys.flags",
        "os.environ",
        "-v of nothing",
        "-m without a module",
        "no such script",
        "its own sitecustomize",
        "its own sitecustomize raises",
        "its own sitecustomize lacks a module",
        "its own usercustomize",
        "no sitecustomize",
        "gc",
        "a version",
        "a usercustomize of its own",
        "both",
        "a usercustomize that is imported",
        "a module called bootstrap",
        "a module called posix",
        "another user from the beginning",
        "descriptors without loguru",
        "an early end",
        "a script that is not there",
    ),
    (
        "the log of a process could not be kept: this loguru can't be recorded: its handlers are not where they were.",  # noqa: E501
    ): (
        "a local loguru",
        "a local loguru package",
        "loguru from a zip file",
        "a warning while loguru is imported",
    ),
    ("the log of python program.py (PID) was not seen: -I makes it ignore PYTHONPATH",): (
        "-I",
        "isolated itself",
    ),
    ("the log of python program.py (PID) was not seen: -E makes it ignore PYTHONPATH",): (
        "-E",
        "a child that executes itself anew",
        "without an environment",
    ),
    ("the log of python program.py (PID) was not seen: -S makes it ignore PYTHONPATH",): ("-S",),
    ("the log of python (PID) was not seen: its environment was replaced, as by env -i",): (
        "a child without an environment",
        "a child with no variables",
        "a child with another path",
    ),
    ("the log of a process could not be kept: can't open a ring: a file size limit would kill.",): (
        "a limit on file sizes",
    ),
    ("the log of python (PID) was not seen: -I makes it ignore PYTHONPATH",): (
        "an isolated child",
    ),
    ("the log of python (PID) was not seen: -E makes it ignore PYTHONPATH",): (
        "a child that looks at no variable",
    ),
    ("the log of python (PID) was not seen: -S makes it ignore PYTHONPATH",): (
        "a child without site",
    ),
    ("the log of a process could not be kept: it can't write to the run directory any more.",): (
        "another user in a child",
    ),
    ("the run directory was deleted; it was recreated.",): (
        "a lost directory",
        "a lost directory and a child",
    ),
}
_BY_ROOT = ("another user in a child",)

# From a program's name to the lines, with PID for a process's number.
SAID = {
    name: lines
    for lines, names in _SAID.items()
    for name in names
    if not os.geteuid() or name not in _BY_ROOT
}
