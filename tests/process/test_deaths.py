"""The table of deaths: whatever ends a program, the service hears of it, with the last logged line.

Each program logs "first" and "last", and then dies. A shell that runs it alone sees the same end.
"""

from __future__ import annotations

import os
import re
import signal
import sys

import pytest

from loghc.ping import Event
from processes import RUN, TIMEOUT, events, needs_posix, run, started

pytestmark = needs_posix

BEGIN = """
import atexit, ctypes, multiprocessing, os, resource, signal, sys, threading, time
from loguru import logger
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
logger.info("first")
logger.info("last")
"""

# name: (what follows, exit status or -signal, the headline)
DEATHS = {
    "SIGKILL at once": (
        "os.kill(os.getpid(), signal.SIGKILL)",
        -9,
        "killed by SIGKILL",
    ),
    "SIGSEGV": (
        "ctypes.string_at(0)",
        -11,
        "killed by SIGSEGV: a crash in native code",
    ),
    "abort": ("os.abort()", -6, "ended by SIGABRT"),
    "SIGBUS": (
        "os.kill(os.getpid(), signal.SIGBUS)",
        -7,
        "killed by SIGBUS: a crash in native code",
    ),
    "os._exit": ("os._exit(3)", 3, "exit status 3"),
    "os._exit(0)": ("os._exit(0)", 0, ""),
    "C's exit": ("ctypes.CDLL(None).exit(3)", 3, "exit status 3"),
    "C's _exit in a thread": (
        "threading.Thread(target=lambda: ctypes.CDLL(None)._exit(4)).start(); time.sleep(60)",
        4,
        "exit status 4",
    ),
    "exec of another program": ("os.execlp('sh', 'sh', '-c', 'exit 5')", 5, "exit status 5"),
    "exec of another Python": (
        "os.execl(sys.executable, sys.executable, '-c', 'raise SystemExit(6)')",
        6,
        "exit status 6",
    ),
    "a MemoryError under a limit": (
        "resource.setrlimit(resource.RLIMIT_AS, (2**28, 2**28))\nx = bytearray(2**30)",
        1,
        "MemoryError (program.py, line 8)",
    ),
    "a recursion": (
        "def f(): f()\nf()",
        1,
        "RecursionError: maximum recursion depth exceeded",
    ),
    "an exception": ("1 / 0", 1, "ZeroDivisionError: division by zero"),
    "sys.exit with a message": ("sys.exit('no such disk')", 1, "exit status 1"),
    "sys.exit(300)": ("sys.exit(300)", 44, "exit status 44"),
    "an exception in a thread": ("threading.Thread(target=lambda: 1 / 0).start()", 0, ""),
    "an exception in atexit": ("atexit.register(lambda: 1 / 0)", 0, ""),
    "os._exit in atexit": ("atexit.register(os._exit, 7)", 7, "exit status 7"),
    "a signal by its default": (
        "signal.alarm(1)\nsignal.pause()",
        -14,
        "ended by SIGALRM",
    ),
    "an unraisable exit": ("sys.stdout.close(); os.close(1); sys.exit(9)", 9, "exit status 9"),
}


@pytest.mark.parametrize(("ending", "status", "cause"), DEATHS.values(), ids=DEATHS)
def test_a_death_is_told_with_the_last_line(receiver, program, tmp_path, ending, status, cause):
    name = program(BEGIN + ending)
    done = run(*RUN, name, cwd=tmp_path)
    assert done.returncode == status, done.stderr
    number = status if status >= 0 else 128 - status
    start, end = receiver.wait(2, timeout=TIMEOUT)
    assert (start.event, end.event) == (Event.START, Event.FAIL if status else Event.SUCCESS)
    assert end.exit_status == (number or None)
    assert start.run_id == end.run_id
    headline, _, log = end.text.partition("\n\n") if status else ("", "", end.text)
    assert re.sub(r"( and comparison)?( \(after \d+\.\d s\))?$", "", headline) == cause
    log, last_line, rest = log.partition(" - last\n")
    assert " - first\n" in log
    assert last_line
    raised = re.match(r"\w+Error", cause)
    assert raised[0] in rest.splitlines()[-1] if raised else rest == ""


def test_sigkill_after_a_while(receiver, program, tmp_path):
    name = program(BEGIN + "print(os.getpid(), flush=True)\nwhile True: time.sleep(9)")
    process = started(*RUN, name, cwd=tmp_path)
    pid = int(process.stdout.readline())
    receiver.wait(1, timeout=TIMEOUT)
    os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=TIMEOUT)
    assert process.returncode == -signal.SIGKILL
    assert events(receiver)[1:] == [(Event.FAIL, 137)]
    assert receiver.pings[1].text.startswith("killed by SIGKILL (after ")
    assert receiver.pings[1].text.endswith(" - last\n")


