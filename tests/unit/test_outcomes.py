"""Pings and their outcomes, who waits for them, and the threads that work on demand."""

from __future__ import annotations

import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from loghc import Event, Outcome, Stats, native
from loghc.callbacks import within_callback
from loghc.delivery.closing import ClosingTime
from loghc.delivery.outcomes import Outcomes
from loghc.delivery.queued import Queued
from loghc.delivery.report import Report
from loghc.delivery.thread import ThreadOnDemand
from loghc.ping import Attempt, Ping
from processes import needs_posix
from waiting import refuse_thread, seconds_for, wait_until, wait_until_in

OK = Attempt(delivered=True, status=200)
GONE = Attempt(delivered=False, status=410, error="410 gone")


def queued(run_id: str = "a run") -> Queued:
    return Queued(Ping(Event.FAIL, run_id, bytes))


def outcomes_told(on_outcome: Callable[[Outcome], object] | None = None) -> Outcomes:
    return Outcomes(Report("here"), on_outcome)


def test_a_ping_has_one_outcome_the_first() -> None:
    outcomes, one, two = outcomes_told(), queued(), queued()
    for each in (one, two, one):
        outcomes.expect(each)
    assert (outcomes.open(), outcomes.pending) == ([one, two], 2)
    assert outcomes.settle(one, OK)
    assert not outcomes.settle(one, GONE)
    outcomes.expect(one)  # by a put that was interrupted
    assert outcomes.is_open(two)
    assert not outcomes.is_open(one)
    assert outcomes.settle(two, GONE)
    assert outcomes.stats == Stats(delivered=1, failed=1, pending=0)


