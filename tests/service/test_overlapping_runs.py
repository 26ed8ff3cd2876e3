"""Runs that overlap: each end has the run id of its start."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import operator
import threading
import uuid

import pytest
from apscheduler.schedulers.background import BackgroundScheduler
from loguru import logger

from loghc import HealthSink, job
from loghc.ping import Event
from loghc.portable.run_ids import new_run_id, run_id_from
from loghc.testing import PingReceiver
from pings import runs
from waiting import in_threads, wait_until

THREADS, TASKS = 8, 5


def plain_marker_run(fails, together):
    logger.info("sync.start")
    together()
    if fails:
        logger.error("sync.error: disk full")
    else:
        logger.info("sync.done")


def with_barrier(work):
    """Run `work(number, barrier)` in threads that have all started before one goes on."""
    barrier = threading.Barrier(THREADS)
    in_threads(lambda number: work(number, barrier), THREADS)


def in_tasks(work):
    """Run `await work(number, together)` in tasks, started together, ended one by one."""

    async def main():
        started = 0
        all_started = asyncio.Event()

        async def together(number):
            nonlocal started
            started += 1
            if started == TASKS:
                all_started.set()
            await all_started.wait()
            for _ in range(TASKS - number):  # apart, the last one first
                await asyncio.sleep(0)

        await asyncio.gather(*(work(number, together) for number in range(TASKS)))

    asyncio.run(main())


@pytest.mark.parametrize("enqueue", [False, True], ids=["", "enqueue"])
def test_plain_markers_pair_in_threads(receiver, enqueue):
    sink = HealthSink(receiver.url)
    logger.add(sink, enqueue=enqueue)
    with_barrier(lambda number, barrier: plain_marker_run(number % 2, barrier.wait))
    logger.complete()
    assert sink.wait(30)
    assert sorted(runs(receiver), key=str) == sorted(
        [[Event.START, Event.FAIL], [Event.START, Event.SUCCESS]] * (THREADS // 2), key=str
    )


def test_plain_markers_pair_in_tasks(receiver):
    sink = HealthSink(receiver.url)
    logger.add(sink)

    async def work(number, together):
        logger.info("sync.start")
        await together(number)
        await asyncio.to_thread(logger.info, "sync.log: half way")
        logger.info("sync.done")

    in_tasks(work)
    assert sink.wait(30)
    assert runs(receiver) == [[Event.START, Event.LOG, Event.SUCCESS]] * TASKS


def test_threads_and_tasks_at_once_are_as_many_runs_as_starts(receiver):
    sink = HealthSink(receiver.url)
    logger.add(sink)

    async def work(number, together):
        logger.info("sync.start")
        await together(number)
        logger.info("sync.done")

    tasks = threading.Thread(target=in_tasks, args=(work,))
    tasks.start()
    with_barrier(lambda number, barrier: plain_marker_run(number % 2, barrier.wait))
    tasks.join()
    assert sink.wait(30)
    assert sorted(map(len, runs(receiver))) == [2] * (THREADS + TASKS)


def test_a_run_that_starts_in_one_thread_and_ends_in_another_is_one(receiver):
    sink = HealthSink(receiver.url)
    logger.add(sink)
    for message in ("sync.start", "sync.log", "sync.done"):
        thread = threading.Thread(target=logger.info, args=(message,))
        thread.start()
        thread.join()
    assert sink.wait(30)
    assert runs(receiver) == [[Event.START, Event.LOG, Event.SUCCESS]]


def test_a_run_handed_to_a_task_ends_there(receiver):
    sink = HealthSink(receiver.url)
    logger.add(sink)

    async def main():
        logger.info("sync.start")

        async def rest():
            logger.info("sync.done")

        await asyncio.create_task(rest())

    asyncio.run(main())
    assert sink.wait(30)
    assert runs(receiver) == [[Event.START, Event.SUCCESS]]


def test_an_end_without_a_start_has_a_run_id_of_its_own(receiver):
    sink = HealthSink(receiver.url)
    logger.add(sink)
    for message in ("sync.done", "sync.start", "sync.done", "sync.error"):
        logger.info(message)
    assert sink.wait(30)
    assert runs(receiver) == [[Event.SUCCESS], [Event.START, Event.SUCCESS], [Event.FAIL]]


NAMERS = {
    "job": lambda _: job("sync"),
    "job with a name": lambda number: job("sync", run_id=f"shard {number}"),
    "contextualize": lambda number: logger.contextualize(run_id=f"shard {number}"),
}


@pytest.mark.parametrize("namer", NAMERS.values(), ids=NAMERS)
@pytest.mark.parametrize("enqueue", [False, True], ids=["", "enqueue"])
def test_named_runs_pair_in_threads_and_tasks_also_on_loguru_s_own_thread(receiver, namer, enqueue):
    sink = HealthSink(receiver.url)
    handler = logger.add(sink, enqueue=enqueue)

    @contextlib.contextmanager
    def run(number):
        with namer(number) as context:
            if context is None and namer is NAMERS["contextualize"]:
                logger.info("sync.start")
            yield
            if namer is NAMERS["contextualize"]:
                logger.info("sync.done")

    def in_thread(number, barrier):
        with run(number):
            barrier.wait()

    async def in_task(number, together):
        with run(100 + number):
            await together(number)

    with_barrier(in_thread)
    in_tasks(in_task)
    logger.complete()
    assert sink.wait(30)
    logger.remove(handler)
    assert runs(receiver) == [[Event.START, Event.SUCCESS]] * (THREADS + TASKS)


def test_bound_loggers_pair_wherever_they_log(receiver):
    sink = HealthSink(receiver.url)
    logger.add(sink, enqueue=True)
    shards = [logger.bind(run_id=number) for number in range(THREADS)]
    for shard in shards:
        shard.info("sync.start")
    with_barrier(lambda number, barrier: barrier.wait() and shards[number].info("sync.done"))
    shards[0].info("sync.done")
    logger.complete()
    assert sink.wait(30)
    ids = {ping.run_id for ping in receiver.pings}
    assert ids == {run_id_from(number) for number in range(THREADS)}


def test_several_jobs_with_a_sink_each_keep_apart(receiver):
    with PingReceiver() as other:
        sinks = [HealthSink(receiver.url, job="photos"), HealthSink(other.url, job="mail")]
        for sink in sinks:
            logger.add(sink)
        with job("photos"):
            logger.info("mail.start")
            with job("mail"):
                logger.info("photos.log")
            logger.info("mail.done")
        assert all(sink.wait(30) for sink in sinks)
        assert runs(receiver) == [[Event.START, Event.LOG, Event.SUCCESS]]
        assert runs(other) == [[Event.START, Event.SUCCESS]] * 2


@pytest.mark.parametrize("enqueue", [False, True], ids=["", "enqueue"])
def test_runs_nested_in_one_thread_end_from_the_inside(receiver, enqueue):
    sink = HealthSink(receiver.url)
    logger.add(sink, enqueue=enqueue)
    for message in ("sync.start", "sync.start", "sync.done", "sync.log", "sync.error"):
        logger.info(message)
    logger.complete()
    assert sink.wait(30)
    outer, inner = [Event.START, Event.LOG, Event.FAIL], [Event.START, Event.SUCCESS]
    assert runs(receiver) == [outer, inner]


@pytest.mark.parametrize("enqueue", [False, True], ids=["", "enqueue"])
def test_runs_one_after_the_other_are_as_many(receiver, enqueue):
    sink = HealthSink(receiver.url)
    handler = logger.add(sink, enqueue=enqueue)
    for _ in range(3):
        logger.info("sync.start")
        logger.info("sync.done")
    logger.remove(handler)
    assert runs(receiver) == [[Event.START, Event.SUCCESS]] * 3


def test_one_decorated_function_called_at_once_is_as_many_runs(receiver):
    sink = HealthSink(receiver.url)
    logger.add(sink)
    barrier = threading.Barrier(THREADS)

    @job()
    def copy():
        barrier.wait()

    in_threads(lambda _: copy(), THREADS)
    assert sink.wait(30)
    assert runs(receiver) == [[Event.START, Event.SUCCESS]] * THREADS


def test_a_uuid_is_used_as_it_is():
    own = "9E9D9BBE-4F2B-4A0E-A1E0-111111111111"
    assert run_id_from(own) == own
    assert run_id_from(uuid.UUID(own)) == own.lower()


@pytest.mark.parametrize("spelled", ["{}", "{{{}}}", "urn:uuid:{}"])
def test_a_uuid_in_another_form_is_that_uuid(spelled):
    own = uuid.UUID("9e9d9bbe-4f2b-4a0e-a1e0-111111111111")
    assert run_id_from(spelled.format(own.hex.upper())) == str(own)
    assert run_id_from(spelled.format(str(own))) == str(own)


def test_a_new_run_id_is_a_random_uuid_as_the_rules_have_it():
    ids = {new_run_id() for _ in range(200)}
    assert len(ids) == 200
    for run_id in ids:
        parsed = uuid.UUID(run_id)
        assert str(parsed) == run_id
        assert (parsed.version, parsed.variant) == (4, uuid.RFC_4122)
    # All other bits are random.
    always = functools.reduce(operator.and_, (uuid.UUID(run_id).int for run_id in ids))
    never = functools.reduce(operator.or_, (uuid.UUID(run_id).int for run_id in ids))
    assert always == 4 << 76 | 0b10 << 62
    assert never == (1 << 128) - 1 - (0xB << 76) - (0b01 << 62)


@pytest.mark.parametrize("name", ["nightly-42", 7, ("shard", 3), "", "\ud800", None])
def test_any_other_name_maps_to_a_uuid_that_other_tools_can_compute(name):
    text = str(name).encode("utf-8", "replace").decode()
    assert run_id_from(name) == str(uuid.uuid5(uuid.NAMESPACE_URL, f"loghc:run:{text}"))


def test_jobs_of_a_scheduler_that_overlap_pair(receiver):
    sink = HealthSink(receiver.url)
    logger.add(sink)
    scheduler = BackgroundScheduler(timezone="UTC")
    together = threading.Barrier(3)

    @scheduler.scheduled_job("date", id="one")
    @scheduler.scheduled_job("date", id="two")
    @job()
    def copy():
        together.wait(30)

    scheduler.start()
    together.wait(30)
    receiver.wait(4, 30)
    # Its own thread fails when it is shut down before it is done.
    wait_until(lambda: not scheduler.get_jobs(), 30)
    scheduler.shutdown()
    assert sink.wait(30)
    assert runs(receiver) == [[Event.START, Event.SUCCESS]] * 2
