"""The black box: an end that its own watcher could not tell is told by the next one."""

from __future__ import annotations

import datetime
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from conftest import complaints
from loghc.entry.black_box import BlackBox
from loghc.entry.cleaning import clean
from loghc.entry.directory import Directory, state_directory
from loghc.ping import Event
from loghc.testing import Fault
from loghc.watch.run_directory import RunDirectory
from processes import RUN, TIMEOUT, events, first_process, needs_posix, run, started
from waiting import wait_until, wait_until_gone

pytestmark = needs_posix

SLEEPER = """
    import os, time
    from loguru import logger
    logger.info("last")
    print(os.getpid(), flush=True)
    while True:
        time.sleep(9)
"""


@pytest.fixture(params=["--state", "XDG_STATE_HOME"])
def keeping(request, tmp_path):
    """The command and the environment for a state directory, named by an option or by default."""
    if request.param == "--state":
        return ("--state", str(tmp_path / "state")), {}
    return (), {"XDG_STATE_HOME": str(tmp_path)}


@pytest.fixture
def state(tmp_path):
    """The command for a state directory."""
    return ("--state", str(tmp_path / "state"))


def left_in(directory):
    """What is in our own directory of a state directory."""
    return sorted(
        path.name
        for path in Path(directory).glob("loghc/*")
        if not path.name.startswith(("salt", "newest-"))
    )


def killed_together(receiver, command, cwd, env=None):
    """Kill a program and its watcher, the watcher first, when the first ping was sent."""
    process = started(*command, cwd=cwd, env=env)
    pid = int(process.stdout.readline())
    wait_until(lambda: receiver.requests, TIMEOUT)
    process.kill()
    os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=TIMEOUT)
    wait_until_gone(pid)


def test_a_watcher_that_died_with_its_program_is_told_of_by_the_next(
    receiver, program, tmp_path, keeping
):
    options, env = keeping
    killed_together(receiver, (*RUN, *options, program(SLEEPER)), tmp_path, env)
    (start,) = receiver.wait(1, timeout=TIMEOUT)
    (salt,) = tmp_path.rglob("salt")
    assert salt.parent == tmp_path / ("state/loghc" if options else "loghc")
    assert run(*RUN, *options, "true", cwd=tmp_path, env=env).returncode == 0
    _, late, again, success = receiver.wait(4, timeout=TIMEOUT)
    assert (late.event, late.exit_status, late.run_id) == (Event.FAIL, None, start.run_id)
    first, second, *_, record = late.text.splitlines()
    assert first.startswith(
        "cut off: loghc was killed in this run, and how the program ended isn't"
    )
    assert "; it began at 20" in first
    assert ", last logged at 20" in first
    assert (second, record[-7:]) == ("", " - last")
    assert (again.event, success.event) == (Event.START, Event.SUCCESS)
    run(*RUN, *options, "true", cwd=tmp_path, env=env)
    assert len(receiver.wait(6, timeout=TIMEOUT)) == 6  # it is told once
    assert left_in(tmp_path / "state") == left_in(tmp_path) == []


def test_a_salt_that_a_power_failure_left_empty_is_made_anew(receiver, program, tmp_path, state):
    own = state_directory(str(tmp_path / "state"))
    own.write("salt", b"")
    killed_together(receiver, (*RUN, *state, program(SLEEPER)), tmp_path)
    run(*RUN, *state, "true", cwd=tmp_path)
    assert receiver.wait(4, timeout=TIMEOUT)[1].text.startswith("cut off: ")
    assert left_in(tmp_path / "state") == []


def test_a_salt_that_can_not_be_read_is_said(receiver, tmp_path, state):
    own = state_directory(str(tmp_path / "state"))
    (Path(own.path) / "salt").mkdir()
    done = run(*RUN, *state, "true", cwd=tmp_path)
    state = str(tmp_path / "state")
    line = f"loghc: the state directory {state!r} can't be used: it isn't a regular file."
    assert (done.returncode, complaints(done.stderr)) == (0, [line])
    assert len(receiver.wait(2, timeout=TIMEOUT)) == 2


