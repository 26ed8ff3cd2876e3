"""`loghc run`: a program runs as it would without, and the service hears how it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from loghc.ping import Event
from loghc.testing import Fault, PingReceiver
from processes import RUN, TIMEOUT, events, needs_posix, run, started, terminated

# How it ends, and what the service hears


def test_a_program_that_ends_with_0_is_a_start_and_a_success_of_one_run(
    receiver, program, tmp_path
):
    name = program(
        """
        from loguru import logger
        logger.info("copied 12 files")
        print("out")
        """
    )
    done = run(*RUN, name, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "out\n")
    assert events(receiver) == [(Event.START, None), (Event.SUCCESS, None)]
    start, success = receiver.pings
    assert start.run_id == success.run_id
    assert start.text == ""
    assert success.text.endswith("| INFO     | __main__:<module>:3 - copied 12 files\n")


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        ("sys.exit(3)", 3),
        ("sys.exit('no such disk')", 1),
        ("sys.exit(300)", 44),
        ("sys.exit(-1)", 255),
        ("sys.exit(2**70)", 255),
        ("raise SystemExit", 0),
        ("sys.exit(False)", 0),
        ("os._exit(7)", 7),
        ("1/0", 1),
        ("raise KeyboardInterrupt", -signal.SIGINT),
        ("asyncio.run(asyncio.sleep(0))", 0),
        ("threading.Thread(target=lambda: 1/0).start()", 0),
        ("atexit.register(sys.exit, 5)", 0),
    ],
)
def test_the_exit_status_and_the_streams_are_those_of_the_program_alone(
    receiver, program, tmp_path, ending, status
):
    name = program(
        f"import asyncio, atexit, os, sys, threading\nprint('out', flush=True)\n{ending}"
    )
    alone = run(sys.executable, name, cwd=tmp_path)
    watched = run(*RUN, name, cwd=tmp_path)
    assert alone.returncode == watched.returncode == status
    assert watched.stdout == alone.stdout
    assert watched.stderr.replace("Thread-2", "Thread-1") == alone.stderr
    told = status if status >= 0 else 128 - status
    assert events(receiver)[1:] == [(Event.FAIL, told) if told else (Event.SUCCESS, None)]


TRACEBACKS = {
    "in a function": "def copy():\n    raise OSError('disk full')\ncopy()",
    "in the syntax": "def copy(:\n    pass",
    "with a cause": (
        "try:\n    1/0\nexcept ZeroDivisionError as error:\n    raise KeyError('x') from error"
    ),
    "in an import": "import sys\nsys.path.append('lib')\nimport missing_module",
    "in a group": (
        "import sys\nif sys.version_info < (3, 11): sys.exit(1)\n"
        "raise ExceptionGroup('two', [ValueError('a'), TypeError('b')])"
    ),
    "in a hook of the program's": (
        "import sys, traceback\n"
        "def hook(kind, error, trace):\n"
        "    print('HOOK', sys.excepthook is hook, error.__traceback__ is trace)\n"
        "    traceback.print_exception(kind, error, trace)\n"
        "sys.excepthook = hook\n1/0"
    ),
    "seen from atexit": (
        "import atexit, sys, traceback\n"
        "atexit.register(lambda: traceback.print_tb(sys.last_traceback))\n1/0"
    ),
    "in a hook that exits": "import sys\nsys.excepthook = lambda *_: sys.exit(9)\n1/0",
}


@pytest.mark.parametrize("source", TRACEBACKS.values(), ids=TRACEBACKS)
def test_a_traceback_is_printed_as_python_prints_it(receiver, program, tmp_path, source):
    name = program(source)
    alone = run(sys.executable, name, cwd=tmp_path)
    watched = run(*RUN, name, cwd=tmp_path)
    assert alone.returncode != 0
    assert (watched.returncode, watched.stdout, watched.stderr) == (
        alone.returncode,
        alone.stdout,
        alone.stderr,
    )


def test_the_traceback_of_a_module_has_the_frames_that_python_shows(receiver, program, tmp_path):
    program("import json\njson.loads('{')", "pack/sync.py")
    alone = run(sys.executable, "-m", "pack.sync", cwd=tmp_path)
    watched = run(*RUN, "-m", "pack.sync", cwd=tmp_path)
    assert watched.stderr == alone.stderr
    assert "runpy" in alone.stderr


def test_a_failure_carries_the_log_and_then_the_traceback(receiver, program, tmp_path):
    name = program(
        """
        from loguru import logger
        logger.warning("disk nearly full")
        raise OSError("disk full")
        """
    )
    done = run(*RUN, name, cwd=tmp_path)
    body = receiver.wait(2)[1].text
    assert body.index("disk nearly full") < body.index("Traceback (most recent call last):")
    assert body.endswith("OSError: disk full\n")
    assert "loghc" not in body.partition("Traceback")[2]
    assert done.stderr.endswith(body[body.index("Traceback") :])


def test_what_sys_exit_prints_is_in_the_body(receiver, program, tmp_path):
    run(*RUN, program("import sys\nsys.exit('no such disk')"), cwd=tmp_path)
    assert receiver.wait(2)[1].text == "no such disk\n"


def test_what_threads_and_exit_hooks_log_belongs_to_the_run(receiver, program, tmp_path):
    name = program(
        """
        import atexit, threading
        atexit.register(lambda: logger.info("from a hook registered before loguru's"))
        from loguru import logger
        def work():
            threading.main_thread().join()
            logger.info("from a thread that outlives the main one")
        threading.Thread(target=work).start()
        """
    )
    run(*RUN, name, cwd=tmp_path)
    body = receiver.wait(2)[1].text
    assert "from a thread that outlives the main one\n" in body
    assert body.endswith("from a hook registered before loguru's\n")


@needs_posix
def test_output_that_can_not_be_written_is_a_failure_as_it_is_for_the_shell(
    receiver, program, tmp_path
):
    name = program("print('out')")
    with Path("/dev/full").open("w") as full:
        command = ["env", "-u", "PYTHONUNBUFFERED", *RUN, name]
        status = subprocess.run(
            command,
            stdout=full,
            stderr=subprocess.DEVNULL,
            cwd=tmp_path,
            timeout=TIMEOUT,
            check=False,
        ).returncode
    assert status == 120
    assert events(receiver)[1:] == [(Event.FAIL, 120)]


# Signals. Programs sleep in short turns: Python runs a handler between two calls into C, and a
# signal that comes just before a long sleep would wait for its end.


SLEEPER = """
    import atexit, signal, sys, time
    from loguru import logger
    signal.signal(signal.SIGINT, signal.default_int_handler)  # it is ignored in a background job
    logger.info("asleep")
    atexit.register(print, "never printed")
    try:
        print("ready", flush=True)
        for _ in range(1200):
            time.sleep(0.05)
    finally:
        print("never printed when a signal kills")
