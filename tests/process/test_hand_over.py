"""A sink hands its markers, and its log where nobody records it, to a watcher that lives."""

from __future__ import annotations

import sys

import pytest

from loghc.ping import Event
from processes import RUN, TIMEOUT, needs_posix, run, started

pytestmark = needs_posix

UNSEEN = (*RUN, sys.executable, "-I")  # it looks at no PYTHONPATH: there is no recorder


def job(options="", ending="sync.done"):
    return f"""
        from loguru import logger
        from loghc import HealthSink
        logger.add(HealthSink({options}), format="{{level}}: {{message}}")
        logger.info("sync.start")
        for number in range(50):
            logger.info(f"copied photo-{{number}}.jpg")
        logger.warning("the disk is nearly full")
        logger.info({ending!r})
        """


@pytest.mark.parametrize("option", [(), ("--markers-only",)])
def test_the_log_of_a_sink_arrives_though_nobody_records_its_process(
    receiver, program, tmp_path, option
):
    name = program(job(ending="sync.error: disk full"))
    command = (*RUN, *option, sys.executable, "-I", name)
    assert run(*command, cwd=tmp_path).returncode == 0
    failures = [ping for ping in receiver.pings if ping.event is Event.FAIL]
    assert failures
    for failure in failures:
        headline, _, log = failure.text.partition("\n\n")
        assert "disk full" in headline
        assert log.count("INFO: copied photo-") == 50
        assert log.count("WARNING: the disk is nearly full\n") == 1
        assert log.count("INFO: sync.error: disk full\n") == 1


def test_a_sinks_options_hold_before_its_log_is_found(receiver, program, tmp_path):
    name = program(job("send_logs=False, job='other'", "no marker"))
    run(*UNSEEN, name, cwd=tmp_path)
    assert [ping.event for ping in receiver.pings] == [Event.START, Event.SUCCESS]
    assert receiver.pings[1].body == b""


def test_a_hint_shows_no_secret_of_the_sinks_url(receiver, program, tmp_path):
    secret = receiver.url.rpartition("/")[2]
    name = program(
        f"""
        from loguru import logger
        from loghc import HealthSink
        logger.remove()
        logger.add(HealthSink({receiver.url!r}))
        logger.info("sync.finish, see {receiver.url}")
        """
    )
    said = run(*RUN, name, cwd=tmp_path).stderr
    assert "isn't a marker of HealthSink(" in said
    assert secret not in said


def test_levels_count_though_nobody_records_the_process(receiver, program, tmp_path):
    name = program(job())
    run(*RUN, "--fail-on", "WARNING", sys.executable, "-I", name, cwd=tmp_path)
    assert [ping.event for ping in receiver.pings] == [Event.START, Event.FAIL]


def test_of_two_sinks_the_log_arrives_once(receiver, program, tmp_path):
    name = program(
        """
        from loguru import logger
        from loghc import HealthSink
        handlers = [logger.add(HealthSink(), format="{message}") for _ in range(2)]
        logger.info("first")
        logger.remove(handlers[0])
        logger.info("second")
        """
    )
    run(*UNSEEN, name, cwd=tmp_path)
    assert receiver.pings[1].text == "first\nsecond\n"


def test_of_each_forked_child_the_log_arrives(receiver, program, tmp_path):
    name = program(
        """
        import os
        from loguru import logger
        from loghc import HealthSink
        logger.add(HealthSink(), format="{message}")
        logger.info("parent")
        for number in range(3):
            if os.fork() == 0:
                logger.info(f"child {number}")
                os._exit(0)
            os.wait()
        logger.info("end")
        """
    )
    run(*UNSEEN, name, cwd=tmp_path)
    assert receiver.pings[1].text == "parent\nchild 0\nchild 1\nchild 2\nend\n"


def test_a_watcher_that_is_gone_takes_nothing(receiver, program, tmp_path):
    name = program(
        """
        import os, sys, time
        watcher = os.getppid()
        if os.fork():
            print(flush=True)
            time.sleep(600)
        while os.path.exists(f"/proc/{watcher}"):
            time.sleep(0.01)
        from loguru import logger
        from loghc import HealthSink
        logger.remove()
        sink = HealthSink(sys.argv[1])
        logger.add(sink, format="{message}")
        logger.info("copied")
        logger.info("sync.done")
        sink.wait(20)
        os.kill(os.getppid(), 9)
        """
    )
    process = started(*RUN, name, receiver.url, cwd=tmp_path)
    process.stdout.readline()
    receiver.wait(1, timeout=TIMEOUT)
    process.kill()
    process.wait(TIMEOUT)
    success = receiver.wait(2, timeout=TIMEOUT)[1]
    assert (success.event, success.text) == (Event.SUCCESS, "copied\nsync.done\n")
    _, err = process.communicate(timeout=TIMEOUT)
    assert "LOGHC_RUN is left over" in err


def test_without_a_url_a_watcher_that_is_gone_is_no_watcher(program, tmp_path):
    name = program(job())
    done = run(sys.executable, name, cwd=tmp_path, env={"LOGHC_RUN": str(tmp_path / "gone")})
    assert "pinged nothing" in done.stderr
