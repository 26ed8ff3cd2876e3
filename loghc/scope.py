"""The log that a sink's pings carry: of all runs, or with ``scope="run"`` one for each run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from loghc import native
from loghc.hints.listener import Listener, known
from loghc.log.tail import Snapshot, Tail
from loghc.markers import Markers
from loghc.ping import Event
from loghc.runs import RecordRuns
from loghc.utf8 import encode

__all__ = ["RunTails", "WholeTail"]

_MAX_RUNS = 32  # open at once that have a tail of their own


class RunTails:
    """A tail for each open run of one sink, in place of the one `Tail`.

    A record goes to all runs that are open in its context, inner and outer. A record whose context
    has none goes to every run, as it may be the cause of a failure, unless it is known to belong to
    another sink's run. Each record costs the same, however much is kept.

    With ``enqueue=True`` the process and thread that a record comes from stand for its context.

    Args:
        limit: bytes of UTF-8 that each tail keeps.
        body_size: as of a Tail.
        runs: the sink's.
        markers: the sink's.
    """

    def __init__(
        self, limit: int, body_size: Callable[[], int], runs: RecordRuns, markers: Markers
    ) -> None:
        self._limit = limit
        self._body_size = body_size
        self._runs = runs
        self._markers = markers
        # What other sinks listen for.
        self._others: WeakKeyDictionary[Listener, RecordRuns] = WeakKeyDictionary()
        self._lock = native.RLock()
        self._tails: dict[str, Tail] = {}
        self._loose = self._new_tail()  # of records that belong to no run, for markers of none

    def append(self, text: str) -> None:
        """Add one record."""
        tails = self._tails
        try:
            record: Mapping[str, Any] = text.record  # type: ignore[attr-defined]  # loguru's str
            own = self._runs.open_at(record)
            others = self._is_of_others(record)
            marker = self._markers.match(record["message"])
        except (AttributeError, KeyError, TypeError):  # not from loguru, or patched into no text
            own, others, marker = (), False, None
        for run_id in own:
            if run_id in tails:
                tails[run_id].append(text)
        if own or others or marker is not None:  # a marker's run is known only in `take`
            return
        self._loose.append(text)
        for tail in tuple(tails.values()):
            tail.append(text)

    def begin(self, run_id: str, text: str) -> None:
        """A run begins, with this record."""
        native.holding(self._lock, self._begin, run_id, text)

    def _begin(self, run_id: str, text: str) -> None:
        self._tails[run_id] = self._new_tail()
        self._tails[run_id].append(text)
        if len(self._tails) > _MAX_RUNS:
            del self._tails[next(iter(self._tails))]

    def end(self, run_id: str) -> None:
        """A run has ended: forget its log."""
        self._tails.pop(run_id, None)

    def of_run(self, run_id: str, text: str = "") -> Snapshot:
        """The log of a run.

        Args:
            run_id: its id. If that run isn't open, what belongs to no run is returned.
            text: its marker's record, which another context may have logged.
        """
        tail = self._tails.get(run_id, self._loose)
        last = b"".join(tail.snapshot().chunks[-2:])  # no test can tell: all would do, slower
        if text and encode(text) not in last:
            tail.append(text)
        return tail.snapshot()

    def after_fork(self) -> None:
        """Be usable in a forked child."""
        self._lock = native.RLock()
        for tail in (self._loose, *self._tails.values()):
            tail.after_fork()

    def _new_tail(self) -> Tail:
        tail = Tail(self._limit)
        tail.body_size = self._body_size
        return tail

    def _is_of_others(self, record: Mapping[str, Any]) -> bool:
        """Whether a record belongs to another sink's run."""
        belongs = False
        for listener in tuple(known.listeners):
            if listener.markers == self._markers:
                continue
            event = listener.markers.match(record["message"])
            if event is not None:
                belongs = True
                native.holding(self._lock, self._note_other, listener, event, record)
            elif listener in self._others:
                belongs = belongs or bool(self._others[listener].open_at(record))
        return belongs

    def _note_other(self, listener: Listener, event: Event, record: Mapping[str, Any]) -> None:
        self._others.setdefault(listener, RecordRuns()).assign(event, record)


class WholeTail(Tail):
    """``scope="all"``: one tail for all runs.

    Args:
        limit: bytes of UTF-8 that it keeps.
        body_size: as of a Tail.
    """

    __slots__ = ()

    def __init__(self, limit: int, body_size: Callable[[], int]) -> None:
        super().__init__(limit)
        self.body_size = body_size

    def begin(self, run_id: str, text: str) -> None:
        """Nothing is kept for one run."""

    def end(self, run_id: str) -> None:
        """Nothing is kept for one run."""

    def of_run(self, run_id: str, text: str = "") -> Snapshot:  # noqa: ARG002
        """The log, whatever the run."""
        return self.snapshot()
