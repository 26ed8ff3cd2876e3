"""The exceptions that end threads and processes, as the recorder sees them."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace

import pytest

if os.name != "posix":
    pytest.skip("the recorder needs a POSIX system", allow_module_level=True)

from loghc.inside import ending
from loghc.inside.ending import Ending


@pytest.fixture
def written() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def end(written: list[tuple[str, str]]) -> Ending:
    return Ending(
        lambda error, title: written.append((str(error), title)), lambda function: function
    )


def in_thread(end: Ending, error: BaseException) -> None:
    try:
        raise error
    except BaseException:  # noqa: BLE001
        end._end_thread(SimpleNamespace(name="t1"))


def test_of_many_exceptions_of_threads_the_first_are_written_then_one_a_minute(
    end, written, monkeypatch
):
    now = [1000.0]
    monkeypatch.setattr(ending.time, "monotonic", lambda: now[0])
    end._end_thread(SimpleNamespace(name="none"))  # without an exception
    in_thread(end, SystemExit("left"))
    for number in range(6):
        in_thread(end, ValueError(f"{number}"))
    assert written == [(f"{number}", "Exception in thread t1:\n") for number in range(4)]
    for later, more in ((59.0, 0), (60.0, 1), (119.0, 1), (120.0, 2)):
        now[0] = 1000.0 + later
        in_thread(end, ValueError("x"))
        assert len(written) == 4 + more


def test_the_exception_that_ends_a_process_is_written_once(end, written, monkeypatch):
    end._end(SystemExit(3))
    assert written == []
    end._end(ValueError("first"))
    end._end(ValueError("second"))
    assert written == [("first", "")]
    monkeypatch.setattr(ending.posix, "getpid", lambda: 1)  # in a forked child
    end._end(ValueError("the child's"))
    assert written[1:] == [("the child's", "")]


@pytest.mark.parametrize(
    ("module", "shown"), [("__main__", True), ("runpy", True), ("a_test_runner", False)]
)
def test_at_the_exit_the_exception_that_left_the_program_is_written(
    end, written, monkeypatch, module, shown
):
    main = {"__name__": module}
    monkeypatch.setitem(sys.modules, "__main__", SimpleNamespace(__dict__=main))
    scope = main if module == "__main__" else {"__name__": module}
    end.at_exit()
    assert written == []  # none was stored
    error = ValueError("it")
    frame = SimpleNamespace(f_globals=scope)
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    for name, value in (("last_exc", error), ("last_value", error)):
        monkeypatch.setattr(sys, name, value, raising=False)
    monkeypatch.setattr(sys, "last_traceback", SimpleNamespace(tb_frame=frame), raising=False)
    if module == "__main__":
        frame.f_globals = sys.modules["__main__"].__dict__
    end.at_exit()
    assert written == ([("it", "")] if shown else [])
