"""The end of an attempt, which another thread may bring forward."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

import pytest

from loghc.service.deadline import Deadline
from waiting import wait_until_in


def test_an_attempt_has_the_time_that_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("loghc.service.deadline.monotonic", lambda: now)
    deadline = Deadline()
    with pytest.raises(TimeoutError, match=r"^timed out after 0\.0 s$"):
        deadline.left()  # none has begun
    deadline.begin(100)
    now += 40
    assert deadline.left() == 60
    with pytest.raises(TimeoutError, match=r"^timed out after 0\.0 s$"):
        deadline.begin(0)
    with pytest.raises(TimeoutError, match=r"^timed out after 0\.0 s$"):
        deadline.left()
    deadline.begin(2)
    now += 2
    with pytest.raises(TimeoutError, match=r"^timed out after 2\.0 s$"):
        deadline.left()


def test_a_time_of_nothing_is_over_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loghc.service.deadline.monotonic", lambda: 5.0)
    with pytest.raises(TimeoutError):
        Deadline().begin(0)


def test_a_cancelled_deadline_stays_so_and_cuts_what_waits() -> None:
    deadline, cuts = Deadline(), list[str]()
    deadline.begin(100)
    deadline.cut_by(lambda: cuts.append("first"))
    deadline.cut_by(lambda: cuts.append("second"))
    assert cuts == []
    deadline.cancel()
    assert cuts == ["second"]
    deadline.cut_by(None)  # the wait is over: that raises nothing
    deadline.cancel()
    assert cuts == ["second"]
    for again in (
        deadline.left,
        lambda: deadline.begin(100),
        lambda: deadline.cut_by(lambda: cuts.append("third")),
    ):
        with pytest.raises(TimeoutError, match=r"^cancelled$"):
            again()


def test_an_attempt_is_cut_if_it_began_before_a_moment_and_waits() -> None:
    deadline, cuts = Deadline(), list[int]()
    deadline.cut_if_older_than(time.monotonic())  # none has begun
    deadline.begin(100)
    deadline.cut_if_older_than(time.monotonic() + 1)  # it waits for nothing: it is about to end
    assert deadline.left() > 90
    deadline.cut_by(lambda: cuts.append(1))
    deadline.cut_if_older_than(deadline._begun)
    assert cuts == []
    deadline._begun -= 3
    deadline.cut_if_older_than(deadline._begun + 1)
    assert cuts == [1]
    with pytest.raises(TimeoutError, match=r"^timed out after 3\.\d s$"):
        deadline.left()
    deadline.begin(100)  # the next one
    assert deadline.left() > 90


def test_an_operation_of_a_socket_ends_with_the_deadline_and_says_after_how_long() -> None:
    deadline = Deadline()
    one, other = socket.socketpair()
    with one, other:
        deadline.begin(100)
        with deadline.bounds(one):
            assert 90 < (one.gettimeout() or 0) <= 100
        with pytest.raises(TimeoutError, match=r"^of something else$"), deadline.bounds(one):
            raise TimeoutError("of something else")
        deadline.begin(0.05)
        with pytest.raises(TimeoutError, match=r"^timed out after 0\.1 s$"), deadline.bounds(one):
            one.recv(1)
        with pytest.raises(TimeoutError), deadline.bounds(one):
            pytest.fail("there is no time left")


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("begin", lambda deadline: deadline.begin(100)),
        ("cut_by", lambda deadline: deadline.cut_by(None)),
        ("cancel", Deadline.cancel),
        ("cut_if_older_than", lambda deadline: deadline.cut_if_older_than(0)),
    ],
)
def test_what_changes_a_deadline_waits_for_its_turn(
    name: str, call: Callable[[Deadline], object]
) -> None:
    deadline = Deadline()
    deadline.begin(10)
    deadline.cut_by(lambda: None)
    before = vars(deadline).copy()
    other = threading.Thread(target=call, args=(deadline,))
    with deadline._lock:
        other.start()
        wait_until_in(other, name)
        other.join(0.05)
        assert other.is_alive()
        assert vars(deadline) == before
    other.join(20)
    assert not other.is_alive()


def test_a_signal_handler_may_cancel_in_the_middle_of_a_change() -> None:
    deadline = Deadline()
    with deadline._lock:
        deadline.cancel()
    with pytest.raises(TimeoutError):
        deadline.left()
