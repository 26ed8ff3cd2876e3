"""The tail against the plainest model: the last bytes of everything, put together."""

from __future__ import annotations

import gc
import sys
import threading
import time
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from loguru import logger

from loghc import HealthSink
from loghc.log.masking import Masker
from loghc.log.rendering import Renderer
from loghc.log.tail import CONTEXT, Snapshot, Tail
from loghc.log.tracebacks import without_middle
from loghc.service.url import PingUrl
from loghc.testing import Fault, PingReceiver
from waiting import in_threads, wait_until, wait_until_in

LIMITS = (1, 2, 3, 5, 17, 100, 1_000, 100_000)

# One to four bytes each; both halves of a surrogate pair; what line splitting trips over.
CHARACTERS = "a\né€😀\ud83d\ude00\r\u2028\x85"
SIZES_THAT_MATTER = (0, 1, 31, 32, 33, 4_095, 4_096, 4_097, CONTEXT - 1, CONTEXT, CONTEXT + 1)

PRINTED = st.characters(exclude_characters="\x1b\0")  # a body leaves escapes and NULs out
NO_SECRET = Masker(PingUrl.parse("http://127.0.0.1/"))


def body(snapshot: Snapshot, limit: int) -> bytes:
    return Renderer(limit, NO_SECRET, None).render(snapshot).whole()


def plain_end(records: list[str], limit: int) -> bytes:
    """The model: all of the log, its last bytes, and no half of a character."""
    everything = b"".join(record.encode("utf-8", "replace") for record in records)
    return everything[-limit:].decode("utf-8", "ignore").encode()


def records_for(limit: int) -> st.SearchStrategy[str]:
    sizes = sorted({*SIZES_THAT_MATTER, *(n + limit for n in (*SIZES_THAT_MATTER, -1))})
    huge = st.builds(
        lambda head, char, size, end: head + char * size + end,
        st.text(CHARACTERS, max_size=3),
        st.sampled_from(CHARACTERS),
        st.sampled_from([size for size in sizes if size <= 20_000]),
        st.text(CHARACTERS, max_size=3),
    )
    return st.one_of(
        st.text(PRINTED, max_size=200),
        st.text(st.one_of(st.sampled_from(CHARACTERS), PRINTED), max_size=40),
        st.text(PRINTED, max_size=80).map(lambda text: f"{text}\n"),
        huge,
    )


@pytest.mark.parametrize("limit", LIMITS)
@given(data=st.data())
@settings(max_examples=60)
def test_the_body_is_the_last_bytes_of_everything_logged(limit: int, data: st.DataObject) -> None:
    tail, records = Tail(limit), data.draw(st.lists(records_for(limit), max_size=80))
    for record in records:
        tail.append(record)
    assert body(tail.snapshot(), limit) == plain_end(records, limit)


class TailMachine(RuleBasedStateMachine):
    """Appends and snapshots in any order; every snapshot stays what it was when it was taken."""

    @initialize(limit=st.sampled_from(LIMITS))
    def begin(self, limit: int) -> None:
        self.limit = limit
        self.tail = Tail(limit)
        self.records: list[str] = []
        self.taken: list[tuple[Snapshot, bytes]] = []

    def _append(self, record: str) -> None:
        self.tail.append(record)
        self.records.append(record)

    @rule(record=st.text(CHARACTERS, max_size=60))
    def append_short(self, record: str) -> None:
        self._append(record)

    @rule(char=st.sampled_from(CHARACTERS), size=st.sampled_from(SIZES_THAT_MATTER))
    def append_of_a_size_that_matters(self, char: str, size: int) -> None:
        self._append(char * size)

    @rule(
        char=st.sampled_from(CHARACTERS), beyond=st.sampled_from((-1, 0, 1, CONTEXT, CONTEXT + 1))
    )
    def append_about_the_limit(self, char: str, beyond: int) -> None:
        self._append(char * (self.limit + beyond))

    @rule(record=st.text(CHARACTERS, max_size=3), times=st.integers(30, 70))
    def append_many(self, record: str, times: int) -> None:
        for _ in range(times):
            self._append(record)

    @rule()
    def snapshot(self) -> None:
        self.taken.append((self.tail.snapshot(), plain_end(self.records, self.limit)))

    @invariant()
    def snapshots_are_the_end_of_the_log(self) -> None:
        for snapshot, expected in getattr(self, "taken", ())[-3:]:
            assert body(snapshot, self.limit) == expected

    def teardown(self) -> None:
        if hasattr(self, "tail"):
            self.snapshot()
            for snapshot, expected in self.taken:
                assert body(snapshot, self.limit) == expected


