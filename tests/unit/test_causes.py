"""The cause in one line, from exceptions, tracebacks and records."""

from __future__ import annotations

import builtins
import sys
import traceback

import pytest

from loghc.log.headline import after, last_error, of_exception, of_message, of_record, of_traceback

GROUP = """\
  + Exception Group Traceback (most recent call last):
  |   File "x.py", line 3, in <module>
  |     raise ExceptionGroup("two", [ValueError("one"), TypeError("b")])
  | ExceptionGroup: two (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "x.py", line 1, in f
    |     raise ValueError("one")
    | ValueError: one
    +---------------- 2 ----------------
    | TypeError: b
    +------------------------------------
"""


def caught(error: BaseException) -> BaseException:
    """The exception with a traceback."""
    with pytest.raises(type(error)):
        raise error
    return error


def test_of_a_group_the_first_member_and_how_many_more() -> None:
    assert of_traceback(GROUP) == "ValueError: one (and 1 more)"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="has no groups of its own")
def test_of_a_group_in_a_group_the_first_of_all() -> None:
    group_of = builtins.ExceptionGroup  # type: ignore[attr-defined,unused-ignore]
    inner = group_of("inner", [OSError("disk full"), KeyError("x")])
    group = caught(group_of("outer", [inner, ValueError("y")]))
    assert of_exception(group) == "OSError: disk full (and 2 more)"
    text = "".join(traceback.format_exception(group))
    assert of_traceback(text).startswith("OSError: disk full (and 1 more)")


def test_the_last_of_a_chain_is_the_cause() -> None:
    error = ValueError("second\nline")
    error.__cause__ = caught(OSError("first"))
    text = "".join(traceback.format_exception(caught(error)))
    assert of_traceback(text) == of_exception(error) == "ValueError: second\nline"


def test_what_says_nothing_is_told_by_its_line() -> None:
    error = caught(AssertionError())
    text = "".join(traceback.format_exception(error))
    assert of_traceback(text) == of_exception(error)
    assert of_exception(error).startswith("AssertionError (test_causes.py, line ")


def test_a_record_tells_its_exception_or_what_follows_the_marker() -> None:
    record = "2026-11-30 22:01:59.073 | ERROR    | a:b:1 - sync.error: copying\n"
    assert of_record(record, ["sync.error"]) == "copying"
    trace = 'Traceback (most recent call last):\n\n> File "a.py", line 1, in f\nOSError: no\n'
    assert of_record(record + trace, ["sync.error"]) == "OSError: no"
    assert of_message("sync.error", ["sync.error"]) == ""
    assert of_traceback("no traceback\n") == ""
    assert last_error(record.replace("sync.error: ", "") + "INFO\n") == "copying"
    assert last_error("") == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59.96, "60.0 s"), (61, "1 min 1 s"), (3600, "1 h 0 min")],
)
def test_how_long_it_took(seconds: float, text: str) -> None:
    assert after(seconds) == f" (after {text})"
