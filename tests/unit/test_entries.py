"""Entries of the dead: what is kept of one, and what it costs this process."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from loghc.entry.black_box import BlackBox
from loghc.entry.claim import Claim
from loghc.entry.directory import Directory
from loghc.entry.printed import Printed
from loghc.portable.ring import open_ring

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a run is found in /proc")


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def claim(tmp_path: Path) -> Claim:
    """A sink's entry, of whose three runs two are noted in the ring alone."""
    box = BlackBox(str(tmp_path))
    entry = box.new()
    entry.write(
        {"check": "c", "through": "0", "started": "5"}, more=[("open", "first 10.5")], sync=False
    )
    ring = open_ring(entry.directory.path, 100_000, os.getpid())
    for marker in (b"start\t\tsecond\t", b"start\t\tthird\t", b"fail\t\tthird\tdisk full"):
        ring.append_marker(marker, b"", time.monotonic_ns())
    ring.append(b"last\n", time.monotonic_ns())
    entry.release()
    (claim,) = box.claim("c")
    return claim


def test_an_entry_whose_log_is_dropped_owes_what_it_owed(claim: Claim) -> None:
    owed = claim.owed()
    assert [(each.event, each.run_id, each.cause) for each in owed] == [
        ("fail", "first", ""),
        ("fail", "second", ""),
        ("fail", "third", "disk full"),
    ]
    claim.drop_log()
    claim.release()
    assert not list(Path(claim.path).glob("*.ring"))
    directory = Directory(claim.path)
    assert directory.lock()
    after = Claim(directory)
    assert after.log_dropped
    assert after.owed() == owed
    after.release()


def test_what_is_read_of_an_entry_holds_no_descriptor(claim: Claim) -> None:
    before = open_descriptors()
    claim.owed()
    with claim.rings() as rings:
        assert rings is not None
    claim.drop_log()
    assert open_descriptors() == before
    claim.release()
    assert open_descriptors() == before - 1


@pytest.mark.parametrize("sync", [False, True])
def test_only_what_is_to_outlive_a_power_cut_waits_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, sync: bool
) -> None:
    tmp_path.chmod(0o700)
    directory = Directory(str(tmp_path))
    synced = []

    def fsync(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))

    monkeypatch.setattr(os, "fsync", fsync)
    directory.write("name", b"data", sync=sync)
    directory.close()
    assert synced == ([f"{tmp_path}/name.new", str(tmp_path)] if sync else [])


def test_a_progress_bar_leaves_room_for_the_rest() -> None:
    printed = Printed(200)
    printed.add(b"before\n", 1)
    for percent in range(100):
        printed.add(b"\r%3d %%" % percent, 1)
    printed.add(b"\n", 1)
    assert [frame.data for frame in printed.frames(unfinished=True)] == [b"before\n", b" 99 %\n"]
