"""Programs from the package index, as they are, under `loghc run`.

All log with loguru and set it up anew, each in a way of its own. Two are among the development
tools, and are always run: creosote (finds unused dependencies) removes all handlers and adds its
own; nudebomb (strips tracks of videos) does so twice, adds a level of its own, and feeds all of the
standard library's logging, urllib3's lines among it, to loguru.

The others are run where `real_programs.py` has made environments for them, without loghc.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import struct
import sys
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from real_programs import environment, is_ready

from loghc.ping import Event
from loghc.testing import PingReceiver
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
    receiver.script(503, 503)  # its start is superseded, its end retried, and urllib3 logs that
    env = {"HOME": str(films)}
    args = ("-vvv", "-r", "-l", "eng", "Films")
    (films / "Films" / "heat.mkv").unlink()
    done = run(*RUN, "nudebomb", *args, cwd=films, env=env)
    assert done.returncode == 0
    assert "503" in done.stderr
    log = receiver.wait(1)[0].text
    assert "| INFO     | nudebomb" in log
    assert "urllib3" not in log
    assert receiver.url.rpartition("/")[2] not in log


# The others, in environments of their own


class Program(NamedTuple):
    """A program, and work for it that needs no network."""

    name: str
    command: tuple[str, ...]
    prepare: Callable[[Path], None]  # puts what it works on into an empty directory
    status: int
    workers: int = 0  # processes of a pool of its own that log, at least
    env: Mapping[str, str] = {}


def _pictures(directory: Path) -> None:
    (directory / "pictures").mkdir()
    for number in range(4):
        (directory / "pictures" / f"{number}.png").write_bytes(_png(number))
    (directory / "pictures" / "cut.png").write_bytes(_png(0)[:3000])
    with zipfile.ZipFile(directory / "pictures" / "book.cbz", "w") as book:
        book.writestr("page.png", _png(0))
        book.writestr("cut.png", _png(0)[:3000])


def _png(number: int, size: int = 64) -> bytes:
    """A picture that is not compressed."""
    rows = (
        bytes([0, *(x * y * (number + 1) % 251 for x in range(size) for _ in "rgb")])
        for y in range(size)
    )
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0),
        b"IDAT": zlib.compress(b"".join(rows), 0),
        b"IEND": b"",
    }
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks.items()
    )


def _comics(directory: Path) -> None:
    (directory / "comics").mkdir()
    for number in range(4):
        with zipfile.ZipFile(directory / "comics" / f"Comic {number:03} (2020).cbz", "w") as comic:
            comic.writestr("page.png", _png(number))
            end = "<broken" if number % 2 else f"<Number>{number}</Number></ComicInfo>"
            comic.writestr("ComicInfo.xml", f"<ComicInfo><Series>Comic</Series>{end}")
    (directory / "comics" / "broken.cbz").write_bytes(b"PK\3\4nothing")
    (directory / "read.py").write_text(
        "import multiprocessing, pathlib, sys\n"
        "from comicbox.process import process_files\n"
        "from loguru import logger\n"
        "if __name__ == '__main__':\n"
        "    multiprocessing.set_start_method(sys.argv[1])\n"
        "    logger.info('reading')\n"
        "    comics = sorted(pathlib.Path('comics').iterdir())\n"
        "    logging = {'level': 'DEBUG', 'sink': 'stderr'}\n"
        "    read = process_files(comics, max_workers=2, worker_log_config=logging)\n"
        "    for path in sorted(read):\n"
        "        logger.info('read {}', path)\n"
    )


def _feeds(directory: Path) -> None:
    (directory / "config.yml").write_text(
        "tasks:\n"
        "  shows:\n"
        "    mock:\n"
        "      - {title: 'Some.Show.S01E01.720p', url: 'http://127.0.0.1:9/a.torrent'}\n"
        "      - {title: 'Nothing', url: 'http://127.0.0.1:9/b.torrent'}\n"
        "    series: [Some Show]\n"
        "    mock_output: yes\n"
        "  broken:\n"
        "    rss: http://127.0.0.1:9/feed.xml\n"
        "    accept_all: yes\n"
    )


def _project(directory: Path) -> None:
    (directory / "app.py").write_text("import loguru\n")
    (directory / "pyproject.toml").write_text(
        '[project]\nname = "app"\nversion = "1"\ndependencies = ["loguru", "tidy-thing"]\n'
    )


def _films(directory: Path) -> None:
    (directory / "Films").mkdir()
    (directory / "Films" / "heat.mkv").touch()


def _requests(directory: Path) -> None:
    (directory / "case.yml").write_text(
        "config: {name: a request that fails, base_url: 'http://127.0.0.1:9'}\n"
        "teststeps:\n"
        "  - name: ask\n"
        "    request: {method: GET, url: /x}\n"
        "    validate: [{eq: [status_code, 200]}]\n"
    )


PROGRAMS = [
    Program("picopt", ("picopt", "-rvvv", "-x", "CBZ", "pictures"), _pictures, 0, workers=1),
    Program("comicbox", ("comicbox", "-r", "-j", "3", "-p", "comics"), _comics, 1),
    Program("comicbox", ("python", "read.py", "fork"), _comics, 0, workers=1),
    Program("comicbox", ("python", "read.py", "spawn"), _comics, 0, workers=1),
    Program("flexget", ("flexget", "-c", "config.yml", "execute"), _feeds, 0),
    Program("creosote", ("creosote", "-p", "app.py", "--venv", "."), _project, 1),
    Program("nudebomb", ("nudebomb", "-b", "no-mkvmerge", "-r", "-l", "eng", "Films"), _films, 1),
    Program("httprunner", ("hrun", "case.yml"), _requests, 1, env={"DISABLE_GA": "true"}),
]

# Notes each record that one of a program's handlers takes: what is to be in the body. It knows
# nothing of loghc, and is at work in a run without it.
NOTING = """
import json, os, threading
latest = threading.local()
try:
    from loguru._handler import Handler
