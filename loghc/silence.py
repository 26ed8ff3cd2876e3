"""What is said when a sink pings nothing: a monitor that stays silent must not go unnoticed.

Some of it is said at once, as it is almost surely a slip: a near miss of a marker, a marker that
meets a disabled sink or reaches none, two sinks that send every ping twice. The rest may be meant,
and is said at the exit, where someone looks: no sink ever saw a marker.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from loghc.debug import debugging
from loghc.markers import Markers, job_markers
from loghc.near_misses import LOOKED_AT, NearMisses
from loghc.ping import Event
from loghc.stderr import say

__all__ = ["ALL", "Listener", "marker_of_job", "why_no_url"]

_LOOKS = 1000  # records that are looked at for near misses
_LAST_BUT_SURROGATES = "\ud7ff"
_QUOTED = 80  # characters of a message that are shown
_MASKED = 10_000  # characters of it that are masked first: a cut must not leave half a secret
_KEPT = 100  # sinks that are remembered
_NAMED = 3  # sinks that are described one by one at the exit
_INFO = 20  # loguru's number for the level at which markers are usually logged
_NOTHING = ("", "")
ALL = ("", 100 * chr(sys.maxunicode))
"""Bounds that all messages lie within."""

_HELP = frozenset({"-h", "--help", "--version"})
_SAYS_IT_IS_MEANT = "HEALTH_CHECK_URL=off says that this is meant."


class _Process:
    """What is known of this process's sinks."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.listeners: deque[Listener] = deque(maxlen=_KEPT)
        self.marker_seen = False
        self.said: set[object] = set()
        self.lately: deque[tuple[object, Listener]] = deque(maxlen=64)  # markers, and who took them
        self.program_logged = False
        self.to_be_stopped: set[Listener] = set()  # at the exit, by loguru

    def say_once(self, key: object, text: str) -> None:
        if key not in self.said:
            self.said.add(key)
            say(text)


_process = _Process()
_this_thread = threading.local()


