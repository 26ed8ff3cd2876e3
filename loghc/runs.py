"""Which run a marker belongs to."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from loghc.ping import Event

__all__ = ["Runs", "run_id_from"]

_MOST_OPEN = 10_000


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
    text = str(name)
    try:
        canonical = str(uuid.UUID(text))
    except ValueError:
        seed = f"loghc:run:{text}".encode("utf-8", "replace").decode()
        return str(uuid.uuid5(uuid.NAMESPACE_URL, seed))
    return text if text.lower() == canonical else canonical


class Runs:
    """Pairs each end with its start, without a line of the app's code.

    A start opens a run in the context (thread, asyncio task) that logs it; what follows in that
    context belongs to it. An end that comes from a context without a run ends the one that has
    been open longest: it started elsewhere. An end for which no run is open gets an id of its own.
    An explicit ``run_id`` in the record's ``extra`` goes before all of this.

    The caller sees to it that only one thread is in here at a time.
    """

    def __init__(self) -> None:
        self._open: dict[str, int] = {}  # run id -> process that opened it, oldest first
        self._here: ContextVar[str | None] = ContextVar("loghc_run", default=None)
        # With enqueue=True loguru calls from a thread of its own, in whose context the caller's
        # variables can't be seen. The caller's process and thread then stand for its context.
        self._elsewhere: dict[tuple[int, int], str] = {}

    def assign(self, event: Event, record: Mapping[str, Any]) -> str:
        """The id of the run that a marker's record belongs to; opens and ends runs as it goes."""
        explicit = record["extra"].get("run_id")
        lane = (record["process"].id, record["thread"].id)
        here = lane == (os.getpid(), threading.get_ident())
        if explicit is not None:
            run_id = run_id_from(explicit)
        elif event is Event.START:
            run_id = str(uuid.uuid4())
        else:
            run_id = self._current(event, self._here.get() if here else self._elsewhere.get(lane))

        if event is Event.START:
            self._open[run_id] = os.getpid()
            if len(self._open) > _MOST_OPEN:  # an app that never ends its runs
                del self._open[next(iter(self._open))]
            if here:
                self._here.set(run_id)
            else:
                self._elsewhere[lane] = run_id
        elif event.ends_run:
            self._open.pop(run_id, None)
            if not here and self._elsewhere.get(lane) == run_id:
                del self._elsewhere[lane]
        return run_id

    def open_here(self) -> list[str]:
        """The runs that this process opened and that have not ended, oldest first."""
        pid = os.getpid()
        return [run_id for run_id, opener in self._open.items() if opener == pid]

    def close_all(self) -> None:
        """Forget the open runs: their ends were told."""
        self._open.clear()
        self._elsewhere.clear()

    def _current(self, event: Event, known: str | None) -> str:
        if known is not None and known in self._open:
            return known
        if known is None and self._open and (event.ends_run or len(self._open) == 1):
            return next(iter(self._open))
        return str(uuid.uuid4())
