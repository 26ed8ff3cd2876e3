"""The cause of a failure: the exception, what follows the marker, or an error logged before."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from loghc.log.headline import of_exception, of_message, without_cause
from loghc.runs import RecordRuns, origin

__all__ = ["Causes"]


class _Error(NamedTuple):
    number: int  # in the order in which they were logged
    message: str
    origin: tuple[int, int]


class Causes:
    """Remembers the last error of each open run, and names the cause of a failure.

    An error whose run is unknown may be the cause of any failure, except of one that another thread
    logs while a run is open: the error may belong to that run.

    Args:
        runs: the sink's.
        markers: the texts of its markers.
    """

    def __init__(self, runs: RecordRuns, markers: Collection[str]) -> None:
        self._runs = runs
        self._markers = markers
        self._numbers = itertools.count()
        self._errors: dict[str | None, _Error] = {}  # by run; under None those of no known run

    def error_seen(self, record: Mapping[str, Any]) -> None:
        """A record of level ERROR or above was logged."""
        error = _Error(next(self._numbers), record["message"], origin(record))
        for run_id in self._runs.open_at(record) or (None,):
            self._errors[run_id] = error

    def run_started(self) -> None:
        """A run begins. If no other is open, errors logged before it can't be its cause."""
        if len(self._runs.pairing.open) == 1:
            self._errors.pop(None, None)

    def run_ended(self, run_id: str) -> None:
        """A run has ended: forget its error."""
        self._errors.pop(run_id, None)

    def of_marker(self, record: Mapping[str, Any], run_id: str) -> str:
        """The headline of the failure that a marker's record reports."""
        error = getattr(record["exception"], "value", None)
        message = record["message"]
        cause = of_exception(error) if error is not None else of_message(message, self._markers)
        cause = cause or self._last_error(run_id, origin(record))
        return cause or without_cause(message)

    def of_open_run(self, run_id: str) -> str:
        """The last error that may belong to a run which did not end; empty without one."""
        return self._last_error(run_id, None)

    def _last_error(self, run_id: str, thread: tuple[int, int] | None) -> str:
        own, loose = self._errors.get(run_id), self._errors.get(None)
        if loose is not None and thread not in (None, loose.origin) and self._runs.pairing.open:
            loose = None
        last = max(filter(None, (own, loose)), default=None)
        return "" if last is None else last.message
