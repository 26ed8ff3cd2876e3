"""The thread that does the work: when it lives, who waits for it, which signals it takes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from loghc import native
from loghc.delivery import thread
from loghc.delivery.thread import ThreadOnDemand
from processes import needs_posix
from waiting import seconds_for, wait_until


def test_another_thread_with_the_identifier_of_one_that_ended_is_not_waited_for() -> None:
    did: list[int] = []
    work = ThreadOnDemand(lambda: did.append(threading.get_ident()), lambda: not did, lambda: None)
    assert work.start()
    wait_until(lambda: did)
    work.end(20)
    for _ in range(1000):
        may_end = threading.Event()
        other = threading.Thread(target=may_end.wait)
        other.start()
        try:
            if other.ident == did[0]:
                assert seconds_for(lambda: work.end(20)) < 10
                return
        finally:
            may_end.set()
            other.join()
    pytest.skip("the system gave no thread that identifier again")


@pytest.fixture
def work() -> Iterator[Work]:
    work = Work()
    yield work
    work.may_go.set()
    work.thread.end(20)


class Work:
    """Work that takes until it may go, once for each item."""

    def __init__(self) -> None:
        self.left = 0
        self.begun: list[int] = []
        self.idle = 0
        self.may_go = threading.Event()
        self.error: BaseException | None = None
        self.thread = ThreadOnDemand(self._work, lambda: self.left, self._idle)

    def _work(self) -> None:
        while self.left:
            self.begun.append(threading.get_ident())
            self.may_go.wait(20)
            self.left -= 1
            if self.error is not None:
                raise self.error

    def _idle(self) -> None:
        self.idle += 1


def test_a_thread_lives_while_there_is_work_and_never_two_at_once(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, started = native.start_new_thread, list[None]()

    def counted(*args: Any) -> int:
        started.append(None)
        return start(*args)

    monkeypatch.setattr(native, "start_new_thread", counted)
    assert work.thread.start()
    assert not started
    assert not work.thread.at_work  # there was nothing to do
    work.left = 2
    assert work.thread.start()
    assert work.thread.begins(20)
    assert work.thread.at_work
    assert not work.thread.is_current
    for _ in range(5):
        assert work.thread.start()
    work.thread.run_here(lambda: work.begun.append(0))  # another thread is at it
    assert not work.idle
    work.may_go.set()
    work.thread.end(20)
    wait_until(lambda: not work.thread.at_work)
    assert len(work.begun) == 2
    assert len({*work.begun, threading.get_ident()}) == 2
    assert work.idle == 1
    assert len(started) == 1


def test_a_thread_that_ends_is_waited_for_in_bounded_time(work: Work) -> None:
    work.left = 1
    work.thread.start()
    assert work.thread.begins(20)
    assert 0.01 < seconds_for(lambda: work.thread.end(0.02)) < 10


def test_a_thread_that_does_not_begin_is_waited_for_in_bounded_time(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loghc.native.start_new_thread", lambda *_: 0)
    assert not work.thread.begins(0)
    work.left = 1
    assert work.thread.start()
    assert not work.thread.begins(0.01)
    assert 0.01 < seconds_for(lambda: work.thread.end(0.02)) < 10  # it may begin at any moment
    thread._beginning.clear()


@pytest.mark.parametrize("error", [RuntimeError("no more threads"), KeyboardInterrupt()])
def test_a_thread_that_cannot_be_had_leaves_nothing_behind(
    error: BaseException, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise error

    monkeypatch.setattr("loghc.native.start_new_thread", refuse)
    work.left = 1
    if isinstance(error, RuntimeError):
        assert not work.thread.start()
    else:
        with pytest.raises(KeyboardInterrupt):
            work.thread.start()
    assert not thread._beginning
    work.may_go.set()
    work.thread.run_here(work._work)
    assert work.begun == [threading.get_ident()]
    assert work.idle == 1


def test_work_on_the_calling_thread_gives_its_place_back_whatever_is_raised(work: Work) -> None:
    def interrupted() -> None:
        assert work.thread.is_current
        assert work.thread.at_work
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work.thread.run_here(interrupted)
    assert not work.thread.is_current
    assert not work.thread.at_work
    assert work.idle == 1


@needs_posix
@pytest.mark.parametrize("calls_app", [False, True])
def test_a_thread_takes_the_app_s_signals_only_if_it_calls_the_app(calls_app: bool) -> None:
    blocked: list[set[int]] = []
    threads: list[ThreadOnDemand] = []

    def look() -> None:
        blocked.append(set(signal.pthread_sigmask(signal.SIG_BLOCK, ())))
        if later:
            start(*later)

    later: list[bool] = [False, calls_app]  # started by the first one, and so on

    def start(calls_app: bool, *more: bool) -> None:
        left, later[:] = [1], more

        def work() -> None:
            left.clear()
            look()

        threads.append(ThreadOnDemand(work, lambda: left, lambda: None, calls_app=calls_app))
        threads[-1].start()

    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    try:
        start(False, *later)
        wait_until(lambda: len(blocked) == 3)
        for each in threads:
            each.end(20)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    first, second, third = blocked
    assert {signal.SIGTERM, signal.SIGINT, signal.SIGUSR2} <= first
    assert not first & {signal.SIGSEGV, signal.SIGFPE}
    assert second == first
    assert third == ({*before, signal.SIGUSR2} if calls_app else first)


def test_a_thread_waits_neither_for_itself_nor_for_one_with_other_work(work: Work) -> None:
    work.left = 1
    work.thread.start()
    assert work.thread.begins(20)
    left, taken = [1], list[float]()

    def look() -> None:
        left.clear()
        taken.append(seconds_for(lambda: other.end(20)))

    other = ThreadOnDemand(look, lambda: left, lambda: None)
    other.start()
    wait_until(lambda: taken)
    assert taken[0] < 10
    assert seconds_for(lambda: other.end(20)) < 10


def test_a_thread_that_finds_another_at_work_leaves_it_to_that(work: Work) -> None:
    late = threading.Thread(target=work.thread._run, args=(object(), 0, None))
    work.left = 1

    def meanwhile() -> None:
        late.start()
        late.join(20)

    work.thread.run_here(meanwhile)
    assert not late.is_alive()
    assert not work.begun
    work.left = 0
