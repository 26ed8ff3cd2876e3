"""The black box: keeps the ends that a process couldn't deliver, for the next one of that check.

Our directory in a state directory holds a ``salt`` and an entry for each run that is open, or whose
end could not be delivered. An entry is a directory whose ``lock`` its watcher holds as long as it
lives. Nothing in it reveals the ping URL: the check is known by a salted hash.
"""

from __future__ import annotations

import contextlib
import math
import operator
import os
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from loghc.entry.claim import (
    BODY,
    END,
    Claim,
    delete_rings,
    open_claim,
    remove,
    where,
)
from loghc.entry.directory import STATE, Directory, make_directory, state_directory
from loghc.entry.memory import RUN_PREFIX
from loghc.entry.processes import lives, living, may_live
from loghc.portable.fields import format_fields
from loghc.portable.trusted import FILE, open_trusted
from loghc.service.identity import identity

if TYPE_CHECKING:
    from loghc.service.url import PingUrl

__all__ = ["GUARDED_PREFIX", "BlackBox", "Entry", "clean", "entry_names", "new_entry"]

GUARDED_PREFIX = "loghc-guarded-"
"""How the name of an entry in memory begins, which a guard sends and nobody else."""

_OLD_S = 30 * 24 * 3600  # after which nobody will claim it any more
_MAX_OF_CHECK = 20  # entries of the dead that are kept of a check
_MAX_BYTES = 10_000_000  # of the dead's logs in all
_YOUNG_S = 60  # in which a directory may not be complete yet
_REFERRED_TO = "referred-to"  # a file in a run directory outside of the state directory
_ENTRY = "loghc-state-"
_END_BYTES = 1024  # that are reserved for how a run ended
_CHECK_DIGITS = 16  # of its hash
_MAX_NOTED = 64  # entries of the living
_NEWEST_BYTES = 1 << 16
_SALT_BYTES = 16


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
        """Write it anew for a run directory that was deleted, and made anew.

        Raises:
            OSError: it can't be written.
        """
        if run is self.directory:
            self.reserve()
        else:
            run.write(_REFERRED_TO, b"")
        self.write({**self.fields, **where(run)}, more=self._more)

    def reserve(self) -> None:
        """Take the room for ``write_end``, so that a full disk can't keep it from being written."""
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


class BlackBox:
    """The entries of one check in a state directory.

    Args:
        path: the state directory, which is made if need be.
        sync: wait until a new salt is on the disk; else ``sync`` does.

    Attributes:
        directory: our own in it.
        salt: for the hash that a check is known by.

    Raises:
        OSError: it can't be used.
    """

    def __init__(self, path: str, *, sync: bool = True) -> None:
        self.directory = state_directory(path)
        self.salt = _salt(self.directory, sync=sync)

    def check_of(self, url: PingUrl) -> str:
        """What the check of a ping URL is known by in here."""
        return identity(url, self.salt)

    def record(self, run: Directory) -> tuple[Entry, dict[str, str]]:
        """A new entry for a run: its directory itself, where that lies in the state directory.

        Returns:
            The entry, and the fields that identify the run directory.
        """
        fields = where(run)
        if os.path.dirname(run.path) == self.directory.path:
            return Entry(run), fields
        run.write(_REFERRED_TO, b"")
        return self.new(), fields

    def new(self) -> Entry:
        """A new entry, apart from a run directory."""
        directory = new_entry(self.directory.path)
        directory.lock(create=True)
        return Entry(directory)

    def claim(self, check: str) -> list[Claim]:
        """The entries of the dead for a check, oldest first; they are locked by this process.

        A run whose processes live on, though its watcher doesn't, is not over. Of more than 20 the
        newest stay, and the rest are counted in the oldest of those.
        """
        claimed = []
        for changed, name in _ours(self.directory.descriptor):
            claim = open_claim(self.directory, name)
            if claim is None:
                continue
            if claim.fields.get("check") == check and claim.is_over():
                # To count others in it changes a directory: that makes it no newer.
                claimed.append((claim.since or changed, claim))
            else:
                claim.release()
        claims = [claim for _, claim in sorted(claimed, key=operator.itemgetter(0))]
        surplus, kept = claims[:-_MAX_OF_CHECK], claims[-_MAX_OF_CHECK:]
        for claim in surplus:
            kept[0].count(claim)
        return kept

    def bound(self, check: str) -> None:
        """Count the oldest of many entries of the dead in newer ones, before another one is made.

        A process that dies within a moment each time never comes to claim any.
        """
        if len(_names(self.directory.descriptor)) > _MAX_OF_CHECK:
            for claim in self.claim(check):
                claim.release()

    def note_end(self, check: str, happened: float) -> None:
        """An end of a check was delivered that came at this time, in seconds of the wall clock.

        Who lives at this moment dies later, whatever its last record says.
        """
        with contextlib.suppress(OSError):
            if happened > self.newest_end(check)[0]:
                text = " ".join([f"{happened:.6f}", *self._living()[-_MAX_NOTED:]])
                self.directory.write(_newest(check), text.encode())

    def newest_end(self, check: str) -> tuple[float, list[str]]:
        """When the newest end came that was delivered for a check, and whose entries lived then.

        Returns:
            The time, -inf for never; and the names of the entries.
        """
        with contextlib.suppress(OSError, ValueError):
            text = self.directory.read(_newest(check), _NEWEST_BYTES).decode("ascii")
            time_, *names = text.split()
            return float(time_), names
        return -math.inf, []

    def _living(self) -> list[str]:
        living_ = []
        for _, name in _ours(self.directory.descriptor):
            claim = open_claim(self.directory, name)
            if claim is None or not claim.is_over():
                living_.append(name)
            if claim is not None:
                claim.release()
        return living_

    def sync(self) -> None:
        """Have the disk know the salt, and which entries there are."""
        self.directory.sync_file("salt")
        self.directory.sync()

    def close(self) -> None:
        """Let go of the directory."""
        self.directory.close()

    def clean(self) -> None:
        """Delete the entries that nobody claims, and the logs of the oldest of many."""
        _clean(self.directory.path, self.directory.descriptor, time.time())


