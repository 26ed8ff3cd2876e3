"""Which run a marker belongs to."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Hashable, Mapping
from contextvars import ContextVar
from typing import Any

from loghc.ping import Event
from loghc.portable.lanes import Lanes
from loghc.portable.run_ids import new_run_id, run_id_from
from loghc.report import report

__all__ = ["ENDS_RUN", "Pairing", "RecordRuns", "origin"]

ENDS_RUN = "ends_run"
"""Bound to a record as True, it makes its marker end the run, whatever the event.

It is in the record's ``extra`` and so arrives wherever the record does: with ``enqueue=True``, and
in another process."""

_MAX_OPEN = 10_000  # runs, and lanes
_MAX_DEPTH = 1_000  # open runs of one lane


class Pairing:
    """Pairs each end with its start, without any help from the app.

    A start opens a run in its lane (the context that logs it: a thread, a task, a greenlet). Later
    markers in that lane belong to it. If several runs are open in a lane they are nested, and the
    innermost is meant. An end from a lane that never had a run ends the run that has been open
    longest: it was started elsewhere. Any other end without an open run gets an id of its own. A
    marker that names its run overrides all of this.

    Its memory is bounded: if an app never ends its runs, only the newest are remembered.

    The caller makes sure that only one thread is in here at a time.
    """

    def __init__(self) -> None:
        # By run id, oldest first: the process that opened it, and the key under which it did.
        self._open: dict[str, tuple[int, Hashable]] = {}
        self._opened: dict[Hashable, tuple[str, ...]] = {}  # by key, innermost last

    def assign(
        self,
        event: Event,
        lane: tuple[Hashable, ...],
        run_id: str | None = None,
        *,
        ends: bool = False,
    ) -> str:
        """The id of the run that a marker belongs to; opens and ends runs as it goes.

        Args:
            event: the marker's.
            lane: keys that stand for the context, those of inner runs last; a start opens its run
                under the last one. Empty: a context that never had a run.
            run_id: the run's, if the app named it.
            ends: the marker ends its run, whatever the event.
        """
        own = [each for key in lane for each in self._opened.get(key, ()) if each in self._open]
        if run_id is None:
            if event is Event.START:
                run_id = new_run_id()
            else:
                run_id = own[-1] if own else self._from_elsewhere(event, lane)
        if event is Event.START:
            self._begin(run_id, lane[-1])
        elif ends or event.ends_run:
            self._end(run_id)
        return run_id

    def opened_under(self, key: Hashable) -> tuple[str, ...]:
        """The runs that are open under a key, innermost last."""
        return self._opened.get(key, ())

    def is_open(self, run_id: str | None) -> bool:
        """Whether a run has begun and not ended."""
        return run_id in self._open

    @property
    def open(self) -> list[str]:
        """The runs that this process opened and that have not ended, oldest first."""
        pid = os.getpid()
        return [run_id for run_id, (opener, _) in self._open.items() if opener == pid]

    def take_open(self) -> list[str]:
        """The same, and forget all open runs."""
        left = self.open
        self._open.clear()
        self._opened.clear()
        return left

    def _from_elsewhere(self, event: Event, lane: tuple[Hashable, ...]) -> str:
        """The run of a marker in whose lane no run is open."""
        if not lane and self._open and (event.ends_run or len(self._open) == 1):
            return next(iter(self._open))
        return new_run_id()

    def _begin(self, run_id: str, key: Hashable) -> None:
        self._open[run_id] = os.getpid(), key
        others = tuple(each for each in self._opened.get(key, ()) if each != run_id)
        self._opened[key] = (*others[1 - _MAX_DEPTH :], run_id)
        if len(self._open) > _MAX_OPEN:
            self._end(next(iter(self._open)))
        if len(self._opened) > _MAX_OPEN:  # a run was opened under many keys
            del self._opened[next(iter(self._opened))]

    def _end(self, run_id: str) -> None:
        _, key = self._open.pop(run_id, (None, None))
        left = tuple(each for each in self._opened.pop(key, ()) if each != run_id)
        if left:
            self._opened[key] = left


class RecordRuns:
    """Determines which run a marker's loguru record belongs to.

    Attributes:
        pairing: pairs the markers.
    """

    def __init__(self) -> None:
        self.pairing = Pairing()
        self._lanes = Lanes(ContextVar("loghc_runs"))

    def assign(self, event: Event, record: Mapping[str, Any]) -> str:
        """The id of the run that a marker's record belongs to; opens and ends runs as it goes."""
        run_id = _named(record)
        starts = event is Event.START
        if starts and run_id is None:
            run_id = new_run_id()
        ends = event.ends_run or record["extra"].get(ENDS_RUN) is True
        lane: tuple[Hashable, ...] = ()
        thread = origin(record)
        if thread == (os.getpid(), threading.get_ident()):
            lane = self._lanes.of_marker(run_id, starts=starts, ends=ends)
        elif starts or self.pairing.opened_under(thread):
            # With enqueue=True loguru calls from a thread of its own, which doesn't have the
            # caller's context. The caller's process and thread stand for it.
            lane = (thread,)
        return self.pairing.assign(event, lane, run_id, ends=ends)

    def open_at(self, record: Mapping[str, Any]) -> tuple[str, ...]:
        """The open runs that a record is known to belong to, the innermost last."""
        name = record["extra"].get("run_id")
        if isinstance(name, str) and self.pairing.is_open(run_id := _id_of_text(name)):
            return (run_id,)
        thread = origin(record)
        if thread == (os.getpid(), threading.get_ident()):
            return tuple(
                each for each in self._lanes.open_runs() if each and self.pairing.is_open(each)
            )
        return self.pairing.opened_under(thread)


def origin(record: Mapping[str, Any]) -> tuple[int, int]:
    """The ids of the process and the thread that a record comes from.

    If the app patched the record, they are assumed to be the current ones.
    """
    try:
        return record["process"].id, record["thread"].id
    except AttributeError:
        return os.getpid(), threading.get_ident()


_id_of_text = functools.lru_cache(run_id_from)


def _named(record: Mapping[str, Any]) -> str | None:
    """The id of the run that the app named; None if it named none, or none that can be read."""
    name = record["extra"].get("run_id")
    try:
        return None if name is None else run_id_from(name)
    except Exception as error:  # noqa: BLE001 - whatever the app's own class raises, the marker counts
        report(f"a run_id has no text ({type(error).__name__}): its marker counts as one without.")
        return None
