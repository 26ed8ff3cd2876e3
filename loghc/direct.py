"""The outlet of a sink that sends its own pings."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from loghc import native
from loghc.causes import Causes
from loghc.crash import CrashWatch, uncaught_exception
from loghc.delivery import Delivery
from loghc.delivery.troubles import Troubles
from loghc.entry.sink_entry import SinkEntry
from loghc.hints.listener import quote
from loghc.hints.no_threads import report_no_threads
from loghc.log.body import Body
from loghc.log.headline import NOT_ENDED, of_exception
from loghc.log.tail import EMPTY, Snapshot
from loghc.outlet import Outlet, masker_for
from loghc.ping import Event, Ping, Stats
from loghc.repeats import Repeats
from loghc.report import debugging, report, report_debug, traceback_text
from loghc.runs import RecordRuns, origin
from loghc.scope import RunTails, WholeTail
from loghc.version import __version__

if TYPE_CHECKING:
    from loghc.log.redaction import Redactor
    from loghc.markers import Markers
    from loghc.service.url import PingUrl

__all__ = ["Direct"]

_TAKEN_BACK = "loghc: the program crashed, though this run was reported as a success."


class Direct(Outlet):
    """For a sink that sends its own pings.

    Args:
        url: the ping URL.
        options: the sink's.
        markers: what makes a message a marker.
        redact: its rules, or None.
    """

    def __init__(
        self,
        url: PingUrl,
        options: Mapping[str, Any],
        markers: Markers,
        redact: Redactor | None,
    ) -> None:
        # Imported here, so that an app whose sink is disabled doesn't pay for it.
        from loghc.log.rendering import Renderer
        from loghc.service.client import PingClient

        self.name = repr(url.masked)
        self.target = hash((url.target("", ""), url.credentials))
        self._job = options["job"]
        self._events = options["events"]
        self._send_logs = options["send_logs"]
        self._limit: int = options["limit"]
        self._drain: float = options["drain"]
        http, headers = options["http"], options["headers"]
        masker = self._masker = masker_for(url, options)
        self._renderer = Renderer(self._limit, masker, redact, mask_secrets=options["mask_secrets"])
        self._entry = _entry_for(url, options, self._without_secrets)
        troubles = Troubles(url.masked, masker.text)
        troubles.left_to = lambda: self._entry.left_to
        if url.exposed:
            troubles.exposed()
        report_no_threads()
        client = PingClient(url, masker.text, options["timeout"], headers, http, __version__)
        self._delivery = Delivery(
            client,
            troubles,
            options["on_outcome"],
            events=options["events"],
            drain=options["drain"],
            on_settled=self._entry.settled,
            earlier=self._earlier,
        )
        self._debugging = debugging()
        self._late: list[Ping] = []  # of earlier runs; the thread that sends has it
        self._runs = RecordRuns()
        self._log: RunTails | WholeTail
        if options["scope"] == "run":
            self._log = RunTails(self._limit, self._body_size, self._runs, markers)
        else:
            self._log = WholeTail(self._limit, self._body_size)
        self.tail = self._entry.kept_with(self._log)
        self._causes = Causes(self._runs, markers.events)
        self._crash_watch = CrashWatch()
        self._repeats = Repeats()
        self._lock = native.RLock()  # a signal handler may log while a marker is handled

    @property
    def stats(self) -> Stats:
        """The counts of the delivery."""
        return self._delivery.stats

    def mask(self, text: str) -> str:
        """A text without the secrets of the URL and the headers."""
        return self._masker.text(text)

    def error_seen(self, record: Mapping[str, Any]) -> None:
        """Remember it as the possible cause of a failure."""
        self._causes.error_seen(record)

    def take(self, event: Event, record: Mapping[str, Any], text: str) -> None:
        """Queue a ping with the log as it is now."""
        # Markers are queued in the order in which they come.
        native.holding(self._lock, self._take, event, record, text)

    def _take(self, event: Event, record: Mapping[str, Any], text: str) -> None:
        if self._repeats.is_repeated(record):
            return
        starts = event is Event.START
        if self._entry.marker_seen(lambda: self._log.of_run("", text), starts=starts):
            self._delivery.ask_earlier()
        run_id = self._runs.assign(event, record)
        if self._debugging:
            quoted = quote(record["message"], self.mask)
            sink = f"HealthSink({self.name}, job={self._job!r})"
            report_debug(f"{sink} saw {quoted}: {event.value}, run {run_id}.")
        cause = ""
        if starts:
            self._log.begin(run_id, text)
            self._crash_watch.start(run_id)
            self._causes.run_started()
        elif event is Event.SUCCESS:
            self._crash_watch.success(run_id, origin(record)[1])
        elif event is Event.FAIL:
            cause = self._causes.of_marker(record, run_id)
        ends = not self._runs.pairing.is_open(run_id)
        self._put(event, run_id, ends=ends, headline=cause, record=text + "")  # a plain str
        if ends:
            self._log.end(run_id)
            self._causes.run_ended(run_id)

    def wait(self, timeout: float | None) -> bool:
        """Wait for the delivery."""
        seconds = math.inf if timeout is None else timeout
        waited = native.wait_with_greenlets(lambda: self._delivery.wait(0), seconds)
        return self._delivery.wait(timeout) if waited is None else waited

    def stop(self, *, exiting: bool) -> None:
        """Deliver what is queued; at the exit, first fail the runs that are open."""
        try:
            if exiting:
                native.holding(self._lock, self._fail_open_runs)
        finally:
            self._delivery.stop(self._drain, exiting=exiting)
            self._entry.finish()

    def after_fork(self) -> None:
        """Get new locks, as threads that are gone may hold them; leave the parent its pings."""
        self._lock = native.RLock()
        self._log.after_fork()
        self._entry.after_fork()
        self._delivery.after_fork()

    def render(self, log: Snapshot, **around: Any) -> Callable[[], Body]:
        """Return what makes a body later, on the thread that sends.

        Args:
            log: the log.
            around: what ``Renderer.render`` puts around it.
        """
        return functools.partial(self._renderer.render, log, **around) if self._send_logs else Body

    def put_late(
        self, event: Event, run_id: str, body: Callable[[], Body], exit_status: int | None = None
    ) -> bool:
        """Queue the end of an earlier run; whether its event is to be sent."""
        if event not in self._events:
            return False
        self._late.append(Ping(event, run_id, body if self._send_logs else Body, exit_status))
        return True

    def _earlier(self) -> list[Ping]:
        self._late = []
        self._entry.send_earlier(self)
        return self._late

    def _put(self, event: Event, run_id: str, *, ends: bool = True, **around: Any) -> None:
        """Queue a ping with the log as it is now.

        Args:
            event: the ping's.
            run_id: its run.
            ends: no run of that id is open any more.
            around: what ``Renderer.render`` puts around the log.
        """
        owed = event.ends_run and event in self._events
        self._entry.note(event, run_id, around["headline"], ends=ends, owed=owed)
        log = self._log.of_run(run_id, around.get("record", "")) if self._send_logs else EMPTY
        self._delivery.put(Ping(event, run_id, self.render(log, **around)))

    def _fail_open_runs(self) -> None:
        """Queue a failure for each run that failed because this process ends."""
        error = uncaught_exception()
        # Unlike loguru's, without the values of variables: nobody chose to send those.
        tracebacks = () if error is None else (traceback_text(error),)
        cause = "" if error is None else of_exception(error)
        for run_id in self._runs.pairing.take_open():
            headline = cause or self._causes.of_open_run(run_id)
            lines = (f"loghc: {NOT_ENDED}",) if headline else ()
            headline = headline or NOT_ENDED
            self._put(Event.FAIL, run_id, headline=headline, tracebacks=tracebacks, lines=lines)
        for run_id in self._crash_watch.take_back(error):
            self._put(
                Event.FAIL, run_id, headline=cause, tracebacks=tracebacks, lines=(_TAKEN_BACK,)
            )

    def _body_size(self) -> int:
        """Bytes of log that a ping carries at most, as far as that is known by now."""
        return min(self._limit, self._delivery.body_limit or self._limit)

    def _without_secrets(self, cause: str) -> str:
        """A cause as it may be written to a disk."""
        if not self._send_logs:
            return ""
        return self._renderer.render(EMPTY, headline=cause).headline.decode("utf-8", "replace")


def _entry_for(url: PingUrl, options: Mapping[str, Any], clean: Callable[[str], str]) -> SinkEntry:
    if options["state"] is None and not options["guard"]:
        return SinkEntry()
    # Imported here, so that a sink with neither doesn't pay for it.
    try:
        if options["guard"]:
            from loghc.guard.guarded import GuardedEntry

            return GuardedEntry(url, options, clean)
        from loghc.entry.keeper import Keeper

        return Keeper(url, options, clean)
    except ImportError:  # it needs a POSIX system
        report(
            "state= and guard= have no effect on this system: nothing reports this process's death."
        )
        return SinkEntry()
