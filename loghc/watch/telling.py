"""What the service is told of a run: its start, its markers, and its end."""

from __future__ import annotations

from typing import NamedTuple

from loghc.delivery.inbox import LOGS
from loghc.entry.collector import Collector, Facts
from loghc.entry.processes import living
from loghc.log.redaction import Redactor
from loghc.log.tail import Snapshot
from loghc.ping import Event
from loghc.portable import layout
from loghc.portable.expected import Expected
from loghc.portable.fields import parse_fields
from loghc.portable.run_ids import new_run_id
from loghc.report import report
from loghc.runs import Pairing
from loghc.watch import processes
from loghc.watch.cause import NOT_ENDED, Causes
from loghc.watch.child import CannotStartError
from loghc.watch.command import Command
from loghc.watch.error_file import ErrorFile
from loghc.watch.footer import left_running, lost_markers, why_no_log
from loghc.watch.intake import Intake
from loghc.watch.memory import Memory
from loghc.watch.messages import Message
from loghc.watch.notices import report_idle_options, report_no_markers, report_trouble
from loghc.watch.options import Options
from loghc.watch.pings import Pings
from loghc.watch.recovery import Recovery
from loghc.watch.run_directory import RunDirectory
from loghc.watch.scope import RunScopes
from loghc.watch.sight import Sight
from loghc.watch.spoken import Spoken
from loghc.watch.unseen import Pythons, describe
from loghc.watch.verdict import Verdict, judge
from loghc.watch.waiting import WaitingMarkers

__all__ = ["Teller"]

_FOLD_AT = 64  # rings that were opened since the last look for finished ones
_TOO_FAST = "loghc: too many markers came at once to put the rest of the log here"
_LOGS_OF_RUNS = 4  # are kept together, for each of them to have enough
_HELPER_EXIT_S = 0.05  # that what the program started has, to end after it
_NO_LOG = Snapshot((), begins_inside_record=False)


