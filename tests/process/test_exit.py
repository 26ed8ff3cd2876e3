"""How a program ends, and what the service learns of it. Each program is a process of its own."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from conftest import RunScript, complaints
from loghc import Event
from loghc.testing import Fault, PingReceiver
from pings import events

BEGIN = """
import atexit, os, sys, threading, time
from loguru import logger
from loghc import HealthSink
logger.remove()
sink = HealthSink(sys.argv[1])
handler = logger.add(sink, format="{message}", catch=False)
"""


def script(text: str) -> str:
    return BEGIN + textwrap.dedent(text)


RUN = [Event.START, Event.SUCCESS]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('logger.info("sync.start"); logger.info("sync.done")', RUN),
        ('logger.info("sync.start"); atexit.register(logger.info, "sync.done")', RUN),
        # The first marker of all comes when Python 3.12 starts no thread any more.
        (
            'atexit.register(logger.info, "sync.done"); atexit.register(logger.info, "sync.start")',
            RUN,
        ),
        (
            """
            atexit.register(lambda: print(sink.wait(10), sink.stats.delivered))
            atexit.register(logger.info, "sync.done")
            """,
            [Event.SUCCESS],
        ),
        (
            """
            logger.info("sync.start")
            try:
                sys.exit(0)
            finally:
                logger.info("sync.done")
            """,
            RUN,
        ),
        (
            """
            logger.info("sync.start")
            logger.remove()
            logger.add(sink, format="{message}")
            logger.info("sync.done")
            """,
            RUN,
        ),
        (
            """
            logger.info("sync.start")
            logger.remove()
            logger.add(HealthSink(sys.argv[1]), format="{message}")
            logger.info("sync.done")
            """,
            RUN,
        ),
        (
            """
            logger.remove()
            handler = logger.add(sink, format="{message}", enqueue=True)
            logger.info("sync.start")
            atexit.register(lambda: None)
            logger.info("sync.done")
            """,
            RUN,
        ),
        (
            """
            def work():
                logger.info("sync.start")
                time.sleep(0.2)
                logger.info("sync.done")
            threading.Thread(target=work).start()
            """,
            RUN,
        ),
    ],
    ids=[
        "at the script's end",
        "an end in an atexit callback",
        "all in atexit callbacks",
        "waited for in an atexit callback",
        "in a finally",
        "sink added again",
        "a new sink",
        "through loguru's queue",
        "in a thread that outlives the main thread",
    ],
)
def test_markers_just_before_the_end_arrive(
    text: str, expected: list[Event], ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    done = run_script(script(text), ping_receiver.url)
    assert done.returncode == 0, done.stderr
    assert complaints(done.stderr) == []
    assert events(ping_receiver.pings) == expected


def test_the_exit_status_stays(ping_receiver: PingReceiver, run_script: RunScript) -> None:
    done = run_script(
        script('logger.info("sync.start"); logger.error("sync.error"); sys.exit(7)'),
        ping_receiver.url,
    )
    assert done.returncode == 7
    assert events(ping_receiver.pings) == [Event.START, Event.FAIL]


@pytest.mark.parametrize("debug", ["", "1"])
def test_a_long_wait_is_said_where_someone_looks(
    ping_receiver: PingReceiver, run_script: RunScript, debug: str
) -> None:
    ping_receiver.always(Fault(delay=1.5))
    source = script('logger.info("sync.done")')
    done = run_script(source, ping_receiver.url, env={"LOGHC_DEBUG": debug})
    assert len({ping.run_id for ping in ping_receiver.pings}) == 1
    assert ("waiting at most 9 s more for 1 ping to" in done.stderr) == bool(debug)
    assert debug or done.stderr == ""


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_ctrl_c_during_the_wait_gives_up_at_once(
    ping_receiver: PingReceiver, tmp_path: Path
) -> None:
    ping_receiver.always(Fault(delay=math.inf))
    source = tmp_path / "job.py"
    source.write_text(script('logger.info("sync.done"); print("ready", flush=True)'))
    process = subprocess.Popen(
        [sys.executable, str(source), ping_receiver.url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "LOGHC_DEBUG": "1"},
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "ready\n"
        assert any("waiting at most" in line for line in process.stderr)
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        process.wait(20)
    assert time.monotonic() - begun < 5  # of the 9 s that were left
    assert "given up" in said
    assert "Traceback" not in said


CRASHES = {
    "an exception": ('raise KeyError("disk full")', "KeyError: 'disk full'"),
    "an exception through loguru's queue": (
        """
        logger.remove()
        logger.add(sink, format="{message}", enqueue=True)
        logger.info("sync.start")
        raise KeyError("disk full")
        """,
        "KeyError: 'disk full'",
    ),
    "an exit": ("sys.exit(3)", "before this run did"),
    "an exit, with the sink added twice": (
        'logger.add(sink, format="{message}")\nsys.exit(3)',
        "before this run did",
    ),
    "the script's end": ("", "before this run did"),
    "ctrl-c": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "an exception that can't be shown": (
        """
        class Odd(Exception):
            def __bool__(self):
                raise RuntimeError("ambiguous")
        raise Odd
        """,
        "Odd",  # from Python 3.14 on, traceback shows it
    ),
    "an exception hook of the app's own": (
        "sys.excepthook = lambda *_: None\nraise KeyError('disk full')",
        "KeyError: 'disk full'",
    ),
}


@pytest.mark.parametrize(("text", "end"), CRASHES.values(), ids=CRASHES)
def test_a_run_that_is_open_at_exit_has_failed(
    text: str, end: str, ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    start = "" if "sync.start" in text else 'logger.info("sync.start")\n'
    run_script(BEGIN + start + textwrap.dedent(text), ping_receiver.url)
    assert events(ping_receiver.pings) == [Event.START, Event.FAIL]
    begun, failed = ping_receiver.pings
    assert begun.run_id == failed.run_id
    lines = failed.text.splitlines()
    assert (end in lines[0], lines[1:3]) == (True, ["", "sync.start"])
    if "raise" in text:
        assert "Traceback (most recent call last):" in lines


def test_a_marker_in_a_late_atexit_callback_still_ends_the_run(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    text = """
        logger.info("sync.start")
        atexit.register(logger.info, "sync.done")
        raise SystemExit(1)
    """
    run_script(script(text), ping_receiver.url)
    assert events(ping_receiver.pings) == RUN


@pytest.mark.parametrize("queued", [False, True], ids=["direct", "enqueue"])
def test_a_run_that_ended_is_not_reported_as_crashed(
    queued: bool, ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    text = f"""
        logger.remove()
        logger.add(sink, format="{{message}}", enqueue={queued})
        atexit.register(lambda: time.sleep(0.01))
        logger.info("sync.start")
        for number in range(500):
            logger.info("copied {{}}", number)
        logger.info("sync.done")
        raise KeyError("afterwards")
    """
    run_script(script(text), ping_receiver.url)
    assert events(ping_receiver.pings) == RUN


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_a_process_that_is_killed_says_nothing_more(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    text = """
        import signal
        logger.info("sync.start")
        assert sink.wait(10)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = run_script(script(text), ping_receiver.url)
    assert done.returncode == -signal.SIGKILL
    assert events(ping_receiver.pings) == [Event.START]
    assert ping_receiver.state == "started"  # until the check's grace time runs out


