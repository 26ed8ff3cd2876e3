"""What a user is told to do about a ping that was not delivered."""

from __future__ import annotations

import pytest

from loghc import Event
from loghc.delivery.advice import advice_on
from loghc.log.body import Body
from loghc.ping import Ping
from simulated import answered

SUFFIX = "does not know /{0}: if it takes other pings"
MISSING = "it doesn't know /fail"
DELETED = "it may have been deleted"
OWN = "as the answer says"


@pytest.mark.parametrize("status", [400, 404])
@pytest.mark.parametrize(
    ("event", "unknown", "known"),
    [
        (Event.START, SUFFIX.format("start"), SUFFIX.format("start")),
        (Event.LOG, SUFFIX.format("log"), SUFFIX.format("log")),
        (Event.FAIL, OWN, MISSING),
        (Event.SUCCESS, OWN, DELETED),
    ],
)
def test_a_refusal_may_be_about_one_kind_of_ping(
    status: int, event: Event, unknown: str, known: str
) -> None:
    ping, attempt = Ping(event, "a run", Body), answered(status, advice=OWN)
    assert unknown in advice_on(ping, attempt, "limit=", check_known=False)
    assert known in advice_on(ping, attempt, "limit=", check_known=True)


@pytest.mark.parametrize(("status", "advice"), [(410, OWN), (503, OWN), (413, "Lower --limit.")])
@pytest.mark.parametrize("event", Event)
def test_any_other_is_not(status: int, advice: str, event: Event) -> None:
    ping, attempt = Ping(event, "a run", Body), answered(status, advice=OWN)
    assert advice_on(ping, attempt, "--limit", check_known=True) == advice
