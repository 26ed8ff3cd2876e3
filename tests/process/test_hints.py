"""A sink that pings nothing says so. Each program is a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

import pytest

from conftest import RunScript, complaints
from loghc import Event
from loghc.testing import PingReceiver
from processes import RUN, needs_posix, run

BEGIN = """
import asyncio, os, sys
from loguru import logger
from loghc import Event, HealthSink, job
logger.remove()
def add(sink, **options):
    return logger.add(sink, format="{message}", catch=False, **options)
"""
SECRET = "9e9d9bbe-4f2b-4a0e-a1e0-111111111111"
URL = f"http://127.0.0.1:9/{SECRET}"


def said(
    run_script: RunScript, text: str, url: str = URL, env: Mapping[str, str] | None = None
) -> list[str]:
    """What loghc says when a program runs, and its end goes by without an error."""
    done = run_script(BEGIN + textwrap.dedent(text), url, env=env)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stderr
    return complaints(done.stderr)


# At once.


@pytest.mark.parametrize(
    ("env", "before", "cause"),
    [
        ({}, "", "no ping URL is set. Set HEALTH_CHECK_URL"),
        ({"HEALTHCHECK_URL": URL}, "", "HEALTHCHECK_URL is, but loghc reads HEALTH_CHECK_URL"),
        ({"HEALTH_CHECK_URL": " "}, "", "HEALTH_CHECK_URL is set, and empty"),
        ({}, "os.environ['HEALTH_CHECK_URL'] = sys.argv[1]", "was set after HealthSink() was made"),
    ],
    ids=["no variable", "a misspelt one", "an empty one", "set too late"],
)
def test_a_marker_that_meets_a_disabled_sink_is_told_once(
    env: dict[str, str], before: str, cause: str, run_script: RunScript
) -> None:
    text = f"""
        add(HealthSink())
        add(HealthSink(job="photos"))
        {before}
        logger.info("request.start")
        logger.info("sync.start: 12 photos")
        logger.info("sync.done")
        with job("photos"):
            pass
    """
    (line,) = said(run_script, text, env=env)
    assert line.startswith("loghc: 'sync.start: 12 photos' pinged nothing: ")
    assert cause in line
    assert "HEALTH_CHECK_URL=off" in line


def test_off_says_that_no_pings_are_meant(run_script: RunScript) -> None:
    text = """
        sink = HealthSink()
        assert not sink.enabled
        add(sink)
        logger.info("sync.start")
        logger.info("sync.finish")
        with job("photos"):
            pass
    """
    assert said(run_script, text, env={"HEALTH_CHECK_URL": "off"}) == []
    assert said(run_script, "with job(): pass", env={"HEALTH_CHECK_URL": "off"}) == []
    lines = said(run_script, text, env={"HEALTH_CHECK_URL": " OFF ", "LOGHC_DEBUG": "1"})
    assert lines == ["loghc: HEALTH_CHECK_URL=off: no HealthSink of this process pings."]


def test_off_turns_a_sink_with_a_url_of_its_own_off(
    run_script: RunScript, ping_receiver: PingReceiver
) -> None:
    text = """
        sink = HealthSink(sys.argv[1])
        assert not sink.enabled
        add(sink)
        with job():
            pass
        try:
            HealthSink("no URL")
        except ValueError:
            print("rejected")
    """
    done = run_script(
        BEGIN + textwrap.dedent(text), ping_receiver.url, env={"HEALTH_CHECK_URL": "off"}
    )
    assert (done.stderr, done.stdout) == ("", "rejected\n")
    assert len(ping_receiver.pings) == 0


@pytest.mark.parametrize(("threads", "count"), [(0, 1), (1, 0)])
def test_an_embedding_server_that_runs_no_threads_is_told_once(
    threads: int, count: int, run_script: RunScript
) -> None:
    text = f"""
        import types
        sys.modules["uwsgi"] = types.SimpleNamespace(has_threads={threads})
        add(HealthSink(sys.argv[1]))
        add(HealthSink(sys.argv[1], job="photos"))
        """
    told = "\n".join(said(run_script, text))
    assert told.count("Start it with --enable-threads.") == count


def test_near_misses_are_told_once_each(run_script: RunScript) -> None:
    text = f"""
        add(HealthSink(sys.argv[1]))
        for _ in range(3):
            logger.info("request.start")
            logger.info("syncing photo 3")
            logger.info("sync.finish {SECRET} sync.started")
            logger.info("Sync.Start")
            logger.info("[photos] sync.error")
    """
    finish, start, error = said(run_script, text, env={"LOGHC_DEBUG": "1"})
    assert finish.startswith("loghc: 'sync.finish *** sync.started' isn't a marker of HealthSink(")
    assert "listens for sync.start, sync.done, sync.error, sync.log." in finish
    assert finish.endswith("Did you mean sync.done?")
    assert start.endswith("Did you mean sync.start?")
    assert error.endswith("Did you mean sync.error?")


def test_near_misses_of_other_names_are_told(run_script: RunScript) -> None:
    text = """
        add(HealthSink(sys.argv[1], job="photos"))
        logger.info("sync.start")
        add(HealthSink(sys.argv[1], markers={"Backup finished": Event.SUCCESS, "\\udcff": "log"}))
        logger.info("12:00 Backup finished")
    """
    other_job, inside = said(run_script, text)
    assert other_job.endswith("Did you mean photos.start?")
    assert inside.endswith("Did you mean Backup finished?")
    assert r"The sink listens for Backup finished, \udcff." in inside


def test_a_message_that_another_sink_takes_is_no_near_miss(run_script: RunScript) -> None:
    text = """
        add(HealthSink(sys.argv[1], drain=0.1))
        add(HealthSink(sys.argv[1], job="photos", drain=0.1))
        add(HealthSink(sys.argv[1], markers={"sync.finish": Event.LOG}, drain=0.1))
        logger.info("sync.log")
        logger.info("photos.log")
        logger.info("sync.finish")
    """
    assert not [line for line in said(run_script, text) if "isn't a marker" in line]


def test_a_near_miss_of_an_event_whose_marker_came_is_quiet(
    run_script: RunScript, ping_receiver: PingReceiver
) -> None:
    text = """
        add(HealthSink(sys.argv[1]))
        logger.info("sync.start")
        logger.info("sync.started 12 threads")
        logger.info("Sync error")
        logger.info("sync.done")
        logger.info("sync.finished")
    """
    assert said(run_script, text, ping_receiver.url) == []


def test_late_near_misses_are_told_and_a_thousand_of_ordinary_messages_are_not(
    run_script: RunScript,
) -> None:
    text = """
        add(HealthSink(sys.argv[1]))
        for number in range(3000):
            logger.info("copied photo {}", number)
        logger.info("sync.finish")  # sorts among the markers,
        logger.info("sync-begin")  # and this before all of them
    """
    first, second = said(run_script, text)
    assert "sync.finish" in first
    assert "sync-begin" in second
    text = """
        add(HealthSink(sys.argv[1]))
        for number in range(3000):
            logger.info("syncing photo {}", number)
            logger.info("sync.photo {}", number)
            logger.info("upload.start")
    """
    assert said(run_script, text) == []


@pytest.mark.parametrize(
    ("add", "cause"),
    [
        ("", "there is no HealthSink in this process"),
        ("HealthSink(sys.argv[1])", "listens for sync.start"),
        ("HealthSink(sys.argv[1], job='photos')", "was not added to the global logger"),
        (
            "add(HealthSink(sys.argv[1], job='photos')); logger.remove(); add(sys.stdout.write)",
            "was removed from the global logger",
        ),
        (
            "add(HealthSink(sys.argv[1], job='photos'), level='ERROR')",
            "Its level='ERROR' drops less severe records.",
        ),
        (
            "add(HealthSink(sys.argv[1], job='photos'), filter=lambda record: False)",
            "Its filter= may drop records.",
        ),
        (
            "add(HealthSink(sys.argv[1], job='photos')); logger.disable('__main__')",
            "logger.disable() drops what __main__ logs",
        ),
    ],
    ids=["no sink", "another job", "not added", "removed", "level", "filter", "disabled"],
)
def test_a_marker_of_job_that_reaches_no_sink_is_told_once(
    add: str, cause: str, run_script: RunScript
) -> None:
    text = f"""
        import loguru
        {add}
        for _ in range(2):
            with job("photos"):
                pass
    """
    lines = [line for line in said(run_script, text) if "isn't a marker" not in line]
    assert len(lines) == 1
    assert "'photos.start', logged by job('photos'), pinged nothing: " in lines[0]
    assert cause in lines[0]


@pytest.mark.parametrize("name", ["sync", "host:sync"])
def test_an_end_of_job_that_reaches_no_sink_any_more_is_told(
    name: str, run_script: RunScript, ping_receiver: PingReceiver
) -> None:
    text = f"""
        add(HealthSink(sys.argv[1], job={name!r}))
        with job({name!r}):
            logger.remove()
            add(print)
    """
    (line,) = said(run_script, text, ping_receiver.url)
    assert f"'{name}.done', logged by job({name!r}), pinged nothing" in line
    assert "was removed from the global logger" in line


def test_a_marker_of_job_that_is_heard_is_quiet(
    run_script: RunScript, ping_receiver: PingReceiver
) -> None:
    text = """
        add(HealthSink(sys.argv[1]))
        add(HealthSink(sys.argv[1] + "?create=1", job="photos"), enqueue=True)
        with job():
            pass
        with job("photos"):
            pass
    """
    assert said(run_script, text, ping_receiver.url) == []
    assert len(ping_receiver.pings) == 4


def test_two_sinks_with_the_same_url_and_job_are_told_once(
    run_script: RunScript, ping_receiver: PingReceiver
) -> None:
    text = """
        add(HealthSink(sys.argv[1]))
        add(HealthSink(sys.argv[1], job="photos"))
        logger.info("sync.start")
        add(HealthSink(sys.argv[1]), enqueue={queued})
        logger.info("sync.log")
        logger.info("sync.done")
    """
    for queued in (False, True):
        (line,) = said(run_script, text.format(queued=queued), ping_receiver.url)
        assert "ping the same URL" in line
        assert "each ping is sent twice" in line


def test_two_jobs_with_one_url_are_told_once(
    run_script: RunScript, ping_receiver: PingReceiver
) -> None:
    text = """
        add(HealthSink(sys.argv[1], job="photos"))
        add(HealthSink(sys.argv[1], job="mails"))
        logger.info("photos.error")
        logger.info("mails.done")
        logger.info("photos.done")
    """
    (line,) = said(run_script, text, ping_receiver.url)
    assert "job='photos') and HealthSink(" in line
    assert "a success of one hides a failure of the other. Give each job a check of its own" in line


@pytest.mark.parametrize("added", ["HealthSink(sys.argv[1])", "sink"])
def test_two_sinks_with_one_url_are_told_though_one_was_removed(
    added: str, run_script: RunScript, ping_receiver: PingReceiver
) -> None:
    text = f"""
        sink = HealthSink(sys.argv[1])
        first = add(sink)
        logger.info("sync.log")
        logger.remove(first)
        add({added})
        add(HealthSink(sys.argv[1], job="photos"))
        logger.info("sync.log")
        logger.info("photos.log")
    """
    (line,) = said(run_script, text, ping_receiver.url)
    assert "ping the same URL" in line


def test_a_job_in_other_capitals_than_the_sink_gets_one_advice(run_script: RunScript) -> None:
    text = """
        add(HealthSink(sys.argv[1], job="photos"), enqueue={queued})
        with job("Photos"):
            pass
    """
    for queued in (False, True):
        (line,) = said(run_script, text.format(queued=queued), env={"LOGHC_DEBUG": "1"})
        assert line.endswith("Give both the same name, job='Photos'.")


def test_a_sink_that_replaces_another_is_quiet(
    run_script: RunScript, ping_receiver: PingReceiver
) -> None:
    text = """
        sink = HealthSink(sys.argv[1])
        add(sink)
        add(sink)
        logger.info("sync.log")
        logger.remove()
        add(HealthSink(sys.argv[1]))
        logger.info("sync.log")
    """
    assert said(run_script, text, ping_receiver.url) == []


# At the exit, where someone looks.

NO_MARKER = [
    ("add(HealthSink(sys.argv[1])); logger.info('hello')", "was given records."),
    (
        "add(HealthSink(sys.argv[1]), level='INFO'); logger.info('hello')",
        "was given records. It listens for",
    ),
    (
        "HealthSink(sys.argv[1]); add(sys.stdout.write); logger.info('hello')",
        "was given no record. It was not added",
    ),
    (
        "add(HealthSink(sys.argv[1])); logger.info('hello'); logger.remove()",
        "was given records. It was removed from the global logger",
    ),
    (
        "add(HealthSink(sys.argv[1])); logger.remove(); add(print); logger.info('hello')",
        "was given no record. It was removed from the global logger",
    ),
    (
        "add(HealthSink(sys.argv[1])); logger.configure(handlers=[{'sink': print}]); "
        "logger.info('hello')",
        "was given no record. It was removed from the global logger",
    ),
    (
        "add(HealthSink(sys.argv[1]), level='WARNING'); add(print); logger.info('hello')",
        "was given no record. Its level='WARNING' drops less severe records.",
    ),
    (
        "add(HealthSink(sys.argv[1]), level='WARNING'); logger.warning('hello')",
        "was given records. Its level='WARNING' drops less severe records",
    ),
    (
        "sink = HealthSink(sys.argv[1]); logger.remove(add(sink)); add(sink, level='WARNING'); "
        "add(print); logger.info('hello')",
        "was given no record. Its level='WARNING' drops less severe records.",
    ),
    (
        "add(HealthSink(sys.argv[1]), filter='other'); add(print); logger.info('hello')",
        "was given no record. Its filter= may drop records.",
    ),
    (
        "add(HealthSink(sys.argv[1])); logger.disable('__main__'); logger.info('hello')",
        "was given no record. logger.disable() drops what __main__ logs. It listens",
    ),
    (
        "import logging; add(HealthSink(sys.argv[1])); logging.warning('sync.start')",
        "was given no record. Records of Python's own logging module reach loguru only through an",
    ),
    ("add(HealthSink(sys.argv[1]), enqueue=True); logger.info('hello')", "was given records."),
    (
        "add(HealthSink()); add(print); logger.info('hello')",
        "has no ping URL.",
    ),
    (
        "import logging; logging.basicConfig(level='INFO'); add(HealthSink(sys.argv[1])); "
        "logging.info('sync.start')",
        "was given no record. Records of Python's own logging module reach loguru only through an",
    ),
    (
        "add(HealthSink(sys.argv[1]), level='INFO'); logger.disable('__main__'); "
        "logger.info('sync.start')",
        "was given no record. logger.disable() drops what __main__ logs. It listens for",
    ),
]


@pytest.mark.parametrize(("text", "why"), NO_MARKER)
def test_a_process_without_a_marker_is_told_at_its_exit_when_asked(
    text: str, why: str, run_script: RunScript
) -> None:
    lines = said(run_script, text, env={"LOGHC_DEBUG": "1"})
    assert len(lines) == 1
    assert lines[0].startswith("loghc: no marker was seen, so nothing was pinged. HealthSink(")
    assert f") {why}" in lines[0]
    assert "sync.start, sync.done, sync.error, sync.log" in lines[0]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("logger.info('hello')", "was given records. It listens for"),
        (
            "logger.disable('__main__'); logger.info('hello')",
            "logger.disable() drops what __main__",
        ),
        ("import logging; logging.warning('sync.start')", "Records of Python's own logging module"),
    ],
)
def test_the_order_of_the_imports_changes_no_cause(
    text: str, why: str, run_script: RunScript
) -> None:
    # loguru removes its handlers at the exit, here before loghc looks at them.
    begin = f"""
