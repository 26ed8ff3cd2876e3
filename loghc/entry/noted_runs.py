"""What a sink's entry says of its runs: those that are open, and the ends that are owed."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["NotedRuns"]

_MAX_OPEN = 256
_MAX_OWED = 32


class _Owed:
    """An end on its way to its outcome."""

    __slots__ = ("cause", "event", "happened", "pending", "time_ns")

    def __init__(self, event: str, cause: str) -> None:
        self.event = event
        self.cause = cause
        self.happened = time.time()
        self.time_ns = time.monotonic_ns()
        self.pending = 1


class NotedRuns:
    """The newest 256 open runs, and the newest 32 ends. Threads may read it while it changes."""

    def __init__(self) -> None:
        self._open: dict[str, float] = {}  # by run id: when it began, by the wall clock
        self._owed: dict[str, _Owed] = {}  # by run id

    @property
    def open(self) -> bool:
        """Whether a run is open."""
        return bool(self._open)

    @property
    def owed(self) -> bool:
        """Whether an end is owed."""
        return bool(self._owed)

    def begin(self, run_id: str) -> None:
        """A run is open."""
        self._open[run_id] = time.time()
        if len(self._open) > _MAX_OPEN:
            self._open.pop(next(iter(self._open)), None)

    def end(self, run_id: str) -> None:
        """A run is no longer open."""
        self._open.pop(run_id, None)

    def owe(self, event: str, run_id: str, cause: str) -> None:
        """An end is owed until it is settled, as often as it came."""
        before = self._owed.pop(run_id, None)
        self._owed[run_id] = owed = _Owed(event, cause)
        if before is not None:
            owed.pending += before.pending
        if len(self._owed) > _MAX_OWED:
            self._owed.pop(next(iter(self._owed)), None)

    def settle(self, run_id: str, *, final: bool) -> float | None:
        """A ping of an end came to its outcome.

        Args:
            run_id: its run.
            final: nobody has to send it again.

        Returns:
            When the end came, by the wall clock, if it was the last; else None.
        """
        owed = self._owed.get(run_id)
        if owed is None:
            return None
        owed.pending -= 1
        if not final or owed.pending > 0:
            return None
        self._owed.pop(run_id, None)
        return owed.happened

    def open_pairs(self) -> list[tuple[str, str]]:
        """The open runs, as fields of an entry."""
        return [("open", f"{run_id} {began}") for run_id, began in list(self._open.items())]

    def pairs(self, clean: Callable[[str], str]) -> list[tuple[str, str]]:
        """All of them, as fields of an entry.

        Args:
            clean: removes from a cause what may not be kept.
        """
        pairs = self.open_pairs()
        for run_id, owed in list(self._owed.items()):
            cause = clean(owed.cause) if owed.cause else ""
            line = f"{owed.event} {run_id} {owed.time_ns} {owed.happened} {cause}"
            pairs.append(("owed", line))
        return pairs
