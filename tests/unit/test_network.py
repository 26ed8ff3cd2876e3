"""Which file system a directory is on."""

from __future__ import annotations

import io

import pytest

from loghc.entry import memory

MOUNTS = rb"""/dev/sda1 / ext4 rw 0 0
server:/a /mnt nfs4 rw 0 0
tmpfs /mnt/local tmpfs rw 0 0
//server/b /mnt/local/with\040space cifs rw 0 0
server:/c /over nfs rw 0 0
/dev/sdb1 /over ext4 rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", False),
        ("/srv/state", False),
        ("/mnt", True),
        ("/mnt/state", True),
        ("/mnt2/state", False),
        ("/mnt/local", False),
        ("/mnt/local/state", False),
        ("/mnt/local/with space/state", True),
        ("/over/state", False),
    ],
)
def test_the_innermost_and_newest_mount_decides(
    path: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "open", lambda *_: io.BytesIO(MOUNTS), raising=False)
    assert memory.on_network(path) is expected


@pytest.mark.parametrize("mounts", [b"no fields\n", None])
def test_where_nothing_tells_it_is_local(
    mounts: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(*_: str) -> io.BytesIO:
        if mounts is None:
            raise FileNotFoundError
        return io.BytesIO(mounts)

    monkeypatch.setattr(memory, "open", opened, raising=False)
    assert memory.on_network("/mnt") is False
