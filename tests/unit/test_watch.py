"""The watcher's parts that need no process: verdicts, commands, pairing, the log put together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loghc.entry.directory import Directory
from loghc.log.masking import Masker
from loghc.log.rendering import Renderer
from loghc.log.tail import CONTEXT
from loghc.ping import Event
from loghc.service.url import PingUrl

if os.name != "posix":
    pytest.skip("the watcher needs a POSIX system", allow_module_level=True)

from loghc.death.verdict import judge
from loghc.entry.collector import Collector, Facts
from loghc.portable.fields import parse_fields
from loghc.portable.ring import open_ring
from loghc.service.identity import identity
from loghc.watch.command import resolve
from loghc.watch.footer import left_running, why_no_log
from loghc.watch.processes import name_of, wait_for
from loghc.watch.run_directory import RunDirectory
from loghc.watch.signals import Caught


def test_who_ends_soon_is_not_left_running():
    helper = subprocess.Popen(["sleep", "0.03"])
    assert wait_for([helper.pid, os.getpid()], 0.0) == [helper.pid, os.getpid()]
    assert wait_for([helper.pid], 30.0) == []
    helper.wait()


# Verdicts

AS_AFTER_KILL = "exit status 137, as after SIGKILL"


@pytest.mark.parametrize(
    ("wait_status", "ok", "failures", "event", "exit_status", "death"),
    [
        (0, (), (), Event.SUCCESS, None, ""),
        (3 << 8, (), (), Event.FAIL, 3, "exit status 3"),
        (3 << 8, (3,), (), Event.SUCCESS, None, "exit status 3"),
        (15, (143,), (), Event.SUCCESS, None, "ended by SIGTERM"),
        (0, (), ("why",), Event.FAIL, None, ""),
        (3 << 8, (3,), ("why",), Event.FAIL, None, "exit status 3"),
        (3 << 8, (), ("why",), Event.FAIL, 3, "exit status 3"),
        (9, (), (), Event.FAIL, 137, "killed by SIGKILL; perhaps out of memory"),
        (15, (), (), Event.FAIL, 143, "ended by SIGTERM"),
        (11 | 0x80, (), (), Event.FAIL, 139, "killed by SIGSEGV: a crash in native code"),
        (50, (), (), Event.FAIL, 178, "ended by signal 50"),
        (137 << 8, (), (), Event.FAIL, 137, f"{AS_AFTER_KILL}; perhaps out of memory"),
        (143 << 8, (), (), Event.FAIL, 143, "exit status 143, as after SIGTERM"),
        (129 << 8, (), (), Event.FAIL, 129, "exit status 129, as after SIGHUP"),
        (193 << 8, (), (), Event.FAIL, 193, "exit status 193"),
        (255 << 8, (), (), Event.FAIL, 255, "exit status 255"),
        *(
            (number, (), (), Event.FAIL, 128 + number,
             f"killed by {number.name}: a crash in native code")
            for number in (signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP,
                           signal.SIGSYS)
        ),
    ],
)  # fmt: skip
def test_a_verdict(wait_status, ok, failures, event, exit_status, death):
    verdict = judge(wait_status, dict.fromkeys(ok, "success"), failures, "; perhaps out of memory")
    assert (verdict.event, verdict.exit_status, verdict.death) == (event, exit_status, death)
    lines = [f"loghc: {death}, a success (--ok-status)"] if event is Event.SUCCESS and ok else []
    assert verdict.lines == [*failures, *lines]


# What is said after the log


@pytest.mark.parametrize(
    ("lost", "said"), [(0, []), (1234, ["loghc: 1,234 records could not be kept"])]
)
def test_records_that_could_not_be_kept_are_counted(lost, said):
    facts = Facts()
    facts.lost, facts.records = lost, 1
    assert why_no_log(facts, [], [], printed=False) == said


@pytest.mark.parametrize(("left", "more"), [(1, ""), (5, ""), (6, " and 1 more")])
def test_of_what_is_left_running_five_processes_are_named(left, more):
    named = ", ".join([f"{name_of(os.getpid())} ({os.getpid()})"] * min(left, 5))
    (line,) = left_running([os.getpid()] * left)
    assert line == f"loghc: still running, and no longer watched: {named}{more}"
    assert left_running([]) == []


# Commands


@pytest.mark.parametrize(
    ("words", "isolated"),
    [
        (["python3", "app.py", "-I"], ""),
        (["python3", "-I", "app.py"], "-I"),
        (["/usr/bin/python3", "-sE", "-m", "app"], "-E"),
        (["python3", "-m", "app", "-S"], ""),
        (["python3", "-mS"], ""),
        (["python3", "-W", "error", "-S", "x.py"], "-S"),
        (["python3", "-Xdev", "-I"], "-I"),
        (["python3", "-X", "-I", "app.py"], ""),
        (["python3", "--", "-I"], ""),
        (["python3"], ""),
        (["bash", "-I"], ""),
    ],
    ids=" ".join,
)
def test_a_python_that_ignores_pythonpath_is_recognised(words, isolated):
    assert resolve(words).isolated == isolated


def test_files_for_python_and_others(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    for name in ("tool", "tool.py", "both.py", "app"):
        (tmp_path / "bin" / name).touch()
    (tmp_path / "both.py").touch()
    (tmp_path / "app").mkdir()
    python = [sys.executable]
    assert resolve(["-c", "x"]).candidates == python
    assert resolve(["both.py"]).argv == [sys.executable, "both.py"]
    missing = resolve(["missing.py"])
    assert (missing.argv, missing.candidates) == (["missing.py"], [])
    assert resolve(["tool.py"]).argv == ["tool.py"]
    assert resolve(["tool"]).candidates == [str(tmp_path / "bin" / "tool")]
    assert resolve(["app"]).argv == ["app"]
    assert resolve(["./app"]).argv == [sys.executable, "./app"]
    assert resolve(["./app"], "/usr/bin/python3").argv == ["/usr/bin/python3", "./app"]
    assert resolve(["app.py"], "python9").candidates == []
    assert resolve([""]).candidates == []


# Who a signal is for


def test_what_the_program_sent_itself_is_not_forwarded():
    number = 15
    assert Caught(number, kernel=False, sender=7).is_for_program(lambda pid: False)
    assert Caught(number, kernel=False, sender=0).is_for_program(lambda pid: True)
    assert not Caught(number, kernel=False, sender=7).is_for_program(lambda pid: pid == 7)
    assert not Caught(2, kernel=True, sender=0).is_for_program(lambda pid: False)
    assert Caught(14, kernel=True, sender=0).is_for_program(lambda pid: False)  # SIGALRM


# Fields


BYTES_AS_TEXT = st.binary().map(lambda data: data.decode("utf-8", "surrogateescape"))


@given(
    st.lists(
        st.tuples(st.from_regex(r"[a-z]+", fullmatch=True), st.one_of(st.text(), BYTES_AS_TEXT))
    )
)
def test_fields_are_read_as_they_were_written(tmp_path_factory, pairs):
    path = tmp_path_factory.mktemp("fields")
    directory = Directory(str(path))
    directory.write_fields("file", pairs)
    assert parse_fields((path / "file").read_bytes()) == pairs
    assert directory.read_fields("file") == dict(pairs)


def test_a_check_is_recognised_and_not_revealed():
    url = PingUrl.parse("https://me:pw@hc.example/9e9d9bbe-4f2b-4a0e-a1e0-111111111111/?create=1")
    same = PingUrl.parse("https://me:pw@hc.example//9e9d9bbe-4f2b-4a0e-a1e0-111111111111?create=1")
    other = PingUrl.parse("https://me:pw@hc.example/9e9d9bbe-4f2b-4a0e-a1e0-111111111112?create=1")
    assert identity(url, b"salt") == identity(same, b"salt")
    assert identity(url, b"salt") != identity(other, b"salt")
    assert identity(url, b"salt") != identity(url, b"pepper")
    assert "9e9d" not in identity(url, b"salt")


# The log put together


def rendered(collector, **options):
    log, facts = collector.read(**options)
    return b"".join(log.chunks), facts


@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.binary(min_size=1, max_size=300)), min_size=1, max_size=60
    ),
    st.integers(1, 3000),
)
def test_the_rings_are_merged_by_time(tmp_path_factory, records, limit):
    directory = str(tmp_path_factory.mktemp("run"))
    rings = {pid: open_ring(directory, 2**16, pid) for pid in range(1, 5)}
    for time_ns, (pid, data) in enumerate(records, 1):
        rings[pid].append(data, time_ns)
    whole = b"".join(data for _, data in records)
    body, facts = rendered(Collector(Directory(directory), limit))
    assert whole.endswith(body)
    assert len(body) >= min(len(whole), limit + CONTEXT)
    assert (facts.rings, facts.records) == (4, len(whole))


def test_finished_rings_are_folded_and_deleted(tmp_path):
    gone = 2**22 + 1  # no process has such an id
    for number in range(3):
        ring = open_ring(str(tmp_path), 2**16, gone + number)
        ring.append(b"gone %d\n" % number, 10 * number)
        if number == 1:
            ring.count_failure()
    alive = open_ring(str(tmp_path), 2**16, os.getpid())
    alive.append(b"alive\n", 15)
    collector = Collector(Directory(str(tmp_path)), 1000)
    before, _ = rendered(collector)
    collector.fold(collector.finished())
    assert len(list(tmp_path.glob("*.ring"))) == 1
    alive.append(b"alive still\n", 99)
    body, facts = rendered(collector)
    assert body == before + b"alive still\n" == b"gone 0\ngone 1\nalive\ngone 2\nalive still\n"
    assert facts.failures
    assert facts.rings == 4


def test_a_ring_of_a_process_that_became_another_program_is_finished(tmp_path):
    for number in range(2):
        ring = open_ring(str(tmp_path), 2**16, os.getpid())
        ring.append(b"%d\n" % number, number)
    collector = Collector(Directory(str(tmp_path)), 1000)
    collector.fold(collector.finished())
    assert len(list(tmp_path.glob("*.ring"))) == 1
    assert rendered(collector)[0] == b"0\n1\n"


def test_a_markers_record_is_the_last_and_what_came_later_is_not_there(tmp_path):
    ring = open_ring(str(tmp_path), 2**16, os.getpid())
    for time_ns, data in ((1, b"one\n"), (2, b"sync.log and more\n"), (2, b"two\n"), (3, b"x\n")):
        ring.append(data, time_ns)
    collector = Collector(Directory(str(tmp_path)), 1000)
    body, _ = rendered(collector, until_ns=2, last=b"and more\n")
    assert body == b"one\ntwo\nsync.log and more\n"
    body, _ = rendered(collector, until_ns=2, last=b"overwritten\n")
    assert body == b"one\nsync.log and more\ntwo\noverwritten\n"


def test_a_record_longer_than_its_ring_leaves_no_half_of_a_secret(tmp_path):
    secret = "9e9d9bbe-4f2b-4a0e-a1e0-111111111111"
    url = PingUrl.parse(f"https://hc.example/{secret}")
    ring = open_ring(str(tmp_path), 2**14, os.getpid())
    ring.append(b"before\n", 1)
    ring.append(b"x" * 2**15 + b"\n", 2)
    log, _ = Collector(Directory(str(tmp_path)), 1000).read()
    assert log.begins_inside_record
    for length in range(2**14 - 100, 2**14):
        ring.append((secret + "x" * length + "\n").encode(), 4)
        log, _ = Collector(Directory(str(tmp_path)), 2**14).read()
        body = Renderer(2**14, Masker(url), None).render(log).whole()
        assert b"1111" not in body


def test_output_is_text_and_bounded(tmp_path):
    collector = Collector(Directory(str(tmp_path)), 1000)
    collector.add_output(b"\xff\n", 1)
    assert rendered(collector)[0] == "\ufffd\n".encode()
    for number in range(10_000):
        collector.add_output(b"line %d\n" % number, 1)
    begun = time.monotonic_ns()
    body, _ = rendered(collector, until_ns=begun)
    assert body.endswith(b"line 9998\nline 9999\n")
    assert len(body) < 20_000


def test_what_is_no_ring_is_left_out(tmp_path):
    for name in ("x.ring", "1-2.ring", "-.ring", "99999999999999999999-1.ring"):
        (tmp_path / name).write_bytes(b"nothing")
    collector = Collector(Directory(str(tmp_path)), 1000)
    assert rendered(collector)[0] == b""
    collector.fold(collector.finished())
    assert Collector(None, 1000).read()[1].rings == 0


def test_a_run_directory_without_room_is_an_error(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        RunDirectory(str(tmp_path / "nowhere"))
