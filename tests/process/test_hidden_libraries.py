"""Files beside a script that have the name of a library: they are the program's, not loghc's."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import RunScript
from loghc.testing import PingReceiver

SCRIPT = """
import sys
from loguru import logger
from loghc import HealthSink

sink = HealthSink(sys.argv[1], drain=5)
logger.add(sink)
logger.info("sync.start")
print(sink.wait(10), sink.stats.delivered)
"""


@pytest.mark.parametrize("name", ["http", "queue", "urllib3"])
def test_a_file_named_like_what_sends_pings_is_not_run_and_said(
    name: str, ping_receiver: PingReceiver, run_script: RunScript, tmp_path: Path
) -> None:
    (tmp_path / f"{name}.py").write_text("print('run')\n")
    done = run_script(SCRIPT, ping_receiver.url)
    assert done.stdout == "True 0\n"
    assert f"{name}.py hides a library that sends pings. Rename that file." in done.stderr


@pytest.mark.parametrize("name", ["secrets", "uuid"])
def test_other_names_are_no_obstacle(
    name: str, ping_receiver: PingReceiver, run_script: RunScript, tmp_path: Path
) -> None:
    (tmp_path / f"{name}.py").write_text("print('run')\n")
    done = run_script("import loguru\n" + SCRIPT, ping_receiver.url)
    assert done.stdout.splitlines()[-1] == "True 1", done.stderr
