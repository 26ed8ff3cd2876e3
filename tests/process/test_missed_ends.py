"""Ends that loguru's own ways of stopping a sink miss. Each program is a process of its own."""

from __future__ import annotations

import textwrap

import pytest

from conftest import RunScript
from loghc import Event
from loghc.testing import Fault, PingReceiver

COPIED = """
import copy, multiprocessing, sys
from loguru import logger
from loghc import HealthSink, job

logger.remove()
own = copy.deepcopy(logger)
"""


@pytest.mark.parametrize("enqueue", [False, True], ids=["", "enqueue"])
@pytest.mark.parametrize(
    ("lines", "events"),
    [
        ("own.info('sync.start')\nown.info('sync.done')", [Event.START, Event.SUCCESS]),
        ("own.info('sync.start')", [Event.START, Event.FAIL]),
        ("own.info('sync.start')\n1 / 0", [Event.START, Event.FAIL]),
        ("with job(logger=own): pass", [Event.START, Event.SUCCESS]),
        (
            "import atexit\natexit.register(own.info, 'sync.done')\nown.info('sync.start')",
            [Event.START, Event.SUCCESS],
        ),
    ],
    ids=["done", "open", "crashed", "job", "at the exit"],
)
def test_a_sink_on_a_copied_logger_is_stopped_at_the_exit(
    lines: str,
    events: list[Event],
    enqueue: bool,
    run_script: RunScript,
    ping_receiver: PingReceiver,
) -> None:
    ping_receiver.always(Fault(delay=0.2))  # longer than an exit for which nobody waits
    sink = f"own.add(HealthSink(sys.argv[1]), enqueue={enqueue})\n"
    run_script(COPIED + sink + lines, ping_receiver.url)
    assert [ping.event for ping in ping_receiver.pings] == events
    assert len({ping.run_id for ping in ping_receiver.pings}) == 1


def test_a_copied_logger_that_nobody_holds_any_more_leaves_no_run_open(
    run_script: RunScript, ping_receiver: PingReceiver
) -> None:
    text = """
    def main(own):
        own.add(HealthSink(sys.argv[1]))
        own.info("sync.start")
    main(own)
    del own
    """
    run_script(COPIED + textwrap.dedent(text), ping_receiver.url)
    assert [ping.event for ping in ping_receiver.pings] == [Event.START, Event.FAIL]


@pytest.mark.parametrize(
    "patcher",
    [
        "lambda record: record.pop('elapsed')",
        "lambda record: record.update(elapsed=record['elapsed'].seconds)",
        "lambda record: record.update(time=None, elapsed=None, thread='x')",
    ],
)
def test_a_patcher_that_changes_a_record_s_parts_loses_no_marker(
    patcher: str, run_script: RunScript, ping_receiver: PingReceiver
) -> None:
    text = f"""
    import sys
    from loguru import logger
    from loghc import HealthSink
    logger.remove()
    sink = HealthSink(sys.argv[1])
    logger.add(sink, format="{{message}}")
    logger.add(sink, format="{{message}}")
    logger.configure(patcher={patcher})
    logger.info("sync.start")
    logger.info("sync.log")
    logger.info("sync.log")
    logger.info("sync.done")
    """
    done = run_script(textwrap.dedent(text), ping_receiver.url)
    assert done.stderr == ""
    assert [ping.event for ping in ping_receiver.pings] == [
        Event.START,
        Event.LOG,
        Event.LOG,
        Event.SUCCESS,
    ]


SPAWNED = """
import multiprocessing, sys
from loguru import logger
from loghc import HealthSink, job

def work(own):
    with job("photos", **({"logger": own} if sys.argv[2] == "given" else {})):
        own.info("copied")

if __name__ == "__main__":
    logger.remove()
    logger.add(HealthSink(sys.argv[1], job="photos"))
    process = multiprocessing.get_context("spawn").Process(target=work, args=(logger,))
    process.start()
    process.join()
"""


def test_job_in_a_spawned_child_pings_through_the_logger_that_it_was_given(
    run_script: RunScript, ping_receiver: PingReceiver
) -> None:
    assert run_script(SPAWNED, ping_receiver.url, "given").stderr == ""
    start, done = ping_receiver.pings
    assert (start.event, done.event) == (Event.START, Event.SUCCESS)
    assert "copied" in done.text


def test_job_in_a_spawned_child_that_logs_elsewhere_says_what_to_do(
    run_script: RunScript, ping_receiver: PingReceiver
) -> None:
    done = run_script(SPAWNED, ping_receiver.url, "elsewhere")
    assert len(ping_receiver.pings) == 0
    assert "pinged nothing" in done.stderr
    assert "job(..., logger=)" in done.stderr
