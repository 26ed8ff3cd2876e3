"""Which run a marker belongs to, where markers open and end the runs."""

from __future__ import annotations

from loghc.inside import layout
from loghc.ping import Event
from loghc.runs import new_run_id, run_id_from
from loghc.watch.messages import Message

__all__ = ["MarkedRuns"]

_MOST_OPEN = 10_000


class MarkedRuns:
    """Pairs each end with its start, by process and thread or task.

    A start opens a run there; the end that follows there is its end, of nested ones the inner
    ends first. An end from where none was ever started ends the run that has been open longest: it
    was started elsewhere. A marker that names its run goes before all of this.
    """

    def __init__(self) -> None:
        self._open: dict[str, None] = {}  # oldest first
        self._lanes: dict[tuple[int, int, int], list[str]] = {}

    def assign(self, event: Event, message: Message) -> str:
        """The id of the run that a marker belongs to; opens and ends runs as it goes."""
        lane = (message.pid, message.thread, message.task)
        known = self._lanes.get(lane)
        here = [run_id for run_id in known or () if run_id in self._open]
        if message.run_id:
            run_id = run_id_from(message.run_id)
        elif event is Event.START:
            run_id = new_run_id()
        elif here:
            run_id = here[-1]
        elif known is None and self._open and (event.ends_run or len(self._open) == 1):
            run_id = next(iter(self._open))
        else:
            run_id = new_run_id()
        if event is Event.START:
            self._open[run_id] = None
            self._lanes[lane] = [*(other for other in here if other != run_id), run_id]
            self._forget()
        elif event.ends_run or message.event == layout.END:
            self._open.pop(run_id, None)
        return run_id

    @property
    def open(self) -> list[str]:
        """The runs that have not ended, oldest first."""
        return list(self._open)

    def take_open(self) -> list[str]:
        """The runs that have not ended, oldest first; they count as ended from now on."""
        left = list(self._open)
        self._open.clear()
        return left

    def _forget(self) -> None:
        """Keep the memory bounded: of a program that never ends its runs, or has many threads."""
        if len(self._open) > _MOST_OPEN:
            del self._open[next(iter(self._open))]
        if len(self._lanes) > _MOST_OPEN:
            over = (lane for lane, ids in self._lanes.items() if self._open.keys().isdisjoint(ids))
            del self._lanes[next(over, next(iter(self._lanes)))]
