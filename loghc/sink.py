"""The sink: what loguru hands its records to."""

from __future__ import annotations

import functools
import math
import os
import re
import sys
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec

from loghc import native, options
from loghc.callbacks import within_callback
from loghc.delivery import Delivery
from loghc.delivery.report import Report
from loghc.fork import InChild, in_child, prepare
from loghc.handover import HandOver, watcher_of
from loghc.lifecycle import (
    Completion,
    CrashWatch,
    at_child_exit,
    interpreter_is_exiting,
    uncaught_exception,
)
from loghc.log.body import Body
from loghc.log.headline import of_exception, of_message
from loghc.log.redaction import Redactor, redactor
from loghc.log.tail import Tail
from loghc.markers import Markers, job_markers
from loghc.ping import Event, Outcome, Ping, Stats
from loghc.report import debugging, report_debug, report_exception, traceback_text
from loghc.runs import RecordRuns, origin
from loghc.silence import at_exit
from loghc.silence.listener import ALL, Listener
from loghc.version import __version__

if TYPE_CHECKING:
    import urllib3

    from loghc.service.url import PingUrl

__all__ = ["HealthSink"]

_ERROR_LEVEL = 40
_NOT_ENDED = "the program ended and this run had not"
_TAKEN_BACK = "loghc: the program crashed, though this run was told as a success."
_REMEMBERED = 64  # markers, to tell one that comes through two handlers from two

_P = ParamSpec("_P")


def _refusing_discreetly(init: Callable[_P, None]) -> Callable[_P, None]:
    """Errors leave without the frames below: loguru's ``diagnose=True`` shows their variables."""

    @functools.wraps(init)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            init(*args, **kwargs)
        except (TypeError, ValueError) as error:
            raise error.with_traceback(None) from None

    return wrapper


class _SinkType(type):
    """Refuses the class where a sink is wanted: loguru would call its ``write`` with no sink."""

    @property
    def write(cls) -> Callable[[HealthSink, str], None]:
        """The method; a TypeError where it is ``logger.add`` that asks for it."""
        if sys._getframe(1).f_globals.get("__name__") == "loguru._logger":
            raise TypeError(
                f"logger.add: expected a sink, not the class; write logger.add({cls.__name__}(...))"
            )
        method: Callable[[HealthSink, str], None]
        method = next(vars(kind)["write"] for kind in cls.__mro__ if "write" in vars(kind))
        return method


