"""`loghc run`: a program is watched from outside, and the service hears how it went."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from conftest import said
from loghc.ping import Event
from loghc.portable.run_ids import run_id_from
from loghc.testing import Fault, PingReceiver
from loghc.watch.processes import is_alive
from processes import LOGHC, RUN, TIMEOUT, events, first_process, needs_posix, run, started
from waiting import wait_until

pytestmark = needs_posix


def told(receiver, count=2):
    """The pings, once they are all there."""
    return receiver.wait(count, timeout=TIMEOUT)


def shell(script):
    """A script for the command that follows, which is "$@" in it."""
    return "sh", "-c", script, "sh"


# What can be started


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


WHO = "import sys, loguru\nloguru.logger.info('sync ' + ' '.join(sys.argv[1:]))\n"


@pytest.fixture
def programs(tmp_path):
    """The same program in all forms that Python runs."""
    (tmp_path / "app.py").write_text(WHO)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "__main__.py").write_text(WHO)
    with zipfile.ZipFile(tmp_path / "app.pyz", "w") as archive:
        archive.writestr("__main__.py", WHO)
    script = tmp_path / "bin" / "app-script"
    script.parent.mkdir()
    script.write_text(f"#!{sys.executable}\n{WHO}")
    script.chmod(0o755)
    shutil.copy(script, tmp_path / "bin" / "tool.py")
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        ["app.py"],
        ["folder"],
        ["app.pyz"],
        ["-m", "app"],
        ["-mapp"],
        ["-c", WHO],
        ["--", "app.py"],
        ["--python", sys.executable, "app.py"],
        ["--python=" + sys.executable, "-m", "app"],
        [sys.executable, "app.py"],
        [sys.executable, "-X", "utf8", "-c", WHO],
        ["app-script"],
        ["./bin/app-script"],
        ["tool.py"],
        ["sh", "-c", f'"{sys.executable}" app.py "$@"', "sh"],
    ],
    ids=lambda command: " ".join(command)[:30],
)
def test_a_command_is_run_as_it_was_typed(receiver, programs, command):
    env = {"PATH": f"{programs / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    args = ["--job", "x", "--", "-m", "--help", "", "-"]
    done = run(*RUN, *command, *args, cwd=programs, env=env)
    assert done.returncode == 0, done.stderr
    assert told(receiver)[1].text.endswith("sync " + " ".join(args) + "\n")


def test_a_console_script_beside_the_python_of_loghc_needs_no_path(receiver, tmp_path):
    done = run(*RUN, "loghc", "--version", cwd=tmp_path, env={"PATH": "/nowhere"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("loghc ")


def test_a_script_without_a_first_line_is_run_by_the_shell(receiver, program, tmp_path):
    program('echo "$0 $1"; exit 4', "job")
    (tmp_path / "job").chmod(0o755)
    done = run(*RUN, "./job", "x", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (4, "./job x\n")


@pytest.mark.parametrize(
    ("command", "status", "reason"),
    [
        ("nowhere", 127, "command not found"),
        ("./nowhere", 127, "No such file or directory"),
        ("./file", 126, "Permission denied"),
        ("./broken", 127, "No such file or directory"),
    ],
)
def test_what_can_not_be_started_is_a_failure(receiver, tmp_path, command, status, reason):
    (tmp_path / "file").write_text("#!/bin/sh\n")
    (tmp_path / "broken").write_text("#!/nowhere/sh\n")
    (tmp_path / "broken").chmod(0o755)
    done = run(*RUN, command, cwd=tmp_path)
    assert done.returncode == status
    assert said(done.stderr) == f"loghc: {command}: {reason}\n"
    assert events(receiver) == [(Event.FAIL, status)]
    assert receiver.pings[0].text == f"{command} can't be started: {reason}\n"


# What the program finds


SURROUNDINGS = """
import os, signal, sys
print(sorted(os.listdir("/proc/self/fd"))[:-1])
print(os.getpgid(0) == os.getpgid(os.getppid()), os.getcwd(), oct(os.umask(0)))
print({number: str(signal.getsignal(number)) for number in sorted(signal.valid_signals())})
print(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])))
env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "LOGHC_RUN", "_", "SHLVL")}
print(sorted(env.items()))
"""


def test_the_program_finds_its_modules_and_its_path_as_without(receiver, program, tmp_path):
    name = program(
        """
        import os, sys
        from loguru import logger
        logger.info("recorded")
        print(sorted(sys.modules), sys.path, os.environ["PYTHONPATH"].rpartition(":")[2])
        """
    )
    env = {"PYTHONPATH": str(tmp_path)}
    alone = run(sys.executable, name, cwd=tmp_path, env=env)
    assert run(*RUN, name, cwd=tmp_path, env=env).stdout == alone.stdout
    assert alone.stdout.endswith(f" {tmp_path}\n")
    assert receiver.pings[1].text.endswith("- recorded\n")


def test_why_there_is_no_run_directory_is_said(receiver, tmp_path):
    full = ("sh", "-c", 'ulimit -f 0; exec "$@"', "sh")
    done = run(*full, *RUN, "sh", "-c", "exit 3", cwd=tmp_path)
    assert done.returncode == 3
    assert "no run directory could be made: File too large" in receiver.pings[1].text


@pytest.mark.parametrize(
    "before", ["", "trap '' HUP INT USR1;", "exec <&-;", "exec <&- 2>&-;", "umask 77;"]
)
def test_the_program_finds_what_it_would_find_without(receiver, program, tmp_path, before):
    name = program(SURROUNDINGS)
    shell = ("sh", "-c", f'{before} exec "$@"', "sh")
    env = {"PATH": os.environ["PATH"], "HOME": "/"}
    clean = ("env", "-i", *(f"{key}={value}" for key, value in env.items()))
    alone = run(*shell, *clean, sys.executable, name, cwd=tmp_path)
    watched = run(*shell, *clean, f"HEALTH_CHECK_URL={receiver.url}", *RUN, name, cwd=tmp_path)
    assert alone.returncode == 0
    assert (watched.stdout, watched.returncode) == (alone.stdout, 0)


@pytest.mark.parametrize("url", [None, "off"])
@pytest.mark.parametrize(
    "command", [["echo", "out"], ["-c", "print('out')"], ["--state", "x", "echo", "out"]], ids=str
)
@pytest.mark.parametrize(
    "loghc", [LOGHC, (Path(sys.executable).with_name("loghc"),)], ids=["-m", "command"]
)
def test_in_a_deleted_working_directory_the_program_starts(receiver, tmp_path, loghc, command, url):
    (tmp_path / "gone").mkdir()
    env = {"HEALTH_CHECK_URL": url} if url else {}
    delete = ("sh", "-c", 'rmdir "$PWD"; exec "$@"', "sh")
    done = run(*delete, *loghc, "run", *command, cwd=tmp_path / "gone", env=env)
    assert (done.returncode, done.stdout) == (0, "out\n"), done.stderr
    told = [ping.event for ping in receiver.pings]
    assert told == ([] if url else [Event.START, Event.SUCCESS]), done.stderr
    is_said = "the state directory 'x' can't be used" in done.stderr
    assert is_said == ("--state" in command and not url)


def test_descriptors_of_the_callers_are_inherited(receiver, tmp_path):
    (tmp_path / "given").write_text("seven")
    done = run("sh", "-c", 'exec "$@" 7<given', "sh", *RUN, "sh", "-c", "cat <&7", cwd=tmp_path)
    assert done.stdout == "seven"


def test_a_program_that_is_no_python_gets_the_default_for_sigpipe(receiver, tmp_path):
    done = run(*RUN, "sh", "-c", "yes | head -1; kill -PIPE $$", cwd=tmp_path)
    assert (done.stdout, done.returncode) == ("y\n", -signal.SIGPIPE)


def test_the_locale_that_python_sets_for_its_children_is_not_passed_on(receiver, tmp_path):
    clean = ("env", "-i", f"HEALTH_CHECK_URL={receiver.url}", f"PATH={os.environ['PATH']}")
    done = run(*clean, *RUN, "env", cwd=tmp_path)
    assert sorted(line.partition("=")[0] for line in done.stdout.splitlines()) == [
        "LOGHC_RUN",
        "PATH",
        "PYTHONPATH",
    ]


def test_the_ping_url_is_not_the_programs_to_see(receiver, tmp_path):
    url = receiver.url
    (tmp_path / "url").write_text(url)
    show = ("sh", "-c", 'echo "$HEALTH_CHECK_URL,$HEALTH_CHECK_URL_FILE"')
    from_file = ("env", "-u", "HEALTH_CHECK_URL", "HEALTH_CHECK_URL_FILE=url")
    other = {"HEALTH_CHECK_URL": "https://hc-ping.example/another"}
    assert run(*RUN, *show, cwd=tmp_path).stdout == ",\n"
    assert run(*from_file, *RUN, *show, cwd=tmp_path).stdout == ",\n"
    option = ("--health-check-url", url)
    assert run(*RUN, *option, *show, cwd=tmp_path).stdout == ",\n"
    kept = run(*RUN, *option, *show, cwd=tmp_path, env=other).stdout
    assert kept == "https://hc-ping.example/another,\n"


def test_the_run_directory_is_the_users_alone_and_gone_afterwards(receiver, program, tmp_path):
    name = program(
        """
        import os
        from loguru import logger
        logger.info("x")
        path = os.environ["LOGHC_RUN"]
        print(path)
        print(oct(os.stat(path).st_mode & 0o777))
        for entry in os.scandir(path):
            print(oct(entry.stat().st_mode & 0o777))
        """
    )
    done = run("sh", "-c", 'umask 0; exec "$@"', "sh", *RUN, name, cwd=tmp_path)
    path, directory, *files = done.stdout.splitlines()
    assert directory == "0o700"
    assert set(files) == {"0o600"}
    assert not Path(path).exists()


def test_no_secret_is_in_the_run_directory(receiver, program, tmp_path):
    name = program(
        """
        import os, pathlib
        for path in pathlib.Path(os.environ["LOGHC_RUN"]).iterdir():
            if path.is_file():
                print(path.read_bytes())
        print(open("/proc/self/environ").read())
        """
    )
    done = run(*RUN, "--state", "state", name, cwd=tmp_path)
    assert "url_hash" in done.stdout
    assert receiver.url.rpartition("/")[2] not in done.stdout


# Verdicts


@pytest.mark.parametrize(
    ("options", "script", "status", "event", "exit_status"),
    [
        ([], "exit 0", 0, Event.SUCCESS, None),
        ([], "exit 3", 3, Event.FAIL, 3),
        ([], "exit 255", 255, Event.FAIL, 255),
        ([], "kill -TERM $$", -15, Event.FAIL, 143),
        ([], "kill -KILL $$", -9, Event.FAIL, 137),
        (["--ok-status", "3,143"], "exit 3", 3, Event.SUCCESS, None),
        (["--ok-status", "3,143"], "kill -TERM $$", -15, Event.SUCCESS, None),
        (["--ok-status", "3"], "exit 4", 4, Event.FAIL, 4),
        (["--ok-status", "255"], "exit 255", 255, Event.SUCCESS, None),
    ],
)
def test_the_exit_status_is_the_verdict(
    receiver, tmp_path, options, script, status, event, exit_status
):
    done = run(*RUN, *options, "sh", "-c", script, cwd=tmp_path)
    assert done.returncode == status
    assert events(receiver) == [(Event.START, None), (event, exit_status)]


@pytest.mark.parametrize(
    ("option", "event"),
    [("ERROR", Event.FAIL), ("warning", Event.FAIL), ("41", Event.SUCCESS)],
)
def test_a_record_of_a_level_fails_the_run_if_asked_to(receiver, program, tmp_path, option, event):
    name = program("from loguru import logger\nlogger.error('disk full')")
    done = run(*RUN, "--fail-on", option, name, cwd=tmp_path)
    assert done.returncode == 0
    assert events(receiver)[1:] == [(event, None)]
    assert receiver.pings[1].text.startswith("disk full (after ") == (event is Event.FAIL)
    reason = f"loghc: a record of level {option.upper()} or above was logged (--fail-on)\n"
    assert receiver.pings[1].text.endswith(reason) == (event is Event.FAIL)


UNSEEN = {
    "ring": "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n",
    "isolated": "",
    "gone": "import os, shutil, loguru\nshutil.rmtree(os.environ['LOGHC_RUN'])\n",
}


@pytest.mark.parametrize("how", UNSEEN)
@pytest.mark.parametrize("status", [0, 3])
def test_no_success_is_told_if_a_record_of_the_level_may_have_been_missed(
    receiver, program, tmp_path, how, status
):
    name = program(
        f"{UNSEEN[how]}import loguru\nloguru.logger.error('x')\nraise SystemExit({status})"
    )
    python = [sys.executable, *(["-I"] if how == "isolated" else [])]
    done = run(*RUN, "--fail-on", "ERROR", *python, name, cwd=tmp_path)
    assert done.returncode == status
    assert events(receiver)[1:] == [(Event.FAIL, status or None)]
    text = receiver.pings[1].text
    unknown = "a record of level ERROR or above (--fail-on) may have been logged unseen"
    # The watcher may have the ring open already when its directory goes.
    seen = how == "gone" and "a record of level ERROR or above was logged (--fail-on)" in text
    assert seen or unknown in text
    said = "loghc: the log of a process could not be kept: " in done.stderr
    assert said == (how != "isolated" and not seen)


def test_a_level_that_had_no_record_to_look_at_is_said(receiver, program, tmp_path):
    name = program("import loguru\nloguru.logger.error('x')")
    done = run(*RUN, "--fail-on", "ERROR", "true", cwd=tmp_path)
    assert done.stderr.endswith(
        "loghc: no process that logs with loguru was seen, so --fail-on ERROR had no effect.\n"
    )
    assert "had no effect" not in run(*RUN, "--fail-on", "ERROR", name, cwd=tmp_path).stderr


DELETING = """
import os, shutil, subprocess, sys, time
from loguru import logger
logger.info("sync.start")
logger.info("before")
run = os.environ["LOGHC_RUN"]
inode = os.stat(run).st_ino
def held():  # by the watcher
    for descriptor in os.scandir(f"/proc/{os.getppid()}/fd"):
        try:
            yield os.readlink(descriptor.path)
        except OSError:
            pass
