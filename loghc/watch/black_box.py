"""The black box: what tells a run's end when its watcher couldn't, to the next one of that check.

A state directory holds a ``salt`` and an entry for each run that is open, or whose end could not be
delivered. An entry is a directory whose ``lock`` its watcher holds as long as it lives. Nothing in
it tells the ping URL: the check is known by a salted hash.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

from loghc.watch.processes import living
from loghc.watch.run_directory import (
    PREFIX,
    RunDirectory,
    lock,
    make_directory,
    read_fields,
    remove,
    write_fields,
)

__all__ = ["BlackBox", "Entry", "clean"]

_OLD = 30 * 24 * 3600  # seconds after which nobody will claim it any more
_MOST = 20  # entries of the dead that are kept
_YOUNG = 60  # seconds in which a directory may not be complete yet
_REFERRED_TO = "referred-to"  # a file in a run directory outside of the state directory
_ENTRY = "loghc-state-"
_SALT = 16  # bytes


class Entry:
    """One run in a state directory, locked by this process.

    Attributes:
        path: its directory.
        fields: what is known of the run: see ``BlackBox.record``.
        body: of an end that could not be delivered; None where the run was cut off.
    """

    def __init__(self, path: str, descriptor: int | None) -> None:
        self.path = path
        self._descriptor = descriptor
        self.fields: dict[str, str] = {}
        self.body: bytes | None = None

    def write(
        self, fields: dict[str, str], body: bytes | None = None, *, sync: bool = True
    ) -> None:
        """Write; if ``sync``, so that a power failure doesn't undo it."""
        if body is not None:
            path = os.path.join(self.path, "body")
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(body)
        self.fields = fields
        write_fields(os.path.join(self.path, "run"), fields.items(), sync=sync)
        if sync:
            _sync_directory(self.path)

    @property
    def rings(self) -> str:
        """The run directory with the records, which may be this one."""
        return self.fields.get("rings") or self.path

    def drop_rings(self) -> None:
        """Delete the records: they are in the body now, and without secrets."""
        for entry in os.scandir(self.path):
            if entry.name.endswith(".ring"):
                with contextlib.suppress(OSError):
                    os.unlink(entry.path)

    def remove(self) -> None:
        """Its end has been told."""
        if self.rings != self.path and os.path.basename(self.rings).startswith(PREFIX):
            remove(self.rings)
        remove(self.path)

    def release(self) -> None:
        """Leave it to another."""
        if self._descriptor is not None:
            os.close(self._descriptor)


class BlackBox:
    """The entries of one check in a state directory.

    Args:
        directory: is made if need be.

    Raises:
        OSError: it can't be used.
    """

    def __init__(self, directory: str) -> None:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        self.directory = os.path.abspath(directory)
        self.salt = _salt(os.path.join(self.directory, "salt"))

    def record(self, run: RunDirectory) -> Entry:
        """A new entry for a run: its directory itself, where that lies in the state directory."""
        if os.path.dirname(run.path) == self.directory:
            return Entry(run.path, run.lock)
        os.close(os.open(os.path.join(run.path, _REFERRED_TO), os.O_WRONLY | os.O_CREAT, 0o600))
        return self.new()

    def new(self) -> Entry:
        """A new entry, apart from a run directory."""
        path = make_directory(self.directory, _ENTRY)
        return Entry(path, lock(path, create=True))

    def claim(self, check: str) -> list[Entry]:
        """The entries of the dead for a check, oldest first; they are locked by this process.

        A run whose processes live on, though its watcher doesn't, is not over.
        """
        claimed = []
        for path in self._dead():
            entry = _opened(path)
            if entry is None:
                continue
            over = entry.body is not None or not living(entry.rings)
            if entry.fields.get("check") == check and over:
                claimed.append(entry)
            else:
                entry.release()
        return claimed

    def _dead(self) -> Iterator[str]:
        return (path for _, path in _directories(self.directory, (_ENTRY, PREFIX)))


def clean(directory: str, now: float | None = None) -> None:
    """Delete what nobody claims of entries or run directories: the old, and the oldest of many.

    A run directory that no entry refers to is nobody's as soon as its run is over.
    """
    now = time.time() if now is None else now
    found = _directories(directory, (_ENTRY, PREFIX))
    kept = 0
    for changed, path in reversed(found):
        age = now - changed
        claimable = age < _OLD and _is_claimable(path)
        if age < _YOUNG or (claimable and len(found) <= _MOST):
            continue
        with contextlib.suppress(OSError):
            descriptor = lock(path)
            if descriptor is not None:  # nobody uses it
                if not living(path):
                    kept += claimable
                    if not claimable or kept > _MOST:
                        remove(path)
                os.close(descriptor)


def _is_claimable(path: str) -> bool:
    return any(os.path.exists(os.path.join(path, name)) for name in ("run", _REFERRED_TO))


def _directories(directory: str, prefixes: tuple[str, ...]) -> list[tuple[float, str]]:
    """This user's directories of ours, with the time of their last change, oldest first."""
    found = []
    with contextlib.suppress(OSError):
        for entry in os.scandir(directory):
            if entry.name.startswith(prefixes) and entry.is_dir(follow_symlinks=False):
                status = entry.stat(follow_symlinks=False)
                if status.st_uid == os.geteuid():
                    found.append((status.st_mtime, entry.path))
    return sorted(found)


def _opened(path: str) -> Entry | None:
    """The entry in a directory, locked; None where it is in use, or none."""
    try:
        descriptor = lock(path)
    except OSError:
        return None
    if descriptor is None:
        return None
    entry = Entry(path, descriptor)
    try:
        entry.fields = read_fields(os.path.join(path, "run"))
    except OSError:
        entry.release()
        return None
    with contextlib.suppress(OSError), open(os.path.join(path, "body"), "rb") as file:
        entry.body = file.read() if "event" in entry.fields else None
    return entry


def _salt(path: str) -> bytes:
    """The state directory's salt, made when it is first used, or where it was left incomplete."""
    known = _read(path)
    if len(known) == _SALT:
        return known
    # Complete, or not there at all: another watcher may do the same at this moment.
    temporary = f"{path}.{os.urandom(4).hex()}"
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(os.urandom(_SALT))
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)
    except FileExistsError:
        if len(_read(path)) != _SALT:
            os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
    _sync_directory(os.path.dirname(path))
    return _read(path)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


def _sync_directory(path: str) -> None:
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
