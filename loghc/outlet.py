"""Where a sink's markers go: nowhere, to the service, or to the watcher of its program."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from loghc import native
from loghc.delivery import Delivery
from loghc.delivery.troubles import Troubles
from loghc.exit import CrashWatch, uncaught_exception
from loghc.hints.listener import quote
from loghc.log.body import Body
from loghc.log.headline import of_exception, of_message
from loghc.log.tail import EMPTY, Snapshot, Tail
from loghc.ping import Event, Ping, Stats
from loghc.privacy import privacy_fields
from loghc.report import debugging, report, report_debug, traceback_text
from loghc.runs import RecordRuns, origin
from loghc.scope import RunTails, WholeTail
from loghc.version import __version__

if TYPE_CHECKING:
    from loghc.entry.keeper import Keeper
    from loghc.log.redaction import Redactor
    from loghc.markers import Markers
    from loghc.service.url import PingUrl

__all__ = ["Off", "Outlet", "Service"]

_NOT_ENDED = "the program ended and this run had not"
_TAKEN_BACK = "loghc: the program crashed, though this run was told as a success."
_REMEMBERED = 64  # markers, to tell one that comes through two handlers from two
_OWN_PARTS = ("elapsed", "time", "level", "process", "thread")  # of each record, made by loguru


class Keeps(Protocol):
    """What keeps a log."""

    def append(self, text: str) -> None:
        """Add one record."""


class Outlet:
    """What a HealthSink gives its markers to. Nothing in here raises, or waits for the network.

    Attributes:
        name: in place of the ping URL where the sink is shown.
        enabled: somebody is told of the markers.
        off_on_purpose: nobody is, and that is meant.
        target: tells whether two ping the same URL; None without one.
        tail: keeps the log.
    """

    name = ""
    enabled = True
    off_on_purpose = False
    target: object = None
    tail: Keeps

    @property
    def stats(self) -> Stats:
        """How many pings were delivered, failed, and are pending."""
        return Stats(0, 0, 0)

    def mask(self, text: str) -> str:
        """A text without the ping URL's secret."""
        return text

    def take(self, event: Event, record: Mapping[str, Any], text: str) -> None:
        """A marker was logged, as this record; formatted, it is this text."""
        raise NotImplementedError

    def error_seen(self, record: Mapping[str, Any]) -> None:
        """A record of level ERROR or above was logged: it may be the cause of a failure."""

    def wait(self, timeout: float | None) -> bool:  # noqa: ARG002
        """Whether within that many seconds (None: any number) every ping has an outcome."""
        return True

    def stop(self, *, exiting: bool) -> None:
        """Deliver what is queued; at the exit, fail the runs that are open."""

    def after_fork(self) -> None:
        """Be usable in a forked child."""


class Off(Outlet):
    """For a sink without a ping URL, or one that ``HEALTH_CHECK_URL=off`` turns off.

    Args:
        on_purpose: otherwise the first marker is reported.
    """

    name = "disabled"
    enabled = False

    def __init__(self, *, on_purpose: bool) -> None:
        self.tail = Tail(1)
        self.off_on_purpose = on_purpose

    def take(self, event: Event, record: Mapping[str, Any], text: str) -> None:  # noqa: ARG002
        """Report, once, that nothing is sent."""
        from loghc.hints.no_url import report_no_url, report_off

        if self.off_on_purpose:
            report_off()
        else:
            report_no_url(record["message"])