class Teller:
    """Turns what happens to a program into pings.

    Args:
        options: what was asked for.
        command: what was started.
        run: the run directory; None: there is none, and no log.
        trouble: why there is none.
        pythons: the Pythons of the run, and which of them the recorder got into.
        pid: the program's process.
        error_file: standard error as it was before, None where it is kept otherwise.

    Attributes:
        collector: of the log.
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
        self._failed = False  # a failure was told by a marker
        self._intake = Intake(run, options.limit) if run is not None else None
        self._waiting = WaitingMarkers()
        self._opened = 0  # rings, since the last fold
        self._printed = False
        self._causes = Causes(options.all_markers())
        self._memory = Memory(pid)
        self._error_file = error_file
        self._expected = Expected(options.expected)
        self._spoken: Spoken | None = None  # where what is printed is to be looked at
        if options.output and (options.markers or options.expected):
            self._spoken = Spoken(options.markers, self._expected)
        self._scopes = RunScopes() if options.by_run else None
        keep = options.limit * (_LOGS_OF_RUNS if options.by_run else 1)
        self.collector = Collector(run, keep)
        self._recovery = Recovery(options, run)
        if options.output:
            self.collector.printed_ring = self._recovery.open_printed_ring()
        self._pings = Pings(
            options.url,
            timeout=options.timeout,
            limit=options.limit,
            redact=_rules(options),
            send_logs=options.send_logs,
            events=options.events,
            headers=options.headers,
            ca_file=options.ca_file,
            on_end=self._recovery.told,
        )

    def begin(self, terminals: list[str]) -> None:
        """The program has started: tell what is left of earlier runs, and then that.

        Args:
            terminals: streams that are passed through without ``--output`` keeping them.
        """
        self._recovery.begin(self._run_id, self._pings)
        if self._runs is None and self._options.start:
            self._pings.put(Event.START, self._run_id, _NO_LOG)
        self._pings.warm_up()
        if terminals:
            verb = "are terminals and stay so" if terminals[1:] else "is a terminal and stays one"
            report(f"{' and '.join(terminals)} {verb}: not recorded by --output.")

    def cannot_start(self, error: CannotStartError) -> None:
        """The command could not be started: that is a failure, too."""
        name = self._command.argv[0]
        report(self._pings.masked(f"{name}: {error.reason}"))
        self._recovery.begin(self._run_id, self._pings)
        cause = f"{name} can't be started: {error.reason}"
        self._pings.put(Event.FAIL, self._run_id, _NO_LOG, error.status, headline=cause)

    def keep_output(self, data: memoryview, stream: int) -> None:
        """Keep what the program printed. May be called from any thread."""
        self._printed = True
        if self._spoken is not None:
            self._spoken.add(bytes(data), stream)
        self.collector.add_output(data, stream)

    def take_messages(self) -> bool:
        """Take in what processes told, and tell one marker; whether more wait.

        Not all at once, so that a flood doesn't keep the watcher from anything else.
        """
        self._memory.sample()
        self._keep_directory()
        if not self._waiting.is_full:
            self._take_in()
        if self._waiting:
            self._tell(self._waiting.take())
        self._fold()
        return bool(self._waiting)

    def living(self) -> list[int]:
        """The processes of the run that have not ended."""
        if self._run is None:
            return []
        found = living(self._run.path)
        # A process may have written over its environment, as those do that change their title.
        others = [owner[0] for owner in self.collector.owners() if processes.has_ring(*owner)]
        return list(dict.fromkeys([*found, *others]))

    def waited_for(self) -> list[int]:
        """The processes that the watcher stays for, now that the program itself has ended."""
        return self.living() if self._options.markers_only else []

    def end(self, pid: int, status: int) -> None:
        """Tell how the program ended.

        Args:
            pid: the program's process.
            status: its wait status.
        """
        # Helpers, such as multiprocessing's, end a moment after the program.
        left = processes.without_helpers(processes.wait_for(self.living(), _HELPER_EXIT_S))
        self._keep_directory()
        self._take_last_messages()
        log, facts = self.collector.read()
        owners = [owner for owner, _, _ in self.collector.owners()]
        trouble = self._sight.trouble()
        unseen = describe(self._sight.unseen(pid, facts, owners))
        blind = bool(trouble or facts.lost or unseen)
        notes = report_trouble(trouble, facts.orphans, self._pings.masked)
        if not blind:
            self._report_idle(facts)
        unknown = self._unknown(facts, blind=blind)
        for line in unseen if unknown else ():
            report(self._pings.masked(line.removeprefix("loghc: ")))
        failures = [*self._failures(facts), *unknown, *(self._unsaid() if status == 0 else [])]
        verdict = judge(
            status,
            self._options.statuses,
            failures,
            self._memory.about_kill(),
            self._options.on_failure,
        )
        lines = [
            *why_no_log(facts, notes, unseen, printed=self._printed or bool(facts.tracebacks)),
            *lost_markers(self._waiting.dropped + self._lost_markers(facts)),
            *left_running(left),
        ]
        ends = [(verdict.event, self._run_id)]
        if self._runs is not None:
            ends, why = self._ends_of_marked_runs(verdict, facts, unknown=bool(unknown))
            lines += why
        lines += verdict.lines
        if verdict.event is Event.SUCCESS and self._runs is None:
            self._recovery.note_end(Event.SUCCESS, self._run_id, None, "")
            self._pings.put(Event.SUCCESS, self._run_id, log, lines=lines)
        else:
            self._tell_ends(ends, verdict, log, _Exceptions.of(pid, facts), lines)

    def deliver(self) -> None:
        """Deliver what is queued, within the time for it."""
        self._pings.stop(self._options.drain)

    def abort(self) -> None:
        """Have ``deliver`` give up now. May be called from any thread."""
        self._pings.abort()

    def close(self) -> None:
        """Keep what could not be delivered, and delete the run directory."""
        self._recovery.finish(self._pings.owed())

    def _ends_of_marked_runs(
        self, verdict: Verdict, facts: Facts, *, unknown: bool
    ) -> tuple[list[tuple[Event, str]], list[str]]:
        """How the runs end that no marker ended, and what the log's end says of it."""
        event = Event.LOG if verdict.event is Event.LOG else Event.FAIL
        ends = [(event, run_id) for run_id in self._runs.take_open()] if self._runs else []
        lines = [f"loghc: {NOT_ENDED}"] if ends else []
        lost = self._lost_failures(facts)
        if lost:
            lines.append("loghc: a failure was logged, and which run's it was is unknown")
        if not ends and (unknown or lost):
            ends = [(event, new_run_id())]
        return ends, lines

    def _tell_ends(
        self,
        ends: list[tuple[Event, str]],
        verdict: Verdict,
        log: Snapshot,
        exceptions: _Exceptions,
        lines: list[str],
    ) -> None:
        """Tell ends that are no success, with their cause in front."""
        own, others = exceptions.own, exceptions.others
        cause, in_file, printed_text = "", b"", ""
        if verdict.event is not Event.LOG:
            in_file = self._error_file.added() if self._error_file is not None else b""
            printed = self.collector.not_recorded(
                in_file or self.collector.error_text(), [*others, own]
            )
            printed_text = printed.decode("utf-8", "replace")
            cause = self._causes.of_end(
                verdict, own, others, log, printed_text, exceptions.in_thread
            )
        if verdict.death and not verdict.death.startswith("exit status"):
            lines.append(f"loghc: {verdict.death}")
        tracebacks = [*others, *([own] if own else [])]  # the program's own comes last
        if in_file and printed_text.strip():
            tracebacks.insert(0, f"loghc: at the end of standard error:\n{printed_text}")
        for number, (event, run_id) in enumerate(ends):
            if self._scopes is not None:
                log = self._log_of(run_id) if number < LOGS else _NO_LOG
                if verdict.event is not Event.LOG:  # its own last error, and no other run's
                    cause = self._causes.of_end(verdict, own, others, log, printed_text)
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

    def _take_in(self, *, last: bool = False) -> None:
        """Take in what processes told since the last time."""
        messages = self._intake.take(last=last) if self._intake is not None else []
        if self._spoken is not None:
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
            # The process itself tells its start and end.
            elif self._runs is not None or message.event not in ("start", "success"):
                markers.append(message)
        self._waiting.add(markers)

    def _take_last_messages(self) -> None:
        if self._spoken is not None:
            self._spoken.finish()
        self._take_in(last=True)
        while self._waiting:
            self._tell(self._waiting.take())

    def _fold(self) -> None:
        if self._opened >= _FOLD_AT:
            self._opened = 0
            finished = self.collector.finished()
            self._take_in(last=True)
            self.collector.fold(finished)

    def _tell(self, message: Message) -> None:
        ends = message.event == layout.END
        event = Event.LOG if ends else Event(message.event)
        if self._runs is not None:
            run_id = self._runs.assign(event, message.lane, message.run_id, ends=ends)
            if event is Event.START and self._scopes is not None:
                self._scopes.begin(run_id, message)
            if event is Event.START or event.ends_run or ends:
                self._recovery.note_open(self._runs.open)
        else:
            run_id = self._run_id
        self._failed = self._failed or event is Event.FAIL
        if event is Event.START and not self._options.start:
            return
        if event is Event.FAIL and self._options.on_failure == "log":
            event = Event.LOG
        # No more of them are kept with their logs. Those of failures are kept longest.
        if self._waiting.many_follow(event):
            log, lines = Snapshot((message.line,), begins_inside_record=False), [_TOO_FAST]
        else:
            log, lines = self._log_of(run_id, message.time_ns, message.line), []
        record = message.line.decode("utf-8", "replace")
        cause = self._causes.of_marker(message.line, log) if event is Event.FAIL else ""
        self._pings.put(event, run_id, log, headline=cause, lines=lines, record=record)

    def _log_of(self, run_id: str, until_ns: int | None = None, last: bytes = b"") -> Snapshot:
        wanted = self._scopes.of_run(run_id) if self._scopes is not None else None
        return self.collector.read(until_ns, last, wanted)[0]

    def _failures(self, facts: Facts) -> list[str]:
        """Why the run failed whatever its exit status."""
        reasons = []
        if self._failed or facts.failures or (self._run is not None and self._run.told_failure):
            reasons.append("loghc: a failure was logged, and so the run failed")
        level = self._options.fail_on
        if level is not None and facts.level >= level:
            name = self._options.fail_on_name
            reasons.append(f"loghc: a record of level {name} or above was logged (--fail-on)")
        return reasons

    def _unsaid(self) -> list[str]:
        """What the program never said, though it ended with 0."""
        expected = [self._options.expected[number][1] for number in sorted(self._expected.left)]
        return [f'loghc: ended with 0, but never said "{text}"' for text in expected]

    def _unknown(self, facts: Facts, *, blind: bool) -> list[str]:
        """What may have failed the run unseen. No success is told then."""
        level = self._options.fail_on
        unknown = []
        if self._sight.rings_lost or (self._runs is not None and blind):
            unknown.append("a marker")
        if level is not None and blind and facts.level < level:
            unknown.append(f"a record of level {self._options.fail_on_name} or above (--fail-on)")
        if blind and "fail" in self._options.markers.values() and not self._failed:
            unknown.append("a failure (--marker)")
        return [f"loghc: {what} may have been logged unseen" for what in unknown]

    def _lost_failures(self, facts: Facts) -> bool:
        """Whether a failure was logged, and brought neither by the channel nor by a ring."""
        told = self._intake.failures if self._intake is not None else 0
        return facts.failures > told or (self._run is not None and self._run.told_failure)

    def _keep_directory(self) -> None:
        """Make the run directory anew if it was deleted."""
        if self._sight.directory_deleted:
            self._take_in()  # what came through the channel that goes
            if self._sight.renew_directory():
                self._recovery.renew()

    def _report_idle(self, facts: Facts) -> None:
        """Report what had no effect, though everything was seen."""
        report_idle_options(self._options, facts, printed=self._spoken is not None)
        received = self._intake.received if self._intake is not None else 0
        if self._runs is not None and not received and not facts.markers:
            report_no_markers(self._options, self._pings.masked)

    def _lost_markers(self, facts: Facts) -> int:
        """How many were logged, and brought neither by the channel nor by a ring."""
        return facts.markers - self._intake.numbered if self._intake is not None else 0


class _Exceptions(NamedTuple):
    """The exceptions that ended processes and threads of a run, as tracebacks.

    Attributes:
        own: the one that ended the program itself, or an empty str.
        others: those of other processes, and of threads.
        in_thread: the newest of those in the program's own threads, or an empty str.
    """

    own: str
    others: list[str]
    in_thread: str

    @classmethod
    def of(cls, pid: int, facts: Facts) -> _Exceptions:
        """Those of a run whose program was this process."""
        found = facts.tracebacks
        own = next((each.text for each in found if each.of(pid)), "")
        others = [each.text for each in found if not each.of(pid)]
        in_threads = [each.text for each in found if each.pid == pid and not each.ended]
        return cls(own, others, in_threads[-1] if in_threads else "")


def _rules(options: Options) -> list[str | Redactor]:
    if not options.mask_secrets:
        return [*options.redact]
    from loghc.log.secrets import SECRETS

    return [*SECRETS, *options.redact]
