"""The log of a sink that ``loghc run`` watches, where the program has no recorder."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING, Any

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
        options: the sink's, in the watcher's format: they are sent before it can find a log.
    """

    __slots__ = (
        "_capacity",
        "_directory",
        "_header",
        "_options",
        "_pid",
        "_recorder",
        "_ring",
        "_this_thread",
    )

    def __init__(self, directory: str, capacity: int, options: bytes) -> None:
        super().__init__(1)
        self._directory = directory
        self._capacity = capacity
        self._options = options
        self._this_thread = native.local()  # when this thread's last record was kept
        self._pid = 0  # whose ring it is
        self._recorder: Any = None  # its tap
        self._ring: Ring | None = None
        self._header: Ring | None = None  # this process's, or its parent's
        if "loguru" in sys.modules:  # else a recorder may still come
            self._renew()

    def append(self, text: str) -> None:
        """Keep a record. It never raises."""
        try:
            if self._pid != os.getpid():
                self._renew()
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
        """Note in the ring that this thread's last record is a marker.

        Returns:
            Its time, when the ring was opened, and its number there; 0 and 0 without one.
        """
        now = getattr(self._this_thread, "time_ns", 0) or time.monotonic_ns()
        if failure and self._header is not None:
            self._header.count_failure()
        ring = self._ring
        if ring is None:
            return now, 0, 0
        return now, ring.started_ns, ring.append_marker(about, b"", now)

    def recorder(self) -> Any:
        """The recorder's tap that is at work in this process, None where there is none."""
        if self._pid != os.getpid():
            self._renew()
        return self._recorder

    def _renew(self) -> None:
        """Find out who records this process, and open a ring if nobody does."""
        from loghc.portable.channel import escape

        self._pid = pid = os.getpid()
        self._this_thread = native.local()
        self._recorder = _find_tap()
        self._ring = None
        # The options come first: what is in the ring is sent by them.
        options = b"sink\t\t" + escape(self._options)
        now = time.monotonic_ns()
        if self._recorder is not None:
            self._recorder.put(options, b"", now)
            return
        ring = _rings.get((self._directory, pid)) or self._open(pid)
        if ring is None:
            self._send(options, b"", now)
            return
        self._ring = self._header = ring
        self._send(options, b"", now, ring.started_ns, ring.append_marker(options, b"", now))
        self._send(b"ring\t\t-", b"", now, ring.started_ns)

    def after_fork(self) -> None:
        """In a forked child: leave the ring to the parent."""
        self._pid = 0

    def _send(self, *message: Any) -> None:
        from loghc.portable.channel import send

        with contextlib.suppress(OSError):
            send(self._directory, *message)

    def _open(self, pid: int) -> Ring | None:
        from loghc.portable.ring import open_ring

        try:
            ring = open_ring(self._directory, self._capacity, pid)
        except (ImportError, OSError, ValueError):  # markers are handed over without it
            return None
        _rings.clear()
        _rings[self._directory, pid] = ring
        return ring


def _find_tap() -> Any:
    """Where the recorder takes in what this process logs."""
    core = getattr(getattr(sys.modules.get("loguru"), "logger", None), "_core", None)
    return getattr(getattr(core, "handlers", None), "loghc_tap", None)
