"""The run directory may be deleted while the program runs, as logind does at the last logout."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import complaints
from loghc.ping import Event
from processes import RUN, TIMEOUT, needs_posix, started
from waiting import wait_until

pytestmark = needs_posix

PROGRAM = """
    import os, shutil, subprocess, sys, time
    from loguru import logger
    logger.info("sync.start")
    while not os.path.exists("go"):
        time.sleep(0.01)
    logger.info("before")
    shutil.rmtree(os.environ["LOGHC_RUN"])
    logger.info("while it is gone")
    while not os.path.exists(os.environ["LOGHC_RUN"] + "/config"):
        time.sleep(0.01)
    source = "from loguru import logger; logger.info('from another process')"
    subprocess.run([sys.executable, "-c", source], check=True)
    {end}
    """


def holds_a_ring(pid):
    held = Path(f"/proc/{pid}/fd").iterdir()
    return any(path.is_symlink() and path.readlink().suffix == ".ring" for path in held)


@pytest.fixture
def lose(receiver, program, tmp_path):
    def lose_(end, *options):
        process = started(*RUN, *options, program(PROGRAM.format(end=end)), cwd=tmp_path)
        receiver.wait(1, timeout=TIMEOUT)
        wait_until(lambda: holds_a_ring(process.pid), TIMEOUT)
        (tmp_path / "go").touch()
        _, err = process.communicate(timeout=TIMEOUT)
        assert process.returncode == 0
        return err

    return lose_


@pytest.mark.parametrize("option", [None, "--markers-only"])
def test_a_good_run_stays_one_and_its_log_is_whole(receiver, lose, option):
    err = lose("logger.info('sync.done')", *([option] if option else []))
    told = [(ping.event, ping.text[:500]) for ping in receiver.pings]
    assert [event for event, _ in told] == [Event.START, Event.SUCCESS], told
    lines = [line.rpartition(" - ")[2] for line in receiver.pings[1].text.splitlines()]
    expected = ["sync.start", "before", "while it is gone", "from another process", "sync.done"]
    assert lines == expected
    said = [line for line in complaints(err) if "was deleted" in line]
    assert len(said) == 1


@pytest.mark.parametrize("option", [None, "--markers-only"])
def test_a_failure_that_is_logged_afterwards_is_told(receiver, lose, option):
    lose("logger.error('sync.error: disk full')", *([option] if option else []))
    ends = [ping for ping in receiver.pings if ping.event.ends_run]
    assert {ping.event for ping in ends} == {Event.FAIL}
    assert "disk full" in ends[0].text
