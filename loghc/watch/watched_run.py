"""The watched run: what happens to the program, turned into pings."""

from __future__ import annotations

from loghc.death.memory import Memory
from loghc.death.verdict import Verdict, judge, status_of
from loghc.entry.collector import Collector, Facts
from loghc.entry.processes import living
from loghc.log.headline import NOT_ENDED
from loghc.log.tail import EMPTY, Snapshot
from loghc.ping import Event
from loghc.portable import layout
from loghc.portable.expected import Expected
from loghc.portable.fields import parse_fields
from loghc.portable.run_ids import new_run_id
from loghc.report import report
from loghc.runs import Pairing
from loghc.watch import processes
from loghc.watch.cause import Causes, Exceptions
from loghc.watch.child import CannotStartError
from loghc.watch.command import Command
from loghc.watch.ends import End, Ends
from loghc.watch.error_file import ErrorFile
from loghc.watch.failures import Failures
from loghc.watch.footer import left_running, lost_markers, why_no_log
from loghc.watch.intake import Intake
from loghc.watch.messages import Message
from loghc.watch.notices import report_idle, report_trouble
from loghc.watch.options import Options
from loghc.watch.pings import Pings
from loghc.watch.recovery import Recovery
from loghc.watch.run_directory import RunDirectory
from loghc.watch.run_logs import RunLogs
from loghc.watch.sight import Sight
from loghc.watch.spoken import Spoken
from loghc.watch.unseen import Pythons
from loghc.watch.waiting import WaitingMarkers
from loghc.watch.why_unseen import describe

__all__ = ["WatchedRun"]

_FOLD_AT = 64  # rings that were opened since the last look for finished ones
_TOO_FAST = "loghc: too many markers came at once: the rest of the log is left out"
_LOGS_OF_RUNS = 4  # are kept together, so that each has enough
_HELPER_EXIT_S = 0.05  # for what the program started to end after it


