"""Exceptions as text, also those that raise when they are asked for it."""

from __future__ import annotations

import linecache
import traceback
from typing import Any

import pytest

from loghc.exceptions import description, traceback_text


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
