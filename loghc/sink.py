"""The sink: what loguru hands its records to."""

from __future__ import annotations

import functools
import math
import os
import re
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec

from loghc.completion import Completion
from loghc.crash import at_child_exit, closing_text, interpreter_is_exiting, uncaught_exception
from loghc.delivery.courier import THREAD_NAME, Delivery, Stats
from loghc.delivery.report import Report
from loghc.log.redaction import Redactor, redactor
from loghc.log.tail import BATCH, LONG, Snapshot, Tail
from loghc.markers import Markers, job_markers
from loghc.ping import Event, Outcome, Ping
from loghc.runs import Runs
from loghc.version import __version__

if TYPE_CHECKING:
    import urllib3

    from loghc.service.url import PingUrl

__all__ = ["HealthSink"]

_LONGEST = threading.TIMEOUT_MAX  # seconds: more than a thread can wait
_HEADER_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_HEADER_VALUE = r"[\t\x20-\x7e\xa0-\xff]*"
_OWN_HEADERS = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "expect",
        "host",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)

# Markers that are remembered, to tell one record that comes through two handlers from two records.
_REMEMBERED = 64


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


class HealthSink:
    """A loguru sink that pings a monitoring service when a job starts, succeeds or fails.

    It keeps the end of the log. When a record's message is a marker (``sync.start``,
    ``sync.done``, ``sync.error``, ``sync.log``), it queues a ping with that end; a thread of its
    own sends it. No log call waits for the network, and none raises.

    Args:
        url: the ping URL, http or https. None: ``HEALTH_CHECK_URL``, then the file that
            ``HEALTH_CHECK_URL_FILE`` names. Nothing set: a disabled sink, which sends nothing.
        job: the markers are ``<job>.start``, ``<job>.done``, ``<job>.error`` and ``<job>.log``.
            Default ``"sync"``.
        markers: replaces them: a mapping from message to Event.
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
        on_outcome: called with each Outcome, on the delivery thread. What it raises is reported.
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
        sent_headers = _checked_headers(headers)
        self._options: dict[str, Any] = {
            "url": url,
            "job": job,
            "markers": None if markers is None else dict(_mapping("markers", markers)),
            "limit": _whole_number("limit", limit),
            "timeout": _seconds("timeout", timeout),
            "drain": _seconds("drain", drain),
            "send_logs": _flag("send_logs", send_logs),
            "mask_secrets": _flag("mask_secrets", mask_secrets),
            "redact": redact,
            "headers": sent_headers,
            "http": _pool_manager(http),
            "on_outcome": _function("on_outcome", on_outcome),
        }
        self._limit = limit
        self._drain = float(drain)
        own = job_markers(job)
        self._markers = Markers(own if markers is None else markers)
        self._url = self._connect(redactor(redact))
        self.enabled = self._url is not None
        """Whether there is a URL to ping."""
        self._runs = Runs()
        self._seen: deque[tuple[Any, ...]] = deque(maxlen=_REMEMBERED)
        self._lock = threading.RLock()  # a signal handler may log where ping() is at work
        self._child_watched = 0  # the process in which the end of a child is watched
        self._tail = Tail(limit if self.enabled else 1)
        self._recent = self._tail.recent
        self._settle = self._tail.settle
        self._first, self._after = self._markers.first, self._markers.after
        if self._url is None:
            self._first = self._after = ""
        self.complete = Completion(lambda: self.wait(0), self._drain)
        """Called by ``logger.complete()``; awaited, it waits until all pings have an outcome, at
        most ``drain`` seconds, without blocking the event loop."""
        _sinks.add(self)

    def _connect(self, redact: Redactor | None) -> PingUrl | None:
        """Make what takes pings to the service; None when there is no URL for them."""
        # Imported here, as an app that only imports loghc, or whose sink is disabled, is not to
        # pay for it.
        from loghc.service.environment import ping_url

        url = ping_url(self._options["url"])
        if url is None:
            return None
        from loghc.log.body import Renderer
        from loghc.log.masking import Masker
        from loghc.service.client import PingClient

        headers = self._options["headers"]
        pool = self._options["http"]
        pools = (getattr(pool, name, None) for name in ("headers", "proxy_headers"))
        masker = Masker(url, headers, *pools)
        self._renderer = Renderer(
            self._limit, masker, redact, mask_secrets=self._options["mask_secrets"]
        )
        self._report = Report(url.masked, masker.text)
        if url.exposed:
            self._report.exposed()
        client = PingClient(
            url, masker, self._options["timeout"], headers, self._options["http"], __version__
        )
        self._delivery = Delivery(
            client,
            self._report,
            self._options["on_outcome"],
            stays=lambda: self._runs.any_open,
        )
        return url

    def write(self, message: str) -> None:
        """Take one formatted record from loguru. Returns at once, and never raises."""
        if len(message) > LONG:
            self._tail.append_long(message)
        else:  # what Tail.append does, without a call for each record
            recent = self._recent
            recent.append(message + "")
            if len(recent) >= BATCH:
                self._settle()
        try:
            record = message.record  # type: ignore[attr-defined]  # loguru's own kind of str
            if not self._first <= record["message"] < self._after:
                return
        except (AttributeError, KeyError, TypeError):  # not from loguru, or patched into no text
            return
        self._mark(record)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until every ping that was queued is delivered or given up.

        Args:
            timeout: seconds at most; None, the default: as long as it takes, which may be for ever
                while the service can't be reached.

        Returns:
            Whether none is pending.
        """
        return not self.enabled or self._delivery.wait(timeout)

    @property
    def stats(self) -> Stats:
        """How many pings were delivered, failed, and are pending."""
        return self._delivery.stats if self.enabled else Stats(0, 0, 0)

    def stop(self) -> None:
        """Deliver what is queued, within ``drain`` seconds. loguru calls it on ``remove()``.

        What can't be delivered by then is reported and dropped. The sink works again when it is
        added again. At interpreter exit, each run that has not ended is reported as failed.
        """
        if self.enabled:
            self._stop(exiting=interpreter_is_exiting())

    def ping(
        self, event: Event, run_id: str, *, closing: str = "", exit_status: int | None = None
    ) -> None:
        """Queue a ping without a marker, as ``loghc run`` does for the program that it runs.

        Args:
            event: what to tell.
            run_id: a UUID in its canonical text form.
            closing: text to put after the log.
            exit_status: 0 to 255, sent as ``<url>/<exit_status>``.
        """
        if self.enabled:
            with self._lock:
                self._put(event, run_id, closing, exit_status)

    def fail_open_runs(self, closing: str, exit_status: int | None = None) -> None:
        """Queue a failure for each run of this process that has not ended, as its end is near.

        Args:
            closing: text to put after the log.
            exit_status: 1 to 255, sent as ``<url>/<exit_status>``; None: ``<url>/fail``.
        """
        if self.enabled:
            with self._lock:
                for run_id in self._runs.open_here():
                    self._put(Event.FAIL, run_id, closing, exit_status)
                self._runs.close_all()

    def hurry(self) -> None:
        """Have a ``stop()`` that is under way give up now, and report what it gives up."""
        if self.enabled:
            self._delivery.hurry()

    def _mark(self, record: Mapping[str, Any]) -> None:
        try:
            event = self._markers.match(record["message"])
            if event is None or record["thread"].name == THREAD_NAME:
                return
            self._watch_child()
            with self._lock:  # markers are queued in the order in which they come
                if self._seen_before(record):
                    return
                run_id = self._runs.assign(event, record)
                self._put(event, run_id)
        except Exception:  # noqa: BLE001 - a bug of ours must not become the app's
            self._report.raised("a marker could not be turned into a ping, please report this:")

    def _put(
        self, event: Event, run_id: str, closing: str = "", exit_status: int | None = None
    ) -> None:
        """Queue a ping with the log as it is now, and a closing text after it."""
        body = functools.partial(self._body, self._tail.snapshot(), closing)
        self._delivery.put(Ping(event, run_id, body, exit_status))

    def _seen_before(self, record: Mapping[str, Any]) -> bool:
        """Whether this sink was added twice, and the record came through its other handler.

        Both handlers see the same objects, unless loguru's queue copied them (``enqueue=True``).
        A small part of the record is kept, of which each record has its own: the record itself
        would keep its exception's frames alive, and clocks stand still, in tests or between ticks.
        """
        own = record["thread"]
        mark = (record["time"], own.id, record["process"].id, record["message"])
        copied = own.id != threading.get_ident()
        if any(seen is own or (copied and known == mark) for seen, known in self._seen):
            return True
        self._seen.append((own, mark))
        return False

    def _body(self, snapshot: Snapshot, closing: str) -> bytes:
        if not self._options["send_logs"]:
            return b""
        return self._renderer.render(snapshot, closing)

    def _stop(self, *, exiting: bool) -> None:
        if exiting:
            self.fail_open_runs(closing_text(uncaught_exception()))
        self._delivery.stop(self._drain, exiting=exiting)

    def _watch_child(self) -> None:
        pid = os.getpid()
        if self._child_watched != pid:
            self._child_watched = pid
            at_child_exit(functools.partial(self._stop, exiting=True))

    def _after_fork(self) -> None:
        self._lock = threading.RLock()
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
        return f"HealthSink({where}, job={self._options['job']!r})"


