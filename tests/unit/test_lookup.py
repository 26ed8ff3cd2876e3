"""A name's look-up ends in time, also where it hangs and where no thread can be started."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loghc import native
from loghc.service.deadline import Deadline
from loghc.service.lookup import addresses
from waiting import refuse_thread, wait_until

TCP = socket.SOCK_STREAM


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


def python_that(does: str, directory: Path) -> str:
    """An interpreter that does something first."""
    path = directory / "python3.11"
    path.write_text(f'#!/bin/sh\n{does}\nexec {sys.executable} "$@"\n')
    path.chmod(0o700)
    return str(path)


posix = pytest.mark.skipif(os.name != "posix", reason="needs a shell script")


@posix
def test_where_no_thread_can_be_started_a_process_looks_the_name_up(
    no_thread: None, hangs: None, deadline: Deadline, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(sys, "executable", python_that("echo trouble >&2", tmp_path))
    found = addresses("localhost", 80, deadline)
    assert {(kind, address[:2]) for _, kind, *_, address in found} <= {
        (TCP, ("127.0.0.1", 80)),
        (TCP, ("::1", 80)),
    }
    assert found
    with pytest.raises(socket.gaierror):
        addresses("nowhere.invalid", 80, deadline)
    assert capfd.readouterr().err == ""


@posix
def test_that_process_reads_nothing_of_what_is_the_programs(
    no_thread: None, deadline: Deadline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", python_that("cat", tmp_path))
    reading, writing = os.pipe()
    os.write(writing, b"input")
    os.close(writing)
    own = os.dup(0)
    os.dup2(reading, 0)
    try:
        addresses("localhost", 80, deadline)
        assert os.read(0, 10) == b"input"
    finally:
        os.dup2(own, 0)
        os.close(own)
        os.close(reading)


@posix
def test_that_process_is_given_up_with_the_deadline(
    no_thread: None, deadline: Deadline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", python_that("exec sleep 20", tmp_path))
    deadline.begin(0.2)
    with pytest.raises(TimeoutError, match=r"^timed out after 0\.2 s$"):
        addresses("localhost", 80, deadline)


@posix
def test_that_process_may_fail(
    no_thread: None, deadline: Deadline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", python_that("exit 3", tmp_path))
    with pytest.raises(OSError, match=r"^the process that looks names up failed$"):
        addresses("localhost", 80, deadline)


@pytest.mark.parametrize(
    "executable",
    ["/opt/app/backup", "", None, "/opt/python-app/run", "python-app", "/opt/app/my-python3"],
)
def test_a_program_that_is_its_own_interpreter_is_not_started_again(
    executable: str | None, no_thread: None, deadline: Deadline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", executable)
    assert addresses("localhost", 80, deadline) == socket.getaddrinfo("localhost", 80, type=TCP)
