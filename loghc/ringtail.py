"""The log of a sink that ``loghc run`` watches, where the program has no recorder."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from loghc import native
from loghc.log.tail import Tail
from loghc.utf8 import encode

if TYPE_CHECKING:
    from loghc.portable.ring import Ring

__all__ = ["RingTail"]

_rings: dict[tuple[str, int], Ring] = {}
"""The ring that a sink has opened, by run directory and process."""
_keepers: dict[str, RingTail] = {}
"""The sink whose log is in the ring, by run directory: a second one would have it there twice."""


class RingTail(Tail):
    """Puts what a sink is given into a ring of this process's own, where the watcher finds it.

    Where a recorder does that already, and where another sink does, it keeps nothing.

    Args:
        directory: the run directory.
        capacity: bytes of a ring.
        options: the sink's, as the watcher wants them: it is told before it finds a log.

    Attributes:
        recorded: a recorder is at work in this process.
    """

    __slots__ = (
        "_capacity",
        "_directory",
        "_options",
        "_pid",
        "_ring",
        "_this_thread",
        "_told",
        "recorded",
    )

    def __init__(self, directory: str, capacity: int, options: bytes) -> None:
        super().__init__(1)
        self._directory = directory
        self._capacity = capacity
        self._options = options
        self._this_thread = native.local()  # when this thread's last record was kept
        self._pid = 0  # whose ring it is
        self._told = 0  # the process that has told the options
        self._ring: Ring | None = None
        self.recorded = False

    def append(self, text: str) -> None:
        """Keep a record. It never raises."""
        try:
            if self._pid != os.getpid():
                self.renew()
            ring = self._ring
            if ring is None or _keepers.setdefault(self._directory, self) is not self:
                return
            now = self._this_thread.time_ns = time.monotonic_ns()
            ring.append(encode(text), now)
            ring.raise_level(text.record["level"].no)  # type: ignore[attr-defined]  # loguru's
        except Exception:  # noqa: BLE001 - not from loguru, or patched; the app must not notice
            return

    def release(self) -> None:
        """The sink is stopped: another one's log may be kept."""
        if _keepers.get(self._directory) is self:
            del _keepers[self._directory]

    def mark(self, about: bytes, *, failure: bool) -> tuple[int, int, int]:
        """Keep that this thread's last record is a marker.

        Returns:
            Its time, when the ring was opened, and its number there; 0 and 0 without one.
        """
        now = getattr(self._this_thread, "time_ns", 0) or time.monotonic_ns()
        ring = self._ring
        if ring is None:
            return now, 0, 0
        if failure:
            ring.count_failure()
        return now, ring.started_ns, ring.append_marker(about, b"", now)

    def send_options(self) -> None:
        """Tell the watcher the sink's options, once.

        Raises:
            OSError: it can't be told.
        """
        from loghc.portable.channel import about, send

        if self._told != os.getpid():
            send(self._directory, about("sink", {}), self._options, time.monotonic_ns())
            self._told = os.getpid()

    def renew(self) -> None:
        """Find out who records this process, and open a ring if nobody does."""
        pid = os.getpid()
        if pid == self._pid:
            return
        self._this_thread = native.local()
        self._ring = _rings.get((self._directory, pid))
        self.recorded = self._ring is None and self._has_recorder(pid)
        if self._ring is None and not self.recorded:
            self._open(pid)
        self._pid = pid

    def after_fork(self) -> None:
        """In a forked child: leave the ring to the parent."""
        self._pid = 0

    def _has_recorder(self, pid: int) -> bool:
        try:
            names = os.listdir(self._directory)  # noqa: PTH208
        except OSError:
            return False
        return any(name.startswith(f"{pid}-") and name.endswith(".ring") for name in names)

    def _open(self, pid: int) -> None:
        from loghc.portable.ring import open_ring

        try:
            self.send_options()
            ring = open_ring(self._directory, self._capacity, pid)
        except (OSError, ValueError):
            return
        _rings.clear()
        _rings[self._directory, pid] = self._ring = ring