def test_a_sink_removed_by_hand_reports_no_crash(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    text = """
        logger.info("sync.start")
        logger.remove(handler)
        print(sink.stats)
    """
    done = run_script(script(text), ping_receiver.url)
    assert "delivered=1" in done.stdout
    assert events(ping_receiver.pings) == [Event.START]


def test_the_exit_waits_for_a_thread_that_was_started_and_has_yet_to_begin(
    run_script: RunScript,
) -> None:
    """Before Python 3.12 the interpreter can crash when it exits before a thread has begun."""
    text = """
    import atexit, sys, threading
    from loghc import native
    begun = []
    atexit.register(lambda: print("begun" if begun else "not begun"))  # after loghc's own

    from loghc.delivery.thread import ThreadOnDemand
    exiting = threading.Event()
    atexit.register(exiting.set)  # before loghc's own
    start = native.start_new_thread
    def start_late(run, args):
        return start(lambda: (exiting.wait(), run(*args)), ())
    native.start_new_thread = start_late
    sys.setswitchinterval(1000)  # no other thread runs until this one waits
    assert ThreadOnDemand(lambda: begun.append(1), lambda: not begun, lambda: None).start()
    """
    done = run_script(textwrap.dedent(text))
    assert (done.stdout, done.stderr) == ("begun\n", "")


def test_a_forked_child_waits_for_no_thread_that_its_parent_was_starting(
    run_script: RunScript,
) -> None:
    text = """
    import os, time
    from loghc import native
    from loghc.delivery.thread import ThreadOnDemand

    native.start_new_thread = lambda run, args: None  # begins never
    work = ThreadOnDemand(lambda: None, lambda: True, lambda: None)
    assert work.start()
    pid = os.fork()
    begun = time.monotonic()
    work.end(1 if pid else 20)
    took = time.monotonic() - begun
    if pid == 0:
        os._exit(took >= 10)
    print(os.waitpid(pid, 0)[1], took >= 1)
    """
    done = run_script(textwrap.dedent(text))
    assert (done.stdout, done.stderr) == ("0 True\n", "")


@pytest.mark.skipif(sys.version_info >= (3, 11), reason="it was 3.10 that crashed")
def test_an_exit_soon_after_the_sink_was_removed_crashes_no_interpreter(tmp_path: Path) -> None:
    text = """
    logger.remove()
    sink = HealthSink(sys.argv[1], drain=0.2, on_outcome=len)
    logger.add(sink)
    for _ in range(20):
        logger.info("sync.done")
    logger.remove()
    """
    program = tmp_path / "program.py"
    program.write_text(script(text))
    command = [sys.executable, "-X", "dev", str(program), "http://127.0.0.1:9/check"]
    # So many at once that threads have to wait until they may begin.
    running = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(12)]
    assert [process.wait(60) for process in running] == [0] * 12