"""


@needs_posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_kills_the_program_as_it_would_have_and_is_told(
    receiver, program, tmp_path, number
):
    process = started(*RUN, program(SLEEPER), cwd=tmp_path)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    out, _ = process.communicate(timeout=TIMEOUT)
    assert process.returncode == -number
    assert out == ""
    assert events(receiver)[1:] == [(Event.FAIL, 128 + number)]
    assert f"asleep\nloghc: the program was ended by {number.name}.\n" in receiver.pings[1].text


@needs_posix
def test_ctrl_c_is_a_keyboard_interrupt_with_its_traceback(receiver, program, tmp_path):
    name = program(SLEEPER)
    process = started(*RUN, name, cwd=tmp_path)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == -signal.SIGINT
    assert out == "never printed when a signal kills\nnever printed\n"
    assert err.endswith("KeyboardInterrupt\n")
    assert "loghc" not in err.partition("Traceback")[2]
    assert events(receiver)[1:] == [(Event.FAIL, 130)]
    assert receiver.pings[1].text.endswith("KeyboardInterrupt\n")


@needs_posix
def test_a_handler_of_the_programs_own_is_honoured(receiver, program, tmp_path):
    name = program(
        """
        import signal, sys, time
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(4))
        print("ready", flush=True)
        for _ in range(1200):
            time.sleep(0.05)
        """
    )
    process = started(*RUN, name, cwd=tmp_path)
    process.stdout.readline()
    terminated(process)
    assert process.returncode == 4
    assert events(receiver)[1:] == [(Event.FAIL, 4)]


@needs_posix
def test_an_ignored_signal_stays_ignored(receiver, program, tmp_path):
    name = program(
        "import os, signal\n"
        "assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN\n"
        "os.kill(os.getpid(), signal.SIGHUP)"
    )
    done = run("sh", "-c", "trap '' HUP; exec \"$@\"", "sh", *RUN, name, cwd=tmp_path)
    assert done.returncode == 0
    assert events(receiver)[1:] == [(Event.SUCCESS, None)]


@needs_posix
def test_a_signal_that_comes_while_the_sink_holds_its_lock_is_told_too(receiver, program, tmp_path):
    name = program(
        """
        import os, signal, time
        from loguru import logger
        class Name:
            def __str__(self):  # called within the lock
                os.kill(os.getpid(), signal.SIGTERM)
                return "nightly"
        logger.bind(run_id=Name()).info("sync.log")
        for _ in range(1200):
            time.sleep(0.05)
        """
    )
    done = run(*RUN, "--drain", "3", name, cwd=tmp_path)
    assert done.returncode == -signal.SIGTERM
    assert events(receiver)[1:] == [(Event.LOG, None), (Event.FAIL, 143)]


@needs_posix
def test_a_signal_while_the_end_is_told_reports_what_is_given_up(receiver, program, tmp_path):
    receiver.always(Fault(delay=float("inf")))
    process = started(*RUN, "--drain", "50", program("print('done')"), cwd=tmp_path)
    assert process.stdout.readline() == "done\n"
    assert "waiting at most" in process.stderr.readline()
    process.terminate()
    _, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == -signal.SIGTERM
    assert "2 pings (start, success)" in err
    assert "given up" in err


@needs_posix
def test_the_first_process_of_a_container_is_told_as_it_really_ends(receiver, program, tmp_path):
    unshare = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child")
    try:
        run(*unshare, "true", cwd=tmp_path).check_returncode()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no process namespaces here")
    name = program(
        """
        import os, signal
        os.kill(os.getpid(), signal.SIGTERM)  # ignored by the kernel, as nothing handles it
        print("still here")
        """
    )
    done = run(*unshare, *RUN, name, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "still here\n")
    assert events(receiver) == [(Event.START, None), (Event.SUCCESS, None)]


@needs_posix
def test_a_second_signal_does_not_wait_for_a_hanging_service(receiver, program, tmp_path):
    receiver.always(Fault(delay=float("inf")))
    process = started(*RUN, "--drain", "50", program(SLEEPER), cwd=tmp_path)
    process.stdout.readline()
    process.terminate()
    deadline = time.monotonic() + TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        process.terminate()
        time.sleep(0.05)
    process.communicate()
    assert process.returncode == -signal.SIGTERM
    assert time.monotonic() < deadline - 20


@needs_posix
def test_an_open_run_of_a_daemon_that_is_killed_is_a_failure(receiver, program, tmp_path):
    name = program(
        """
        import time
        from loguru import logger
        logger.info("sync.start")
        print("ready", flush=True)
        for _ in range(1200):
            time.sleep(0.05)
        """
    )
    process = started(*RUN, "--markers-only", name, cwd=tmp_path)
    process.stdout.readline()
    terminated(process)
    assert events(receiver) == [(Event.START, None), (Event.FAIL, 143)]
    assert receiver.pings[0].run_id == receiver.pings[1].run_id


@needs_posix
def test_a_signal_ends_a_program_that_only_waits_for_its_threads(receiver, program, tmp_path):
    name = program(
        """
        import threading, time
        def work():
            threading.main_thread().join()
            print("ready", flush=True)
            for _ in range(1200):
                time.sleep(0.05)
        threading.Thread(target=work).start()
        """
    )
    process = started(*RUN, name, cwd=tmp_path)
    process.stdout.readline()
    terminated(process)
    assert process.returncode == -signal.SIGTERM
    assert events(receiver)[1:] == [(Event.FAIL, 143)]


@needs_posix
def test_a_daemon_that_forks_away_is_watched_by_its_markers(receiver, program, tmp_path):
    name = program(
        """
        import os, sys
        from loguru import logger
        for _ in range(2):
            if os.fork():
                os._exit(0)
            os.setsid()
        logger.info("sync.start")
        logger.info("sync.done")
        logger.info("sync.start")
        sys.exit(3)
        """
    )
    env = {"PYTHONWARNINGS": "ignore"}
    done = run(*RUN, "--markers-only", name, cwd=tmp_path, env=env)
    assert done.returncode == 0
    told = [ping.event for ping in receiver.wait(4)]
    assert told == [Event.START, Event.SUCCESS, Event.START, Event.FAIL]


# Which pings


def test_the_programs_own_markers_are_lines_of_the_log_while_the_process_is_the_run(
    receiver, program, tmp_path
):
    name = program(
        """
        from loguru import logger
        logger.info("sync.start")
        logger.info("sync.log: half way")
        logger.error("sync.error: one of many")
        logger.info("sync.done")
        """
    )
    run(*RUN, name, cwd=tmp_path)
    assert [ping.event for ping in receiver.wait(3)] == [Event.START, Event.LOG, Event.SUCCESS]
    assert len({ping.run_id for ping in receiver.pings}) == 1


def test_a_message_that_stands_for_a_failure_makes_it_a_failed_run(receiver, program, tmp_path):
    name = program(
        """
        import threading
        from loguru import logger
        thread = threading.Thread(target=logger.error, args=("Backup failed: disk full",))
        thread.start()
        thread.join()
        """
    )
    done = run(*RUN, "--marker", "Backup failed=fail", name, cwd=tmp_path)
    assert done.returncode == 0
    assert [ping.event for ping in receiver.pings] == [Event.START, Event.FAIL]
    assert len({ping.run_id for ping in receiver.pings}) == 1


def test_values_of_variables_are_not_sent(receiver, program, tmp_path):
    name = program(
        """
        from loguru import logger
        def login(password):
            try:
                return 1 / (password == "")
            except ZeroDivisionError:
                logger.exception("no login")
        login("".join(["hunt", "er2"]))
        """
    )
    done = run(*RUN, name, cwd=tmp_path)
    assert "hunter2" in done.stderr
    assert "no login\nTraceback" in receiver.wait(2)[1].text
    assert "hunter2" not in receiver.pings[1].text


def test_a_program_that_awaits_its_handlers_does_not_wait_for_the_service(
    receiver, program, tmp_path
):
    receiver.script(None, Fault(delay=3))
    name = program(
        """
        import asyncio, time
        from loguru import logger
        async def main():
            logger.info("sync.log")
            await logger.complete()
        begun = time.monotonic()
        asyncio.run(main())
        print(time.monotonic() - begun < 2)
        """
    )
    done = run(*RUN, name, cwd=tmp_path)
    assert done.stdout == "True\n"


def test_with_markers_only_the_process_tells_nothing(receiver, program, tmp_path):
    name = program(
        """
        from loguru import logger
        for day in range(2):
            logger.info("nightly.start")
            logger.info("Backup finished, 12 files" if day else "nightly.done")
        raise SystemExit(3)
        """
    )
    options = ("--markers-only", "--job", "nightly", "--marker", "Backup finished=success")
    done = run(*RUN, *options, name, cwd=tmp_path)
    assert done.returncode == 3
    assert [ping.event for ping in receiver.pings] == [Event.START, Event.SUCCESS] * 2
    assert len({ping.run_id for ping in receiver.pings}) == 2


def test_with_markers_only_a_crash_within_a_run_is_a_failure_with_the_programs_traceback(
    receiver, program, tmp_path
):
    name = program("from loguru import logger\nlogger.info('sync.start')\n1/0")
    run(*RUN, "--markers-only", name, cwd=tmp_path)
    start, fail = receiver.wait(2)
    assert (fail.event, fail.run_id) == (Event.FAIL, start.run_id)
    assert fail.text.endswith("ZeroDivisionError: division by zero\n")
    assert "launcher" not in fail.text


def test_without_a_start_only_the_end_is_told(receiver, program, tmp_path):
    run(*RUN, "--no-start", program(""), cwd=tmp_path)
    assert events(receiver) == [(Event.SUCCESS, None)]


def test_level_limit_and_redaction_shape_the_log(receiver, program, tmp_path):
    name = program(
        """
        from loguru import logger
        logger.debug("never sent")
        logger.info("x" * 500)
        logger.info("token=hunter2 and pin=1234")
        """
    )
    shape = ("--level", "info", "--limit", "90", "--redact", r"token=\S+", "--redact", r"pin=\d+")
    run(*RUN, *shape, name, cwd=tmp_path)
    body = receiver.wait(2)[1].text
    assert len(body) <= 90
    assert body.endswith("[redacted] and [redacted]\n")
    run(*RUN, "--no-logs", name, cwd=tmp_path)
    assert [ping.text for ping in receiver.wait(4)[2:]] == ["", ""]


# A monitor in trouble


@pytest.mark.parametrize("fault", [404, 500, Fault(delay=float("inf")), Fault(cut="request")])
def test_a_monitor_in_trouble_changes_no_exit_status(receiver, program, tmp_path, fault):
    receiver.always(fault)
    name = program("import sys\nprint('out')\nsys.exit(5)")
    done = run(*RUN, "--drain", "0.5", "--timeout", "0.3", name, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (5, "out\n")
    assert "loghc: " in done.stderr
    assert receiver.url.rpartition("/")[2] not in done.stderr


def test_no_monitor_at_all_changes_no_exit_status(program, tmp_path):
    with PingReceiver() as receiver:
        url = receiver.url
    done = run(
        *RUN, "--drain", "0.3", program("print('out')"), cwd=tmp_path, env={"HEALTH_CHECK_URL": url}
    )
    assert (done.returncode, done.stdout) == (0, "out\n")
    assert "connection refused" in done.stderr
