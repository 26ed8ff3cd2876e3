"""What a HealthSink keeps outside of its process: its log, its open runs, and the ends it owes.

Nothing of it stays open but a lock: the program may close any descriptor. Whatever becomes of the
state directory, the sink works as without.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from loghc.delivery.outcomes import is_settled
from loghc.delivery.thread import ThreadOnDemand
from loghc.entry.black_box import BlackBox
from loghc.entry.directory import STATE
from loghc.entry.earlier import EarlierRuns, PingQueue
from loghc.entry.entries import entry_names
from loghc.entry.memory import on_network
from loghc.entry.memory_box import MemoryBox
from loghc.entry.noted_runs import NotedRuns
from loghc.entry.processes import identify
from loghc.entry.sink_entry import SinkEntry
from loghc.entry.sink_files import SinkFiles
from loghc.fork import importing
from loghc.log.body import one_line
from loghc.portable import layout
from loghc.portable.ring import Ring
from loghc.privacy import privacy_fields
from loghc.report import Once
from loghc.utf8 import encode

if TYPE_CHECKING:
    from loghc.log.tail import Log, Snapshot
    from loghc.ping import Attempt, Event, Ping
    from loghc.service.url import PingUrl

__all__ = ["Keeper"]

_THREAD_GRACE_S = 0.5
_DELETED = "what this process kept there was deleted. Its next marker makes it again."
_LOST = "If this process dies, its log and open runs are lost."

_monotonic_ns = time.monotonic_ns
_once = Once()


class Keeper(SinkEntry):
    """The entry of one sink, from its first marker on.

    A marker is noted in the ring at once, which costs the caller no system call. What the file
    says of it is written, and synced, on a thread of its own; the first run's start at once.
    Records are in the sink's own log as well: a ping takes references to that.

    Args:
        url: the ping URL; only its hash is kept.
        options: the sink's. Without a state directory the entry is in memory, for a guard.
        clean: removes from a cause what may not be kept.

    Attributes:
        append: takes a record, and its time; None before the first marker, and without an entry.
    """

    def __init__(
        self, url: PingUrl, options: Mapping[str, Any], clean: Callable[[str], str]
    ) -> None:
        self._state: str | None = options["state"]
        self._url = url
        self._limit: int = options["limit"]
        self._options = privacy_fields(options)
        self._clean = clean
        # Asked here, and what tells this process from others, so that no marker pays for it.
        self._networked = self._state is not None and on_network(self._state)
        identify()
        self._begin_anew()

    def _begin_anew(self) -> None:
        self.append: Callable[[bytes, int], None] | None = None
        self._ring: Ring | None = None
        self._pid = 0
        self._files: SinkFiles | None = None
        self._check = ""
        self._earlier = EarlierRuns(self._limit)
        self._runs = NotedRuns()
        self._through = 0  # the last marker that is in these
        self._newest_end = 0.0  # that was delivered, and is not noted yet
        self._is_new = False  # nothing is in the file yet
        self._is_tidy = False
        self._dirty = False
        self._thread = ThreadOnDemand(self._write, lambda: self._dirty, self._at_rest)

    @property
    def path(self) -> str | None:
        """Where the entry is; None as long as there is none."""
        return None if self._files is None else self._files.path

    @property
    def left_to(self) -> str:
        """The next start, where there is an entry for it."""
        return "" if self._state is None or self._files is None else "the next start"

    def kept_with(self, log: Log) -> Log:
        """A log that adds each record to the given one, and to the ring outside of the process."""
        return _KeptLog(log.append, self)

    def marker_seen(self, log: Callable[[], Snapshot], *, starts: bool) -> bool:
        """Make the entry at the first marker; at a start, look for what others left since."""
        if self._pid == os.getpid():
            return starts
        self._pid = os.getpid()
        try:
            box = self._open_box(sync=False)
            try:
                self._check = box.check_of(self._url)
                box.bound(self._check)
                facts = [("check", self._check), *self._options]
                self._files = SinkFiles(box, facts, networked=self._networked)
            finally:
                box.close()
            self._ring = self._files.open_ring(self._limit, log())
            self.append = self._ring.append
            self._through = 0
            self._is_new = True
        except (OSError, ValueError) as error:
            self._complain(error)
        return True

    def send_earlier(self, queue: PingQueue) -> None:
        """Claim the entries of the dead, and queue what they owe."""
        self._thread.start()
        if self._state is None:
            return
        try:
            names = entry_names(os.path.join(self._state, STATE))
            if not {*names} - {os.path.basename(self.path or "")}:
                return
            box = BlackBox(self._state)
            try:
                self._clean_up(box)  # before they are locked: it makes room
                # A child that was forked meanwhile would hold the locks of what is claimed.
                with importing():
                    self._earlier.send(box, box.check_of(self._url), queue)
            finally:
                box.close()
        except FileNotFoundError:
            pass  # it was deleted: the thread finds that, too, and says so
        except (OSError, ValueError) as error:
            self._complain(error)

    def note(self, event: Event, run_id: str, cause: str, *, ends: bool, owed: bool) -> None:
        """Note it in the ring at once, and in the file soon."""
        if self._files is None:
            return
        number = self._mark(layout.END if ends and not owed else event.value, run_id, cause)
        if ends:
            self._runs.end(run_id)
            if owed:
                self._runs.owe(event.value, run_id, cause)
        elif event.value == "start":
            self._runs.begin(run_id)
        self._through = max(number, self._through)
        is_first = self._is_new and not self._is_tidy
        if self._is_new:
            self._write_first(self._files)
        self._dirty = True
        if (
            not is_first
        ):  # else ``send_earlier`` starts the thread: there it costs the caller nothing
            self._thread.start()

    def settled(self, ping: Ping, attempt: Attempt) -> None:
        """An end that has its outcome is no longer owed."""
        final = is_settled(attempt)
        if ping.run_id in self._earlier:
            if final:
                self._earlier.settled(ping.run_id)
            return
        happened = self._runs.settle(ping.run_id, final=final) if ping.event.ends_run else None
        if happened is not None:
            self._mark(layout.END, ping.run_id)
            if attempt.delivered:
                self._newest_end = max(self._newest_end, happened)
            self._dirty = True
            self._thread.start()

    def finish(self) -> None:
        """Delete the entry if nothing is owed."""
        files = self._files
        if files is None or self._pid != os.getpid():
            return
        self._thread.end(_THREAD_GRACE_S)
        if self._runs.owed or self._state is not None:
            self._thread.run_here(self._write)
        if not self._runs.owed and (not self._runs.open or self._state is None):
            self._begin_anew()
            files.remove()

    def after_fork(self) -> None:
        """In a forked child: the entry is the parent's. This process has none yet."""
        if self._files is not None:
            self._files.let_go()
        self._begin_anew()

    def _open_box(self, *, sync: bool = True) -> BlackBox | MemoryBox:
        return MemoryBox() if self._state is None else BlackBox(self._state, sync=sync)

    def _mark(self, name: str, run_id: str, cause: str = "") -> int:
        """Note in the ring what became of a run: at once, and whatever the disk does."""
        ring = self._ring
        if ring is None:
            return 0
        about = encode(f"{name}\t\t{run_id}\t{one_line(cause)}")
        number: int = ring.append_marker(about, b"", time.monotonic_ns())
        return number

    def _at_rest(self) -> None:
        self._thread.start()  # for what came as the thread was about to finish

    def _write_first(self, files: SinkFiles) -> None:
        """Write the first run at once: before the thread does, the ring may be overwritten."""
        self._is_new = False
        try:
            files.write([("through", "0"), *self._runs.open_pairs()], sync=False)
        except (OSError, ValueError) as error:
            self._files = self._ring = self.append = None
            files.remove()
            self._complain(error)

    def _write(self) -> None:
        """Write what is owed to the disk; on a thread that nobody waits for."""
        self._dirty = False
        files = self._files
        if files is None or self._pid != os.getpid():
            return
        try:
            through = self._through  # first: what comes meanwhile is found in the ring
            files.write([("through", str(through)), *self._runs.pairs(self._clean)])
            if self._newest_end or not self._is_tidy:
                self._tidy()
        except FileNotFoundError:  # somebody deleted it
            if self._files is files:
                self._files = self._ring = self.append = None
                files.let_go()
                self._pid = 0
                _once.report("deleted", f"{self._place}: {_DELETED}")
        except (OSError, ValueError, ImportError) as error:
            self._complain(error)

    def _tidy(self) -> None:
        """Note the newest end that was delivered; once, look after the state directory."""
        box = self._open_box()
        try:
            self._clean_up(box)
            if self._newest_end:
                box.note_end(self._check, self._newest_end)
                self._newest_end = 0.0
        finally:
            box.close()

    def _clean_up(self, box: BlackBox | MemoryBox) -> None:
        if not self._is_tidy:
            self._is_tidy = True
            box.sync()
            box.clean()

    @property
    def _place(self) -> str:
        return "memory" if self._state is None else f"the state directory {self._state!r}"

    def _complain(self, error: Exception) -> None:
        why = getattr(error, "strerror", None) or str(error)
        _once.report(
            self._place,
            f"{self._place} can't be used: {why}. {_LOST}",
        )


class _KeptLog:
    """A log that also adds records to the ring outside of the process, while there is one.

    Args:
        append: adds a record to the log.
        keeper: of the sink.
    """

    __slots__ = ("_append", "_keeper")

    def __init__(self, append: Callable[[str], None], keeper: Keeper) -> None:
        self._append = append
        self._keeper = keeper

    def append(self, text: str) -> None:
        """Add one record."""
        self._append(text)
        append = self._keeper.append
        if append is not None:
            try:
                append(encode(text), _monotonic_ns())
            except Exception:  # noqa: BLE001 - whatever it is, the app must not notice
                self._keeper.append = None
