"""Which context a marker comes from: a thread, an asyncio or trio task, a greenlet."""

import os

TYPE_CHECKING = False  # importing typing here would keep the program from shadowing it
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Lanes"]

_MAX_DEPTH = 1000  # open runs of one context, as each of its markers looks at all of them
_EARLIER = 0  # runs that a context began and that have ended; no test can tell: it's no token


class _Start:
    """A run's start, shared by all contexts that inherited it."""

    __slots__ = ("ended", "run_id", "token")

    def __init__(self, run_id: "str | None") -> None:
        self.token = int.from_bytes(os.urandom(7), "big") + 1  # no test can tell: random, not 0
        self.run_id = run_id
        self.ended = False


class Lanes:
    """Remembers, in each context, the starts of the runs that are open there.

    A context that is made in another, such as a task's, inherits its runs. A lane is a tuple of
    tokens, one for each such start, the innermost run last. It is empty for a context that has
    never begun a run.

    Args:
        variable: a ContextVar of its own, without a default.
    """

    def __init__(self, variable: "Any") -> None:
        self._variable = variable

    def of_marker(
        self, run_id: "str | None", *, starts: bool = False, ends: bool = False
    ) -> "tuple[int, ...]":
        """The lane of a marker that is logged in the calling context.

        Args:
            run_id: the run's, if the program names it.
            starts: the marker starts a run, whose token becomes the lane's last.
            ends: the marker ends a run.
        """
        begun = self._variable.get(None)
        open_ = [start for start in begun or () if not start.ended]
        lane = [start.token for start in open_]
        if not starts:
            if ends and open_:
                self._end(open_, run_id)
            return tuple(lane) if lane or begun is None else (_EARLIER,)
        start = _Start(run_id)
        for other in open_:
            if run_id is not None and other.run_id == run_id:  # it is started once more
                start = other
                open_.remove(other)
                lane.remove(other.token)
                break
        self._variable.set((*open_[1 - _MAX_DEPTH :], start))
        return (*lane[1 - _MAX_DEPTH :], start.token)

    def open_tokens(self) -> "list[int]":
        """The lane of a record that isn't a marker, which starts and ends nothing."""
        return [start.token for start in self._variable.get(()) if not start.ended]

    def open_runs(self) -> "list[str | None]":
        """The open runs of the calling context, by the ids that were passed to `of_marker`."""
        return [start.run_id for start in self._variable.get(()) if not start.ended]

    def _end(self, open_: "list[_Start]", run_id: "str | None") -> None:
        """End the named run, or else the innermost, for all contexts that know it."""
        for start in reversed(open_):
            if run_id is None or start.run_id == run_id:
                start.ended = True
                open_.remove(start)
                self._variable.set(tuple(open_))
                return
