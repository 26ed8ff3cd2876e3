"""Sends the end of a run, or of each run that was still open when the program ended."""

from __future__ import annotations

from typing import NamedTuple

from loghc.death.verdict import Verdict
from loghc.delivery.inbox import LOGS
from loghc.log.tail import EMPTY, Snapshot
from loghc.ping import Event
from loghc.watch.cause import Causes, Exceptions
from loghc.watch.error_file import ErrorFile
from loghc.watch.pings import Pings
from loghc.watch.recovery import Recovery
from loghc.watch.run_logs import RunLogs

__all__ = ["End", "Ends"]


class End(NamedTuple):
    """An event that ends a run, and the run's id."""

    event: Event
    run_id: str


class Ends:
    """Notes each end for the next start, then queues its ping.

    Args:
        pings: queues pings.
        recovery: notes ends.
        logs: the logs of the runs.
        causes: finds the causes of failures.
        error_file: shows what was added to standard error; None if that is kept otherwise.
    """

    def __init__(
        self,
        pings: Pings,
        recovery: Recovery,
        logs: RunLogs,
        causes: Causes,
        error_file: ErrorFile | None,
    ) -> None:
        self._pings = pings
        self._recovery = recovery
        self._logs = logs
        self._causes = causes
        self._error_file = error_file

    def send_success(self, run_id: str, log: Snapshot, lines: list[str]) -> None:
        """The program's own run succeeded."""
        self._recovery.note_end(Event.SUCCESS, run_id, None, "")
        self._pings.put(Event.SUCCESS, run_id, log, lines=lines)

    def send(
        self,
        ends: list[End],
        verdict: Verdict,
        log: Snapshot,
        exceptions: Exceptions,
        lines: list[str],
    ) -> None:
        """Send the ends of runs that did not succeed, with the cause in front.

        Args:
            ends: the event and the id of each run.
            verdict: how the program ended.
            log: the log as a whole.
            exceptions: those that ended processes and threads.
            lines: what to put after the log.
        """
        cause, in_file, printed = "", b"", ""
        if verdict.event is not Event.LOG:
            in_file = self._error_file.added() if self._error_file is not None else b""
            printed = self._logs.printed_errors(in_file, exceptions)
            cause = self._causes.of_end(verdict, exceptions, log, printed)
        if verdict.death and not verdict.death.startswith("exit status"):
            lines = [*lines, f"loghc: {verdict.death}"]
        tracebacks = exceptions.all
        if in_file and printed.strip():
            tracebacks = [f"loghc: at the end of standard error:\n{printed}", *tracebacks]
        for number, (event, run_id) in enumerate(ends):
            if self._logs.are_apart:
                log = self._logs.of_run(run_id) if number < LOGS else EMPTY
                if verdict.event is not Event.LOG:  # its own last error, not another run's
                    others = exceptions._replace(in_thread="")
                    cause = self._causes.of_end(verdict, others, log, printed)
            masked = self._pings.masked(cause)
            self._recovery.note_end(event, run_id, verdict.exit_status, masked)
            self._pings.put(
                event,
                run_id,
                log,
                verdict.exit_status,
                headline=cause,
                tracebacks=tracebacks,
                lines=[line for line in lines if line.removeprefix("loghc: ") not in cause],
            )
