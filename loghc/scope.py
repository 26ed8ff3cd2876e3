"""The log that a sink's pings carry: one for all runs or, with ``scope="run"``, one per run."""

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

_MAX_RUNS = 32  # open runs that have a tail of their own


class RunTails:
    """A tail for each open run of a sink, instead of a single `Tail`.

    A record goes to all runs that are open in its context, inner and outer. If none is open there,
    it goes to every run, as it may be the cause of a failure, unless it is known to belong to
    another sink's run. The cost of a record doesn't depend on how much is kept.

    With ``enqueue=True``, the process and thread that logged a record stand in for its context.

    Args:
        limit: bytes of UTF-8 that each tail keeps.
        body_size: returns the most bytes of a tail that will be sent; see `Tail`.
        runs: the sink's runs.
        markers: the sink's markers.
    """

    def __init__(
        self, limit: int, body_size: Callable[[], int], runs: RecordRuns, markers: Markers
    ) -> None:
        self._limit = limit
        self._body_size = body_size
        self._runs = runs
        self._markers = markers
        # The runs of other sinks, known from their markers.
        self._others: WeakKeyDictionary[Listener, RecordRuns] = WeakKeyDictionary()
        self._lock = native.RLock()
        self._tails: dict[str, Tail] = {}
        self._loose = self._new_tail()  # records of no run, for a marker whose run isn't open

    def append(self, text: str) -> None:
        """Add one record."""
        tails = self._tails
        try:
            record: Mapping[str, Any] = text.record  # type: ignore[attr-defined]  # loguru's str
            own = self._runs.open_at(record)
            others = self._is_of_others(record)
            marker = self._markers.match(record["message"])
        except (AttributeError, KeyError, TypeError):  # not loguru's, or the message isn't a str
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
        """Begin the log of a run with this record."""
        native.holding(self._lock, self._begin, run_id, text)

    def _begin(self, run_id: str, text: str) -> None:
        self._tails[run_id] = self._new_tail()
        self._tails[run_id].append(text)
        if len(self._tails) > _MAX_RUNS:
            del self._tails[next(iter(self._tails))]

    def end(self, run_id: str) -> None:
        """Forget the log of a run that has ended."""
        self._tails.pop(run_id, None)

    def of_run(self, run_id: str, text: str = "") -> Snapshot:
        """The log of a run.

        Args:
            run_id: the run's id. If it isn't open, the records that belong to no run are returned.
            text: its marker's record, added if the log lacks it: another context may have logged
                it.
        """
        tail = self._tails.get(run_id, self._loose)
        last = b"".join(tail.snapshot().chunks[-2:])  # no test can tell: all would do, but slower
        if text and encode(text) not in last:
            tail.append(text)
        return tail.snapshot()

    def after_fork(self) -> None:
        """Make the tails usable in a forked child."""
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
        limit: bytes of UTF-8 to keep.
        body_size: returns the most bytes of the tail that will be sent; see `Tail`.
    """

    __slots__ = ()

    def __init__(self, limit: int, body_size: Callable[[], int]) -> None:
        super().__init__(limit)
        self.body_size = body_size

    def begin(self, run_id: str, text: str) -> None:
        """Do nothing: no run has a log of its own."""

    def end(self, run_id: str) -> None:
        """Do nothing: no run has a log of its own."""

    def of_run(self, run_id: str, text: str = "") -> Snapshot:  # noqa: ARG002
        """The log, whatever the run."""
        return self.snapshot()
