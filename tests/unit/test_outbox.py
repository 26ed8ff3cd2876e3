"""What the outbox keeps when more pings wait than it has room for, and what it lets go first."""

from __future__ import annotations

import threading
import time
from collections import deque

import pytest

from loghc import Event
from loghc.delivery.outbox import LOGS, PINGS, Outbox
from loghc.delivery.queued import LOG_LEFT_OUT, Queued
from loghc.ping import Attempt
from pings import ping

START, SUCCESS, FAIL, LOG = Event.START, Event.SUCCESS, Event.FAIL, Event.LOG


class Box:
    """An outbox, and what it dropped."""

    def __init__(self) -> None:
        self.dropped: list[Queued] = []
        self.outbox = Outbox(self.dropped.append)

    def put(self, event: Event, run_id: str = "", text: str = "the log") -> Queued:
        queued = Queued(ping(event, run_id or None, text))
        self.outbox.put(queued)
        return queued

    def fill(self, event: Event, count: int = PINGS) -> None:
        for number in range(count):
            self.put(event, f"{event.value} {number}")

    def taken(self) -> list[Queued]:
        found = []
        while (queued := self.outbox.take()) is not None:
            found.append(queued)
        return found


@pytest.fixture
def box() -> Box:
    return Box()


def has_log(queued: Queued) -> bool:
    return queued.ping.body() != LOG_LEFT_OUT


def test_pings_leave_in_the_order_in_which_they_came(box: Box) -> None:
    put = [box.put(event) for event in (START, LOG, FAIL, START, SUCCESS)]
    assert box.taken() == put
    assert box.outbox.take() is None
    assert not box.outbox


def test_what_is_put_back_is_the_next_to_be_taken(box: Box) -> None:
    first, second = box.put(START), box.put(LOG)
    assert box.outbox.take() is first
    box.outbox.put_back(first)
    assert box.taken() == [first, second]


def test_what_is_discarded_is_not_taken_and_makes_no_other_lose_its_log(box: Box) -> None:
    for queued in [box.put(FAIL) for _ in range(LOGS - 1)]:
        box.outbox.discard(queued)
    put = [box.put(LOG) for _ in range(LOGS - 1)]
    box.outbox.discard(Queued(ping(LOG)))  # never there
    taken = box.taken()
    assert taken == put
    assert all(map(has_log, taken))


# Logs.


@pytest.mark.parametrize("event", list(Event))
def test_of_the_logs_of_one_kind_the_oldest_go(event: Event, box: Box) -> None:
    box.fill(event, LOGS + 10)
    taken = box.taken()
    kept = [has_log(queued) for queued in taken]
    assert kept == [False] * 11 + [True] * (LOGS - 1)  # and one that is being sent
    assert box.dropped == []


