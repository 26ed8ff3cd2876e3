"""The end of a run's log, put together from rings and output, and what else the rings say."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

if os.name != "posix":
    pytest.skip("the watcher needs a POSIX system", allow_module_level=True)

from loghc.entry.collector import Collector, Facts
from loghc.entry.directory import Directory
from loghc.entry.merged_tail import MergedTail
from loghc.entry.processes import is_alive
from loghc.entry.rings import Frame, Reading
from loghc.log.tail import CONTEXT
from loghc.portable.ring import open_ring
from loghc.watch.processes import has_ring, name_of
from waiting import wait_until_in

GONE = 2**22 + 1  # no process has such an id


def reading(**changed: Any) -> Reading:
    nothing = Reading(1, 0, 0, 0, 0, -1, 0, None, [], [], 0, 0, 0)
    return nothing._replace(**changed)


def text(collector: Collector, **options: Any) -> bytes:
    return b"".join(collector.read(**options)[0].chunks)


# What the rings say


def test_without_a_ring_nothing_is_said() -> None:
    assert vars(Facts()) == {
        "rings": 0, "records": 0, "lost": 0, "failures": 0, "level": -1, "unreadable": 0,
        "last_wall_ns": 0, "markers": 0, "orphans": 0, "tracebacks": [],
    }  # fmt: skip


def test_what_the_rings_say_is_added_up() -> None:
    facts = Facts()
    frames = [Frame(5, b"one"), Frame(7, b"two")]
    facts.add(
        reading(written=10, lost=1, level=30, markers=2, failures=1, frames=frames,
                wall_offset_ns=1000)
    )  # fmt: skip
    facts.add(reading(written=20, lost=2, level=20, markers=3, orphans=1))
    facts.add(reading(orphans=2, level=25, frames=[Frame(6, b"three")], wall_offset_ns=1000))
    assert vars(facts) == {
        "rings": 3, "records": 30, "lost": 3, "failures": 1, "level": 30, "unreadable": 0,
        "last_wall_ns": 1007, "markers": 5, "orphans": 3, "tracebacks": [],
    }  # fmt: skip


def test_the_newest_tracebacks_are_kept_one_of_each_process() -> None:
    facts = Facts()
    for pid in (1, 2, 3, 4, 5, 6, 3):
        facts.add(reading(pid=pid, traceback=f"of {pid}"))
        facts.add(reading(pid=pid))
    assert [each.pid for each in facts.tracebacks] == [2, 4, 5, 6, 3]
    facts.add(reading(pid=2, traceback="another"))
    assert facts.tracebacks[-1] == (2, "another", True)
    assert len(facts.tracebacks) == 5


def test_the_newest_tracebacks_of_threads_are_kept_beside_that_of_their_process() -> None:
    facts = Facts()
    facts.add(reading(pid=7, traceback="own", threads=[f"thread {n}" for n in range(6)]))
    assert [each.text for each in facts.tracebacks] == [
        *(f"thread {n}" for n in range(2, 6)),
        "own",
    ]
    assert [each.of(7) for each in facts.tracebacks] == [False] * 4 + [True]


def test_a_copy_of_the_facts_is_added_to_alone() -> None:
    facts = Facts()
    facts.add(reading(pid=1, traceback="one", markers=1))
    copy = facts.copy()
    copy.add(reading(pid=2, traceback="two", markers=1))
    assert (facts.markers, facts.tracebacks) == (1, [(1, "one", True)])
    assert (copy.markers, copy.tracebacks) == (2, [(1, "one", True), (2, "two", True)])


# The log put together


def test_as_much_is_kept_as_a_body_needs_and_no_record_more(tmp_path: Path) -> None:
    limit = 100
    ring = open_ring(str(tmp_path), 2**16, GONE)
    for number in range(1, 3 * (limit + CONTEXT) // 10):
        ring.append(b"%9d\n" % number, number)
    collector = Collector(Directory(str(tmp_path)), limit)
    for _ in range(2):
        body = text(collector)
        assert limit + CONTEXT <= len(body) < limit + CONTEXT + 10
        assert body.endswith(b"%9d\n" % (number - 1) + b"%9d\n" % number)
        collector.fold(collector.finished())


def test_what_is_held_meanwhile_is_not_much_more_than_what_is_kept() -> None:
    end = MergedTail(1000)
    for number in range(1000):
        end.add([Frame(number, b"x" * 10)])
        assert max(0, number - 125) <= end.since_ns <= max(0, number - 99)
    assert end.copy().since_ns == end.since_ns
    assert [frame.time_ns for frame in end.frames()] == list(range(900, 1000))


def test_records_of_one_moment_stay_in_the_order_in_which_they_were_logged(tmp_path: Path) -> None:
    ring = open_ring(str(tmp_path), 2**16, os.getpid())
    for data in (b"2\n", b"3\n", b"1\n"):
        ring.append(data, 7)
    assert text(Collector(Directory(str(tmp_path)), 1000)) == b"2\n3\n1\n"


def test_what_was_folded_is_read_no_second_time(tmp_path: Path) -> None:
    ring = open_ring(str(tmp_path), 2**14, GONE)
    ring.append(b"one\n", 1)
    collector = Collector(Directory(str(tmp_path)), 1000)
    for _ in range(2):
        collector.fold(collector.finished())
        collector.fold(collector.finished())
        log, facts = collector.read()
        assert (b"".join(log.chunks), facts.rings, facts.records) == (b"one\n", 1, 4)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs /proc")
def test_a_ring_is_in_use_as_long_as_a_process_has_it_whatever_its_id_is_here(
    tmp_path: Path,
) -> None:
    source = f"""