def test_without_a_state_directory_nothing_is_kept(receiver, program, tmp_path):
    killed_together(receiver, (*RUN, program(SLEEPER)), tmp_path)
    run(*RUN, "true", cwd=tmp_path)
    assert [ping.event for ping in receiver.wait(3, timeout=TIMEOUT)][1:] == [
        Event.START,
        Event.SUCCESS,
    ]


def test_an_end_that_could_not_be_delivered_is_told_by_the_next(
    receiver, program, tmp_path, keeping
):
    options, env = keeping
    receiver.always(503)
    name = program("from loguru import logger\nlogger.info('last')\nraise SystemExit(3)")
    done = run(*RUN, *options, "--drain", "0.5", name, cwd=tmp_path, env=env)
    assert done.returncode == 3
    assert receiver.pings == ()
    sent = receiver.requests[0].query
    receiver.always(None)
    receiver.clear()
    run(*RUN, *options, "true", cwd=tmp_path, env=env)
    late, *_ = receiver.wait(3, timeout=TIMEOUT)
    assert (late.event, late.exit_status) == (Event.FAIL, 3)
    assert f"rid={late.run_id}" in sent
    first, _, record = late.text.splitlines()
    assert re.fullmatch(r"exit status 3 \(after .*\) \(sent late, of 20.* UTC\)", first)
    assert record.endswith(" - last")
    assert [ping.event for ping in receiver.pings] == [Event.FAIL, Event.START, Event.SUCCESS]


def test_ends_of_several_runs_that_could_not_be_delivered_are_each_told(
    receiver, program, tmp_path, keeping
):
    options, env = keeping
    receiver.always(503)
    name = program("from loguru import logger\nfor _ in '123': logger.info('sync.start')\n1/0")
    command = (*RUN, *options, "--markers-only")
    run(*command, "--drain", "0.5", name, cwd=tmp_path, env=env)
    receiver.always(None)
    receiver.clear()
    run(*command, "true", cwd=tmp_path, env=env)
    told = receiver.wait(3, timeout=TIMEOUT)
    assert [(ping.event, ping.exit_status) for ping in told] == [(Event.FAIL, 1)] * 3
    assert len({ping.run_id for ping in told}) == 3
    assert all("before this run did\n" in ping.text for ping in told)
    assert left_in(tmp_path / "state") == left_in(tmp_path) == []


def test_a_wait_for_the_service_that_a_signal_ends_keeps_the_end(receiver, tmp_path, state):
    receiver.always(Fault(delay=float("inf")))
    process = started(
        *RUN, *state, "--drain", "50", "sh", "-c", "exit 5", cwd=tmp_path, env={"LOGHC_DEBUG": "1"}
    )
    assert any("waiting at most" in line for line in process.stderr)
    process.terminate()
    process.communicate(timeout=TIMEOUT)
    assert process.returncode == 5
    receiver.always(None)
    receiver.clear()
    run(*RUN, *state, "true", cwd=tmp_path)
    assert receiver.wait(3, timeout=TIMEOUT)[0].exit_status == 5


def test_an_end_that_was_refused_for_good_is_not_kept(receiver, tmp_path, state):
    receiver.always(404)
    run(*RUN, *state, "sh", "-c", "exit 5", cwd=tmp_path)
    assert left_in(tmp_path / "state") == []


def test_an_end_that_still_can_not_be_delivered_stays(receiver, tmp_path, state):
    receiver.always(503)
    for status in (3, 0):
        run(*RUN, *state, "--drain", "0.3", "sh", "-c", f"exit {status}", cwd=tmp_path)
    receiver.always(None)
    receiver.clear()
    run(*RUN, *state, "true", cwd=tmp_path)
    receiver.wait(4, timeout=TIMEOUT)
    assert events(receiver) == [
        (Event.FAIL, 3),
        (Event.SUCCESS, None),
        (Event.START, None),
        (Event.SUCCESS, None),
    ]
    assert receiver.pings[1].text.endswith(" UTC\n")


def test_an_end_stays_though_the_watcher_that_was_to_tell_it_dies(
    receiver, program, tmp_path, state
):
    receiver.always(503)
    run(*RUN, *state, "--drain", "0.3", "sh", "-c", "exit 3", cwd=tmp_path)
    receiver.clear()
    killed_together(receiver, (*RUN, *state, program(SLEEPER)), tmp_path)
    receiver.always(None)
    receiver.clear()
    run(*RUN, *state, "true", cwd=tmp_path)
    receiver.wait(4, timeout=TIMEOUT)
    assert events(receiver)[:2] == [(Event.FAIL, 3), (Event.FAIL, None)]