class Service(Outlet):
    """For a sink that sends its own pings.

    Args:
        url: the ping URL.
        options: the sink's.
        markers: what makes a message a marker.
        texts: those of its markers.
        redact: its rules, or None.
    """

    def __init__(
        self,
        url: PingUrl,
        options: Mapping[str, Any],
        markers: Markers,
        texts: tuple[str, ...],
        redact: Redactor | None,
    ) -> None:
        # Imported here: an app whose sink is disabled must not pay for it.
        from loghc.log.masking import Masker
        from loghc.log.rendering import Renderer
        from loghc.service.client import PingClient

        self.name = repr(url.masked)
        self.target = hash((url.target("", ""), url.credentials))
        self._job = options["job"]
        self._texts = texts
        # The last by run, under None of those of which no run is known: number, text, origin.
        self._errors: dict[str | None, tuple[int, str, tuple[int, int]]] = {}
        self._error_numbers = itertools.count(1)
        self._send_logs = options["send_logs"]
        self._limit: int = options["limit"]
        self._drain: float = options["drain"]
        http, headers = options["http"], options["headers"]
        pools = (getattr(http, name, None) for name in ("headers", "proxy_headers"))
        masker = Masker(url, headers, *pools)
        self._masker = masker
        self._renderer = Renderer(self._limit, masker, redact, mask_secrets=options["mask_secrets"])
        troubles = Troubles(url.masked, masker.text)
        if url.exposed:
            troubles.exposed()
        self._keeper = _keeper(url, options, self._cleaned)
        troubles.is_left = self._keeper is not None
        client = PingClient(url, masker.text, options["timeout"], headers, http, __version__)
        self._delivery = Delivery(
            client,
            troubles,
            options["on_outcome"],
            events=options["events"],
            drain=options["drain"],
            on_settled=None if self._keeper is None else self._keeper.settled,
        )
        self._events = options["events"]
        self._runs = RecordRuns()
        self._log: RunTails | WholeTail
        if options["scope"] == "run":
            self._log = RunTails(self._limit, self._body_size, self._runs, markers)
        else:
            self._log = WholeTail(self._limit)
            self._log.body_size = self._body_size
        self.tail = self._log
        if self._keeper is not None:
            self.tail = self._keeper.beside(self._log.append)
        self._crash_watch = CrashWatch()
        self._seen: dict[tuple[int, ...], tuple[object, ...]] = {}  # the newest last
        self._lock = native.RLock()  # a signal handler may log where a marker is dealt with

    @property
    def stats(self) -> Stats:
        """The delivery's."""
        return self._delivery.stats

    def mask(self, text: str) -> str:
        """A text without the URL's secret, nor those of headers."""
        return self._masker.text(text)

    def error_seen(self, record: Mapping[str, Any]) -> None:
        """Remember the last one of its run."""
        error = next(self._error_numbers), record["message"], origin(record)
        for run_id in self._runs.open_at(record) or (None,):
            self._errors[run_id] = error

    def take(self, event: Event, record: Mapping[str, Any], text: str) -> None:
        """Queue a ping with the log as it is now."""
        # Markers are queued in the order in which they come.
        native.holding(self._lock, lambda: self._take(event, record, text))

    def _take(self, event: Event, record: Mapping[str, Any], text: str) -> None:
        if self._is_repeated(record):
            return
        if self._keeper is not None:
            log = self._log.of_run("", text)
            self._keeper.begin(self, log, starts=event is Event.START)
        run_id = self._runs.assign(event, record)
        if debugging():
            quoted = quote(record["message"], self.mask)
            sink = f"HealthSink({self.name}, job={self._job!r})"
            report_debug(f"{sink} saw {quoted}: {event.value}, run {run_id}.")
        cause = ""
        if event is Event.START:
            self._log.begin(run_id, text)
            self._crash_watch.start(run_id)
            if len(self._runs.pairing.open) == 1:  # what others log may be another run's
                self._errors.pop(None, None)
        elif event is Event.SUCCESS:
            self._crash_watch.success(run_id, origin(record)[1])
        elif event is Event.FAIL:
            cause = self._cause_of(record, run_id)
        self._put(event, run_id, headline=cause, record=text + "")
        if not self._runs.pairing.is_open(run_id):
            self._log.end(run_id)
            self._errors.pop(run_id, None)

    def wait(self, timeout: float | None) -> bool:
        """Wait for the delivery."""
        seconds = math.inf if timeout is None else timeout
        waited = native.wait_with_greenlets(lambda: self._delivery.wait(0), seconds)
        return self._delivery.wait(timeout) if waited is None else waited

    def stop(self, *, exiting: bool) -> None:
        """Fail the runs that the end of this process ends, and deliver what is queued."""
        try:
            if exiting:
                self._fail_open_runs()
        finally:
            self._delivery.stop(self._drain, exiting=exiting)
            if self._keeper is not None:
                self._keeper.finish()

    def after_fork(self) -> None:
        """The parent's locks may be held by threads that are gone, its pings are its own."""
        self._lock = native.RLock()
        self._log.after_fork()
        if self._keeper is not None:
            self._keeper.after_fork()
        self._delivery.after_fork()

    def _is_repeated(self, record: Mapping[str, Any]) -> bool:
        """Whether it is the very record that came last, as to a sink that was added twice."""
        # Not the record itself is kept, which holds its exception's frames, but parts that loguru
        # makes anew for each. A patcher of the app's may replace some, but hardly all of them.
        parts = tuple(record.get(name) for name in _OWN_PARTS)
        identity = tuple(map(id, parts))
        if identity in self._seen:
            return True
        self._seen[identity] = parts  # held, so that no other has this identity
        if len(self._seen) > _REMEMBERED:
            self._seen.pop(next(iter(self._seen)), None)
        return False

    def _body_size(self) -> int:
        """Bytes of log that a ping carries at most, as far as that is known by now."""
        return min(self._limit, self._delivery.body_limit or self._limit)

    def _put(self, event: Event, run_id: str, **around: Any) -> None:
        """Queue a ping with the log as it is now, and what ``Renderer.render`` puts around it."""
        if self._keeper is not None:
            ends = event.ends_run or (event is Event.LOG and not self._runs.pairing.is_open(run_id))
            owed = event.ends_run and event in self._events
            self._keeper.note(event, run_id, around.get("headline", ""), ends=ends, owed=owed)
        log = self._log.of_run(run_id, around.get("record", "")) if self._send_logs else EMPTY
        self._delivery.put(Ping(event, run_id, self.render(log, **around)))

    def render(self, log: Snapshot, **around: Any) -> Callable[[], Body]:
        """A body that is not queued yet.

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
        self._delivery.put(Ping(event, run_id, body if self._send_logs else Body, exit_status))
        return True

    def _cleaned(self, cause: str) -> str:
        """A cause without secrets, as it may be kept."""
        if not self._send_logs:
            return ""
        return self._renderer.render(EMPTY, headline=cause).headline.decode("utf-8", "replace")

    def _cause_of(self, record: Mapping[str, Any], run_id: str) -> str:
        """The headline of a failure that a marker tells."""
        error = getattr(record["exception"], "value", None)
        message = record["message"]
        cause = of_exception(error) if error is not None else of_message(message, self._texts)
        if not cause:
            cause = self._last_error(run_id, origin(record))
        return cause or f"{message} was logged, with no cause"

    def _last_error(self, run_id: str, thread: tuple[int, int] | None = None) -> str:
        """The text of the last error of a run; empty without one.

        Args:
            run_id: the run.
            thread: where its marker comes from. What another thread logged, of which no run is
                known, may be another run's while one is open.
        """
        own, loose = self._errors.get(run_id), self._errors.get(None)
        if loose is not None and thread not in (None, loose[2]) and self._runs.pairing.open:
            loose = None
        return max((error for error in (own, loose) if error is not None), default=(0, ""))[1]

    def _fail_open_runs(self) -> None:
        """Queue a failure for each run that the end of this process makes one."""
        error = uncaught_exception()
        # No values of variables, unlike loguru's: nobody chose to send those.
        tracebacks = () if error is None else (traceback_text(error),)
        cause = "" if error is None else of_exception(error)

        def fail() -> None:
            for run_id in self._runs.pairing.take_open():
                headline = cause or self._last_error(run_id)
                self._put(
                    Event.FAIL,
                    run_id,
                    headline=headline or _NOT_ENDED,
                    tracebacks=tracebacks,
                    lines=(f"loghc: {_NOT_ENDED}",) if headline else (),
                )
            for run_id in self._crash_watch.take_back(error):
                self._put(
                    Event.FAIL, run_id, headline=cause, tracebacks=tracebacks, lines=(_TAKEN_BACK,)
                )

        native.holding(self._lock, fail)


def _keeper(url: PingUrl, options: Mapping[str, Any], clean: Callable[[str], str]) -> Keeper | None:
    """What keeps a sink's entry in its state directory, if it has one."""
    state = options["state"]
    if state is None:
        return None
    # Imported here: who has no state directory must not pay for it.
    try:
        from loghc.entry.keeper import Keeper
        from loghc.portable.fields import format_fields
    except ImportError:  # it needs a POSIX system
        report(f"state={state!r} has no effect on this system: nothing is kept for the next start.")
        return None
    fields = format_fields(privacy_fields(options))
    return Keeper(state, url, options["limit"], fields, clean)
