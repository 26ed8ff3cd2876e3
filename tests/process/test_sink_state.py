"""HealthSink(state=DIR): what its process could not tell is told by the next start."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from loghc.ping import Event
from loghc.testing import Fault
from processes import RUN, TIMEOUT, first_process, needs_posix, run
from waiting import wait_until

pytestmark = needs_posix

SINK = """
    import os, signal, sys, time
    from loguru import logger
    from loghc import HealthSink
    logger.remove()
    sink = HealthSink(os.environ["URL"], state="state")
    logger.add(sink)
"""
KILL = "os.kill(os.getpid(), signal.SIGKILL)\n"
WELL = "logger.info('sync.start')\nlogger.info('sync.done')\n"


@pytest.fixture
def job(receiver, tmp_path):
    """Runs a program with a sink that has a state directory; its status and standard error."""

    def run_job(source: str, *, sink: str = SINK, env: dict[str, str] | None = None, **options):
        lines = [line.removeprefix("    ") for line in sink.splitlines()]
        path = tmp_path / "job.py"
        path.write_text("\n".join(lines) + "\n" + source)
        env = {"URL": receiver.url, "LOGHC_DEBUG": "", **(env or {})}
        return run(sys.executable, str(path), cwd=tmp_path, env=env, **options)

    return run_job


def told(receiver):
    return [(ping.event, ping.run_id) for ping in receiver.pings]


def left(tmp_path):
    return [path.name for path in tmp_path.glob("state/loghc/loghc-*")]


def test_a_failure_that_a_sink_is_not_to_send_is_owed_no_longer(receiver, job, tmp_path):
    successes = SINK.replace('state="state"', 'state="state", events=("success",)')
    job("logger.info('sync.start')\n" + KILL, sink=successes)
    assert len(left(tmp_path)) == 1
    assert job(WELL, sink=successes).returncode == 0
    assert [ping.event for ping in receiver.pings] == [Event.SUCCESS]
    wait_until(lambda: left(tmp_path) == [])


def test_a_kill_in_a_run_is_told_by_the_next_start_before_its_own(receiver, job, tmp_path):
    source = "logger.info('before')\nlogger.info('sync.start')\nlogger.info('copied 7')\n" + KILL
    assert job(source).returncode == -signal.SIGKILL
    assert len(left(tmp_path)) == 1
    receiver.wait(1, timeout=TIMEOUT) if receiver.pings else None
    begun = [ping.run_id for ping in receiver.pings]
    receiver.clear()
    assert job(WELL).returncode == 0
    failure, start, done = receiver.wait(3, timeout=TIMEOUT)
    assert [ping.event for ping in (failure, start, done)] == [
        Event.FAIL,
        Event.START,
        Event.SUCCESS,
    ]
    assert begun in ([], [failure.run_id])
    first, second, *_, last = failure.text.splitlines()
    assert first.startswith("cut off: the process died in this run (killed, out of memory, a power")
    assert "; it began at 20" in first
    assert ", last logged at 20" in first
    assert second == ""
    assert " - before\n" in failure.text
    assert last.endswith(" - copied 7")
    assert left(tmp_path) == []
    job(WELL)
    assert len(receiver.wait(5, timeout=TIMEOUT)) == 5  # it is told once


def test_a_kill_before_any_run_is_nothing_to_tell(receiver, job, tmp_path):
    job("logger.info('up')\n" + KILL)
    noted = "sink.wait()\nwhile 'owed=' in open(glob.glob('state/loghc/*/run')[0]).read(): pass\n"
    job("import glob\n" + WELL + noted + KILL)
    receiver.clear()
    job(WELL)
    assert [ping.event for ping in receiver.wait(2, timeout=TIMEOUT)] == [
        Event.START,
        Event.SUCCESS,
    ]
    assert left(tmp_path) == []


@pytest.mark.parametrize("end", ["done", "error: disk full"])
def test_an_end_that_hangs_at_the_service_survives_a_kill(receiver, job, end):
    receiver.always(Fault(delay=float("inf")))
    job(
        f"logger.info('sync.start')\nlogger.info('one')\nlogger.info('sync.{end}')\n"
        "logger.info('later')\n" + KILL
    )
    receiver.always(None)
    receiver.clear()
    job(WELL)
    late, *_ = receiver.wait(3, timeout=TIMEOUT)
    assert late.event is (Event.SUCCESS if end == "done" else Event.FAIL)
    assert " - one\n" in late.text
    assert f" - sync.{end}\n" in late.text
    assert "later" not in late.text
    assert "sent late" in late.text
    if end != "done":
        assert late.text.startswith("disk full (sent late, of 20")


def test_what_a_stop_gives_up_is_left_to_the_next_start(receiver, job, tmp_path):
    receiver.always(503)
    sink = SINK.replace('state="state"', 'state="state", drain=0.3')
    done = job("logger.info('sync.start')\nlogger.error('sync.error: no disk')\n", sink=sink)
    assert "; left to the next start." in done.stderr
    assert len(left(tmp_path)) == 1
    receiver.always(None)
    receiver.clear()
    job(WELL)
    late, start, _ = receiver.wait(3, timeout=TIMEOUT)
    assert (late.event, start.event) == (Event.FAIL, Event.START)
    assert late.text.startswith("no disk (sent late, of 20")


def test_loghc_run_tells_what_a_sink_owes_and_the_other_way_round(receiver, job, tmp_path):
    job("logger.info('sync.start')\nlogger.info('last')\n" + KILL)
    receiver.clear()
    run(*RUN, "--state", "state", "true", cwd=tmp_path)
    failure, start, done = receiver.wait(3, timeout=TIMEOUT)
    assert [ping.event for ping in (failure, start, done)] == [
        Event.FAIL, Event.START, Event.SUCCESS,
    ]  # fmt: skip
    assert failure.text.endswith(" - last\n")
    receiver.always(503)
    run(*RUN, "--state", "state", "--drain", "0.3", "sh", "-c", "exit 3", cwd=tmp_path)
    receiver.always(None)
    receiver.clear()
    job(WELL)
    late, *_ = receiver.wait(3, timeout=TIMEOUT)
    assert (late.event, late.exit_status) == (Event.FAIL, 3)
    assert left(tmp_path) == []


def test_a_start_that_dies_while_it_tells_repeats_it(receiver, job):
    job("logger.info('sync.start')\n" + KILL)
    receiver.always(Fault(delay=float("inf")))
    receiver.clear()
    job("logger.info('sync.start')\nwhile not sink.stats.pending: pass\n" + KILL)
    receiver.always(None)
    receiver.clear()
    job(WELL)
    first, second, *_ = receiver.wait(4, timeout=TIMEOUT)
    assert (first.event, second.event) == (Event.FAIL, Event.FAIL)
    assert first.run_id != second.run_id


def test_a_whole_process_group_that_is_killed(receiver, job):
    source = (
        "os.setpgrp()\nlogger.info('sync.start')\n"
        "pid = os.fork()\nif not pid: time.sleep(99)\n"
        "os.killpg(0, signal.SIGKILL)\n"
    )
    assert job(source).returncode == -signal.SIGKILL
    receiver.clear()
    job(WELL)
    assert receiver.wait(3, timeout=TIMEOUT)[0].event is Event.FAIL


def test_a_forked_child_that_outlives_its_parent_hides_nothing(receiver, job, tmp_path):
    source = (
        "logger.info('sync.start')\n"
        "if not os.fork():\n    os.close(1); os.close(2)\n"
        "    while not os.path.exists('go'): time.sleep(0.01)\n    os._exit(0)\n"
    ) + KILL
    job(source)
    receiver.clear()
    job(WELL)
    (tmp_path / "go").touch()
    assert receiver.wait(3, timeout=TIMEOUT)[0].event is Event.FAIL


def test_a_forked_child_that_dies_is_told_while_its_parent_lives(receiver, job):
    source = (
        "logger.info('sync.start')\nlogger.info('of the parent')\n"
        "pid = os.fork()\n"
        "if not pid:\n    logger.info('sync.start')\n    logger.info('of the child')\n    " + KILL
        + "os.waitpid(pid, 0)\nlogger.info('sync.done')\n"
        "logger.info('sync.start')\nlogger.info('sync.done')\n"
    )  # fmt: skip
    assert job(source).returncode == 0
    pings = receiver.wait(5, timeout=TIMEOUT)
    (failure,) = [ping for ping in pings if ping.event is Event.FAIL or "told" in ping.text]
    assert "cut off: the process died" in failure.text
    assert " - of the parent\n" in failure.text
    assert failure.text.endswith(" - of the child\n")
    assert failure.run_id not in {p.run_id for p in pings if p.event is Event.SUCCESS}


def test_a_restart_by_execv_tells_what_it_was_before(receiver, job, tmp_path):
    source = (
        "if os.path.exists('again'):\n    logger.info('sync.start')\n    logger.info('sync.done')\n"
        "else:\n    open('again', 'w').close()\n    logger.info('sync.start')\n"
        "    logger.info('before')\n    os.execv(sys.executable, [sys.executable, *sys.argv])\n"
    )
    assert job(source).returncode == 0
    events = [ping.event for ping in receiver.wait(3, timeout=TIMEOUT)]
    assert events[-3:] == [Event.FAIL, Event.START, Event.SUCCESS]
    assert receiver.pings[-3].text.endswith(" - before\n")
    assert left(tmp_path) == []


def test_a_daemon_that_closes_all_descriptors_lives(receiver, job, tmp_path):
    source = (
        "os.mkfifo('fifo')\n"
        "if os.fork(): os._exit(0)\n"
        "os.setsid()\nos.closerange(0, 4096)\nos.open('/dev/null', os.O_RDWR)\n"
        "[os.open('/dev/null', os.O_RDWR) for _ in range(20)]\n"
        "logger.info('sync.start')\nos.closerange(3, 4096)\nopen('up', 'w').close()\n"
        "while not os.path.exists('go'): time.sleep(0.01)\n"
        "logger.info('sync.done')\n"
    )
    job(source)
    wait_until((tmp_path / "up").exists, TIMEOUT)
    receiver.wait(1, timeout=TIMEOUT)
    job(WELL)
    (tmp_path / "go").touch()
    pings = receiver.wait(4, timeout=TIMEOUT)
    assert sorted(ping.event.value for ping in pings) == ["start", "start", "success", "success"]
    wait_until(lambda: not left(tmp_path), TIMEOUT)


def test_a_marker_waits_for_no_disk(receiver, job):
    watch = """
