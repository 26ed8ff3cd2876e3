"""The directory with the records of a run: an entry's own, or another that it refers to."""

from __future__ import annotations

import os

from loghc.entry.directory import Directory
from loghc.entry.memory import RUN_PREFIX
from loghc.entry.processes import boot_id
from loghc.portable import layout

__all__ = ["delete_rings", "remove", "rings_of", "where"]


def delete_rings(directory: Directory) -> None:
    """Delete the records that are in a directory."""
    for name in directory.names():
        if name.endswith((layout.SUFFIX, layout.PRINTED_SUFFIX)):
            directory.delete(name)


def where(run: Directory) -> dict[str, str]:
    """The fields that identify a run directory."""
    device, inode = run.identity
    return {"rings": run.path, "boot": boot_id(), "device": str(device), "inode": str(inode)}


def rings_of(directory: Directory, fields: dict[str, str]) -> Directory | None:
    """The directory with the records of an entry, which may be its own; None if it is gone.

    In memory, where others may make directories as well, another one may be in its place.
    """
    path = fields.get("rings") or directory.path
    if path == directory.path:
        return directory
    if not os.path.basename(path).startswith(RUN_PREFIX):
        return None
    try:
        found = Directory(path)
    except OSError:
        return None
    if not _is(found, fields):
        found.close()
        return None
    return found


def remove(directory: Directory, fields: dict[str, str]) -> None:
    """Delete an entry, and the run directory that it refers to."""
    rings = rings_of(directory, fields)
    if rings is not None and rings is not directory:
        rings.remove()
        rings.close()
    directory.remove()


def _is(run: Directory, fields: dict[str, str]) -> bool:
    """Whether a run directory is the one that an entry was made for, not one made later there."""
    known = where(run)
    same_boot = fields.get("boot") == known["boot"]
    known_by = ("inode", "device") if same_boot else ("inode",)  # disks may be renumbered
    return all(fields.get(key) == known[key] for key in known_by)