def test_who_debugs_sees_each_outcome(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGHC_DEBUG", "1")
    outcomes, one = outcomes_told(), queued()
    outcomes.expect(one)
    outcomes.settle(one, OK)
    said = re.fullmatch(
        r".* delivered, 200 \(attempts: 0, ([\d.]+) s\)\.\n", capsys.readouterr().err
    )
    assert said is not None
    assert float(said[1]) < 5


@needs_posix
def test_on_outcome_s_thread_takes_the_signals_that_the_app_takes() -> None:
    blocked: list[object] = []
    outcomes = outcomes_told(lambda _: blocked.append(signal.pthread_sigmask(signal.SIG_BLOCK, ())))
    one = queued()
    outcomes.expect(one)
    outcomes.settle(one, OK)
    wait_until(lambda: blocked)
    assert blocked == [signal.pthread_sigmask(signal.SIG_BLOCK, ())]


def test_outcomes_are_counted() -> None:
    outcomes = outcomes_told()
    for attempt in (OK, GONE, OK, GONE, OK):
        each = queued()
        outcomes.expect(each)
        outcomes.settle(each, attempt)
    assert outcomes.stats == Stats(delivered=3, failed=2, pending=0)


def test_of_two_threads_that_settle_a_ping_one_comes_first() -> None:
    outcomes, one, first = outcomes_told(), queued(), list[bool]()
    outcomes.expect(one)
    threads = [
        threading.Thread(target=lambda: first.append(outcomes.settle(one, OK))) for _ in range(2)
    ]
    with outcomes._lock:
        for thread in threads:
            thread.start()
            wait_until_in(thread, "settle")
            thread.join(0.05)
            assert thread.is_alive()
        assert outcomes.is_open(one)
    for thread in threads:
        thread.join(20)
    assert sorted(first) == [False, True]
    assert outcomes.stats == Stats(1, 0, 0)


def test_a_ping_that_is_withdrawn_has_none() -> None:
    outcomes, one = outcomes_told(), queued()
    outcomes.expect(one)
    outcomes.withdraw(one)
    outcomes.withdraw(one)
    assert not outcomes.settle(one, OK)
    assert outcomes.stats == Stats(0, 0, 0)


def test_on_outcome_is_told_all_that_is_known() -> None:
    told: list[Outcome] = []
    outcomes, one = outcomes_told(told.append), queued()
    one.attempts, one.since = 3, time.monotonic() - 100
    outcomes.expect(one)
    outcomes.settle(one, GONE)
    wait_until(lambda: told)
    (outcome,) = told
    assert outcome == Outcome(
        Event.FAIL,
        "a run",
        delivered=False,
        status=410,
        error="410 gone",
        attempts=3,
        elapsed=outcome.elapsed,
    )
    assert 100 <= outcome.elapsed < 160


# Waiting


@pytest.mark.parametrize("wake", ["changed", "settle", "withdraw"])
def test_who_waits_looks_again_at_each_change(wake: str) -> None:
    outcomes, one = outcomes_told(), queued()
    outcomes.expect(one)
    held: list[bool] = []
    done: list[int] = []

    def wait() -> None:
        condition = (lambda: done) if wake == "changed" else (lambda: not outcomes.pending)
        held.append(outcomes.wait_for(condition, ClosingTime(time.monotonic() + 60)))

    waiting = [threading.Thread(target=wait) for _ in range(2)]
    for thread in waiting:
        thread.start()
        wait_until_in(thread, "wait_for")
    if wake == "changed":
        outcomes.changed()  # of something else
        done.append(1)
        outcomes.changed()
    elif wake == "settle":
        outcomes.settle(one, OK)
    else:
        outcomes.withdraw(one)
    for thread in waiting:
        thread.join(20)
    assert held == [True, True]
    assert outcomes._waiting == []


def test_a_wait_ends_in_time_and_looks_before_it_asks_for_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    timeouts: list[float] = []

    class Bell(native.Bell):
        def wait(self, seconds: float) -> bool:
            timeouts.append(seconds)
            return super().wait(seconds)

    monkeypatch.setattr(native, "Bell", Bell)
    outcomes = outcomes_told()
    over = ClosingTime(time.monotonic() - 1)
    assert outcomes.wait_for(lambda: True, over)
    assert not outcomes.wait_for(lambda: False, over)
    soon = ClosingTime(time.monotonic() + 0.05)
    assert not outcomes.wait_for(lambda: False, soon)
    assert soon.over
    assert timeouts
    assert all(timeout <= 0.05 for timeout in timeouts)
    assert outcomes._waiting == []


# on_outcome's own thread


@pytest.fixture
def hanging() -> Iterator[tuple[Outcomes, threading.Event, list[object]]]:
    """Outcomes whose first is being told, what ends that, and what was seen from within."""
    within: list[object] = []
    go_on = threading.Event()

    def hang(outcome: Outcome) -> None:
        within.append((outcomes.telling, within_callback()))
        go_on.wait(60)

    outcomes = outcomes_told(hang)
    one = queued()
    outcomes.expect(one)
    outcomes.settle(one, OK)
    wait_until(lambda: within)
    yield outcomes, go_on, within
    go_on.set()


def test_telling_is_seen_by_the_others_alone(
    hanging: tuple[Outcomes, threading.Event, list[object]],
) -> None:
    outcomes, go_on, within = hanging
    assert outcomes.telling
    assert not within_callback()
    assert within == [(False, True)]
    go_on.set()
    wait_until(lambda: not outcomes.telling)
    assert outcomes.wait_for(lambda: not outcomes.telling, ClosingTime(time.monotonic() + 20))


def test_the_end_waits_for_that_thread_as_long_as_it_is_told(
    hanging: tuple[Outcomes, threading.Event, list[object]],
) -> None:
    outcomes, go_on, _ = hanging
    threads = set(sys._current_frames())
    assert 0.05 <= seconds_for(lambda: outcomes.end(0.05)) < 10
    go_on.set()
    assert seconds_for(lambda: outcomes.end(60)) < 20
    assert set(sys._current_frames()) < threads


def test_what_waits_to_be_told_is_bounded_and_the_newest(
    hanging: tuple[Outcomes, threading.Event, list[object]], capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes, _, _ = hanging
    for number in range(10_002):
        each = queued(str(number))
        outcomes.expect(each)
        outcomes.settle(each, OK)
        if number == 9_999:
            assert capsys.readouterr().err == ""
    assert [outcome.run_id for outcome in outcomes._untold] == [
        str(number) for number in range(2, 10_002)
    ]
    assert capsys.readouterr().err.count("too slow") == 1
    outcomes._untold.clear()


# Threads on demand


class Work:
    """Counts what is done, on which thread, and lets go when it is told to."""

    def __init__(self, count: int = 1) -> None:
        self.left = count
        self.threads: list[int] = []
        self.idle = 0
        self.current: list[bool] = []
        self.go_on = threading.Event()
        self.thread = ThreadOnDemand(self.work, lambda: self.left, self.rest)

    def work(self) -> None:
        self.threads.append(threading.get_ident())
        self.current.append(self.thread.is_current)
        self.go_on.wait(60)
        self.left = 0

    def rest(self) -> None:
        self.idle += 1
        self.current.append(self.thread.at_work)


def test_a_thread_is_started_where_there_is_work_and_nobody_at_it(
    threads_asked_for: list[Any],
) -> None:
    work = Work(0)
    assert work.thread.start()
    assert threads_asked_for == []
    work.left = 1
    work.thread.run_here(work.thread.start)
    assert threads_asked_for == []
    assert work.thread.start()
    assert len(threads_asked_for) == 1


def test_one_thread_works_and_goes() -> None:
    work = Work()
    assert work.thread.start()
    wait_until(lambda: work.threads)
    assert work.thread.at_work
    assert not work.thread.is_current
    assert work.thread.start()  # one is enough
    work.thread.run_here(lambda: pytest.fail("two at once"))
    assert work.thread.at_work
    assert work.idle == 0
    work.go_on.set()
    work.thread.end(60)
    assert (len(work.threads), work.idle, work.current) == (1, 1, [True, False])
    assert work.threads[0] not in sys._current_frames()


def test_work_may_be_done_here_where_no_thread_can_be_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    work = Work()
    work.go_on.set()
    with monkeypatch.context() as patch:
        patch.setattr(native, "start_new_thread", refuse_thread)
        assert not work.thread.start()
    work.thread.run_here(work.work)
    assert work.threads == [threading.get_ident()]
    assert (work.idle, work.current) == (1, [True, False])


def test_work_that_is_interrupted_gives_its_place_back() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    work = Work()
    with pytest.raises(KeyboardInterrupt):
        work.thread.run_here(interrupt)
    assert not work.thread.at_work
    assert work.idle == 1


@needs_posix
def test_a_thread_takes_no_signals_but_where_it_calls_the_app_those_that_the_app_takes() -> None:
    seen: list[set[int]] = []

    def thread(then: Callable[[], object], **options: bool) -> ThreadOnDemand:
        left = [1]

        def work() -> None:
            left.clear()
            seen.append(set(signal.pthread_sigmask(signal.SIG_BLOCK, ())))
            then()

        return ThreadOnDemand(work, lambda: left, lambda: None, **options)

    third = thread(bool, calls_app=True)
    second = thread(third.start)
    first = thread(second.start)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    try:
        first.start()
        wait_until(lambda: len(seen) == 3)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    faults = {signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV}
    faults |= {signal.SIGSYS, signal.SIGTRAP}
    never = {signal.SIGKILL, signal.SIGSTOP}
    assert seen[0] == seen[1] == signal.valid_signals() - faults - never
    assert seen[2] == {*before, signal.SIGUSR2}


def test_a_thread_that_was_started_is_seen_to_begin(threads_asked_for: list[Any]) -> None:
    work = Work()
    work.go_on.set()
    assert work.thread.start()
    seen: list[bool] = []
    waiting = threading.Thread(target=lambda: seen.append(work.thread.begins(20)))
    work.go_on.clear()
    waiting.start()
    wait_until_in(waiting, "begins")
    function, arguments = threads_asked_for.pop()
    begins = threading.Thread(target=function, args=arguments)
    begins.start()
    waiting.join(30)
    assert seen == [True]
    work.go_on.set()
    begins.join(30)
    assert not work.thread.begins(0.001)


def test_the_end_of_a_thread_that_has_yet_to_begin_is_waited_for(
    threads_asked_for: list[Any],
) -> None:
    work = Work()
    work.go_on.set()
    assert work.thread.start()
    waiting = threading.Thread(target=work.thread.end, args=(60,))
    waiting.start()
    wait_until_in(waiting, "end")
    waiting.join(0.05)
    assert waiting.is_alive()
    function, arguments = threads_asked_for.pop()
    begins = threading.Thread(target=function, args=arguments)  # not here: it blocks signals
    begins.start()
    begins.join(30)
    waiting.join(30)
    assert not waiting.is_alive()


def test_a_start_that_is_interrupted_leaves_nothing_to_wait_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    work = Work()
    with monkeypatch.context() as patch:
        patch.setattr(native, "start_new_thread", interrupt)
        with pytest.raises(KeyboardInterrupt):
            work.thread.start()
    assert seconds_for(lambda: work.thread.end(60)) < 30


def test_the_end_on_a_threads_own_is_not_waited_for() -> None:
    took: list[float] = []
    work = Work()

    def ends_itself() -> None:
        took.append(seconds_for(lambda: thread.end(60)))
        work.left = 0

    thread = ThreadOnDemand(ends_itself, lambda: work.left, lambda: None)
    thread.start()
    wait_until(lambda: took, 30)
    assert took[0] < 20


def test_a_thread_that_finds_another_at_work_leaves_the_work_to_it() -> None:
    work = Work()
    holding, begun = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        holding.wait(60)

    here = threading.Thread(target=lambda: work.thread.run_here(hold))
    here.start()
    assert begun.wait(20)
    # Started just before the other took the place:
    rest = threading.Thread(target=work.thread._run, args=(object(), 0, None))
    rest.start()
    rest.join(20)
    assert not rest.is_alive()
    assert work.threads == []
    holding.set()
    here.join(20)
    assert work.idle == 1
