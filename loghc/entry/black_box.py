"""The black box: what tells a run's end when its watcher couldn't, to the next one of that check.

Our directory in a state directory holds a ``salt`` and an entry for each run that is open, or whose
end could not be delivered. An entry is a directory whose ``lock`` its watcher holds as long as it
lives. Nothing in it tells the ping URL: the check is known by a salted hash.
"""

from __future__ import annotations

import contextlib
import os
import time

from loghc.entry.directory import Directory, make_directory, state_directory
from loghc.entry.processes import boot_id, living

__all__ = ["BlackBox", "Entry", "clean"]

_OLD_S = 30 * 24 * 3600  # after which nobody will claim it any more
_MAX_ENTRIES = 20  # of the dead that are kept
_YOUNG_S = 60  # in which a directory may not be complete yet
_REFERRED_TO = "referred-to"  # a file in a run directory outside of the state directory
_ENTRY = "loghc-state-"
_RUN = "loghc-run-"
_BODY = "body"
_BODY_LIMIT_BYTES = 1 << 28
_SALT_BYTES = 16


class Entry:
    """One run in a state directory, locked by this process.

    Args:
        directory: its own, or the run directory where that lies in the state directory.

    Attributes:
        fields: what is known of the run: see ``BlackBox.record``.
        body: of an end that could not be delivered; None where the run was cut off.
    """

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self.fields: dict[str, str] = {}
        self.body: bytes | None = None

    def write(
        self, fields: dict[str, str], body: bytes | None = None, *, sync: bool = True
    ) -> None:
        """Write; if ``sync``, so that a power failure doesn't undo it."""
        if body is not None:
            self.directory.write(_BODY, body)
        self.fields = fields
        self.directory.write_fields("run", fields.items(), sync=sync)

    def rings(self) -> Directory | None:
        """The run directory with the records, which may be this one; None if it is gone.

        In memory, where others may make directories as well, another one may be in its place.
        """
        path = self.fields.get("rings") or self.directory.path
        if path == self.directory.path:
            return self.directory
        if not os.path.basename(path).startswith(_RUN):
            return None
        try:
            found = Directory(path)
        except OSError:
            return None
        if not _is(found, self.fields):
            found.close()
            return None
        return found

    def is_over(self) -> bool:
        """Whether none of its processes lives on."""
        return not living(self.fields.get("rings") or self.directory.path)

    def drop_rings(self) -> None:
        """Delete the records: they are in the body now, and without secrets."""
        for name in self.directory.names():
            if name.endswith(".ring"):
                self.directory.delete(name)

    def remove(self) -> None:
        """Its end has been told."""
        rings = self.rings()
        if rings is not None and rings is not self.directory:
            rings.remove()
            rings.close()
        self.directory.remove()

    def release(self) -> None:
        """Leave it to another."""
        self.directory.close()


class BlackBox:
    """The entries of one check in a state directory.

    Args:
        path: the state directory, which is made if need be.

    Attributes:
        directory: our own in it.
        salt: for the hash that a check is known by.

    Raises:
        OSError: it can't be used.
    """

    def __init__(self, path: str) -> None:
        self.directory = state_directory(path)
        self.salt = _salt(self.directory)

    def record(self, run: Directory) -> tuple[Entry, dict[str, str]]:
        """A new entry for a run: its directory itself, where that lies in the state directory.

        Returns:
            The entry, and the fields that tell the run directory from any other.
        """
        fields = _identify(run)
        if os.path.dirname(run.path) == self.directory.path:
            return Entry(run), fields
        run.write(_REFERRED_TO, b"")
        return self.new(), fields

    def new(self) -> Entry:
        """A new entry, apart from a run directory."""
        directory = Directory(make_directory(self.directory.path, _ENTRY))
        directory.lock(create=True)
        return Entry(directory)

    def claim(self, check: str) -> list[Entry]:
        """The entries of the dead for a check, oldest first; they are locked by this process.

        A run whose processes live on, though its watcher doesn't, is not over.
        """
        claimed = []
        for _, name in _ours(self.directory.descriptor):
            entry = _open(self.directory, name)
            if entry is None:
                continue
            over = entry.body is not None or entry.is_over()
            if entry.fields.get("check") == check and over:
                claimed.append(entry)
            else:
                entry.release()
        return claimed

    def clean(self) -> None:
        """Delete what nobody claims of the entries: the old, and the oldest of many."""
        _clean(self.directory.path, self.directory.descriptor, time.time())


def clean(path: str, now: float | None = None) -> None:
    """Delete what nobody claims of entries or run directories: the old, and the oldest of many.

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
        if now - changed < _YOUNG_S:
            continue
        with contextlib.suppress(OSError):
            directory = Directory(os.path.join(path, name), parent)
            try:
                claimable = now - changed < _OLD_S and _is_claimable(directory)
                if claimable and len(found) <= _MAX_ENTRIES:
                    continue
                if directory.lock() and not living(directory.path):  # nobody uses it
                    kept += claimable
                    if not claimable or kept > _MAX_ENTRIES:
                        directory.remove()
            finally:
                directory.close()


def _is_claimable(directory: Directory) -> bool:
    return directory.has("run") or directory.has(_REFERRED_TO)


def _ours(parent: int) -> list[tuple[float, str]]:
    """The names of this user's entries and runs, oldest first, and when each changed last."""
    found = []
    for name in os.listdir(parent):
        if name.startswith((_ENTRY, _RUN)):
            with contextlib.suppress(OSError):
                status = os.stat(name, dir_fd=parent, follow_symlinks=False)
                if status.st_uid == os.geteuid():
                    found.append((status.st_mtime, name))
    return sorted(found)


def _open(parent: Directory, name: str) -> Entry | None:
    """The entry in a directory, locked; None where it is in use, or none."""
    try:
        directory = Directory(os.path.join(parent.path, name), parent.descriptor)
    except OSError:
        return None
    entry = Entry(directory)
    try:
        if directory.lock():
            entry.fields = directory.read_fields("run")
            if "event" in entry.fields and directory.has(_BODY):
                entry.body = directory.read(_BODY, _BODY_LIMIT_BYTES)
            return entry
    except OSError:
        pass
    directory.close()
    return None


def _identify(run: Directory) -> dict[str, str]:
    device, inode = run.identity
    return {"rings": run.path, "boot": boot_id(), "device": str(device), "inode": str(inode)}


def _is(run: Directory, fields: dict[str, str]) -> bool:
    """Whether a run directory is the one that an entry was made for, not one made later there."""
    known = _identify(run)
    same_boot = fields.get("boot") == known["boot"]
    told_by = ("inode", "device") if same_boot else ("inode",)  # disks may be renumbered
    return all(fields.get(key) == known[key] for key in told_by)


def _salt(directory: Directory) -> bytes:
    """The salt, made when it is first used, or where it was left incomplete."""
    with contextlib.suppress(FileNotFoundError):
        known = directory.read("salt", _SALT_BYTES)
        if len(known) == _SALT_BYTES:
            return known
        directory.delete("salt")
    # Complete, or not there at all: another watcher may do the same at this moment.
    temporary = f"salt.{os.urandom(4).hex()}"
    directory.write(temporary, os.urandom(_SALT_BYTES), sync=True)
    inside = directory.descriptor
    try:
        with contextlib.suppress(FileExistsError):
            os.link(temporary, "salt", src_dir_fd=inside, dst_dir_fd=inside)
    finally:
        directory.delete(temporary)
    directory.sync()
    return directory.read("salt", _SALT_BYTES)
