"""Whether the system killed a process for lack of memory, according to the kernel's counts."""

from __future__ import annotations

import contextlib
import math
import os
import time

from loghc.procfs import process_stat

__all__ = ["Memory"]

_MOUNT = "/sys/fs/cgroup"
_MACHINE = "/proc/vmstat"
_NOTIFYING = "memory.events.local"
_PROOF_S = 5.0
_HINT_S = 60.0


class Memory:
    """Counts what is killed for lack of memory while a program runs.

    The count of the program's own control group is proof. The whole machine's count also rises for
    other people's processes: it is a hint, for a minute.

    Args:
        pid: the program's process.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._group = _Count(_count_file(pid), _PROOF_S)
        self._machine = _Count(_MACHINE, _HINT_S, _HINT_S)

    def notifier(self) -> int | None:
        """A descriptor on which ``poll`` sees POLLPRI when the group's count may have risen.

        It has to be read, then. None: there is none, as with version 1 of control groups.
        """
        if not self._group.path.endswith(_NOTIFYING):
            return None
        try:
            return os.open(self._group.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None

    def sample(self) -> None:
        """Look at the counts. The more often this is called, the better known is when one rose."""
        path = _count_file(self._pid)
        if path not in ("", self._group.path):  # it has moved to another
            self._group = _Count(path, _PROOF_S)
        self._group.sample()
        self._machine.sample()

    def about_kill(self) -> str:
        """What is known of a SIGKILL just now, to be put after a text on it; or empty."""
        self.sample()
        if self._group.rose:
            return " for lack of memory"
        unknown = not (self._group.known or self._machine.known)
        return "; perhaps out of memory" if unknown or self._machine.rose else ""


class _Count:
    """A count in a file of the kernel's.

    Args:
        path: the file's.
        seconds: for which a rise counts.
        gap: if more seconds than this pass between two looks, it isn't known when it rose.
    """

    def __init__(self, path: str, seconds: float, gap: float = math.inf) -> None:
        self.path = path
        self._seconds = seconds
        self._gap = gap
        self._number = _count(path)
        self._seen_at = time.monotonic()
        self._rose_at: float | None = None

    def sample(self) -> None:
        """Read it."""
        now, number = time.monotonic(), _count(self.path)
        rose = number is not None and self._number is not None and number > self._number
        if rose and now - self._seen_at <= self._gap:
            self._rose_at = now
        self._number, self._seen_at = number, now

    @property
    def known(self) -> bool:
        """Whether it can be read."""
        return self._number is not None

    @property
    def rose(self) -> bool:
        """Whether it rose lately."""
        return self._rose_at is not None and time.monotonic() - self._rose_at < self._seconds


def _count_file(pid: int) -> str:
    """The file with the count of a living process's control group, or an empty str."""
    stat = process_stat(pid)
    if stat is None or stat.ended:  # it seems to be in the root then
        return ""
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
            groups = [line.rstrip("\n").split(":", 2)[1:] for line in file]
    except (OSError, UnicodeDecodeError):
        return ""
    for controllers, group in groups:
        path = ""
        if "memory" in controllers.split(","):
            path = f"{_MOUNT}/memory{group}/memory.oom_control"
        elif not controllers:
            path = f"{_MOUNT}{group}/{_NOTIFYING}"
        if path and os.path.exists(path):
            return path
    return ""


def _count(path: str) -> int | None:
    """The number of processes killed for lack of memory, as a file of the kernel's has it."""
    with contextlib.suppress(OSError, ValueError), open(path, "rb") as file:
        for line in file:
            name, _, number = line.partition(b" ")
            if name == b"oom_kill":
                return int(number)
    return None
