"""``scope="run"``: each run's pings carry its own lines."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from loguru import logger

from loghc import Event, HealthSink, job
from loghc.testing import PingReceiver
from loghc.testing.requests import ReceivedPing
from waiting import in_threads

JOBS = ("photos", "mails", "bills")


@pytest.fixture
def receivers() -> Iterator[list[PingReceiver]]:
    with PingReceiver() as one, PingReceiver() as two, PingReceiver() as three:
        yield [one, two, three]


def add(url: str, *, enqueue: bool = False, **options: object) -> HealthSink:
    sink = HealthSink(url, scope="run", **options)  # type: ignore[arg-type]
    logger.add(sink, format="{message}", enqueue=enqueue, catch=False)
    return sink


def finish(*sinks: HealthSink) -> None:
    logger.complete()
    assert all(sink.wait(30) for sink in sinks)


def lines(ping: ReceivedPing) -> list[str]:
    """What was logged, as the ping tells it; a failure's headline is left out."""
    text = ping.text.partition("\n\n")[2] if ping.event is Event.FAIL else ping.text
    return text.splitlines()


@pytest.mark.parametrize("enqueue", [False, True], ids=["", "enqueue"])
def test_three_jobs_in_threads_send_each_check_its_own_lines(
    receivers: list[PingReceiver], enqueue: bool
) -> None:
    sinks = [
        add(receiver.url, job=name, enqueue=enqueue)
        for receiver, name in zip(receivers, JOBS, strict=True)
    ]
    barrier = threading.Barrier(3)

    def work(number: int) -> None:
        name = JOBS[number]
        barrier.wait(10)
        with job(name):
            barrier.wait(10)
            for photo in range(20):
                logger.info(f"{name} {photo}")
            barrier.wait(10)

    in_threads(work, 3)
    finish(*sinks)
    for receiver, name in zip(receivers, JOBS, strict=True):
        done = receiver.pings[-1]
        assert done.event is Event.SUCCESS
        own = [f"{name}.start", *(f"{name} {photo}" for photo in range(20)), f"{name}.done"]
        assert lines(done) == own


@pytest.mark.parametrize("enqueue", [False, True], ids=["", "enqueue"])
def test_runs_of_one_job_that_overlap_in_threads_keep_their_own_lines(
    receiver: PingReceiver, enqueue: bool
) -> None:
    sink = add(receiver.url, enqueue=enqueue)
    barrier = threading.Barrier(4)

    def work(number: int) -> None:
        barrier.wait(10)
        logger.info("sync.start")
        barrier.wait(10)
        logger.info(f"copied {number}")
        barrier.wait(10)
        logger.info("sync.done")

    in_threads(work, 4)
    finish(sink)
    ends = [ping for ping in receiver.pings if ping.event is Event.SUCCESS]
    told = sorted(lines(ping) for ping in ends)
    assert told == [["sync.start", f"copied {number}", "sync.done"] for number in range(4)]


def test_runs_in_tasks_keep_their_own_lines_and_those_of_inner_runs(receiver: PingReceiver) -> None:
    sink = add(receiver.url)

    async def work(number: int) -> None:
        logger.info("sync.start")
        await asyncio.sleep(0)
        logger.info(f"copied {number}")
        await asyncio.sleep(0)
        logger.info("sync.start")
        await asyncio.to_thread(logger.info, f"inner {number}")
        logger.info("sync.done")
        logger.info("sync.done")

    async def main() -> None:
        await asyncio.gather(work(0), work(1))

    asyncio.run(main())
    finish(sink)
    ends = sorted(lines(ping) for ping in receiver.pings if ping.event is Event.SUCCESS)
    inner = [["sync.start", f"inner {number}", "sync.done"] for number in (0, 1)]
    outer = [["sync.start", f"copied {number}", *inner[number], "sync.done"] for number in (0, 1)]
    assert ends == [*outer, *inner]


def test_a_success_after_a_failure_carries_no_line_of_the_failure(receiver: PingReceiver) -> None:
    sink = add(receiver.url)
    logger.info("before")
    logger.info("sync.start")
    logger.error("ERROR: no space left")
    logger.error("sync.error: disk full")
    logger.info("sync.start")
    logger.info("copied")
    logger.info("sync.done")
    finish(sink)
    _, fail, start, done = receiver.pings
    assert lines(fail) == ["sync.start", "ERROR: no space left", "sync.error: disk full"]
    assert lines(start) == ["sync.start"]
    assert lines(done) == ["sync.start", "copied", "sync.done"]


