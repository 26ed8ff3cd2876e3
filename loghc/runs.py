"""Which run a marker belongs to."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from loghc.ping import Event
from loghc.report import report

__all__ = ["ENDS_RUN", "Runs", "new_run_id", "run_id_from"]

ENDS_RUN = "ends_run"
"""Bound to a record as True, it makes its marker the last of its run, whatever it tells.

In the record's ``extra``, so that it arrives wherever the record does: with ``enqueue=True``, and
in another process."""

_MOST_OPEN = 10_000
_DEEPEST = 1_000  # open runs of one context that are told apart: each of its markers looks at all


def new_run_id() -> str:
    """A random UUID (version 4) in its canonical text form."""
    value = int.from_bytes(os.urandom(16), "big")
    value = value & ~(0xF << 76) & ~(0b11 << 62) | 4 << 76 | 0b10 << 62  # version, and variant
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def run_id_from(name: object) -> str:
    """The run id that a name stands for.

    A UUID (a ``uuid.UUID``, or its canonical text) is used as it is. Anything else maps to
    ``uuid5(NAMESPACE_URL, "loghc:run:" + str(name))``, the same for the same name everywhere, so
    that other tools can agree on it.

    Example:
        >>> run_id_from("9e9d9bbe-4f2b-4a0e-a1e0-111111111111")
        '9e9d9bbe-4f2b-4a0e-a1e0-111111111111'
        >>> run_id_from("nightly-42") == run_id_from("nightly-42")
        True
    """
    import uuid  # late: it takes longer to import than all of loghc, and few runs have names

    text = str(name)
    try:
        canonical = str(uuid.UUID(text))
    except ValueError:
        seed = f"loghc:run:{text}".encode("utf-8", "replace").decode()
        return str(uuid.uuid5(uuid.NAMESPACE_URL, seed))
    return text if text.lower() == canonical else canonical


def origin(record: Mapping[str, Any]) -> tuple[int, int]:
    """The process and the thread that a record comes from, by their ids.

    Where a patcher of the app's put something else into the record, they are taken for these.
    """
    try:
        return record["process"].id, record["thread"].id
    except AttributeError:
        return os.getpid(), threading.get_ident()


def _named(record: Mapping[str, Any]) -> str | None:
    """The id of the run that the app named, None where it named none that can be read."""
    name = record["extra"].get("run_id")
    try:
        return None if name is None else run_id_from(name)
    except Exception as error:  # noqa: BLE001 - whatever the app's own class raises, the marker counts
        report(f"a run_id has no text ({type(error).__name__}): its marker counts as one without.")
        return None


class Runs:
    """Pairs each end with its start, without a line of the app's code.

    A start opens a run in the context (thread, asyncio task) that logs it; what follows in that
    context belongs to it. Where one context has several open, the last is meant: they are nested.
    An end that comes from a context that never had a run ends the one that has been open longest:
    it started elsewhere. Any other end for which no run is open gets an id of its own. An explicit
    ``run_id`` in the record's ``extra`` goes before all of this.

    The caller sees to it that only one thread is in here at a time.
    """

    def __init__(self) -> None:
        self._open: dict[str, int] = {}  # run id -> process that opened it, oldest first
        # The runs that a context opened, innermost last; None: it has never opened one.
        self._here: ContextVar[tuple[str, ...] | None] = ContextVar("loghc_runs", default=None)
        # With enqueue=True loguru calls from a thread of its own, in whose context the caller's
        # variables can't be seen. The caller's process and thread then stand for its context.
        self._elsewhere: dict[tuple[int, int], tuple[str, ...]] = {}

    def assign(self, event: Event, record: Mapping[str, Any]) -> str:
        """The id of the run that a marker's record belongs to; opens and ends runs as it goes."""
        explicit = _named(record)
        lane = origin(record)
        here = lane == (os.getpid(), threading.get_ident())
        known = self._here.get() if here else self._elsewhere.get(lane)
        still_open = tuple(run_id for run_id in known or () if run_id in self._open)
        if explicit is not None:
            run_id = explicit
        elif event is Event.START:
            run_id = new_run_id()
        elif still_open:
            run_id = still_open[-1]
        else:
            run_id = self._not_from_here(event, known)

        if event is Event.START:
            self._open[run_id] = os.getpid()
            if len(self._open) > _MOST_OPEN:  # an app that never ends its runs
                del self._open[next(iter(self._open))]
            others = tuple(other for other in still_open if other != run_id)
            still_open = (*others[1 - _DEEPEST :], run_id)
            if here:
                self._here.set(still_open)
            else:
                self._elsewhere[lane] = still_open
        elif event.ends_run or record["extra"].get(ENDS_RUN) is True:
            self._open.pop(run_id, None)
            if not here and still_open in ((), (run_id,)):
                self._elsewhere.pop(lane, None)
        return run_id

    def open_here(self) -> list[str]:
        """The runs that this process opened and that have not ended, oldest first."""
        pid = os.getpid()
        return [run_id for run_id, opener in self._open.items() if opener == pid]

    def close_all(self) -> None:
        """Forget the open runs: their ends were told."""
        self._open.clear()
        self._elsewhere.clear()

    def _not_from_here(self, event: Event, known: tuple[str, ...] | None) -> str:
        """The run of a marker whose context has none open."""
        if known is None and self._open and (event.ends_run or len(self._open) == 1):
            return next(iter(self._open))
        return new_run_id()
