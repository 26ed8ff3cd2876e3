"""Thread functions that no patch reaches."""

from __future__ import annotations

import _thread
import math
import select
import socket
import sys
import threading
import time
from types import SimpleNamespace

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


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """``time.sleep`` is gevent's, as far as can be seen: the pauses that it was asked for."""
    asked: list[float] = []

    def sleep(seconds: float) -> None:
        asked.append(seconds)
        native.sleep(0.001)

    sleep.__module__ = "gevent.hub"
    monkeypatch.setattr(time, "sleep", sleep)
    return asked


def test_without_greenlets_none_have_to_run_during_a_wait() -> None:
    assert native.wait_with_greenlets(lambda: False, 60) is None


def test_greenlets_run_during_a_wait(pauses: list[float]) -> None:
    checks = iter([False] * 8 + [True])
    assert native.wait_with_greenlets(lambda: next(checks), 60) is True
    assert pauses == [0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.05, 0.05]


@pytest.mark.usefixtures("pauses")
def test_a_wait_for_greenlets_ends_in_time() -> None:
    assert native.wait_with_greenlets(lambda: False, 0.02) is False
    assert native.wait_with_greenlets(lambda: True, 0) is True


@pytest.mark.parametrize(
    ("module", "green"),
    [
        ("gevent", True),
        ("gevent._socket3", True),
        ("eventlet.green.socket", True),
        ("geventlike", False),
        ("socket", False),
        (None, False),
    ],
)
def test_what_gevent_or_eventlet_made_is_told_by_its_module(
    module: str | None, green: bool
) -> None:
    assert native.is_green(SimpleNamespace(__module__=module)) is green


def test_a_genuine_socket_is_found_behind_a_patched_one(monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = socket.socket
    assert native.socket_class() is genuine
    monkeypatch.setattr(socket, "socket", type("socket", (), {"__module__": "gevent._socket3"}))
    assert native.socket_class() is genuine


def test_event_loops_that_a_thread_of_ours_made_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[object] = []
    hub = SimpleNamespace(destroy=lambda destroy_loop: closed.append(("gevent", destroy_loop)))
    poll = SimpleNamespace(close=lambda: closed.append("eventlet"))
    local = SimpleNamespace(hub=SimpleNamespace(poll=poll))
    found = [hub]
    gevent = SimpleNamespace(get_hub_if_exists=lambda: found.pop() if found else None)
    monkeypatch.setitem(sys.modules, "gevent._hub_local", gevent)
    monkeypatch.setitem(sys.modules, "eventlet.hubs", SimpleNamespace(_threadlocal=local))
    native.close_event_loop()
    assert closed == [("gevent", True), "eventlet"]
    del local.hub
    native.close_event_loop()  # there is none
    assert len(closed) == 2