except ImportError:
    pass
else:
    emit = Handler.emit
    def noting(handler, record, *args, **kwargs):
        taken = record["level"].no >= handler._levelno
        if taken and getattr(latest, "record", None) is not record:  # by the first that takes it
            latest.record = record
            with open(os.environ["NOTES"], "a") as notes:
                note = os.getpid(), record["level"].name, record["message"]
                notes.write(json.dumps(note) + "\\n")
        return emit(handler, record, *args, **kwargs)
    Handler.emit = noting
"""

# What is different in any two runs.
VARYING = re.compile(
    r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d([.,]\d+)?"
    r"|0x[0-9a-f]+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+\.\d{2,}"
)
RECORD = re.compile(r"(?m)^[-\d]{10} [:.\d]{12} \| (\w+) +\| \S+:\d+ - (.*)$")


def comparable(text: str) -> list[str]:
    """Lines without times, and in an order that does not depend on which worker is first."""
    return sorted(VARYING.sub("...", text).split("\n"))


def counted(records: list[tuple[str, str]]) -> Counter[tuple[str, str]]:
    """How often each record was logged, by its level and its first line."""
    return Counter((level, VARYING.sub("...", message)) for level, message in records)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: " ".join(program.command[:3]))
def test_a_program_does_the_same_and_each_of_its_lines_arrives(
    receiver: PingReceiver, tmp_path: Path, program: Program
) -> None:
    if not is_ready(program.name):
        pytest.skip("python tests/process/real_programs.py makes its environment")
    receiver.body_limit = None
    home, notes, noting = tmp_path / "home", tmp_path / "notes", tmp_path / "noting"
    noting.mkdir()
    (noting / "sitecustomize.py").write_text(NOTING)
    scripts = environment(program.name) / "bin"
    command = (scripts / program.command[0], *program.command[1:])

    def once(*before: str, **env: str):
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        program.prepare(home)
        path = f"{scripts}{os.pathsep}{os.environ['PATH']}"
        own = {"HOME": str(home), "PATH": path, "COLUMNS": "200", **program.env}
        return run(*before, *command, cwd=home, env={**own, **env}, timeout=180)

    assert run(scripts / "python", "-c", "import loghc", cwd=tmp_path).returncode == 1
    alone = once()
    watched = once(*RUN, "--limit", "1000000")
    noted = once(NOTES=str(notes), PYTHONPATH=str(noting))

    assert watched.returncode == alone.returncode == noted.returncode == program.status
    assert comparable(watched.stdout) == comparable(alone.stdout)
    assert comparable(watched.stderr) == comparable(alone.stderr)
    records = [json.loads(line) for line in notes.read_text().splitlines()]
    assert len({process for process, _, _ in records}) > program.workers
    arrived = [record.groups() for record in RECORD.finditer(receiver.wait(2)[1].text)]
    logged = [(level, message.partition("\n")[0]) for _, level, message in records]
    assert counted(arrived) == counted(logged)
