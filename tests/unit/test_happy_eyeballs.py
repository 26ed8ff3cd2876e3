"""Of several addresses, the first that answers is used."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import services
from loghc.deadline import Deadline
from loghc.service.happy_eyeballs import connect_to_first
from services import blackholes, unused_port
from waiting import wait_until_in

BROADCAST = "255.255.255.255"  # nobody may connect to it
NO_DELAY = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]


def found(*addresses: tuple[str, int]) -> list[Any]:
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", each) for each in addresses]


def refusing() -> tuple[str, int]:
    return "127.0.0.1", unused_port()


@pytest.fixture
def listening() -> Iterator[tuple[str, int]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()


@pytest.fixture(autouse=True)
def nothing_stays_open() -> Iterator[None]:
    if not os.path.isdir("/proc/self/fd"):  # noqa: PTH112
        yield
        return
    sockets = _open_sockets()
    yield
    assert _open_sockets() <= sockets


def _open_sockets() -> int:
    links = (os.path.realpath(each) for each in Path("/proc/self/fd").iterdir())
    return sum("socket:" in each for each in links) - len(services._held)


def test_an_address_that_refuses_is_followed_by_the_next_at_once(
    listening: tuple[str, int],
) -> None:
    addresses = found(*(refusing() for _ in range(15)), listening)
    begun = time.monotonic()
    sock, address = connect_to_first(addresses, NO_DELAY, Deadline(20))
    with sock:
        assert time.monotonic() - begun < 1.0  # and not a tenth of a second for each
        assert address == addresses[-1]
        assert sock.getpeername() == listening
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_an_address_that_does_not_answer_is_waited_for_a_moment(listening: tuple[str, int]) -> None:
    with blackholes(3) as dead:
        begun = time.monotonic()
        sock, address = connect_to_first(found(*dead, listening), (), Deadline(20))
        taken = time.monotonic() - begun
    with sock:
        assert address[4] == listening
        assert 0.45 <= taken < 2.2  # 0.25 s, then 0.1 s for each further one


def test_the_first_address_that_failed_says_why() -> None:
    with pytest.raises(ConnectionRefusedError):
        connect_to_first(found(refusing(), (BROADCAST, 9)), (), Deadline(20))
    with pytest.raises(OSError, match=r".") as raised:
        connect_to_first(found((BROADCAST, 9), refusing()), (), Deadline(20))
    assert not isinstance(raised.value, ConnectionRefusedError)


def test_a_name_may_have_no_address() -> None:
    with pytest.raises(OSError, match="the name has no address"):
        connect_to_first([], (), Deadline(20))


def test_sixteen_addresses_are_tried(listening: tuple[str, int]) -> None:
    with pytest.raises(ConnectionRefusedError):
        connect_to_first(found(*(refusing() for _ in range(16)), listening), (), Deadline(20))


def test_no_address_is_waited_for_beyond_the_deadline() -> None:
    deadline = Deadline()
    deadline.begin(0.1)
    with blackholes(2) as dead, pytest.raises(TimeoutError, match=r"timed out after 0\.1 s"):
        connect_to_first(found(*dead), (), deadline)


def test_an_attempt_that_is_cut_off_ends() -> None:
    deadline = Deadline()
    deadline.begin(60)
    raised: list[str] = []

    def connect() -> None:
        try:
            connect_to_first(found(*dead), (), deadline)
        except TimeoutError as error:
            raised.append(str(error))

    with blackholes(1) as dead:
        thread = threading.Thread(target=connect)
        thread.start()
        wait_until_in(thread, "_ready")
        deadline.cancel()
        thread.join(20)
    assert raised == ["cancelled"]
