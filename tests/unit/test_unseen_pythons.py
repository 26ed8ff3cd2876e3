"""Which Pythons of a run were not seen, and what is said of them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from loghc.entry.directory import Directory
from loghc.watch import sightings, unseen
from loghc.watch.sightings import sight
from loghc.watch.unseen import Pythons, read_arrivals
from loghc.watch.why_unseen import NOT_KNOWN, Unseen, describe, likely_cause, name_of_python
from processes import needs_posix
from waiting import wait_until

pytestmark = needs_posix
BOOT = "/x/loghc/inside/bootstrap"
RUN = "/run/1"
SEEN = {"LOGHC_RUN": RUN, "PYTHONPATH": BOOT}
REPLACED = "its PYTHONPATH was replaced"


@contextmanager
def python(*options: str, env: dict[str, str] | None = None) -> Iterator[int]:
    """A Python that waits; its process."""
    code = "import sys; print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, *options, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=SEEN if env is None else env,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        assert process.stdin is not None
        process.stdin.close()


def pythons() -> Pythons:
    return Pythons(BOOT, RUN)


def causes(found: Pythons) -> list[str]:
    return [each.cause for each in found.unseen()]


@pytest.mark.parametrize(
    ("env", "cause"),
    [
        (SEEN, NOT_KNOWN),
        ({**SEEN, "PYTHONPATH": "/a"}, REPLACED),
        ({"LOGHC_RUN": RUN}, REPLACED),
        ({"PYTHONPATH": BOOT}, "its environment was replaced, as by env -i"),
    ],
    ids=str,
)
def test_a_python_that_is_examined_is_unseen_with_its_cause_until_it_arrives(env, cause):
    found = pythons()
    with python(env=env) as pid:
        found.examine(pid)
        assert causes(found) == []  # it may still be starting
        image = sight(pid).image
    assert causes(found) == [cause]
    (one,) = found.unseen()
    assert (one.name, one.pid) == (Path(sys.executable).name, pid)
    found.arrived(pid + 1, b"1")
    found.arrived(pid, b"no number")
    assert causes(found) == [cause]  # another program in the process
    found.arrived(pid, b"%d" % image)
    assert causes(found) == []


def test_a_python_that_has_a_ring_is_seen():
    found = pythons()
    with python() as pid:
        found.examine(pid)
    assert causes(found) == [NOT_KNOWN]
    found.recorded(pid + 1)
    assert causes(found) == [NOT_KNOWN]
    found.recorded(pid)
    assert causes(found) == []


def test_where_the_directory_was_lost_that_may_be_why():
    found = pythons()
    with python() as pid, python(env={"LOGHC_RUN": RUN}) as other:
        found.examine(pid)
        found.examine(other)
    found.directory_lost = True
    assert causes(found) == ["perhaps it started when the run directory was deleted", REPLACED]


def test_of_what_lives_only_the_young_may_still_arrive(monkeypatch):
    found = pythons()
    with python() as pid:
        found.examine(pid)
        assert causes(found) == []
        monkeypatch.setattr(unseen, "_YOUNG_S", 0.0)
        assert causes(found) == [NOT_KNOWN]


@pytest.mark.parametrize("env", [{**SEEN, "LOGHC_RUN": "/run/2"}, {"PYTHONPATH": BOOT}], ids=str)
def test_the_program_of_another_watcher_is_its_own_to_see(env):
    found = pythons()
    with python(env=env) as pid:
        found.examine(pid)
    assert len(causes(found)) == (env.get("LOGHC_RUN") is None)


@pytest.mark.parametrize(
    ("command", "counts"),
    [(["sleep", "60"], False), ([sys.executable, "-c", "input()"], True)],
    ids=["sleep", "python"],
)
def test_what_is_no_python_is_not_examined(command, counts):
    found = pythons()
    with subprocess.Popen(command, stdin=-1, env=SEEN) as process:
        wait_until(lambda: sightings.arguments_of(process.pid) == command)
        found.examine(process.pid)
        process.kill()
    assert bool(causes(found)) is counts
    found.examine(process.pid)  # it is gone


def ended(*words: str) -> tuple[int, Callable[[], object]]:
    """A process that has ended, and is not reaped yet."""
    process = subprocess.Popen([*words])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    return process.pid, process.wait


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ([sys.executable, "-c", ""], "something kept the recorder out"),
        ([sys.executable, "-I", "-c", ""], "-I makes it ignore PYTHONPATH"),
        ([sys.executable, "-V"], None),
        (["true"], None),
    ],
    ids=str,
)
def test_what_is_known_of_a_program_that_ended_before_it_was_examined(words, cause):
    found = pythons()
    pid, reap = ended(*words)
    found.examine(pid)  # a zombie tells little
    assert causes(found) == []
    found.examine_end(pid, words)
    reap()
    assert causes(found) == ([] if cause is None else [cause])
    found.arrived(pid, b"1")
    assert causes(found) == []
    found.examine_end(pid, words)  # gone
    assert causes(found) == []


def test_what_was_examined_while_it_lived_is_not_examined_again_at_its_end():
    found = pythons()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1, env=SEEN) as process:
        wait_until(lambda: sightings.arguments_of(process.pid)[:1] == [sys.executable])
        found.examine(process.pid)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        found.examine_end(process.pid, [sys.executable])
    assert causes(found) == [NOT_KNOWN]


def test_processes_below_the_program_are_found():
    found = pythons()
    found.start(os.getpid())
    with python() as pid:
        wait_until(lambda: any(own == pid for own, _ in list(found._found)))
    found.stop()
    assert pid in [each.pid for each in found.unseen()]  # and perhaps what other tests started


def test_what_is_remembered_of_pythons_is_bounded(monkeypatch):
    monkeypatch.setattr(unseen, "_MAX_REMEMBERED", 3)
    found = pythons()
    for pid in range(10):
        found.arrived(pid, b"%d" % pid)
        found.recorded(pid)
    assert list(found._arrived) == list(found._recorded) == list(found._seen) == [7, 8, 9]
    found.arrived(10, b"0")  # unknown
    found.arrived(11, b"1" * 21)
    assert list(found._arrived) == [9, 10, 11]
    assert list(found._seen) == [7, 8, 9]


def test_what_pythons_left_word_of_is_read(tmp_path):
    for name in ("12.python", "x.python", "13.ring", "14", f"{'1' * 21}.python"):
        (tmp_path / name).symlink_to("99")
    (tmp_path / "15.python").touch()  # no link
    directory = Directory(str(tmp_path))
    assert read_arrivals(directory) == [(12, b"99")]
    directory.close()


# What is said


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ([], "kernel"),
        (["/opt/app", "x.py"], "kernel"),
        (["/usr/bin/python3", "/srv/app.py", "--token=x"], "python3 app.py"),
        (["python3", "-u", "app.py"], "python3 app.py"),
        (["python3", "-m", "app", "secret"], "python3"),
        (["python3", "-c", "secret"], "python3"),
        (["python3", "-um", "secret"], "python3"),
        (["python3", "-", "secret"], "python3"),
        (["python3"], "python3"),
    ],
    ids=str,
)
def test_a_python_is_named_with_its_script_and_no_argument(words, name):
    assert name_of_python("kernel", words) == name


@pytest.mark.parametrize(
    ("word", "named"),
    [
        ("python", True), ("/a/python3", True), ("python3.13t", True), ("pypy3", True),
        ("python3-dbg", True), ("pythonic", False), ("mypython", False), ("python3/x", False),
    ],
)  # fmt: skip
def test_which_names_are_pythons(word, named):
    assert sightings.is_python_name(word) is named


def test_the_likely_cause(tmp_path, monkeypatch):
    me = os.getpid()
    boot = os.fsencode(BOOT)
    assert likely_cause(me, [], {}, boot, frozen=True).startswith("a frozen program")
    (tmp_path / "sitecustomize.py").touch()
    for folders, cause in (
        (f"{tmp_path}:{BOOT}", f"another sitecustomize comes first, in {tmp_path}"),
        (f"{BOOT}:{tmp_path}", NOT_KNOWN),
        (f"{tmp_path}/none:{BOOT}", NOT_KNOWN),
    ):
        environment = {b"LOGHC_RUN": b"/run/1", b"PYTHONPATH": folders.encode()}
        assert likely_cause(me, ["python3"], environment, boot) == cause
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    if os.getuid() == 0:
        advice = "it ran as user root; put loghc run inside su, not around it"
        assert likely_cause(me, ["python3", "-I"]) == advice
    assert "it ran as user" in likely_cause(me, [])
    assert likely_cause(2**22 + 1, []) == "something kept the recorder out"


def test_pythons_of_one_kind_are_counted_and_three_kinds_named():
    many = [Unseen("a", pid, "x", 0.0) for pid in (1, 2, 3)]
    assert describe(many) == ["loghc: the log of a (1) and 2 more was not seen: x"]
    kinds = [Unseen("b", 4, "y", 0.0), *many, Unseen("a", 5, "z", 0.0)]
    assert describe(kinds) == [
        "loghc: the log of a (1) and 2 more was not seen: x",
        "loghc: the log of b (4) was not seen: y",
        "loghc: the log of a (5) was not seen: z",
    ]
    assert describe([*kinds, *(Unseen(name, 9, "q", 0.0) for name in "cd")])[3:] == [
        "loghc: nor were the logs of 2 more programs"
    ]
    assert describe([]) == []


# What /proc shows


def test_what_is_seen_of_a_process():
    me = os.getpid()
    mine = sight(me)
    assert mine is not None
    assert (mine.pid, mine.parent, mine.zombie) == (me, os.getppid(), False)
    assert mine.name == Path("/proc/self/comm").read_text().strip()
    assert mine.image > 0
    assert sight(2**22 + 1) is None
    assert sightings.user_of(me) == os.geteuid()
    assert sightings.user_of(2**22 + 1) is None
    assert not sightings.is_thread(me)
    assert sightings.environment_of(me)[b"PATH"]
    assert sightings.environment_of(2**22 + 1) is None
    assert sightings.arguments_of(2**22 + 1) == []
    assert sightings.executable_of(me) == os.path.realpath(sys.executable)
    assert sightings.executable_of(2**22 + 1) == ""
    assert sightings.children_of(2**22 + 1) == []
    assert not sightings.is_frozen(me)
    assert not sightings.is_frozen(2**22 + 1)
    assert sightings.newest_pid().isdigit()


def test_a_zombie_and_a_thread_are_told_apart_from_a_process():
    pid, reap = ended("true")
    assert sight(pid).zombie
    assert pid in sightings.children_of(os.getpid())
    reap()
    assert sight(pid) is None
    go, ids = threading.Event(), []
    thread = threading.Thread(target=lambda: (ids.append(threading.get_native_id()), go.wait()))
    thread.start()
    wait_until(lambda: ids)
    assert sightings.is_thread(ids[0])
    go.set()
    thread.join()
