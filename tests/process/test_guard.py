"""HealthSink(guard=True): what its process can't tell is told at once, and once."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from guards import JOB, SINK, STARTED, needs_guard
from loghc.ping import Event
from loghc.testing import Fault, PingReceiver
from processes import TIMEOUT
from waiting import wait_until, wait_until_gone

pytestmark = needs_guard

_LINUX = tuple(int(number) for number in re.findall(r"\d+", os.uname().release)[:2])
_TELLS_STATUS = _LINUX >= (6, 15)
GUARD = "print(guarded(), flush=True)\n"
ANSWERED = """
from loghc.guard.starting import the_guard
while the_guard._pid is None: time.sleep(0.005)
"""
# As on Linux before 6.15.
UNTOLD = """
import loghc.guard.spawning
loghc.guard.spawning._CODE = loghc.guard.spawning._CODE.replace(
    "main(message)", "import loghc.death.wait_status as w; w._PIDFD_GET_INFO = 0; main(message)"
)
"""


@pytest.fixture
def job(receiver: PingReceiver, tmp_path: Path):
    """Runs a program with a guarded sink to its end."""

    def run_job(source: str, *, sink: str = SINK, env=None):
        path = tmp_path / "job.py"
        path.write_text(JOB + sink + source)
        return subprocess.run(
            [sys.executable, str(path)],
            cwd=tmp_path,
            env={**os.environ, "URL": receiver.url, "LOGHC_DEBUG": "", **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )

    return run_job


def told(receiver: PingReceiver) -> list[tuple[Event, int | None]]:
    return [(ping.event, ping.exit_status) for ping in receiver.pings]


def guard_gone(done: subprocess.CompletedProcess[str]) -> None:
    """Wait until the guard that a job printed has ended: nothing more is told then."""
    wait_until_gone(int(done.stdout.split()[0]))


@pytest.mark.parametrize(
    ("death", "status", "headline"),
    [
        ("kill()", 137, "killed by SIGKILL"),
        ("kill(signal.SIGTERM)", 143, "ended by SIGTERM"),
        ("os._exit(3)", 3, "exit status 3"),
        pytest.param(
            "kill(signal.SIGSEGV)",
            139,
            "killed by SIGSEGV: a crash in native code",
            marks=pytest.mark.slow,
        ),
        pytest.param("os.abort()", 134, "ended by SIGABRT", marks=pytest.mark.slow),
        pytest.param("os._exit(0)", None, "exit status 0, in this run", marks=pytest.mark.slow),
        pytest.param(
            "os.execv('/bin/sh', ['sh', '-c', 'exit 5'])",
            5,
            "exit status 5",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "import atexit\natexit.register(os._exit, 4)",
            4,
            "exit status 4",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_death_is_told_at_once_and_once_with_the_last_line(
    receiver, job, death, status, headline
):
    done = job(STARTED + GUARD + death)
    start, failure = receiver.wait(2, timeout=TIMEOUT)
    assert failure.event is Event.FAIL
    assert failure.run_id == start.run_id
    first, second, *log = failure.text.splitlines()
    if _TELLS_STATUS:
        assert failure.exit_status == status
        assert re.fullmatch(rf"{headline} \(after \d+\.\d s\)", first)
    assert second == ""
    assert log[0].endswith(" - before")
    assert log[-1].endswith(" - copied 7")
    assert done.stderr == ""
    guard_gone(done)
    assert len(receiver.pings) == 2


def test_where_the_kernel_does_not_say_how_it_is_a_failure_that_says_so(receiver, job):
    job(UNTOLD + STARTED + "kill()")
    _, failure = receiver.wait(2, timeout=TIMEOUT)
    assert (failure.event, failure.exit_status) == (Event.FAIL, None)
    first = failure.text.splitlines()[0]
    assert first.startswith("the process is gone, and the kernel doesn't say how it ended (after ")
    assert failure.text.endswith(" - copied 7\n")


@pytest.mark.parametrize(
    ("end", "events"),
    [
        ("logger.info('sync.done')", [Event.START, Event.SUCCESS]),
        ("1 / 0", [Event.START, Event.FAIL]),
        pytest.param("sys.exit(2)", [Event.START, Event.FAIL], marks=pytest.mark.slow),
        pytest.param("kill(signal.SIGINT)", [Event.START, Event.FAIL], marks=pytest.mark.slow),
        pytest.param("logger.remove()", [Event.START], marks=pytest.mark.slow),
        pytest.param("logger.remove()\nkill()", [Event.START], marks=pytest.mark.slow),
        pytest.param(
            "logger.info('sync.done')\nsink.wait()\nkill()",
            [Event.START, Event.SUCCESS],
            marks=pytest.mark.slow,
        ),
    ],
)
def test_what_the_sink_tells_the_guard_does_not(receiver, job, end, events):
    guard_gone(job(STARTED + GUARD + end))
    assert [ping.event for ping in receiver.pings] == events


@pytest.mark.slow
def test_before_any_start_there_is_no_guard_and_nothing_is_told(receiver, job):
    job("logger.info('up')\nlogger.info('sync.log')\nsink.wait()\nassert not guards()\nkill()")
    assert [ping.event for ping in receiver.pings] == [Event.LOG]


def test_a_success_that_hangs_at_the_service_is_told_after_the_death(receiver, job):
    receiver.always(Fault(delay=float("inf")))
    source = STARTED.replace("sink.wait()\n", "") + "logger.info('sync.done')\n" + GUARD
    done = job(source + "time.sleep(0.2)\nkill()")
    receiver.always(None)
    receiver.clear()
    (success,) = receiver.wait(1, timeout=TIMEOUT)
    assert success.event is Event.SUCCESS
    assert "sent late" in success.text
    guard_gone(done)
    assert len(receiver.pings) == 1


def test_a_service_that_comes_back_within_the_drain_is_told(receiver, job):
    sink = SINK.replace("guard=True", "guard=True, drain=60")
    receiver.script(None, 503, 503)
    done = job(STARTED + GUARD + "kill()", sink=sink)
    _, failure = receiver.wait(2, timeout=TIMEOUT)
    assert failure.event is Event.FAIL
    guard_gone(done)


def test_what_a_stop_gives_up_is_left_to_the_guard(receiver, job):
    receiver.always(503)
    sink = SINK.replace("guard=True", "guard=True, drain=5")
    source = "import urllib3\n" + STARTED.replace("sink.wait()\n", "") + GUARD
    done = job(source + "logger.error('sync.error: no disk')", sink=sink)
    assert "; left to the guard." in done.stderr
    receiver.always(None)
    receiver.clear()
    (late,) = receiver.wait(1, timeout=TIMEOUT)
    assert late.event is Event.FAIL
    assert late.text.startswith("no disk (sent late, of 20")


def test_each_open_run_of_each_sink_is_told_by_one_guard(receiver, job):
    sink = """
