"""The values that users get: compared, hashed, shown, copied, and never changed."""

from __future__ import annotations

import copy
import pickle

import pytest

from loghc import Event, Outcome, Stats

OUTCOME = Outcome(Event.START, "a-run", True, 200, None, 1, 0.5)
STATS = Stats(delivered=1, failed=2, pending=3, superseded=0)


@pytest.mark.parametrize("value", [OUTCOME, STATS])
@pytest.mark.parametrize("copied", [copy.copy, lambda value: pickle.loads(pickle.dumps(value))])
def test_a_copy_is_equal(value: object, copied: object) -> None:
    again = copied(value)  # type: ignore[operator]
    assert again == value
    assert hash(again) == hash(value)


@pytest.mark.parametrize(
    "other", [Stats(delivered=1, failed=2, pending=4), Stats(3, 2, 1), OUTCOME, (1, 2, 3), None]
)
def test_what_differs_in_a_field_or_in_kind_is_not_equal(other: object) -> None:
    assert other != STATS


def test_each_shows_its_fields() -> None:
    assert repr(STATS) == "Stats(delivered=1, failed=2, pending=3, superseded=0)"
    assert "%s" % OUTCOME == (  # noqa: UP031 - a tuple would fail so
        "Outcome(event=<Event.START: 'start'>, run_id='a-run', delivered=True, status=200,"
        " error=None, attempts=1, elapsed=0.5, superseded=False)"
    )


def test_nothing_of_it_can_be_changed() -> None:
    with pytest.raises(AttributeError, match=r"^Stats\.failed can't be changed$"):
        STATS.failed = 0
    with pytest.raises(AttributeError, match=r"^Outcome\.error can't be deleted$"):
        del OUTCOME.error
    with pytest.raises(AttributeError, match=r"^Stats\.other can't be changed$"):
        STATS.other = 0  # type: ignore[attr-defined]
    assert STATS.failed == 2
