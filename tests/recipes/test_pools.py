"""The recipes for pools of processes, against a service that is slow."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from loghc.ping import Event
from loghc.testing import Fault, PingReceiver
from pings import runs
from processes import needs_posix
from recipe_files import MARKERS_ONLY, copied, ended, running, said

pytestmark = [needs_posix, pytest.mark.slow]

ALONE = (sys.executable,)
RUN = [Event.START, Event.SUCCESS]


@pytest.mark.parametrize(
    ("name", "before", "needs"),
    [
        ("pool.py", ALONE, "multiprocessing"),
        ("pool.py", MARKERS_ONLY, "multiprocessing"),
        ("executor.py", ALONE, "concurrent"),
        ("joblib_runs.py", MARKERS_ONLY, "joblib"),
        ("dask_runs.py", MARKERS_ONLY, "distributed"),
    ],
    ids=["Pool", "Pool, watched", "ProcessPoolExecutor", "joblib", "dask"],
)
def test_each_item_is_a_run(
    name: str, before: tuple[str, ...], needs: str, receiver: PingReceiver, tmp_path: Path
) -> None:
    pytest.importorskip(needs)
    receiver.always(Fault(delay=0.5))
    with running(*before, str(copied(name, tmp_path)), cwd=tmp_path) as process:
        assert ended(process) == 0, said(tmp_path)
    assert runs(receiver) == [RUN] * 3, said(tmp_path)


@pytest.mark.parametrize("name", ["pool.py", "executor.py"])
def test_or_the_whole_is_one_run_with_the_log_of_all(
    name: str, receiver: PingReceiver, tmp_path: Path
) -> None:
    copy = copied(name, tmp_path)
    with running("loghc", "run", str(copy), cwd=tmp_path) as process:
        assert ended(process) == 0, said(tmp_path)
    assert runs(receiver) == [RUN]
    assert receiver.pings[1].text.count("- sync.done\n") == 3
