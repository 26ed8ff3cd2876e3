"""What a dead process owes of one run."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Owed"]


class Owed(NamedTuple):
    """What is to be sent of one run.

    Attributes:
        event: the event's value; ``"fail"`` for a run that was cut off.
        run_id: which run.
        happened: when, in seconds of the wall clock; NaN where nobody knows.
        until_ns: when the end was logged, by CLOCK_MONOTONIC; None: at the end of the log.
        cause: the headline.
        status: the exit status; None: none.
        began: when a run that was cut off began; None: it had ended.
    """

    event: str
    run_id: str
    happened: float
    until_ns: int | None = None
    cause: str = ""
    status: int | None = None
    began: float | None = None

    def as_pair(self) -> tuple[str, str]:
        """A field of an entry that says the same."""
        if self.began is not None:
            return "open", f"{self.run_id} {self.began}"
        until_ns = self.until_ns or 0
        return "owed", f"{self.event} {self.run_id} {until_ns} {self.happened} {self.cause}"
