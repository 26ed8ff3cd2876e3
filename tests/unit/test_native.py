"""Thread functions that no patch reaches."""

from __future__ import annotations

import _thread
import math
import select
import threading

import pytest

from loghc import native
from waiting import seconds_for


def test_what_is_patched_elsewhere_stays_genuine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_thread, "start_new_thread", None)
    monkeypatch.setattr(select, "poll", None)
    bell, threads = native.Bell(), set()

    def run() -> None:
        threads.add(native.get_ident())
        bell.ring()

    native.start_new_thread(run, ())
    assert bell.wait(20)
    assert threads
    assert native.get_ident() not in threads
    assert native.poll is not None
    assert native.poll().poll(0) == []


def test_a_bell_wakes_who_waits_and_who_comes_late_once() -> None:
    bell = native.Bell()
    threading.Timer(0.05, bell.ring).start()
    assert bell.wait(20)
    bell.ring()
    bell.ring()
    assert bell.wait(20)
    assert not bell.wait(0)
    assert not bell.wait(-math.inf)


def test_a_bell_can_be_waited_for_as_long_as_one_likes() -> None:
    bell = native.Bell()
    threading.Timer(0.05, bell.ring).start()
    assert bell.wait(math.inf)


def test_sleep_takes_its_time() -> None:
    assert seconds_for(lambda: native.sleep(0.05)) >= 0.05
    assert seconds_for(lambda: native.sleep(-1)) < 5
