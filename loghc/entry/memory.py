"""Where a ring may be: in memory or on a disk, but not on a network file system."""

from __future__ import annotations

import os

from loghc.entry.directory import Directory, make_directory

__all__ = ["RUN_PREFIX", "memory_directory", "on_network", "run_directory"]

RUN_PREFIX = "loghc-run-"

_IN_MEMORY = "/dev/shm"  # noqa: S108 - the directory made in it is the user's alone
_ROOM_BYTES = 32 * 2**20  # that have to be free there; containers have 64 MB by default
_NETWORK = frozenset(
    b"nfs nfs4 cifs smb3 smbfs 9p afs ceph glusterfs lustre gpfs beegfs fuse.sshfs "
    b"fuse.glusterfs fuse.ceph fuse.s3fs fuse.gcsfuse fuse.rclone fuse.juicefs".split()
)


def memory_directory() -> str:
    """A directory in memory where there is one with room, else the one for temporary files."""
    try:
        room = os.statvfs(_IN_MEMORY)
        free = room.f_bavail * room.f_frsize
        if os.access(_IN_MEMORY, os.W_OK | os.X_OK) and free >= _ROOM_BYTES:
            return _IN_MEMORY
    except OSError:
        pass
    for name in ("TMPDIR", "TEMP", "TMP"):  # as the tempfile module looks for it
        path = os.environ.get(name)
        if path and os.access(path, os.W_OK | os.X_OK):
            return os.path.abspath(path)
    return "/tmp"  # noqa: S108


def run_directory(parent: str) -> Directory:
    """A new directory for rings alone, locked."""
    directory = Directory(make_directory(parent, RUN_PREFIX))
    directory.lock(create=True)
    return directory


def on_network(path: str) -> bool:
    """Whether a directory is on a network file system, as far as the system shows."""
    real = os.fsencode(os.path.realpath(path))
    found, kind = b"", b""
    try:
        with open("/proc/self/mounts", "rb") as file:
            for line in file:
                _, point, name, *_ = line.split(b" ")
                point = point.replace(b"\\040", b" ")
                inside = real == point or real.startswith(point.rstrip(b"/") + b"/")
                if inside and len(point) >= len(found):
                    found, kind = point, name
    except (OSError, ValueError):
        return False
    return kind in _NETWORK
