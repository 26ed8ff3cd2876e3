"""The run directory: what in it makes it one."""

from __future__ import annotations

import shutil
from pathlib import Path

from loghc.watch.run_directory import RunDirectory
from processes import needs_posix

pytestmark = needs_posix


def test_a_run_directory_without_its_channel_is_deleted_and_is_made_anew(tmp_path: Path) -> None:
    directory = RunDirectory(str(tmp_path))
    assert not directory.deleted
    (Path(directory.path) / "channel").unlink()
    assert directory.deleted
    directory.make_anew()
    assert not directory.deleted
    shutil.rmtree(directory.path)
    assert directory.deleted
    directory.close()