sink = HealthSink(os.environ["URL"], job="a", guard=True)
logger.add(sink)
logger.add(HealthSink(os.environ["URL"], job="b", guard=True), enqueue=True)
"""
    runs = (
        "import threading\nlogger.info('a.start')\nprint(guarded(), flush=True)\n"
        "logger.info('b.start')\n"
        "other = threading.Thread(target=logger.info, args=('a.start',))\nother.start()\n"
        "other.join()\nlogger.complete()\nsink.wait()\n"
        "from loghc.guard.starting import the_guard\nwhile the_guard._thread.at_work: pass\n"
        "assert len(guards()) == 1\nkill()"
    )
    done = job(runs, sink=sink)
    guard_gone(done)
    starts = [ping.run_id for ping in receiver.pings if ping.event is Event.START]
    failures = [ping.run_id for ping in receiver.pings if ping.event is Event.FAIL]
    assert len(failures) == 3
    assert set(starts) <= set(failures)


def test_with_a_state_directory_the_next_start_tells_what_a_killed_guard_could_not(
    receiver, job, tmp_path
):
    sink = SINK.replace("guard=True", "guard=True, state='state'")
    source = "logger.info('sync.start')\nlogger.info('copied 7')\nos.kill(int(guarded()), 9)\n"
    job(source + "sink.wait()\nkill()", sink=sink)
    receiver.clear()
    job("logger.info('sync.start')\nlogger.info('sync.done')", sink=sink)
    failure, start, done = receiver.wait(3, timeout=TIMEOUT)
    assert [ping.event for ping in (failure, start, done)] == [
        Event.FAIL, Event.START, Event.SUCCESS,
    ]  # fmt: skip
    assert failure.text.endswith(" - copied 7\n")


@pytest.mark.parametrize("state", ["", ", state='state'"], ids=["memory", "state"])
def test_a_guard_that_was_killed_is_replaced_at_the_next_start(receiver, job, state):
    source = STARTED + ANSWERED + "os.kill(int(guarded()), 9)\n"
    source += "while guards(): time.sleep(0.005)\nlogger.info('sync.start')\n" + GUARD
    guard_gone(job(source + "sink.wait()\nkill()", sink=SINK.replace("=True", "=True" + state)))
    # The second run began inside the first: both were open.
    events = [ping.event for ping in receiver.pings]
    assert events == [Event.START, Event.START, Event.FAIL, Event.FAIL]
    assert {ping.run_id for ping in receiver.pings[:2]} == {
        ping.run_id for ping in receiver.pings[2:]
    }


@pytest.mark.slow
def test_with_a_state_directory_the_guard_tells_and_the_next_start_does_not(
    receiver, job, tmp_path
):
    sink = SINK.replace("guard=True", "guard=True, state='state'")
    guard_gone(job(STARTED + GUARD + "kill()", sink=sink))
    job("logger.info('sync.start')\nlogger.info('sync.done')", sink=sink)
    assert [ping.event for ping in receiver.wait(4, timeout=TIMEOUT)] == [
        Event.START, Event.FAIL, Event.START, Event.SUCCESS,
    ]  # fmt: skip
    assert not list(tmp_path.glob("state/loghc/loghc-*"))


@pytest.mark.slow
def test_what_may_not_leave_the_process_does_not_leave_it_by_the_guard(receiver, job):
    source = STARTED.replace(
        '"copied 7"', '"password=Zq8rT2mKx91pLw hunter2 {}", os.environ["URL"]'
    )
    for options, kept in (
        ("redact=[r'hunter\\d']", ["password=[redacted]", "[redacted]", "/***"]),
        ("redact=[str.lower]", None),
        ("send_logs=False", None),
    ):
        receiver.clear()
        sink = SINK.replace("guard=True", f"guard=True, {options}")
        guard_gone(job(source + GUARD + "kill()", sink=sink))
        failure = receiver.pings[-1]
        assert failure.event is Event.FAIL
        assert "hunter2" not in failure.text
        assert "Zq8rT2mKx91pLw" not in failure.text
        assert receiver.url.rpartition("/")[2] not in failure.text
        assert kept is None or all(text in failure.text for text in kept)
        assert kept is not None or failure.text == ""


@pytest.mark.slow
@pytest.mark.parametrize("joins", ["before the guard", "after"])
def test_lack_of_memory(receiver, job, small_group, joins):
    join = f"open('{small_group}/cgroup.procs', 'w').write(str(os.getpid()))\n"
    is_before = joins == "before the guard"
    source = (
        (join if is_before else "")
        + STARTED
        + ANSWERED
        + GUARD
        + ("" if is_before else join)
        + (
            "import resource\n"
            "resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))\n"
            "kept = []\nwhile True: kept.append(bytearray(b'x' * 2**20))"
        )
    )
    done = job(source)
    assert done.returncode == -signal.SIGKILL, done.stderr
    guard_gone(done)
    start, failure = receiver.pings
    assert (start.event, failure.event) == (Event.START, Event.FAIL)
    assert failure.run_id == start.run_id
    assert failure.text.endswith(" - copied 7\n")
    if _TELLS_STATUS:
        assert failure.exit_status == 137
        # Version 1 of control groups doesn't notify, so nobody looked since it joined another.
        known = is_before or (small_group / "memory.events.local").exists()
        assert failure.text.startswith("killed by SIGKILL" + " for lack of memory" * known)


@pytest.mark.slow
def test_records_that_another_thread_formats(receiver, job):
    sink = SINK.replace("logger.add(sink)", "logger.add(sink, enqueue=True)")
    source = "logger.info('sync.start')\nlogger.info('copied 7')\nlogger.complete()\n"
    guard_gone(job(source + GUARD + "sink.wait()\nkill()", sink=sink))
    assert [ping.event for ping in receiver.pings] == [Event.START, Event.FAIL]
    assert receiver.pings[1].run_id == receiver.pings[0].run_id
    assert receiver.pings[1].text.endswith(" - copied 7\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    "patched",
    [
        "import gevent.monkey; gevent.monkey.patch_all()\n",
        "import eventlet; eventlet.monkey_patch()\n",
    ],
)
def test_under_greenlets(receiver, job, patched):
    pytest.importorskip(patched.split()[1].split(".")[0].rstrip(";"))
    guard_gone(job(STARTED + GUARD + "kill()", sink=patched + SINK))
    assert [ping.event for ping in receiver.pings] == [Event.START, Event.FAIL]


@pytest.mark.slow
def test_each_forked_worker_has_a_guard_of_its_own_and_the_master_none(receiver, job):
    source = """
