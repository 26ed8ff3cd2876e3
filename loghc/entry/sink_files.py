"""The entry of a HealthSink on the disk: made at its first marker, rewritten as its runs change.

What a marker needs at once is a directory with a lock, one file of facts and the ring. Nothing of
that is synced, as a thread of the app's makes it; ``write`` syncs, on a thread that nobody waits
for. No descriptor stays open but the lock's: the program may close any, and reuse it.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from loghc.entry.black_box import BlackBox
from loghc.entry.claim import own_entries
from loghc.entry.directory import Directory
from loghc.entry.memory import memory_directory, run_directory
from loghc.entry.processes import identify
from loghc.fork import InChild, in_child
from loghc.portable import layout
from loghc.portable.ring import Ring, open_ring
from loghc.portable.stdlib import load
from loghc.report import Once
from loghc.version import __version__

if TYPE_CHECKING:
    from loghc.entry.memory_box import MemoryBox
    from loghc.log.tail import Snapshot

__all__ = ["SinkFiles"]

_MIN_RING_BYTES = 65_536
_PAGE_BYTES = 4096

_once = Once()
in_child(InChild.REPORT, own_entries.clear)
for name in ("_signal", "mmap"):  # the ring's: the first marker need not wait for them
    load(name)


class SinkFiles:
    """A directory with the facts of one sink, and its lock.

    On a network file system the ring is in memory: a mapped page that can't be written there would
    kill the program.

    Args:
        box: what it is made in; in memory it has no lock of this process's.
        facts: of the sink, beside those of this process.
        networked: it is on a network file system.

    Attributes:
        path: the directory's.

    Raises:
        OSError: it can't be made, and nothing of it is left.
    """

    def __init__(
        self, box: BlackBox | MemoryBox, facts: list[tuple[str, str]], *, networked: bool
    ) -> None:
        where: dict[str, str] = {}
        rings = None
        if networked and isinstance(box, BlackBox):
            rings = run_directory(memory_directory())
            entry, where = box.record(rings)
            _once.report(
                "network",
                f"the state directory {os.path.dirname(box.directory.path)!r} is on a network file "
                "system: the log of a process that dies is kept in memory alone.",
            )
        else:
            entry = box.new()
        made = [each for each in (entry.directory, rings) if each is not None]
        process = {"version": __version__, "started": str(time.time()), **identify(), **where}
        self._facts = [*facts, *process.items()]
        self._paths = [directory.path for directory in made]
        self.path = self._paths[0]
        try:
            own_entries.add(self.path)
            self._locks = [directory.detach_lock() for directory in made]
        except BaseException:
            for directory in made:
                directory.remove()
            raise
        finally:
            for directory in made:
                directory.close()

    def open_ring(self, limit: int, log: Snapshot) -> Ring:
        """Its ring.

        Args:
            limit: bytes of log that a ping carries at most.
            log: what the ring begins with.

        Raises:
            OSError, ValueError: there is no room for one.
        """
        capacity = max(_MIN_RING_BYTES, 2 * limit + layout.HEADER) // _PAGE_BYTES * _PAGE_BYTES
        ring = open_ring(self._paths[-1], capacity, os.getpid())
        cut = log.begins_inside_record
        for chunk in log.chunks:
            is_long = len(chunk) > capacity // 2 - layout.FRAME_BYTES
            ring.append(chunk, time.monotonic_ns(), layout.CUT if cut and not is_long else 0)
            cut = False
        return ring

    def write(self, noted: Iterable[tuple[str, str]], *, sync: bool = True) -> None:
        """Rewrite the facts, with what is noted of the runs.

        Args:
            noted: what is noted of the runs.
            sync: wait until a power failure can't undo it.

        Raises:
            OSError: they can't be written.
        """
        directory = Directory(self.path)
        try:
            pairs = [*self._facts, *noted]
            # First without a sync: the process may die while it waits for a busy disk, and by then
            # a marker may be overwritten in the ring.
            directory.write_fields("run", pairs)
            if sync:
                directory.write_fields("run", pairs, sync=True)
        finally:
            directory.close()

    def remove(self) -> None:
        """Delete it: nothing is owed."""
        for path in self._paths:
            with contextlib.suppress(OSError):
                directory = Directory(path)
                directory.remove()
                directory.close()
        own_entries.discard(self.path)
        self.let_go()

    def let_go(self) -> None:
        """Release its locks; in a forked child, their copies."""
        for lock in self._locks:
            if lock is not None:
                lock.release()
