"""One deadline: the exit takes as long as the longest drain, and that time is used well."""

from __future__ import annotations

import math
import time

import pytest

from conftest import RunScript
from loghc import Event
from loghc.testing import Fault, PingReceiver

BEGIN = """
import sys, time
from loguru import logger
from loghc import HealthSink
logger.remove()
"""

SINKS = """
for number in range(6):
    logger.add(HealthSink(sys.argv[1] + str(number), drain=4))
logger.info("sync.start")
logger.info("sync.done")
"""

LATE_MARKER = """
logger.add(HealthSink(sys.argv[1], drain=6))
logger.error("sync.error: the last words")
time.sleep(float(sys.argv[2]))
"""

SLOW_ANSWER = """
sink = HealthSink(sys.argv[1], drain=float(sys.argv[2]))
logger.add(sink)
logger.info("sync.start")
sink.wait(10)
logger.error("sync.error: the last words")
"""


def test_the_exit_takes_no_longer_for_several_sinks(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    ping_receiver.always(Fault(delay=math.inf))
    begun = time.monotonic()
    done = run_script(BEGIN + SINKS, ping_receiver.url)
    took = time.monotonic() - begun
    assert done.returncode == 0
    assert 4 <= took < 20  # not 24
    assert done.stderr.count("given up") == 6


def test_each_of_several_sinks_gets_its_second_attempt_at_the_exit(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    ping_receiver.script(*[Fault(delay=math.inf)] * 3)
    slug = f"{ping_receiver.base_url}/{ping_receiver.ping_key}"
    urls = [ping_receiver.url, *(f"{slug}/check-{number}?create=1" for number in range(2))]
    done = run_script(
        BEGIN + "for url in sys.argv[1:]: logger.add(HealthSink(url, drain=6))\n"
        'logger.error("sync.error")\n',
        *urls,
    )
    assert done.returncode == 0
    assert [each.event for each in ping_receiver.pings] == [Event.FAIL] * 3


@pytest.mark.parametrize("seconds", [0, 0.01, 0.04, 0.08, 0.15])
def test_a_marker_just_before_the_end_arrives_though_its_first_request_is_swallowed(
    seconds: float, ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    ping_receiver.script(Fault(delay=math.inf))
    done = run_script(BEGIN + LATE_MARKER, ping_receiver.url, str(seconds))
    assert done.returncode == 0
    assert [each.event for each in ping_receiver.pings] == [Event.FAIL]
    assert "given up" not in done.stderr


@pytest.mark.parametrize(
    ("drain", "delay"),
    [
        (3.0, 1.2),
        (3.0, 1.65),
        pytest.param(10.0, 4.0, marks=pytest.mark.slow),
        pytest.param(10.0, 5.5, marks=pytest.mark.slow),
    ],
)
def test_an_answer_that_takes_more_than_half_of_the_time_is_waited_for(
    drain: float, delay: float, ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    ping_receiver.script(None)
    ping_receiver.always(Fault(delay=delay))
    done = run_script(BEGIN + SLOW_ANSWER, ping_receiver.url, str(drain))
    assert done.returncode == 0
    assert len(ping_receiver.requests) == 2
    assert "given up" not in done.stderr
