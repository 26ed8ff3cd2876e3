"""What a HealthSink does in a program that ``loghc run`` watches: the watcher sends its pings."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from loghc import native
from loghc.outlet import Outlet, masker_for
from loghc.ping import Event
from loghc.portable.fields import format_fields
from loghc.portable.markers import Markers
from loghc.privacy import privacy_fields
from loghc.report import Once, report
from loghc.ringtail import RingTail
from loghc.utf8 import encode
from loghc.version import __version__

if TYPE_CHECKING:
    from loghc.portable.config import Config
    from loghc.service.url import PingUrl

__all__ = ["HandOver", "watcher_of"]

_RUN = "LOGHC_RUN"  # names the watcher's run directory

_OPTIONS_BYTES = 3_000  # a sink's options, escaped, that fit into a message with everything else
_RECREATED_S = 2.0  # at most, until the watcher has recreated its directory
_PAUSE_S = 0.05

_left_over = Once()
_other_version = Once()


def watcher_of(url: PingUrl | None, options: Mapping[str, Any]) -> HandOver | None:
    """The watcher of this program if it pings the same check; else None.

    Args:
        url: the sink's own ping URL; None: it has none, and any watcher will do.
        options: the sink's.
    """
    directory = os.environ.get(_RUN)
    if not directory or os.name != "posix":
        return None
    try:
        from loghc.portable.config import read_config, watcher_lives

        if not watcher_lives(directory):
            if url is not None:
                _left_over.report(
                    directory,
                    "LOGHC_RUN is left over from a loghc run that no longer watches this "
                    "program: the HealthSink pings by itself.",
                )
            return None
        config = read_config(directory)
        fields = config.fields
        if fields.get("hand_over") != "1":
            return None
        if url is not None:
            from loghc.service.identity import identity

            if identity(url, bytes.fromhex(fields["salt"])) != fields["url_hash"]:
                return None
        if fields["version"] != __version__:
            _other_version.report(
                fields["version"],
                f"this program's loghc is version {__version__}, that of loghc run is "
                f"{fields['version']}: the HealthSink "
                f"{'pings nothing' if url is None else 'pings by itself'}.",
            )
            return None
        return HandOver(directory, config, url, options)
    except (ImportError, KeyError, OSError, ValueError):  # it is gone, or not what it should be
        return None


class HandOver(Outlet):
    """For a sink that hands its markers to the watcher of its program, which pings.

    Args:
        directory: the watcher's run directory.
        config: what the watcher wants recorded.
        url: the sink's own ping URL, if it has one.
        options: the sink's. The watcher respects those that keep a log from leaving the machine.
    """

    name = "watched by loghc run"

    def __init__(
        self, directory: str, config: Config, url: PingUrl | None, options: Mapping[str, Any]
    ) -> None:
        self.target = None if url is None else hash((url.target("", ""), url.credentials))
        self._url = url
        self._options = options
        self._directory = directory
        self._events = options["events"]
        self.tail: RingTail = RingTail(directory, config.capacity, _as_fields(options))
        self._failure_pending = False  # to be handed over
        # The markers that the recorder in this program finds itself.
        self._recorders = Markers(config.markers)

    def mask(self, text: str) -> str:
        """A text without the secrets of the URL and the headers."""
        return text if self._url is None else masker_for(self._url, self._options).text(text)

    def take(self, event: Event, record: Mapping[str, Any], text: str) -> None:
        """Hand a marker to the watcher."""
        from loghc.portable.channel import about

        if event not in self._events:
            return
        failure = event is Event.FAIL
        recorder = self.tail.recorder()
        if recorder is not None:
            if self._recorders.match(str(record["message"])) == event.value:
                return
            now = time.monotonic_ns()  # the record itself is in the ring already
            kept = recorder.mark(event.value, b"", now, dict(record))
        else:
            kept = self._hand_over(about(event.value, dict(record)), text, failure=failure)
        if failure and not kept:
            self._failure_pending = True
            report("a failure could not be handed to loghc run: its directory is gone.")

    def _hand_over(self, what: bytes, text: str, *, failure: bool) -> bool:
        """Hand over a marker without a recorder; whether it is kept anywhere."""
        from loghc.portable.channel import send

        time_ns, ring, number = self.tail.mark(what, failure=failure)
        try:
            send(self._directory, what, encode(text), time_ns, ring, number)
        except OSError:
            # A full channel must not turn it into a success. If there is a ring, that has it.
            return bool(ring) or not failure or self._note_failure()
        return True

    def stop(self, *, exiting: bool) -> None:
        """Hand over a failure that could not be handed over yet. There is nothing to deliver."""
        deadline = time.monotonic() + _RECREATED_S
        while self._failure_pending and time.monotonic() < deadline:
            self._failure_pending = not self._note_failure()
            native.sleep(_PAUSE_S if self._failure_pending else 0)
        self._failure_pending = False
        if not exiting:
            self.tail.release()

    def after_fork(self) -> None:
        """Be usable in a forked child."""
        self.tail.after_fork()

    def _note_failure(self) -> bool:
        from loghc.portable.trusted import FILE, TrustedDirectory, open_trusted

        try:
            with TrustedDirectory(self._directory) as directory:
                flags = os.O_CREAT | os.O_WRONLY
                os.close(open_trusted("failed", FILE, flags, directory=directory))
        except OSError:
            return False
        return True


def _as_fields(options: Mapping[str, Any]) -> bytes:
    """The sink's options as they fit into a message. Rules that don't fit can't be passed on."""
    from loghc.portable.channel import escape

    lines = format_fields(privacy_fields(options))
    if len(escape(lines)) <= _OPTIONS_BYTES:
        return lines
    return format_fields([("limit", str(options["limit"])), ("redact", "")])
