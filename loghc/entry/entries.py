"""The entries in a directory: what one is named, and what its process writes in it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable

from loghc.entry.claim import BODY, END
from loghc.entry.directory import Directory, make_directory
from loghc.entry.memory import RUN_PREFIX
from loghc.entry.run_directory import delete_rings, remove, where
from loghc.portable.fields import format_fields
from loghc.portable.trusted import FILE, open_trusted

__all__ = ["GUARDED_PREFIX", "REFERRED_TO", "Entry", "entries", "entry_names", "new_entry"]

GUARDED_PREFIX = "loghc-guarded-"
"""The prefix of the name of an entry in memory, which only its guard sends."""

REFERRED_TO = "referred-to"
"""The name of a file in a run directory outside of the state directory."""

_PREFIX = "loghc-state-"
_END_BYTES = 1024  # that are reserved for how a run ended


class Entry:
    """One run in a state directory, locked by this process, which is the run's watcher.

    Args:
        directory: its own, or the run directory where that lies in the state directory.

    Attributes:
        fields: what is known of the run: see ``BlackBox.record``.
    """

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self.fields: dict[str, str] = {}
        self._more: list[tuple[str, str]] = []

    def write(
        self,
        fields: dict[str, str],
        body: bytes | None = None,
        *,
        more: Iterable[tuple[str, str]] = (),
        sync: bool = True,
    ) -> None:
        """Write; if ``sync``, so that a power failure doesn't undo it."""
        if body is not None:
            self.directory.write(BODY, body)
        self.fields, self._more = fields, [*more]
        self.directory.write_fields("run", [*fields.items(), *self._more], sync=sync)

    def renew(self, run: Directory) -> None:
        """Write it again, for a run directory that was deleted and recreated.

        Raises:
            OSError: it can't be written.
        """
        if run is self.directory:
            self.reserve()
        else:
            run.write(REFERRED_TO, b"")
        self.write({**self.fields, **where(run)}, more=self._more)

    def reserve(self) -> None:
        """Reserve room for ``write_end``, so that it succeeds even on a full disk."""
        self.directory.write(END, bytes(_END_BYTES), sync=True)

    def write_end(self, fields: Iterable[tuple[str, str]]) -> None:
        """Write how the run ended, in the room that was reserved.

        Raises:
            OSError: it can't be written.
        """
        data = format_fields([*fields, ("complete", "1")])
        if len(data) > _END_BYTES:
            return
        flags = os.O_WRONLY
        descriptor = open_trusted(END, FILE, flags, directory=self.directory.descriptor)
        try:
            os.pwrite(descriptor, data.ljust(_END_BYTES, b"\0"), 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def drop_rings(self) -> None:
        """Delete the records: they are in the body now, and without secrets."""
        delete_rings(self.directory)

    def remove(self) -> None:
        """Delete it: its end has been sent."""
        remove(self.directory, self.fields)

    def release(self) -> None:
        """Leave it to another."""
        self.directory.close()


def new_entry(parent: str, prefix: str = _PREFIX) -> Directory:
    """A new directory for an entry."""
    return Directory(make_directory(parent, prefix))


def entry_names(directory: str | int) -> list[str]:
    """The names of what may be entries or run directories in a directory.

    Raises:
        OSError: it can't be read.
    """
    prefixes = (_PREFIX, GUARDED_PREFIX, RUN_PREFIX)
    return [name for name in os.listdir(directory) if name.startswith(prefixes)]


def entries(parent: int) -> list[tuple[float, str]]:
    """The names of this user's entries and runs, oldest first, and when each changed last."""
    found = []
    for name in entry_names(parent):
        with contextlib.suppress(OSError):
            status = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if status.st_uid == os.geteuid():
                found.append((status.st_mtime, name))
    return sorted(found)
