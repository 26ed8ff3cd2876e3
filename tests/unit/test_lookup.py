"""A name's look-up ends in time, also where it hangs and where no thread can be started."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from loghc import native
from loghc.deadline import Deadline
from loghc.service.lookup import KNOWN_LIMIT_S, Resolver
from waiting import refuse_thread, wait_until

TCP = socket.SOCK_STREAM


def addresses(host: str, port: int, deadline: Deadline) -> list[Any]:
    return Resolver().addresses(host, port, deadline)


@pytest.fixture
def deadline() -> Deadline:
    deadline = Deadline()
    deadline.begin(30)
    return deadline


@pytest.fixture
def hangs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Looking a name up hangs; what is an address, the system knows without."""
    over, real = threading.Event(), socket.getaddrinfo

    def hang(*args: Any, flags: int = 0, **options: Any) -> Any:
        if not flags & socket.AI_NUMERICHOST:
            over.wait(20)
        return real(*args, flags=flags, **options)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    yield
    over.set()


@pytest.fixture
def no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "start_new_thread", refuse_thread)


def test_an_address_is_not_looked_up(hangs: None, deadline: Deadline) -> None:
    assert addresses("127.0.0.1", 80, deadline)[0][4] == ("127.0.0.1", 80)
    assert {found[1] for found in addresses("::1", 80, deadline)} == {TCP}


def test_a_name_is_looked_up_for_tcp(deadline: Deadline) -> None:
    assert addresses("localhost", 80, deadline) == socket.getaddrinfo("localhost", 80, type=TCP)
    assert deadline._cut is None
    with pytest.raises(socket.gaierror):
        addresses("nowhere.invalid", 80, deadline)


def test_a_look_up_that_hangs_ends_with_the_deadline(hangs: None, deadline: Deadline) -> None:
    deadline.begin(0.1)
    with pytest.raises(TimeoutError, match=r"^timed out after 0\.1 s$"):
        addresses("localhost", 80, deadline)


def test_a_look_up_that_hangs_can_be_cut_off(hangs: None, deadline: Deadline) -> None:
    raised: list[BaseException] = []

    def look_up() -> None:
        try:
            addresses("localhost", 80, deadline)
        except TimeoutError as error:
            raised.append(error)

    thread = threading.Thread(target=look_up)
    thread.start()
    wait_until(lambda: deadline._cut is not None)
    deadline.cancel()
    thread.join(15)
    assert [str(error) for error in raised] == ["cancelled"]


def test_where_no_thread_can_be_started_a_name_is_looked_up_directly(
    no_thread: None, deadline: Deadline
) -> None:
    assert addresses("localhost", 80, deadline)
    with pytest.raises(socket.gaierror):
        addresses("nowhere.invalid", 80, deadline)


# What worked before.

FOUND = [
    (socket.AF_INET6, TCP, 6, "", ("::1", 80, 0, 0)),
    (socket.AF_INET6, TCP, 6, "", ("::2", 80, 0, 0)),
    (socket.AF_INET, TCP, 6, "", ("127.0.0.1", 80)),
    (socket.AF_INET, TCP, 6, "", ("127.0.0.2", 80)),
]


def resolve_to(found: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have any name resolve to these, or not at all where there are none."""

    def look_up(*_: object, flags: int = 0, **options: object) -> list[Any]:
        if flags & socket.AI_NUMERICHOST or not found:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return found

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def test_families_come_in_turn_and_what_worked_comes_first(
    deadline: Deadline, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(FOUND, monkeypatch)
    resolver = Resolver()
    turns = [FOUND[0], FOUND[2], FOUND[1], FOUND[3]]
    assert resolver.addresses("h.example", 80, deadline) == turns
    resolver.remember("h.example", 80, FOUND[3])
    assert resolver.addresses("h.example", 80, deadline) == [FOUND[3], *turns[:3]]
    assert resolver.addresses("other.example", 80, deadline) == turns


def test_what_worked_serves_where_the_name_does_not_resolve_any_more(
    deadline: Deadline, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to([], monkeypatch)
    resolver = Resolver()
    resolver.remember("h.example", 80, FOUND[3])
    assert resolver.addresses("h.example", 80, deadline) == [FOUND[3]]


def test_what_worked_serves_where_the_look_up_hangs(hangs: None, deadline: Deadline) -> None:
    resolver = Resolver()
    resolver.remember("h.example", 80, FOUND[3])
    begun = time.monotonic()
    assert resolver.addresses("h.example", 80, deadline) == [FOUND[3]]
    assert time.monotonic() - begun < 5 * KNOWN_LIMIT_S


def test_what_worked_serves_where_no_thread_can_be_started(
    hangs: None, no_thread: None, deadline: Deadline
) -> None:
    resolver = Resolver()
    resolver.remember("h.example", 80, FOUND[3])
    assert resolver.addresses("h.example", 80, deadline) == [FOUND[3]]


def test_an_address_that_worked_and_is_not_the_name_s_any_more_is_left_out(
    deadline: Deadline, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(FOUND[:1], monkeypatch)
    resolver = Resolver()
    resolver.remember("h.example", 80, FOUND[3])
    assert resolver.addresses("h.example", 80, deadline) == FOUND[:1]
