"""How a process ended, as far as another process can learn it."""

from __future__ import annotations

import fcntl
import struct
import time

from loghc.procfs import process_stat

__all__ = ["wait_status"]

# Linux 6.15 and newer: include/uapi/linux/pidfd.h
_INFO = struct.Struct("=QQ11Ii")  # what is known, cgroup, eleven ids, wait status
_PIDFD_GET_INFO = 0xC000FF0B | _INFO.size << 16
_INFO_EXIT = 1 << 3
_REAPED_WITHIN_S = 0.5  # mostly; a parent that takes longer leaves a zombie for so long
_PAUSE_S = 0.005


def wait_status(pidfd: int, pid: int) -> int | None:
    """The wait status of a process that has ended; None where the kernel doesn't say it.

    Args:
        pidfd: of the process, opened while it lived.
        pid: its id.
    """
    until = time.monotonic() + _REAPED_WITHIN_S
    while True:
        request = bytearray(_INFO.pack(_INFO_EXIT, *[0] * 13))
        try:
            fcntl.ioctl(pidfd, _PIDFD_GET_INFO, request)
        except OSError:  # an older kernel
            return None
        known, *_, status = _INFO.unpack(request)
        if known & _INFO_EXIT:  # from the moment that its parent reaps it
            return int(status)
        if time.monotonic() >= until:
            return _of_zombie(pid)
        time.sleep(_PAUSE_S)


def _of_zombie(pid: int) -> int | None:
    stat = process_stat(pid)
    return stat.wait_status or None if stat is not None and stat.ended else None
