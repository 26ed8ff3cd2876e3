"""What loghc reports: each thing once, and exceptions as text, whatever they raise when asked."""

from __future__ import annotations

import linecache
import threading
import traceback
from typing import Any

import pytest

from loghc.report import Once, description, traceback_text


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