@pytest.mark.parametrize("name", ["TERM", "HUP", "INT", "QUIT"])
def test_a_signal_to_the_program_itself(receiver, program, tmp_path, name):
    number = getattr(signal, f"SIG{name}")
    own = "signal.signal(signal.SIGINT, signal.SIG_DFL)\n"
    script = program(BEGIN + own + "print(os.getpid(), flush=True)\nwhile True: time.sleep(9)")
    process = started(*RUN, script, cwd=tmp_path)
    os.kill(int(process.stdout.readline()), number)
    process.communicate(timeout=TIMEOUT)
    assert process.returncode == -number
    assert events(receiver)[1:] == [(Event.FAIL, 128 + number)]
    assert receiver.pings[1].text.startswith(f"ended by SIG{name} (after ")
    assert receiver.pings[1].text.endswith(" - last\n")


def test_a_hung_shutdown_and_then_sigterm(receiver, program, tmp_path):
    name = program(
        BEGIN
        + "signal.signal(signal.SIGTERM, lambda *_: None)\n"  # handled, and so without effect
        + "atexit.register(lambda: (signal.signal(signal.SIGTERM, signal.SIG_DFL),"
        + " print('hung', flush=True), time.sleep(600)))\n"
    )
    process = started(*RUN, name, cwd=tmp_path)
    assert process.stdout.readline() == "hung\n"
    process.terminate()  # once: another would end the wait for the last ping
    process.communicate(timeout=TIMEOUT)
    assert process.returncode == -signal.SIGTERM
    assert receiver.wait(2, timeout=TIMEOUT)[1].exit_status == 143
    assert " - last\n" in receiver.pings[1].text


# Children


@pytest.mark.parametrize("how", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize(
    "ending", ["os.kill(os.getpid(), signal.SIGKILL)", "os._exit(3)", "raise OSError('disk full')"]
)
def test_the_last_line_of_a_child_of_multiprocessing(receiver, program, tmp_path, how, ending):
    name = program(
        f"""
        import multiprocessing, os, signal, sys
        from loguru import logger
        def work():
            logger.info("last of the child")
            {ending}
        if __name__ == "__main__":
            child = multiprocessing.get_context("{how}").Process(target=work)
            child.start()
            child.join()
            logger.info("the child ended")
            sys.exit(8 if child.exitcode else 0)
        """
    )
    done = run(*RUN, name, cwd=tmp_path)
    assert done.returncode == 8, done.stderr
    assert events(receiver)[1:] == [(Event.FAIL, 8)]
    body = receiver.pings[1].text
    assert " - last of the child\n" in body
    assert body.index("last of the child") < body.index("the child ended")


def test_the_last_line_after_a_double_fork(receiver, program, tmp_path):
    name = program(
        """
        import os
        from loguru import logger
        reading, writing = os.pipe()
        if not os.fork():
            os.setsid()
            if not os.fork():
                os.close(reading)
                logger.info("last of the daemon")
                os._exit(0)
            os._exit(0)
        os.close(writing)
        os.wait()
        os.read(reading, 1)  # until the daemon has ended
        """
    )
    run(*RUN, name, cwd=tmp_path)
    assert events(receiver)[1:] == [(Event.SUCCESS, None)]
    assert " - last of the daemon\n" in receiver.pings[1].text


@pytest.mark.parametrize(
    "command",
    [
        ["sh", "-c", f'"{sys.executable}" job.py'],
        ["sh", "-c", f'"{sys.executable}" job.py; exit $?'],
        ["sh", "-c", f'exec env -i "PYTHONPATH=$PYTHONPATH" "LOGHC_RUN=$LOGHC_RUN" '
         f'"{sys.executable}" job.py'],
        ["sh", "job.sh"],
    ],
    ids=["the shell's last command", "under a shell", "by way of env", "from a script"],
)  # fmt: skip
def test_a_shell_script_that_runs_python(receiver, program, tmp_path, command):
    program(BEGIN + "os.kill(os.getpid(), signal.SIGKILL)", "job.py")
    program(f'set -e\n"{sys.executable}" job.py\necho never', "job.sh")
    done = run(*RUN, *command, cwd=tmp_path)
    assert done.returncode in (-9, 137)
    assert events(receiver)[1:] == [(Event.FAIL, 137)]
    assert "SIGKILL" in receiver.pings[1].text.splitlines()[0]
    assert receiver.pings[1].text.endswith(" - last\n")


# Out of memory, as a container is


def test_an_oom_kill(receiver, program, tmp_path, small_group):
    name = program(
        f"""
        import os, resource
        resource.setrlimit(resource.RLIMIT_AS, (2**29, 2**29))  # should the group not limit it
        open("{small_group}/cgroup.procs", "w").write(str(os.getpid()))
        from loguru import logger
        logger.info("last")
        kept = []
        while True:
            kept.append(bytearray(b"x" * 2**20))
        """
    )
    done = run(*RUN, name, cwd=tmp_path)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert events(receiver)[1:] == [(Event.FAIL, 137)]
    assert receiver.pings[1].text.startswith("killed by SIGKILL for lack of memory (after ")
    assert receiver.pings[1].text.endswith(" - last\n")
