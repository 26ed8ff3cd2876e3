"""The logs of a watcher's runs; with ``--scope run``, each has its own records."""

from __future__ import annotations

from collections.abc import Callable

from loghc.entry.collector import Collector, Facts
from loghc.entry.rings import Frame
from loghc.log.tail import Snapshot
from loghc.portable import layout
from loghc.watch.cause import Exceptions
from loghc.watch.messages import Message

__all__ = ["RunLogs"]

_MAX_RUNS = 1_000  # that are remembered, including those that ended
_FIELDS = 4


class RunLogs:
    """The logs of one watcher's runs: all the same, or separate with ``--scope run``.

    If they are separate, it remembers which starts opened each run, because records name the
    starts of their context. A record from a context without an open run stays in every run's log,
    because it may be the cause of a failure.

    Args:
        collector: collects the log.
        are_apart: each run has its own records.

    Attributes:
        are_apart: as given.
    """

    def __init__(self, collector: Collector, *, are_apart: bool) -> None:
        self._collector = collector
        self.are_apart = are_apart
        self._begun: dict[str, tuple[int, set[bytes]]] = {}  # when, and the tokens of its starts

    def whole(self) -> tuple[Snapshot, Facts]:
        """The tail of everything that was logged, and what else the rings say."""
        return self._collector.read()

    def of_run(self, run_id: str, until_ns: int | None = None, last: bytes = b"") -> Snapshot:
        """The tail of a run's log.

        Args:
            run_id: the run's id.
            until_ns: leave out what was logged later than this, in nanoseconds of CLOCK_MONOTONIC;
                None: nothing.
            last: a record to put last: a marker's own.
        """
        wanted = self._records_of(run_id) if self.are_apart else None
        return self._collector.read(until_ns, last, wanted)[0]

    def printed_errors(self, in_file: bytes, exceptions: Exceptions) -> str:
        """What was printed to standard error at the end, and is not in the log last read.

        Args:
            in_file: what was found in a file, if the watcher doesn't keep standard error.
            exceptions: those that are sent as well.
        """
        printed = in_file or self._collector.error_text()
        left = self._collector.not_recorded(printed, [*exceptions.others, exceptions.own])
        return left.decode("utf-8", "replace")

    def begin(self, run_id: str, message: Message) -> None:
        """Note that a run's start was logged."""
        if not self.are_apart:
            return
        begun = self._begun.setdefault(run_id, (message.time_ns, set()))
        begun[1].add(b"%d" % message.lane[-1])
        if len(self._begun) > _MAX_RUNS:
            del self._begun[next(iter(self._begun))]

    def _records_of(self, run_id: str) -> Callable[[Frame], bool]:
        """A filter for a run's records, which leaves out those known to belong to another run.

        If the run's start was not seen, the records of all known runs are left out.
        """
        since_ns, tokens = self._begun.get(run_id, (0, set()))

        def belongs(frame: Frame) -> bool:
            about = frame.marker.split(b"\t")
            if frame.time_ns < since_ns or len(about) != _FIELDS:
                return frame.time_ns >= since_ns
            _, event, lane, name = about
            named = name.decode("ascii", "replace")
            if named in self._begun:
                return named == run_id
            own = {token for token in lane.split(b",") if token not in (b"", b"0")}
            if own:
                return not own.isdisjoint(tokens)
            return event == layout.RECORD  # a marker without a run in its context is another's

        return belongs
