"""Puts what the program's own handlers are given into the process's ring."""

import posix
import time

from ..portable.channel import about, about_record, send
from ..portable.config import Config
from ..portable.expected import Expected
from ..portable.layout import MARKER, NOTE_SUFFIX, RING_LOST
from ..portable.markers import Markers
from ..portable.ring import Ring, open_ring
from ..portable.text import format_level, format_record
from ..portable.trusted import require_trusted
from ..portable.writer import RECURSION_IS_FATAL

TYPE_CHECKING = False  # importing typing here would keep the program from shadowing it
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Tap"]

_monotonic_ns = time.monotonic_ns


class Tap:
    """A handler, as far as loguru can tell.

    loguru uses only `emit` and `levelno`. A handler's other methods are there in case a version
    uses more.

    Args:
        directory: the run directory.
        config: what to record.

    Attributes:
        emit: records a record. The program never notices errors in it.
        levelno: the lowest level that loguru formats for the tap. If none is configured it is
            infinite, and the tap takes whatever is formatted for other handlers.
        levels: the part of a line that shows the level, by the level's name; filled lazily.
        append: adds data and a time to the ring of this process, if it has one.
    """

    def __init__(self, directory: str, config: Config) -> None:
        self._directory = directory
        self._capacity = config.capacity
        self.markers = Markers(config.markers)
        self._expected = Expected(config.expected)
        self._by_run = config.by_run
        self._least = 0 if config.level is None else config.level
        self.levelno = float("inf") if config.level is None else config.level
        self.levels = {}  # type: dict[str, str]
        self._ring: Ring | None = None
        # The ring whose header says what was logged: this process's, or its parent's without one.
        self._header: Ring | None = None
        self._pid = 0  # whose ring it is
        self.append = self._append_first
        self.emit = self._emit_slowly
        self.renew()

    def _emit_slowly(
        self,
        record: "dict[str, Any]",
        level_id: object,  # noqa: ARG002
        from_decorator: object,
        is_raw: object,
        colored_message: object,  # noqa: ARG002
    ) -> None:
        self.record(record, from_decorator, is_raw)

    def record(self, record: "dict[str, Any]", from_decorator: object, is_raw: object) -> None:
        """Record what is out of the ordinary: an exception, a marker, or a new level."""
        try:
            kept = self._see(record["level"])
            message = str(record["message"])
            event = self.markers.match(message)
            if not kept and event is None:
                return
            text = message if is_raw else _text(record, from_decorator)
            data = text.encode("utf-8", "replace")
            now = _monotonic_ns()
            if self._expected.left:
                self._expect(message, now)
            if event is None:
                line = about_record(record) if self._by_run else b""
                self.append(data, now, MARKER if line else 0, line)
            else:
                self.mark(event, data, now, record)
        except RecursionError:
            if RECURSION_IS_FATAL:
                raise
        except Exception:
            self._lose()

    def _see(self, level: "Any") -> bool:
        """Raise the highest level seen; returns whether records of this level are kept.

        A level that isn't kept never enters the table. Its markers count all the same.
        """
        name = level.name
        if name in self.levels:
            return True
        if self._pid != posix.getpid():
            self.renew()
        if self._header is not None:
            self._header.raise_level(level.no)
        if level.no < self._least:
            return False
        self.levels[name] = format_level(name)
        return True

    def mark(self, event: str, data: bytes, now: int, record: "dict[str, Any]") -> bool:
        """Put a marker into the ring, and notify the watcher; returns whether it is kept anywhere.

        A HealthSink calls it as well, for markers that the recorder doesn't know.

        Args:
            event: the marker's.
            data: its record; empty if the ring has it already.
            now: when it was logged, in nanoseconds of CLOCK_MONOTONIC.
            record: loguru's.
        """
        return self.put(about(event, record), data, now, failure=event == "fail")

    def put(self, what: bytes, data: bytes, now: int, *, failure: bool = False) -> bool:
        """Put a marker or another message into the ring, and notify the watcher.

        Returns:
            Whether it is kept anywhere.
        """
        if self._pid != posix.getpid():
            self.renew()
        # The ring first, as the channel may be full, or gone.
        if failure and self._header is not None:
            self._header.count_failure()
        opened = number = 0
        if self._ring is not None:
            opened, number = self._ring.started_ns, self._ring.append_marker(what, data, now)
        told = self._tell(what, data, now, opened, number)
        left = failure and not told and self._ring is None and self._leave_failure()
        return told or left or self._header is not None

    def _expect(self, message: str, now: int) -> None:
        """Notify the watcher of expectations that a message meets."""
        met = self._expected.meet(message)
        if met:
            self.put(b"expect\t%s\t-" % b",".join([b"%d" % number for number in met]), b"", now)
            self._use_ring()

    def _use_ring(self) -> None:
        """Choose the shortest `emit` that still looks for everything wanted."""
        ring = self._ring
        if ring is not None and not (self._expected.left or self._by_run):
            self.emit = ring.emitter(self.levels, self.record, *self.markers.bounds)

    def _leave_failure(self) -> bool:
        """Leave word of a failure marker that nothing else keeps, without using a descriptor."""
        try:
            require_trusted(self._directory)
            posix.mknod(self._directory + "/failed", 0o100600)
        except FileExistsError:
            pass
        except OSError:
            return False
        return True

    def forget(self) -> None:
        """In a forked child: leave the ring to the parent. The next record opens another."""
        self.levels.clear()
        self._pid = 0
        self.append = self._append_first
        self.emit = self._emit_slowly

    def _append_first(self, data: bytes, now: int, flag: int = 0, about: bytes = b"") -> None:
        self.renew()
        self.append(data, now, flag, about)

    def append_traceback(self, data: bytes) -> None:
        """Put the traceback of the exception that ends this process into its ring."""
        self.renew()
        if self._ring is not None:
            self._ring.append_traceback(data, _monotonic_ns())

    def renew(self) -> None:
        """Open a ring for this process, unless it has one or has tried."""
        pid = posix.getpid()
        if pid == self._pid:
            return
        self._ring = None
        self._pid = pid
        self.append = _append_nowhere
        try:
            ring = open_ring(self._directory, self._capacity, pid)
        except Exception as error:  # without a ring there is no log, but nothing else fails
            self._say_why(error)
            return
        self._ring = self._header = ring
        self.append = ring.append
        self._use_ring()
        self._tell(about("ring", {}), b"", _monotonic_ns(), ring.started_ns)

    def _tell(self, what: bytes, data: bytes, now: int, opened: int = 0, number: int = 0) -> bool:
        try:
            send(self._directory, what, data, now, opened, number)
        except RecursionError:
            raise
        except Exception:  # the channel is full, or nobody is there any more
            return False
        return True

    def _say_why(self, error: Exception) -> None:
        if self._header is not None:
            self._header.count_orphan()
        reason = getattr(error, "strerror", None) or error.__class__.__name__
        self.note(f"can't open a ring: {reason}")

    def note(self, text: str) -> None:
        """Leave word for the watcher without using a descriptor or space."""
        name = f"{self._directory}/{posix.getpid()}-{_monotonic_ns()}{NOTE_SUFFIX}"
        try:
            require_trusted(self._directory)
            posix.symlink(text, name)
        except OSError:
            return

    def _lose(self) -> None:
        try:
            if self._ring is not None:
                self._ring.count(RING_LOST)
        except Exception:
            return

    def stop(self) -> None:
        """Do nothing: this part of a handler is not needed."""

    def complete_queue(self) -> None:
        """Do nothing, likewise."""

    async def complete_async(self) -> None:
        """Do nothing, likewise."""

    def tasks_to_complete(self) -> "list[object]":
        """Do nothing, likewise."""
        return []

    def update_format(self, level_id: object) -> None:
        """Do nothing, likewise."""


def _text(record: "dict[str, Any]", from_decorator: object) -> str:
    try:
        return format_record(record, from_decorator)
    except RecursionError:
        raise
    except Exception:
        return f"{record['message']}\n"


def _append_nowhere(data: bytes, now: int, flag: int = 0, about: bytes = b"") -> None:
    """Discard data that there is no ring for."""