import sys
from loghc import HealthSink
from loguru import logger
logger.remove()
logger.add(HealthSink(sys.argv[1]))
{text}
"""
    (line,) = complaints(run_script(begin, URL, env={"LOGHC_DEBUG": "1"}).stderr)
    assert why in line
    assert "added" not in line


@pytest.mark.parametrize("number", [2, 3, 5])
def test_many_sinks_without_a_marker_are_told_in_few_lines(
    number: int, run_script: RunScript
) -> None:
    text = f"""
        for number in range({number}):
            HealthSink(sys.argv[1], job=f"job{{number}}")
        add(print)
        logger.info("hello")
    """
    lines = said(run_script, text, env={"LOGHC_DEBUG": "1"})
    named = [line for line in lines if "was not added to the global logger" in line]
    assert len(named) == min(number, 3)
    more = ["loghc: no marker was seen by 2 more sinks."] if number == 5 else []
    assert lines == [*named, *more]


def test_nobody_is_told_in_a_pipe_and_a_help_that_logged_nothing_is_quiet(
    run_script: RunScript,
) -> None:
    for text, _ in NO_MARKER[:4]:
        assert said(run_script, text) == []
    for text in ("HealthSink(sys.argv[1])", "add(HealthSink(sys.argv[1]))"):
        help_ = f"add(print); {text}; import argparse; argparse.ArgumentParser().parse_args(['-h'])"
        assert said(run_script, help_, env={"LOGHC_DEBUG": "1"}) == []


def test_a_marker_in_the_last_moment_counts(
    run_script: RunScript, ping_receiver: PingReceiver
) -> None:
    for options in ("", ", enqueue=True"):
        text = f"""
            import atexit
            atexit.register(logger.info, "sync.log")
            add(HealthSink(sys.argv[1]){options})
            logger.info("hello")
        """
        lines = said(run_script, text, ping_receiver.url, env={"LOGHC_DEBUG": "1"})
        assert not [line for line in lines if "no marker" in line]


@needs_posix
def test_a_process_without_a_marker_is_told_at_a_terminal(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(BEGIN + "add(HealthSink(sys.argv[1])); logger.info('hello')")
    controller, terminal = os.openpty()
    try:
        subprocess.run(
            [sys.executable, str(script), URL], stdin=terminal, stderr=terminal, check=True
        )
        shown = os.read(controller, 10_000).decode()
    finally:
        os.close(terminal)
        os.close(controller)
    assert "no marker was seen" in shown
    assert SECRET not in shown


@needs_posix
def test_a_forked_child_says_nothing_of_its_parents_sinks(run_script: RunScript) -> None:
    text = """
        add(HealthSink(sys.argv[1]))
        logger.info("hello")
        if os.fork():
            os.wait()
    """
    assert len(said(run_script, text, env={"LOGHC_DEBUG": "1"})) == 1


def test_debugging_tells_each_marker_and_each_outcome(
    run_script: RunScript, ping_receiver: PingReceiver
) -> None:
    text = """
        add(HealthSink(sys.argv[1], events=(Event.SUCCESS, Event.FAIL)))
        logger.info("sync.start")
        logger.info("sync.done: 12 photos")
    """
    lines = said(run_script, text, ping_receiver.url, env={"LOGHC_DEBUG": "1"})
    assert [line for line in lines if "saw 'sync.start': start, run " in line]
    assert [line for line in lines if "saw 'sync.done: 12 photos': success, run " in line]
    assert [line for line in lines if "start ping to " in line and "left out" in line]
    assert [line for line in lines if "success ping to " in line and "delivered, 200" in line]
    assert len(lines) == 4
    key = ping_receiver.url.rpartition("/")[2]
    assert key not in "".join(lines)
    assert said(run_script, text, ping_receiver.url, env={"LOGHC_DEBUG": "0"}) == []


def test_the_exit_is_quick_and_raises_nothing_with_loguru_changed(run_script: RunScript) -> None:
    text = """
        add(HealthSink(sys.argv[1]))
        HealthSink(sys.argv[1])
        logger.info("hello")
        del logger._core
    """
    run_script(BEGIN + textwrap.dedent(text), URL, env={"LOGHC_DEBUG": "1"})


@needs_posix
def test_a_watched_program_that_logs_no_marker_where_only_markers_count_is_told(
    receiver: PingReceiver, tmp_path: Path
) -> None:
    program = tmp_path / "program.py"
    program.write_text("from loguru import logger\nlogger.info('hello')\n")
    options = ("--markers-only", "--marker", "Bye=success")
    done = run(*RUN, *options, program, cwd=tmp_path)
    (line,) = complaints(done.stderr)
    assert "no marker was seen, so nothing was pinged: --markers-only listens for " in line
    assert "sync.start" in line
    assert "Bye" in line
    program.write_text("from loguru import logger\nlogger.info('Bye')\n")
    assert complaints(run(*RUN, *options, program, cwd=tmp_path).stderr) == []
    assert len(receiver.pings) == 1


# The last word.


@pytest.mark.parametrize(
    ("text", "events"),
    [
        (
            "threading.Thread(target=late).start(); raise KeyError('boom')",
            [Event.START, Event.SUCCESS, Event.FAIL],
        ),
        ("threading.Thread(target=late).start()", [Event.START, Event.SUCCESS]),
        (
            "try: raise KeyError('boom')\nfinally: logger.info('sync.done')",
            [Event.START, Event.SUCCESS, Event.FAIL],
        ),
        (
            "try: raise KeyError('handled')\nexcept KeyError: logger.info('sync.done')\n"
            "raise ValueError('another')",
            [Event.START, Event.SUCCESS],
        ),
        ("logger.info('sync.done'); raise KeyError('later')", [Event.START, Event.SUCCESS]),
        (
            "logger.info('sync.error')\ntry: raise KeyError('boom')\n"
            "except KeyError:\n  with job(): pass\n  raise",
            [Event.START, Event.FAIL, Event.START, Event.SUCCESS],
        ),
    ],
    ids=[
        "a thread, after the crash",
        "no crash",
        "in a finally",
        "handled",
        "done before",
        "cleaning up",
    ],
)
def test_what_the_end_of_the_process_says_is_the_last_word(
    text: str, events: list[Event], run_script: RunScript, ping_receiver: PingReceiver
) -> None:
    begin = """
