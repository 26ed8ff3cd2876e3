"""The watcher's pings: their bodies, which ones are sent, and what became of the ends."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from loghc.delivery import Delivery
from loghc.delivery.outcomes import is_settled
from loghc.delivery.troubles import Troubles
from loghc.entry.earlier import LazyBody
from loghc.log.body import Body
from loghc.log.masking import Masker
from loghc.log.redaction import redactor
from loghc.log.rendering import Renderer
from loghc.log.tail import Snapshot
from loghc.ping import Event, Outcome, Ping
from loghc.report import report
from loghc.version import __version__

if TYPE_CHECKING:
    from loghc.service.url import PingUrl

__all__ = ["Pings"]

_RULE_LEFT_BEHIND = (
    "has a redact rule that can't be passed to another process. Give --redact to loghc run instead."
)
_USUAL = (
    b"2000-01-01 00:00:00.000 | INFO     | app:main:1 - copied a file\n",
    b"2000-01-01 00:00:00.000 | INFO     | app:main:1 - password=secret token: secret\n",
)
_PAUSE = 0.1  # seconds; a program that ends at once has no time for the second
_MAX_OWED = 32  # ends that are remembered until they are delivered


def _delivery(
    url: PingUrl,
    masker: Masker,
    timeout: float,
    on_outcome: Callable[[Outcome], object],
    events: Collection[str] | None,
    headers: Mapping[str, str],
    ca_file: str | None,
) -> Delivery:
    from loghc.service.client import PingClient

    troubles = Troubles(url.masked, masker.text, "--limit")
    if url.exposed:
        troubles.exposed()
    return Delivery(
        PingClient(url, masker.text, timeout, headers, None, __version__, ca_file),
        troubles,
        on_outcome,
        # Filtered here, too: the end of a cut log is sent as a log, unless those are left out.
        events=tuple(Event) if events is None else [Event(value) for value in events],
    )


class Pings:
    """Queues the pings of one watcher.

    Args:
        url: the ping URL.
        timeout: seconds for one attempt.
        limit: the most bytes of a body.
        redact: regular expressions for what must not leave the machine.
        mask_secrets: the built-in rules apply as well.
        send_logs: False: bodies are empty.
        events: which ones to send; None: all.
        headers: additional request headers.
        ca_file: a PEM file of the certificates to trust; None: what the system trusts.
        on_end: called on another thread for each end that was delivered, with the run id and
            when the end came, in seconds of the wall clock.
    """

    def __init__(
        self,
        url: PingUrl,
        *,
        timeout: float,
        limit: int,
        redact: Collection[str],
        mask_secrets: bool,
        send_logs: bool,
        events: Collection[str] | None,
        headers: Mapping[str, str],
        ca_file: str | None,
        on_end: Callable[[str, float], object],
    ) -> None:
        self._limit = limit
        self._redact = [*redact]
        self._mask_secrets = mask_secrets
        self._send_logs = send_logs
        self._events = events
        self._on_end = on_end
        self._masker = Masker(url)
        self._renderer = self._new_renderer()
        self._ends: Counter[str] = Counter()  # by run id, queued and without an outcome yet
        self._late: set[str] = set()  # run ids of earlier runs, whose end may go as a note
        # By run id: the last end, if it may still be delivered, and when it came.
        self._owed: dict[str, tuple[Ping, float]] = {}
        self._delivery = _delivery(url, self._masker, timeout, self._told, events, headers, ca_file)

    def warm_up(self) -> None:
        """Prepare what the last ping would wait for, on a thread while the program runs."""
        if self._events is not None and not any(Event(name).ends_run for name in self._events):
            return
        with contextlib.suppress(RuntimeError):  # the system has no more threads
            threading.Thread(target=self._prepare, daemon=True).start()

    def _prepare(self) -> None:
        with contextlib.suppress(Exception):
            from loghc.service.client import import_what_sends

            import_what_sends()
            for line in _USUAL if self._send_logs else ():  # compiles what most logs need
                self._renderer.render(Snapshot((line,), begins_inside_record=False))
                time.sleep(_PAUSE)

    def put(
        self,
        event: Event,
        run_id: str,
        log: Snapshot,
        exit_status: int | None = None,
        **around: Any,
    ) -> None:
        """Queue a ping with the end of a log, if its event is to be sent.

        Args:
            event: what to send.
            run_id: which run's.
            log: the log.
            exit_status: sent in place of the event; None: the event itself.
            around: what ``Renderer.render`` puts around the log.
        """
        self._put(Ping(event, run_id, self.render(log, **around), exit_status))

    def put_late(
        self,
        event: Event,
        run_id: str,
        body: Callable[[], Body],
        exit_status: int | None = None,
    ) -> bool:
        """Queue the end of an earlier run; returns whether its event is to be sent.

        Args:
            event: what to send.
            run_id: which run's.
            body: what to attach.
            exit_status: sent in place of the event; None: the event itself.
        """
        self._late.add(run_id)
        return self._put(Ping(event, run_id, body if self._send_logs else Body, exit_status))

    def render(self, log: Snapshot, **around: Any) -> Callable[[], Body]:
        """Return a function that makes a body later, on the thread that sends.

        Args:
            log: the log.
            around: what ``Renderer.render`` puts around it.
        """
        renderer = self._renderer
        if not self._send_logs:
            return Body
        # Until it is rendered, the watched program may still say that no log is to be sent.
        return LazyBody(lambda: renderer.render(log, **around) if self._send_logs else Body())

    def apply_sink_options(self, fields: list[tuple[str, str]]) -> None:
        """Apply the options of a sink that handed its markers over. They can only restrict.

        Args:
            fields: ``send_logs=0``, ``limit=<bytes>``, ``redact=<pattern>``, or ``redact=``
                for a rule that can't be carried over: then no log leaves the machine.
        """
        for key, value in fields:
            if key == "limit" and value.isascii() and value.isdigit() and int(value[:12]) > 0:
                self._limit = min(self._limit, int(value[:12]))
            elif key == "redact" and value:
                self._redact.append(value)
            elif key == "send_logs" and value in ("", "0"):
                self._withhold("says send_logs=False.")
            elif key == "redact":
                self._withhold(_RULE_LEFT_BEHIND)
        try:
            self._renderer = self._new_renderer()
        except ValueError:
            self._withhold(_RULE_LEFT_BEHIND)

    def _new_renderer(self) -> Renderer:
        redact = redactor(self._redact)
        return Renderer(self._limit, self._masker, redact, mask_secrets=self._mask_secrets)

    def _withhold(self, why: str) -> None:
        if self._send_logs:
            self._send_logs = False
            report(f"pings carry no log: a HealthSink in the program {why}")

    def masked(self, text: str) -> str:
        """A text without the ping URL's secret."""
        return self._masker.text(text)

    def owed(self) -> list[tuple[Ping, float]]:
        """The ends that may still be delivered, oldest first, and when each came."""
        return list(self._owed.values())

    def stop(self, seconds: float) -> None:
        """Deliver what is queued within `seconds`; give up the rest, and report that."""
        self._delivery.stop(seconds, exiting=True)

    def abort(self) -> None:
        """Abort a ``stop`` in progress. Any thread may call this."""
        self._delivery.abort()

    def _put(self, ping: Ping) -> bool:
        if self._events is not None and ping.event.value not in self._events:
            return False
        if ping.event.ends_run or ping.run_id in self._late:
            self._ends[ping.run_id] += 1
            self._owed.pop(ping.run_id, None)
            self._owed[ping.run_id] = ping, time.time()
            while len(self._owed) > _MAX_OWED:
                del self._owed[next(iter(self._owed))]
        self._delivery.put(ping)
        return True

    def _told(self, outcome: Outcome) -> None:
        run_id = outcome.run_id
        if run_id not in self._ends or not (outcome.event.ends_run or run_id in self._late):
            return
        self._ends[run_id] -= 1
        if not self._ends[run_id] and is_settled(outcome):
            del self._ends[run_id]  # no test can tell: it only makes room
            self._late.discard(run_id)
            self._owed.pop(run_id, None)
            self._on_end(run_id, time.time() - outcome.elapsed)