while not any(path.endswith(".ring") for path in held()):
    time.sleep(0.01)
shutil.rmtree(run)
"""
LATER = """
while not os.path.exists(run + "/channel"):
    time.sleep(0.05)
subprocess.run([sys.executable, "-c", "from loguru import logger; logger.info('child')"])
"""


@pytest.mark.parametrize("option", [None, "--markers-only"])
@pytest.mark.parametrize("later", ["", LATER], ids=["at once", "later"])
def test_a_failure_after_the_run_directory_was_deleted_is_told(
    receiver, program, tmp_path, option, later
):
    name = program(f"{DELETING}{later}logger.error('sync.error: disk full')")
    done = run(*RUN, *([option] if option else []), name, cwd=tmp_path)
    assert done.returncode == 0
    failures = [ping for ping in receiver.pings if ping.event is Event.FAIL]
    assert failures
    assert all("- before\n" in ping.text for ping in failures)
    assert all("sync.error: disk full" in ping.text for ping in failures)
    assert events(receiver)[-1] == (Event.FAIL, None)
    assert done.stderr.count("loghc: the run directory was deleted; it was recreated.") == 1


def test_a_good_run_is_one_though_its_directory_was_deleted(receiver, program, tmp_path):
    name = program(f"{DELETING}{LATER}logger.info('after')")
    run(*RUN, "--fail-on", "ERROR", name, cwd=tmp_path)
    assert events(receiver) == [(Event.START, None), (Event.SUCCESS, None)]
    lines = receiver.pings[1].text.splitlines()
    assert [line.rpartition(" ")[2] for line in lines] == ["sync.start", "before", "child", "after"]


@pytest.mark.parametrize("option", [None, "--markers-only"])
def test_no_success_is_told_if_the_run_directory_was_deleted(receiver, program, tmp_path, option):
    name = program(
        """
        import os, shutil
        from loguru import logger
        logger.info("sync.start")
        shutil.rmtree(os.environ["LOGHC_RUN"])
        logger.error("sync.error")
        """
    )
    done = run(*RUN, *([option] if option else []), name, cwd=tmp_path)
    assert done.returncode == 0
    assert events(receiver)[0] == (Event.START, None)
    assert events(receiver)[-1] == (Event.FAIL, None)
    text = receiver.pings[-1].text
    # Whether the ring was seen in time is a matter of luck.
    assert "sync.error" in text or "a marker may have been logged unseen" in text
    assert "the run directory was deleted" in done.stderr


FAILURES = {
    "by the program itself": "logger.error('sync.error: disk full')",
    "by a thread": (
        "import threading\nt = threading.Thread(target=logger.error, args=('sync.error',))\n"
        "t.start()\nt.join()"
    ),
    "by a forked child that leaves by os._exit": (
        "import os\n"
        "if not os.fork():\n    logger.error('sync.error: disk full')\n    os._exit(0)\nos.wait()"
    ),
    "by another Python": (
        "import subprocess, sys\n"
        "subprocess.run([sys.executable, '-c', 'from loguru import logger\\n"
        'logger.error("sync.error")\'])'
    ),
}


@pytest.mark.parametrize("source", FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("after", ["", "\nlogger.info('sync.done')"], ids=["", "then done"])
def test_a_failure_that_was_logged_is_never_followed_by_a_success(
    receiver, program, tmp_path, source, after
):
    name = program(f"from loguru import logger\n{source}{after}")
    done = run(*RUN, name, cwd=tmp_path)
    assert done.returncode == 0
    assert events(receiver) == [(Event.START, None), (Event.FAIL, None), (Event.FAIL, None)]
    assert len({ping.run_id for ping in receiver.pings}) == 1
    assert "sync.error" in receiver.pings[1].text.splitlines()[-1]
    assert receiver.pings[2].text.endswith("loghc: the run failed, because a failure was logged\n")


@pytest.mark.parametrize(
    ("option", "event"), [((), Event.FAIL), (("--ok-status", "1"), Event.SUCCESS)]
)
def test_a_traceback_is_in_the_log_of_a_failure_alone(receiver, program, tmp_path, option, event):
    run(*RUN, *option, program("from loguru import logger\nlogger.info('x')\n1/0"), cwd=tmp_path)
    assert receiver.pings[1].event is event
    assert ("ZeroDivisionError" in receiver.pings[1].text) == (event is Event.FAIL)


def test_markers_of_a_plain_run(receiver, program, tmp_path):
    name = program(
        """
        from loguru import logger
        logger.info("nightly.start")
        logger.info("nightly.log: half way")
        logger.info("nightly.done")
        logger.bind(run_id="other").warning("Disk nearly full: 3 %")
        """
    )
    options = ("--job", "nightly", "--marker", "Disk nearly full=log")
    run(*RUN, *options, name, cwd=tmp_path)
    assert [ping.event for ping in receiver.pings] == [
        Event.START,
        Event.LOG,
        Event.LOG,
        Event.SUCCESS,
    ]
    assert len({ping.run_id for ping in receiver.pings}) == 1
    assert receiver.pings[1].text.endswith("nightly.log: half way\n")
    assert "loghc: " not in receiver.pings[3].text


def test_of_many_markers_at_once_the_newest_and_failures_have_the_log(receiver, program, tmp_path):
    name = program(
        """
        import os, pathlib, signal
        from loguru import logger
        logger.info("before")
        watcher = os.getppid()
        os.kill(watcher, signal.SIGSTOP)
        while " T " not in pathlib.Path(f"/proc/{watcher}/stat").read_text():
            pass
        for event in ["done"] * 20 + ["error"] * 5 + ["log"] * 60:
            logger.info(f"sync.{event}")
        os.kill(watcher, signal.SIGCONT)
        """
    )
    run(*RUN, "--markers-only", name, cwd=tmp_path)
    assert len(receiver.pings) == 85
    for ping in receiver.pings:
        note = "loghc: too many markers came at once: the rest of the log is left out\n"
        if ping.event is Event.SUCCESS:
            assert ping.text.endswith(f" - sync.done\n{note}")
            assert "before" not in ping.text
        elif ping.event is Event.FAIL:
            assert "before" in ping.text
    # While nothing is sent yet, 32 logs wait: those of the 25 ends, and of the newest notes.
    assert all("before" in ping.text for ping in receiver.pings[-5:])


@pytest.mark.parametrize(("message", "event"), [(r"\udcff", Event.FAIL), ("?", Event.SUCCESS)])
def test_a_marker_that_is_no_utf_8_stands_for_itself_alone(
    receiver, program, tmp_path, message, event
):
    name = program(
        f"""
        from loguru import logger
        logger.remove()
        logger.add(lambda message: None)
        logger.info("{message}")
        """
    )
    run(*RUN, "--marker", os.fsdecode(b"\xff=fail"), name, cwd=tmp_path)
    assert told(receiver)[-1].event is event


def test_only_the_events_that_are_asked_for_are_sent(receiver, program, tmp_path):
    name = program("from loguru import logger\nlogger.info('sync.log')")
    run(*RUN, "--events", "success,fail", name, cwd=tmp_path)
    assert events(receiver) == [(Event.SUCCESS, None)]
    run(*RUN, "--events", "success", "sh", "-c", "exit 1", cwd=tmp_path)
    run(*RUN, "--no-start", name, cwd=tmp_path)
    assert events(receiver)[1:] == [(Event.LOG, None), (Event.SUCCESS, None)]


def test_what_is_left_running_is_said(receiver, program, tmp_path):
    name = program("sleep 60 >/dev/null 2>&1 & echo $!", "job.sh")
    done = run(*RUN, "sh", name, cwd=tmp_path)
    pid = int(done.stdout)
    os.kill(pid, signal.SIGKILL)
    assert f"still running, and no longer watched: sleep ({pid})\n" in told(receiver)[1].text


@pytest.mark.skipif(not hasattr(sys, "get_lazy_imports"), reason="CPython 3.15")
def test_lazy_imports_change_nothing(receiver, program, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHON_LAZY_IMPORTS", "all")
    name = program("from loguru import logger\nlogger.info('the last line')")
    run(*RUN, name, cwd=tmp_path)
    assert "the last line" in told(receiver)[-1].text


def test_helpers_of_multiprocessing_are_not_said_to_be_left_running(receiver, program, tmp_path):
    name = program(
        """
        import multiprocessing, os, signal
        from multiprocessing import forkserver, resource_tracker

        def work():
            if __name__ == "__mp_main__":
                os._exit(0)

        if __name__ == "__main__":
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)
            child = multiprocessing.get_context("forkserver").Process(target=work)
            child.start()
            child.join()
            helpers = [
                forkserver._forkserver._forkserver_pid, resource_tracker._resource_tracker._pid
            ]
            for pid in helpers:  # else they may have ended by then
                os.kill(pid, signal.SIGSTOP)
            print(*helpers, file=open("helpers", "w"), flush=True)
            os._exit(0)
        """
    )
    run(*RUN, name, cwd=tmp_path)
    helpers = [int(pid) for pid in (tmp_path / "helpers").read_text().split()]
    for pid in helpers:
        os.kill(pid, signal.SIGKILL)
    assert len(helpers) == 2
    assert "still running" not in told(receiver)[-1].text


def test_a_helper_that_ends_a_moment_after_the_program_is_not_said_to_be_left_running(
    receiver, program, tmp_path
):
    name = program(
        """
        import os, select
        reading, writing = os.pipe()
        if os.fork() == 0:
            os.close(writing)
            for stream in (1, 2):
                os.dup2(os.open(os.devnull, os.O_RDWR), stream)
            os.read(reading, 1)  # until the program has ended
            select.select([], [], [], 0.2)
        os._exit(0)
        """
    )
    patient = program(PATIENT, "patient.py")
    run(sys.executable, patient, "run", name, cwd=tmp_path)
    assert "still running" not in told(receiver)[-1].text


PATIENT = """
import sys
from loghc.command.main import main
from loghc.watch import watched_run

