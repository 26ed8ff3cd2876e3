"""At the interpreter's exit one deadline counts for all deliveries."""

from __future__ import annotations

import math
import weakref
from typing import Any

import pytest

from loghc.deadline import Deadline
from loghc.delivery import exiting
from loghc.delivery.exiting import deliveries, exit_deadline, register


class Stopping:
    """What a delivery is to the others at the exit."""

    def __init__(self, drain: float) -> None:
        self.drain = drain
        self.deadline = Deadline()
        register(self)  # type: ignore[arg-type]

    def hurry(self, deadline: Deadline) -> None:
        self.deadline = deadline


@pytest.fixture(autouse=True)
def begun(monkeypatch: pytest.MonkeyPatch) -> list[Deadline]:
    begun: list[Deadline] = []
    monkeypatch.setattr(exiting, "_begun", begun)
    monkeypatch.setattr(exiting, "_deliveries", weakref.WeakSet[Any]())
    return begun


def test_the_longest_time_counts_for_all_from_the_first_stop_on() -> None:
    first, second, third = (Stopping(seconds) for seconds in (10.0, 30.0, 20.0))
    deadline = exit_deadline(first.drain)
    assert 25 < deadline.seconds <= 30
    assert first.deadline is second.deadline is third.deadline is deadline
    assert exit_deadline(second.drain) is deadline
    late = Stopping(40.0)
    assert exit_deadline(late.drain) is deadline
    assert late.deadline.at == math.inf  # nobody told it: it comes when others are stopped


def test_a_stop_may_take_longer_than_any_delivery_asked_for() -> None:
    Stopping(1.0)
    assert 25 < exit_deadline(30.0).seconds <= 30


@pytest.mark.parametrize(("drain", "least"), [(10.0, 0.5), (0.2, 0.2), (0.0, 0.0)])
def test_whoever_is_stopped_when_that_time_is_over_has_a_last_word(
    drain: float, least: float, begun: list[Deadline]
) -> None:
    begun.append(Deadline(-5.0))
    assert exit_deadline(drain).seconds == pytest.approx(least, abs=0.1)
    begun[0] = Deadline(0.4)
    assert (exit_deadline(drain) is begun[0]) is (least < 0.4)


def test_a_delivery_that_is_gone_is_asked_for_nothing() -> None:
    kept = Stopping(1.0)
    Stopping(30.0)
    assert deliveries() == [kept]
    assert exit_deadline(1.0).seconds <= 1