import threading, time
def late():
    while threading.main_thread().is_alive():
        time.sleep(0.01)
    logger.info("sync.done")
add(HealthSink(sys.argv[1]))
logger.info("sync.start")
"""
    run_script(BEGIN + begin + text, ping_receiver.url)
    assert [ping.event for ping in ping_receiver.pings] == events
    assert len({ping.run_id for ping in ping_receiver.pings}) == events.count(Event.START)
    if events[-1] is Event.FAIL:
        last = ping_receiver.pings[-1].text.splitlines()
        assert "loghc: the program crashed, though this run was reported as a success." in last
        assert last[0] == "KeyError: 'boom'"


def test_at_a_prompt_an_old_exception_is_not_the_cause(
    ping_receiver: PingReceiver, tmp_path: Path
) -> None:
    typed = f"""
from loguru import logger
from loghc import HealthSink
logger.remove()
_ = logger.add(HealthSink({ping_receiver.url!r}), format="{{message}}")
1 / 0
logger.info("sync.start")
"""
    subprocess.run(
        [sys.executable, "-i", "-q"],
        input=typed,
        text=True,
        capture_output=True,
        check=True,
        cwd=tmp_path,
    )
    failed = ping_receiver.pings[-1]
    assert failed.event is Event.FAIL
    assert "ZeroDivisionError" not in failed.text


RECURSION = """
for number in range(3000):
    logger.info("copied photo {}", number)