@pytest.mark.parametrize("damage", [("event=fail", "event=banana"), ("status=3", "status=zz")])
def test_an_end_that_was_damaged_is_said_and_keeps_no_other_from_being_told(
    receiver, tmp_path, state, damage
):
    receiver.always(503)
    for status in (3, 4):
        run(*RUN, *state, "--drain", "0.3", "sh", "-c", f"exit {status}", cwd=tmp_path)
    receiver.always(None)
    receiver.clear()
    for path in (tmp_path / "state").glob("loghc/*/*"):
        fields = path.read_text() if path.name in ("run", "end") else ""
        if "status=3" in fields:
            path.write_text(fields.replace(*damage))
    done = run(*RUN, *state, "true", cwd=tmp_path)
    assert done.returncode == 0
    (said,) = done.stderr.splitlines()
    assert said.startswith(
        "loghc: an earlier run's end can't be sent, what was kept of it is damaged: "
    )
    told = [(ping.event, ping.exit_status) for ping in receiver.wait(3, timeout=TIMEOUT)]
    assert told == [(Event.FAIL, 4), (Event.START, None), (Event.SUCCESS, None)]
    assert left_in(tmp_path / "state") == []


def test_another_check_is_not_told(receiver, program, tmp_path, state):
    killed_together(receiver, (*RUN, *state, program(SLEEPER)), tmp_path)
    receiver.clear()
    other = f"{receiver.base_url}/{receiver.ping_key}/other?create=1"
    run(*RUN, "--health-check-url", other, *state, "true", cwd=tmp_path)
    assert [ping.event for ping in receiver.pings] == [Event.START, Event.SUCCESS]
    assert len(left_in(tmp_path / "state")) == 1


def test_a_run_that_is_still_watched_is_not_told(receiver, program, tmp_path, state):
    process = started(*RUN, *state, program(SLEEPER), cwd=tmp_path)
    receiver.wait(1, timeout=TIMEOUT)
    run(*RUN, *state, "true", cwd=tmp_path)
    assert [ping.event for ping in receiver.wait(3, timeout=TIMEOUT)] == [
        Event.START,
        Event.START,
        Event.SUCCESS,
    ]
    process.terminate()
    process.communicate(timeout=TIMEOUT)
    assert receiver.wait(4, timeout=TIMEOUT)[3].exit_status == 143


def test_an_exception_that_ends_a_program_after_its_watcher_was_killed(
    receiver, program, tmp_path, state
):
    wait = "while not os.path.exists('go'):\n        time.sleep(0.01)\n    raise OSError('no disk')"
    code = SLEEPER.replace("while True:\n        time.sleep(9)", wait)
    process = started(*RUN, *state, program(code), cwd=tmp_path)
    pid = int(process.stdout.readline())
    receiver.wait(1, timeout=TIMEOUT)
    process.kill()
    process.wait(TIMEOUT)
    (tmp_path / "go").touch()
    wait_until_gone(pid)
    process.communicate(timeout=TIMEOUT)
    run(*RUN, *state, "true", cwd=tmp_path)
    late = receiver.wait(4, timeout=TIMEOUT)[1]
    assert late.event is Event.FAIL
    assert late.text.startswith(
        "OSError: no disk (loghc was killed in this run, so its exit status"
    )
    assert "    raise OSError('no disk')\n" in late.text


@pytest.mark.parametrize("name", [b"state", b"st\xff"])
def test_a_run_whose_program_lives_on_is_not_over(receiver, program, tmp_path, name):
    state = ("--state", tmp_path / os.fsdecode(name))
    process = started(*RUN, *state, program(SLEEPER), cwd=tmp_path)
    pid = int(process.stdout.readline())
    receiver.wait(1, timeout=TIMEOUT)
    process.kill()
    process.wait(TIMEOUT)
    run(*RUN, *state, "true", cwd=tmp_path)
    assert len(receiver.wait(3, timeout=TIMEOUT)) == 3
    os.kill(pid, signal.SIGKILL)
    wait_until_gone(pid)
    process.communicate(timeout=TIMEOUT)
    run(*RUN, *state, "true", cwd=tmp_path)
    late = receiver.wait(6, timeout=TIMEOUT)[3]
    assert late.event is Event.FAIL
    assert late.text.startswith("cut off: loghc was killed in this run")