TestTailMachine = TailMachine.TestCase
TestTailMachine.settings = settings(max_examples=60, stateful_step_count=25)


@pytest.mark.parametrize("limit", LIMITS)
def test_a_record_longer_than_the_limit_is_kept_as_its_end(limit: int) -> None:
    tail = Tail(limit)
    record = "".join(f"{n:09d}\n" for n in range(3 * limit // 10 + 2))
    tail.append("before\n")
    tail.append(record)
    assert body(tail.snapshot(), limit) == record.encode()[-limit:]


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("char", ["é", "€", "😀"])
def test_a_body_is_within_one_character_of_the_limit(limit: int, char: str) -> None:
    tail = Tail(limit)
    for _ in range(2 * limit):
        tail.append(char)
    text = body(tail.snapshot(), limit)
    assert limit - len(char.encode()) < len(text) <= limit
    assert text.decode("utf-8") == char * (limit // len(char.encode()))


@pytest.mark.parametrize("limit", LIMITS)
def test_lone_surrogates_never_raise_and_never_break_the_text(limit: int) -> None:
    tail = Tail(limit)
    for text in ("\ud800", "ok \udfff\n", "\ud83d", "\ude00", "\udcff" * 5_000):
        tail.append(text)
    everything = b"ok ?\n" + b"?" * 5_002
    assert body(tail.snapshot(), limit) == (b"?" + everything)[-limit:]


@pytest.fixture
def traced_memory() -> Iterator[None]:
    gc.collect()
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.usefixtures("traced_memory")
@pytest.mark.parametrize("char", ["x", "é", "😀"])
def test_memory_for_100_kb_of_log_in_usual_records_stays_under_250_000_bytes(char: str) -> None:
    padding = char * 60
    before = tracemalloc.get_traced_memory()[0]
    tail = Tail(100_000)
    tracemalloc.reset_peak()
    for n in range(5_000):
        tail.append(f"2026-11-22 13:08:45.000 | INFO | copied {n:6} {padding[:55]}\n")
    assert tracemalloc.get_traced_memory()[1] - before < 250_000
    assert len(body(tail.snapshot(), 100_000)) > 100_000 - 4


@pytest.mark.usefixtures("traced_memory")
def test_a_million_records_of_one_character_take_no_more_memory_than_long_ones() -> None:
    def peak() -> int:
        before = tracemalloc.get_traced_memory()[0]
        tail = Tail(100_000)
        tracemalloc.reset_peak()
        append = tail.append
        for _ in range(500_000):
            append("x")
            append("é")
        most = tracemalloc.get_traced_memory()[1] - before
        assert body(tail.snapshot(), 100_000) == plain_end(["xé" * 50_000], 100_000)
        assert len(tail.snapshot().chunks) < 200
        return most

    # A thread that another test has left may take some meanwhile.
    assert any(peak() < 250_000 for _ in range(3))


@pytest.mark.usefixtures("traced_memory")
def test_records_far_longer_than_the_limit_are_not_kept_whole() -> None:
    record = "x" * 5_000_000
    before = tracemalloc.get_traced_memory()[0]
    tail = Tail(1_000)
    for _ in range(3):
        tail.append(record)
    assert tracemalloc.get_traced_memory()[0] - before < 50_000


def seconds_for_appends(limit: int) -> float:
    tail = Tail(limit)
    record = "x" * 94 + "\n"
    for _ in range(limit // 90):
        tail.append(record)
    begun = time.thread_time()
    for _ in range(20_000):
        tail.append(record)
    return time.thread_time() - begun


def test_an_append_costs_the_same_whatever_the_limit() -> None:
    small = min(seconds_for_appends(1_000) for _ in range(3))
    large = min(seconds_for_appends(10_000_000) for _ in range(3))
    assert large < 8 * small


class Thing:
    """Something of the app's that must not be kept alive."""

    def __init__(self) -> None:
        self.itself = self


def log_with_everything(message: str) -> list[weakref.ref[Thing]]:
    """Log a record whose extra, exception, and frame each hold a thing."""
    in_extra, in_exception, in_frame = Thing(), Thing(), Thing()
    try:
        raise ValueError(in_exception)
    except ValueError:
        logger.bind(thing=in_extra).exception(message)
    return [weakref.ref(thing) for thing in (in_extra, in_exception, in_frame)]


def all_released(references: list[weakref.ref[Thing]]) -> bool:
    gc.collect()  # which does nothing while another thread is at it
    return all(reference() is None for reference in references)


@pytest.mark.parametrize("backtrace", [False, True], ids=["short", "long"])
def test_the_objects_of_a_record_are_released(ping_receiver: PingReceiver, backtrace: bool) -> None:
    sink = HealthSink(ping_receiver.url, limit=10_000_000)
    logger.add(sink, backtrace=backtrace)
    references = log_with_everything("not a marker")
    wait_until(lambda: all_released(references))


def test_the_objects_of_a_marker_are_released_while_its_ping_waits(
    ping_receiver: PingReceiver,
) -> None:
    ping_receiver.always(Fault(delay=float("inf")))
    sink = HealthSink(ping_receiver.url, drain=0.1)
    logger.add(sink, backtrace=False)
    references = log_with_everything("sync.error")
    references += log_with_everything("sync.error")
    wait_until(lambda: all_released(references))
    assert sink.stats.pending == 2


class Message(str):
    """As loguru's: a str that carries more."""


def test_the_tail_keeps_the_text_alone_of_what_is_more_than_text() -> None:
    tail = Tail(1_000)
    message = Message("text")
    reference = weakref.ref(message)
    tail.append(message)
    del message
    gc.collect()
    assert reference() is None


class Interrupted(list[str]):
    """A list to which another thread appends whenever it is read."""

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        super().append("late\n")
        return found


def test_a_record_that_comes_while_others_are_moved_is_not_lost() -> None:
    tail = Tail(1_000)
    tail._recent = Interrupted()
    for _ in range(2):
        tail.append("early\n")
        tail.snapshot()
    assert body(tail.snapshot(), 1_000) == b"early\nlate\nearly\nlate\n"


@pytest.fixture
def eager_switching() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("eager_switching")
def test_threads_that_append_at_once_lose_and_tear_nothing() -> None:
    tail = Tail(10_000_000)
    threads, lines = 6, 3_000
    taken: list[Snapshot] = []
    over = threading.Event()

    def append(name: int) -> None:
        for n in range(lines):
            # Every 500th is long, and takes another way.
            tail.append(f"{name} {n} {'é' * (5_000 if n % 500 == 0 else 10)}\n")

    def watch() -> None:
        while not over.is_set():
            taken.append(tail.snapshot())
            over.wait(0.005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    in_threads(append, threads)
    over.set()
    watcher.join()
    assert taken

    def numbers(snapshot: Snapshot) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {name: [] for name in range(threads)}
        for line in body(snapshot, 10_000_000).decode().splitlines():
            name, n, padding = line.split(" ")
            assert padding == "é" * (5_000 if int(n) % 500 == 0 else 10)
            found[int(name)].append(int(n))
        return found

    assert numbers(tail.snapshot()) == {name: list(range(lines)) for name in range(threads)}
    for snapshot in taken[:: max(1, len(taken) // 5)]:
        for found in numbers(snapshot).values():
            assert found == list(range(len(found)))


@pytest.mark.parametrize("how", ["a batch", "a long record", "a snapshot"])
def test_what_moves_records_waits_for_its_turn(how: str) -> None:
    tail = Tail(10_000)
    for _ in range(63):
        tail.append("x")
    record = "x" if how == "a batch" else "y" * 3_000
    thread = threading.Thread(target=tail.append, args=(record,))
    if how == "a snapshot":
        thread = threading.Thread(target=tail.snapshot)
    with tail._lock:
        thread.start()
        wait_until_in(thread, "snapshot" if how == "a snapshot" else "append")
        thread.join(0.05)
        assert thread.is_alive()
        assert tail._size == 0
    thread.join(20)
    assert body(tail.snapshot(), 10_000).startswith(b"x" * 63)


def test_a_record_does_not_wait_where_it_moves_no_others() -> None:
    tail = Tail(10_000)
    thread = threading.Thread(target=tail.append, args=("x",))
    with tail._lock:
        thread.start()
        thread.join(20)
        assert not thread.is_alive()
    assert body(tail.snapshot(), 10_000) == b"x"


@pytest.mark.parametrize(
    ("sizes", "kept"),
    [
        ((20_000, 15_000, 12_000), [12_000]),
        ((5_000, 5_000, 5_000), [5_000, 5_000]),
        ((5_000, 5_000, 4_999), [5_000, 5_000, 4_999]),
        ((9_000, 3_000, 5_000), [9_000, 3_000, 5_000]),
        ((3_000, 9_000, 5_000), [9_000, 5_000]),
    ],
)
def test_a_chunk_that_lies_before_the_limit_is_not_kept(
    sizes: tuple[int, ...], kept: list[int]
) -> None:
    tail = Tail(10_000)
    for size in sizes:
        tail.append("x" * size)
    assert [len(chunk) for chunk in tail.snapshot().chunks] == kept


@pytest.mark.parametrize(
    ("batches", "chunks"),
    [((2_000, 2_000, 96), [4_096]), ((2_000, 2_000, 97), [4_000, 97]), ((96, 2_000), [2_096])],
)
def test_batches_are_merged_up_to_4096_bytes(batches: tuple[int, ...], chunks: list[int]) -> None:
    tail = Tail(100_000)
    for size in batches:
        tail.append("x" * size)
        tail.snapshot()
    assert [len(chunk) for chunk in tail.snapshot().chunks] == chunks


@pytest.mark.parametrize("size", [1, 10, 50, 2_000, 3_000])
def test_little_more_than_the_limit_is_kept(size: int) -> None:
    tail = Tail(10_000)
    for _ in range(100_000 // size):
        tail.append("x" * size)
    batch = max(64 * size if size <= 2_048 else size, 4_096)
    assert 10_000 <= sum(map(len, tail.snapshot().chunks)) < 10_000 + batch


def test_of_a_record_longer_than_the_limit_8192_characters_more_are_kept() -> None:
    tail = Tail(100)
    for size, kept, cut in ((8_292, 8_292, False), (8_293, 8_292, True), (9_000, 8_292, True)):
        tail.append("\u00e9" + "x" * (size - 1))
        snapshot = tail.snapshot()
        assert len(b"".join(snapshot.chunks).decode()) == kept
        assert snapshot.begins_inside_record is cut


FRAMES = "".join(f'  File "a.py", line {number:3}\n' for number in range(200))


@pytest.mark.parametrize(
    ("record", "whole"),
    [
        ({"exception": ("RecursionError", "too deep")}, False),
        ({"exception": None}, True),
        ({}, True),
        (None, True),
    ],
)
def test_a_traceback_takes_a_third_of_a_body_at_most(record: object, whole: bool) -> None:
    message = Message(f"failed\n{FRAMES}RecursionError: too deep\n")
    if record is not None:
        message.record = record  # type: ignore[attr-defined]
    for limit, body_size in ((3_000, None), (100_000, 3_000)):
        tail = Tail(limit)
        if body_size is not None:
            tail.body_size = lambda body_size=body_size: body_size  # type: ignore[misc]
        tail.append(message)
        kept = b"".join(tail.snapshot().chunks).decode()
        assert kept == (message if whole else without_middle(message, 1_000))


def test_after_a_fork_no_thread_that_is_gone_keeps_the_tail() -> None:
    tail = Tail(1_000)
    with tail._lock:  # by a thread that lives: a new one may get the identifier of one that's gone
        tail.after_fork()
        thread = threading.Thread(target=tail.snapshot, daemon=True)
        thread.start()
        thread.join(20)
        assert not thread.is_alive()


class HandlerError(Exception):
    """What a signal handler may raise."""


def interrupted(work: Callable[[], object], line: int) -> bool:
    """Do some work, with an exception before the nth line of the tail's that it executes."""
    left = line

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        if frame.f_code.co_filename != Tail.append.__code__.co_filename:
            return None
        left -= event == "line"
        if left == 0:
            left = -1
            raise HandlerError
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    except HandlerError:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.mark.parametrize("size", [40, 3_000])
def test_exceptions_out_of_a_signal_handler_leave_a_tail_of_the_usual_size(size: int) -> None:
    line, hit = 0, True
    while hit:
        line += 1
        tail = Tail(10_000)
        for _ in range(20):
            tail.append("x" * size)
            hit = interrupted(lambda tail=tail: tail.append("x" * 3_000), line)  # type: ignore[misc]
        tail.append("z" * 3_000)
        assert body(tail.snapshot(), 3_000) == b"z" * 3_000
        for _ in range(5):
            tail.append("y" * 3_000)
        assert 10_000 <= sum(map(len, tail.snapshot().chunks)) < 13_000, line
        assert body(tail.snapshot(), 10_000) == b"y" * 10_000
    assert line > 15
