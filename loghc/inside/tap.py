"""Takes in what the program's own handlers are given, and puts it into the process's ring."""

import posix
import time

from .config import Config
from .layout import NOTE_SUFFIX, RING_LOST, RING_MARKERS, RING_ORPHANS
from .markers import Markers, send
from .ring import Ring, open_ring
from .text import Text

__all__ = ["Tap"]

_monotonic_ns = time.monotonic_ns


class Tap:
    """What loguru takes for a handler.

    loguru asks it for nothing but `emit` and `levelno`; the rest of a handler's methods is there for a
    loguru that would ask for more.

    Args:
        directory: the run's.
        config: what is wanted.
        version: loguru's.
    """

    def __init__(self, directory: str, config: Config, version: str) -> None:
        self._directory = directory
        self._capacity = config.capacity
        self._version = version
        self._markers = Markers(config.markers)
        self._first = self._markers.first
        self._after = self._markers.after
        self._format = Text().format
        # Without a level of its own it has no say in what loguru formats, and takes all of that.
        self._least = 0 if config.level is None else config.level
        self.levelno = float("inf") if config.level is None else config.level
        self._ring = None  # type: Ring | None
        self._pid = 0  # whose ring it is; 0: nobody's, after a fork
        self._highest = -1
        self.renew()

    def emit(
        self,
        record: "dict[str, object]",
        level_id: object,  # noqa: ARG002
        from_decorator: object,
        is_raw: object,
        colored_message: object,  # noqa: ARG002
    ) -> None:
        """Record a record. Whatever goes wrong is no concern of the program's."""
        try:
            number = record["level"].no  # type: ignore[attr-defined]
            if number < self._least:
                return
            message = record["message"]
            text = str(message) if is_raw else self._format(record, from_decorator)
            data = text.encode("utf-8", "replace")
            # loguru has just asked for the process's id. No lock of ours comes before this.
            if record["process"].id != self._pid:  # type: ignore[attr-defined]
                self.renew()
            now = _monotonic_ns()
            ring = self._ring
            if type(message) is not str:
                message = str(message)
            if self._first <= message < self._after:
                event = self._markers.match(message)
                if event is not None:
                    self._mark(event, data, now, record)
                    return
            if ring is not None:
                if number > self._highest:
                    self._raise_level(ring, number)
                ring.append(data, now)
        except Exception:  # noqa: BLE001
            self._lose()

    def _mark(self, event: str, data: bytes, now: int, record: "dict[str, object]") -> None:
        ring = self._ring
        if ring is not None:
            # The channel may be full: the ring knows first.
            if event == "fail":
                ring.set_failed()
            number = record["level"].no  # type: ignore[attr-defined]
            if number > self._highest:
                self._raise_level(ring, number)
            ring.append(data, now)
            ring.count(RING_MARKERS)
        try:
            send(self._directory, event, data, now, record)
        except OSError:
            return  # full, or nobody is there any more

    def append(self, data: bytes, kind: int) -> None:
        """Put something else into the ring of this process."""
        if posix.getpid() != self._pid:
            self.renew()
        if self._ring is not None:
            self._ring.append(data, _monotonic_ns(), kind)

    def forget(self) -> None:
        """Leave the ring to the process that this one was forked from."""
        self._pid = 0

    def renew(self) -> None:
        """Open a ring for this process, unless it has one or has tried."""
        pid = posix.getpid()
        if pid == self._pid:
            return
        parents, self._ring = self._ring, None
        self._highest = -1
        self._pid = pid
        try:
            ring = open_ring(self._directory, self._capacity, pid)
            ring.set_version(self._version)
            self._ring = ring
        except Exception as error:  # noqa: BLE001 - without a ring there is no log, and that is all
            self._say_why(error, parents, pid)

    def _say_why(self, error: Exception, parents: "Ring | None", pid: int) -> None:
        """Leave word for the watcher in a way that takes neither a descriptor nor space."""
        if parents is not None:
            parents.count(RING_ORPHANS)
        name = "%s/%d-%d%s" % (self._directory, pid, _monotonic_ns(), NOTE_SUFFIX)
        reason = getattr(error, "strerror", None) or error.__class__.__name__
        try:
            posix.symlink("can't open a ring: %s" % reason, name)
        except OSError:
            return

    def _raise_level(self, ring: Ring, number: int) -> None:
        self._highest = number
        ring.set_level(number)

    def _lose(self) -> None:
        try:
            if self._ring is not None:
                self._ring.count(RING_LOST)
        except Exception:  # noqa: BLE001
            return

    def stop(self) -> None:
        """Nothing: a handler's part that is not needed."""

    def complete_queue(self) -> None:
        """Nothing, likewise."""

    async def complete_async(self) -> None:
        """Nothing, likewise."""

    def tasks_to_complete(self) -> "list[object]":
        """Nothing, likewise."""
        return []

    def update_format(self, level_id: object) -> None:
        """Nothing, likewise."""