def test_starts_lose_their_logs_first_then_lines_then_successes_and_failures_last(
    box: Box,
) -> None:
    kinds = (FAIL, SUCCESS, LOG, START)  # what matters most is the oldest
    queued = [box.put(event) for event in kinds for _ in range(LOGS // 4)]
    more = LOGS // 4 - 1
    for gone in ({START}, {START, LOG}, {START, LOG, SUCCESS}, {*kinds}):
        box.fill(FAIL, more)
        more = LOGS // 4
        assert {each.ping.event for each in queued if not has_log(each)} == gone
        assert {each.ping.event for each in queued if has_log(each)} == {*kinds} - gone


def test_the_newest_failure_keeps_its_log_whatever_comes_after_it(box: Box) -> None:
    failure = box.put(FAIL)
    box.fill(START, 100)
    box.fill(SUCCESS, 100)
    box.fill(LOG, 100)
    assert has_log(failure)


def test_a_log_that_is_left_out_is_not_held_and_its_ping_says_so(box: Box) -> None:
    start = box.put(START, "a run")
    box.fill(FAIL, LOGS)
    assert start.ping.body() == LOG_LEFT_OUT
    assert LOG_LEFT_OUT.footer.startswith(b"loghc: the log was left out, as more pings waited")
    assert (start.ping.event, start.ping.run_id) == (START, "a run")


def test_what_was_taken_makes_room_for_logs(box: Box) -> None:
    for _ in range(5):
        box.fill(FAIL, LOGS - 1)
        assert [has_log(queued) for queued in box.taken()] == [True] * (LOGS - 1)


# Pings.


def test_no_more_than_so_many_pings_wait_and_each_that_goes_is_told_at_once(box: Box) -> None:
    box.fill(SUCCESS, PINGS + 100)
    assert len(box.outbox) == PINGS
    assert [queued.ping.run_id for queued in box.dropped] == [f"success {n}" for n in range(100)]


def test_starts_whose_ends_wait_too_go_first(box: Box) -> None:
    box.put(LOG)
    box.put(SUCCESS)
    box.put(START, "open")
    ended = [box.put(START, "a"), box.put(START, "b")]
    box.put(SUCCESS, "a")
    box.put(FAIL, "b")
    box.fill(FAIL, PINGS - 7)
    box.fill(FAIL, 2)
    assert box.dropped == ended


class TakenMeanwhile(deque[Queued]):
    """A deque from which another thread takes what is about to be removed."""

    def __init__(self, box: Box) -> None:
        super().__init__(box.outbox._starts)
        self.take = box.outbox.take

    def remove(self, queued: Queued) -> None:
        take, self.take = self.take, lambda: None
        take()
        super().remove(queued)


def test_a_start_that_is_taken_as_its_end_comes_does_not_go(box: Box) -> None:
    start = box.put(START, "a run")
    box.outbox._starts = TakenMeanwhile(box)
    box.put(SUCCESS, "a run")
    box.fill(LOG)
    assert len(box.dropped) == 1
    assert start not in box.dropped


def test_then_lines_then_open_starts_then_the_oldest_successes_and_at_last_failures(
    box: Box,
) -> None:
    failures = [box.put(FAIL), box.put(FAIL)]
    successes = [box.put(SUCCESS), box.put(SUCCESS)]
    starts = [box.put(START), box.put(START)]
    lines = [box.put(LOG), box.put(LOG)]
    box.fill(FAIL, PINGS - 8)
    box.fill(FAIL, 8)
    assert box.dropped == [*lines, *starts, *successes, *failures]


@pytest.mark.parametrize("flood", [START, SUCCESS, LOG])
def test_every_failure_stays_whatever_floods_the_outbox(flood: Event, box: Box) -> None:
    box.fill(FAIL, 100)
    box.fill(flood)
    assert len(box.outbox) == PINGS
    assert sum(queued.ping.event is FAIL for queued in box.taken()) == 100


def test_a_put_into_a_full_outbox_takes_no_longer_than_a_marker_call_may(box: Box) -> None:
    for number in range(PINGS // 2):
        box.put(FAIL, str(number))
        box.put(SUCCESS, str(number))
    took = []
    for _ in range(200):
        begun = time.perf_counter()
        box.put(SUCCESS)
        took.append(time.perf_counter() - begun)
    assert sorted(took)[100] < 0.001


def test_a_healthy_service_leaves_nothing_behind_in_the_outbox(box: Box) -> None:
    for number in range(1000):
        box.put(START, str(number))
        box.put(SUCCESS, str(number))
        box.put(START, f"{number} has no end")
        box.taken()
    held = [getattr(box.outbox, name) for name in vars(box.outbox)]
    held += [each for index in held if isinstance(index, dict) for each in index.values()]
    assert [each for each in held if isinstance(each, (deque, Queued)) and each] == []


# Waiting.


def test_a_wait_ends_when_a_ping_is_put_or_somebody_rings(box: Box) -> None:
    for wake in (lambda: box.put(LOG), box.outbox.ring):
        waiting = threading.Thread(target=box.outbox.wait, args=(60,))
        waiting.start()
        wake()
        waiting.join(20)
        assert not waiting.is_alive()


def test_a_wait_ends_in_time_also_where_the_time_is_over_already(box: Box) -> None:
    begun = time.monotonic()
    box.outbox.wait(-1)
    box.outbox.wait(0.01)
    assert time.monotonic() - begun < 5


def test_what_is_said_of_a_ping_that_is_given_up_is_the_last_that_was_seen(box: Box) -> None:
    queued = box.put(LOG)
    assert queued.unfinished.error == "dropped before the first attempt"
    queued.attempts = 1
    assert queued.unfinished.error == "no answer came in time"
    queued.last = Attempt(delivered=False, status=503, error="503 unavailable", transient=True)
    assert (queued.unfinished.status, queued.unfinished.error) == (503, "503 unavailable")
    queued.last = Attempt(delivered=True, status=200)
    assert not queued.unfinished.delivered
