"""`loghc run --markers-only --scope run`: the log of each run, without other runs' records."""

from __future__ import annotations

import pytest

from loghc.ping import Event
from processes import RUN, needs_posix, run

pytestmark = needs_posix

BEGIN = """
import asyncio, sys, threading
from loguru import logger
logger.remove()
logger.add(sys.stdout, format="{message}", enqueue=ENQUEUE)
def job(name, fails, turns):
    logger.info("sync.start")
    for turn in range(3):
        turns.wait(10)
        logger.info(f"{name} turn {turn}")
        if fails:
            logger.error(f"{name} has trouble")
        else:
            logger.info(f"{name} is well")
    turns.wait(10)
    if fails:
        logger.error("sync.error: disk full")
    else:
        logger.info("sync.done")
"""

THREADS = """
turns = threading.Barrier(2)
jobs = [("ann", True), ("ben", False)]
threads = [threading.Thread(target=job, args=(*each, turns)) for each in jobs]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""

TASKS = """
async def task(name, fails):
    logger.info("sync.start")
    for turn in range(3):
        await asyncio.sleep(0.02)
        logger.info(f"{name} turn {turn}")
        logger.info(f"{name} is well")
    await asyncio.sleep(0.05)
    (logger.error if fails else logger.info)("sync.error: disk full" if fails else "sync.done")
async def main():
    await asyncio.gather(task("ann", True), task("ben", False))
asyncio.run(main())
"""

PROCESSES = """
import multiprocessing
context = multiprocessing.get_context("fork")
turns = context.Barrier(2)
jobs = [("ann", True), ("ben", False)]
processes = [context.Process(target=job, args=(*each, turns)) for each in jobs]
for process in processes:
    process.start()
for process in processes:
    process.join()
"""


@pytest.mark.parametrize("enqueue", [False, True])
@pytest.mark.parametrize(
    "program_text", [THREADS, TASKS, PROCESSES], ids=["threads", "tasks", "processes"]
)
def test_each_run_has_its_own_lines(receiver, program, tmp_path, program_text, enqueue):
    name = program(BEGIN.replace("ENQUEUE", str(enqueue)) + program_text)
    run(*RUN, "--markers-only", "--scope", "run", name, cwd=tmp_path)
    texts = {ping.event: ping.text for ping in receiver.pings}
    assert texts.keys() == {Event.START, Event.SUCCESS, Event.FAIL}
    assert "ann" not in texts[Event.SUCCESS]
    assert "ben" not in texts[Event.FAIL]
    for turn in range(3):
        assert f"ben turn {turn}\n" in texts[Event.SUCCESS]
        assert f"ann turn {turn}\n" in texts[Event.FAIL]
    assert "disk full" not in texts[Event.SUCCESS]


def test_what_belongs_to_no_run_stays_and_what_was_before_the_run_goes(receiver, program, tmp_path):
    name = program(
        """
        import sys, threading
        from loguru import logger
        logger.remove()
        logger.add(sys.stdout)
        logger.info("before")
        def pool():
            begun.wait(10)
            logger.warning("of the pool")
        begun = threading.Event()
        thread = threading.Thread(target=pool)
        thread.start()
        logger.info("sync.start")
        begun.set()
        thread.join()
        logger.bind(run_id="other").info("of a name that nobody opened")
        logger.info("sync.done")
        logger.info("after")
        logger.info("sync.start")
        logger.info("sync.done")
        """
    )
    run(*RUN, "--markers-only", "--scope", "run", name, cwd=tmp_path)
    first, second = [ping.text for ping in receiver.pings if ping.event is Event.SUCCESS]
    assert "before" not in first
    assert "of the pool" in first
    assert "of a name that nobody opened" in first
    assert "sync.done" in first
    assert [line.rpartition(" - ")[2] for line in second.splitlines()] == [
        "sync.start",
        "sync.done",
    ]


def test_an_inner_run_is_in_its_outer_one_and_a_name_goes_before_all(receiver, program, tmp_path):
    name = program(
        """
        import sys
        from loguru import logger
        logger.remove()
        logger.add(sys.stdout)
        outer, inner = logger.bind(run_id="outer"), logger.bind(run_id="inner")
        outer.info("sync.start")
        logger.info("first")
        logger.info("sync.start")
        logger.info("within")
        logger.info("sync.done")
        inner.info("sync.start")
        outer.info("of the outer one")
        inner.info("sync.done")
        outer.error("sync.error")
        """
    )
    run(*RUN, "--markers-only", "--scope", "run", name, cwd=tmp_path)
    within, named = [ping.text for ping in receiver.pings if ping.event is Event.SUCCESS]
    outer = receiver.pings[-1].text
    assert "first" not in within
    assert "within" in within
    assert "of the outer one" not in named
    assert "within" in outer
    assert "of the outer one" in outer


def test_runs_that_are_open_at_the_end_have_their_own_lines(receiver, program, tmp_path):
    name = program(
        """
        import sys, threading
        from loguru import logger
        logger.remove()
        logger.add(sys.stdout)
        def job(name):
            logger.info("sync.start")
            logger.error(f"{name} broke")
        for name in ("ann", "ben"):
            thread = threading.Thread(target=job, args=(name,))
            thread.start()
            thread.join()
        """
    )
    run(*RUN, "--markers-only", "--scope", "run", name, cwd=tmp_path)
    ann, ben = [ping.text for ping in receiver.pings if ping.event is Event.FAIL]
    assert "ann broke" in ann
    assert "ben" not in ann
    assert "ben broke" in ben
    assert "ann" not in ben
