"""Why a Python of a run was not seen, as far as that is known, and how a ping says so."""

from __future__ import annotations

import os
import re
from collections import Counter
from typing import NamedTuple

from loghc.watch import sightings
from loghc.watch.command import isolating_option
from loghc.watch.sightings import is_python_name

__all__ = [
    "NOT_KNOWN",
    "RUN_VARIABLE",
    "Unseen",
    "describe",
    "likely_cause",
    "name_of_python",
    "why_isolated",
]

RUN_VARIABLE = b"LOGHC_RUN"
NOT_KNOWN = "perhaps it isn't CPython 3.8 or newer"
_NAMED = 3  # kinds of Pythons that are named one by one


class Unseen(NamedTuple):
    """A Python that may have logged unseen.

    Attributes:
        name: its name, for people.
        pid: the process.
        cause: what probably kept the recorder out.
        since: when it was found, in seconds of the monotonic clock.
    """

    name: str
    pid: int
    cause: str
    since: float


def likely_cause(
    pid: int,
    arguments: list[str],
    environment: dict[bytes, bytes] | None = None,
    bootstrap: bytes = b"",
    *,
    frozen: bool = False,
) -> str:
    """What probably kept the recorder out of a Python.

    Args:
        pid: the process.
        arguments: its command line; empty: unknown.
        environment: the one that it was started with; None: unknown.
        bootstrap: the directory that PYTHONPATH has to contain.
        frozen: it is a program that contains a Python of its own.
    """
    user = sightings.user_of(pid)
    if user is not None and user != os.geteuid():
        return f"it ran as {_user_name(user)}; put loghc run inside su, not around it"
    option = isolating_option(arguments)
    if option:
        return why_isolated(option)
    if frozen:
        return "a frozen program brings a Python of its own"
    if environment is None:
        return "something kept the recorder out"
    if RUN_VARIABLE not in environment:
        return "its environment was replaced, as by env -i"
    folders = environment.get(b"PYTHONPATH", b"").split(os.fsencode(os.pathsep))
    if bootstrap not in folders:
        return "its PYTHONPATH was replaced"
    for folder in folders[: folders.index(bootstrap)]:
        if os.path.exists(os.path.join(folder, b"sitecustomize.py")):
            return f"another sitecustomize comes first, in {os.fsdecode(folder)}"
    return NOT_KNOWN


def why_isolated(option: str) -> str:
    """The cause if Python was started with an option that keeps the recorder out."""
    return f"{option} makes it ignore PYTHONPATH"


def describe(unseen: list[Unseen]) -> list[str]:
    """Lines about Pythons that may have logged unseen. Those of one kind are counted."""
    kinds = Counter((each.name, each.cause) for each in unseen)
    pids = {(each.name, each.cause): each.pid for each in reversed(unseen)}
    lines = []
    for (name, cause), count in kinds.most_common(_NAMED):
        more = f" and {count - 1:,} more" if count > 1 else ""
        pid = pids[name, cause]
        lines.append(f"loghc: the log of {name} ({pid}){more} was not seen: {cause}")
    if len(kinds) > _NAMED:
        lines.append(f"loghc: nor were the logs of {len(kinds) - _NAMED} more programs")
    return lines


def name_of_python(name: str, arguments: list[str]) -> str:
    """The name of a Python and of what it runs, without other arguments, which may hold secrets.

    Args:
        name: the kernel's name for the process.
        arguments: its command line; empty: unknown.
    """
    if not arguments or not is_python_name(arguments[0]):
        return name
    for word in arguments[1:]:
        if not word.startswith("-"):
            return f"{os.path.basename(arguments[0])} {os.path.basename(word)}"
        if word == "-" or re.match("-[A-Za-z]*[cm]", word):
            break
    return os.path.basename(arguments[0])


def _user_name(user: int) -> str:
    try:
        import pwd

        return f"user {pwd.getpwuid(user).pw_name}"
    except (ImportError, KeyError):
        return f"user {user}"
