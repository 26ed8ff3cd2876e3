"""Deletes the entries and run directories that nobody will claim."""

from __future__ import annotations

import contextlib
import os
import time

from loghc.entry.claim import Claim
from loghc.entry.directory import Directory
from loghc.entry.entries import GUARDED_PREFIX, REFERRED_TO, entries
from loghc.entry.processes import lives, living, may_live

__all__ = ["clean"]

_OLD_S = 30 * 24 * 3600  # an entry that is older than this won't be claimed
_MAX_BYTES = 10_000_000  # of the logs of all dead processes together
_YOUNG_S = 60  # a directory that is younger may not be complete yet


def clean(path: str) -> None:
    """Delete entries and run directories that nobody will claim, and the oldest of many logs.

    Nobody claims a run directory that no entry refers to, once its run is over.

    Args:
        path: the directory that they are in. It may belong to anybody.
    """
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _clean(path, descriptor, time.time())
        finally:
            os.close(descriptor)


def _clean(path: str, parent: int, now: float) -> None:
    found = entries(parent)
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
    return directory.has("run") or directory.has(REFERRED_TO)


def _is_used(directory: Directory) -> bool:
    if _is_guarded(directory):
        return directory.has("run") and may_live(directory.read_fields("run"))
    return bool(living(directory.path))
