"""Leaves the ends that this watcher can't tell to the next one, and tells those left to it."""

from __future__ import annotations

import contextlib
import functools
import os
import time
from typing import TYPE_CHECKING

from loghc.entry.black_box import BlackBox, Entry, clean
from loghc.log.body import Body, moment
from loghc.ping import Event, Ping
from loghc.portable.run_ids import run_id_from
from loghc.report import report
from loghc.service.identity import identity
from loghc.version import __version__
from loghc.watch.collector import Collector
from loghc.watch.options import Options
from loghc.watch.pings import LazyBody, Pings
from loghc.watch.run_directory import RunDirectory, memory_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Recovery"]

_OTHER_VERSION = "loghc: its log was kept by another version of loghc, and can't be read"
_CUT_OFF = "cut off: loghc died with this run (a power failure, a killed container)"


class Recovery:
    """The black box of one watcher.

    Without a state directory it does nothing.

    Args:
        options: what was asked for.
        run: the run directory, None if there is none.
    """

    def __init__(self, options: Options, run: RunDirectory | None) -> None:
        self._limit = options.limit
        self._markers_only = options.markers_only
        self._run = run
        self._box: BlackBox | None = None
        self._entry: Entry | None = None  # this run's
        self._where: dict[str, str] = {}  # fields that tell its run directory from others
        self._claimed: dict[str, Entry] = {}  # by run id
        directory = options.state or default_directory()
        if directory is None:
            return
        try:
            self._box = BlackBox(directory)
            self._check = identity(options.url, self._box.salt)
        except OSError as error:
            report(f"the state directory {directory!r} can't be used: {error.strerror}.")

    def begin(self, run_id: str, pings: Pings) -> None:
        """Note that a run has begun, and queue what is left to tell of earlier ones."""
        if self._box is not None:
            try:
                if self._run is not None:
                    self._entry, self._where = self._box.record(self._run)
                    self._write(run_id, "")
                for entry in self._box.claim(self._check):
                    self._tell(entry, pings)
                self._box.clean()
            except OSError as error:
                report(f"the state directory can't be used: {error.strerror}.")
        clean(memory_directory())

    def note_open(self, run_ids: Iterable[str]) -> None:
        """With ``--markers-only``: these are the runs that are open now."""
        if self._entry is not None:
            with contextlib.suppress(OSError):
                self._write(self._entry.fields["run_id"], " ".join(run_ids), sync=False)

    def told(self, run_id: str) -> None:
        """The end of a run was delivered. May be called from any thread."""
        entry = self._claimed.pop(run_id, None)
        if entry is not None and entry not in self._claimed.values():
            _forget(entry)

    def finish(self, owed: list[Ping]) -> None:
        """Keep the ends that could not be delivered; forget the rest."""
        own, self._entry = self._entry, None
        kept = False
        for ping in owed:
            if self._box is None or ping.run_id in self._claimed:
                continue
            try:
                entry = own if own is not None and not kept else self._box.new()
                kept = kept or entry is own
                self._keep(entry, ping)
            except OSError as error:
                report(f"an end that was not delivered can't be kept: {error.strerror}.")
        if self._run is not None and not (kept and own is not None and own.directory is self._run):
            self._run.remove()
        if own is not None and not kept:
            own.remove()

    def _write(self, run_id: str, open_runs: str, *, sync: bool = True) -> None:
        assert self._entry is not None and self._run is not None  # noqa: S101, PT018
        started = self._entry.fields.get("started") or str(time.time())
        self._entry.write(
            {
                "version": __version__,
                "check": self._check,
                "run_id": run_id,
                "started": started,
                **self._where,
                **({"open": open_runs} if self._markers_only else {}),
            },
            sync=sync,
        )

    def _keep(self, entry: Entry, ping: Ping) -> None:
        status = "" if ping.exit_status is None else str(ping.exit_status)
        fields = {
            "version": __version__,
            "check": self._check,
            "run_id": ping.run_id,
            "event": ping.event.value,
            "status": status,
            "ended": str(time.time()),
        }
        entry.write(fields, ping.body().whole(self._limit))
        entry.drop_rings()

    def _tell(self, entry: Entry, pings: Pings) -> None:
        """Queue the end of an earlier run, or delete what has nothing to tell."""
        fields = entry.fields
        run_ids = fields.get("open", fields.get("run_id", "")).split()
        if entry.body is not None:
            try:
                end, body = Event(fields["event"]), entry.body
                status = int(fields["status"]) if fields.get("status") else None
            except ValueError as error:
                report(f"an earlier run's end can't be told, what was kept is damaged: {error}.")
                _forget(entry)
                return
            kept = Body.of_failure(body) if end is Event.FAIL else Body(log=body)
            render: Callable[[], Body] = LazyBody(
                functools.partial(kept.late, _seconds(fields.get("ended")))
            )
        else:
            end, status = Event.FAIL, None
            rings = entry.rings()
            log, facts = Collector(rings, self._limit).read()
            if rings is not None and rings is not entry.directory:
                rings.close()
            seen = f", logged last at {moment(facts.last_wall_ns / 1e9)}" if facts.rings else ""
            began = moment(_seconds(fields.get("started")))
            render = pings.render(
                log,
                headline=f"{_CUT_OFF}; it began at {began}{seen}",
                tracebacks=[traceback.text for traceback in facts.tracebacks],
                lines=[_OTHER_VERSION] if facts.unreadable else [],
            )
        queued = False
        for run_id in map(run_id_from, run_ids):
            self._claimed[run_id] = entry
            if pings.put_late(end, run_id, render, status):
                queued = True
            else:
                del self._claimed[run_id]
        if not queued:
            _forget(entry)


def _forget(entry: Entry) -> None:
    entry.remove()
    entry.release()


def default_directory() -> str | None:
    """The state directory if nobody names one; None: nowhere."""
    home = os.environ.get("XDG_STATE_HOME", "")
    return home if os.path.isabs(home) else None


def _seconds(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")
