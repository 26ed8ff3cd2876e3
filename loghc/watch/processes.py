"""The processes of a watched run: whose ring is whose, and when the next one ends."""

from __future__ import annotations

import contextlib
import math
import os
import select
import time

from loghc.entry.processes import in_use, is_alive
from loghc.procfs import process_stat

__all__ = [
    "ends_of",
    "has_ring",
    "name_of",
    "takes_signal",
    "wait_for",
    "without_helpers",
]

_HELPERS = (b"resource_tracker", b"forkserver")
_EXITING = 0x4  # among a process's flags, PF_EXITING


def has_ring(pid: int, ring: str, opened_ns: int) -> bool:
    """Whether a process is still running, and is the one that opened a ring.

    The id may belong to another process: it was reused, or the ring's process is in a PID
    namespace of its own.

    Args:
        pid: the process.
        ring: the ring's file.
        opened_ns: when it was opened, in nanoseconds of CLOCK_MONOTONIC.
    """
    try:
        return in_use(pid, ring)
    except OSError:  # another user's
        return is_alive(pid) and _started(os.getpid()) <= _started(pid) <= opened_ns


def _started(pid: int) -> float:
    """When a process was started, in ns of CLOCK_MONOTONIC; -inf if unknown."""
    stat = process_stat(pid)
    if stat is None:
        return -math.inf
    suspended = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()
    return stat.began_ticks * 10**9 / os.sysconf("SC_CLK_TCK") - suspended


def takes_signal(pid: int, number: int) -> bool:
    """Whether a process can act on a signal. If that is unknown, it can.

    It can't if the signal simply kills it, or if it is exiting.
    """
    stat = process_stat(pid)
    if stat is not None and (stat.ended or stat.flags & _EXITING):
        return False
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            masks = [
                int(line.split()[1], 16)
                for line in file
                if line.startswith((b"SigCgt:", b"SigIgn:", b"SigBlk:"))
            ]
    except (OSError, ValueError, IndexError):
        return not os.path.isdir("/proc/self")
    return any(mask >> (number - 1) & 1 for mask in masks)


def name_of(pid: int) -> str:
    """The name of a process, for people."""
    try:
        with open(f"/proc/{pid}/comm", "rb") as file:
            return file.read().decode("utf-8", "replace").strip()
    except OSError:
        return "?"


def without_helpers(pids: list[int]) -> list[int]:
    """Leave out multiprocessing's resource tracker and fork server, which will end soon.

    Children of the fork server look like it, and are kept.
    """
    return [pid for pid in pids if not _is_helper(pid) or _parent(pid) in pids]


def _is_helper(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            command = file.read()
    except OSError:
        return False
    return any(b"from multiprocessing.%s import" % name in command for name in _HELPERS)


def _parent(pid: int) -> int:
    stat = process_stat(pid)
    return 0 if stat is None else stat.parent


def wait_for(pids: list[int], seconds: float) -> list[int]:
    """Wait for at most `seconds` for processes to end; returns those that have not."""
    ends = ends_of(pids)
    poll = select.poll()
    for descriptor in ends:
        poll.register(descriptor, select.POLLIN)
    until = time.monotonic() + seconds
    left = set(ends)
    while left and (remaining := until - time.monotonic()) > 0:
        for descriptor, _ in poll.poll(remaining * 1000):
            poll.unregister(descriptor)
            left.discard(descriptor)
    for descriptor in ends:
        os.close(descriptor)
    return [pid for pid in pids if is_alive(pid)]


def ends_of(pids: list[int]) -> dict[int, int]:
    """Open descriptors that become readable when processes end; maps each to its process.

    Processes that have ended already are left out, as are all on systems without pidfds.
    """
    opened: dict[int, int] = {}
    if hasattr(os, "pidfd_open"):
        for pid in pids:
            with contextlib.suppress(OSError):
                opened[os.pidfd_open(pid)] = pid
    return opened