class HealthSink(metaclass=_SinkType):
    """A loguru sink that pings a monitoring service when a job starts, succeeds or fails.

    It keeps the end of the log. When a record's message is a marker (``sync.start``,
    ``sync.done``, ``sync.error``, ``sync.log``), it queues a ping with that end; a thread of its
    own sends it. No log call waits for the network, and none raises.

    Args:
        url: the ping URL, http or https. None: ``HEALTH_CHECK_URL``, then the file that
            ``HEALTH_CHECK_URL_FILE`` names. Nothing set: a disabled sink, which sends nothing; the
            first marker that meets it is told once on standard error, unless
            ``HEALTH_CHECK_URL=off`` says that this is meant.
        job: the markers are ``<job>.start``, ``<job>.done``, ``<job>.error`` and ``<job>.log``.
            Default ``"sync"``.
        markers: replaces them: a mapping from message to Event.
        events: the events to send, such as ``(Event.SUCCESS, Event.FAIL)``, for a service that
            knows no others. The others still open and end runs. None: all.
        limit: bytes of log that a ping carries at most, default 100,000.
        timeout: seconds for one HTTP attempt, connect and read together, default 10.
        drain: seconds that ``stop()`` and interpreter exit wait at most for what is queued,
            default 10.
        send_logs: False: pings with an empty body. Default True.
        mask_secrets: False: the ready-made rules for secrets, ``loghc.SECRETS``, don't hold.
            Default True.
        redact: more rules: regular expressions (str or compiled), whose matches become
            ``[redacted]``, and callables from str to str. Applied to the body,
            on the delivery thread. A pattern that backtracks for ever stops the whole interpreter,
            whatever thread runs it. Of a record longer than ``limit``, only 8,192 characters before
            the cut are looked at.
        headers: more request headers, from name to value.
        http: a urllib3 PoolManager of the caller's own (private CA, client certificates). It is
            used as it is: proxies from the environment don't count then.
        on_outcome: called with each Outcome, on a thread of its own, for which nothing waits but
            ``wait()`` and, for half a second, the interpreter's exit. What it raises is reported.
            What it logs is kept, but triggers no ping.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: an argument, or the environment's URL, can't be used. The message never shows
            a secret.

    Example:
        >>> from loguru import logger
        >>> handler = logger.add(HealthSink("https://hc-ping.com/<uuid>"))  # doctest: +SKIP
        >>> logger.info("sync.start")  # doctest: +SKIP
    """

    @_refusing_discreetly
    def __init__(
        self,
        url: str | None = None,
        *,
        job: str = "sync",
        markers: Mapping[str, Event] | None = None,
        events: Iterable[Event | str] | None = None,
        limit: int = 100_000,
        timeout: float = 10.0,
        drain: float = 10.0,
        send_logs: bool = True,
        mask_secrets: bool = True,
        redact: str | re.Pattern[str] | Redactor | Iterable[str | re.Pattern[str] | Redactor] = (),
        headers: Mapping[str, str] | None = None,
        http: urllib3.PoolManager | None = None,
        on_outcome: Callable[[Outcome], object] | None = None,
    ) -> None:
        if isinstance(redact, Iterable) and not isinstance(redact, (str, Mapping)):
            redact = tuple(redact)  # an iterator is read but once
        self._options: dict[str, Any] = {
            "url": url,
            "job": job,
            "markers": None if markers is None else dict(options.mapping("markers", markers)),
            "events": options.chosen_events("events", events),
            "limit": options.size("limit", limit),
            "timeout": options.seconds("timeout", timeout),
            "drain": options.seconds("drain", drain),
            "send_logs": options.flag("send_logs", send_logs),
            "mask_secrets": options.flag("mask_secrets", mask_secrets),
            "redact": redact,
            "headers": options.request_headers(headers),
            "http": options.pool_manager(http),
            "on_outcome": options.function("on_outcome", on_outcome),
        }
        self._drain = float(drain)
        own = job_markers(job)
        self._markers = Markers(own if markers is None else markers)
        self._texts = tuple(own if markers is None else markers)
        self._last_error: tuple[str, tuple[int, int]] | None = None
        self._mask: Callable[[str], str] = str
        self._delivery: Delivery | HandOver
        self._url = self._connect(redactor(redact))
        self.enabled = self._url is not None or self._watcher is not None
        """Whether there is a URL to ping, or a ``loghc run`` that does."""
        self._runs = RecordRuns()
        self._crash_watch = CrashWatch()
        self._seen: deque[object] = deque(maxlen=_REMEMBERED)
        self._lock = native.RLock()  # a signal handler may log where a marker is dealt with
        self._child_watched = 0  # the process in which the end of a child is watched
        self._tail = Tail(limit if self.enabled else 1)
        if self.enabled:
            self._tail.body_size = self._body_size
        self._listener = self._listen()
        glancing = self._listener.glancing
        self._first, self._after = ALL if glancing else self._listener.bounds
        self.complete = Completion(lambda: self.wait(0), self._drain)
        """Called by ``logger.complete()``; awaited, it waits until all pings have an outcome, at
        most ``drain`` seconds, without blocking the event loop."""
        _sinks.add(self)

    def _connect(self, redact: Redactor | None) -> PingUrl | None:
        """Make what takes pings to the service; None when there is no URL for them."""
        # Imported here: an app whose sink is disabled must not pay for it.
        from loghc.service.environment import ping_url

        given = self._options
        url = ping_url(given["url"])
        self._watcher = watcher_of(url, given)
        if self._watcher is not None:
            self._delivery = self._watcher
            return url
        if url is None:
            return None
        from loghc.log.masking import Masker
        from loghc.log.rendering import Renderer
        from loghc.service.client import PingClient

        pools = (getattr(given["http"], name, None) for name in ("headers", "proxy_headers"))
        masker = Masker(url, given["headers"], *pools)
        self._mask = masker.text
        self._renderer = Renderer(
            given["limit"], masker, redact, mask_secrets=given["mask_secrets"]
        )
        report = Report(url.masked, masker.text)
        if url.exposed:
            report.exposed()
        client = PingClient(
            url, masker.text, given["timeout"], given["headers"], given["http"], __version__
        )
        self._delivery = Delivery(client, report, given["on_outcome"], events=given["events"])
        return url

    def _listen(self) -> Listener:
        """What notices that this sink pings nothing."""
        from loghc.service.environment import turned_off

        at_exit.register()
        url, own = self._url, self._options["markers"]
        return Listener(
            repr(self),
            job=self._options["job"],
            own=own,
            markers=self._markers,
            mask=self._mask,
            target=None if url is None else hash((url.target("", ""), url.credentials)),
            off=url is None and turned_off(),
        )

    def write(self, message: str) -> None:
        """Take one formatted record from loguru. Returns at once, and never raises."""
        self._tail.append(message)
        try:
            record = message.record  # type: ignore[attr-defined]  # loguru's own kind of str
            if not self._first <= record["message"] < self._after:
                if record["level"].no >= _ERROR_LEVEL:
                    self._last_error = (record["message"], origin(record))
                return
        except (AttributeError, KeyError, TypeError):  # not from loguru, or patched into no text
            return
        self._notice(record, message)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until every ping that was queued is delivered or given up.

        Args:
            timeout: seconds at most; None, the default: as long as it takes, which may be for ever
                while the service can't be reached.

        Returns:
            Whether none is pending.
        """
        if not self.enabled:
            return True
        seconds = math.inf if timeout is None else timeout
        waited = native.wait_with_greenlets(lambda: self._delivery.wait(0), seconds)
        return self._delivery.wait(timeout) if waited is None else waited

    @property
    def stats(self) -> Stats:
        """How many pings were delivered, failed, and are pending."""
        return self._delivery.stats if self.enabled else Stats(0, 0, 0)

    def stop(self) -> None:
        """Deliver what is queued, within ``drain`` seconds. loguru calls it on ``remove()``.

        What can't be delivered by then is reported and dropped. The sink works again when it is
        added again. At interpreter exit, each run that has not ended is reported as failed.
        """
        exiting = interpreter_is_exiting()
        if self.enabled:
            self._stop(exiting=exiting)
        if self._listener.stop(exiting=exiting):
            at_exit.tell()

    def _notice(self, record: Mapping[str, Any], text: str) -> None:
        """Take a marker, or look at one of the first messages: it may be a near miss of one."""
        listener, message = self._listener, record["message"]
        if listener.glancing:
            listener.glance(message)
        first, after = listener.bounds
        if not listener.glancing:
            self._first, self._after = first, after
        if first <= message < after:
            self._mark(record, text)
        else:
            self._note_error(record)

    def _note_error(self, record: Mapping[str, Any]) -> None:
        """Remember the last record of level ERROR or above: it may be the cause of a failure."""
        if getattr(record["level"], "no", 0) >= _ERROR_LEVEL:
            self._last_error = (record["message"], origin(record))

    def _mark(self, record: Mapping[str, Any], text: str) -> None:
        try:
            message = record["message"]
            event = self._markers.match(message)
            if event is None:
                self._note_error(record)
                self._listener.look(message)
                return
            self._listener.hear()
            if self._watcher is not None:
                self._watcher.tell(event, record)
                return
            if self._url is None:
                self._listener.meets_no_url(message)
                return
            if within_callback():
                quoted = self._listener.quoted(message)
                report_debug(f"{self!r}: no ping for {quoted}, as redact or on_outcome logged it.")
                return
            self._watch_child()
            with self._lock:  # markers are queued in the order in which they come
                # A sink that was added twice gets the very same record twice. Of the record a part
                # is kept that is its own, and that no patcher has a use for: the record itself
                # would keep its exception's frames.
                part = record["elapsed"]
                if part in self._seen and any(part is seen for seen in tuple(self._seen)):
                    return
                self._seen.append(part)
                self._listener.take(event, record, self._url.masked)
                run_id = self._runs.assign(event, record)
                if debugging():
                    quoted = self._listener.quoted(message)
                    report_debug(f"{self!r} saw {quoted}: {event.value}, run {run_id}.")
                cause = ""
                if event is Event.START:
                    self._crash_watch.start(run_id)
                    if len(self._runs.pairing.open) == 1:  # what others log may be another run's
                        self._last_error = None
                elif event is Event.SUCCESS:
                    self._crash_watch.success(run_id, origin(record)[1])
                elif event is Event.FAIL:
                    cause = self._cause_of(record)
                self._put(event, run_id, headline=cause, record=text + "")
        except Exception:  # noqa: BLE001 - a bug of ours must not become the app's
            report_exception(
                "a marker could not be turned into a ping, please report this:", self._mask
            )

    def _cause_of(self, record: Mapping[str, Any]) -> str:
        """The headline of a failure that a marker tells."""
        error = getattr(record["exception"], "value", None)
        message = record["message"]
        cause = of_exception(error) if error is not None else of_message(message, self._texts)
        last = self._last_error
        # In another thread it may be that of another run.
        known = last is not None and (last[1] == origin(record) or not self._runs.pairing.open)
        if last is not None and known and not cause:
            return last[0]
        return cause or f"{message} was logged, with no cause"

    def _body_size(self) -> int:
        """Bytes of log that a ping carries at most, as far as that is known by now."""
        limit: int = self._options["limit"]
        return min(limit, self._delivery.body_limit or limit)

    def _put(self, event: Event, run_id: str, **around: Any) -> None:
        """Queue a ping with the log as it is now, and what ``Renderer.render`` puts around it."""
        body: Callable[[], Body] = Body
        if self._options["send_logs"]:
            body = functools.partial(self._renderer.render, self._tail.snapshot(), **around)
        self._delivery.put(Ping(event, run_id, body))  # type: ignore[union-attr]  # never a HandOver

    def _fail_open_runs(self) -> None:
        """Queue a failure for each run that the end of this process makes one."""
        error = uncaught_exception()
        # No values of variables, unlike loguru's: nobody chose to send those.
        tracebacks = () if error is None else (traceback_text(error),)
        cause = "" if error is None else of_exception(error)
        with self._lock:
            last = self._last_error
            for run_id in self._runs.pairing.take_open():
                headline = cause or (last[0] if last is not None else "")
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

    def _stop(self, *, exiting: bool) -> None:
        try:
            if exiting:
                self._fail_open_runs()
        finally:
            self._delivery.stop(self._drain, exiting=exiting)

    def _watch_child(self) -> None:
        pid = os.getpid()
        if self._child_watched != pid:
            self._child_watched = pid
            at_child_exit(functools.partial(self._stop, exiting=True))

    def _after_fork(self) -> None:
        self._lock = native.RLock()
        self._tail.after_fork()
        if self.enabled:
            self._delivery.after_fork()

    def __reduce__(self) -> tuple[Callable[..., HealthSink], tuple[dict[str, Any]]]:
        """Pickle the configuration alone: what a spawned process needs to ping for itself."""
        if self._options["http"] is not None:
            raise TypeError("a HealthSink with http= can't be pickled: a PoolManager holds sockets")
        return _rebuilt, (self._options,)

    def __repr__(self) -> str:
        where = "disabled" if self._url is None else repr(self._url.masked)
        if self._watcher is not None:
            where = "watched by loghc run"
        return f"HealthSink({where}, job={self._options['job']!r})"


_sinks: weakref.WeakSet[HealthSink] = weakref.WeakSet()


def _renew_sinks() -> None:
    for sink in list(_sinks):
        sink._after_fork()


prepare()
in_child(InChild.SINKS, _renew_sinks)


def _rebuilt(options: dict[str, Any]) -> HealthSink:
    return HealthSink(**options)
