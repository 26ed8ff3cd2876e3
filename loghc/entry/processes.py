"""The processes of a run: who belongs to it, and who is left of it.

A process is recognised by the run directory in its environment, which every process inherits from
the program. An id alone may be another's by now, and in a container begins anew each time.
"""

from __future__ import annotations

import contextlib
import os

__all__ = ["belongs", "boot_id", "is_alive", "living"]


def boot_id() -> str:
    """What tells one boot of the machine from the next; empty where nobody says."""
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
    """The processes that belong to the run of a directory and have not ended."""
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
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        pass
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return not os.path.isdir("/proc/self")
