"""What is a marker for a sink is one for `loghc run`, and nothing else is."""

from __future__ import annotations

import pytest
from loguru import logger

from loghc import HealthSink
from loghc.ping import Event
from marker_examples import EXAMPLES
from processes import RUN, needs_posix, run

EXPECTED = [event for event in EXAMPLES.values() if event is not None]


def test_a_sink_pings_at_the_markers_alone(receiver):
    sink = HealthSink(receiver.url)
    logger.add(sink)
    for message in EXAMPLES:
        logger.info(message)
    assert sink.wait(20)
    assert [ping.event for ping in receiver.pings] == EXPECTED


@needs_posix
@pytest.mark.parametrize("option", ["--markers-only", "--no-start"])
def test_loghc_run_pings_at_the_markers_alone(receiver, program, tmp_path, option):
    name = program(
        f"""
        from loguru import logger
        for message in {list(EXAMPLES)!r}:
            logger.info(message)
        """
    )
    run(*RUN, option, "--drain", "30", name, cwd=tmp_path)
    told = [ping.event for ping in receiver.pings]
    if option == "--markers-only":
        assert told == EXPECTED
    else:  # the process itself tells its start and its end
        own = (Event.FAIL, Event.LOG)
        assert told == [*(event for event in EXPECTED if event in own), Event.FAIL]
