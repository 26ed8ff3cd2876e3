"""What lies outside of the process is used only if it is ours, and is what it should be."""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
from pathlib import Path

import pytest
from test_black_box import SLEEPER, killed_together

from conftest import complaints
from loghc.ping import Event
from loghc.version import __version__
from processes import RUN, TIMEOUT, needs_posix, run, started
from recorded import BOOTSTRAP

pytestmark = needs_posix

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="root alone gives files to others")
NOBODY = 65534
LOGS = "from loguru import logger\nlogger.info('Password is hunter2')\nprint('done')\n"


def given_away(path: Path) -> None:
    """Make a directory and what is in it another user's."""
    for each in (path, *path.iterdir()):
        os.chown(each, NOBODY, NOBODY, follow_symlinks=False)


def _delete(path: Path) -> None:
    if path.is_symlink():
        path.unlink()
    else:
        shutil.rmtree(path)


# What a Python says when it arrives


def a_pipe_of_another(directory: Path) -> None:
    os.mkfifo(directory / "channel")
    os.chown(directory / "channel", NOBODY, NOBODY)


def a_file(directory: Path) -> None:
    (directory / "channel").touch()


def a_link(directory: Path) -> None:
    os.mkfifo(directory.parent / "pipe")
    (directory / "channel").symlink_to(directory.parent / "pipe")


def a_directory_of_another(directory: Path) -> None:
    os.mkfifo(directory / "channel")
    os.chown(directory, NOBODY, NOBODY)


def an_open_directory(directory: Path) -> None:
    os.mkfifo(directory / "channel")
    directory.chmod(0o755)


def a_linked_directory(directory: Path) -> None:
    os.mkfifo(directory / "channel")
    directory.rename(directory.with_name("elsewhere"))
    directory.symlink_to(directory.with_name("elsewhere"))


def nothing_wrong(directory: Path) -> None:
    os.mkfifo(directory / "channel")


@needs_root
@pytest.mark.parametrize(
    ("prepare", "arrives"),
    [
        (nothing_wrong, True),
        (a_pipe_of_another, False),
        (a_file, False),
        (a_link, False),
        (a_directory_of_another, False),
        (an_open_directory, False),
        (a_linked_directory, False),
    ],
)
def test_a_python_says_that_it_arrives_to_its_watcher_alone(tmp_path, prepare, arrives):
    directory = tmp_path / "run"
    directory.mkdir(0o700)
    prepare(directory)
    channel = os.open(directory / "channel", os.O_RDWR | os.O_NONBLOCK)
    env = {"LOGHC_RUN": str(directory), "PYTHONPATH": str(BOOTSTRAP)}
    done = run(sys.executable, "-c", "print('done')", cwd=tmp_path, env=env)
    assert (done.stdout, done.stderr) == ("done\n", "")
    try:
        said = os.read(channel, 100)
    except BlockingIOError:
        said = b""
    os.close(channel)
    assert said.startswith(b"loghc2\t") == arrives


# Run directories, to which an entry points


@pytest.fixture
def dead_run(receiver, program, tmp_path):
    """The path of a run directory in memory whose watcher and program were killed, and `env`."""
    env = {"XDG_STATE_HOME": str(tmp_path / "state")}
    killed_together(receiver, (*RUN, program(SLEEPER)), tmp_path, env)
    (entry,) = tmp_path.glob("state/loghc/*/run")
    fields = dict(line.partition("=")[::2] for line in entry.read_text().splitlines())
    return Path(fields["rings"]), env


def test_a_link_in_the_place_of_a_dead_runs_directory_is_not_followed(receiver, tmp_path, dead_run):
    path, env = dead_run
    precious = path.with_name(f"precious-{os.urandom(8).hex()}")
    path.rename(precious)  # ours, complete, and of the very same inode
    (precious / "thesis").write_text("years of work")
    path.symlink_to(precious)
    try:
        run(*RUN, "true", cwd=tmp_path, env=env)
        _, late, *_ = receiver.wait(4, timeout=TIMEOUT)
        assert (late.event, late.text.count(" - last\n")) == (Event.FAIL, 0)
        assert (precious / "thesis").read_text() == "years of work"
        assert list(precious.glob("*.ring"))
    finally:
        path.unlink()
        shutil.rmtree(precious)


@pytest.mark.parametrize("whose", ["ours", pytest.param("another user's", marks=needs_root)])
def test_a_directory_made_later_in_the_place_of_a_dead_runs_is_not_read(
    receiver, tmp_path, dead_run, whose
):
    path, env = dead_run
    original = path.with_name(f"original-{os.urandom(8).hex()}")
    path.rename(original)
    path.mkdir(mode=0o700)
    for each in original.iterdir():
        if each.is_file():
            shutil.copy(each, path)
    shutil.rmtree(original)
    if whose != "ours":
        given_away(path)
    files = sorted(path.iterdir())
    try:
        run(*RUN, "true", cwd=tmp_path, env=env)
        _, late, *_ = receiver.wait(4, timeout=TIMEOUT)
        assert late.text.startswith("cut off: loghc was killed in this run")
        assert " - last\n" not in late.text
        assert sorted(path.iterdir()) == files
    finally:
        _delete(path)


