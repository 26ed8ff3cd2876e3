"""The cause of a failure is what is read first, whatever the failure is."""

from __future__ import annotations

from pathlib import Path

import pytest

from failures import FAILURES, Failure
from loghc import Event
from loghc.testing import PingReceiver
from processes import needs_posix

pytestmark = needs_posix

EVENT_LIST_BYTES = 150  # what Healthchecks' list of events shows of a body
SLACK_CHARACTERS = 1_000


def test_there_are_thirty_kinds_at_least() -> None:
    assert len({failure.name for failure in FAILURES}) == len(FAILURES) >= 30


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.name)
def test_the_cause_is_within_the_first_150_bytes(
    failure: Failure, ping_receiver: PingReceiver, tmp_path: Path
) -> None:
    failure.happen(ping_receiver.url, tmp_path)
    failed = [ping for ping in ping_receiver.pings if ping.event is Event.FAIL]
    for ping in failed:
        assert failure.cause in ping.body[:EVENT_LIST_BYTES].decode("utf-8", "ignore")
        headline, empty, *_ = [*ping.text.split("\n"), ""]
        assert (empty, len(headline) <= 300) == ("", True)
        assert headline.isprintable()
        assert b"\0" not in ping.body
        assert "```" not in ping.text[:SLACK_CHARACTERS]  # Slack would be shown nothing
    assert failed