class WatchedRun:
    """Turns what happens to a program into pings.

    Args:
        options: what was asked for.
        command: what was started.
        run: the run directory; None: there is none, and no log.
        trouble: why there is none.
        pythons: the Pythons of the run, and which of them the recorder got into.
        pid: the program's process.
        error_file: shows what was added to standard error; None if that is kept otherwise.
    """

    def __init__(
        self,
        options: Options,
        command: Command,
        run: RunDirectory | None,
        trouble: str,
        pythons: Pythons,
        pid: int = 0,
        error_file: ErrorFile | None = None,
    ) -> None:
        self._options = options
        self._command = command
        self._run = run
        self._pythons = pythons
        self._sight = Sight(command, run, trouble, pythons)
        self._run_id = new_run_id()
        self._runs = Pairing() if options.markers_only else None
        self._intake = Intake(run, options.limit)
        self._waiting = WaitingMarkers()
        self._opened = 0  # rings, since the last fold
        self._printed = False
        self._memory = Memory(pid)
        self._expected = Expected(options.expected)
        self._failures = Failures(options, self._intake, self._expected)
        self._spoken = Spoken(options.markers, self._expected)
        keep = options.limit * (_LOGS_OF_RUNS if options.by_run else 1)
        self._collector = Collector(run, keep)
        self._logs = RunLogs(self._collector, are_apart=options.by_run)
        self._recovery = Recovery(options, run)
        if options.output:
            self._collector.printed_ring = self._recovery.open_printed_ring()
        self._pings = Pings(
            options.url,
            timeout=options.timeout,
            limit=options.limit,
            redact=options.redact,
            mask_secrets=options.mask_secrets,
            send_logs=options.send_logs,
            events=options.events,
            headers=options.headers,
            ca_file=options.ca_file,
            on_end=self._recovery.told,
        )
        self._causes = Causes(options.all_markers())
        self._ends = Ends(self._pings, self._recovery, self._logs, self._causes, error_file)

    def begin(self) -> None:
        """Send what earlier runs left, and then the start of this one."""
        self._recovery.begin(self._run_id, self._pings)
        if self._runs is None and self._options.start:
            self._pings.put(Event.START, self._run_id, EMPTY)
        self._pings.warm_up()

    def cannot_start(self, error: CannotStartError) -> None:
        """Report and send that the command could not be started: that is a failure, too."""
        name = self._command.argv[0]
        report(self._pings.masked(f"{name}: {error.reason}"))
        self._recovery.begin(self._run_id, self._pings)
        cause = f"{name} can't be started: {error.reason}"
        self._pings.put(Event.FAIL, self._run_id, EMPTY, error.status, headline=cause)

    def keep_output(self, data: memoryview, stream: int) -> None:
        """Keep what the program printed. May be called from any thread."""
        self._printed = True
        self._spoken.add(data, stream)  # first: a marker carries its line itself
        self._collector.add_output(data, stream)

    def take_messages(self) -> bool:
        """Take in messages of processes, and queue one marker's ping; returns whether more wait.

        Not all at once, so that a flood doesn't keep the watcher from its other work.
        """
        self._memory.sample()
        self._keep_directory()
        if not self._waiting.is_full:
            self._take_in()
        if self._waiting:
            self._put(self._waiting.take())
        self._fold()
        return bool(self._waiting)

    def living(self) -> list[int]:
        """The processes of the run that have not ended."""
        if self._run is None:
            return []
        found = living(self._run.path)
        # A process may have overwritten its environment, as those that set their title do.
        others = [owner[0] for owner in self._collector.owners() if processes.has_ring(*owner)]
        return list(dict.fromkeys([*found, *others]))

    def waited_for(self) -> list[int]:
        """The processes to wait for once the program itself has ended."""
        return self.living() if self._options.markers_only else []

    def end(self, pid: int, status: int) -> None:
        """Send how the program ended.

        Args:
            pid: the program's process.
            status: its wait status.
        """
        # Helpers, such as multiprocessing's, end a moment after the program.
        left = processes.without_helpers(processes.wait_for(self.living(), _HELPER_EXIT_S))
        self._keep_directory()
        self._take_last_messages()
        log, facts = self._logs.whole()
        owners = [owner for owner, _, _ in self._collector.owners()]
        trouble = self._sight.trouble()
        unseen = describe(self._sight.unseen(pid, facts, owners))
        blind = bool(trouble or facts.lost or unseen)
        notes = report_trouble(trouble, facts.orphans, self._pings.masked)
        if not blind:
            report_idle(self._options, facts, self._intake.received, self._pings.masked)
        unknown = self._failures.unseen(facts, blind=blind, marker_lost=self._sight.rings_lost)
        for line in unseen if unknown else ():
            report(self._pings.masked(line.removeprefix("loghc: ")))
        failures = self._failures.reasons(facts, exit_status=status_of(status))
        verdict = judge(
            status,
            self._options.statuses,
            [*failures, *unknown],
            self._memory.about_kill(),
            self._options.on_failure,
        )
        lines = [
            *why_no_log(facts, notes, unseen, printed=self._printed or bool(facts.tracebacks)),
            *lost_markers(self._waiting.dropped + self._intake.markers_lost(facts)),
            *left_running(left),
        ]
        if self._runs is None:
            ends = [End(verdict.event, self._run_id)]
        else:
            ends, why = self._ends_of_marked_runs(verdict, facts, unknown=bool(unknown))
            lines += why
        lines += verdict.lines
        if verdict.event is Event.SUCCESS and self._runs is None:
            self._ends.send_success(self._run_id, log, lines)
        else:
            self._ends.send(ends, verdict, log, Exceptions.of(pid, facts), lines)

    def deliver(self) -> None:
        """Deliver what is queued, within the drain time."""
        self._pings.stop(self._options.drain)

    def abort(self) -> None:
        """Abort a ``deliver`` in progress. Any thread may call this."""
        self._pings.abort()

    def close(self) -> None:
        """Keep what could not be delivered, and delete the run directory."""
        self._recovery.finish(self._pings.owed())

    def _ends_of_marked_runs(
        self, verdict: Verdict, facts: Facts, *, unknown: bool
    ) -> tuple[list[End], list[str]]:
        """The ends of runs that no marker ended, and lines about them for the footer."""
        event = Event.LOG if verdict.event is Event.LOG else Event.FAIL
        ends = [End(event, run_id) for run_id in self._runs.take_open()] if self._runs else []
        lines = [f"loghc: {NOT_ENDED}"] if ends else []
        lost = self._intake.failure_lost(facts)
        if lost:
            lines.append("loghc: a failure was logged; which run it belongs to is unknown")
        if not ends and (unknown or lost):
            ends = [End(event, new_run_id())]
        return ends, lines

    def _take_in(self, *, last: bool = False) -> None:
        """Take in the messages of processes since the last call."""
        messages = self._intake.take(last=last)
        for message in messages:
            if message.is_marker:
                self._spoken.record(message)
        messages += self._spoken.take()
        markers = []
        for message in messages:
            if message.event == "expect":
                for number in message.lane:
                    self._expected.left.pop(number, None)
            elif message.event == "python":
                self._pythons.arrived(message.pid, message.line)
            elif message.event == "ring":
                self._opened += 1
                self._pythons.recorded(message.pid)
                self._sight.hold_ring(f"{message.pid}-{message.ring}{layout.SUFFIX}")
            elif message.event == "sink":
                self._pings.apply_sink_options(parse_fields(message.line))
            # Otherwise the process itself is the run, with its own start and end.
            elif self._runs is not None or message.event not in ("start", "success"):
                markers.append(message)
        self._waiting.add(markers)

    def _take_last_messages(self) -> None:
        self._spoken.finish()
        self._take_in(last=True)
        while self._waiting:
            self._put(self._waiting.take())

    def _fold(self) -> None:
        if self._opened >= _FOLD_AT:
            self._opened = 0
            finished = self._collector.finished()
            self._take_in(last=True)
            self._collector.fold(finished)

    def _put(self, message: Message) -> None:
        """Queue the ping of a marker."""
        ends = message.event == layout.END
        event = Event.LOG if ends else Event(message.event)
        if self._runs is not None:
            run_id = self._runs.assign(event, message.lane, message.run_id, ends=ends)
            if event is Event.START:
                self._logs.begin(run_id, message)
            if event is Event.START or event.ends_run or ends:
                self._recovery.note_open(self._runs.open)
        else:
            run_id = self._run_id
        self._failures.marked = self._failures.marked or event is Event.FAIL
        if event is Event.START and not self._options.start:
            return
        if event is Event.FAIL and self._options.on_failure == "log":
            event = Event.LOG
        # Only a few waiting pings keep their logs. Those of failures keep theirs longest.
        if self._waiting.many_follow(event):
            log, lines = Snapshot((message.line,), begins_inside_record=False), [_TOO_FAST]
        else:
            log, lines = self._logs.of_run(run_id, message.time_ns, message.line), []
        record = message.line.decode("utf-8", "replace")
        cause = self._causes.of_marker(message.line, log) if event is Event.FAIL else ""
        self._pings.put(event, run_id, log, headline=cause, lines=lines, record=record)

    def _keep_directory(self) -> None:
        """Recreate the run directory if it was deleted."""
        if self._sight.directory_deleted:
            self._take_in()  # what is still in the old channel
            if self._sight.renew_directory():
                self._recovery.renew()
