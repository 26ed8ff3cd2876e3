"""What /proc shows of the processes below a program while they live."""

from __future__ import annotations

import contextlib
import os
import re
from typing import NamedTuple

from loghc.procfs import process_stat

__all__ = ["Sighting", "children_of", "newest_pid", "sight"]

_PYTHON = re.compile(r"(python|pypy)([0-9][0-9.]*)?(t|d|w|-dbg)*")
_LIBRARY = re.compile(rb"(?m) (/.*)/(?:libpython[0-9][^/\n]*|Python)(?: \(deleted\))?$")
_ENVIRONMENT_LIMIT_BYTES = 1 << 20


class Sighting(NamedTuple):
    """A process at one moment.

    Attributes:
        pid: the process.
        parent: its parent.
        name: the kernel's name for it.
        zombie: it has ended, and little can be seen any more.
        image: identifies the program that the process runs now, as opposed to those that it ran
            before or will run; forks share it. 0: unknown.
    """

    pid: int
    parent: int
    name: str
    zombie: bool
    image: int


def sight(pid: int) -> Sighting | None:
    """Look at a process; None if there is none."""
    stat = process_stat(pid)
    return stat and Sighting(pid, stat.parent, stat.name, stat.ended, stat.stack)


def newest_pid() -> bytes:
    """The newest process id: while it stays the same, there is no new process."""
    with contextlib.suppress(OSError, IndexError):
        return _read("/proc/loadavg").split()[-1]
    return b""


def children_of(pid: int) -> list[int]:
    """The children of a process."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                found += map(int, _read(f"/proc/{pid}/task/{thread}/children").split())
    return found


def user_of(pid: int) -> int | None:
    """The user that a process runs as, or ran as before it ended; None: unknown."""
    return _status(pid, b"Uid:", 2)


def is_thread(pid: int) -> bool:
    """Whether this is the id of a thread, not of a process."""
    return _status(pid, b"Tgid:", 1) not in (None, pid)


def _status(pid: int, name: bytes, column: int) -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in _read(f"/proc/{pid}/status").splitlines():
            if line.startswith(name):
                return int(line.split()[column])
    return None


def arguments_of(pid: int) -> list[str]:
    """The command line of a process; empty if it can't be read."""
    with contextlib.suppress(OSError):
        return [os.fsdecode(word) for word in _read(f"/proc/{pid}/cmdline").split(b"\0")[:-1]]
    return []


def executable_of(pid: int) -> str:
    """The file of the program that runs in a process; empty if it can't be read."""
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")
    return ""


def environment_of(pid: int) -> dict[bytes, bytes] | None:
    """The environment that a process was started with; None if it can't be read."""
    try:
        data = _read(f"/proc/{pid}/environ", _ENVIRONMENT_LIMIT_BYTES)
    except OSError:
        return None
    pairs = (entry.partition(b"=") for entry in data.split(b"\0"))
    return {name: value for name, _, value in pairs}


def is_python_name(word: str) -> bool:
    """Whether a program is named like a Python."""
    return _PYTHON.fullmatch(os.path.basename(word)) is not None


def is_frozen(pid: int) -> bool:
    """Whether a process contains a Python that isn't installed, as frozen programs do."""
    try:
        maps = _read(f"/proc/{pid}/maps", 1 << 20)
    except OSError:
        return False
    folders = {os.path.basename(found) for found in _LIBRARY.findall(maps)}
    return any(not re.fullmatch(rb"lib(32|64)?|.*-linux-gnu.*", folder) for folder in folders)


def _read(path: str, limit: int = 1 << 16) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while limit > 0 and (part := os.read(descriptor, limit)):
            parts.append(part)
            limit -= len(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)
