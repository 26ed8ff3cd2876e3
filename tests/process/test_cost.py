"""A record costs O(1): told by counting operations, never by a clock.

The benchmarks measure how long a record takes. Here it is counted what is done for it, so that a
step that grows with what is held, or with what came before, fails on any machine at any load.
"""

from __future__ import annotations

import re
import sys
import tracemalloc
from collections import Counter, deque
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest
from loguru import logger

from loghc import HealthSink
from loghc.log import tail as tail_module
from loghc.log.tail import Tail
from loghc.testing import PingReceiver

URL = "http://127.0.0.1:9/9e9d9bbe-4f2b-4a0e-a1e0-111111111111"
COUNTS = [1_000, 10_000, 100_000]
MANY = 1_000_000


class Work:
    """What was done: calls, bytes copied, and elements moved."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def per_record(self, records: int) -> dict[str, float]:
        return {name: count / records for name, count in self.counts.items()}


class CountingDeque(deque[bytes]):
    """A deque whose operations count; those that look at all of it count all of it."""

    work: Work

    def append(self, chunk: bytes) -> None:
        self.work.counts["moves"] += 1
        self.work.counts["bytes"] += len(chunk)
        super().append(chunk)

    def pop(self) -> bytes:  # type: ignore[override]
        self.work.counts["moves"] += 1
        return super().pop()

    def popleft(self) -> bytes:
        self.work.counts["moves"] += 1
        return super().popleft()

    def __iter__(self) -> Iterator[bytes]:
        self.work.counts["moves"] += len(self)
        return super().__iter__()

    def __getitem__(self, index: Any) -> bytes:
        self.work.counts["moves"] += 1
        return super().__getitem__(index)


class CountingList(list[str]):
    """A list whose operations count; those at its front count what they move."""

    work: Work

    def append(self, text: str) -> None:
        self.work.counts["moves"] += 1
        self.work.counts["bytes"] += len(text)
        super().append(text)

    def pop(self, index: Any = -1) -> str:
        self.work.counts["moves"] += 1 if index == -1 else len(self)
        return super().pop(index)

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        self.work.counts["moves"] += len(found) if isinstance(index, slice) else 1
        return found

    def __delitem__(self, index: Any) -> None:
        self.work.counts["moves"] += len(self)
        super().__delitem__(index)

    def __iter__(self) -> Iterator[str]:
        self.work.counts["moves"] += len(self)
        return super().__iter__()


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    """Count what every tail that is made from now on does with its records."""
    work = Work()
    encode = tail_module.encode

    def counting_encode(text: str) -> bytes:
        data = encode(text)
        work.counts["bytes"] += len(data)
        return data

    def counting_init(self: Tail, limit: int) -> None:
        init(self, limit)
        for name in Tail.__slots__:
            value = getattr(self, name)
            counting = (
                CountingList(value)
                if isinstance(value, list)
                else CountingDeque(value)
                if isinstance(value, deque)
                else None
            )
            if counting is not None:
                counting.work = work
                setattr(self, name, counting)

    init = Tail.__init__
    monkeypatch.setattr(Tail, "__init__", counting_init)
    monkeypatch.setattr(tail_module, "encode", counting_encode)
    return work


def record(number: int, size: int = 100) -> str:
    return f"{number:0{size - 1}d}\n"


def calls_during(function: Callable[[], object]) -> Counter[str]:
    """Every call that Python or C code is given, by name; those of a regular expression as "re"."""
    calls: Counter[str] = Counter()

    def count(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            calls[frame.f_code.co_name] += 1
        elif event == "c_call":
            is_pattern = isinstance(argument.__self__, re.Pattern)
            calls["re" if is_pattern else argument.__name__] += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(before)
    return calls


def work_for(work: Work, sink: HealthSink, records: int) -> dict[str, float]:
    work.counts.clear()
    for number in range(records):
        sink.write(record(number))
    return work.per_record(records)


@pytest.mark.parametrize("limit", [1_000, 100_000, 5_000_000, 50_000_000])
def test_a_record_costs_the_same_after_a_thousand_and_after_a_hundred_thousand(
    work: Work, limit: int
) -> None:
    costs = [work_for(work, HealthSink(URL, limit=limit), count) for count in COUNTS]
    for cost in costs:
        # The record enters the list once, the batch is taken out and encoded once, and a chunk
        # enters and leaves. Merging small chunks could copy each byte a few times more.
        assert 0 < cost["moves"] < 4
        assert 100 <= cost["bytes"] < 600


@pytest.mark.slow
def test_a_record_costs_the_same_after_a_million(work: Work) -> None:
    sink = HealthSink(URL)
    first = work_for(work, sink, 10_000)
    line = record(0)
    for _ in range(MANY - 20_000):
        sink.write(line)
    last = work_for(work, sink, 10_000)
    assert last["moves"] <= 1.1 * first["moves"]
    assert last["bytes"] <= 1.1 * first["bytes"]


@pytest.mark.parametrize("size", [1, 10, 100, 1_000, 10_000])
def test_each_byte_is_copied_a_bounded_number_of_times(work: Work, size: int) -> None:
    sink = HealthSink(URL)
    for number in range(5_000):
        sink.write(record(number, size)[-size:])
    # Chunks of up to 4,096 bytes are merged: at worst, batches of 64 bytes enter one 64 times.
    assert work.counts["bytes"] < 100 * 5_000 * size
    assert work.counts["moves"] < 10 * 5_000


def test_a_record_is_copied_no_more_often_for_a_larger_limit(work: Work) -> None:
    small = work_for(work, HealthSink(URL, limit=10_000), 20_000)
    large = work_for(work, HealthSink(URL, limit=100_000_000), 20_000)
    assert large["moves"] <= small["moves"]
    assert large["bytes"] <= small["bytes"]


def test_the_number_of_calls_grows_as_the_records_do() -> None:
    sink = HealthSink(URL)
    lines = [record(number) for number in range(32)]

    def write(count: int) -> Callable[[], None]:
        def run() -> None:
            for number in range(count):
                sink.write(lines[number % 32])

        return run

    write(6_400)()
    few = sum(calls_during(write(6_400)).values())
    many = sum(calls_during(write(128_000)).values())
    assert many <= 1.05 * 20 * few
    assert few < 8 * 6_400


def test_a_marker_looks_at_the_chunks_once_and_copies_no_log_in_the_caller(work: Work) -> None:
    tail = Tail(100_000)
    for number in range(2_000):
        tail.append(record(number))
    work.counts.clear()
    snapshot = tail.snapshot()
    assert 0 < work.counts["moves"] <= 2 * len(snapshot.chunks) + 4 * tail_module._BATCH
    # What waited is encoded; the other 100,000 bytes are left as they are.
    assert work.counts["bytes"] < 10_000


def test_a_record_that_is_no_marker_costs_no_regular_expression() -> None:
    sink = HealthSink(URL)
    logger.remove()
    handler = logger.add(sink, format="{message}")

    def log() -> None:
        for number in range(50):
            logger.info("copied file number {}", number)

    log()
    calls = calls_during(log)
    logger.remove(handler)
    assert calls["write"] >= 50
    assert not calls["re"]


@pytest.mark.parametrize("text", ["x", "copied\n", "é" * 100 + "\n", "y" * 5_000, "z" * 200_000])
def test_what_the_sink_keeps_is_what_the_tail_alone_would_keep(
    text: str, ping_receiver: PingReceiver
) -> None:
    sink, tail = HealthSink(ping_receiver.url), Tail(100_000)
    for number in range(100):
        for part in (f"{number} ", text):
            sink.write(part)
            tail.append(part)
    logger.add(sink, format="{message}")
    logger.info("sync.done")
    tail.append("sync.done\n")
    end = b"".join(tail.snapshot().chunks)[-100_000:].decode("utf-8", "ignore")
    assert ping_receiver.wait(1)[0].text == end


def test_a_disabled_sink_keeps_next_to_nothing() -> None:
    sink = HealthSink()
    tracemalloc.start()
    try:
        for number in range(10_000):
            sink.write(record(number))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 40_000  # of the 1,000,000 that were written
