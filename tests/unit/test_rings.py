"""The ring against the plainest model: of all records, one after the other, the end is left."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loghc.entry.directory import Directory
from loghc.entry.rings import UnknownVersionError, read_notes
from loghc.portable import channel, layout, writer
from loghc.portable import ring as portable_ring
from loghc.portable.config import read_config
from loghc.portable.ring import Ring, open_ring
from loghc.portable.run_ids import run_id_from
from loghc.watch.messages import Message, parse_messages
from recorded import read as read_ring

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there is no recorder elsewhere")

CAPACITY = 1024  # the least
LONGEST = CAPACITY // 2 - layout.FRAME_BYTES  # bytes of a record
ALL = 10**9
SIZES = st.one_of(
    st.integers(0, 200),
    st.sampled_from([LONGEST - 1, LONGEST, LONGEST + 1, CAPACITY - 32, CAPACITY, 5000]),
)

OpenRing = Callable[..., tuple[Ring, Path]]


@pytest.fixture(params=[True, False], ids=["without a lock", "with a lock"])
def open_one(request, monkeypatch, tmp_path_factory) -> OpenRing:
    """Opens a ring, the way that Python 3.11 and newer have it, and the way before."""
    monkeypatch.setattr(writer, "_UNINTERRUPTED", request.param)
    return lambda capacity=CAPACITY: opened(tmp_path_factory.mktemp("run"), capacity)


def opened(directory: Path, capacity: int = CAPACITY) -> tuple[Ring, Path]:
    ring = open_ring(str(directory), capacity, os.getpid())
    (path,) = directory.glob("*.ring")
    return ring, path


def descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def end_of(path: Path) -> int:
    """The position after the newest frame."""
    content = path.read_bytes()
    until = int.from_bytes(content[40:48], "little")
    for end in range(until, CAPACITY, -1):
        stamp = [content[layout.HEADER + (end - n) % CAPACITY] for n in range(8, 0, -1)]
        if int.from_bytes(bytes(stamp), "little") == end:
            return end
    return CAPACITY


def record(number: int, size: int) -> bytes:
    return (b"%d " % number * (size // 2 + 1))[:size]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(SIZES, max_size=60), limit=st.sampled_from([0, 1, 100, 500, ALL]))
def test_what_is_read_is_the_end_of_what_was_written(open_one, sizes, limit):
    ring, path = open_one()
    given_ = [record(number, size) for number, size in enumerate(sizes)]
    for number, data in enumerate(given_):
        ring.append(data, number)
    kept = [data[-LONGEST:] for data in given_]  # the longest that fits
    reading = read_ring(path, limit)
    frames = reading.frames
    assert [frame.data for frame in frames] == kept[len(kept) - len(frames) :]
    assert [frame.time_ns for frame in frames] == list(range(len(kept) - len(frames), len(kept)))
    longer = [len(data) > LONGEST for data in given_]
    assert [frame.cut for frame in frames] == longer[len(kept) - len(frames) :]
    assert reading.written == sum(map(len, kept))
    # No more than is asked for, and no less, but for what was overwritten.
    assert sum(len(frame.data) for frame in frames[1:]) < max(limit, 1)
    whole = read_ring(path, ALL).frames
    if sum(len(frame.data) for frame in frames) < limit:
        assert frames == whole
    # What the model says is left: as much as there is room for, but for what is reserved ahead.
    room = CAPACITY - (int.from_bytes(path.read_bytes()[40:48], "little") - end_of(path))
    left = 0
    for data in reversed(kept):
        room -= len(data) + layout.FRAME_BYTES
        left += room >= 0
        if room < 0:
            break
    assert len(whole) == left


@settings(max_examples=200)
@given(garbage=st.binary(max_size=3000))
def test_garbage_is_no_ring(tmp_path_factory, garbage):
    path = tmp_path_factory.mktemp("garbage") / "1-1.ring"
    path.write_bytes(garbage)
    assert read_ring(path, ALL) is None


@given(data=st.data())
def test_a_ring_that_was_damaged_is_read_without_an_exception(tmp_path_factory, data):
    ring, path = opened(tmp_path_factory.mktemp("run"))
    for number in range(data.draw(st.integers(0, 50))):
        ring.append(record(number, 60), number)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 20))):
        place = data.draw(st.integers(0, 127)) if data.draw(st.booleans()) else None
        place = data.draw(st.integers(0, len(content) - 1)) if place is None else place
        content[place] = data.draw(st.sampled_from([0, 1, 31, 32, 127, 128, 255]))
    content = content[: data.draw(st.sampled_from([len(content), 300, 256, 100]))]
    path.write_bytes(content)
    with contextlib.suppress(UnknownVersionError):
        reading = read_ring(path, ALL)
        assert reading is None or len(reading.frames) <= 40


def test_what_is_not_a_ring_is_none(tmp_path):
    _, ring = opened(tmp_path)
    assert read_ring(tmp_path / "missing.ring", 1) is None
    assert read_ring(tmp_path, 1) is None
    os.mkfifo(tmp_path / "fifo.ring")
    assert read_ring(tmp_path / "fifo.ring", 1) is None
    for number, target in enumerate(("/dev/zero", ring)):
        link = tmp_path / f"link{number}.ring"
        link.symlink_to(target)
        assert read_ring(link, 1) is None


@pytest.mark.parametrize(
    "change",
    [lambda content: b"?" + content[1:], lambda content: content[:-1]],
    ids=["of another make", "cut short"],
)
def test_what_is_like_a_ring_is_none(tmp_path, change):
    ring, path = opened(tmp_path)
    ring.append(b"one\n", 1)
    path.write_bytes(change(path.read_bytes()))
    assert read_ring(path, ALL) is None


def test_frames_that_were_reserved_but_never_written_are_left_out(open_one):
    """A process dies, or a signal handler logs, in the middle of a write."""
    ring, path = open_one()
    for number in range(30):
        ring.append(record(number, 50), number)
    content = bytearray(path.read_bytes())
    head = end_of(path)
    reserved = (head + 90).to_bytes(8, "little")
    path.write_bytes(content[:40] + reserved + content[48:])
    after = [frame.time_ns for frame in read_ring(path, ALL).frames]
    assert after == list(range(after[0], 30))
    assert len(after) >= 10
    # One in the middle
    at = layout.HEADER + head % CAPACITY
    stamp = content[at - 8 : at]
    assert int.from_bytes(stamp, "little") == head
    for back in (82, 164):
        place = layout.HEADER + (head - back - 1) % CAPACITY
        content[place] ^= 1
    path.write_bytes(content)
    after = [frame.time_ns for frame in read_ring(path, ALL).frames]
    assert 29 in after
    assert 28 not in after
    assert 27 not in after
    assert 26 in after


@pytest.mark.parametrize("start", [-1, 0, 1])
def test_a_frame_that_begins_where_it_ends_is_left_out(open_one, start):
    ring, path = open_one()
    for number in range(3):
        ring.append(b"x", number)
    content = bytearray(path.read_bytes())
    head = end_of(path)
    at = layout.HEADER + head % CAPACITY - layout.FRAME_BYTES
    content[at : at + 8] = (head + start).to_bytes(8, "little")
    path.write_bytes(content)
    assert [frame.time_ns for frame in read_ring(path, ALL).frames] == [0, 1]


def test_a_ring_is_read_while_it_is_written(open_one):
    ring, path = open_one(8192)
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            ring.append(record(number, number % 150), number)
            number += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(300):
            frames = read_ring(path, ALL).frames
            first = frames[0].time_ns if frames else 0
            for number, frame in enumerate(frames, first):
                assert frame[:2] == (number, record(number, number % 150))
    finally:
        stop.set()
        thread.join()


def test_threads_append_one_after_the_other(open_one):
    ring, path = open_one(1 << 20)

    def write(thread: int) -> None:
        for number in range(500):
            ring.append(b"%d %d" % (thread, number), number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found: dict[bytes, list[int]] = {}
    for frame in read_ring(path, ALL).frames:
        thread, number = frame.data.split()
        found.setdefault(thread, []).append(int(number))
    assert list(found.values()) == [list(range(500))] * 16


def test_a_finalizer_may_append_in_the_middle(open_one):
    ring, path = open_one(1 << 20)

    class Data(bytes):
        interrupted = False

        def __add__(self, other: bytes) -> bytes:  # where a signal handler may run
            if not self.interrupted:
                self.interrupted = True
                ring.append(b"inner", 1)
            return bytes(self) + other

    for _ in range(10):
        ring.append(Data(b"outer"), 2)
    frames = [frame.data for frame in read_ring(path, ALL).frames]
    assert sorted(frames) == [b"inner"] * 10 + [b"outer"] * 10


def test_the_header_tells_what_happened(open_one):
    ring, path = open_one()
    before = time.monotonic_ns()
    reading = read_ring(path, ALL)
    said = (reading.pid, reading.failures, reading.markers, reading.level)
    assert said == (os.getpid(), 0, 0, -1)
    assert (reading.traceback, reading.lost, reading.orphans) == (None, 0, 0)
    assert before - 10**10 < reading.started_ns < before
    assert abs(reading.started_ns + reading.wall_offset_ns - time.time_ns()) < 10**10
    ring.count_failure()
    ring.raise_level(30)
    ring.raise_level(20)
    ring.count(layout.RING_LOST)
    ring.append(b"one\n", 1)
    ring.append_traceback(b"KeyError \xff\n", 2)
    ring.append_traceback(b"Exception in thread A:\n", 2)
    assert read_ring(path, ALL).written == 4
    ring.append(b"two\n", 3)
    reading = read_ring(path, ALL)
    assert (reading.failures, reading.markers, reading.level) == (1, 0, 30)
    assert (reading.lost, reading.traceback) == (1, "KeyError \ufffd\n")
    assert reading.threads == ["Exception in thread A:\n"]
    assert [frame.data for frame in reading.frames] == [b"one\n", b"two\n"]
    assert reading.written == 8


def test_a_level_may_be_larger_than_a_word_holds(open_one):
    ring, path = open_one()
    for _ in range(2):
        ring.raise_level(2**64)
        assert read_ring(path, ALL).level == 2**64 - 2


def test_the_wall_clock_may_be_before_the_monotonic_one(open_one, monkeypatch):
    monkeypatch.setattr(time, "time_ns", lambda: 10)
    reading = read_ring(open_one()[1], ALL)
    assert reading.started_ns + reading.wall_offset_ns == 10


def test_a_long_record_is_cut_at_a_character(open_one):
    ring, path = open_one()
    ring.append(("€" * 1000).encode(), 1)
    (frame,) = read_ring(path, ALL).frames
    assert set(frame.data.decode()) == {"€"}
    assert LONGEST - 3 <= len(frame.data) <= LONGEST


def test_what_is_older_than_asked_for_is_not_read(open_one):
    ring, path = open_one()
    for number in range(5):
        ring.append(b"x", number)
    assert [frame.time_ns for frame in read_ring(path, ALL, 3).frames] == [3, 4]
    assert read_ring(path, ALL, 3).written == 5


def test_a_ring_keeps_no_descriptor(tmp_path):
    before = descriptors()
    _, path = opened(tmp_path)
    read_ring(path, ALL)
    path.write_bytes(b"no ring")
    read_ring(path, ALL)
    assert descriptors() == before


def test_a_file_system_that_only_pretends_gets_no_ring(tmp_path, monkeypatch):
    monkeypatch.setattr(
        portable_ring.posix,
        "posix_fallocate",
        lambda fd, _, size: os.truncate(fd, size),
        raising=True,
    )
    with pytest.raises(OSError, match="allocates nothing"):
        open_ring(str(tmp_path), 1 << 16, 1)
    assert list(tmp_path.iterdir()) == []


def test_notes_are_read(tmp_path):
    (tmp_path / "12-345.note").symlink_to("can't open a ring: No space left on device")
    (tmp_path / "x-1.note").symlink_to("no pid")
    (tmp_path / "13-1.note").write_text("no link")
    for pid in (15, 17, 16, 14):
        (tmp_path / f"{pid}-1.note").symlink_to("why")
    assert read_notes(Directory(str(tmp_path))) == [
        (12, "can't open a ring: No space left on device"),
        *((pid, "why") for pid in (14, 15, 16, 17)),
    ]


# Markers and messages


@given(
    line=st.one_of(st.binary(max_size=60), st.sampled_from([b"\\" * 5000, b"\xe2\x82\xac" * 2000])),
    run_id=st.one_of(st.none(), st.text(max_size=30), st.integers(), st.just("x" * 5000)),
    event=st.sampled_from(["start", "success", "fail", "log"]),
)
def test_a_message_arrives_as_it_was_sent(tmp_path_factory, line, run_id, event):
    directory = tmp_path_factory.mktemp("run")
    os.mkfifo(directory / "channel")
    reading = os.open(directory / "channel", os.O_RDWR | os.O_NONBLOCK)
    try:
        extra = {} if run_id is None else {"run_id": run_id}
        channel.send(str(directory), channel.about(event, {"extra": extra}), line, 5, 6, 7)
        data = os.read(reading, 1 << 16)
    finally:
        os.close(reading)
    assert len(data) <= layout.MESSAGE_BYTES
    (message,), rest = parse_messages(data)
    assert rest == b""
    expected = None if run_id is None else run_id_from(run_id)
    told = Message(os.getpid(), 5, event, b"", message.lane, expected, 6, 7)
    assert message._replace(line=b"") == told
    assert line.startswith(message.line)
    assert len(message.line) >= min(len(line), 1500)
    if len(line) == 6000:
        assert set(message.line.decode()) == {"€"}


MESSAGE = b"loghc2\t1\t2\t0\t0\tfail\t3,4\t-\tx"


@given(st.lists(st.one_of(st.binary(max_size=50), st.just(MESSAGE + b"\n"))))
def test_garbage_in_the_channel_is_left_out(parts):
    messages, rest = [], b""
    for part in parts:
        more, rest = parse_messages(rest + part)
        messages += more
    assert all(message == (1, 2, "fail", b"x", (3, 4), None, 0, 0) for message in messages)
    good = b"".join(parts).split(b"\n")[:-1].count(MESSAGE)
    assert len(messages) == good


def test_a_line_without_an_end_is_forgotten():
    assert parse_messages(b"x" * layout.MESSAGE_BYTES) == ([], b"")
    assert parse_messages(b"loghc2\t1") == ([], b"loghc2\t1")
    for digits, messages in ((20, 1), (21, 0)):
        line = b"loghc2\t" + b"9" * digits + b"\t2\t0\t0\tfail\t3,4\t-\tx\n"
        assert len(parse_messages(line)[0]) == messages
    for event in (b"party", b"\xff"):
        assert parse_messages(b"loghc2\t1\t2\t0\t0\t" + event + b"\t3\t-\tx\n")[0] == []
    for run_id in (b"\xff", b"nightly", b"9e9d9bbe-4f2b-4a0e-a1e0-11111111111\n"):
        (message,), _ = parse_messages(b"loghc2\t1\t2\t0\t0\tfail\t3\t" + run_id.strip() + b"\tx\n")
        assert message.run_id is None
    for lane in (b"", b"3,", b"x", b"-3", b"9" * 21):
        assert parse_messages(b"loghc2\t1\t2\t0\t0\tstart\t" + lane + b"\t-\tx\n")[0] == []


def test_the_configuration_is_read(tmp_path):
    path = tmp_path / "config"
    path.write_text(
        "version=1\ncapacity=4096\nlevel=15\nmarker=fail a\\nb\\\\n=\\r\nmarker=log x y\n"
        "marker=log\nsalt=00\nunknown\n",
        encoding="utf-8",
    )
    config = read_config(str(tmp_path))
    assert (config.capacity, config.level) == (4096, 15)
    assert config.markers == {"a\nb\\n=\r": "fail", "x y": "log"}


def test_a_python_without_some_modules_in_c_has_rings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = portable_ring.load

    def load(name: str) -> object:
        if name == "_datetime":  # as on PyPy
            raise ImportError(name)
        return genuine(name)

    monkeypatch.setattr(portable_ring, "load", load)
    ring, path = opened(tmp_path)
    ring.append(b"a record", 1)
    assert [frame.data for frame in read_ring(path, ALL).frames] == [b"a record"]
