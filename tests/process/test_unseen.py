"""What `loghc run` tells of Pythons that its recorder did not get into: that they were not seen."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from loghc.ping import Event
from loghc.testing import PingReceiver
from processes import RUN, TIMEOUT, needs_posix, run

pytestmark = [
    needs_posix,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are found in /proc"),
]

needs_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="becomes another user"
)
NOBODY = ("setpriv", "--reuid", "65534", "--clear-groups")
# It says nothing where it is not seen; and it lives a little longer than an import of loguru.
JOB = """
import time
from loguru import logger
logger.error("sync.error: disk full")
time.sleep(0.2)
"""
SLEEPER = "/usr/bin/python3 -c 'import time; time.sleep(0.3)'"
IN_FRONT = "import os, sys\n"  # as that of opentelemetry: it looks for no other

HIDDEN = {
    "PYTHONPATH": ("PYTHONPATH=/opt/app exec {python} {job}", "its PYTHONPATH was replaced"),
    "env -i": ("env -i {python} {job}", "its environment was replaced"),
    "-I": ("{python} -I {job}", "-I makes it ignore PYTHONPATH"),
    "sitecustomize": (
        "PYTHONPATH={front}:$PYTHONPATH {python} {job}",
        "another sitecustomize comes first, in {front}",
    ),
    # As pex does: it begins anew.
    "exec": ("{python} -c 'import os; os.execv(\"{python}\", [\"{python}\", \"-sE\", \"{job}\"])'",
             "-E makes it ignore"),
}  # fmt: skip


@pytest.fixture
def job(program: Callable[..., str]) -> str:
    return program(JOB)


def end_of(receiver: PingReceiver) -> tuple[Event, str]:
    end = receiver.wait(2, timeout=TIMEOUT)[-1]
    return end.event, end.text


@pytest.mark.parametrize(("script", "cause"), HIDDEN.values(), ids=HIDDEN)
def test_the_body_names_a_python_that_was_not_seen_and_the_likely_cause(
    receiver: PingReceiver, job: str, tmp_path: Path, script: str, cause: str
) -> None:
    front = tmp_path / "front"
    front.mkdir()
    (front / "sitecustomize.py").write_text(IN_FRONT)
    words = {"python": sys.executable, "job": job, "front": str(front)}
    done = run(*RUN, "sh", "-c", script.format(**words), cwd=tmp_path)
    assert done.returncode == 0
    assert "loghc: " not in done.stderr
    event, text = end_of(receiver)
    name = f"{Path(sys.executable).name} {Path(job).name} ("
    assert event is Event.SUCCESS
    assert text.startswith(f"loghc: the log of {name}")
    assert text.endswith(f"was not seen: {cause.format(**words)}\n") or cause in text
    assert "nothing" not in text


DAEMON = """
import os, sys
reading, writing = os.pipe()
os.set_inheritable(writing, True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
    os._exit(0)
os.close(writing)
os.wait()
os.read(reading, 1)  # until the daemon has ended
"""


@pytest.mark.parametrize(
    ("options", "event"), [((), Event.SUCCESS), (("--markers-only", "--no-start"), Event.FAIL)]
)
def test_a_daemon_that_was_not_seen_is_named_though_it_is_not_below_the_program(
    receiver: PingReceiver,
    program: Callable[..., str],
    tmp_path: Path,
    options: tuple[str, ...],
    event: Event,
) -> None:
    threads = "for _ in range(5): threading.Thread(target=time.sleep, args=(0.3,)).start()\n"
    job = program(f"import threading, time\n{threads}")
    done = run(*RUN, *options, program(DAEMON, "daemon.py"), "-I", job, cwd=tmp_path)
    assert done.returncode == 0
    end = receiver.wait(1 if options else 2, timeout=TIMEOUT)[-1]
    assert end.event is event
    assert ") was not seen: -I makes it ignore PYTHONPATH\n" in end.text


@needs_root
@pytest.mark.parametrize(
    "command",
    [
        (*NOBODY, "/usr/bin/python3", "-c", "import time; time.sleep(0.3)"),
        ("sh", "-c", f"{' '.join(NOBODY)} {SLEEPER}; true"),
        ("su", "nobody", "-s", "/bin/sh", "-c", SLEEPER),
    ],
    ids=["setpriv", "below", "su"],
)
def test_what_runs_as_another_user_is_named(
    receiver: PingReceiver, tmp_path: Path, command: tuple[str, ...]
) -> None:
    if shutil.which(command[0]) is None or not Path("/usr/bin/python3").exists():
        pytest.skip("not here")
    assert run(*RUN, *command, cwd=tmp_path).returncode == 0
    event, text = end_of(receiver)
    assert event is Event.SUCCESS
    assert "it ran as user nobody; put loghc run inside su, not around it\n" in text
    assert "import time" not in text  # other arguments may be secrets


def test_beside_a_process_that_was_seen_one_that_was_not_is_named(
    receiver: PingReceiver, job: str, program: Callable[..., str], tmp_path: Path
) -> None:
    seen = program("from loguru import logger\nlogger.info('seen')")
    script = (
        f"{sys.executable} {seen}; env -i {sys.executable} {job}; env -i {sys.executable} {job}"
    )
    run(*RUN, "sh", "-c", script, cwd=tmp_path)
    event, text = end_of(receiver)
    assert event is Event.SUCCESS
    record, unseen = text.splitlines()
    assert record.endswith("- seen")
    assert " and 1 more was not seen: its environment was replaced" in unseen


@pytest.mark.parametrize(
    ("option", "what"),
    [
        (("--fail-on", "ERROR"), "a record of level ERROR or above (--fail-on)"),
        (("--markers-only",), "a marker"),
    ],
    ids=["--fail-on", "--markers-only"],
)
def test_where_a_log_decides_unseen_is_a_failure_that_says_so(
    receiver: PingReceiver, job: str, tmp_path: Path, option: tuple[str, ...], what: str
) -> None:
    done = run(*RUN, *option, "--no-start", "env", "-i", sys.executable, job, cwd=tmp_path)
    assert done.returncode == 0
    (end,) = receiver.wait(1, timeout=TIMEOUT)
    assert (end.event, end.exit_status) == (Event.FAIL, None)
    assert end.text.startswith(f"{what} may have been logged unseen (after ")
    assert "was not seen: its environment was replaced" in end.text
    assert "was not seen: its environment was replaced" in done.stderr
    assert "nothing was pinged" not in done.stderr
    assert "no effect" not in done.stderr


SEEN = {
    "forks": "import os\nif os.fork() == 0:\n    time.sleep(0.3)\n    os._exit(0)\nos.wait()",
    "spawns": (
        "import subprocess, sys\n"
        "for _ in range(3): subprocess.run([sys.executable, '-c', 'import time; time.sleep(0.2)'])"
    ),
    "execs": (
        "import os, sys\n"
        "os.execv(sys.executable, [sys.executable, '-c', 'import time; time.sleep(0.2)'])"
    ),
    "multiprocessing": (
        "import multiprocessing as m\n"
        "p = m.get_context('forkserver').Process(target=time.sleep, args=(0.2,))\n"
        "if __name__ == '__main__': p.start(); p.join()"
    ),
    "is loghc run": (
        "import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'loghc', 'run', "
        "'--health-check-url', 'http://127.0.0.1:9/x', '--drain', '0.1', "
        "sys.executable, '-c', 'import time; time.sleep(0.4)'], check=True)"
    ),
    "leaves a shell that is called python": "import os\nos.execv('./python', ['./python'])",
    # It waits until somebody reads that.
    "asks for a version": (
        "import os, subprocess, sys\n"
        "reading, writing = os.pipe()\n"
        "os.set_blocking(writing, False)\n"
        "try:\n    while os.write(writing, bytes(4096)): pass\n"
        "except BlockingIOError: os.set_blocking(writing, True)\n"
        "child = subprocess.Popen([sys.executable, '-V'], stdout=writing)\n"
        "time.sleep(0.4)\n"
        "os.read(reading, 1 << 20)\n"
        "child.wait()"
    ),
    # It is stopped before it can say that it is there.
    "leaves a daemon that begins": (
        "import signal, subprocess, sys\n"
        "daemon = subprocess.Popen([sys.executable, '-c', 'pass'], stderr=subprocess.DEVNULL)\n"
        "daemon.send_signal(signal.SIGSTOP)\n"
        "time.sleep(0.4)\n"
        "print(daemon.pid)"
    ),
}


@pytest.mark.parametrize("source", SEEN.values(), ids=SEEN)
def test_no_python_that_was_seen_is_called_unseen(
    receiver: PingReceiver, program: Callable[..., str], tmp_path: Path, source: str
) -> None:
    shell = tmp_path / "python"
    shell.write_text("#!/bin/sh\nsleep 0.3\n")
    shell.chmod(0o755)
    name = program(f"import time\n{source}")
    output = tmp_path / "output"  # no pipe: what is left running would hold it
    command = ("sh", "-c", 'exec "$@" > "$0"', output, *RUN, "--fail-on", "ERROR", name)
    done = run(*command, cwd=tmp_path)
    for pid in map(int, output.read_text().split()):
        os.kill(pid, signal.SIGKILL)
    assert done.returncode == 0, done.stderr
    event, text = end_of(receiver)
    assert "not seen" not in text
    assert event is Event.SUCCESS


def test_a_channel_that_is_full_hides_no_python(
    receiver: PingReceiver, program: Callable[..., str], tmp_path: Path
) -> None:
    name = program(
        """
        import os, signal, subprocess, sys, time
        watcher = os.getppid()
        os.kill(watcher, signal.SIGSTOP)
        channel = os.open(os.environ["LOGHC_RUN"] + "/channel", os.O_RDWR | os.O_NONBLOCK)
        try:
            while True:
                os.write(channel, b"x" * 4096)
        except BlockingIOError:
            pass
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.5)"])
        time.sleep(0.2)
        os.kill(watcher, signal.SIGCONT)
        child.wait()
        """
    )
    run(*RUN, "--fail-on", "ERROR", name, cwd=tmp_path)
    event, text = end_of(receiver)
    assert "not seen" not in text
    assert event is Event.SUCCESS


def test_where_python_looks_for_usercustomize_a_sitecustomize_in_front_hides_nothing(
    receiver: PingReceiver, program: Callable[..., str], tmp_path: Path
) -> None:
    # A virtual environment's Python doesn't, unless it is told to.
    (tmp_path / "sitecustomize.py").write_text("import site\nsite.ENABLE_USER_SITE = True\n")
    own = tmp_path / "own"
    own.mkdir()
    (own / "usercustomize.py").write_text("print('own')\n")
    script = f"PYTHONPATH={tmp_path}:$PYTHONPATH:{own} {sys.executable} {program(JOB)}"
    done = run(*RUN, "sh", "-c", script, cwd=tmp_path)
    assert done.stdout == "own\n"
    assert end_of(receiver)[0] is Event.FAIL
