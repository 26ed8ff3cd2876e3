"""The processes of a run: which belong to it, and which still live.

A process is recognised by the run directory in its environment, which every process inherits from
the program. An id alone may be another's by now, and in a container begins anew each time.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Mapping

from loghc.fork import InChild, in_child
from loghc.procfs import process_stat

__all__ = [
    "belongs",
    "boot_id",
    "identify",
    "in_use",
    "is_alive",
    "is_here",
    "lives",
    "living",
    "mapped",
    "may_live",
]

_DIGITS = 19  # of a number that fits into 64 bits


@functools.cache
def boot_id() -> str:
    """Identifies one boot of the machine; empty where that is unknown."""
    try:
        with open("/proc/sys/kernel/random/boot_id", "rb") as file:
            return file.read().decode("ascii", "replace").strip()
    except OSError:
        return ""


def belongs(pid: int, directory: str) -> bool:
    """Whether a process belongs to the run of a directory. Where it can't be seen, it doesn't."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return b"\0LOGHC_RUN=" + os.fsencode(directory) + b"\0" in b"\0" + file.read() + b"\0"
    except OSError:
        return False


def living(directory: str) -> list[int]:
    """The processes, without this one, that belong to a directory's run and have not ended."""
    own = os.getpid()
    with contextlib.suppress(OSError):
        return [
            int(name)
            for name in os.listdir("/proc")
            if name.isdigit() and int(name) != own and belongs(int(name), directory)
        ]
    return []


def is_alive(pid: int) -> bool:
    """Whether there is a process with this id that has not ended."""
    stat = process_stat(pid)
    if stat is not None:
        return not stat.ended
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return not os.path.isdir("/proc/self")


@functools.cache
def identify() -> dict[str, str]:
    """Identifies this process: facts for ``lives``."""
    pid = os.getpid()
    return {
        "boot": boot_id(),
        "namespace": _namespace(),
        "pid": str(pid),
        "began": _began(pid),
    }


in_child(InChild.REPORT, identify.cache_clear)


def lives(facts: Mapping[str, str]) -> bool:
    """Whether the process that ``identify`` described has not ended, as far as its id shows.

    After another boot, or in another container, an id shows nothing: then only a lock decides.
    """
    text = facts.get("pid", "")
    if not (text.isascii() and text.isdigit() and len(text) < _DIGITS):
        return False
    if not is_here(facts):
        return False
    return is_alive(int(text)) and _began(int(text)) == facts.get("began")


def is_here(facts: Mapping[str, str]) -> bool:
    """Whether a process that ``identify`` described had its id in this boot and container."""
    return facts.get("boot") == boot_id() and facts.get("namespace") == _namespace()


def may_live(facts: Mapping[str, str]) -> bool:
    """Whether that process lives, or may live in a container that shares this directory."""
    elsewhere = facts.get("namespace") != _namespace()
    return lives(facts) or (elsewhere and facts.get("boot") == boot_id())


def _namespace() -> str:
    """Identifies the pid namespace of this process."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _began(pid: int) -> str:
    """When a process began; it stays the same when it executes another program."""
    stat = process_stat(pid)
    return "" if stat is None else str(stat.began_ticks)


def in_use(pid: int, ring: str) -> bool:
    """Whether a process has a ring mapped.

    Raises:
        OSError: that can't be seen.
    """
    with open(f"/proc/{pid}/maps", "rb") as file:
        return _name(ring) in file.read()


def mapped(pids: list[int], rings: list[str]) -> set[str]:
    """Which of some rings a process has in use, as far as that can be seen."""
    found: set[str] = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            found.update(ring for ring in rings if in_use(pid, ring))
    return found


def _name(ring: str) -> bytes:
    """What is the same of its path wherever its directory is mounted."""
    return os.fsencode(os.sep.join(ring.split(os.sep)[-2:]))