class Listener:
    """What one sink listens for, and what it has been given so far.

    Args:
        sink: how the sink is named, without secrets.
        job: its job.
        own: the ``markers=`` that replace the job's, or None.
        markers: what makes a message a marker.
        mask: takes secrets out of a text.
        target: tells two sinks with the same ping URL; None: the sink is disabled.
        off: it is disabled on purpose.

    Attributes:
        glancing: the first records are still coming, and each is looked at.
        bounds: a message is looked at, however late it comes, if it sorts from the first of these
            on, and before the second.
    """

    def __init__(
        self,
        sink: str,
        *,
        job: str,
        own: Mapping[str, Event] | None,
        markers: Markers,
        mask: Callable[[str], str],
        target: object,
        off: bool,
    ) -> None:
        self.sink = sink
        self.texts = ", ".join(job_markers(job) if own is None else own) or "nothing"
        self.markers = markers
        self.target = target
        self.off = off
        self.added = False
        self.removed = False
        self.level: str | None = None  # that keeps markers at their usual level from it
        self.glancing = target is not None
        self.bounds = self._first_bounds(job, own)
        self._mask = mask
        self._glances = 0
        self._misses = 0
        self._events: set[Event] = set()
        self._near_misses = NearMisses(job, own)
        if not _process.listeners:
            atexit.register(_at_exit)
        _process.listeners.append(self)

    def glance(self, message: str) -> None:
        """Look at one of the first records, whatever its message."""
        self._glances += 1
        self.glancing = self._glances < _LOOKS
        self._came()
        beginning = message[:LOOKED_AT].lower()
        for key in self._near_misses.keys:
            if key in beginning:
                try:
                    self._examine(message)
                except Exception:  # noqa: BLE001 - a bug of ours must not become the app's
                    self.glancing = False
                break

    def look(self, message: str) -> None:
        """Look at a message within the bounds that is no marker, however late it comes."""
        self._came()
        self._misses += 1
        if self._misses >= _LOOKS:
            self.bounds = self.markers.first, self.markers.after
        if not self.glancing:
            self._examine(message)

    def _examine(self, message: str) -> None:
        miss = self._near_misses.find(message)
        if miss is None or miss.event in self._events or (miss.may_be_prose and self._events):
            return
        others = tuple(_process.listeners)  # other threads may add sinks meanwhile
        if any(each.markers.match(message) for each in others):
            return
        instead = f" Write {miss.meant}, if it was meant as one." if miss.meant else ""
        _process.say_once(
            (self, miss.event),
            f"{self.quoted(message)} is no marker of {self.sink}, and pinged nothing: {miss.why}. "
            f"The sink listens for {self.texts}.{instead}",
        )

    def quoted(self, message: str) -> str:
        """The beginning of a message, fit to be shown."""
        return repr(self._mask(message[:_MASKED])[:_QUOTED])

    def hear(self) -> None:
        """A marker came, whatever becomes of it."""
        self._came()
        _this_thread.heard = True
        _process.marker_seen = True

    def take(self, event: Event, record: Mapping[str, Any], where: str) -> None:
        """A marker is about to be sent.

        Args:
            event: what it tells.
            record: loguru's.
            where: the ping URL, masked.
        """
        self._events.add(event)
        # By value: loguru's queue hands each sink a copy of its own.
        thread, process = record["thread"].id, record["process"].id
        key = (record.get("time"), hash(record["message"]), thread, process, self.target)
        lately = tuple(_process.lately)
        if any(other is not self and key == known for known, other in lately):
            _process.say_once(
                ("twice", self.target),
                f"two sinks ping {where} at the same markers, so each ping is sent twice. "
                "Add one HealthSink alone.",
            )
        _process.lately.append((key, self))

    def meets_no_url(self, message: str) -> None:
        """A marker came to a disabled sink."""
        if not self.off and not _program_is_watched():
            why = f"{why_no_url()} {_SAYS_IT_IS_MEANT}"
            _process.say_once("no URL", f"{self.quoted(message)} pinged nothing: {why}")

    def stop(self, *, exiting: bool) -> None:
        """The sink was stopped.

        Args:
            exiting: at the interpreter's exit, and not by a removal before.
        """
        self.added = True
        self.removed = not exiting
        if self in _process.to_be_stopped:
            _process.to_be_stopped.discard(self)
            if not _process.to_be_stopped:
                _tell_at_exit()

    @property
    def looked(self) -> bool:
        """Whether a record came that was no marker."""
        return self._glances + self._misses > 0

    def _first_bounds(self, job: str, own: Mapping[str, Event] | None) -> tuple[str, str]:
        if self.off:
            return _NOTHING
        if own is None and self.target is not None and job[-1] < _LAST_BUT_SURROGATES:
            return job, job[:-1] + chr(ord(job[-1]) + 1)  # all that begins with the job's name
        return self.markers.first, self.markers.after

    def _came(self) -> None:
        self.added = True
        self.removed = False


@contextlib.contextmanager
def marker_of_job(name: str, message: str) -> Iterator[None]:
    """Around the log call for a job's marker: say it, once for each job, if no sink hears it.

    Args:
        name: of the job.
        message: the marker.
    """
    _this_thread.heard = False
    yield
    if not _this_thread.heard and ("job", name) not in _process.said:
        with contextlib.suppress(Exception):  # loguru's insides are looked at
            _say_unheard(name, message)


def _say_unheard(name: str, message: str) -> None:
    if (
        _program_is_watched()
        or _turned_off()
        or any(each.off for each in tuple(_process.listeners))
    ):
        return
    handlers = _handlers_by_listener()
    able = [each for each in tuple(_process.listeners) if each.markers.match(message)]
    in_logger = [each for each in able if each in handlers]
    if any(handlers[each]._enqueue for each in in_logger):
        return  # it may be on its way
    if in_logger:
        why = f"level= or filter= keeps it from {in_logger[-1].sink}, or logger.disable() drops it."
    elif able:
        how = "removed from" if able[-1].removed else "not added to"
        why = f"{able[-1].sink} was {how} the logger."
    elif _process.listeners:
        other = _process.listeners[-1]
        why = f"{other.sink} listens for {other.texts}. Give both the same name, job={name!r}."
    else:
        why = (
            f"there is no HealthSink in this process. Add one: "
            f"logger.add(HealthSink(job={name!r})). {_SAYS_IT_IS_MEANT}"
        )
    _process.say_once(("job", name), f"{message!r}, logged by job({name!r}), pinged nothing: {why}")


