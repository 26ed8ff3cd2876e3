"""What loghc reports: each thing once, and exceptions as text, whatever they raise when asked."""

from __future__ import annotations

import contextlib
import linecache
import os
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from loghc import native
from loghc.report import (
    Once,
    debugging,
    description,
    is_interactive,
    report,
    traceback_text,
)
from waiting import seconds_for, wait_until


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except type(error) as caught:
        return caught


class Ambiguous(Exception):  # noqa: N818 - as numpy's arrays have no truth of their own
    def __bool__(self) -> bool:
        raise RuntimeError("ambiguous")


class Leaving(Exception):  # noqa: N818
    def __str__(self) -> str:
        raise SystemExit(4)


class Odd(type):
    @property
    def __module__(cls) -> str:  # type: ignore[override]
        raise RuntimeError("no module")


class OddlyMade(Exception, metaclass=Odd):  # noqa: N818
    pass


def test_an_exception_is_shown_as_python_prints_it() -> None:
    error = raised(KeyError("disk full"))
    error.__cause__ = OSError("the cause")
    assert traceback_text(error) == "".join(traceback.format_exception(error))
    assert description(error) == "KeyError: 'disk full'"
    error = SyntaxError("bad", ("f.py", 1, 1, "text"))
    assert description(error) == "".join(traceback.format_exception_only(error)).strip()


@pytest.mark.parametrize(
    "error",
    [
        Ambiguous("x"),
        Leaving("x"),
        OddlyMade("x"),
        SyntaxError("bad", ("f.py", 1, "a", "text")),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_exception_that_can_t_be_shown_is_named_with_its_place(error: Exception) -> None:
    text = traceback_text(raised(error))
    assert text.startswith("Traceback (most recent call last):\n")
    assert f'\n  File "{__file__}", line ' in text
    assert "in raised\n" in text
    assert type(error).__name__ in text.splitlines()[-1]
    assert type(error).__name__ in description(error)


def test_a_source_that_can_t_be_read_hides_no_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> str:
        raise ValueError("null bytes")

    error = raised(KeyError("disk full"))
    monkeypatch.setattr(linecache, "getline", broken)
    text = traceback_text(error)
    assert f'File "{__file__}"' in text
    assert text.splitlines()[-1].startswith("KeyError: ")


# Once.


@pytest.fixture(params=["poll", "no poll"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows nothing says whether a pipe is full."""
    if request.param == "no poll":
        monkeypatch.setattr(native, "poll", None)
        monkeypatch.setattr("loghc.report._MAX_WRITE_WAIT_S", 20.0)
        start = native.start_new_thread

        def start_late(run: Callable[[], None], arguments: tuple[()]) -> int:
            return start(lambda: (native.sleep(0.02), run()), arguments)

        monkeypatch.setattr(native, "start_new_thread", start_late)


@contextlib.contextmanager
def stderr() -> Iterator[tuple[int, int]]:
    """Standard error is a pipe: its two ends. (A fixture's would be replaced by pytest's own.)"""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with os.fdopen(writing, "w") as stream, contextlib.redirect_stderr(stream):
        yield reading, writing
    os.close(reading)


def fill(writing: int) -> None:
    """Write until a pipe is full."""
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, 512 * b".")
    os.set_blocking(writing, True)


def drain(reading: int) -> None:
    """Read until a pipe is empty."""
    with contextlib.suppress(BlockingIOError):
        while True:
            os.read(reading, 65_536)


@pytest.mark.usefixtures("system")
def test_lines_arrive_whole_and_in_order_before_the_call_returns() -> None:
    long = "".join(map(str, range(3000)))
    with stderr() as (reading, _):
        assert seconds_for(lambda: report(long)) < 10
        report("the end")
        assert os.read(reading, 65_536).decode() == f"loghc: {long}\nloghc: the end\n"


@pytest.mark.usefixtures("system")
def test_a_line_that_nobody_reads_holds_nothing_up_and_arrives_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("loghc.report._MAX_WRITE_WAIT_S", 0.05)
    numbers = [f"loghc: line {number}\n" for number in range(5)]
    seen = bytearray()
    with stderr() as (reading, writing):
        fill(writing)

        def read() -> str:
            with contextlib.suppress(BlockingIOError):
                seen.extend(os.read(reading, 65_536))
            return seen.decode().lstrip(".")

        assert seconds_for(lambda: [report(line[7:-1]) for line in numbers]) < 5
        assert read() == ""
        report("the last")
        wait_until(lambda: read() == "".join([*numbers, "loghc: the last\n"]))


def test_of_what_nobody_reads_the_newest_is_kept() -> None:
    with stderr() as (reading, writing):
        fill(writing)
        for number in range(250):
            report(f"line {number}")
        drain(reading)
        report("the last")
        lines = os.read(reading, 65_536).decode().splitlines()
    assert lines == [*(f"loghc: line {number}" for number in range(51, 250)), "loghc: the last"]


def test_a_long_line_does_not_block_where_there_is_room_for_a_part_of_it() -> None:
    with stderr() as (reading, writing):
        fill(writing)
        os.read(reading, 4096)
        thread = threading.Thread(target=report, args=("x" * 9000,), daemon=True)
        thread.start()
        thread.join(10)
        blocked = thread.is_alive()
        drain(reading)
        report("")  # so that no other test finds the rest
    assert not blocked


def test_what_a_terminal_would_act_on_is_shown_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    report("a\x00\x1b[31m\x1f \t~\x7f\x80\x9f\xa0\nb")
    said = capsys.readouterr().err
    assert said == "loghc: a\\x00\\x1b[31m\\x1f \t~\\x7f\\x80\\x9f\xa0\nb\n"


@pytest.mark.parametrize(
    ("value", "asked"),
    [("1", True), ("yes", True), ("", False), (" ", False), ("0", False), (" 0 ", False)],
)
def test_debugging_is_asked_for_by_any_other_value_than_0(
    value: str, asked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGHC_DEBUG", value)
    assert debugging() is asked
    assert is_interactive() is asked


def test_a_thing_is_reported_once_and_another_besides(capsys: pytest.CaptureFixture[str]) -> None:
    once = Once()
    for _ in range(3):
        once.report("a", "first")
        once.report("b", "second")
    assert capsys.readouterr().err == "loghc: first\nloghc: second\n"


def test_a_thing_is_reported_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("loghc.report.monotonic", lambda: now[0])
    once, due = Once(every_s=60), []
    for seconds in (0, 59, 2, 59, 60):
        now[0] += seconds
        due.append(once.is_due("a"))
    assert due == [True, False, True, False, True]


def test_of_many_threads_one_reports() -> None:
    for _ in range(20):
        once, due = Once(), list[bool]()
        threads = [
            threading.Thread(target=lambda: due.append(once.is_due("a")))  # noqa: B023
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(due) == 1


def test_a_once_remembers_no_more_than_so_many_things() -> None:
    once = Once()
    assert sum(once.is_due(number) for number in range(5000)) == 1000