def test_a_record_of_which_nothing_is_known_stays(receiver: PingReceiver) -> None:
    sink = add(receiver.url)
    begun, end = threading.Event(), threading.Event()

    def pool() -> None:  # a thread that was there before the run
        begun.wait(10)
        logger.info("from the pool")
        end.set()

    thread = threading.Thread(target=pool)
    thread.start()
    logger.info("sync.start")
    begun.set()
    assert end.wait(10)
    logger.info("sync.done")
    thread.join()
    finish(sink)
    assert lines(receiver.pings[-1]) == ["sync.start", "from the pool", "sync.done"]


def test_a_message_that_was_patched_into_no_text_stays(receiver: PingReceiver) -> None:
    sink = add(receiver.url)
    logger.info("sync.start")
    logger.patch(lambda record: record.update(message=42)).info("x")  # type: ignore[call-arg]
    logger.info("sync.done")
    finish(sink)
    assert lines(receiver.pings[-1]) == ["sync.start", "42", "sync.done"]


def test_a_named_run_keeps_the_lines_that_name_it(receiver: PingReceiver) -> None:
    sink = add(receiver.url, enqueue=True)
    shards = [logger.bind(run_id=f"shard {number}") for number in range(2)]
    for shard in shards:
        shard.info("sync.start")
    for number, shard in enumerate(shards):
        shard.info(f"copied {number}")
    for shard in shards:
        shard.info("sync.done")
    finish(sink)
    ends = [lines(ping) for ping in receiver.pings if ping.event is Event.SUCCESS]
    # The second began inside the first.
    assert ends == [
        ["sync.start", "sync.start", "copied 0", "sync.done"],
        ["sync.start", "copied 1", "sync.done"],
    ]


def test_a_marker_of_no_run_carries_what_belongs_to_none(receiver: PingReceiver) -> None:
    sink = add(receiver.url)
    logger.info("before")
    logger.info("sync.log")
    logger.info("sync.start")
    thread = threading.Thread(target=logger.info, args=("sync.done",))  # from elsewhere
    thread.start()
    thread.join()
    finish(sink)
    note, start, done = receiver.pings
    assert lines(note) == ["before", "sync.log"]
    assert lines(start) == ["sync.start"]
    assert lines(done) == ["sync.start", "sync.done"]


def test_many_runs_that_never_end_keep_a_bounded_log(receiver: PingReceiver) -> None:
    sink = add(receiver.url, events=(Event.SUCCESS,))
    for number in range(100):
        logger.bind(run_id=number).info("sync.start")
    logger.bind(run_id=99).info("sync.done")
    finish(sink)
    assert lines(receiver.pings[-1]) == ["sync.start", "sync.done"]
    assert len(sink._outlet.tail._tails) <= 32  # type: ignore[attr-defined]


def test_runs_that_have_ended_take_no_room_from_one_that_is_open(receiver: PingReceiver) -> None:
    sink = add(receiver.url, events=(Event.SUCCESS,))
    long = logger.bind(run_id="long")
    long.info("sync.start")
    long.info("copied")
    for number in range(40):
        logger.bind(run_id=number).info("sync.start")
        logger.bind(run_id=number).info("sync.done")
    long.info("sync.done")
    finish(sink)
    assert lines(receiver.pings[-1])[:2] == ["sync.start", "copied"]


@pytest.mark.parametrize(("scope", "error"), [("runs", ValueError), (True, TypeError)])
def test_another_scope_is_refused(scope: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="scope: expected 'all' or 'run', not "):
        HealthSink("https://hc-ping.com/x", scope=scope)  # type: ignore[arg-type]


@pytest.mark.parametrize("scope", ["all", "run"])
def test_a_failures_headline_is_never_another_runs_error(
    receivers: list[PingReceiver], scope: str
) -> None:
    sink = HealthSink(receivers[0].url, scope=scope)
    logger.add(sink, format="{message}", catch=False)

    async def work(name: str, order: list[asyncio.Event]) -> None:
        logger.info("sync.start")
        await order[0].wait()
        logger.error(f"{name} broke")
        order[1].set()
        await order[2].wait()
        logger.error("sync.error")
        order[3].set()

    async def main() -> None:
        one, two, three, four, five = (asyncio.Event() for _ in range(5))
        one.set()
        jobs = (
            work("the first", [one, two, three, four]),
            work("the other", [two, three, four, five]),
        )
        await asyncio.gather(*jobs)

    asyncio.run(main())
    finish(sink)
    fails = [ping.text for ping in receivers[0].pings if ping.event is Event.FAIL]
    assert [text.partition("\n")[0] for text in fails] == ["the first broke", "the other broke"]