def _program_is_watched() -> bool:
    """Whether it is ``loghc run`` that the process's markers, and its end, are for."""
    return "LOGHC_RUN" in os.environ


def _turned_off() -> bool:
    from loghc.service.environment import turned_off

    return turned_off()


def why_no_url() -> str:
    """Why there is no ping URL, and what to do, when the environment has none."""
    from loghc.service.environment import URL_FILE_VARIABLE, URL_VARIABLE

    given = f"{URL_VARIABLE}, or {URL_FILE_VARIABLE}"
    for name in (URL_VARIABLE, URL_FILE_VARIABLE):
        if name in os.environ:
            if os.environ[name].strip():
                return f"{name} was set after HealthSink() was made. Set it before."
            return f"{name} is set, and empty. Put the ping URL into {given}."
    for name in os.environ:
        plain = name.upper().replace("_", "")  # HEALTHCHECK_URL, HC_PING_URL, health_check_url
        if "URL" in plain and ("HEALTHCHECK" in plain or "PING" in plain):
            return f"no ping URL is set. {name} is, but {URL_VARIABLE} is what is read."
    return f"no ping URL is set. Set {given} to the path of a file that holds it."


# At the exit.


def _at_exit() -> None:
    with contextlib.suppress(Exception):
        someone_looks = debugging() or (sys.stderr is not None and sys.stderr.isatty())
        if _process.marker_seen or os.getpid() != _process.pid or not someone_looks:
            return
        # What still waits in loguru's queue comes before loguru stops its sinks.
        _process.program_logged = _program_logged()
        handlers = _handlers_by_listener()
        _process.to_be_stopped = set(handlers)
        for listener, handler in handlers.items():
            listener.added, listener.removed = True, False
            if handler.levelno > _INFO:
                names = {level.no: name for name, level in _core().levels.items()}
                listener.level = names.get(handler.levelno, str(handler.levelno))
        if not handlers:
            _tell_at_exit()


def _tell_at_exit() -> None:
    with contextlib.suppress(Exception):
        listeners = [each for each in _process.listeners if not each.off]
        if _process.marker_seen or _program_is_watched() or not listeners:
            return
        if not any(each.looked for each in listeners) and not _process.program_logged:
            return
        for listener in listeners[:_NAMED]:
            say(f"no marker was seen, so nothing was pinged. {_why_nothing(listener)}")
        if len(listeners) > _NAMED:
            say(f"no marker was seen by {len(listeners) - _NAMED} more sinks.")


def _why_nothing(listener: Listener) -> str:
    if not listener.added:
        why = "was never added to the logger: logger.add(sink)."
    elif listener.looked and listener.removed:
        why = "was given records, and then removed from the logger."
    elif listener.looked:
        why = "was given records."
    elif listener.removed:
        why = (
            "was removed before any record came, by logger.remove() or logger.configure(): "
            "add it after those."
        )
    else:
        why = "was given no record: its level= or filter= keeps them from it."
    if listener.level is not None:
        why += f" Its level={listener.level!r} keeps less severe records from it."
    if listener.target is None:
        why += " It has no ping URL, either."
    return f"{listener.sink} {why} It listens for {listener.texts}."


def _program_logged() -> bool:
    """Whether the program logged anything at all: a ``--help`` does not."""
    core = _core()
    if core is None:
        return False
    # loguru keeps each module that has logged there, unless there was no handler at all.
    return bool(core.enabled) or (not core.handlers and not _HELP.intersection(sys.argv))


def _core() -> Any:
    loguru = sys.modules.get("loguru")
    return getattr(getattr(loguru, "logger", None), "_core", None)


def _handlers_by_listener() -> dict[Listener, Any]:
    """The handlers of HealthSinks, as far as loguru lets them be found."""
    found: dict[Listener, Any] = {}
    for handler in list(getattr(_core(), "handlers", {}).values()):
        stream = getattr(getattr(handler, "_sink", None), "_stream", None)
        listener = getattr(stream, "_listener", None)
        if isinstance(listener, Listener):
            found[listener] = handler
    return found
