"""What the watcher makes of what it saw: causes, verdicts, lines of printed text, names."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from loghc.death.verdict import judge
from loghc.entry.collector import Collector, Facts, Traceback
from loghc.entry.directory import Directory
from loghc.log.tail import EMPTY, Snapshot
from loghc.portable.expected import Expected
from loghc.portable.layout import MARKER
from loghc.portable.ring import open_ring
from loghc.watch import notices
from loghc.watch.cause import Causes, Exceptions
from loghc.watch.child import CannotStartError, environment
from loghc.watch.command import resolve
from loghc.watch.error_file import ErrorFile
from loghc.watch.failures import Failures
from loghc.watch.footer import lost_markers, why_no_log
from loghc.watch.intake import Intake
from loghc.watch.messages import Message
from loghc.watch.options import Options
from loghc.watch.run_logs import RunLogs
from loghc.watch.spoken import Spoken
from processes import needs_posix

pytestmark = needs_posix
ERROR = "sync.error"
RECORD = "2026-12-01 04:05:06.789 | {:<8} | app:main:7 - {}\n"
NONE = Exceptions("", [], "")


def log_of(*records: tuple[str, str]) -> Snapshot:
    text = "".join(RECORD.format(level, message) for level, message in records)
    return Snapshot((text.encode(),), begins_inside_record=False)


def raised(text: str) -> str:
    return f'Traceback (most recent call last):\n  File "a.py", line 1\n{text}\n'


# Causes


@pytest.mark.parametrize(
    ("records", "cause"),
    [
        ([("ERROR", "sync.error: disk full")], "disk full"),
        ([("ERROR", "no photos"), ("ERROR", "sync.error")], "no photos"),
        ([("INFO", "all well"), ("ERROR", "sync.error")], "sync.error was logged without a cause"),
        ([("ERROR", "other.error")], "a failure marker was logged without a cause"),
    ],
    ids=str,
)
@pytest.mark.parametrize("given", [True, False])
def test_the_cause_of_a_failure_that_was_logged(records, cause, given):
    causes = Causes({"sync.log": "log", ERROR: "fail"})
    log = log_of(*records)
    line = log.chunks[0].splitlines(keepends=True)[-1] if given else b""
    assert causes.of_marker(line, log) == cause
    # And, at the end, unless the program's own exception says more:
    verdict = judge(1 << 8, {}, [], "")
    assert causes.of_end(verdict, NONE, EMPTY).startswith(f"{cause} (after ")
    own = Exceptions(raised("OSError: no"), [], "")
    assert causes.of_end(verdict, own, EMPTY).startswith("OSError: no (after ")


def test_a_record_that_was_overwritten_gives_the_cause_that_its_marker_brought():
    assert Causes({ERROR: "fail"}).of_marker(b"x | sync.error: full\n", EMPTY) == "full"


@pytest.mark.parametrize(
    ("status", "exceptions", "cause"),
    [
        (1, Exceptions(raised("OSError: no"), [], ""), "OSError: no"),
        (130, Exceptions(raised("KeyboardInterrupt: c"), [], ""), "KeyboardInterrupt: c"),
        (3, Exceptions(raised("OSError: no"), [], ""), "exit status 3"),
        (1, Exceptions("", [raised("A: 1"), raised("B: 2")], ""), "B: 2"),
        (2, Exceptions("", [raised("A: 1")], ""), "exit status 2"),
        (1, Exceptions("", [], raised("C: 3")), "exit status 1: C: 3"),
        (1, NONE, "exit status 1"),
    ],
    ids=str,
)
def test_the_cause_at_the_end(status, exceptions, cause):
    ended = Causes({}).of_end(judge(status << 8, {}, [], ""), exceptions, EMPTY)
    assert ended.partition(" (after ")[0] == cause


@pytest.mark.parametrize(
    ("printed", "cause"),
    [
        ("no such disk\n \n", "exit status 2: no such disk"),
        (raised("OSError: printed") + "bye\n", "exit status 2: OSError: printed\nbye"),
        ("", "exit status 2: logged"),
    ],
)
def test_what_was_printed_says_more_than_the_log(printed, cause):
    ended = Causes({}).of_end(judge(2 << 8, {}, [], ""), NONE, log_of(("ERROR", "logged")), printed)
    assert ended.partition(" (after ")[0] == cause


@pytest.mark.parametrize(
    ("log", "cause"),
    [(EMPTY, "the reason"), (log_of(("CRITICAL", "logged")), "logged")],
    ids=["no log", "a log"],
)
def test_the_cause_of_a_failure_with_a_good_exit_status(log, cause):
    verdict = judge(0, {}, ["loghc: the reason"], "")
    assert Causes({}).of_end(verdict, NONE, log).partition(" (after ")[0] == cause


def test_whose_an_exception_is():
    facts = Facts()
    facts.tracebacks[:] = [
        Traceback(7, "thread 1", ended=False),
        Traceback(8, "child", ended=True),
        Traceback(7, "own", ended=True),
        Traceback(7, "thread 2", ended=False),
    ]
    found = Exceptions.of(7, facts)
    assert found == ("own", ["thread 1", "child", "thread 2"], "thread 2")
    assert found.all == ["thread 1", "child", "thread 2", "own"]
    assert Exceptions.of(9, facts).all == ["thread 1", "child", "own", "thread 2"]
    assert Exceptions.of(9, facts).in_thread == ""


# What failed a run


@pytest.mark.parametrize(
    ("level", "blind", "marker_lost", "only", "marked", "marker", "found"),
    [
        (30, True, False, False, False, None, ["level"]),
        (40, True, False, False, False, None, []),
        (30, False, False, False, False, None, []),
        (30, False, True, False, False, None, ["a marker"]),
        (50, True, False, True, False, None, ["a marker"]),
        (50, False, False, True, False, None, []),
        (50, True, False, False, False, "fail", ["(--marker)"]),
        (50, True, False, False, True, "fail", []),
        (50, False, False, False, False, "fail", []),
        (50, True, False, False, False, "log", []),
    ],
)
def test_what_may_have_failed_a_run_unseen(level, blind, marker_lost, only, marked, marker, found):
    options, facts = Options(), Facts()
    options.fail_on, options.fail_on_name = 40, "ERROR"
    options.markers_only = only
    options.markers = {"x": marker} if marker else {}
    facts.level = level
    failures = Failures(options, Intake(None, 1000), Expected([]))
    failures.marked = marked
    lines = failures.unseen(facts, blind=blind, marker_lost=marker_lost)
    assert len(lines) == len(found)
    assert all(part in line for part, line in zip(found, lines, strict=True))
    assert all(line.endswith(" may have been logged unseen") for line in lines)


@pytest.mark.parametrize(
    ("level", "failures", "marked", "status", "found"),
    [
        (39, 0, False, 3, []),
        (40, 0, False, 3, ["level ERROR"]),
        (39, 1, False, 3, ["a failure was logged"]),
        (39, 0, True, 3, ["a failure was logged"]),
        (39, 0, False, 0, ['never said "a"', 'never said "b"']),
    ],
)
def test_why_a_run_failed(level, failures, marked, status, found):
    options, facts = Options(), Facts()
    options.fail_on, options.fail_on_name = 40, "ERROR"
    options.expected = [("text", "a"), ("text", "met"), ("text", "b")]
    facts.level, facts.failures = level, failures
    expected = Expected(options.expected)
    expected.meet("met")
    reasons = Failures(options, Intake(None, 1000), expected)
    reasons.marked = marked
    lines = reasons.reasons(facts, exit_status=status)
    assert len(lines) == len(found)
    assert all(part in line for part, line in zip(found, lines, strict=True))


# What is printed


def spoken(*pieces: bytes, expected: Expected | None = None) -> Spoken:
    listening = Spoken({"FATAL": "fail", "done": "success"}, expected or Expected([]))
    for piece in pieces:
        listening.add(piece, 1)
    return listening


def events(listening: Spoken) -> list[tuple[str, bytes]]:
    return [(message.event, message.line) for message in listening.take()]


def test_a_line_that_begins_with_a_marker_is_one_in_however_many_pieces():
    listening = spoken(b"no FATAL\nFAT", b"AL: x\nfine\ndone\nFATAL")
    assert events(listening) == [("fail", b"FATAL: x\n"), ("success", b"done\n")]
    assert events(listening) == []
    listening.finish()
    assert events(listening) == [("fail", b"FATAL\n")]
    listening.finish()
    assert events(listening) == []


def test_two_streams_do_not_meet_in_one_line():
    listening = spoken(b"FAT")
    listening.add(b"AL\n", 2)
    assert events(listening) == []
    listening.add(b"AL\n", 1)
    assert events(listening) == [("fail", b"FATAL\n")]


def test_a_line_without_an_end_is_looked_at_when_it_gets_long():
    assert events(spoken(b"FATAL" + b" " * 65_531)) == []
    long = b"FATAL" + b" " * 65_532
    assert events(spoken(long)) == [("fail", long + b"\n")]


def test_a_marker_that_is_logged_and_printed_is_one():
    listening = spoken(b"FATAL: one\nFATAL: one\n")
    listening.record(Message(1, 1, "fail", b"12:00 | FATAL: one\n", (1,), None))
    assert events(listening) == [("fail", b"FATAL: one\n")]


def test_what_is_expected_may_be_printed_and_nothing_meets_it_where_nothing_is():
    expected = Expected([("text", "synced"), ("pattern", "^x*$")])
    listening = spoken(b"it is syn", expected=expected)
    assert sorted(expected.left) == [0, 1]
    listening.add(b"ced\n", 1)
    assert sorted(expected.left) == [1]
    listening.finish()
    assert sorted(expected.left) == [1]


def test_bytes_that_are_no_utf_8_are_a_marker_where_they_were_given_as_one():
    marker = os.fsdecode(b"\xff")
    listening = Spoken({marker: "fail"}, Expected([("text", marker)]))
    listening.add(memoryview(b"?\n\xfe\n\xff: x\n"), 1)
    assert events(listening) == [("fail", b"\xff: x\n")]


# What is said at the end


@pytest.mark.parametrize(
    ("records", "printed", "notes", "unseen", "said"),
    [
        (0, False, [], [], ["nothing that logs with loguru was seen; see --output"]),
        (1, False, [], [], []),
        (0, True, [], [], []),
        (0, False, ["no"], [], ["the log of a process could not be kept: no"]),
        (0, False, [], ["loghc: unseen"], ["unseen"]),
    ],
)
def test_why_there_is_no_log(records, printed, notes, unseen, said):
    facts = Facts()
    facts.records = records
    assert why_no_log(facts, notes, unseen, printed=printed) == [f"loghc: {line}" for line in said]


def test_markers_that_were_lost_are_counted():
    assert lost_markers(-1) == lost_markers(0) == []
    assert lost_markers(1) == ["loghc: 1 markers came too fast to be sent one by one"]
    assert "1,234 markers" in lost_markers(1234)[0]


@pytest.mark.parametrize("orphans", [0, 5, 6, 9])
def test_why_records_could_not_be_kept_is_said_the_most_common_first(orphans, capsys):
    trouble = Counter({"one": 1, "two": 3, "three": 2})
    notes = notices.report_trouble(trouble, orphans, lambda text: text.replace("two", "***"))
    gone = "it can't write to the run directory any more"
    more = {9: [f"{gone} (3 processes)"]}.get(orphans, [])
    known = ["two (3 processes)", *more, "three (2 processes)", *([] if more else ["one"])]
    assert notes == known
    said = capsys.readouterr().err
    assert said.count("could not be kept") == 3
    assert "*** (3 processes)." in said
    assert trouble.total() == 6  # the caller's, unchanged


def test_where_all_was_kept_no_reason_is_given(capsys):
    assert notices.report_trouble(Counter(), 0, str) == []
    assert notices.report_trouble(Counter({"one": 2}), 2, str) == ["one (2 processes)"]


def idle(capsys: pytest.CaptureFixture[str], facts: Facts, taken: int = 0, **given: object) -> str:
    options = Options()
    for name, value in given.items():
        setattr(options, name, value)
    notices.report_idle(options, facts, taken, lambda text: text.replace("secret", "***"))
    return capsys.readouterr().err


def test_options_that_had_no_effect_are_reported(capsys):
    facts = Facts()
    seen = "no process that logs with loguru was seen"
    asked = {"markers": {"x": "fail"}, "expected": [("text", "y")], "fail_on": 40}
    assert idle(capsys, facts) == ""
    assert idle(capsys, facts, **asked).count(seen) == 3
    assert "--fail-on" in idle(capsys, facts, **asked, output=True)
    assert idle(capsys, facts, **asked, output=True).count(seen) == 1
    for option in ("markers", "expected"):
        name = option.removesuffix("ed").removesuffix("s")
        assert f"--{name} " in idle(capsys, facts, **{option: asked[option]})
    facts.rings = 1
    assert idle(capsys, facts, **asked) == ""


def test_a_run_of_markers_alone_that_had_none_is_reported(capsys):
    facts = Facts()
    said = idle(capsys, facts, markers_only=True, markers={"secret": "fail"})
    assert "no marker was seen" in said
    assert "listens for sync.error, sync.log, sync.start, sync.done, ***." in said
    assert idle(capsys, facts, taken=1, markers_only=True) == ""
    facts.markers = 1
    assert idle(capsys, facts, markers_only=True) == ""


def test_streams_that_stay_terminals_are_named(capsys):
    notices.report_terminals([])
    assert capsys.readouterr().err == ""
    notices.report_terminals(["standard output"])
    assert "standard output is a terminal and stays one" in capsys.readouterr().err
    notices.report_terminals(["standard output", "standard error"])
    assert "standard output and standard error are terminals" in capsys.readouterr().err


# A run's own log


def test_a_run_has_its_own_records_and_those_of_no_run(tmp_path):
    mine, other = "9e9d9bbe-4f2b-4a0e-a1e0-111111111111", "9e9d9bbe-4f2b-4a0e-a1e0-222222222222"
    ring = open_ring(str(tmp_path), 1 << 16, os.getpid())
    logs = RunLogs(Collector(Directory(str(tmp_path)), 10_000), are_apart=True)
    about = {
        b"before": b"",
        b"mine": b"0\trecord\t1\t-\n",
        b"nested": b"0\trecord\t1,2\t-\n",
        b"other's": b"0\trecord\t2\t-\n",
        b"named mine": f"0\trecord\t2\t{mine}\n".encode(),
        b"named other's": f"0\trecord\t1\t{other}\n".encode(),
        b"unknown name": b"0\trecord\t2\t9e9d9bbe-4f2b-4a0e-a1e0-333333333333\n",
        b"of no run": b"",
        b"of no open run": b"0\trecord\t\t-\n",
        b"of none": b"0\trecord\t0\t-\n",
        b"a marker of none": b"1\tlog\t0\t-\n",
    }
    for time_ns, (text, what) in enumerate(about.items(), 1):
        ring.append(text + b"\n", time_ns, MARKER if what else 0, what)
    ring.append(b"", 99)
    logs.begin(mine, Message(1, 2, "start", b"", (1,), None))
    logs.begin(other, Message(1, 2, "start", b"", (9, 2), None))
    found = b"".join(logs.of_run(mine).chunks).decode().split("\n")
    assert set(found) - {""} == {
        "mine", "nested", "named mine", "of no run", "of no open run", "of none",
    }  # fmt: skip


# What starts the program


@pytest.mark.parametrize(
    ("before", "after"),
    [({}, b"/boot"), ({b"PYTHONPATH": b""}, b"/boot"), ({b"PYTHONPATH": b"/a:/b"}, b"/boot:/a:/b")],
    ids=str,
)
def test_the_recorder_goes_in_front_of_pythonpath(before, after):
    assert environment(before, "/boot", "/run") == {b"PYTHONPATH": after, b"LOGHC_RUN": b"/run"}
    given = {b"PYTHONPATH": b"/a"}
    assert environment(given, "/bo:ot", "/run") == {**given, b"LOGHC_RUN": b"/run"}
    assert given == {b"PYTHONPATH": b"/a"}


@pytest.mark.parametrize(
    ("number", "status", "reason"),
    [
        (0, 127, "command not found; hint"),
        (2, 127, "No such file or directory"),
        (20, 127, "Not a directory"),
        (13, 126, "Permission denied"),
        (8, 126, "Exec format error"),
    ],
)
def test_what_can_not_be_started_has_a_shells_exit_status(number, status, reason):
    error = CannotStartError(number, "; hint")
    assert (error.status, error.reason) == (status, reason)


@pytest.mark.parametrize(
    ("head", "isolated"),
    [
        (b"#!/usr/bin/python3 -I\nx -E\n", "-I"),
        (b"#! /usr/bin/python3 -sS\n", "-S"),
        (b"#!/usr/bin/python3\n-I\n", ""),
        (b"#!/bin/sh -E\n", ""),
        (b"#!\n", ""),
        (b"/usr/bin/python3 -I\n", ""),
        (b"", ""),
        (b"#!/usr/bin/python3 " + b" " * 120 + b"-I\n", ""),
    ],
)
def test_a_scripts_first_line_may_isolate_its_python(tmp_path, monkeypatch, head, isolated):
    script = tmp_path / "tool"
    script.write_bytes(head)
    assert resolve([str(script)]).isolated == isolated
    # The first that is found is the one that is started, whatever the others say.
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "tool").write_bytes(b"#!/usr/bin/python3 -E\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:{tmp_path}/bin")
    assert resolve(["tool"]).isolated == isolated
    assert resolve([str(tmp_path / "nowhere")]).isolated == ""


@pytest.mark.parametrize(
    ("words", "hint"),
    [(["a && b"], "; did you mean sh -c 'a && b'?"), (["no-such-program"], ""), (["ls"], "")],
)
def test_a_shells_command_is_told_by_its_signs(words, hint):
    assert resolve(words).hint == hint


# Standard error as a file

ADDED = """
import os
from loghc.watch.error_file import ErrorFile
os.write(2, b"before\\n")
file = ErrorFile()
{}
os.write(1, file.added())
"""


@pytest.mark.parametrize(
    ("then", "added"),
    [
        ("", b""),
        ("os.write(2, b'after\\n')", b"after\n"),
        ("os.write(2, b'x' * 4095 + b'yz')", b"x" * 4094 + b"yz"),
        ("os.ftruncate(2, 0); os.lseek(2, 0, 0); os.write(2, b'anew')", b"anew"),
        ("os.close(2)", b""),
    ],
    ids=["nothing", "a line", "much", "emptied", "closed"],
)
def test_what_is_added_to_standard_error_in_a_file_is_read(tmp_path, then, added):
    path = Path(tmp_path) / "errors"
    with path.open("wb") as errors:
        command = [sys.executable, "-c", ADDED.format(then)]
        done = subprocess.run(command, stdout=-1, stderr=errors, check=False, timeout=60)
    assert done.stdout == added


def test_standard_error_that_is_no_file_is_not_read():
    command = [sys.executable, "-c", ADDED.format("os.write(2, b'after')")]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert done.stdout == b""
    assert ErrorFile().added() is not None
