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
        (["--status", "3=4=fail"], "--status: expected N=VERDICT"),
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


# What a run has to say

LOGS = """
from loguru import logger
logger.info("made {}", "snapshot 7 of /home")
for number in range(3000):  # far more than is kept
    logger.info("copied {}", number)
"""


@pytest.mark.parametrize(
    ("options", "event"),
    [
        (["--expect", "snapshot 7"], Event.SUCCESS),
        (["--expect", "snapshot 8"], Event.FAIL),
        (["--expect", "snapshot", "--expect", "copied 2999"], Event.SUCCESS),
        (["--expect", "snapshot", "--expect", "copied 3000"], Event.FAIL),
        (["--expect-re", r"snapshot \d of .home$"], Event.SUCCESS),
        (["--expect-re", r"^snapshot \d"], Event.FAIL),
        (["--expect", "snapshot", "--level", "ERROR"], Event.FAIL),
    ],
    ids=str,
)
def test_a_run_that_never_said_it_failed(receiver, program, tmp_path, options, event):
    done = run(*RUN, "--limit", "2k", *options, program(LOGS), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert events(receiver) == [START, (event, None)]
    text = receiver.pings[1].text
    assert "snapshot 7 of" not in text  # not looked for in the tail
    assert ("ended with 0, but never said" in text) == (event is Event.FAIL)


def test_what_was_never_said_is_named(receiver, tmp_path):
    run(*RUN, "--output", "--expect", "snapshot", "true", cwd=tmp_path)
    assert receiver.pings[1].text.startswith('ended with 0, but never said "snapshot"')


def test_any_process_may_say_it_and_each_later_record_is_kept(receiver, program, tmp_path):
    name = program(
        """
        import os
        from loguru import logger
        logger.info("parent")
        if os.fork() == 0:
            logger.info("a snapshot")
            logger.info("child's last")
            os._exit(0)
        os.wait()
        logger.info("last")
        """
    )
    run(*RUN, "--expect", "snapshot", name, cwd=tmp_path)
    assert events(receiver) == [START, SUCCESS]
    lines = [line.rpartition(" - ")[2] for line in receiver.pings[1].text.splitlines()]
    assert lines == ["parent", "a snapshot", "child's last", "last"]


def test_a_marker_may_be_what_is_expected(receiver, program, tmp_path):
    name = program("from loguru import logger\nlogger.info('sync.log: snapshot')\n")
    run(*RUN, "--expect", "snapshot", name, cwd=tmp_path)
    assert events(receiver) == [START, LOG, SUCCESS]
    assert "too fast" not in receiver.pings[2].text


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("echo 'a snapshot'; seq 100000", True),
        ("printf 'a snap'; sleep 0.2; printf shot >&1", True),
        ("echo 'a snapshot' >&2", True),
        ("echo 'a snap'; echo shot", False),
    ],
)
def test_what_is_printed_counts_with_output(receiver, tmp_path, command, said):
    options = ("--output", "--limit", "2k", "--expect", "snapshot")
    assert run(*RUN, *options, "sh", "-c", command, cwd=tmp_path).returncode == 0
    assert events(receiver) == [START, SUCCESS if said else FAIL]


def test_another_end_than_0_says_it_all(receiver, tmp_path):
    run(*RUN, "--output", "--expect", "snapshot", "sh", "-c", "exit 3", cwd=tmp_path)
    assert events(receiver) == [START, (Event.FAIL, 3)]
    assert "never said" not in receiver.pings[1].text


# Markers in what is printed


def test_a_printed_marker_counts_with_output(receiver, tmp_path):
    markers = ("--marker", "Backup failed=fail", "--marker", "Disk=log")
    script = "echo 'Disk nearly full'; echo 'Backup failed: no space'; echo Diskette; echo on"
    done = run(*RUN, "--output", *markers, "sh", "-c", script, cwd=tmp_path)
    assert done.returncode == 0
    assert events(receiver) == [START, LOG, FAIL, FAIL]
    assert receiver.pings[1].text == "Disk nearly full\n"
    assert "Backup failed: no space" in receiver.pings[2].text
    assert "\non\n" in receiver.pings[3].text


def test_runs_between_printed_markers(receiver, tmp_path):
    markers = ("--marker", "begin=start", "--marker", "end=success")
    script = "echo begin; echo end; echo begin; echo on"
    run(*RUN, "--output", "--markers-only", *markers, "sh", "-c", script, cwd=tmp_path)
    assert events(receiver) == [START, SUCCESS, START, FAIL]
    first, done, second, failed = receiver.pings
    assert first.run_id == done.run_id != second.run_id == failed.run_id


def test_a_marker_that_is_logged_and_printed_is_one(receiver, program, tmp_path):
    name = program(
        """
        import sys
        from loguru import logger
        logger.remove()
        logger.add(sys.stdout, format="{message}")
        logger.info("Disk full")
        """
    )
    run(*RUN, "--output", "--marker", "Disk=log", name, cwd=tmp_path)
    assert events(receiver) == [START, LOG, SUCCESS]


@pytest.mark.parametrize(
    ("option", "said"),
    [(("--marker", "x=fail"), "had no effect"), (("--expect", "x"), "found nothing")],
)
def test_what_no_process_could_say_is_told(receiver, tmp_path, option, said):
    done = run(*RUN, *option, "true", cwd=tmp_path)
    assert f"so {option[0]} {said}; with --output it looks" in done.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--expect", ""], "--expect: expected text"),
        (["--expect-re", "(secret"], "--expect-re: expected a regular expression"),
        (["--expect", "x", "--markers-only"], "--expect: has no meaning with --markers-only"),
    ],
    ids=str,
)
def test_an_expectation_that_can_not_be_is_refused(receiver, tmp_path, args, said):
    done = run(*RUN, *args, "true", cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "(secret" not in done.stderr