def test_of_two_that_start_at_once_one_tells(receiver, program, tmp_path, state):
    killed_together(receiver, (*RUN, *state, program(SLEEPER)), tmp_path)
    receiver.clear()
    both = [started(*RUN, *state, "true", cwd=tmp_path) for _ in range(2)]
    for process in both:
        process.communicate(timeout=TIMEOUT)
    told = [ping.event for ping in receiver.wait(5, timeout=TIMEOUT)]
    assert sorted(event.value for event in told) == ["fail", "start", "start", "success", "success"]


def test_open_runs_of_a_daemon_are_told(receiver, program, tmp_path, state):
    name = program(
        """
        import os, time
        from loguru import logger
        logger.info("sync.start")
        logger.info("sync.done")
        logger.info("sync.start")
        logger.info("sync.start")
        while not os.path.exists("go"):
            time.sleep(0.01)
        print(os.getpid(), flush=True)
        time.sleep(600)
        """
    )
    command = (*RUN, *state, "--markers-only", name)
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE)
    started_runs = [ping.run_id for ping in receiver.wait(4, timeout=TIMEOUT)]
    (tmp_path / "go").touch()
    pid = int(process.stdout.readline())
    process.kill()
    os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=TIMEOUT)
    wait_until_gone(pid)
    run(*RUN, *state, "--markers-only", "true", cwd=tmp_path)
    late = receiver.wait(6, timeout=TIMEOUT)[4:]
    assert [(ping.event, ping.run_id) for ping in late] == [
        (Event.FAIL, run_id) for run_id in started_runs[2:]
    ]
    assert len(receiver.pings) == 6
    assert left_in(tmp_path / "state") == []


def test_of_a_daemon_without_an_open_run_nothing_is_told(receiver, program, tmp_path, state):
    process = started(*RUN, *state, "--markers-only", program(SLEEPER), cwd=tmp_path)
    pid = int(process.stdout.readline())
    wait_until(lambda: list((tmp_path / "state").glob("loghc/*/run")))
    process.kill()
    os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=TIMEOUT)
    wait_until_gone(pid)
    run(*RUN, *state, "--markers-only", "true", cwd=tmp_path)
    assert receiver.pings == ()
    assert left_in(tmp_path / "state") == []


def test_as_process_1_of_two_containers(receiver, program, tmp_path, state):
    container = first_process(tmp_path)
    process = started(*container, *RUN, *state, program(SLEEPER), cwd=tmp_path)
    process.stdout.readline()
    receiver.wait(1, timeout=TIMEOUT)
    process.kill()  # and with it all that is in there
    process.communicate(timeout=TIMEOUT)
    run(*container, *RUN, *state, "true", cwd=tmp_path)
    told = receiver.wait(4, timeout=TIMEOUT)
    assert told[1].event is Event.FAIL
    assert told[1].text.startswith("cut off: loghc died with this run (a power failure, a killed")
    assert " - last\n" in told[1].text


def test_no_secret_is_kept(receiver, program, tmp_path, state):
    receiver.always(503)
    name = program(
        f"""
        from loguru import logger
        print({receiver.url!r})
        logger.error({receiver.url!r})
        raise OSError({receiver.url!r})
        """
    )
    run(*RUN, *state, "--output", "--drain", "0.3", name, cwd=tmp_path)
    secret = receiver.url.rpartition("/")[2].encode()
    kept = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert any(path.name == "body" for path in kept)
    assert any(b"cause=OSError: " in path.read_bytes() for path in kept)
    assert not any(secret in path.read_bytes() for path in kept)
    assert all(path.stat().st_mode & 0o077 == 0 for path in kept)


@pytest.mark.parametrize("in_memory", [True, False])
def test_what_dead_watchers_left_and_nobody_claims_is_cleaned_up(
    receiver, tmp_path, state, in_memory
):
    own = state_directory(str(tmp_path / "state"))
    left = RunDirectory(None if in_memory else own.path)
    left.close()
    aged(left.path, 100)
    run(*RUN, *state, "true", cwd=tmp_path)
    assert not Path(left.path).exists()