synced = []
real = os.fsync
def fsync(descriptor):
    synced.append(threading.get_ident())
    real(descriptor)
import threading
os.fsync = fsync
"""
    done = job(watch + WELL + "sink.wait()\nlogger.info('sync.start')\n"
               "while not synced: time.sleep(0.01)\n"
               "print(threading.get_ident() in synced)\n")  # fmt: skip
    assert done.stdout == "False\n"


@pytest.mark.slow
def test_a_run_is_noted_at_once_though_the_disk_takes_its_time(receiver, job):
    slow = "os.fsync = lambda descriptor: time.sleep(9)\n"
    noted = "while 'open=' not in open(glob.glob('state/loghc/*/run')[0]).read(): pass\n"
    fill = "for number in range(5_000): logger.info('x' * 100)\n"
    sink = SINK.replace('state="state"', 'state="state", limit=10_000')
    assert job("import glob\n" + slow + "logger.info('sync.start')\n" + noted + fill + KILL,
               sink=sink, timeout=8).returncode == -signal.SIGKILL  # fmt: skip
    receiver.clear()
    job(WELL)
    assert receiver.wait(3, timeout=TIMEOUT)[0].event is Event.FAIL


def test_a_start_that_is_not_sent_itself_tells_what_is_owed(receiver, job):
    job("logger.info('sync.start')\n" + KILL)
    receiver.clear()
    sink = SINK.replace('state="state"', 'state="state", events=("success", "fail")')
    job("logger.info('sync.start')\nwhile not sink.stats.delivered: time.sleep(0.01)\n" + KILL,
        sink=sink)  # fmt: skip
    (failure,) = receiver.wait(1, timeout=TIMEOUT)
    assert failure.event is Event.FAIL


def test_two_processes_at_one_check_and_directory(receiver, job, tmp_path):
    other = tmp_path / "job2.py"
    text = "\n".join(line.removeprefix("    ") for line in SINK.splitlines())
    other.write_text(
        text + "\nlogger.info('sync.start')\nprint('up', flush=True)\ninput()\n" + KILL
    )
    process = subprocess.Popen(
        [sys.executable, str(other)], cwd=tmp_path, env={**os.environ, "URL": receiver.url},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    process.stdout.readline()
    receiver.wait(1, timeout=TIMEOUT)
    job(WELL)
    assert len(receiver.wait(3, timeout=TIMEOUT)) == 3  # it lives: nothing is told
    process.communicate(b"\n", timeout=TIMEOUT)
    job(WELL)
    assert receiver.wait(6, timeout=TIMEOUT)[3].event is Event.FAIL


def test_a_pid_of_another_namespace_tells_nothing(receiver, job, tmp_path):
    container = first_process(tmp_path)
    path = tmp_path / "job2.py"
    text = "\n".join(line.removeprefix("    ") for line in SINK.splitlines())
    env = {**os.environ, "URL": receiver.url}
    path.write_text(text + "\nlogger.info('sync.start')\nlogger.info('last')\n" + "sink.wait()\n"
                    "print('up', flush=True)\ninput()\n")  # fmt: skip
    process = subprocess.Popen([*container, sys.executable, str(path)], cwd=tmp_path, env=env,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    process.stdout.readline()
    process.kill()
    process.communicate(timeout=TIMEOUT)
    receiver.clear()
    path.write_text(text + "\n" + WELL)
    subprocess.run([*container, sys.executable, str(path)], cwd=tmp_path, env=env, check=True)
    assert receiver.wait(3, timeout=TIMEOUT)[0].event is Event.FAIL


def test_a_directory_that_is_made_is_the_users_alone(receiver, job, tmp_path):
    sink = SINK.replace("logger.remove()", "os.umask(0)")
    job("logger.info('sync.start')\n" + KILL, sink=sink)
    made = [tmp_path / "state", *(tmp_path / "state").rglob("*")]
    assert len(made) > 4
    assert [path for path in made if path.stat().st_mode & 0o077] == []


def test_a_directory_of_another_user_and_mode(receiver, job, tmp_path):
    if os.geteuid():
        pytest.skip("only root can give a directory away")
    for mode, user in ((0o2775, 12345), (0o755, 0)):
        (tmp_path / "state").mkdir()
        os.chown(tmp_path / "state", user, user)
        (tmp_path / "state").chmod(mode)
        job("logger.info('sync.start')\n" + KILL)
        (own,) = (tmp_path / "state").iterdir()
        assert own.stat().st_mode & 0o777 == 0o700
        receiver.clear()
        job(WELL)
        assert receiver.wait(3, timeout=TIMEOUT)[0].event is Event.FAIL
        (tmp_path / "state").rename(tmp_path / f"old-{user}")
        receiver.clear()


@pytest.mark.parametrize("trouble", ["a file", "another user's", "read-only", "gone"])
def test_a_directory_that_can_not_be_used_is_said_once(receiver, job, tmp_path, trouble):
    source = WELL + WELL
    if trouble == "a file":
        (tmp_path / "state").touch()
    elif trouble == "read-only":
        sink = SINK.replace('state="state"', 'state="/proc/state"')
        done = job(source, sink=sink)
    elif trouble == "another user's":
        if os.geteuid():
            pytest.skip("only root can give a directory away")
        (tmp_path / "state" / "loghc").mkdir(parents=True, mode=0o700)
        os.chown(tmp_path / "state" / "loghc", 12345, 12345)
    else:
        gone = "import shutil\nsink.wait()\nshutil.rmtree('state', ignore_errors=True)\n"
        source = WELL + gone + WELL
    if trouble != "read-only":
        done = job(source)
    assert done.returncode == 0
    assert [ping.event for ping in receiver.wait(4, timeout=TIMEOUT)] == [
        Event.START, Event.SUCCESS,
    ] * 2  # fmt: skip
    lines = [line for line in done.stderr.splitlines() if line]
    assert len(lines) <= 1
    if trouble != "gone":
        assert "the state directory" in lines[0]
        assert "can't be used" in lines[0]


def test_a_directory_that_is_deleted_is_made_again_which_is_said_once(receiver, job, tmp_path):
    again = (
        "import shutil\n"
        "for _ in range(2):\n"
        "    logger.info('sync.start')\n    sink.wait()\n"
        "    while os.path.exists('state'):\n"  # its thread may still write there
        "        shutil.rmtree('state', ignore_errors=True)\n"
        "    logger.info('sync.done')\n    sink.wait()\n    time.sleep(0.3)\n"
        "logger.info('sync.start')\nlogger.info('last')\n"
    )
    done = job(again + KILL)
    assert done.returncode == -signal.SIGKILL
    (line,) = [line for line in done.stderr.splitlines() if line]
    assert line.endswith(
        "/state': what this process kept there was deleted. Its next marker makes it again."
    )
    receiver.clear()
    job(WELL)
    failure = receiver.wait(3, timeout=TIMEOUT)[0]
    assert failure.event is Event.FAIL
    assert failure.text.endswith(" - last\n")


def test_an_end_in_no_directory_is_left_to_nobody(receiver, job, tmp_path):
    (tmp_path / "state").touch()
    receiver.always(503)
    sink = SINK.replace('state="state"', 'state="state", drain=0.3')
    done = job(WELL, sink=sink)
    assert "not delivered within" in done.stderr
    assert "next start" not in done.stderr


def test_a_run_is_known_though_its_marker_was_overwritten_before_a_thread_ran(receiver, job):
    job(
        "sys.setswitchinterval(100)\nlogger.info('sync.start')\n"
        "for _ in range(300): logger.info('x' * 1000)\nlogger.info('last')\n" + KILL
    )
    receiver.clear()
    job(WELL)
    failure = receiver.wait(3, timeout=TIMEOUT)[0]
    assert failure.event is Event.FAIL
    assert failure.text.endswith(" - last\n")


def test_a_directory_that_is_full(receiver, job, tmp_path):
    if os.geteuid() or subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        pytest.skip("a small file system can't be mounted")
    path = tmp_path / "job.py"
    text = "\n".join(line.removeprefix("    ") for line in SINK.splitlines())
    fill = "f = open('state/fill', 'wb')\ntry:\n while f.write(bytes(4096)): f.flush()\n"
    fill += "except OSError: pass\n"
    path.write_text(text + "\nlogger.info('sync.start')\nsink.wait()\n" + fill
                    + "logger.info('last')\nlogger.error('sync.error: full')\n" + KILL)  # fmt: skip
    after = tmp_path / "after.py"
    after.write_text(text + "\n" + WELL)
    (tmp_path / "state").mkdir()
    script = f"mount -t tmpfs -o size=1m none state && ({sys.executable} job.py; rm state/fill; "
    script += f"{sys.executable} after.py)"
    env = {**os.environ, "URL": receiver.url}
    receiver.script(200, 503, 503, 503)
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], cwd=tmp_path, env=env, check=False,
                          capture_output=True, text=True, timeout=TIMEOUT)  # fmt: skip
    assert done.stderr.count("state directory") <= 1
    events = [ping.event for ping in receiver.pings]
    assert Event.FAIL in events
    assert events[-1] is Event.SUCCESS


def mounted(tmp_path, script):
    """A command that runs a script where it may mount something; skips where nobody may."""
    if os.geteuid() or subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        pytest.skip("nothing can be mounted")
    (tmp_path / "state").mkdir()
    return ("unshare", "-m", "sh", "-ec", script)


@pytest.mark.parametrize("trouble", ["read-only", "full", "no room for a ring"])
def test_a_mount_that_can_not_be_used(receiver, tmp_path, trouble):
    text = "\n".join(line.removeprefix("    ") for line in SINK.splitlines())
    (tmp_path / "job.py").write_text(text + "\n" + WELL + WELL)
    script = {
        "read-only": "mount --bind state state; mount -o remount,ro,bind state",
        "full": "mount -t tmpfs -o size=64k none state; ! cat /dev/zero > state/fill 2> /dev/null",
        "no room for a ring": "mount -t tmpfs -o size=96k none state",
    }[trouble]
    command = mounted(tmp_path, f"{script}; exec {sys.executable} job.py")
    done = run(*command, cwd=tmp_path, env={"URL": receiver.url, "LOGHC_DEBUG": ""})
    assert done.returncode == 0
    assert [ping.event for ping in receiver.wait(4, timeout=TIMEOUT)] == [
        Event.START, Event.SUCCESS,
    ] * 2  # fmt: skip
    (line,) = done.stderr.splitlines()
    assert re.search("the state directory '.*state' can't be used: ", line)


@pytest.mark.slow
def test_on_a_network_file_system_the_log_is_in_memory(receiver, job, tmp_path):
    """No such one can be mounted here: the kind of this one is taken for a network's."""
    kind = subprocess.run(["findmnt", "-no", "FSTYPE", "-T", tmp_path], check=True,
                          capture_output=True, text=True).stdout.strip()  # fmt: skip
    taken = f"    import loghc.entry.memory\n    loghc.entry.memory._NETWORK = {{b'{kind}'}}\n"
    sink = SINK.replace("    logger.remove()\n", taken + "    logger.remove()\n")
    done = job("logger.info('sync.start')\nlogger.info('last')\n" + KILL, sink=sink)
    assert done.stderr.count("is on a network file system") == 1
    assert list(tmp_path.glob("state/loghc/*/run"))
    assert not list(tmp_path.glob("state/loghc/*/*.ring"))
    (text,) = [path.read_text() for path in tmp_path.glob("state/loghc/*/run")]
    memory = Path(re.search("^rings=(.*)$", text, re.MULTILINE)[1])
    assert list(memory.glob("*.ring"))
    receiver.clear()
    done = job(WELL, sink=sink)
    failure, *_ = receiver.wait(3, timeout=TIMEOUT)
    assert failure.event is Event.FAIL
    assert failure.text.endswith(" - last\n")
    assert left(tmp_path) == []
    assert not memory.exists()


