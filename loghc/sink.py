"""The sink: receives loguru's records, and turns markers into pings."""

from __future__ import annotations

import functools
import os
import re
import sys
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec

from loghc import options
from loghc.callbacks import within_callback
from loghc.completion import Completion
from loghc.direct import Direct
from loghc.exit import interpreter_is_exiting, sink_made, stop_at_exit, stopped
from loghc.fork import InChild, in_child, prepare
from loghc.handover import watcher_of
from loghc.hints import no_marker  # noqa: F401 - it says at the exit that no marker came
from loghc.hints.listener import Listener, quote
from loghc.log.redaction import Redactor, redactor
from loghc.markers import Markers, job_markers
from loghc.outlet import Off, Outlet
from loghc.ping import Event, Outcome, Stats
from loghc.report import report_debug, report_exception

if TYPE_CHECKING:
    import urllib3

__all__ = ["HealthSink"]

_ERROR_LEVEL = 40  # loguru's number for ERROR

_P = ParamSpec("_P")


def _hide_frames(init: Callable[_P, None]) -> Callable[_P, None]:
    """Raise errors without inner frames, whose variables loguru's ``diagnose=True`` would show."""

    @functools.wraps(init)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            init(*args, **kwargs)
        except (TypeError, ValueError) as error:
            raise error.with_traceback(None) from None

    return wrapper


