"""Leaves the ends that this watcher can't send to the next one, and sends those left to it."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING

from loghc.entry.black_box import BlackBox
from loghc.entry.cleaning import clean
from loghc.entry.earlier import EarlierRuns
from loghc.entry.entries import Entry
from loghc.entry.memory import memory_directory
from loghc.entry.processes import identify
from loghc.ping import Event, Ping
from loghc.portable import layout
from loghc.report import report
from loghc.service.identity import identity
from loghc.version import __version__
from loghc.watch.options import Options
from loghc.watch.pings import Pings
from loghc.watch.run_directory import RunDirectory

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loghc.portable.ring import Ring

__all__ = ["Recovery"]

_CAUSE_CHARACTERS = 150
_MIN_RING_BYTES = 65_536


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
        self._where: dict[str, str]  # this run's fields that tell its run directory from others
        self._earlier = EarlierRuns(options.limit)
        directory = options.state or default_directory()
        if directory is None:
            return
        try:
            self._box = BlackBox(directory)
            self._check = identity(options.url, self._box.salt)
        except OSError as error:
            report(f"the state directory {directory!r} can't be used: {error.strerror}.")

    def begin(self, run_id: str, pings: Pings) -> None:
        """Note that a run has begun, and queue what earlier ones left to send."""
        if self._box is not None:
            try:
                if self._run is not None:
                    self._entry, self._where = self._box.record(self._run)
                    self._write([] if self._markers_only else [run_id])
                    if not self._markers_only:
                        self._entry.reserve()
                self._box.clean()  # before they are locked: it makes room
                self._earlier.send(self._box, self._check, pings)
            except OSError as error:
                report(f"the state directory can't be used: {error.strerror}.")
        clean(memory_directory())

    def open_printed_ring(self) -> Ring | None:
        """A ring for what the program prints; None if nothing is to outlive this process."""
        if self._box is None or self._run is None:
            return None
        from loghc.portable.ring import open_ring

        capacity = max(_MIN_RING_BYTES, 2 * self._limit)
        try:
            return open_ring(self._run.path, capacity, os.getpid(), layout.PRINTED_SUFFIX)
        except (OSError, ValueError) as error:
            report(f"what the program prints can't be kept in the state directory: {error}.")
            return None

    def renew(self) -> None:
        """Note that the run directory was deleted and recreated."""
        if self._entry is not None and self._run is not None:
            with contextlib.suppress(OSError):
                self._entry.renew(self._run)

    def note_open(self, run_ids: Iterable[str]) -> None:
        """With ``--markers-only``, note which runs are open now."""
        if self._entry is not None:
            with contextlib.suppress(OSError):
                self._write([*run_ids], sync=False)

    def note_end(self, event: Event, run_id: str, exit_status: int | None, cause: str) -> None:
        """Note a run's end before it is sent, in space that was reserved for a full disk."""
        if self._entry is not None and not self._markers_only:
            with contextlib.suppress(OSError):
                fields = _end_fields(event, run_id, exit_status, time.time())
                self._entry.write_end([*fields.items(), ("cause", cause[:_CAUSE_CHARACTERS])])

    def told(self, run_id: str, happened: float) -> None:
        """Note that the end of a run was delivered. Any thread may call this.

        Args:
            run_id: the run's id.
            happened: when it came, in seconds of the wall clock.
        """
        if not self._earlier.settled(run_id) and self._box is not None:
            self._box.note_end(self._check, happened)

    def finish(self, owed: list[tuple[Ping, float]]) -> None:
        """Keep the ends that could not be delivered; forget the rest.

        Args:
            owed: these ends, and when each came, in seconds of the wall clock.
        """
        own, self._entry = self._entry, None
        kept = False
        for ping, happened in owed:
            if self._box is None or ping.run_id in self._earlier:
                continue
            try:
                entry = own if own is not None and not kept else self._box.new()
                kept = kept or entry is own
                self._keep(entry, ping, happened)
            except OSError as error:
                report(f"an end that was not delivered can't be kept: {error.strerror}.")
        if self._run is not None and not (kept and own is not None and own.directory is self._run):
            self._run.remove()
        if own is not None and not kept:
            own.remove()

    def _write(self, open_runs: list[str], *, sync: bool = True) -> None:
        assert self._entry is not None  # noqa: S101
        began = self._entry.fields.get("started") or str(time.time())
        fields = {
            "version": __version__,
            "check": self._check,
            "started": began,
            **identify(),
            **self._where,
        }
        noted = [("open", f"{run_id} {began}") for run_id in open_runs]
        self._entry.write(fields, more=noted, sync=sync)

    def _keep(self, entry: Entry, ping: Ping, happened: float) -> None:
        fields = {
            "version": __version__,
            "check": self._check,
            **_end_fields(ping.event, ping.run_id, ping.exit_status, happened),
        }
        entry.write(fields, ping.body().whole(self._limit))
        entry.drop_rings()


def _end_fields(
    event: Event, run_id: str, exit_status: int | None, happened: float
) -> dict[str, str]:
    return {
        "run_id": run_id,
        "event": event.value,
        "status": "" if exit_status is None else str(exit_status),
        "ended": str(happened),
    }


def default_directory() -> str | None:
    """The state directory if nobody names one; None if there is no default."""
    home = os.environ.get("XDG_STATE_HOME", "")
    return home if os.path.isabs(home) else None
