"""What people suffered with other tools, by the trackers of the field, and must not suffer here.

README.md beside this lists all reports, with the tests that hold each. Here
are those that have none elsewhere.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest
from loguru import logger

from loghc import Event, HealthSink
from loghc.testing import PingReceiver
from processes import RUN, TIMEOUT, events, first_process, needs_posix, run, started
from waiting import wait_until_gone

FOLDER = Path(__file__).parent
GOOD = [(Event.START, None), (Event.SUCCESS, None)]


@pytest.mark.parametrize(
    "line",
    [
        "password=tr0ub4dor password_confirmation=tr0ub4dor",
        '{"password": "tr0ub4dor", "confirm_password": "tr0ub4dor"}',
        "{'new_password': 'tr0ub4dor', 'new_password_confirmation': 'tr0ub4dor'}",
        "password: tr0ub4dor, again: tr0ub4dor",
    ],
)
def test_a_password_that_was_typed_twice_is_masked_twice(line: str, receiver: PingReceiver) -> None:
    """paperclip 4759, xcat-core 6516, OneUptime 3360."""
    sink = HealthSink(receiver.url)
    logger.add(sink, format="{message}")
    logger.info(line)
    logger.info("sync.done")
    assert sink.wait(TIMEOUT)
    assert receiver.pings[0].text.count("[redacted]") == 2
    assert "tr0ub4dor" not in receiver.pings[0].text


@needs_posix
@pytest.mark.parametrize("killed", ["one by one", "with their container"])
def test_the_last_printed_lines_survive_the_death_of_everything(
    killed: str, receiver: PingReceiver, tmp_path: Path
) -> None:
    """neo4j-python-driver 816, circus 557: the process and what had its output, by SIGKILL."""
    container = first_process(tmp_path) if killed == "with their container" else ()
    command = (*container, *RUN, "--state", str(tmp_path / "state"), "--output")
    watcher = started(*command, "sh", "-c", "echo copied 6; echo copied 7; exec sleep 99",
                      cwd=tmp_path)  # fmt: skip
    assert watcher.stdout is not None
    while "copied 7" not in watcher.stdout.readline():
        pass
    (start,) = receiver.wait(1, timeout=TIMEOUT)
    if container:
        watcher.kill()
    else:
        children = descendants(watcher.pid)
        assert len(children) >= 3  # the program, and a drain for each stream
        for pid in (watcher.pid, *children):
            os.kill(pid, signal.SIGKILL)
        for pid in children:
            wait_until_gone(pid)
    watcher.communicate(timeout=TIMEOUT)
    run(*command, "true", cwd=tmp_path)
    late = receiver.wait(4, timeout=TIMEOUT)[1]
    assert (late.event, late.run_id) == (Event.FAIL, start.run_id)
    assert late.text.startswith("cut off: loghc ")
    assert late.text.endswith("copied 6\ncopied 7\n")


def descendants(pid: int) -> list[int]:
    own = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [each for child in map(int, own.split()) for each in (child, *descendants(child))]


@needs_posix
def test_stopping_takes_no_longer_than_the_program_does(
    receiver: PingReceiver, tmp_path: Path
) -> None:
    """dockerize 12, scrutiny 597: ten seconds until the container's supervisor killed it."""
    with started(*RUN, "sh", "-c", "echo up; exec sleep 60", cwd=tmp_path) as watcher:
        assert watcher.stdout is not None
        watcher.stdout.readline()
        began = time.monotonic()
        watcher.terminate()
        assert watcher.wait(TIMEOUT) == -signal.SIGTERM
        assert time.monotonic() - began < 5
    assert events(receiver)[-1] == (Event.FAIL, 128 + signal.SIGTERM)


@needs_posix
def test_what_was_printed_before_a_kill_is_there_if_python_does_not_buffer_it(
    receiver: PingReceiver, tmp_path: Path
) -> None:
    """openfe 468, ps_mem 46: Python buffers what it prints to a pipe."""
    text = "import os; print('step 3'); os.kill(os.getpid(), 9)"
    run(*RUN, "--output", "-c", text, cwd=tmp_path, env={"PYTHONUNBUFFERED": "1"})
    assert events(receiver)[-1] == (Event.FAIL, 137)
    assert "step 3" in receiver.pings[-1].text


@needs_posix
def test_streams_stay_apart_and_keep_their_colours(receiver: PingReceiver, tmp_path: Path) -> None:
    """supercronic 16, 40, 55; go-task 779."""
    script = r"printf '\033[32mgood\033[0m\n'; printf '\033[31mbad\033[0m\n' >&2"
    done = run(*RUN, "--output", "sh", "-c", script, cwd=tmp_path)
    assert done.stdout == "\033[32mgood\033[0m\n"
    assert done.stderr == "\033[31mbad\033[0m\n"
    assert events(receiver) == GOOD


@needs_posix
def test_a_line_longer_than_a_pipe_holds_passes(receiver: PingReceiver, tmp_path: Path) -> None:
    """supercronic 13, shell-operator 297: over 64 KiB it hung."""
    done = run(*RUN, "--output", "-c", "print('x' * 1_000_000 + 'end')", cwd=tmp_path)
    assert done.stdout == "x" * 1_000_000 + "end\n"
    assert receiver.pings[-1].event is Event.SUCCESS
    assert receiver.pings[-1].text.endswith("xend\n")


@needs_posix
@pytest.mark.parametrize(
    ("command", "status", "reason"),
    [
        (["no-such-tool"], 127, "no-such-tool can't be started: command not found"),
        (["moved.py"], 127, "moved.py can't be started"),
        (["./plain"], 126, "Permission denied"),
        (["sh", "-c", "kill -HUP $$"], 129, "SIGHUP"),
        (["sh", "-c", "exit 127"], 127, "exit status 127"),
    ],
)
def test_what_could_not_start_or_was_killed_is_no_success(
    command: list[str], status: int, reason: str, receiver: PingReceiver, tmp_path: Path
) -> None:
    """openclaw 24613, fsarchiver 127."""
    (tmp_path / "plain").write_text("no program")
    done = run(*RUN, *command, cwd=tmp_path)
    assert done.returncode % 256 in (status, -(status - 128) % 256)
    assert events(receiver)[-1] == (Event.FAIL, status)
    assert reason in receiver.pings[-1].text.splitlines()[0]


@needs_posix
def test_a_command_line_given_as_one_word_is_answered_with_what_was_meant(
    receiver: PingReceiver, tmp_path: Path
) -> None:
    """cronitor-cli 15."""
    done = run(*RUN, "rsync -a photos backup:", cwd=tmp_path)
    assert done.returncode == 127
    assert "did you mean" in done.stderr
    assert events(receiver)[-1] == (Event.FAIL, 127)


@needs_posix
def test_a_job_that_went_well_makes_cron_send_no_mail(
    receiver: PingReceiver, tmp_path: Path
) -> None:
    """healthchecks 37: whatever is printed is mailed."""
    text = "import time; time.sleep(1.2)"
    for program in (["true"], [sys.executable, "-c", text]):
        done = run(*RUN, *program, cwd=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert events(receiver) == GOOD * 2


def test_each_test_in_the_list_is_there() -> None:
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    tests = "\n".join(
        file.read_text(encoding="utf-8") for file in FOLDER.parent.glob("**/test_*.py")
    )
    rows = [line for line in page.splitlines() if line.startswith("| ")][2:]
    assert len(rows) == 37
    for row in rows:
        names = re.findall(r"`(test_\w+)`", row)
        assert names, row
        for name in names:
            assert f"def {name}(" in tests, name
