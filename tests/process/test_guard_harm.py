"""HealthSink(guard=True): the program, its caller and the machine don't notice the guard."""

from __future__ import annotations

import ast
import contextlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from guards import JOB, SINK, STARTED, entries_of, guards_of, needs_guard
from loghc.ping import Event
from loghc.testing import Fault, PingReceiver
from processes import TIMEOUT
from waiting import wait_until, wait_until_gone

pytestmark = needs_guard


@pytest.fixture
def started(receiver: PingReceiver, tmp_path: Path):
    """Starts a program with a guarded sink."""
    processes = []

    def start(source: str, *, sink: str = SINK, env=None, **options) -> subprocess.Popen[str]:
        path = tmp_path / f"job{len(processes)}.py"
        path.write_text(JOB + sink + source)
        process = subprocess.Popen(
            [sys.executable, str(path)],
            env={**os.environ, "URL": receiver.url, "LOGHC_DEBUG": "", **(env or {})},
            **{
                "cwd": tmp_path,
                "stdin": subprocess.DEVNULL,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                "text": True,
                **options,
            },
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str]) -> list[str]:
    """What it printed, line by line, when it has ended well."""
    out, err = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, err) == (0, "")
    return out.splitlines()


def opened_by(process: Path) -> dict[str, str]:
    """What a process has open, by descriptor."""
    found = {}
    for fd in (process / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it was closed meanwhile
            found[fd.name] = str(fd.readlink())
    return found


def test_who_waits_for_any_child_is_not_given_one_of_ours(started):
    source = """
import threading
reading, writing = os.pipe()
child = os.fork()
if not child:
    os.read(reading, 1)
    os._exit(0)
signals = []
found = []
waiting = threading.Thread(target=lambda: found.append(os.wait()[0]))
waiting.start()
signal.signal(signal.SIGCHLD, lambda *_: signals.append(1))
logger.info("sync.start")
guarded()
print(found, signals)
signal.signal(signal.SIGCHLD, signal.SIG_DFL)
os.write(writing, b"1")
waiting.join()
print(found == [child])
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    print("no child")
logger.info("sync.done")
"""
    assert ended(started(source)) == ["[] []", "True", "no child"]


def test_nobody_sees_a_child(started):
    """psutil looks for processes whose parent is this one, multiprocessing at those it made."""
    source = (
        STARTED
        + """
import multiprocessing
guard = guarded()
print(multiprocessing.active_children())
parents = []
for name in filter(str.isdigit, os.listdir("/proc")):
    try:
        with open(f"/proc/{name}/stat") as file:
            parents.append(file.read().rpartition(")")[2].split()[1])
    except OSError:
        pass
print(str(os.getppid()) in parents, str(os.getpid()) in parents)
print([open(f"/proc/self/task/{task}/children").read() for task in os.listdir("/proc/self/task")])
print(os.getpgid(int(guard)) != os.getpgrp(), os.getsid(int(guard)) != os.getsid(0))
logger.info("sync.done")
"""
    )
    lines = ended(started(source))
    assert (lines[0], lines[1], lines[3]) == ("[]", "True False", "True True")
    assert set(ast.literal_eval(lines[2])) == {""}


@pytest.mark.slow
def test_the_working_directory_can_be_unmounted(started, tmp_path):
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "none", str(mounted)], check=False).returncode:
        pytest.skip("nothing can be mounted here")
    source = STARTED + "import subprocess\nguarded()\nos.chdir('/')\n"
    source += f"print(subprocess.run(['umount', {str(mounted)!r}]).returncode)\n"
    process = started(source + "logger.info('sync.done')", cwd=mounted)
    try:
        assert ended(process) == ["0"]
    finally:
        if mounted.is_mount():
            subprocess.run(["umount", "-l", str(mounted)], check=True)


def spent_by(process: Path) -> list[str]:
    """The processor time that a process has used, in user and in system mode."""
    return (process / "stat").read_text().rpartition(")")[2].split()[11:13]


def test_the_guard_holds_nothing_of_the_program_and_takes_no_processor_time(started, tmp_path):
    source = STARTED + "print(guarded(), flush=True)\nsys.stdin.read()\nlogger.info('sync.done')"
    (tmp_path / "held").write_text("")
    with (tmp_path / "held").open() as held:
        process = started(source, stdin=subprocess.PIPE, pass_fds=[held.fileno()])
    guard = Path("/proc", process.stdout.readline().strip())
    wait_until(lambda: any("socket:" in text for text in opened_by(guard).values()))
    opened = opened_by(guard)
    assert [opened.pop(str(number)) for number in range(3)] == ["/dev/null"] * 3
    assert not [
        text for text in opened.values() if str(tmp_path) in text or text.startswith("pipe")
    ]
    assert str((guard / "cwd").readlink()) == "/"
    fields = (guard / "stat").read_text().rpartition(")")[2].split()
    own = (process.pid, os.getpid())
    parent, group, session, terminal = map(int, fields[1:5])
    assert parent not in own
    assert group not in own
    assert session not in (os.getsid(0), *own)
    assert terminal == 0
    wait_until(lambda: spent_by(guard) == (time.sleep(0.5), spent_by(guard))[1])
    process.stdin.close()
    process.stdin = None
    assert ended(process) == []


