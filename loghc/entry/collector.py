"""Merges the records of all processes of a run, in order of time, into the tail of one log."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from loghc.entry.directory import Directory
from loghc.entry.merged_tail import MergedTail
from loghc.entry.printed import Printed, Records, fold
from loghc.entry.processes import is_alive, living, mapped
from loghc.entry.rings import Frame, Reading, UnknownVersionError, read_ring
from loghc.log.tail import CONTEXT, Snapshot
from loghc.portable import layout
from loghc.utf8 import encode

if TYPE_CHECKING:
    from loghc.portable.ring import Ring

__all__ = ["Collector", "Facts", "Traceback"]

_TRACEBACKS = 5  # the newest are kept
_DIGITS = 19  # of a number that fits into 64 bits


class Traceback(NamedTuple):
    """The traceback of an uncaught exception.

    Attributes:
        pid: the process.
        text: as Python prints it.
        ended: whether it ended the process, and not just one of its threads.
    """

    pid: int
    text: str
    ended: bool

    def of(self, pid: int) -> bool:
        """Whether the exception ended this process."""
        return self.ended and self.pid == pid


class Facts:
    """What the rings of a run say, apart from their records.

    Attributes:
        rings: how many processes were ready to log. A process counts again after an exec.
        records: bytes of records that were logged, in all.
        failures: how many failure markers were logged.
        lost: how many records could not be kept at all.
        unreadable: whether another version of loghc wrote one of the rings.
        orphans: how many forked processes could not open a ring.
        level: the highest level of a record, -1 without any.
        last_wall_ns: when the newest record was logged, by the wall clock; 0 without any.
        markers: how many markers were logged.
        tracebacks: of uncaught exceptions, the newest last.
    """

    def __init__(self) -> None:
        self.rings = 0
        self.records = 0
        self.lost = 0
        self.unreadable = False
        self.orphans = 0
        self.failures = 0
        self.level = -1
        self.last_wall_ns = 0
        self.markers = 0
        self.tracebacks: list[Traceback] = []

    def add(self, reading: Reading) -> None:
        """Add what one ring says."""
        self.rings += 1
        self.records += reading.written
        self.lost += reading.lost
        self.orphans += reading.orphans
        self.failures += reading.failures
        self.level = max(self.level, reading.level)
        if reading.frames:
            last = reading.frames[-1].time_ns + reading.wall_offset_ns
            self.last_wall_ns = max(self.last_wall_ns, last)
        self.markers += reading.markers
        self.tracebacks += [Traceback(reading.pid, text, ended=False) for text in reading.threads]
        if reading.traceback:
            # Since an earlier one, the process has become another program.
            others = [each for each in self.tracebacks if not each.of(reading.pid)]
            self.tracebacks = [*others, Traceback(reading.pid, reading.traceback, ended=True)]
        del self.tracebacks[:-_TRACEBACKS]

    def copy(self) -> Facts:
        """A copy that can be added to."""
        other = Facts()
        other.__dict__.update(self.__dict__)
        other.tracebacks = list(self.tracebacks)
        return other


class Collector:
    """The tail of a run's log: from finished rings, which it deletes, live ones, and output.

    Args:
        directory: the run directory; None: there are no rings, only output.
        limit: bytes of log to keep.

    Attributes:
        printed_ring: if not None, what the program prints is kept in it as well.
    """

    def __init__(self, directory: Directory | None, limit: int) -> None:
        self._directory = directory
        self._keep = limit + CONTEXT
        self._folded = MergedTail(self._keep)
        self._facts = Facts()
        self._printed = Printed(self._keep)
        self.printed_ring: Ring | None = None
        self._recorded: list[Frame] = []  # as of the last time that the log was read

    def add_output(self, data: bytes | memoryview, stream: int) -> None:
        """Keep what the program printed to a stream.

        Raises:
            MemoryError: then nothing of it is kept, so that there is memory for the pings.
        """
        self._printed.add(data, stream)
        ring = self.printed_ring
        if ring is not None:
            ring.append(bytes(data), time.monotonic_ns())

    def load_printed(self) -> None:
        """Load the printed output that a dead watcher had kept."""
        directory = self._directory
        for name in directory.names() if directory is not None else ():
            if directory is not None and name.endswith(layout.PRINTED_SUFFIX):
                with contextlib.suppress(UnknownVersionError):
                    reading = read_ring(directory, name, self._keep)
                    for frame in reading.frames if reading is not None else ():
                        self._printed.add(frame.data, 1, frame.time_ns)

    def error_text(self) -> bytes:
        """The tail of what the program printed to standard error, if it was kept."""
        return self._printed.error_text()

    def not_recorded(self, printed: bytes, tracebacks: Iterable[str]) -> bytes:
        """What was printed, without what was in the log when it was last read.

        Args:
            printed: lines, as they came.
            tracebacks: those that are sent as well.
        """
        records = Records([*(frame.data for frame in self._recorded), *map(encode, tracebacks)])
        return records.left_out_of(fold(printed))

    def finished(self) -> list[str]:
        """The rings that nobody writes to any more."""
        if self._directory is None:
            return []
        names = self._rings()
        newest = {_owner(name): name for name in names}
        finished = [n for n in names if newest[_owner(n)] != n or not is_alive(_owner(n))]
        # A process in a pid namespace of its own has an id that is another's here, or nobody's.
        path = self._directory.path
        used = mapped(living(path), [os.path.join(path, n) for n in finished]) if finished else ()
        return [name for name in finished if os.path.join(path, name) not in used]

    def fold(self, rings: list[str]) -> None:
        """Add rings to the tail, and delete them."""
        for name in rings:
            reading = self._read(name, self._keep, self._folded.since_ns, self._facts)
            if reading is not None:
                self._facts.add(reading)
                self._folded.add(reading.frames)
            if self._directory is not None:
                self._directory.delete(name)

    def owners(self) -> list[tuple[int, str, int]]:
        """For each ring that is still there: its process, its path, and when it was opened (ns)."""
        path = self._directory.path if self._directory is not None else ""
        return [(_owner(n), os.path.join(path, n), _opened(n)) for n in self._rings()]

    def read(
        self,
        until_ns: int | None = None,
        last: bytes = b"",
        wanted: Callable[[Frame], bool] | None = None,
    ) -> tuple[Snapshot, Facts]:
        """The tail of the log at this moment, and what the rings say apart from it.

        Args:
            until_ns: leave out what was logged later, by CLOCK_MONOTONIC; None: nothing.
            last: a record to put last, such as a marker's own; empty: none.
            wanted: returns whether to keep a record; None: all are kept.
        """
        facts = self._facts.copy()
        end = self._folded.copy()
        # Read further back, so that enough is left without what was logged since.
        size = self._keep if until_ns is None else 2 * self._keep
        readings = []
        for name in reversed(self._rings()):  # the newest first: less of the older has to be read
            reading = self._read(name, size, end.since_ns, facts)
            if reading is not None:
                readings.append(reading)
                end.add(_until(reading.frames, until_ns))
        for reading in reversed(readings):
            facts.add(reading)
        printed = self._printed.frames(unfinished=until_ns is None)
        self._recorded = list(end.frames())
        if printed:
            records = Records(frame.data for frame in self._recorded)
            kept = [frame._replace(data=records.left_out_of(frame.data)) for frame in printed]
            end.add([frame for frame in kept if frame.data])
        frames = _until(end.frames(), until_ns)
        if wanted is not None:
            frames = [each for each in frames if each.time_ns == until_ns or wanted(each)]
        if last:
            frames = _with_last(frames, until_ns or 0, last)
        return _snapshot(frames), facts

    def _read(self, name: str, size: int, since_ns: int, facts: Facts) -> Reading | None:
        assert self._directory is not None  # noqa: S101
        try:
            return read_ring(self._directory, name, size, since_ns)
        except UnknownVersionError:
            facts.unreadable = True
            return None

    def _rings(self) -> list[str]:
        """The rings that are there, oldest first."""
        names = self._directory.names() if self._directory is not None else []
        return sorted((name for name in names if name.endswith(".ring")), key=_opened)


def _snapshot(frames: list[Frame]) -> Snapshot:
    """The frames, beginning at the last one that is only the tail of a record, if there is one."""
    cut = max((position for position, frame in enumerate(frames) if frame.cut), default=None)
    if cut is None:
        return Snapshot((b"".join(frame.data for frame in frames),), begins_inside_record=False)
    rest = b"".join(frame.data for frame in frames[cut + 1 :])
    return Snapshot((frames[cut].data, rest), begins_inside_record=True)


def _until(frames: list[Frame], until_ns: int | None) -> list[Frame]:
    if until_ns is None or not frames or frames[-1].time_ns <= until_ns:
        return frames
    return [frame for frame in frames if frame.time_ns <= until_ns]


def _with_last(frames: list[Frame], time_ns: int, last: bytes) -> list[Frame]:
    """The frames with a record put last. It may be among them already, and is complete there."""
    for position, frame in enumerate(frames):
        data = frame.data
        if frame.time_ns == time_ns and (data.startswith(last) or data.endswith(last)):
            return [*frames[:position], *frames[position + 1 :], frame]
    return [*frames, Frame(time_ns, last)]


def _owner(name: str) -> int:
    return _number(name.partition("-")[0])


def _opened(name: str) -> int:
    return _number(name.rpartition("-")[2].partition(".")[0])


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < _DIGITS else 0
