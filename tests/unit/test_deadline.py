"""How long something may take: deadlines that nest, and may be changed from another thread."""

from __future__ import annotations

import math
import socket
import threading
from collections.abc import Callable

import pytest

from loghc.deadline import Deadline, SendingTimeoutError
from waiting import wait_until_in


class Clock:
    """Stands until it is set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("loghc.deadline.monotonic", clock)
    return clock


def test_it_is_over_when_its_moment_has_come(clock: Clock) -> None:
    deadline = Deadline(10)
    assert (deadline.known, deadline.over, deadline.seconds, deadline.left()) == (
        True, False, 10, 10,
    )  # fmt: skip
    clock.now += 4
    assert not deadline.half_over
    clock.now += 1
    assert deadline.half_over
    clock.now += 5
    assert (deadline.over, deadline.seconds) == (True, 0)
    with pytest.raises(TimeoutError, match=r"^timed out after 10\.0 s$"):
        deadline.left()


def test_it_may_never_come_and_be_brought_forward_but_not_put_off(clock: Clock) -> None:
    deadline = Deadline()
    assert not deadline.known
    assert not deadline.half_over
    deadline.bring_forward(1010)
    deadline.bring_forward(1020)
    assert deadline.seconds == 10
    deadline.end_at(math.inf)
    assert not deadline.known


def test_an_attempt_gets_a_share_of_what_is_left_from_when_that_is_known(clock: Clock) -> None:
    stop = Deadline()
    attempt = Deadline(0, stop, 2 / 3)
    attempt.begin(10)
    assert attempt.seconds == 10
    clock.now += 4
    stop.bring_forward(clock.now + 3)  # an attempt under way is shortened, whatever its age
    assert attempt.seconds == pytest.approx(2)
    clock.now += 2
    with pytest.raises(TimeoutError, match=r"^timed out after 6\.0 s$"):
        attempt.left()
    attempt.begin(10)  # the second one, on a new connection
    assert attempt.seconds == pytest.approx(2 / 3)
    clock.now += 0.7
    attempt.begin(10)
    assert attempt.seconds == pytest.approx(0.3)  # a share of it would be too little for anything
    stop.end_at(clock.now + 100)
    assert attempt.seconds == 10


def test_one_within_others_ends_with_the_first(clock: Clock) -> None:
    stop = Deadline(5)
    wait = Deadline(20, stop)
    assert wait.seconds == 5
    assert Deadline(3, wait).seconds == 3
    stop.cancel()
    assert wait.over
    assert wait.cancelled


def test_what_is_cancelled_stays_so_and_what_waits_is_cut() -> None:
    deadline, cuts = Deadline(), list[str]()
    deadline.begin(100)
    deadline.cut_by(lambda: cuts.append("first"))
    deadline.cut_by(lambda: cuts.append("second"))
    deadline.cut_if_over()
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


def test_a_wait_is_cut_when_its_time_is_over(clock: Clock) -> None:
    deadline, cuts = Deadline(10), list[int]()
    deadline.cut_by(lambda: cuts.append(1))
    clock.now += 9
    deadline.cut_if_over()
    assert cuts == []
    clock.now += 1
    deadline.cut_if_over()
    assert cuts == [1]


def test_an_operation_of_a_socket_ends_with_the_deadline_and_says_after_how_long() -> None:
    deadline = Deadline()
    one, other = socket.socketpair()
    with one, other:
        deadline.begin(100)
        with deadline.bounds(one):
            assert 90 < (one.gettimeout() or 0) <= 100
        with pytest.raises(TimeoutError, match=r"^of something else$"), deadline.bounds(one):
            raise TimeoutError("of something else")
        deadline.begin(0.1)
        with pytest.raises(TimeoutError, match=r"^timed out after 0\.1 s$"), deadline.bounds(one):
            one.recv(1)
        with pytest.raises(TimeoutError), deadline.bounds(one):
            pytest.fail("there is no time left")


@pytest.mark.skipif("sys.platform != 'linux'", reason="the system doesn't tell")
def test_it_is_seen_that_the_time_was_over_while_something_was_being_sent() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as one,
        server.accept()[0],
    ):
        deadline = Deadline(0.05)
        # More than any buffer has room for.
        with pytest.raises(SendingTimeoutError, match=r"^timed out"), deadline.bounds(one):
            one.sendall(bytes(50_000_000))


@pytest.mark.parametrize("end", [lambda one: one.recv(1), lambda one: one.close()])
def test_a_socket_that_was_closed_or_that_sent_nothing_was_not_sending(
    end: Callable[[socket.socket], object],
) -> None:
    def operate() -> None:
        with Deadline(0.05).bounds(one):
            end(one)
            raise TimeoutError

    one, other = socket.socketpair()
    with one, other, pytest.raises(TimeoutError) as caught:
        operate()
    assert type(caught.value) is TimeoutError


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("begin", lambda deadline: deadline.begin(100)),
        ("cut_by", lambda deadline: deadline.cut_by(None)),
        ("cancel", Deadline.cancel),
        ("cut_if_over", Deadline.cut_if_over),
        ("bring_forward", lambda deadline: deadline.bring_forward(0)),
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
