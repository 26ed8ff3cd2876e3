"""What was left out is counted until it is reported, and when that is worth a line."""

from __future__ import annotations

import pytest

from loghc import Event
from loghc.delivery.left_out import LeftOut
from loghc.log.body import Body
from loghc.ping import Ping

START, NOTE = (Ping(event, "a run", Body) for event in (Event.START, Event.LOG))


@pytest.mark.parametrize(
    ("void", "logs", "dropped", "worth", "words"),
    [
        (0, 0, 0, False, ""),
        (1, 0, 0, False, "1 ping superseded by newer ones (log)"),
        (4, 0, 0, False, "4 pings superseded by newer ones (log, log, log, log)"),
        (5, 0, 0, True, "5 pings superseded by newer ones (5 log)"),
        (0, 1, 0, True, "the logs of 1 ping left out"),
        (0, 0, 2, True, "2 pings dropped"),
        (
            1, 2, 1, True,
            "1 ping superseded by newer ones (log), 1 ping dropped, the logs of 2 pings left out",
        ),
    ],
)  # fmt: skip
def test_it_is_counted_once(void: int, logs: int, dropped: int, worth: bool, words: str) -> None:
    left_out = LeftOut()
    for _ in range(2):
        left_out.superseded([NOTE] * void)
        for _ in range(logs):
            left_out.log()
        for _ in range(dropped):
            left_out.dropped()
        assert left_out.worth_reporting is worth
        assert left_out.take() == words
        assert not left_out.worth_reporting
        assert left_out.take() == ""


def test_kinds_are_counted_apart() -> None:
    left_out = LeftOut()
    left_out.superseded([START, NOTE])
    left_out.superseded([START, NOTE, NOTE])
    assert left_out.take() == "5 pings superseded by newer ones (2 start, 3 log)"
