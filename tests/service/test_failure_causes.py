"""Which error a failure's headline names, where its marker says nothing itself."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from loguru import logger

from loghc import Event, HealthSink
from loghc.testing import PingReceiver

A, B = logger.bind(run_id="a"), logger.bind(run_id="b")
NONE = "sync.error was logged without a cause"

Step = Callable[[], object]


def info(message: str) -> Step:
    return lambda: logger.info(message)


def error(message: str) -> Step:
    return lambda: logger.error(message)


def elsewhere(step: Step) -> Step:
    """Do it in a thread of its own, which belongs to no run."""

    def run() -> None:
        thread = threading.Thread(target=step)
        thread.start()
        thread.join()

    return run


def many(step: Step) -> Step:
    """So often that records are no longer examined for near misses."""
    return lambda: [step() for _ in range(2100)]


START, FAIL, DONE = info("sync.start"), info("sync.error"), info("sync.done")


@pytest.mark.parametrize(
    ("steps", "cause"),
    [
        ([error("disk full"), FAIL], "disk full"),
        ([START, error("disk full"), FAIL], "disk full"),
        ([START, error("first"), error("last"), FAIL], "last"),
        ([many(info("copied")), error("a disk is full"), FAIL], "a disk is full"),
        ([many(info("copied")), error("the disk is full"), FAIL], "the disk is full"),
        ([START, lambda: logger.warning("the disk is nearly full"), FAIL], NONE),
        ([START, lambda: logger.log(40, "disk full"), FAIL], "disk full"),
        ([START, lambda: logger.log(39, "the disk is nearly full"), FAIL], NONE),
        ([START, lambda: logger.critical("disk full"), FAIL], "disk full"),
        ([error("before"), START, FAIL], NONE),
        ([START, error("of the first"), DONE, START, FAIL], NONE),
        ([START, elsewhere(error("disk full")), FAIL], "disk full"),
        ([START, elsewhere(error("disk full")), error("own"), FAIL], "own"),
        ([START, error("own"), elsewhere(error("disk full")), FAIL], "disk full"),
        # It may be the error of the run that is still open.
        ([START, START, elsewhere(error("disk full")), FAIL], NONE),
        ([START, START, elsewhere(error("disk full")), error("own"), FAIL], "own"),
        ([START, elsewhere(error("disk full")), START, FAIL, FAIL], "disk full"),
        ([elsewhere(START), error("disk full"), FAIL], "disk full"),
        # A run that begins anew under its name.
        (
            [
                lambda: A.info("sync.start"),
                lambda: A.error("old"),
                lambda: A.info("sync.done"),
                lambda: A.info("sync.start"),
                lambda: A.info("sync.error"),
            ],
            NONE,
        ),
        # Each run has its own.
        (
            [
                lambda: A.info("sync.start"),
                lambda: B.info("sync.start"),
                lambda: A.error("of a"),
                lambda: B.error("of b"),
                lambda: B.info("sync.done"),
                lambda: A.info("sync.error"),
            ],
            "of a",
        ),
    ],
)
def test_the_last_error_that_may_be_the_runs_is_the_cause(
    ping_receiver: PingReceiver, steps: list[Step], cause: str
) -> None:
    sink = HealthSink(ping_receiver.url)
    logger.add(sink, format="{message}", catch=False)
    for step in steps:
        step()
    assert sink.wait(20)
    failure = [ping for ping in ping_receiver.pings if ping.event is Event.FAIL][-1]
    assert failure.text.splitlines()[0].partition(" (after")[0] == cause