def work(number):
    logger.info("sync.start")
    print(guarded(), flush=True)
    sink.wait()
    if number == 1:
        kill()
    logger.info("sync.done")
    sink.wait()

for number in range(3):
    if not os.fork():
        work(number)
        sys.exit()
for _ in range(3):
    os.wait()
assert not guards()
"""
    done = job(source)
    assert done.stderr == ""
    for pid in done.stdout.split():
        wait_until_gone(int(pid))
    events = Counter(ping.event for ping in receiver.pings)
    assert events == {Event.START: 3, Event.SUCCESS: 2, Event.FAIL: 1}


@pytest.mark.slow
def test_a_guard_that_is_told_to_end_tells_first(receiver, job):
    source = STARTED + "pid = guarded()\nprint(pid, flush=True)\n"
    for number in ("TERM", "HUP", "INT"):
        source += f"os.kill(int(pid), signal.SIG{number})\n"
    guard_gone(job(source + "time.sleep(0.2)\nkill()"))
    assert [ping.event for ping in receiver.pings] == [Event.START, Event.FAIL]


@pytest.mark.slow
def test_a_sink_that_is_removed_and_added_again_is_guarded_again(receiver, job):
    source = STARTED + (
        "first = int(guarded())\nlogger.info('sync.done')\nlogger.remove()\n"
        "while guards(): time.sleep(0.01)\nlogger.add(sink)\nlogger.info('sync.start')\n"
    )
    guard_gone(job(source + "print(guarded(), flush=True)\nsink.wait()\nkill()"))
    assert [ping.event for ping in receiver.pings] == [
        Event.START, Event.SUCCESS, Event.START, Event.FAIL,
    ]  # fmt: skip


@pytest.mark.slow
def test_a_stopped_process_is_no_dead_one(receiver, tmp_path):
    path = tmp_path / "job.py"
    path.write_text(JOB + SINK + STARTED + "print(guarded(), flush=True)\ntime.sleep(60)")
    env = {**os.environ, "URL": receiver.url}
    process = subprocess.Popen(
        [sys.executable, str(path)], env=env, stdout=subprocess.PIPE, text=True
    )
    guard = int(process.stdout.readline())
    process.send_signal(signal.SIGSTOP)
    wait_until(lambda: Path(f"/proc/{process.pid}/stat").read_text().split()[2] == "T")
    time.sleep(0.3)  # for a guard that takes it for dead
    assert [ping.event for ping in receiver.pings] == [Event.START]
    process.kill()
    process.communicate()
    wait_until_gone(guard)
    assert told(receiver)[1:] == [(Event.FAIL, 137 if _TELLS_STATUS else None)]