@needs_root
def test_directories_of_others_in_memory_are_not_cleaned_up(receiver, tmp_path):
    for make in (Path.mkdir, lambda path: path.symlink_to(tmp_path / "precious")):
        path = Path(f"/dev/shm/loghc-run-{os.urandom(8).hex()}")
        (tmp_path / "precious").mkdir(exist_ok=True)
        (tmp_path / "precious" / "lock").touch()
        make(path)
        (path / "lock").touch()
        os.utime(path, (1, 1))
        if not path.is_symlink():
            given_away(path)
        try:
            assert run(*RUN, "true", cwd=tmp_path).returncode == 0
            assert (path / "lock").exists()
        finally:
            _delete(path)


# A LOGHC_RUN that is left over


@pytest.fixture
def left_over(tmp_path):
    """A run directory's path, and the environment of a program that outlived its run."""
    path = tmp_path / "left-over"
    path.mkdir(mode=0o700)
    return path, {"PYTHONPATH": str(BOOTSTRAP), "LOGHC_RUN": str(path)}


def test_a_named_pipe_as_configuration_hangs_no_import(left_over, tmp_path):
    path, env = left_over
    os.mkfifo(path / "config")
    assert run(sys.executable, "-c", LOGS, cwd=tmp_path, env=env, timeout=20).stdout == "done\n"


@needs_root
@pytest.mark.parametrize("what", ["the directory", "its parts"])
def test_what_another_user_asks_for_is_not_given_away(left_over, tmp_path, what):
    path, env = left_over
    (path / "config").write_text("version=0\nmarker=log Password\n")
    os.mkfifo(path / "channel")
    own = os.open(path / "channel", os.O_RDWR | os.O_NONBLOCK)
    try:
        run(sys.executable, "-c", LOGS, cwd=tmp_path, env=env)
        assert b"hunter2" in os.read(own, 1 << 16)  # where it is ours
        given_away(path)
        if what != "the directory":
            os.chown(path, 0, 0)
        before = sorted(path.iterdir())
        assert run(sys.executable, "-c", LOGS, cwd=tmp_path, env=env).stdout == "done\n"
        assert select.select([own], [], [], 0)[0] == []
        assert sorted(path.iterdir()) == before
    finally:
        os.close(own)


def test_a_directory_that_others_can_enter_is_not_written_to(left_over, tmp_path):
    path, env = left_over
    (path / "config").write_text("version=0\n")
    path.chmod(0o777)
    assert run(sys.executable, "-c", LOGS, cwd=tmp_path, env=env).stdout == "done\n"
    assert [each.name for each in path.iterdir()] == ["config"]


def test_no_configuration_reserves_more_than_128_mib(left_over, tmp_path):
    path, env = left_over
    (path / "config").write_text("version=0\ncapacity=3000000000\n")
    run(sys.executable, "-c", LOGS, cwd=tmp_path, env=env)
    sizes = [ring.stat().st_size for ring in path.glob("*.ring")]
    assert len(sizes) == 1
    assert sizes[0] < 129 * 2**20


@needs_root
def test_a_sink_hands_nothing_over_to_another_user(receiver, left_over, program, tmp_path):
    path, env = left_over
    fields = f"version={__version__}\nhand_over=1\nmarker=success sync.done\nsalt=00\nurl_hash=0\n"
    (path / "config").write_text(fields)
    os.mkfifo(path / "channel")
    given_away(path)
    name = program(
        """
        from loguru import logger
        from loghc import HealthSink
        logger.add(HealthSink())
        logger.info("sync.done")
        """
    )
    assert run(sys.executable, name, cwd=tmp_path, env=env).returncode == 0
    assert [ping.event for ping in receiver.wait(1, timeout=TIMEOUT)] == [Event.SUCCESS]


# State directories


@pytest.mark.parametrize("name", ["salt", "loghc", "loghc/salt"])
@pytest.mark.parametrize("what", ["a named pipe", "a link to /dev/zero"])
def test_a_state_directory_that_others_can_write_hangs_nothing(receiver, tmp_path, name, what):
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(0o1777)
    if name == "loghc/salt":
        (state / "loghc").mkdir(mode=0o700)
    if what == "a named pipe":
        os.mkfifo(state / name)
    else:
        (state / name).symlink_to("/dev/zero")
    process = started(*RUN, "--state", str(state), "sleep", "600", cwd=tmp_path)
    receiver.wait(1, timeout=TIMEOUT)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=20)
    assert process.returncode == -signal.SIGTERM
    assert receiver.wait(2, timeout=TIMEOUT)[1].exit_status == 143
    told = [line for line in complaints(err) if "can't be used" in line]
    assert bool(told) == (name != "salt")


@needs_root
def test_another_users_directory_in_a_state_directory_is_said(receiver, tmp_path):
    own = tmp_path / "state" / "loghc"
    own.mkdir(parents=True, mode=0o700)
    (own / "salt").write_bytes(b"x" * 16)
    given_away(own)
    done = run(*RUN, "--state", str(tmp_path / "state"), "true", cwd=tmp_path)
    line = f"the state directory {str(tmp_path / 'state')!r} can't be used: "
    assert complaints(done.stderr) == [f"loghc: {line}it belongs to another user."]
    assert done.returncode == 0
    assert [each.name for each in own.iterdir()] == ["salt"]
    assert [ping.event for ping in receiver.wait(2, timeout=TIMEOUT)][1] is Event.SUCCESS
