"""What an end means under `loghc run`: verdicts by exit status, and ends without one."""

from __future__ import annotations

import pytest

from loghc.ping import Event
from loghc.testing import PingReceiver
from processes import RUN, events, needs_posix, run

pytestmark = needs_posix

START = (Event.START, None)
LOG = (Event.LOG, None)
SUCCESS = (Event.SUCCESS, None)
FAIL = (Event.FAIL, None)


@pytest.mark.parametrize(
    ("options", "status", "told"),
    [
        (["--status", "75=log"], 75, [LOG]),
        (["--status", "75=log"], 0, [SUCCESS]),
        (["--status", "75=log"], 3, [(Event.FAIL, 3)]),
        (["--status", "3,4=success", "--status=5=fail"], 4, [START, SUCCESS]),
        (["--status", "0=fail"], 0, [START, FAIL]),
        (["--status", "3=success", "--ok-status", "4"], 4, [START, SUCCESS]),
        (["--on-failure", "log"], 3, [LOG]),
        (["--on-failure=log"], 0, [SUCCESS]),
        (["--on-failure=log", "--status", "9=fail"], 9, [(Event.FAIL, 9)]),
        (["--on-failure=log", "--ok-status", "9"], 9, [SUCCESS]),
    ],
    ids=str,
)
def test_a_verdict_by_exit_status(receiver: PingReceiver, tmp_path, options, status, told):
    done = run(*RUN, *options, "sh", "-c", f"exit {status}", cwd=tmp_path)
    assert done.returncode == status
    assert events(receiver) == told
    if told == [LOG]:
        assert f"loghc: exit status {status}" in receiver.pings[0].text
        assert "no verdict" in receiver.pings[0].text
        # A check that was never told of a start waits for no end.
        assert receiver.state == "new"


def test_a_signal_may_be_no_verdict(receiver, tmp_path):
    run(*RUN, "--status", "143=log", "sh", "-c", "kill $$", cwd=tmp_path)
    assert events(receiver) == [LOG]
    assert "ended by SIGTERM" in receiver.pings[0].text


def test_a_failure_that_others_try_again_is_a_log_with_its_traceback(receiver, program, tmp_path):
    name = program(
        """
        from loguru import logger
        logger.error("sync.error: lost")
        raise ValueError("the cause")
        """
    )
    assert run(*RUN, "--on-failure=log", name, cwd=tmp_path).returncode == 1
    assert events(receiver) == [LOG, LOG]
    assert "sync.error: lost" in receiver.pings[0].text
    assert "ValueError: the cause" in receiver.pings[1].text


def test_runs_between_markers_follow(receiver, program, tmp_path):
    name = program(
        """
        from loguru import logger
        logger.info("sync.start")
        logger.error("sync.error")
        logger.info("sync.start")
        raise SystemExit(3)
        """
    )
    run(*RUN, "--on-failure=log", "--markers-only", name, cwd=tmp_path)
    assert events(receiver) == [LOG, LOG]


def test_no_verdict_takes_no_failure_back(receiver, program, tmp_path):
    name = program("from loguru import logger\nlogger.error('sync.error')\nraise SystemExit(75)")
    run(*RUN, "--status", "75=log", name, cwd=tmp_path)
    assert events(receiver) == [FAIL, LOG]
    assert receiver.state == "down"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--status", "3"], "--status: expected N=VERDICT, with one of success, fail, log"),
        (["--status", "3=good"], "--status: expected N=VERDICT"),
        (["--status", "300=log"], "--status: expected an exit status from 0 to 255, not 300"),
        (["--on-failure", "success"], "--on-failure: expected fail or log"),
        (["--status", "75=log", "--events", "start"], "nothing would be sent"),
    ],
    ids=str,
)
def test_a_verdict_that_can_not_be_is_refused(receiver, tmp_path, args, said):
    done = run(*RUN, *args, "true", cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert receiver.requests == ()
