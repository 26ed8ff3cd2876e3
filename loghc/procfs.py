"""What /proc/<pid>/stat says of a process."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ProcessStat", "process_stat"]


class ProcessStat(NamedTuple):
    """A process at one moment.

    Attributes:
        name: the kernel's name for it.
        ended: it has ended, though its parent has not reaped it yet.
        parent: its parent's process id.
        flags: the kernel's ``PF_`` flags.
        began_ticks: when it began, in clock ticks since the boot. An exec doesn't change it.
        stack: where its program's stack begins: forks share it, other programs don't. 0: unknown.
        wait_status: as ``os.wait`` returns it, once it has ended; 0 if this process may not see it.
    """

    name: str
    ended: bool
    parent: int
    flags: int
    began_ticks: int
    stack: int
    wait_status: int


def process_stat(pid: int) -> ProcessStat | None:
    """Read it; None if there is no such process, or its state can't be read."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            head, _, rest = file.read().rpartition(b")")
        state, *fields = rest.split()
        parent, flags, began, stack, status = (int(fields[each]) for each in (0, 5, 18, 24, -1))
    except (OSError, ValueError, IndexError):
        return None
    name = head.partition(b"(")[2].decode("utf-8", "replace")
    return ProcessStat(name, state in (b"Z", b"X"), parent, flags, began, stack, status)
