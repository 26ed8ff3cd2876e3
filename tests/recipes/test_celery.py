"""The recipes for Celery in README.md, run with a broker of files and a service that is slow."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from loghc.ping import Event
from loghc.testing import Fault, PingReceiver
from processes import TIMEOUT, needs_posix

pytest.importorskip("celery")
pytestmark = [needs_posix, pytest.mark.slow]

PAGE = (Path(__file__).parent / "README.md").read_text(encoding="utf-8")
SECTION = re.split(r"^## (.*)\n", PAGE, flags=re.MULTILINE)
SECTION = SECTION[SECTION.index("Celery") + 1]
TASKS, WITHOUT_LOGHC_RUN = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
(COMMAND,) = re.findall(r"```sh\n(.*)\n```", SECTION)

# Celery's default loader finds this module in the working directory.
CONFIGURATION = """
broker_url = "filesystem://"
broker_transport_options = {
    "data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control"
}
task_ignore_result = True
broker_connection_retry_on_startup = True
"""

SEND = "from shop import sync\nfor _ in range(6): sync.delay()"


@pytest.mark.parametrize("options", [["-c", "2"], ["-c", "2", "--max-tasks-per-child=1"]])
@pytest.mark.parametrize(
    ("tasks", "command"),
    [(TASKS, COMMAND), (TASKS + WITHOUT_LOGHC_RUN, COMMAND[COMMAND.index("celery") :])],
    ids=["under loghc run", "alone"],
)
def test_each_task_is_a_run_whose_pings_all_arrive(
    receiver: PingReceiver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tasks: str,
    command: str,
    options: list[str],
) -> None:
    monkeypatch.setenv("CELERY_LOADER", "default")
    for folder in ("queue", "control"):
        (tmp_path / folder).mkdir()
    (tmp_path / "celeryconfig.py").write_text(CONFIGURATION, encoding="utf-8")
    (tmp_path / "shop.py").write_text(tasks, encoding="utf-8")
    python = [sys.executable, "-c", SEND]
    subprocess.run(python, cwd=tmp_path, check=True, timeout=TIMEOUT, capture_output=True)
    receiver.always(Fault(delay=0.5))

    program, *arguments = shlex.split(command)
    worker = subprocess.Popen(
        [str(Path(sys.executable).with_name(program)), *arguments, *options],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        receiver.wait(6, timeout=TIMEOUT)  # in the middle of it
        while any((tmp_path / "queue").iterdir()):
            receiver.wait(len(receiver.pings) + 1, timeout=TIMEOUT)
        worker.send_signal(signal.SIGTERM)
        _, said = worker.communicate(timeout=TIMEOUT)
    finally:
        worker.kill()
        worker.wait()

    assert worker.returncode == 0, said
    runs = defaultdict(list)
    for ping in receiver.pings:
        runs[ping.run_id].append(ping.event)
    assert list(runs.values()) == [[Event.START, Event.SUCCESS]] * len(runs), said
    assert len(runs) == 6
