"""How a process talks to its guard: only the two of them, and only what was taken counts."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Mapping
from typing import Any

import pytest

from loghc.guard import channel
from loghc.guard.channel import Listener, send

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux's")


def exchanged(
    message: Mapping[str, Any],
    *,
    pid: int | None = None,
    uid: int | None = None,
    fails: bool = False,
) -> tuple[int | None, list[Mapping[str, Any]]]:
    """What ``send`` returns, and what the guard has taken."""
    taken: list[Mapping[str, Any]] = []

    def take(received: Mapping[str, Any]) -> None:
        taken.append(received)
        if fails:
            raise KeyError("entry")

    address = os.urandom(8).hex()
    listener = Listener(address, os.getpid() if pid is None else pid)

    def receive() -> None:
        with contextlib.suppress(OSError, ValueError, KeyError):
            listener.receive(take)

    guard = threading.Thread(target=receive)
    guard.start()
    try:
        return send(address, os.geteuid() if uid is None else uid, message), taken
    finally:
        guard.join()
        listener._socket.close()


def test_a_message_that_was_taken_is_acknowledged_with_the_guard_s_id() -> None:
    message = {"watch": {"entry": "/dev/shm/x", "headers": {"X-Näme": "ü\n"}}}
    assert exchanged(message) == (os.getpid(), [message])


def test_a_guard_does_not_listen_to_another_process() -> None:
    assert exchanged({"release": "x"}, pid=1) == (None, [])


def test_nothing_is_said_to_another_user() -> None:
    assert exchanged({"watch": "secret"}, uid=os.geteuid() + 1) == (None, [])


def test_what_the_guard_could_not_take_is_not_acknowledged() -> None:
    assert exchanged({"watch": {}}, fails=True) == (None, [{"watch": {}}])


def test_where_nobody_listens_there_is_no_guard() -> None:
    assert send("nobody", os.geteuid(), {}) is None


def test_a_guard_that_hangs_is_not_waited_for(monkeypatch) -> None:
    monkeypatch.setattr(channel, "_EXCHANGE_S", 0.05)
    address = os.urandom(8).hex()
    listener = Listener(address, os.getpid())  # and receives nothing
    assert send(address, os.geteuid(), {}) is None
    listener._socket.close()


def test_a_process_that_sends_nothing_does_not_hold_the_guard_up(monkeypatch) -> None:
    import socket

    monkeypatch.setattr(channel, "_EXCHANGE_S", 0.05)
    address = os.urandom(8).hex()
    listener = Listener(address, os.getpid())
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(f"\0loghc-guard-{address}")
        with pytest.raises(OSError, match="timed out"):
            listener.receive(lambda message: None)
    listener._socket.close()