# Without processes


def aged(path, seconds):
    os.utime(path, (time.time() - seconds,) * 2)


def test_the_old_and_the_oldest_of_many_bytes_are_cleaned_up(tmp_path):
    box = BlackBox(str(tmp_path))
    for number in range(25):
        entry = box.new()
        entry.write({"check": "c"}, bytes(900_000))
        entry.release()
        aged(entry.directory.path, 10_000 * number)
    old = box.new()
    old.write({"check": "c"})
    old.release()
    aged(old.directory.path, 31 * 24 * 3600)
    held = box.new()
    aged(held.directory.path, 99 * 24 * 3600)
    box.clean()
    left = [tmp_path / "loghc" / name for name in left_in(tmp_path)]
    assert len(left) == 26
    assert Path(held.directory.path) in left
    assert Path(old.directory.path) not in left
    logs = [path.stat().st_mtime for path in left if (path / "body").exists()]
    assert len(logs) == 11
    assert min(logs) > time.time() - 101_000


def test_of_many_entries_of_a_check_the_newest_stay_and_the_rest_are_counted(tmp_path):
    box = BlackBox(str(tmp_path))
    for number in range(25):
        entry = box.new()
        entry.write({"check": "c", "number": str(number)})
        entry.release()
        aged(entry.directory.path, 200 - number)
    claimed = box.claim("c")
    assert [claim.fields["number"] for claim in claimed] == [str(n) for n in range(5, 25)]
    assert [claim.counted for claim in claimed] == [5] + [0] * 19
    assert len(left_in(tmp_path)) == 20


def test_what_is_in_use_takes_no_room_from_what_the_dead_left(tmp_path):
    box = BlackBox(str(tmp_path))
    for number in range(25):
        entry = box.new()
        entry.write({"check": "c"})
        if number in (0, 1, 24):
            entry.release()
        aged(entry.directory.path, 200 - number)
    box.clean()
    assert len(left_in(tmp_path)) == 25
    assert len(box.claim("c")) == 3


def test_a_run_directory_that_no_entry_refers_to_goes_when_its_run_is_over(tmp_path):
    (tmp_path / "memory").mkdir()
    box = BlackBox(str(tmp_path / "state"))
    runs = [RunDirectory(str(tmp_path / "memory")) for _ in range(4)]
    living, dead, referred_to, young = runs
    box.record(referred_to)
    for run_ in (dead, referred_to, young):
        run_.close()
    for run_ in (living, dead, referred_to):
        aged(run_.path, 100)
    clean(str(tmp_path / "memory"))
    assert [Path(run_.path).exists() for run_ in runs] == [True, False, True, True]


def test_an_entry_is_claimed_by_one_at_a_time(tmp_path):
    box = BlackBox(str(tmp_path))
    entry = box.new()
    entry.write({"check": "c", "run_id": "r", "rings": ""}, b"a body without an event: torn")
    assert box.claim("c") == []
    entry.release()
    assert box.claim("d") == []
    (claimed,) = box.claim("c")
    assert (claimed.fields["run_id"], claimed.body) == ("r", None)
    assert BlackBox(str(tmp_path)).claim("c") == []
    claimed.remove()
    claimed.release()
    assert left_in(tmp_path) == []


@pytest.mark.parametrize(("name", "stays"), [("loghc-run-x", False), ("precious", True)])
def test_with_an_entry_its_run_directory_goes_and_no_other(tmp_path, name, stays):
    (tmp_path / name).mkdir(mode=0o700)
    (tmp_path / name / "file").touch()
    entry, fields = BlackBox(str(tmp_path / "state")).record(Directory(str(tmp_path / name)))
    entry.write({"check": "c", **fields})
    entry.remove()
    assert (tmp_path / name / "file").exists() == stays
    assert left_in(tmp_path / "state") == []


def test_what_is_no_entry_does_no_harm(tmp_path):
    box = BlackBox(str(tmp_path))
    own = tmp_path / "loghc"
    for name in ("loghc-state-empty", "loghc-state-torn", "other"):
        (own / name).mkdir(mode=0o700)
    (own / "loghc-state-torn" / "lock").touch()
    (own / "loghc-state-torn" / "run").write_bytes(b"\xff\0=\n\n=x")
    (own / "loghc-state-file").touch()
    (own / "loghc-state-link").symlink_to("/")
    assert box.claim("c") == []
    for path in own.iterdir():
        aged(path, 99 * 24 * 3600)
    clean(str(own))
    assert left_in(tmp_path) == [
        "loghc-state-empty",
        "loghc-state-file",
        "loghc-state-link",
        "other",
    ]


