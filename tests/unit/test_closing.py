"""When sending has to end: a moment that only ever comes nearer."""

from __future__ import annotations

import math

import pytest

from loghc.delivery.closing import ClosingTime


def test_it_is_over_when_its_moment_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("loghc.delivery.closing.monotonic", lambda: now)
    closing = ClosingTime(102.0)
    assert (closing.left, closing.over) == (2.0, False)
    now = 101.5
    assert (closing.left, closing.over) == (0.5, False)
    now = 102.0
    assert (closing.left, closing.over) == (0.0, True)
    now = 103.0
    assert (closing.left, closing.over) == (-1.0, True)


def test_it_may_never_come_and_be_brought_forward_but_not_put_off() -> None:
    closing = ClosingTime()
    assert not closing.known
    assert not closing.over
    closing.bring_forward(7.0)
    closing.bring_forward(8.0)
    assert closing.at == 7.0
    assert closing.known
    assert not closing.abandoned
    closing.abandon()
    assert closing.known
    assert closing.abandoned
    assert closing.over


def test_one_within_another_is_no_later_than_that() -> None:
    outer = ClosingTime(20.0)
    assert ClosingTime(30.0, outer).at == 20.0
    assert ClosingTime(10.0, outer).at == 10.0
    inner = ClosingTime(math.inf, outer)
    assert inner.known
    outer.abandon()
    assert inner.abandoned
