"""Markers on their way into the watcher: from the channel and the rings, each once, in order."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from loghc.entry.collector import Facts
from loghc.ping import Event
from loghc.portable.channel import send
from loghc.portable.layout import FRAME_BYTES
from loghc.portable.ring import Ring, open_ring
from loghc.portable.run_ids import new_run_id
from loghc.watch import intake as module
from loghc.watch.intake import Intake
from loghc.watch.messages import Message, parse_messages
from loghc.watch.run_directory import RunDirectory
from loghc.watch.waiting import WaitingMarkers
from processes import needs_posix

pytestmark = needs_posix
LOG = b"log\t1\t-"
FAIL = b"fail\t1\t-"
_CAPACITY = 1 << 16


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunDirectory]:
    directory = RunDirectory(str(tmp_path))
    yield directory
    directory.remove()


def lines(intake: Intake, *, last: bool = False) -> list[bytes]:
    return [message.line for message in intake.take(last=last)]


def tell(run: RunDirectory, ring: Ring, what: bytes, line: bytes, now: int) -> None:
    """Log a marker as a process of the program does: into its ring, then into the channel."""
    number = ring.append_marker(what, line, now)
    send(run.path, what, line, now, ring.started_ns, number)


def own_ring(run: RunDirectory) -> Ring:
    return open_ring(run.path, _CAPACITY, os.getpid())


def test_a_marker_that_the_channel_and_a_ring_have_is_taken_once(run):
    ring, intake = own_ring(run), Intake(run, 1000)
    for number in range(3):
        tell(run, ring, LOG, b"%d\n" % number, number)
    assert lines(intake) == [b"0\n", b"1\n", b"2\n"]
    assert lines(intake) == []
    assert lines(intake, last=True) == []
    tell(run, ring, LOG, b"3\n", 3)
    assert lines(intake, last=True) == [b"3\n"]
    assert intake.received == 4


@pytest.mark.parametrize("last", [False, True])
def test_what_the_channel_did_not_bring_comes_from_the_ring_in_order_of_time(run, last):
    rings = [open_ring(run.path, _CAPACITY, pid) for pid in (1, 2)]
    intake = Intake(run, 1000)
    rings[0].append_marker(LOG, b"first\n", 10)
    rings[1].append_marker(LOG, b"second\n", 20)
    rings[0].append_marker(LOG, b"third\n", 30)
    assert lines(intake, last=last) == [b"first\n", b"second\n", b"third\n"]
    rings[1].append_marker(LOG, b"fourth\n", 40)
    send(run.path, b"log\t1\t-", b"fifth\n", 50)  # the channel makes it look at the rings at once
    assert lines(intake, last=last) == [b"fourth\n", b"fifth\n"]


def test_rings_are_not_read_each_time_that_the_channel_is_empty(run, monkeypatch):
    ring, intake = own_ring(run), Intake(run, 1000)
    assert lines(intake) == []  # it has looked
    ring.append_marker(LOG, b"one\n", 1)
    assert lines(intake) == []
    monkeypatch.setattr(module, "_LOOK_EVERY_S", 0.0)
    assert lines(intake) == [b"one\n"]


def test_a_marker_whose_record_the_ring_has_apart_gets_it_from_there(run):
    ring, intake = own_ring(run), Intake(run, 1000)
    ring.append(b"the record\n", 7)
    ring.append(b"another\n", 8)
    ring.append_marker(LOG, b"", 7)
    ring.append_marker(LOG, b"", 9)
    assert lines(intake, last=True) == [b"the record\n", b""]


def test_a_marker_that_is_written_after_a_later_one_is_taken_at_the_end(run):
    ring, intake = own_ring(run), Intake(run, 1000)
    ring.append_marker(LOG, b"one\n", 1)
    ring.append_marker(LOG, b"two\n", 2)
    (path,) = Path(run.path).glob("*.ring")
    start = path.read_bytes().index(b"one\n")
    with path.open("r+b", buffering=0) as file:
        written = os.pread(file.fileno(), FRAME_BYTES, start + 4)
        os.pwrite(file.fileno(), bytes(FRAME_BYTES), start + 4)  # not yet
        assert lines(intake) == [b"two\n"]
        os.pwrite(file.fileno(), written, start + 4)
    assert lines(intake, last=True) == [b"one\n"]


def test_a_ring_of_a_later_version_brings_nothing_and_hides_nothing(run):
    ring, intake = own_ring(run), Intake(run, 1000)
    ring.append_marker(LOG, b"one\n", 1)
    (path,) = Path(run.path).glob("*.ring")
    data = bytearray(path.read_bytes())
    data[7] += 1
    path.write_bytes(data)
    send(run.path, LOG, b"by the channel\n", 2)
    assert lines(intake) == [b"by the channel\n"]


def test_which_markers_and_failures_were_lost_is_known(run):
    ring, intake, facts = own_ring(run), Intake(run, 1000), Facts()
    for event, count in ((b"log", 2), (b"fail", 1)):
        for number in range(count):
            tell(run, ring, event + b"\t1\t-", b"x\n", number)
    send(run.path, b"python\t\t-", b"1", 1)  # news, and no marker
    intake.take()
    assert intake.received == 3
    facts.markers, facts.failures = 3, 1
    assert (intake.markers_lost(facts), intake.failure_lost(facts)) == (0, False)
    facts.markers, facts.failures = 5, 2
    assert (intake.markers_lost(facts), intake.failure_lost(facts)) == (2, True)
    facts.failures = 1
    assert not intake.failure_left
    (Path(run.path) / "failed").touch()
    assert intake.failure_left
    assert intake.failure_lost(facts)


def test_without_a_run_directory_there_are_no_markers():
    intake = Intake(None, 1000)
    assert intake.take() == intake.take(last=True) == []
    assert not intake.failure_left
    assert not intake.failure_lost(Facts())


def test_a_flood_in_the_channel_is_taken_in_parts(run, monkeypatch):
    monkeypatch.setattr(module, "_MAX_READS", 1)
    monkeypatch.setattr("loghc.watch.run_directory._CHANNEL_READ_BYTES", 100)
    intake = Intake(run, 1000)
    for number in range(20):
        send(run.path, LOG, b"%d\n" % number, number)
    taken: list[bytes] = []
    first = lines(intake)
    assert 0 < len(first) < 20  # a message that was cut is not lost
    while more := lines(intake):
        taken += more
    assert first + taken == [b"%d\n" % number for number in range(20)]


def test_what_is_remembered_of_rings_is_bounded(run, monkeypatch):
    monkeypatch.setattr(module, "_MAX_RINGS", 2)
    intake = Intake(run, 1000)
    living = open_ring(run.path, _CAPACITY, 1)
    living.append_marker(LOG, b"living\n", 1)
    assert lines(intake, last=True) == [b"living\n"]
    for pid in range(2, 10):
        ring = open_ring(run.path, _CAPACITY, pid)
        ring.append_marker(LOG, b"%d\n" % pid, pid)
        assert lines(intake, last=True) == [b"%d\n" % pid]
        for path in Path(run.path).glob(f"{pid}-*.ring"):
            path.unlink()
    assert len(intake._rings) <= 3
    assert lines(intake, last=True) == []  # the living one's is not taken twice


def test_markers_are_taken_once_however_many_are_missing_before_them(monkeypatch):
    monkeypatch.setattr(module, "_MAX_AHEAD", 3)
    numbers = module._Numbers()
    assert [numbers.add(number) for number in (1, 3, 3, 2, 1, 2, 3)] == [
        True, True, False, True, False, False, False,
    ]  # fmt: skip
    # 4 is missing; of those after it no more than a few are remembered.
    assert [numbers.add(number) for number in (5, 6, 7, 8, 8, 5)] == [True] * 4 + [False] * 2
    assert not numbers.add(4)  # given up
    assert numbers.add(9)
    assert numbers.taken == 8
    assert len(numbers._ahead) <= 3


# Messages

HEAD = b"loghc2\t12\t34\t5\t"


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"x",
        b"loghc1\t12\t34\t5\t6\tlog\t1\t-\tline",
        HEAD + b"6\tlog\t1\t-",
        HEAD + b"6\tlog\t1\t-\tline\tmore",
        HEAD + b"6\tnonsense\t1\t-\tline",
        HEAD + b"x\tlog\t1\t-\tline",
        HEAD + b"6\tlog\t1,x\t-\tline",
        HEAD + b"6\tlog\t1,\t-\tline",
        HEAD + b"6\tstart\t\t-\tline",
        HEAD + b"6" * 21 + b"\tlog\t1\t-\tline",
        b"loghc2\tx\t34\t5\t6\tlog\t1\t-\tline",
        b"loghc2\t12\t-4\t5\t6\tlog\t1\t-\tline",
        b"loghc2\t12\t34\t\t6\tlog\t1\t-\tline",
    ],
)
def test_what_is_no_message_is_ignored_and_hides_none(message):
    good = HEAD + b"6\tlog\t1,2\t-\ta\\tb\\\\\\n\n"
    messages, rest = parse_messages(good + message + b"\n" + good + b"loghc2\t1")
    assert messages == [Message(12, 34, "log", b"a\tb\\\n", (1, 2), None, 5, 6)] * 2
    assert rest == b"loghc2\t1"


def test_the_beginning_of_an_endless_message_is_not_kept():
    assert parse_messages(b"x" * 4095)[1] != b""
    assert parse_messages(b"x" * 100_000) == ([], b"")


def test_a_run_id_is_taken_where_it_is_one():
    name = new_run_id()
    for given, run_id in ((name, name), ("-", None), (name[:-1], None), (name + "1", None)):
        ((message,), _) = parse_messages(HEAD + f"6\tlog\t\t{given}\tx\n".encode())
        assert (message.run_id, message.lane) == (run_id, ())


# Markers that wait


def waiting(*events: str) -> WaitingMarkers:
    markers = WaitingMarkers()
    markers.add(Message(1, number, event, b"", (1,), None) for number, event in enumerate(events))
    return markers


def taken(markers: WaitingMarkers) -> list[tuple[str, int]]:
    found = []
    while markers:
        message = markers.take()
        found.append((message.event, message.time_ns))
    return found


def test_of_too_many_notes_the_oldest_are_dropped_and_no_other_marker(monkeypatch):
    monkeypatch.setattr("loghc.watch.waiting._MAX_NOTES", 2)
    markers = waiting("log", "start", "log", "fail", "log", "log", "success")
    assert markers.dropped == 2
    assert taken(markers) == [("start", 1), ("fail", 3), ("log", 4), ("log", 5), ("success", 6)]
    assert waiting("log", "log").dropped == 0
    markers = waiting("log", "log", "log")
    markers.add([Message(1, 9, "log", b"", (1,), None)])
    assert (markers.dropped, taken(markers)) == (2, [("log", 2), ("log", 9)])


def test_no_more_markers_are_taken_in_when_many_wait(monkeypatch):
    monkeypatch.setattr("loghc.watch.waiting._MAX_MARKERS", 2)
    assert not waiting("fail").is_full
    assert waiting("fail", "fail").is_full
    assert waiting("fail", "fail", "fail").is_full


def test_a_marker_keeps_its_log_unless_as_many_equals_follow_as_logs_are_kept(monkeypatch):
    monkeypatch.setattr("loghc.watch.waiting.LOGS", 2)
    assert not waiting("log").many_follow(Event.LOG)
    assert waiting("log", "fail").many_follow(Event.LOG)
    assert not waiting("log", "log", "fail").many_follow(Event.FAIL)
    assert waiting("fail", "log", "fail").many_follow(Event.FAIL)


# The run directory


def test_a_run_directory_that_is_made_anew_is_not_inherited_and_forgets_no_failure(run):
    (Path(run.path) / "failed").touch()
    assert "failed" in run.names()
    shutil.rmtree(run.path)
    assert run.told_failure
    assert run.make_anew()
    assert run.told_failure
    assert not os.get_inheritable(run.descriptor)
    assert not os.get_inheritable(run.channel)
    send(run.path, LOG, b"x\n", 1)
    assert lines(Intake(run, 1000)) == [b"x\n"]


def test_rings_that_are_held_survive_their_directory_and_the_loss_of_others_is_known(run):
    ring = own_ring(run)
    ring.append(b"held\n", 1)
    (name,) = (name for name in run.names() if name.endswith(".ring"))
    assert run.hold_rings(name)
    assert not run.hold_rings("1-1.ring")
    shutil.rmtree(run.path)
    assert name in run.names()
    assert run.make_anew()
    assert name in run.names()
    open_ring(run.path, _CAPACITY, 1)
    run.names()  # seen, and not held
    shutil.rmtree(run.path)
    assert not run.make_anew()
    run.delete(name)
    assert name not in run.names()


def test_a_failure_left_in_the_directory_at_the_last_moment_is_known_when_it_is_made_anew(run):
    path = Path(run.path)
    (path / "failed").touch()
    (path / "channel").unlink()
    assert run.deleted
    assert run.make_anew()
    assert run.told_failure
