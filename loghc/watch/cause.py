"""The headline of a failure under `loghc run`: the first cause that is known."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import NamedTuple

from loghc.death.verdict import Verdict
from loghc.entry.collector import Facts
from loghc.log.headline import (
    NOT_ENDED,
    after,
    last_error,
    of_record,
    of_traceback,
    without_cause,
)
from loghc.log.tail import Snapshot

__all__ = ["Causes", "Exceptions"]

_RECORD = re.compile(rb"(?m)^\d{4}-\d\d-\d\d [\d:.]+ \| ")
_OF_AN_EXCEPTION = (1, 130)  # the exit statuses of a Python that an exception ended


class Exceptions(NamedTuple):
    """The exceptions that ended processes and threads of a run, as tracebacks.

    Attributes:
        own: the one that ended the program itself, or an empty str.
        others: those of other processes, and of threads, the newest last. One is the cause only
            if the program passed its failing status on.
        in_thread: the newest of those in the program's own threads, or an empty str.
    """

    own: str
    others: list[str]
    in_thread: str

    @classmethod
    def of(cls, pid: int, facts: Facts) -> Exceptions:
        """The exceptions of a run whose program had this process id."""
        found = facts.tracebacks
        own = next((each.text for each in found if each.of(pid)), "")
        others = [each.text for each in found if not each.of(pid)]
        in_threads = [each.text for each in found if each.pid == pid and not each.ended]
        return cls(own, others, in_threads[-1] if in_threads else "")

    @property
    def all(self) -> list[str]:
        """All of them, the program's own last."""
        return [*self.others, *([self.own] if self.own else [])]


class Causes:
    """Finds the cause of each failure of a run.

    Args:
        markers: maps each marker to the event that it stands for.
    """

    def __init__(self, markers: Mapping[str, str]) -> None:
        self._markers = [text for text, event in markers.items() if event == "fail"]
        self._began = time.monotonic()
        self._marked = ""  # the cause of the last failure that was logged with a marker

    def of_marker(self, line: bytes, log: Snapshot) -> str:
        """The cause of a failure that was logged with a marker.

        Args:
            line: the marker's record, which may be cut.
            log: the log with the whole record at its end.
        """
        data = b"".join(log.chunks)
        at = data.rfind(line.partition(b"\n")[0]) if line else _last_record(data)
        record = _text(data[at:] if at >= 0 else line)
        marker = next((each for each in self._markers if each in record), "a failure marker")
        self._marked = (
            of_record(record, self._markers)
            or last_error(_text(data[: max(at, 0)]))
            or without_cause(marker)
        )
        return self._marked

    def of_end(
        self, verdict: Verdict, exceptions: Exceptions, log: Snapshot, printed: str = ""
    ) -> str:
        """The cause of a run's failure at the program's end.

        Args:
            verdict: how it ended.
            exceptions: those that ended processes and threads.
            log: the log.
            printed: what is known to have been printed to standard error at the end.
        """
        own, others, in_thread = exceptions
        status = verdict.exit_status
        raised = of_traceback(own) if status in _OF_AN_EXCEPTION else ""
        passed_on = of_traceback(others[-1]) if status == 1 and others else ""
        cause = raised or self._marked or passed_on
        if not cause and status is not None:
            cause = verdict.death
            if cause == f"exit status {status}":
                known = (
                    of_traceback(printed)
                    or of_traceback(in_thread)
                    or _last_line(printed)
                    or last_error(_log(log))
                )
                cause += f": {known}" if known else ""
        if not cause and verdict.lines:
            cause = last_error(_log(log)) or verdict.lines[0].removeprefix("loghc: ")
        return (cause or NOT_ENDED) + after(time.monotonic() - self._began)


def _log(log: Snapshot) -> str:
    return _text(b"".join(log.chunks))


def _last_record(data: bytes) -> int:
    """Where the last record of a log in the recorder's format begins, -1 where there is none."""
    return max((found.start() for found in _RECORD.finditer(data)), default=-1)


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