_sinks: weakref.WeakSet[HealthSink] = weakref.WeakSet()


def _renew_sinks() -> None:
    for sink in list(_sinks):
        sink._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_sinks)


def _rebuilt(options: dict[str, Any]) -> HealthSink:
    return HealthSink(**options)


def _whole_number(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}: expected a whole number of bytes, not {value!r}")
    if value < 1:
        raise ValueError(f"{name}: expected at least 1 byte, not {value}")
    return value


def _seconds(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name}: expected a number of seconds, not {value!r}")
    if not 0 < value < _LONGEST or math.isnan(value):
        raise ValueError(f"{name}: expected a positive, finite number of seconds, not {value}")
    return float(value)


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name}: expected True or False, not {value!r}")
    return value


def _function(name: str, value: object) -> object:
    if value is not None and not callable(value):
        raise TypeError(f"{name}: expected a callable, not {type(value).__name__}")
    return value


def _mapping(name: str, value: object) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"{name}: expected a mapping, not {type(value).__name__}")
    return value


def _pool_manager(value: object) -> object:
    if value is not None and not callable(getattr(value, "request", None)):
        raise TypeError(f"http: expected a urllib3 PoolManager, not {type(value).__name__}")
    return value


def _checked_headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Header values may be secrets: errors name the header alone."""
    checked = dict(_mapping("headers", headers)) if headers is not None else {}
    for name, value in checked.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError("headers: expected names and values to be str")
        if not re.fullmatch(_HEADER_NAME, name):
            raise ValueError("headers: a name is not one that HTTP allows")
        if name.lower() in _OWN_HEADERS:
            raise ValueError(f"headers[{name!r}]: is set by loghc itself")
        if not re.fullmatch(_HEADER_VALUE, value):
            raise ValueError(f"headers[{name!r}]: the value has characters that HTTP doesn't allow")
    return checked
