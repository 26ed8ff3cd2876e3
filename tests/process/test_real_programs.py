"""Programs from the package index, as they are, under `loghc run`.

Both log with loguru and set it up anew: creosote (finds unused dependencies) removes all handlers
and adds its own; nudebomb (strips tracks of videos) does so twice, adds a level of its own, and
feeds all of the standard library's logging, urllib3's lines among it, to loguru.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from loghc.ping import Event
from processes import RUN, run

pytestmark = pytest.mark.slow


def alone_and_watched(name, *args, cwd, env=None, options=()):
    """What a console script does by itself, and what it does under loghc."""
    alone = run(Path(sys.executable).with_name(name), *args, cwd=cwd, env=env)
    watched = run(*RUN, *options, name, *args, cwd=cwd, env=env)
    assert (watched.returncode, watched.stdout) == (alone.returncode, alone.stdout)
    assert watched.stderr == alone.stderr
    return alone


@pytest.fixture
def project(tmp_path):
    """A project that depends on more than it imports."""
    (tmp_path / "app.py").write_text("import loguru\n")
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "app"\nversion = "1"\ndependencies = ["loguru", "tidy-thing"]\n'
    )
    return tmp_path


def test_creosote_fails_and_its_log_says_why(receiver, project):
    args = ("-p", "app.py", "-v", sys.prefix)
    alone = alone_and_watched("creosote", *args, cwd=project, options=["--level", "DEBUG"])
    assert alone.returncode == 1
    start, fail = receiver.wait(2)
    assert (start.event, fail.event, fail.exit_status) == (Event.START, Event.FAIL, 1)
    assert start.run_id == fail.run_id
    assert fail.text.endswith("Unused dependencies found: tidy-thing\n")
    assert "| DEBUG    | creosote." in fail.text  # which its own handler doesn't show


def test_creosote_succeeds(receiver, project):
    args = ("-p", "app.py", "-v", sys.prefix, "--exclude-deps", "tidy-thing")
    assert alone_and_watched("creosote", *args, cwd=project).returncode == 0
    assert [ping.event for ping in receiver.wait(2)] == [Event.START, Event.SUCCESS]
    assert "No unused dependencies found" in receiver.pings[1].text


def test_creosote_with_nearly_no_log_of_its_own_is_watched_too(receiver, project):
    args = ("-f", "porcelain", "-p", "app.py", "-v", sys.prefix)
    alone = alone_and_watched("creosote", *args, cwd=project, options=["--level", "DEBUG"])
    assert (alone.stdout, alone.stderr) == ("tidy-thing\n", "")
    assert "Found dependencies in pyproject.toml" in receiver.wait(2)[1].text


def test_a_message_of_creosotes_triggers_a_ping(receiver, project):
    marker = "Found dependencies in pyproject.toml=log"
    run(
        *RUN,
        "--marker",
        marker,
        "creosote",
        *("-p", "app.py", "-v", sys.prefix),
        cwd=project,
    )
    assert [ping.event for ping in receiver.wait(3)] == [Event.START, Event.LOG, Event.FAIL]


needs_nudebomb = pytest.mark.skipif(
    importlib.util.find_spec("nudebomb") is None, reason="nudebomb needs Python 3.11"
)


@pytest.fixture
def films(tmp_path):
    """A film that can't be read, and nothing installed that could read one."""
    (tmp_path / "Films").mkdir()
    (tmp_path / "Films" / "heat.mkv").touch()
    return tmp_path


@needs_nudebomb
def test_nudebomb_fails_and_its_log_says_why(receiver, films):
    env = {"HOME": str(films), "COLUMNS": "100"}
    args = ("-b", "no-such-mkvmerge", "-r", "-l", "eng", "Films")
    alone = alone_and_watched("nudebomb", *args, cwd=films, env=env)
    assert alone.returncode == 1
    start, fail = receiver.wait(2)
    assert (start.event, fail.event, fail.exit_status) == (Event.START, Event.FAIL, 1)
    assert "mkvmerge identification failed for Films/heat.mkv" in fail.text


@needs_nudebomb
def test_nudebomb_which_logs_what_urllib3_logs_survives_a_service_in_trouble(receiver, films):
    receiver.script(503, 503)  # its start is retried, and urllib3 logs that
    env = {"HOME": str(films)}
    args = ("-vvv", "-r", "-l", "eng", "Films")
    (films / "Films" / "heat.mkv").unlink()
    done = run(*RUN, "nudebomb", *args, cwd=films, env=env)
    assert done.returncode == 0
    assert "503" in done.stderr
    log = receiver.wait(2)[1].text
    assert "| INFO     | nudebomb" in log
    assert "urllib3" not in log
    assert receiver.url.rpartition("/")[2] not in log