def test_the_ping_url_is_in_no_argument_environment_or_file(started, receiver):
    source = STARTED + "print(guarded(), flush=True)\nsys.stdin.read()\nlogger.info('sync.done')"
    env = {"HEALTH_CHECK_URL": receiver.url, "OTHER_SECRET": "hunter2"}
    process = started(source, env=env, stdin=subprocess.PIPE)
    guard = Path("/proc", process.stdout.readline().strip())
    secret = receiver.url.rpartition("/")[2].encode()
    arguments, environment = (guard / "cmdline").read_bytes(), (guard / "environ").read_bytes()
    assert b"loghc" in arguments
    (entry,) = entries_of(process.pid)
    kept = [path for path in entry.iterdir() if path.suffix != ".ring"]
    assert kept
    for data in (arguments, environment, *(path.read_bytes() for path in kept)):
        assert secret not in data
        assert b"hunter2" not in data
    process.stdin.close()
    process.stdin = None
    ended(process)
    assert not entry.exists()


def test_who_waits_for_the_program_s_output_does_not_wait_for_the_guard(started, receiver):
    sink = SINK.replace("guard=True", "guard=True, drain=50")
    receiver.always(Fault(delay=float("inf")))
    source = STARTED.replace("sink.wait()\n", "") + "print(guarded(), flush=True)\nkill()"
    process = started(source, sink=sink)
    out, _ = process.communicate(timeout=25)  # as ssh does, and cron: until the pipe closes
    guard = Path("/proc", out.strip())
    assert (guard / "comm").read_text() == "loghc-guard\n"  # it tries for 50 s
    receiver.always(None)
    os.kill(int(out), 9)


def test_the_first_start_marker_costs_its_caller_about_a_millisecond(started):
    source = """
times = []
for number in range(25):
    sink = HealthSink(os.environ["URL"], guard=True, job=f"j{number}")
    handler = logger.add(sink)
    logger.info("x")
    began = time.perf_counter()
    logger.info(f"j{number}.start")
    times.append(time.perf_counter() - began)
    logger.info(f"j{number}.done")
    logger.remove(handler)
print(min(times[1:]) < 0.005)
"""
    assert ended(started(source)) == ["True"]


def test_descriptors_are_as_with_a_sink_without_a_guard(started):
    source = (
        "import ctypes\n"  # newer ones of its libffi keep a descriptor from then on
        "before = set(os.listdir('/proc/self/fd'))\nlogger.info('sync.start')\n"
        "WAIT\nsink.wait()\nfrom loghc.guard.starting import the_guard\n"
        "while the_guard._thread.at_work: time.sleep(0.01)\n"
        "def opened(): return sorted(set(os.listdir('/proc/self/fd')) - before)\n"
        "end = time.monotonic() + 10\n"  # until the pings' connection is closed
        "while opened() and time.monotonic() < end: time.sleep(0.01)\n"
        "print(opened())\n"
        "os.closerange(3, 200)\nlogger.info('sync.done')\n"
    )
    printed = []
    for guard, wait in (("False", ""), ("True", "guarded()")):
        sink = SINK.replace("guard=True", f"guard={guard}")
        printed.append(ended(started(source.replace("WAIT", wait), sink=sink)))
    assert printed[0] == printed[1]


def test_a_program_that_closes_all_descriptors_and_opens_its_own_is_told(started, receiver):
    source = STARTED + (
        "os.closerange(3, 300)\nfiles = [open(f'own{n}', 'w') for n in range(40)]\n"
        "logger.info('the last')\nkill()"
    )
    started(source).communicate(timeout=TIMEOUT)
    _, failure = receiver.wait(2, timeout=TIMEOUT)
    assert failure.event is Event.FAIL
    assert failure.text.endswith(" - the last\n")


@pytest.mark.slow
def test_a_killed_process_group_is_told(started, receiver):
    process = started(STARTED + "os.killpg(0, 9)", start_new_session=True)
    process.communicate(timeout=TIMEOUT)
    assert [ping.event for ping in receiver.wait(2, timeout=TIMEOUT)] == [Event.START, Event.FAIL]


@pytest.mark.slow
def test_many_jobs_leave_nothing(started):
    jobs, guards = [], []
    for number in range(40):
        end = "logger.info('sync.done')" if number % 2 else "kill()"
        process = started(STARTED + "print(guarded(), flush=True)\n" + end)
        guards.append(process.communicate(timeout=TIMEOUT)[0])
        jobs.append(process.pid)
    for guard in guards:
        wait_until_gone(int(guard))
    assert not [entry for pid in jobs for entry in entries_of(pid)]


@pytest.mark.slow
def test_what_a_killed_guard_and_its_process_left_is_swept(started):
    killed = started(STARTED + "os.kill(int(guarded()), 9)\nkill()")
    killed.communicate(timeout=TIMEOUT)
    (left,) = entries_of(killed.pid)
    living = started(STARTED + "print(guarded(), flush=True)\nsys.stdin.read()", stdin=-1)
    living.stdout.readline()
    (used,) = entries_of(living.pid)
    for entry in (left, used):  # else it is too young
        os.utime(entry, (time.time() - 1000, time.time() - 1000))
    source = f"while os.path.exists({str(left)!r}): time.sleep(0.01)\nlogger.info('sync.done')"
    ended(started(STARTED + source))
    assert used.exists()
    assert guards_of(living.pid)


@pytest.mark.slow
def test_a_hundred_at_once(started):
    source = STARTED + "print(guarded(), flush=True)\nsys.stdin.read()\nlogger.info('sync.done')"
    processes = [started(source, stdin=subprocess.PIPE) for _ in range(30)]
    guards = [Path("/proc", process.stdout.readline().strip()) for process in processes]
    wait_until(lambda: all("R" not in (each / "stat").read_text().split()[2] for each in guards))
    sizes = []
    for guard in guards:
        status = (guard / "status").read_text()
        sizes.append(int(re.search(r"VmRSS:\s+(\d+)", status)[1]))
    assert max(sizes) < 60_000  # kB
    for process in processes:
        process.communicate("")