def test_several_open_runs_each_fail_with_their_own_run_id(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    text = """
        threads = [threading.Thread(target=logger.info, args=("sync.start",)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        logger.info("sync.start")
        logger.info("sync.done")
    """
    run_script(script(text), ping_receiver.url)
    pings = ping_receiver.pings
    started = {ping.run_id for ping in pings if ping.event is Event.START}
    failed = [ping.run_id for ping in pings if ping.event is Event.FAIL]
    assert len(started) == 4
    assert len(failed) == len(set(failed)) == 3
    assert set(failed) < started


def test_the_traceback_at_exit_is_masked_and_redacted(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    text = """
        logger.remove()
        logger.add(HealthSink(sys.argv[1], redact=("hunter[0-9]",)), format="{message}")
        logger.info("sync.start")
        raise RuntimeError(f"{sys.argv[1]} refused hunter2")
    """
    run_script(script(text), ping_receiver.url)
    body = ping_receiver.pings[-1].text
    assert body.startswith("RuntimeError: ")
    assert "Traceback (most recent call last)" in body
    assert body.count("/*** refused [redacted]") == 2
    assert "hunter2" not in body
    assert ping_receiver.url.rpartition("/")[2] not in body


def test_the_traceback_at_exit_shows_no_values_of_variables(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    text = """
        logger.info("sync.start")

        def upload(words):  # no rule for secrets masks those
            return 1 / (len(words) - len(words))

        upload("".join(["hun", "ter2"]))
    """
    run_script(script(text), ping_receiver.url)
    body = ping_receiver.pings[-1].text
    assert "ZeroDivisionError" in body
    assert "hunter2" not in body


def test_a_disabled_sink_changes_nothing(run_script: RunScript) -> None:
    text = """
        import sys
        from loguru import logger
        from loghc import HealthSink
        sink = HealthSink()
        logger.add(sink)
        logger.info("sync.start")
        print(sink.enabled, sink.stats.pending, sink.wait(), "urllib3" in sys.modules)
        raise SystemExit(4)
    """
    done = run_script(textwrap.dedent(text))
    assert done.returncode == 4
    assert done.stdout == "False 0 True False\n"
