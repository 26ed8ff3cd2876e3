"""The lines that the recorder writes into a ring: a record, and an exception's traceback."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any

import pytest
from loguru import logger

from loghc.portable.text import (
    MILLISECONDS,
    format_record,
    traceback_text,
    traceback_text_now,
)

FORMAT = "{time:YYYY-MM-DD HH:mm:ss.SSS} | {level: <8} | {name}:{function}:{line} - {message}"


def records_of(log: Callable[[], object]) -> list[Any]:
    """loguru's messages, in its default format but for the colours."""
    messages: list[Any] = []
    logger.add(messages.append, format=FORMAT, backtrace=False, diagnose=False)
    log()
    return messages


def raised(deep: int = 0) -> BaseException:
    def fail(deep: int) -> None:
        if deep:
            fail(deep - 1)
        raise OSError("disk full")

    try:
        fail(deep)
    except OSError as error:
        return error
    raise AssertionError


def whole(error: BaseException) -> str:
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))


def test_a_record_reads_as_in_logurus_own_format() -> None:
    (message,) = records_of(lambda: logger.warning("nearly full"))
    assert format_record(message.record, False) == str(message)
    assert tuple(f"{number:03}" for number in range(1000)) == MILLISECONDS


@pytest.mark.parametrize("from_decorator", [False, True])
def test_a_records_traceback_begins_after_logurus_decorator(from_decorator: bool) -> None:
    error = raised()
    (message,) = records_of(lambda: logger.opt(exception=error).error("failed"))
    record = {**message.record, "exception": (type(error), error, error.__traceback__)}
    first = "in raised\n"
    assert (first in format_record(record, from_decorator)) is not from_decorator
    assert "in fail\n" in format_record(record, from_decorator)


@pytest.mark.parametrize("frames", [0, 1])
def test_a_traceback_of_hardly_any_frames_stays_whole(frames: int) -> None:
    error = raised()
    trace = error.__traceback__
    for _ in range(2 - frames):
        trace = trace and trace.tb_next
    record = records_of(lambda: logger.info("x"))[0].record
    text = format_record({**record, "exception": (type(error), error, trace)}, True)
    assert text.endswith("OSError: disk full\n")
    assert text.count("  File ") == frames


def test_an_exception_is_shown_as_python_prints_it(monkeypatch: pytest.MonkeyPatch) -> None:
    error = raised()
    assert traceback_text(type(error), error, error.__traceback__) == whole(error)
    assert traceback_text_now(error) == whole(error)


@pytest.mark.parametrize("missing", ["traceback", "ast"])
@pytest.mark.parametrize(
    ("kind", "arguments", "last"),
    [
        (OSError, ("disk full",), "OSError: disk full"),
        (KeyError, (), "KeyError"),
        (pytest.UsageError, ("x",), "pytest.UsageError: x"),
    ],
)
def test_a_missing_module_is_not_imported(
    missing: str,
    kind: type[BaseException],
    arguments: tuple[str, ...],
    last: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    try:
        raise kind(*arguments)
    except kind as caught:
        error = caught
    monkeypatch.delitem(sys.modules, missing, raising=False)
    lines = traceback_text_now(error).splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1].startswith(f'  File "{__file__}", line ')
    assert lines[1].endswith(", in test_a_missing_module_is_not_imported")
    assert lines[2:] == [last]
    assert missing not in sys.modules


class Odd(Exception):  # noqa: N818
    def __init__(self, raises: type[BaseException]) -> None:
        self._raises = raises

    def __str__(self) -> str:
        raise self._raises

    @property
    def __cause__(self) -> BaseException | None:  # type: ignore[override]
        raise self._raises


@pytest.mark.parametrize("raises", [KeyError, SystemExit])
def test_an_exception_that_can_t_be_shown_is_named_with_its_places(
    raises: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    error = Odd(raises).with_traceback(raised().__traceback__)
    text = traceback_text(Odd, error, error.__traceback__)
    assert text.count("  File ") == 2
    assert text.endswith("Odd: <its text can't be shown>\n")
    monkeypatch.delitem(sys.modules, "ast", raising=False)
    assert traceback_text_now(error).endswith("Odd: <its text can't be shown>\n")


def test_a_recursion_that_never_ends_is_the_programs_own() -> None:
    error = Odd(RecursionError)
    with pytest.raises(RecursionError):
        traceback_text(Odd, error, None)


def test_of_a_recursions_frames_those_in_the_middle_are_left_out() -> None:
    error = raised(deep=400)
    frame = '  File "x.py", line 1, in f\n    fail()\n'
    # Python itself leaves out frames that are all alike.
    kind = type("E", (Exception,), {"__str__": lambda _: 3000 * frame})
    text = traceback_text(kind, kind(), error.__traceback__)
    assert 29_000 < len(text) < 30_200
    head, _, end = text.partition("\n  ... loghc left out ")
    assert head.startswith("Traceback (most recent call last):\n  File ")
    assert end.endswith(frame + "\n")
    left = int(end.partition(" ")[0].replace(",", ""))
    full = "".join(traceback.format_exception(kind, kind(), error.__traceback__))
    assert left + head.count("\n  File ") + end.count("\n  File ") == full.count("\n  File ")


@pytest.mark.parametrize("size", [29_000, 40_000])
@pytest.mark.parametrize("trace", [None, raised().__traceback__])
def test_a_long_message_stays_whole(size: int, trace: TracebackType | None) -> None:
    error = OSError(size * "x").with_traceback(trace)
    assert traceback_text(OSError, error, trace) == whole(error)
