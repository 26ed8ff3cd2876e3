"""``--scope run``: which records belong to the log of a run."""

from __future__ import annotations

from collections.abc import Callable

from loghc.entry.rings import Frame
from loghc.portable import layout
from loghc.watch.messages import Message

__all__ = ["RunScopes"]

_MAX_RUNS = 1_000  # that are known, the ended ones among them
_FIELDS = 4


class RunScopes:
    """Remembers by which starts runs were opened: records name those of their context.

    A record of a context that has no run open stays in each run's log: it may be the cause of a
    failure.
    """

    def __init__(self) -> None:
        self._begun: dict[str, tuple[int, set[bytes]]] = {}  # when, and the tokens of its starts

    def begin(self, run_id: str, message: Message) -> None:
        """A run's start was logged."""
        begun = self._begun.setdefault(run_id, (message.time_ns, set()))
        begun[1].add(b"%d" % message.lane[-1])
        if len(self._begun) > _MAX_RUNS:
            del self._begun[next(iter(self._begun))]

    def of_run(self, run_id: str) -> Callable[[Frame], bool]:
        """Tells a run's records from those that are known to be of another one.

        Of a run whose start was not seen: from those of all that are known.
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
            return event == layout.RECORD  # a marker of no run of its context is another's

        return belongs