class _SinkType(type):
    """Rejects the class where an instance is expected: loguru would call its unbound ``write``."""

    @property
    def write(cls) -> Callable[[HealthSink, str], None]:
        """The method. Raises a TypeError if ``logger.add`` looks it up."""
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
    ``sync.done``, ``sync.error``, ``sync.log``), it queues a ping with that text; a thread of its
    own sends it. No log call waits for the network, and none raises.

    Args:
        url: the ping URL, http or https. None: ``HEALTH_CHECK_URL``, then the file that
            ``HEALTH_CHECK_URL_FILE`` names. If nothing is set the sink is disabled and sends
            nothing; its first marker is reported once on standard error, unless
            ``HEALTH_CHECK_URL=off`` says that this is intended.
        job: the markers are ``<job>.start``, ``<job>.done``, ``<job>.error`` and ``<job>.log``.
            Default ``"sync"``.
        markers: replaces them: a mapping from message to Event.
        events: the events to send, such as ``(Event.SUCCESS, Event.FAIL)``, for a service that
            knows no others. The others still open and end runs. None: all.
        scope: ``"all"``, the default: pings carry the end of everything that this sink was given.
            ``"run"``: only the run's own records, from its start on, without those known to belong
            to other runs.
        limit: bytes of log that a ping carries at most, default 100,000.
        timeout: seconds for one HTTP attempt, connect and read together, default 10. After one
            that timed out the next gets twice as long, up to four times.
        drain: seconds that ``stop()`` waits at most for what is queued, default 10. At the
            interpreter's exit all sinks together have the longest of their times.
        send_logs: False: pings with an empty body. Default True.
        mask_secrets: False: the built-in rules for secrets, ``loghc.SECRETS``, are off.
            Default True.
        redact: more rules: regular expressions (str or compiled), whose matches become
            ``[redacted]``, and callables from str to str. They are applied to the body, on the
            delivery thread. A pattern that backtracks forever stops the whole interpreter,
            whichever thread runs it. Of a record longer than ``limit``, only the 8,192 characters
            before the cut are considered.
        headers: more request headers, from name to value.
        http: your own urllib3 PoolManager (private CA, client certificates). It is used as it is,
            without proxies from the environment.
        guard: True: from the first start on, a small process of its own, which shares nothing with
            this one, waits for this one's end, and sends at once what this one can't: after
            SIGKILL, lack of memory, a native crash, ``os._exit`` or an unhandled SIGTERM. It takes
            25 MB, and ends with the sinks of this process, or ``drain`` seconds after it. Linux 5.3
            and newer, not in a container: there use ``state``, or ``loghc run``. With ``http``
            there is none. Default False.
        state: a directory that outlives a crash of the machine or container. The end of this
            sink's log, its open runs and its undelivered ends are kept there too, in a subdirectory
            that only this user can enter. The next start of the same check with this directory
            sends what could not be sent. None, the default: nothing is kept.
        on_outcome: called with each Outcome, on a thread of its own. Only ``wait()`` and, for half
            a second, the interpreter's exit wait for it. An exception in it is reported. What it
            logs is kept, but triggers no ping.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: an argument, or the environment's URL, can't be used. The message never shows
            a secret.

    Example:
        >>> from loguru import logger
        >>> handler = logger.add(HealthSink("https://hc-ping.com/<uuid>"))  # doctest: +SKIP
        >>> logger.info("sync.start")  # doctest: +SKIP
    """

    @_hide_frames
    def __init__(
        self,
        url: str | None = None,
        *,
        job: str = "sync",
        markers: Mapping[str, Event] | None = None,
        events: Iterable[Event | str] | None = None,
        scope: str = "all",
        limit: int = 100_000,
        timeout: float = 10.0,
        drain: float = 10.0,
        send_logs: bool = True,
        mask_secrets: bool = True,
        redact: str | re.Pattern[str] | Redactor | Iterable[str | re.Pattern[str] | Redactor] = (),
        headers: Mapping[str, str] | None = None,
        http: urllib3.PoolManager | None = None,
        guard: bool = False,
        state: str | os.PathLike[str] | None = None,
        on_outcome: Callable[[Outcome], object] | None = None,
    ) -> None:
        if isinstance(redact, Iterable) and not isinstance(redact, (str, Mapping)):
            redact = tuple(redact)  # an iterator can be read only once
        self._options: dict[str, Any] = {
            "url": url,
            "job": job,
            "markers": None if markers is None else dict(options.mapping("markers", markers)),
            "events": options.chosen_events("events", events),
            "scope": options.one_of("scope", scope, ("all", "run")),
            "limit": options.size("limit", limit),
            "timeout": options.seconds("timeout", timeout),
            "drain": options.seconds("drain", drain),
            "send_logs": options.flag("send_logs", send_logs),
            "mask_secrets": options.flag("mask_secrets", mask_secrets),
            "redact": redact,
            "headers": options.request_headers(headers),
            "http": options.pool_manager(http),
            "guard": options.flag("guard", guard),
            "state": options.directory("state", state),
            "on_outcome": options.function("on_outcome", on_outcome),
        }
        of_job = job_markers(job)
        self._markers = Markers(of_job if markers is None else self._options["markers"])
        self._outlet = _outlet_for(self._options, self._markers, redactor(redact))
        self.enabled = self._outlet.enabled
        """Whether there is a URL to ping, or a ``loghc run`` that pings."""
        self._tail = self._outlet.tail
        self._listener = Listener(
            repr(self),
            job=job if markers is None else None,
            markers=self._markers,
            mask=self._outlet.mask,
            target=self._outlet.target,
            off=self._outlet.off_on_purpose,
        )
        self.complete = Completion(lambda: self.wait(0), self._options["drain"])
        """Called by ``logger.complete()``. Awaited, it waits until all pings have an outcome, for
        at most ``drain`` seconds, without blocking the event loop."""
        _sinks.add(self)
        if self.enabled:
            sink_made(self)

    def write(self, message: str) -> None:
        """Take one formatted record from loguru. Returns at once, and never raises."""
        self._tail.append(message)
        try:
            record = message.record  # type: ignore[attr-defined]  # loguru's own kind of str
            first, after = self._listener.bounds
            if not first <= record["message"] < after:
                if record["level"].no >= _ERROR_LEVEL:
                    self._outlet.error_seen(record)
                return
        except (AttributeError, KeyError, TypeError):  # not from loguru, or patched into a non-str
            return
        self._notice(record, message)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until every ping that was queued is delivered or given up.

        Args:
            timeout: seconds at most. None, the default: as long as it takes, which may be forever
                while the service can't be reached.

        Returns:
            Whether no ping is pending.
        """
        return self._outlet.wait(timeout)

    @property
    def stats(self) -> Stats:
        """How many pings were delivered, failed or superseded, and how many are pending."""
        return self._outlet.stats

    def stop(self) -> None:
        """Deliver what is queued, within ``drain`` seconds. loguru calls it on ``remove()``.

        What can't be delivered by then is reported and dropped. The sink can be added again. At the
        interpreter's exit, each run that has not ended is reported as failed.
        """
        self._stop(exiting=interpreter_is_exiting())

    def _stop(self, *, exiting: bool) -> None:
        stopped(self)
        self._listener.stop(exiting=exiting)
        self._outlet.stop(exiting=exiting)

    def _notice(self, record: Mapping[str, Any], text: str) -> None:
        """Handle a marker, or examine a message that may be a near miss of one."""
        try:
            message = record["message"]
            event = self._markers.match(message)
            if event is None:
                if record["level"].no >= _ERROR_LEVEL:
                    self._outlet.error_seen(record)
                self._listener.record_seen(message)
            elif within_callback():
                quoted = quote(message, self._outlet.mask)
                report_debug(
                    f"{self!r}: no ping for {quoted}, because redact or on_outcome logged it."
                )
            else:
                self._listener.marker_seen(event)
                stop_at_exit(self)
                self._outlet.take(event, record, text)
        except Exception:  # noqa: BLE001 - a bug of ours must not become the app's
            report_exception(
                "a marker could not be turned into a ping, please report this:", self._outlet.mask
            )

    def __reduce__(self) -> tuple[Callable[..., HealthSink], tuple[dict[str, Any]]]:
        """Pickle only the configuration: a spawned process needs no more to send its own pings."""
        if self._options["http"] is not None:
            raise TypeError("a HealthSink with http= can't be pickled: a PoolManager holds sockets")
        return _rebuilt, (self._options,)

    def __repr__(self) -> str:
        return f"HealthSink({self._outlet.name}, job={self._options['job']!r})"


_sinks: weakref.WeakSet[HealthSink] = weakref.WeakSet()


def _renew_sinks() -> None:
    for sink in list(_sinks):
        sink._outlet.after_fork()


prepare()
in_child(InChild.SINKS, _renew_sinks)


def _rebuilt(options: dict[str, Any]) -> HealthSink:
    return HealthSink(**options)


def _outlet_for(options: Mapping[str, Any], markers: Markers, redact: Redactor | None) -> Outlet:
    """Where the markers of a sink with these options go, in this environment."""
    # Imported here, so that `import loghc` doesn't pay for it.
    from loghc.service.environment import ping_url, turned_off

    url = ping_url(options["url"])
    if turned_off():
        return Off(on_purpose=True)
    watcher = watcher_of(url, options)
    if watcher is not None:
        return watcher
    if url is None:
        return Off(on_purpose=False)
    return Direct(url, options, markers, redact)