def test_a_state_directory_has_one_salt(tmp_path):
    assert BlackBox(str(tmp_path)).salt == BlackBox(str(tmp_path)).salt
    (tmp_path / "loghc" / "salt").write_bytes(b"torn")
    assert len(BlackBox(str(tmp_path)).salt) == 16


def test_a_run_directory_is_locked_while_its_watcher_lives(tmp_path):
    made = RunDirectory(str(tmp_path))
    assert not Directory(made.path).lock()
    made.close()
    assert Directory(made.path).lock()


def test_what_was_printed_is_told_too(receiver, program, tmp_path, state):
    name = program(
        """
        import os, time
        print(os.getpid(), flush=True)
        print("copied 7", flush=True)
        time.sleep(600)
        """
    )
    killed_together(receiver, (*RUN, *state, "--output", name), tmp_path)
    run(*RUN, *state, "true", cwd=tmp_path)
    late = receiver.wait(4, timeout=TIMEOUT)[1]
    assert late.event is Event.FAIL
    assert late.text.startswith("cut off: ")
    assert "\ncopied 7\n" in late.text
    assert left_in(tmp_path / "state") == []


def test_a_full_disk_keeps_no_success_from_being_told(receiver, tmp_path):
    if os.geteuid() or subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        pytest.skip("a small file system can't be mounted")
    (tmp_path / "state").mkdir()
    loghc = " ".join(map(shlex.quote, (*RUN, "--state", "state")))
    script = (
        "mount -t tmpfs -o size=1m none state || exit 77\n"
        f"{loghc} --drain 0.5 sh -c 'while ! ls state/loghc/*/end; do sleep 0.05; done; "
        "cat /dev/zero > state/fill; exit 0' 2>&1\n"
        f"touch told; while [ -e told ]; do sleep 0.05; done; rm state/fill\n{loghc} true\n"
    )
    receiver.always(503)
    process = started("unshare", "-m", "sh", "-c", script, cwd=tmp_path)
    wait_until((tmp_path / "told").exists, TIMEOUT)
    receiver.always(None)
    receiver.clear()
    (tmp_path / "told").unlink()
    process.communicate(timeout=TIMEOUT)
    late, *_ = receiver.wait(2, timeout=TIMEOUT)  # in half a second, a start may be superseded
    assert late.event is Event.SUCCESS
    assert "sent late" in late.text


@pytest.mark.slow
def test_a_late_end_says_when_it_came_and_not_when_it_was_kept(receiver, tmp_path):
    receiver.always(503)
    state = ("--state", "state", "--drain", "6")
    code = "from loguru import logger; logger.info('sync.start'); logger.info('sync.done')"
    run(*RUN, *state, "--markers-only", "-c", code, cwd=tmp_path)
    ended = receiver.requests[0].time.timestamp()
    receiver.always(None)
    receiver.clear()
    run(*RUN, *state, "true", cwd=tmp_path)
    late, *_ = receiver.wait(2, timeout=TIMEOUT)
    said = re.search(r"this happened at ([-0-9]+ [0-9:]+) UTC", late.text)[1]
    happened = datetime.datetime.fromisoformat(said + "+00:00").timestamp()
    assert happened - ended < 4


def test_a_run_directory_that_was_made_anew_is_still_an_entry(receiver, program, tmp_path, state):
    process = started(*RUN, *state, program(SLEEPER), cwd=tmp_path)
    pid = int(process.stdout.readline())
    receiver.wait(1, timeout=TIMEOUT)
    (directory,) = (tmp_path / "state").glob("loghc/loghc-run-*")
    shutil.rmtree(directory)
    wait_until((directory / "run").exists, TIMEOUT)
    process.kill()
    os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=TIMEOUT)
    wait_until_gone(pid)
    run(*RUN, *state, "true", cwd=tmp_path)
    assert receiver.wait(4, timeout=TIMEOUT)[1].event is Event.FAIL