def new_entry(parent: str, prefix: str = _ENTRY) -> Directory:
    """A new directory for an entry."""
    return Directory(make_directory(parent, prefix))


def clean(path: str, now: float | None = None) -> None:
    """Delete entries and run directories that nobody claims, and the logs of the oldest of many.

    A run directory that no entry refers to is nobody's as soon as its run is over.

    Args:
        path: the directory that they are in. It may be anybody's.
        now: seconds since the epoch; None: the time.
    """
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _clean(path, descriptor, time.time() if now is None else now)
        finally:
            os.close(descriptor)


def _clean(path: str, parent: int, now: float) -> None:
    found = _ours(parent)
    kept = 0
    for changed, name in reversed(found):
        with contextlib.suppress(OSError):
            directory = Directory(os.path.join(path, name), parent)
            try:
                claimable = now - changed < _OLD_S and _is_claimable(directory)
                if not claimable and now - changed < _YOUNG_S:
                    continue
                if directory.has("run") and lives(directory.read_fields("run")):
                    continue
                size = directory.size() if claimable else 0
                if claimable and kept + size <= _MAX_BYTES:
                    kept += size
                elif directory.lock(create=_is_guarded(directory)) and not _is_used(directory):
                    if claimable and directory.has("run"):
                        claim = Claim(directory)
                        claim.drop_log()
                        claim.release()
                    else:
                        directory.remove()
            finally:
                directory.close()


def _is_guarded(directory: Directory) -> bool:
    return os.path.basename(directory.path).startswith(GUARDED_PREFIX)


def _is_claimable(directory: Directory) -> bool:
    if _is_guarded(directory):
        return False
    return directory.has("run") or directory.has(_REFERRED_TO)


def _is_used(directory: Directory) -> bool:
    if _is_guarded(directory):
        return directory.has("run") and may_live(directory.read_fields("run"))
    return bool(living(directory.path))


def entry_names(path: str) -> set[str]:
    """The names of what may be entries in a state directory; none if it can't be read."""
    with contextlib.suppress(OSError):
        return set(_names(os.path.join(path, STATE)))
    return set()


def _names(directory: str | int) -> list[str]:
    prefixes = (_ENTRY, GUARDED_PREFIX, RUN_PREFIX)
    return [name for name in os.listdir(directory) if name.startswith(prefixes)]


def _ours(parent: int) -> list[tuple[float, str]]:
    """The names of this user's entries and runs, oldest first, and when each changed last."""
    found = []
    for name in _names(parent):
        with contextlib.suppress(OSError):
            status = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if status.st_uid == os.geteuid():
                found.append((status.st_mtime, name))
    return sorted(found)


def _newest(check: str) -> str:
    return f"newest-{check[:_CHECK_DIGITS]}"


def _salt(directory: Directory, *, sync: bool) -> bytes:
    """The salt, made when it is first used, or where it was left incomplete."""
    with contextlib.suppress(FileNotFoundError):
        known = directory.read("salt", _SALT_BYTES)
        if len(known) == _SALT_BYTES:
            return known
        directory.delete("salt")
    # Complete, or not there at all: another watcher may do the same at this moment.
    temporary = f"salt.{os.urandom(4).hex()}"
    directory.write(temporary, os.urandom(_SALT_BYTES), sync=sync)
    inside = directory.descriptor
    try:
        with contextlib.suppress(FileExistsError):
            os.link(temporary, "salt", src_dir_fd=inside, dst_dir_fd=inside)
    finally:
        directory.delete(temporary)
    if sync:
        directory.sync()
    return directory.read("salt", _SALT_BYTES)