@pytest.mark.slow
def test_after_a_power_cut_a_process_with_the_same_id_hides_nothing(receiver, job, tmp_path):
    living = "logger.info('sync.start')\nlogger.info('last')\nprint('up', flush=True)\ninput()\n"
    text = "\n".join(line.removeprefix("    ") for line in SINK.splitlines())
    (tmp_path / "living.py").write_text(text + "\n" + living)
    process = subprocess.Popen(
        [sys.executable, "living.py"], cwd=tmp_path, env={**os.environ, "URL": receiver.url},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        process.stdout.readline()
        (start,) = receiver.wait(1, timeout=TIMEOUT)
        (entry,) = tmp_path.glob("state/loghc/loghc-state-*")
        wait_until(lambda: "open=" in (entry / "run").read_text(), TIMEOUT)
        copy = entry.with_name("loghc-state-of-another-boot")  # locked by nobody
        shutil.copytree(entry, copy)
        job(WELL)
        assert len(receiver.wait(3, timeout=TIMEOUT)) == 3
        facts = (copy / "run").read_text()
        (copy / "run").write_text(re.sub("^boot=.*$", "boot=another", facts, flags=re.MULTILINE))
        newest = tmp_path.glob("state/loghc/newest-*")
        wait_until(lambda: [path.unlink() for path in newest], TIMEOUT)
        job(WELL)
        late = receiver.wait(6, timeout=TIMEOUT)[3]
        assert (late.event, late.run_id) == (Event.FAIL, start.run_id)
        assert late.text.endswith(" - last\n")
    finally:
        process.kill()
        process.communicate(timeout=TIMEOUT)


DEATHS = {
    "SIGTERM": "os.kill(os.getpid(), signal.SIGTERM)",
    "os._exit": "os._exit(3)",
    "a native crash": "import ctypes\nctypes.string_at(0)",
}


@pytest.mark.slow
@pytest.mark.parametrize("death", DEATHS)
def test_each_death_of_the_readmes_table_is_told_by_the_next_start(receiver, job, death):
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
    source = "logger.info('sync.start')\nlogger.info('last')\nsink.wait()\n"
    assert job(limit + source + DEATHS[death]).returncode
    (start,) = receiver.wait(1, timeout=TIMEOUT)
    job(WELL)
    failure = receiver.wait(4, timeout=TIMEOUT)[1]
    assert (failure.event, failure.run_id) == (Event.FAIL, start.run_id)
    assert failure.text.endswith(" - last\n")


def test_an_exception_is_told_at_once_as_without_a_state_directory(receiver, job, tmp_path):
    job("logger.info('sync.start')\n1 / 0\n")
    failure = receiver.wait(2, timeout=TIMEOUT)[1]
    assert failure.text.startswith("ZeroDivisionError: division by zero")
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("end", "status", "headline"),
    [
        ("os.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)", -2, "KeyboardInterrupt"),
        ("sys.exit(3)", 3, "the program ended before this run did"),
        ("sys.exit()", 0, "the program ended before this run did"),
    ],
    ids=["Ctrl-C", "sys.exit(3)", "sys.exit()"],
)
def test_an_exit_in_a_run_is_told_at_once_and_leaves_nothing(
    receiver, job, tmp_path, end, status, headline
):
    done = job(f"logger.info('sync.start')\nlogger.info('last')\nsink.wait()\n{end}")
    assert done.returncode == status
    start, failure = receiver.wait(2, timeout=TIMEOUT)
    assert (failure.event, failure.run_id) == (Event.FAIL, start.run_id)
    assert failure.text.startswith(headline)
    assert " - last\n" in failure.text
    assert left(tmp_path) == []
    receiver.clear()
    job(WELL)
    assert [ping.event for ping in receiver.wait(2, timeout=TIMEOUT)] == [
        Event.START,
        Event.SUCCESS,
    ]