from loghc.portable.ring import open_ring
ring = open_ring({str(tmp_path)!r}, 2**14, {GONE})
ring.append(b"one\\n", 1)
print(flush=True)
input()
ring.append(b"two\\n", 2)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", source],
        env={**os.environ, "LOGHC_RUN": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"\n"
    collector = Collector(Directory(str(tmp_path)), 1000)
    collector.fold(collector.finished())
    process.communicate(b"\n")
    assert text(collector) == b"one\ntwo\n"
    collector.fold(collector.finished())
    assert text(collector) == b"one\ntwo\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs /proc")
def test_a_process_is_alive_until_it_ends_whatever_it_is_called(tmp_path: Path) -> None:
    script = tmp_path / "a) Z"
    script.write_text("#!/bin/sh\necho begun\nread line\n")
    script.chmod(0o700)
    with subprocess.Popen([script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        alive = is_alive(process.pid)
        assert (name_of(process.pid), alive) == ("a) Z", True)
        process.stdin.close()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not is_alive(process.pid)  # nobody has asked for its status yet
    assert not is_alive(process.pid)


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs /proc")
def test_a_ring_belongs_to_who_opened_it(tmp_path: Path) -> None:
    for pid, opened_it in ((1, False), (os.getpid(), True), (GONE, False)):
        directory = tmp_path / str(pid)
        directory.mkdir(mode=0o700)
        if opened_it:
            open_ring(str(directory), 2**14, pid)
        else:
            (directory / f"{pid}-{time.monotonic_ns()}.ring").touch()
        [owner] = Collector(Directory(str(directory)), 10).owners()
        assert has_ring(*owner) is opened_it


@pytest.mark.parametrize("folded", [0, 3, 7])
def test_the_newest_tracebacks_come_last_whether_their_rings_were_folded_or_not(
    folded: int, tmp_path: Path
) -> None:
    collector = Collector(Directory(str(tmp_path)), 1000)
    for number in range(7):
        ring = open_ring(str(tmp_path), 2**14, GONE + number)
        ring.append_traceback(b"of %d\n" % number, number)
        if number + 1 == folded:
            collector.fold(collector.finished())
    _, facts = collector.read()
    assert [each.text for each in facts.tracebacks] == [f"of {number}\n" for number in range(2, 7)]


def test_the_owners_are_those_whose_rings_are_there_in_the_order_of_their_start(
    tmp_path: Path,
) -> None:
    for name in ("30-2.ring", "7-10.ring", "20-11.ring", "30-30.ring", "9-4.note"):
        (tmp_path / name).touch()
    owners = [(30, "30-2.ring", 2), (7, "7-10.ring", 10), (20, "20-11.ring", 11),
              (30, "30-30.ring", 30)]  # fmt: skip
    assert Collector(Directory(str(tmp_path)), 10).owners() == [
        (pid, str(tmp_path / name), opened) for pid, name, opened in owners
    ]
    assert Collector(None, 10).owners() == []


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("123456789012345678-1.ring", 123456789012345678),
        ("1234567890123456789-1.ring", 0),  # too long for a number of 64 bits
        ("\u0661-1.ring", 0),
        ("x-1.ring", 0),
        ("7.ring", 0),
    ],
)
def test_a_name_without_a_number_has_no_owner(name: str, owner: int, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    assert [pid for pid, _, _ in Collector(Directory(str(tmp_path)), 10).owners()] == [owner]


def test_with_a_moment_what_was_logged_until_then_is_read_though_much_came_since(
    tmp_path: Path,
) -> None:
    keep = 10 + CONTEXT
    ring = open_ring(str(tmp_path), 2**18, os.getpid())
    for number in range(1, 3 * keep // 10):
        ring.append(b"%9d\n" % number, number)
    moment = number - keep // 10
    body = text(Collector(Directory(str(tmp_path)), 10), until_ns=moment)
    assert body.endswith(b"%9d\n" % moment)
    assert len(body) >= keep - 20


def test_output_stands_where_it_was_printed_among_the_records(tmp_path: Path) -> None:
    collector = Collector(Directory(str(tmp_path)), 1000)
    ring = open_ring(str(tmp_path), 2**14, os.getpid())
    ring.append(b"before\n", time.monotonic_ns())
    collector.add_output(b"caf\xc3\xa9 \xff\n", 1)
    ring.append(b"after\n", time.monotonic_ns())
    assert text(collector).decode() == "before\ncafé \ufffd\nafter\n"
    assert text(collector, until_ns=1) == b""


def test_a_printed_line_is_kept_in_one_piece_whatever_comes_between(tmp_path: Path) -> None:
    collector = Collector(Directory(str(tmp_path)), 200_000)
    for _ in range(15):
        collector.add_output(b"x" * 8192, 1)
        collector.add_output(b"other\n", 2)
    collector.add_output(b"end\nnext", 1)
    collector.add_output(b" line\n", 1)
    assert text(collector) == b"other\n" * 15 + b"x" * 15 * 8192 + b"end\nnext line\n"


def test_a_printed_line_that_has_not_ended_is_in_the_last_log_alone(tmp_path: Path) -> None:
    collector = Collector(Directory(str(tmp_path)), 1000)
    collector.add_output(b"whole\nhal", 1)
    assert text(collector, until_ns=time.monotonic_ns()) == b"whole\n"
    assert text(collector) == b"whole\nhal\n"
    collector.add_output(b"f\n", 1)
    assert text(collector) == b"whole\nhalf\n"


def test_of_a_printed_line_that_is_too_long_the_end_is_kept(tmp_path: Path) -> None:
    collector = Collector(Directory(str(tmp_path)), 1000)
    collector.add_output(b"before\n", 2)
    for _ in range(100):
        collector.add_output(b"x" * 1000, 1)
    collector.add_output(b"end\n", 1)
    collector.add_output(b"after\n", 1)
    log, _ = collector.read()
    cut, rest = log.chunks
    assert log.begins_inside_record
    assert cut.strip(b"x") == b"end\n"
    assert 1000 + CONTEXT <= len(cut) <= 2 * (1000 + CONTEXT) + 4
    assert rest == b"after\n"
    collector.add_output(b"y" * (1000 + CONTEXT) + b"\n", 1)
    assert not collector.read()[0].begins_inside_record


def test_of_a_printed_line_at_least_the_size_is_kept(tmp_path: Path) -> None:
    collector = Collector(Directory(str(tmp_path)), 1000)
    size, piece = 1000 + CONTEXT, 5000
    line = b"".join(b"%9d " % number for number in range(10_000))
    for start in range(0, len(line), piece):
        collector.add_output(line[start : start + piece], 1)
    log, _ = collector.read()
    kept = b"".join(log.chunks)
    assert line.endswith(kept.removesuffix(b"\n"))
    assert size <= len(kept) - 1 < size + piece


def test_without_memory_for_what_is_printed_nothing_of_it_is_kept(tmp_path: Path) -> None:
    class TooLarge(bytearray):
        def __bytes__(self) -> bytes:
            raise MemoryError

    collector = Collector(Directory(str(tmp_path)), 1000)
    collector.add_output(b"whole\nhalf", 1)
    with pytest.raises(MemoryError):
        collector.add_output(TooLarge(b"x"), 1)  # type: ignore[arg-type]
    assert text(collector) == b""
    collector.add_output(b"new\n", 1)
    assert text(collector) == b"new\n"


def test_output_is_not_read_while_some_is_being_added(tmp_path: Path) -> None:
    collector = Collector(Directory(str(tmp_path)), 1000)
    bodies: list[bytes] = []
    reader = threading.Thread(target=lambda: bodies.append(text(collector)))
    writer = threading.Thread(target=collector.add_output, args=(b"two\n", 1))
    with collector._printed._lock:
        reader.start()
        writer.start()
        wait_until_in(reader, "read")
        wait_until_in(writer, "add_output")
        reader.join(0.05)
        writer.join(0.05)
        assert reader.is_alive()
        assert writer.is_alive()
        assert collector._printed._streams[1].frames(unfinished=True) == []
    reader.join(20)
    writer.join(20)
    assert bodies in ([b""], [b"two\n"])
    assert text(collector) == b"two\n"


@pytest.mark.parametrize(
    ("records", "until_ns", "last", "body"),
    [
        ([(1, b"a\n"), (2, b"b\n")], 2, b"c\n", b"a\nb\nc\n"),
        ([(1, b"a\n"), (2, b"b\n")], 1, b"b\n", b"a\nb\n"),  # it isn't in the ring yet
        ([(2, b"x sync.log\n"), (2, b"b\n")], 2, b"sync.log\n", b"b\nx sync.log\n"),
        ([(2, b"sync.log\nand more\n"), (2, b"b\n")], 2, b"sync.log\n", b"b\nsync.log\nand more\n"),
        ([(1, b"sync.log\n"), (2, b"b\n")], 2, b"sync.log\n", b"sync.log\nb\nsync.log\n"),
        ([(2, b"sync.log\n"), (2, b"sync.log\n")], 2, b"sync.log\n", b"sync.log\nsync.log\n"),
        ([(2, b"a\n"), (3, b"b\n")], 2, b"", b"a\n"),
        ([(3, b"a\n")], 2, b"", b""),
    ],
)
def test_a_markers_own_record_is_the_last_and_whole_where_it_is_there(
    records: list[tuple[int, bytes]], until_ns: int, last: bytes, body: bytes, tmp_path: Path
) -> None:
    ring = open_ring(str(tmp_path), 2**14, os.getpid())
    for time_ns, data in records:
        ring.append(data, time_ns)
    assert text(Collector(Directory(str(tmp_path)), 1000), until_ns=until_ns, last=last) == body


def test_a_last_record_without_a_moment_comes_last(tmp_path: Path) -> None:
    ring = open_ring(str(tmp_path), 2**14, os.getpid())
    ring.append(b"a\n", 1)
    assert text(Collector(Directory(str(tmp_path)), 1000), last=b"b\n") == b"a\nb\n"


def test_nothing_stands_before_the_end_of_a_record_that_was_too_long(tmp_path: Path) -> None:
    ring = open_ring(str(tmp_path), 2**14, os.getpid())
    collector = Collector(Directory(str(tmp_path)), 2**14)
    ring.append(b"whole\n", 1)
    log, _ = collector.read()
    assert (log.chunks, log.begins_inside_record) == ((b"whole\n",), False)
    ring.append(b"x" * 2**14, 2)
    ring.append(b"one\n", 3)
    ring.append(b"two\n", 4)
    log, _ = collector.read()
    assert log.begins_inside_record
    end, rest = log.chunks
    assert set(end) == {ord("x")}
    assert rest == b"one\ntwo\n"
    other = open_ring(str(tmp_path), 2**14, os.getpid())
    other.append(b"y" * 2**14, 5)
    end, rest = collector.read()[0].chunks
    assert (set(end), rest) == ({ord("y")}, b"")
