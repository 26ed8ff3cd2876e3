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

_MAX_OF_CHECK = 20  # entries of the dead that are kept of a check
_CHECK_DIGITS = 16  # of its hash
_MAX_NOTED = 64  # entries of the living
_NEWEST_BYTES = 1 << 16
_SALT_BYTES = 16


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
        run.write(REFERRED_TO, b"")
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
        for changed, name in entries(self.directory.descriptor):
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
        if len(entry_names(self.directory.descriptor)) > _MAX_OF_CHECK:
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
        for _, name in entries(self.directory.descriptor):
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
        clean(self.directory.path)


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