watched_run._HELPER_EXIT_S = 30.0  # on a busy machine a moment may be long
sys.exit(main(sys.argv[1:]))
"""
BROKEN = """
import sys
from loghc.command.main import main
from loghc.watch.watched_run import WatchedRun

def raise_error(*args, **kwargs):
    raise ValueError("a bug")

setattr(WatchedRun, sys.argv.pop(1), raise_error)
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    "method", ["__init__", "begin", "take_messages", "end", "deliver", "close"]
)
def test_a_bug_in_what_tells_the_service_changes_nothing_for_the_program(
    receiver, program, tmp_path, method
):
    name = program(BROKEN)
    words = ("run", "sh", "-c", "sleep 0.1; echo done; exit 3")
    done = run(sys.executable, name, method, *words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (3, "done\n")
    assert "a ping of the run could not be made, please report this:" in done.stderr
    assert "ValueError: a bug" in done.stderr


# Markers only


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


OVERLAPPING = """
    import contextvars, sys
    from loguru import logger
    from loghc import HealthSink
    if sys.argv[1:] == ["sink"]:
        logger.add(HealthSink())

    def run():
        logger.info("sync.start")
        yield
        logger.info("sync.log")
        yield
        logger.info("sync.done")

    # As trio's tasks and gevent's greenlets do: in one thread, each in a context of its own.
    tasks = [(contextvars.copy_context(), run()) for _ in range(3)]
    while tasks:
        tasks = [task for task in tasks if task[0].run(next, task[1], "over") != "over"]
    # Alike in their first 200 characters.
    shards = [logger.bind(run_id=1000 * "x" + str(number)) for number in range(2)]
    for marker in ("sync.start", "sync.done"):
        for shard in shards:
            shard.info(marker)
"""


@pytest.mark.parametrize("how", ["", "sink"])
def test_runs_that_overlap_in_one_thread_pair_alike_in_a_sink_and_under_loghc_run(
    receiver, program, tmp_path, monkeypatch, how
):
    name = program(OVERLAPPING)
    if how:
        monkeypatch.setenv("HEALTH_CHECK_URL", receiver.url)
        run(sys.executable, name, how, cwd=tmp_path)
    else:
        run(*RUN, "--markers-only", name, cwd=tmp_path)
    by_run: dict[str | None, list[Event]] = {}
    for ping in receiver.pings:
        by_run.setdefault(ping.run_id, []).append(ping.event)
    named = [run_id_from(1000 * "x" + number) for number in "01"]
    assert [by_run.pop(run_id) for run_id in named] == [[Event.START, Event.SUCCESS]] * 2
    assert list(by_run.values()) == [[Event.START, Event.LOG, Event.SUCCESS]] * 3


def test_with_markers_only_a_crash_within_a_run_is_a_failure(receiver, program, tmp_path):
    name = program("from loguru import logger\nlogger.info('sync.start')\n1/0")
    run(*RUN, "--markers-only", name, cwd=tmp_path)
    start, fail = told(receiver)
    assert (fail.event, fail.exit_status, fail.run_id) == (Event.FAIL, 1, start.run_id)
    assert "ZeroDivisionError: division by zero\n" in fail.text
    assert fail.text.endswith("loghc: the program ended before this run did\n")


def test_overlapping_runs_are_paired_by_thread_process_and_name(receiver, program, tmp_path):
    name = program(
        """
        import os, threading
        from loguru import logger
        both = threading.Barrier(2)
        def work():
            logger.info("sync.start")
            both.wait()
            logger.info("sync.done " + threading.current_thread().name)
        threads = [threading.Thread(target=work) for _ in range(2)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        logger.bind(run_id="named").info("sync.start")
        if not os.fork():
            logger.bind(run_id="named").info("sync.done")
            os._exit(0)
        os.wait()
        """
    )
    run(*RUN, "--markers-only", name, cwd=tmp_path)
    runs = {}
    for ping in receiver.pings:
        runs.setdefault(ping.run_id, []).append(ping.event)
    assert list(runs.values()) == [[Event.START, Event.SUCCESS]] * 3


def test_a_daemon_is_watched_until_its_last_process_has_ended(receiver, program, tmp_path):
    name = program(
        """
        import os, sys
        from loguru import logger
        reading, writing = os.pipe()
        for _ in range(2):
            if os.fork():
                os._exit(0)
            os.setsid()
        logger.info("sync.start")
        logger.info("sync.done")
        logger.info("sync.start")
        print("daemon", flush=True)
        sys.stdin.read(1)  # until the test lets it go
        sys.exit(3)
        """
    )
    process = subprocess.Popen(
        [*RUN, "--markers-only", name],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    assert process.stdout.readline() == b"daemon\n"
    assert [ping.event for ping in told(receiver, 3)] == [
        Event.START,
        Event.SUCCESS,
        Event.START,
    ]
    assert process.poll() is None
    process.communicate(b"x", timeout=TIMEOUT)
    assert process.returncode == 0
    assert told(receiver, 4)[3].event is Event.FAIL


def test_a_process_is_not_mistaken_for_one_of_the_run_that_had_its_id(receiver, program, tmp_path):
    name = program(
        """
        import os, subprocess, sys
        from loguru import logger
        from loghc.portable.ring import open_ring
        logger.info("sync.start")
        open_ring(os.environ.pop("LOGHC_RUN"), 65536, int(sys.argv[1]))
        """
    )
    other = subprocess.Popen(["sleep", "1000"])
    try:
        done = run(*RUN, "--markers-only", name, str(other.pid), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert [ping.event for ping in told(receiver)] == [Event.START, Event.FAIL]
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_process_of_another_namespace_is_not_taken_for_the_one_with_its_id_here(
    receiver, program, tmp_path
):
    name = program("from loguru import logger; import os; logger.info(f'I am {os.getpid()}')")
    done = run(*RUN, *first_process(tmp_path), sys.executable, name, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert told(receiver)[1].text.endswith(" - I am 1\n")


# A daemon whose main program ends at once, stays, or stays and has a handler for SIGTERM.
DAEMON = """
import os, signal, sys
from loguru import logger
then = sys.argv[1]
ready, up = os.pipe()
if not os.fork():
    os.setsid()
    logger.info("sync.start")
    signals = {signal.SIGTERM, signal.SIGUSR2}
    if then == "handle":
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    os.write(up, b"x")
    if then == "handle":
        print("daemon:", signal.Signals(signal.sigwait(signals)).name, len(signal.sigpending()))
        sys.exit()
    signal.pause()
if then == "handle":
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
signal.signal(signal.SIGUSR1, lambda *_: os._exit(0))
os.read(ready, 1)
print(os.getpid(), flush=True)
while then != "leave":
    signal.pause()
os._exit(0)
"""


@pytest.mark.parametrize("then", ["leave", "stay"])
def test_a_daemon_is_ended_by_the_signal_that_its_watcher_gets(receiver, program, tmp_path, then):
    process = started(*RUN, "--markers-only", program(DAEMON), then, cwd=tmp_path)
    process.stdout.readline()
    process.terminate()
    process.communicate(timeout=TIMEOUT)
    assert process.returncode in (0, -signal.SIGTERM)
    assert [event for event, _ in events(receiver)] == [Event.START, Event.FAIL]


def test_a_signal_for_which_the_main_program_has_a_handler_is_not_its_daemons(
    receiver, program, tmp_path
):
    process = started(*RUN, "--markers-only", program(DAEMON), "handle", cwd=tmp_path)
    main = int(process.stdout.readline())
    process.terminate()
    wait_until(lambda: not Path(f"/proc/{main}").exists())
    process.send_signal(signal.SIGUSR2)
    out, _ = process.communicate(timeout=TIMEOUT)
    assert out == "daemon: SIGUSR2 0\n"


def test_a_signal_that_comes_after_the_main_programs_end_is_its_daemons(
    receiver, program, tmp_path
):
    process = started(*RUN, "--markers-only", program(DAEMON), "handle", cwd=tmp_path)
    main = int(process.stdout.readline())
    process.send_signal(signal.SIGSTOP)  # so that the watcher can't know of the end
    os.kill(main, signal.SIGUSR1)
    wait_until(lambda: not is_alive(main))
    process.terminate()
    process.send_signal(signal.SIGCONT)
    out, _ = process.communicate(timeout=TIMEOUT)
    assert out == "daemon: SIGTERM 0\n"


# The log


def test_level_limit_and_redaction_shape_the_log(receiver, program, tmp_path):
    name = program(
        """
        from loguru import logger
        logger.debug("never sent")
        logger.info("x" * 500)
        logger.info("token=hunter2 and pin=1234")
        """
    )
    shape = (
        "--no-mask-secrets",
        "--level",
        "info",
        "--limit",
        "90",
        "--redact",
        r"token=\S+",
        "--redact",
        r"pin=\d+",
    )
    run(*RUN, *shape, name, cwd=tmp_path)
    body = told(receiver)[1].text
    assert len(body) <= 90
    assert body.endswith("[redacted] and [redacted]\n")
    run(*RUN, "--no-logs", name, cwd=tmp_path)
    assert [ping.text for ping in told(receiver, 4)[2:]] == ["", ""]


def test_the_ping_url_is_masked_in_the_log(receiver, program, tmp_path):
    name = program(f"from loguru import logger\nlogger.info('{receiver.url}')")
    run(*RUN, name, cwd=tmp_path)
    assert told(receiver)[1].text.endswith(f" - {receiver.base_url}/***\n")


def test_processes_are_put_together_in_order_of_time(receiver, program, tmp_path):
    name = program(
        """
        import multiprocessing
        from loguru import logger
        def work(turn, number):
            for step in range(50):
                logger.info("noise")
            with turn:
                logger.info(f"last line of {number}")
        if __name__ == "__main__":
            context = multiprocessing.get_context("fork")
            turns = [context.Semaphore(0) for _ in range(12)]
            workers = [context.Process(target=work, args=(turns[n], n)) for n in range(12)]
            [worker.start() for worker in workers]
            for turn, worker in zip(turns, workers):
                turn.release()
                worker.join()
        """
    )
    run(*RUN, name, cwd=tmp_path)
    lines = told(receiver)[1].text.splitlines()
    last = [line.rpartition(" ")[2] for line in lines if "last line" in line]
    assert last == [str(number) for number in range(12)]
    assert sum("noise" in line for line in lines) == 600


def test_the_last_lines_of_64_processes_that_log_flat_out(receiver, program, tmp_path):
    name = program(
        """
        import multiprocessing
        from loguru import logger
        def work(barrier, number):
            for step in range(200):
                logger.info("noise " * 20)
            barrier.wait()
            logger.info(f"last of {number}")
        if __name__ == "__main__":
            logger.remove()
            logger.add(lambda message: None)
            context = multiprocessing.get_context("fork")
            barrier = context.Barrier(64)
            workers = [context.Process(target=work, args=(barrier, n)) for n in range(64)]
            [worker.start() for worker in workers]
            [worker.join() for worker in workers]
        """
    )
    run(*RUN, name, cwd=tmp_path)
    lines = told(receiver)[1].text.splitlines()
    last = [line.rpartition("last of ")[2] for line in lines[-64:]]
    assert sorted(map(int, last)) == list(range(64))


def test_many_short_children_leave_no_many_files_and_take_no_memory(receiver, program, tmp_path):
    name = program(
        """
        import os
        from loguru import logger
        logger.remove()
        logger.add(lambda message: None)
        def memory():
            with open(f"/proc/{os.getppid()}/status") as status:
                return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
        most = 0
        for number in range(300):
            if number == 150:
                before = memory()
            if not os.fork():
                logger.info(f"child {number}")
                os._exit(0)
            os.wait()
            most = max(most, len(os.listdir(os.environ["LOGHC_RUN"])))
        print(most, memory() - before)
        """
    )
    done = run(*RUN, name, cwd=tmp_path)
    files, kilobytes = map(int, done.stdout.split())
    assert files < 200
    assert kilobytes < 10_000  # what 150 rings would take is 30,000
    words = [line.rpartition(" ")[2] for line in told(receiver)[1].text.splitlines()]
    assert words == [str(number) for number in range(300)]


def test_a_body_is_the_end_of_a_long_log(receiver, program, tmp_path):
    name = program(
        """
        from loguru import logger
        for number in range(30_000):
            logger.info(f"line {number}")
        """
    )
    run(*RUN, name, cwd=tmp_path)
    body = told(receiver)[1].text
    assert 99_000 < len(body) <= 100_000
    numbers = [int(line.rpartition(" ")[2]) for line in body.splitlines()[1:]]
    assert numbers == list(range(30_000 - len(numbers), 30_000))


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["true"], "nothing that logs with loguru was seen; see --output"),
        (["-c", "import loguru"], "nothing that logs with loguru was seen; see --output"),
        ([sys.executable, "-V"], "nothing that logs with loguru was seen; see --output"),
        ([sys.executable, "-I", "-c", "pass"], "-I makes it ignore PYTHONPATH"),
        ([sys.executable, "-Ec", "pass"], "-E makes it ignore"),
        ([sys.executable, "-W", "ignore", "-S", "-c", "pass"], "-S makes it ignore"),
        (["./isolated"], "-I makes it ignore"),
    ],
    ids=str,
)
def test_a_log_that_is_missing_is_explained(receiver, tmp_path, command, said):
    script = tmp_path / "isolated"
    script.write_text(f"#!{sys.executable} -I\n")
    script.chmod(0o755)
    run(*RUN, *command, cwd=tmp_path)
    assert said in told(receiver)[1].text


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
def test_a_program_that_drops_its_privileges_first_is_explained(receiver, program, tmp_path):
    name = program(
        """
        import os
        os.setgid(65534)
        os.setuid(65534)
        """
    )
    assert run(*RUN, name, cwd=tmp_path).returncode == 0
    assert "was not seen: it switched to another user before it" in told(receiver)[1].text


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize(
    ("option", "logged", "expected"),
    [
        ((), "sync.error: x", Event.FAIL),
        (("--fail-on", "ERROR"), "x", Event.FAIL),
        (("--fail-on", "CRITICAL"), "x", Event.SUCCESS),
        ((), "x", Event.SUCCESS),
        (("--markers-only",), "sync.start", None),
    ],
)
@pytest.mark.parametrize("how", ["os.setuid(65534)", "os.chroot(os.getcwd())"])
def test_a_child_that_can_no_longer_write_to_the_run_directory_is_said(
    receiver, program, tmp_path, option, logged, expected, how
):
    name = program(
        f"""
        import os
        from loguru import logger
        logger.info("parent")
        for _ in range(2):  # the last child's parent has no ring either
            if os.fork():
                os.wait()
                os._exit(0)
            {how}
        logger.error({logged!r})
        """
    )
    done = run(*RUN, *option, name, cwd=tmp_path)
    assert [ping.event for ping in receiver.pings[1:]] == ([expected] if expected else [])
    why = "the log of a process could not be kept: it can't write to the run directory any more"
    assert f"loghc: {why}" in done.stderr
    assert all(why in ping.text for ping in receiver.pings[1:])


@pytest.mark.parametrize("state", ["file", "file/below", "/proc/self"])
def test_a_state_directory_that_can_not_be_used_costs_no_log(receiver, program, tmp_path, state):
    (tmp_path / "file").touch()
    name = program("from loguru import logger\nlogger.error('sync.error')\nraise SystemExit(5)")
    done = run(*RUN, "--state", state, name, cwd=tmp_path)
    assert done.returncode == 5
    assert re.search(r"(?m)^loghc: the state directory '.+' can't be used: ", done.stderr)
    assert events(receiver) == [(Event.START, None), (Event.FAIL, None), (Event.FAIL, 5)]
    assert "sync.error\n" in receiver.pings[2].text


@pytest.mark.parametrize("descriptors", [6, 7])
def test_with_too_few_descriptors_a_program_runs_unwatched(receiver, tmp_path, descriptors):
    outer = shell(f'ulimit -S -n {descriptors}; exec "$@"')
    done = run(*outer, *RUN, "sh", "-c", "echo out; exit 3", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (3, "out\n")
    assert done.stderr == "loghc: too few file descriptors to watch: the program runs unwatched.\n"
    assert receiver.requests == ()


# Output


def test_output_is_passed_on_and_kept(receiver, tmp_path):
    script = "echo out; echo err >&2; printf 'no end'; exit 3"
    done = run(*RUN, "--output", "sh", "-c", script, cwd=tmp_path)
    assert (done.returncode, done.stdout, said(done.stderr)) == (3, "out\nno end", "err\n")
    headline, empty, *lines = told(receiver)[1].text.splitlines()
    assert headline.startswith("exit status 3: err (after ")
    assert (empty, sorted(lines)) == ("", ["err", "no end", "out"])


def test_output_is_passed_on_byte_for_byte_and_is_text_in_the_log(receiver, tmp_path):
    command = (*RUN, "--output", "sh", "-c", r"printf '\377\000\r\n'; head -c 3000000 /dev/zero")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=TIMEOUT, check=True)
    assert done.stdout == b"\xff\0\r\n" + bytes(3_000_000)
    assert len(told(receiver)[1].body) <= 100_000


def test_output_of_two_streams_to_one_place_stays_in_order(receiver, tmp_path):
    script = "for i in 1 2 3 4 5 6 7 8 9; do echo out $i; echo err $i >&2; done"
    done = run(*shell('exec "$@" 2>&1'), *RUN, "--output", "sh", "-c", script, cwd=tmp_path)
    expected = "".join(f"out {i}\nerr {i}\n" for i in range(1, 10))
    assert done.stdout == expected
    assert told(receiver)[1].text == expected


def test_output_and_records_are_one_log(receiver, program, tmp_path):
    name = program(
        """
        from loguru import logger
        logger.remove()
        logger.add(lambda message: None)
        for number in range(3):
            print("printed", number, flush=True)
            input()
            logger.info(f"logged {number}")
        """
    )
    process = subprocess.Popen(
        [*RUN, "--output", name],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    for _ in range(3):  # what is printed has passed the watcher when it is read here
        process.stdout.readline()
        process.stdin.write(b"\n")
        process.stdin.flush()
    process.communicate(timeout=TIMEOUT)
    words = [line.split()[-2:] for line in told(receiver)[1].text.splitlines()]
    expected = [[word, str(n)] for n in range(3) for word in ("printed", "logged")]
    assert words == expected


def test_a_secret_in_a_long_line_of_output_is_masked_though_it_comes_in_two_parts(
    receiver, program, tmp_path
):
    name = program(
        """
        import sys
        from loguru import logger
        print("x" * 70_000, '"password": "correct-horse', end="", flush=True)
        input()
        logger.info("logged")
        print('-battery-staple"')
        """
    )
    process = subprocess.Popen(
        [*RUN, "--output", name],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    process.stdout.read(70_000)
    process.communicate(b"\n", timeout=TIMEOUT)
    text = told(receiver)[1].text
    assert '"password": "[redacted]"\n' in text
    assert "battery" not in text


def test_colours_are_passed_on_and_are_not_in_the_log(receiver, program, tmp_path):
    name = program(
        r"""
        from loguru import logger
        logger.info("\033[31mlogged\033[0m")
        print("\033[32mprinted\033[0m", flush=True)
        """
    )
    done = run(*RUN, "--output", name, cwd=tmp_path)
    assert done.stdout == "\033[32mprinted\033[0m\n"
    assert "\033[31mlogged\033[0m\n" in done.stderr
    text = told(receiver)[1].text
    assert "- logged\n" in text
    assert "printed\n" in text
    assert "\033" not in text


def test_a_reader_of_the_output_that_goes_away_ends_the_program(receiver, tmp_path):
    done = run(*shell('"$@" | head -1'), *RUN, "--output", "yes", cwd=tmp_path)
    assert done.stdout == "y\n"
    assert events(receiver)[1:] == [(Event.FAIL, 128 + signal.SIGPIPE)]


def test_output_for_which_there_is_no_room_ends_no_program(receiver, tmp_path):
    script = "head -c 3000000 /dev/zero && echo err >&2; exit 3"
    done = run(*shell('exec "$@" >/dev/full'), *RUN, "--output", "sh", "-c", script, cwd=tmp_path)
    assert done.returncode == 3
    said = "loghc: some standard output is lost, it can't be written: No space left on device."
    assert sorted(done.stderr.splitlines()) == ["err", said]
    assert events(receiver) == [(Event.START, None), (Event.FAIL, 3)]


def test_output_for_which_there_is_no_memory_is_passed_on_all_the_same(receiver, tmp_path):
    script = "ulimit -v unlimited; read line; yes | head -c 400000000 && exit 3"
    process = subprocess.Popen(
        [
            *shell('ulimit -S -v 262144; exec "$@"'),
            *RUN, "--output", "--limit", "1000000000", "sh", "-c", script,
        ],
        cwd=tmp_path,
        env={**os.environ, "MALLOC_ARENA_MAX": "1"},  # no memory is set aside for a thread
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    told(receiver, 1)
    _, said = process.communicate(b"go\n", timeout=TIMEOUT)
    assert process.returncode == 3
    assert b"loghc: some standard output is not in the log: there was no memory for it.\n" in said
    assert events(receiver) == [(Event.START, None), (Event.FAIL, 3)]


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ("-n 12", "there are too few file descriptors"),
        ("-n 16", "there are too few file descriptors"),
        # For a thread's stack there is no room then.
        ("-s 1099511627776", "no thread could be started"),
    ],
)
def test_output_that_can_not_be_kept_stays_the_programs_own(receiver, tmp_path, limit, reason):
    script = "echo out; echo err >&2; exit 3"
    outer = shell(f'ulimit -S {limit}; exec "$@"')
    done = run(*outer, *RUN, "--output", "sh", "-c", script, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (3, "out\n")
    lines = sorted(said(done.stderr).splitlines())
    assert lines == ["err", f"loghc: what the program prints can't be kept: {reason}."]
    assert events(receiver) == [(Event.START, None), (Event.FAIL, 3)]


def test_output_and_a_command_that_can_not_be_started(receiver, tmp_path):
    done = run(*RUN, "--output", "nowhere", cwd=tmp_path)
    assert (done.returncode, said(done.stderr)) == (127, "loghc: nowhere: command not found\n")
    assert events(receiver) == [(Event.FAIL, 127)]


def test_output_of_what_the_program_left_running_goes_where_the_output_went(receiver, tmp_path):
    script = "(until test -e go; do sleep 0.05; done; echo late; touch done) & echo started"
    with started(*RUN, "--output", "sh", "-c", script, cwd=tmp_path) as process:
        assert process.wait(TIMEOUT) == 0
        assert events(receiver) == [(Event.START, None), (Event.SUCCESS, None)]
        (tmp_path / "go").touch()
        assert process.stdout.read() == "started\nlate\n"  # until the last writer has left
    wait_until((tmp_path / "done").exists)


def test_output_goes_on_though_the_watcher_is_killed(receiver, tmp_path):
    script = "echo started; until test -e go; do sleep 0.05; done; echo late; touch done"
    with started(*RUN, "--output", "sh", "-c", script, cwd=tmp_path) as process:
        assert process.stdout.readline() == "started\n"
        process.kill()
        process.wait(TIMEOUT)
        (tmp_path / "go").touch()
        assert process.stdout.read() == "late\n"
    wait_until((tmp_path / "done").exists)


def test_output_that_a_child_goes_on_to_flood_is_not_waited_for(receiver, tmp_path):
    script = "yes & echo $! >pid; sleep 0.1; exit 3"
    process = subprocess.Popen(
        [*RUN, "--output", "sh", "-c", script], cwd=tmp_path, stdout=subprocess.DEVNULL
    )
    try:
        assert process.wait(TIMEOUT) == 3
    finally:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)  # it lives
    assert events(receiver) == [(Event.START, None), (Event.FAIL, 3)]


@pytest.mark.parametrize("leave", ["closed", "killed"])
def test_what_prints_though_nobody_reads_any_more_gets_its_sigpipe(receiver, tmp_path, leave):
    script = "yes & echo $! >pid; sleep 0.1; until test -e go; do sleep 0.05; done"
    with started(*RUN, "--output", "sh", "-c", script, cwd=tmp_path) as process:
        assert process.stdout.readline() == "y\n"
        if leave == "killed":
            process.kill()
            process.wait(TIMEOUT)
        process.stdout.close()
        pid = int((tmp_path / "pid").read_text())
        wait_until(lambda: not is_alive(pid))
        (tmp_path / "go").touch()


def test_a_signal_ends_the_wait_for_a_reader_that_reads_nothing(receiver, tmp_path):
    reading, writing = os.pipe()
    script = "head -c 60000 /dev/zero; head -c 60000 /dev/zero; exit 3"
    process = subprocess.Popen([*RUN, "--output", "sh", "-c", script], cwd=tmp_path, stdout=writing)
    told(receiver, 2)  # the end is told though the output is stuck
    while process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.2)
    assert process.returncode == 3
    os.close(reading)
    os.close(writing)


# A service in trouble


@pytest.mark.parametrize("fault", [404, 500, Fault(delay=float("inf")), Fault(cut="request")])
def test_a_service_in_trouble_changes_no_exit_status(receiver, tmp_path, fault):
    receiver.always(fault)
    command = ("sh", "-c", "echo out; exit 5")
    done = run(*RUN, "--drain", "0.5", "--ping-timeout", "0.3", *command, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (5, "out\n")
    assert "loghc: " in done.stderr
    assert receiver.url.rpartition("/")[2] not in done.stderr


def test_no_service_at_all_changes_no_exit_status(tmp_path):
    with PingReceiver() as receiver:
        url = receiver.url
    env = {"HEALTH_CHECK_URL": url}
    done = run(*RUN, "--drain", "3", "sh", "-c", "kill $$", cwd=tmp_path, env=env)
    assert done.returncode == -signal.SIGTERM
    assert "connection refused" in done.stderr


# What is refused


SECRET = "9e9d9bbe-4f2b-4a0e-a1e0-111111111111"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "expected a COMMAND"),
        (["--"], "expected a COMMAND"),
        (["-m"], "expected a COMMAND"),
        (["--", "-c"], "expected a COMMAND"),
        (["--job", "x"], "expected a COMMAND"),
        (["--job"], "--job: expected a value"),
        (
            ["--limit", "0", "true"],
            "--limit: expected a number of bytes, such as 100000 or 100k, not 0",
        ),
        (["--limit", "many", "true"], "--limit: expected a number of bytes"),
        (
            ["--ping-timeout", "-1", "true"],
            "--ping-timeout: expected a positive number of seconds, not -1",
        ),
        (
            ["--ping-timeout", "nan", "true"],
            "--ping-timeout: expected a positive number of seconds",
        ),
        (["--drain", "0", "true"], "--drain: expected a positive"),
        (["--job", "", "true"], "--job: expected a name"),
        (["--redact", "ok", "--redact", "(secret", "true"], "--redact[1]: expected a regular"),
        (["--level", "LOUD", "true"], "--level: expected one of TRACE, DEBUG"),
        (["--fail-on", "LOUD", "true"], "--fail-on: expected one of TRACE, DEBUG"),
        (["--ok-status", "256", "true"], "--ok-status: expected an exit status from 0 to 255"),
        (["--ok-status", "3;4", "true"], "--ok-status: expected an exit status"),
        (["--events", "begin", "true"], "--events: expected some of start, success, fail, log"),
        (["--marker", "Backup finished", "true"], "--marker: expected 'MESSAGE=EVENT'"),
        (["--marker", "=success", "true"], "--marker: expected 'MESSAGE=EVENT'"),
        (["--marker", "Done=good", "true"], "expected one of start, success, fail, log after"),
        (["--loud", "true"], "unknown option --loud"),
        (["--no-logs=1", "true"], "--no-logs: takes no value"),
        (["-x", "true"], "unknown option"),
        (["--health-check-url", "ftp://x/y", "true"], "--url: expected a ping URL"),
        ([f"https://hc-ping.com/{SECRET}"], "expected a COMMAND, not a URL"),
        ([f"https://hc-ping.com/{SECRET}", "true"], "expected a COMMAND, not a URL"),
        ([f"HTTPS:/hc-ping.com/{SECRET}", "true"], "expected a COMMAND, not a URL"),
        ([f"hc-ping.com/{SECRET}", "true"], "expected a COMMAND, not a URL"),
        (["hc-ping.com/pingkey0123456789/slug"], "expected a COMMAND, not a URL"),
        ([SECRET.upper()], "expected a COMMAND, not a URL"),
        ([SECRET.replace("-", "")], "expected a COMMAND, not a URL"),
        ([f"user:pw@hc-ping.com/{SECRET}"], "expected a COMMAND, not a URL"),
        (["localhost:8000/pingkey0123456789/slug"], "expected a COMMAND, not a URL"),
        ([f"--https://hc-ping.com/{SECRET}", "true"], "unknown option"),
        (
            [f"--ulr=https://hc-ping.com/{SECRET}", "true"],
            "unknown option --ulr; did you mean",
        ),
        (["--job", " https://x.example/pingkey0123456789 ", "true"], "--job: expected a name"),
        (["--limit", f"https://hc-ping.com/{SECRET}", "true"], "--limit: expected"),
        (["--python", f"https://hc-ping.com/{SECRET}", "a.py"], "--python: expected the path"),
        (
            ["--state", f"https://hc-ping.com/{SECRET}", "true"],
            "--state: expected the path",
        ),
        (["--health-check-url", f"hc-ping.com/{SECRET}", "true"], "--url: expected"),
        (["--health-check-url", f"https://hc ping/{SECRET}", "true"], "--url:"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_clear_line_and_nothing_is_started(receiver, tmp_path, capsys, args, said):
    from loghc.command.main import main

    assert main(["run", *args]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("loghc run: ")
    assert said in err
    assert err.count("\n") == 1
    for secret in (SECRET, SECRET.replace("-", ""), "pingkey", "(secret", "pw@"):
        assert secret not in err.lower()
    assert receiver.requests == ()


def test_the_configured_urls_own_secret_as_a_command_is_not_echoed(receiver, capsys, monkeypatch):
    from loghc.command.main import main

    monkeypatch.setenv("HEALTH_CHECK_URL", "https://hc.example/abcdefghij/nightly")
    for word in ("abcdefghij/nightly", "/abcdefghij", "ABCDEFGHIJ"):
        assert main(["run", word]) == 2
        assert "abcdefghij" not in capsys.readouterr().err.lower()


def test_without_a_url_a_program_is_not_started(tmp_path):
    done = run(*RUN, "touch", "started", cwd=tmp_path)
    assert done.returncode == 2
    assert "no ping URL is set. Set HEALTH_CHECK_URL, or HEALTH_CHECK_URL_FILE" in done.stderr
    assert not (tmp_path / "started").exists()


def test_switched_off_a_program_runs_unwatched(receiver, program, tmp_path):
    name = program(
        "import os\nprint(os.getppid(), 'LOGHC_RUN' in os.environ, flush=True)\nos._exit(3)"
    )
    done = run(*RUN, name, cwd=tmp_path, env={"HEALTH_CHECK_URL": "off"})
    assert (done.returncode, done.stdout) == (3, f"{os.getpid()} False\n")
    assert run(*RUN, "./nowhere", cwd=tmp_path, env={"HEALTH_CHECK_URL": "off"}).returncode == 127
    assert receiver.requests == ()


def test_a_bad_url_in_the_environment_is_named(tmp_path):
    done = run(*RUN, "true", cwd=tmp_path, env={"HEALTH_CHECK_URL": "hc-ping.com/hunter2"})
    assert done.returncode == 2
    assert "HEALTH_CHECK_URL: expected a ping URL" in done.stderr
    assert "hunter2" not in done.stderr


def test_a_watcher_uses_little_memory_and_no_time(receiver, program, tmp_path):
    name = program("import sys\nprint('ready', flush=True)\nsys.stdin.read()")
    process = subprocess.Popen(
        [*RUN, name], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    process.stdout.readline()
    told(receiver, 1)
    # The courier's thread ends when it has had nothing to do for some seconds.
    status = Path(f"/proc/{process.pid}/status").read_text()
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    process.communicate(timeout=TIMEOUT)
    assert int(resident.split()[1]) < 36_000  # Python 3.14 itself takes more than those before