@pytest.mark.slow
def test_lack_of_memory_is_told_by_the_next_start(receiver, job, small_group):
    done = job(
        "import resource\nresource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))\n"
        f"open('{small_group}/cgroup.procs', 'w').write(str(os.getpid()))\n"
        "logger.info('sync.start')\nlogger.info('last')\n"
        "kept = []\nwhile True: kept.append(bytearray(b'x' * 2**20))"
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    receiver.clear()
    job(WELL)
    failure = receiver.wait(3, timeout=TIMEOUT)[0]
    assert failure.event is Event.FAIL
    assert failure.text.endswith(" - last\n")


def test_a_ring_takes_twice_the_limit_and_no_more(receiver, job, tmp_path):
    sink = SINK.replace('state="state"', 'state="state", limit=90_000')
    noted = "while 'open=' not in open(glob.glob('state/loghc/*/run')[0]).read(): pass\n"
    job("import glob\nlogger.info('sync.start')\n" + noted
        + "for number in range(5_000): logger.info('x' * 100)\nlogger.info('last')\n" + KILL,
        sink=sink)  # fmt: skip
    (ring,) = tmp_path.glob("state/loghc/*/*.ring")
    assert 170_000 <= ring.stat().st_size <= 181_000
    files = [path for path in tmp_path.glob("state/loghc/**/*") if path.is_file()]
    assert sum(path.stat().st_blocks * 512 for path in files) < 220_000
    receiver.clear()
    job(WELL, sink=sink)
    failure = receiver.wait(3, timeout=TIMEOUT)[0]
    assert failure.text.endswith(" - last\n")
    assert len(failure.body) > 89_000


@pytest.mark.slow
def test_logs_that_are_owed_take_ten_megabytes_and_no_end_is_lost(receiver, job, tmp_path):
    receiver.always(503)
    loop = (
        "for number in range(8):\n    pid = os.fork()\n    if not pid:\n"
        "        logger.info('sync.start')\n        logger.info(f'last of {number}')\n"
        "        while not glob.glob(f'state/loghc/*/{os.getpid()}-*.ring'): pass\n        " + KILL
        + "    os.waitpid(pid, 0)\n"
    )  # fmt: skip
    sink = SINK.replace('state="state"', 'state="state", limit=1_000_000')
    job("import glob\n" + loop + "logger.info('sync.start')\n"
        "while sum(os.stat(p).st_size for p in glob.glob('state/loghc/*/*.ring')) > 12_100_000:\n"
        "    time.sleep(0.05)\n" + KILL, sink=sink)  # fmt: skip
    assert len(left(tmp_path)) == 9
    receiver.always(None)
    receiver.clear()
    job(WELL, sink=SINK.replace('state="state"', 'state="state", drain=50'))
    wait_until(lambda: receiver.pings and receiver.pings[-1].event is Event.SUCCESS, TIMEOUT)
    failures = [ping for ping in receiver.pings if ping.event is Event.FAIL]
    assert len(failures) == 9
    without = [ping for ping in failures if "its log was dropped to make room" in ping.text]
    assert without == failures[: len(without)]
    assert len(without) in (3, 4)
    assert f" - last of {len(without)}\n" in failures[len(without)].text


@pytest.mark.slow
def test_a_crash_loop_while_the_service_is_down_is_bounded_and_counted(receiver, job, tmp_path):
    receiver.always(503)
    loop = (
        "for number in range(26):\n    pid = os.fork()\n    if not pid:\n"
        "        logger.info('sync.start')\n        " + KILL + "    os.waitpid(pid, 0)\n"
    )
    job(loop)
    assert 20 <= len(left(tmp_path)) <= 21
    receiver.always(None)
    receiver.clear()
    job(WELL, sink=SINK.replace('state="state"', 'state="state", drain=50'))
    wait_until(lambda: receiver.pings and receiver.pings[-1].event is Event.SUCCESS, TIMEOUT)
    failures = [ping for ping in receiver.pings if ping.event is Event.FAIL]
    assert len(failures) == 20
    assert "loghc: 6 more failures before it are only counted here" in failures[0].text
    began = [ping.text.partition("it began at ")[2][:19] for ping in failures]
    assert began == sorted(began)
    assert left(tmp_path) == []


def test_another_versions_entry_is_told_without_its_log(receiver, job, tmp_path):
    noted = (
        "import glob\nwhile 'open=' not in open(glob.glob('state/loghc/*/run')[0]).read(): pass\n"
    )
    job("logger.info('sync.start')\nlogger.info('last')\n" + noted + KILL)
    (ring,) = tmp_path.glob("state/loghc/*/*.ring")
    data = bytearray(ring.read_bytes())
    data[7] = 99
    ring.write_bytes(data)
    receiver.clear()
    job(WELL)
    failure = receiver.wait(3, timeout=TIMEOUT)[0]
    assert failure.event is Event.FAIL
    assert "was kept by another version of loghc" in failure.text
    assert " - last\n" not in failure.text


def test_a_late_failure_does_not_turn_a_check_red_that_is_well_again(receiver, job, tmp_path):
    job("logger.info('sync.start')\nlogger.info('last')\n" + KILL)
    (entry,) = tmp_path.glob("state/loghc/loghc-state-*")
    entry.rename(tmp_path / entry.name)  # as if its process had lived on meanwhile
    job(WELL)
    (tmp_path / entry.name).rename(entry)
    receiver.clear()
    job(WELL)
    late = receiver.wait(3, timeout=TIMEOUT)[0]
    assert late.event is Event.LOG
    assert late.text.startswith("cut off: ")
    assert "a newer run of this check has ended since" in late.text
    assert left(tmp_path) == []


def test_sinks_of_three_jobs(receiver, job, tmp_path):
    checks = {name: receiver.check(name) for name in "abc"}
    made = "\n".join(
        f"    logger.add(HealthSink({check.url!r}, job={name!r}, state='state', scope='run'))"
        for name, check in checks.items()
    )
    sink = SINK.replace('    sink = HealthSink(os.environ["URL"], state="state")\n', made + "\n")
    sink = sink.replace("    logger.add(sink)\n", "    from threading import Thread\n")
    job("def work(name):\n    logger.info(name + '.start')\n    logger.info('last of ' + name)\n"
        "for name in 'abc':\n    run = Thread(target=work, args=[name])\n    run.start()\n"
        "    run.join()\n" + KILL, sink=sink)  # fmt: skip
    assert len(left(tmp_path)) == 3
    receiver.clear()
    done = job("for name in 'abc':\n    logger.info(name + '.start')\n"
               "    logger.info(name + '.done')\n", sink=sink)  # fmt: skip
    assert done.stderr == ""
    run_ids = set()
    for name, check in checks.items():
        wait_until(lambda pings=check: len(pings.pings) == 3, TIMEOUT)
        failure, start, success = check.pings
        assert [failure.event, start.event, success.event] == [
            Event.FAIL, Event.START, Event.SUCCESS,
        ]  # fmt: skip
        assert f" - last of {name}\n" in failure.text
        run_ids.add(failure.run_id)
    assert len(run_ids) == 3
    assert left(tmp_path) == []


def test_with_enqueue(receiver, job):
    sink = SINK.replace("logger.add(sink)", "logger.add(sink, enqueue=True)")
    job("logger.info('sync.start')\nlogger.info('last')\nlogger.complete()\n" + KILL, sink=sink)
    receiver.clear()
    job(WELL, sink=sink)
    failure, *_ = receiver.wait(3, timeout=TIMEOUT)
    assert failure.event is Event.FAIL
    assert failure.text.endswith(" - last\n")


def test_with_a_redact_callable_no_log_is_sent_late(receiver, job):
    sink = SINK.replace('state="state"', 'state="state", redact=(str.upper,)')
    job("logger.info('sync.start')\nlogger.info('last')\n" + KILL, sink=sink)
    receiver.clear()
    done = job(WELL)
    failure, *_ = receiver.wait(3, timeout=TIMEOUT)
    assert (failure.event, failure.text) == (Event.FAIL, "")
    assert done.stderr.count("an earlier process's log is not sent") == 1


def test_its_patterns_and_secrets_are_redacted_late(receiver, job):
    sink = SINK.replace('state="state"', 'state="state", redact=("copper",)')
    job("logger.info('sync.start')\nlogger.info('copper password=hunter22 ' + os.environ['URL'])\n"
        + KILL, sink=sink)  # fmt: skip
    receiver.clear()
    job(WELL)
    failure, *_ = receiver.wait(3, timeout=TIMEOUT)
    assert "[redacted]" in failure.text
    assert "copper" not in failure.text
    assert "hunter22" not in failure.text
    assert receiver.url.rpartition("/")[2] not in failure.text
