"""The black box: keeps the ends that a process couldn't deliver, for the check's next start.

Our directory in a state directory holds a ``salt`` and an entry for each run that is open, or whose
end could not be delivered. An entry is a directory with a ``lock``, which its owner (a watcher, or
a sink's process) holds for as long as it lives. Nothing in it reveals the ping URL: the check is
known by a salted hash.
"""

from __future__ import annotations

import contextlib
import math
import operator
import os
from typing import TYPE_CHECKING

from loghc.entry.claim import Claim, open_claim
from loghc.entry.cleaning import clean
from loghc.entry.directory import Directory, state_directory
from loghc.entry.entries import REFERRED_TO, Entry, entries, entry_names, new_entry
from loghc.entry.run_directory import where
from loghc.service.identity import identity

if TYPE_CHECKING:
    from loghc.service.url import PingUrl

__all__ = ["BlackBox"]

_MAX_OF_CHECK = 20  # entries of dead processes that are kept for each check
_CHECK_DIGITS = 16  # of a check's hash, in a file's name
_MAX_NOTED = 64  # entries of living processes
_NEWEST_BYTES = 1 << 16
_SALT_BYTES = 16


class BlackBox:
    """The entries of one check in a state directory.

    Args:
        path: the state directory, which is created if it doesn't exist.
        sync: wait until a new salt is on the disk; if False, ``sync`` does that.

    Attributes:
        directory: our own directory in the state directory.
        salt: for the hash that a check is known by.

    Raises:
        OSError: the state directory can't be used.
    """

    def __init__(self, path: str, *, sync: bool = True) -> None:
        self.directory = state_directory(path)
        self.salt = _salt(self.directory, sync=sync)

    def check_of(self, url: PingUrl) -> str:
        """The hash that the check of a ping URL is known by in here."""
        return identity(url, self.salt)

    def record(self, run: Directory) -> tuple[Entry, dict[str, str]]:
        """A new entry for a run: the run directory itself, if that is in the state directory.

        Returns:
            The entry, and the fields that identify the run directory.
        """
        fields = where(run)
        if os.path.dirname(run.path) == self.directory.path:
            return Entry(run), fields
        run.write(REFERRED_TO, b"")
        return self.new(), fields

    def new(self) -> Entry:
        """A new entry in a directory of its own, apart from a run directory."""
        directory = new_entry(self.directory.path)
        directory.lock(create=True)
        return Entry(directory)

    def claim(self, check: str) -> list[Claim]:
        """Lock the entries that dead processes left for a check; returns them, oldest first.

        A run isn't over while one of its processes lives, even if its watcher is dead. Of more than
        20 entries the newest 20 stay; the rest are deleted, and counted in the oldest of those.
        """
        claimed = []
        for changed, name in entries(self.directory.descriptor):
            claim = open_claim(self.directory, name)
            if claim is None:
                continue
            if claim.fields.get("check") == check and claim.is_over():
                # Counting others in an entry changes its directory, but doesn't make it newer.
                claimed.append((claim.since or changed, claim))
            else:
                claim.release()
        claims = [claim for _, claim in sorted(claimed, key=operator.itemgetter(0))]
        surplus, kept = claims[:-_MAX_OF_CHECK], claims[-_MAX_OF_CHECK:]
        for claim in surplus:
            kept[0].count(claim)
        return kept

    def bound(self, check: str) -> None:
        """Count the oldest entries of dead processes in newer ones, before another one is made.

        A program that dies at once at each start never gets to claim any.
        """
        if len(entry_names(self.directory.descriptor)) > _MAX_OF_CHECK:
            for claim in self.claim(check):
                claim.release()

    def note_end(self, check: str, happened: float) -> None:
        """Note that an end of a check was delivered, and which entries' processes live now.

        A process that lives now dies later than that end, whatever its last record says.

        Args:
            check: the check.
            happened: when the end came, in seconds of the wall clock.
        """
        with contextlib.suppress(OSError):
            if happened > self.newest_end(check)[0]:
                text = " ".join([f"{happened:.6f}", *self._living()[-_MAX_NOTED:]])
                self.directory.write(_newest(check), text.encode())

    def newest_end(self, check: str) -> tuple[float, list[str]]:
        """The newest end that was delivered for a check, as ``note_end`` noted it.

        Returns:
            When it came, in seconds of the wall clock, -inf for never; and the names of the entries
            whose processes lived when it was noted.
        """
        with contextlib.suppress(OSError, ValueError):
            text = self.directory.read(_newest(check), _NEWEST_BYTES).decode("ascii")
            time_, *names = text.split()
            return float(time_), names
        return -math.inf, []

    def _living(self) -> list[str]:
        living_ = []
        for _, name in entries(self.directory.descriptor):
            claim = open_claim(self.directory, name)
            if claim is None or not claim.is_over():
                living_.append(name)
            if claim is not None:
                claim.release()
        return living_

    def sync(self) -> None:
        """Sync the salt, and the list of entries, to the disk."""
        self.directory.sync_file("salt")
        self.directory.sync()

    def close(self) -> None:
        """Close the directory."""
        self.directory.close()

    def clean(self) -> None:
        """Delete the entries that nobody will claim, and the oldest logs if there are many."""
        clean(self.directory.path)


def _newest(check: str) -> str:
    return f"newest-{check[:_CHECK_DIGITS]}"


def _salt(directory: Directory, *, sync: bool) -> bytes:
    """The salt, which is made at its first use, and again if it was left incomplete."""
    with contextlib.suppress(FileNotFoundError):
        known = directory.read("salt", _SALT_BYTES)
        if len(known) == _SALT_BYTES:
            return known
        directory.delete("salt")
    # It appears complete or not at all: another process may do the same at this moment.
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