def there(number):  # the name is long, so that a thousand frames of it fill more than the body
    return back_again_from_there(number)
def back_again_from_there(number):
    return there(number)
"""


@pytest.mark.parametrize("limit", [100_000, 20_000])
@pytest.mark.parametrize(
    "end",
    [
        "logger.info('sync.start')\nthere(1)",
        "try: there(1)\nexcept RecursionError: logger.exception('sync.error')",
        "with job(): there(1)",
    ],
    ids=["uncaught", "logged", "in a job"],
)
def test_the_traceback_of_a_recursion_leaves_half_for_the_log(
    end: str, limit: int, run_script: RunScript
) -> None:
    # The first answer tells of the smaller limit.
    with PingReceiver(body_limit=limit) as receiver:
        begin = "sink = HealthSink(sys.argv[1])\nadd(sink)\nlogger.info('sync.log')\nsink.wait()\n"
        run_script(BEGIN + begin + RECURSION + end, receiver.url)
        failed = receiver.pings[-1]
    assert failed.event is Event.FAIL
    log, mark, traceback = failed.text.partition("Traceback (most recent call last)")
    assert mark
    assert len(traceback.encode()) <= limit // 2
    assert "copied photo 2999" in log
    assert "left out" in traceback
    assert "RecursionError: maximum recursion depth exceeded" in traceback.splitlines()[-2:]


# Refused.


def test_the_class_in_place_of_a_sink_is_refused(run_script: RunScript) -> None:
    text = """
        try:
            logger.add(HealthSink)
        except TypeError as error:
            print(error)
        import inspect, pydoc
        from unittest import mock
        assert callable(HealthSink.write)
        assert "Take one formatted record" in pydoc.render_doc(HealthSink)
        assert mock.create_autospec(HealthSink)
        class Own(HealthSink):
            def write(self, message): ...
        class Tagged(HealthSink): pass
        assert Own.write is not HealthSink.write
        assert Tagged.write is HealthSink.write
    """
    done = run_script(BEGIN + textwrap.dedent(text))
    assert done.stderr == ""
    assert "write logger.add(HealthSink(...))" in done.stdout
