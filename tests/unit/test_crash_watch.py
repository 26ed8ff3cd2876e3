"""Crashes: which exception ended the program, and which successes it takes back."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

import pytest

from loghc.crash import CrashWatch, uncaught_exception
from loghc.exit import interpreter_is_exiting

HERE = threading.get_ident()


def raised(error: BaseException, meanwhile: Callable[[], object]) -> BaseException:
    """Raise an exception, and do something while it is on its way."""
    with pytest.raises(type(error)) as caught:  # noqa: PT012
        try:
            raise error
        finally:
            meanwhile()
    return caught.value


def test_a_success_in_a_finally_is_taken_back_once_by_the_exception_that_ends_the_program() -> None:
    watch = CrashWatch()
    watch.success("before", HERE)
    error = raised(KeyError(), lambda: watch.success("in the finally", HERE))
    watch.success("after", HERE)
    assert watch.take_back(error) == ["in the finally"]
    assert watch.take_back(error) == []


def test_another_exception_or_none_takes_nothing_back() -> None:
    for ends in (KeyError(), None):
        watch = CrashWatch()
        raised(KeyError(), lambda watch=watch: watch.success("a run", HERE))  # type: ignore[misc]
        assert watch.take_back(ends) == []


@pytest.mark.parametrize("link", ["__cause__", "__context__"])
def test_an_exception_takes_back_what_was_told_while_one_was_on_its_way_that_led_to_it(
    link: str,
) -> None:
    watch = CrashWatch()
    first = raised(KeyError(), lambda: watch.success("a run", HERE))
    middle, last = ValueError(), OSError()
    for error in (last, middle):  # others led to it as well
        error.__cause__, error.__context__ = LookupError(), EOFError()
    setattr(middle, link, first)
    setattr(last, link, middle)
    setattr(first, link, last)  # round in a circle
    assert watch.take_back(last) == ["a run"]


class Group(Exception):  # noqa: N818 - as Python 3.11's, and the package's for 3.10
    def __init__(self, exceptions: object) -> None:
        super().__init__("several")
        self.exceptions = exceptions


def test_an_exception_takes_back_what_was_told_while_one_of_its_group_was_on_its_way() -> None:
    watch = CrashWatch()
    first = raised(KeyError(), lambda: watch.success("a run", HERE))
    assert watch.take_back(Group((OSError(), Group((first,))))) == ["a run"]


@pytest.mark.parametrize(
    "members", [None, 5, "text", ("text",), [KeyError()], (KeyError(), "text")]
)
def test_an_attribute_of_that_name_makes_no_group(members: object) -> None:
    watch = CrashWatch()
    error = raised(Group(members), lambda: watch.success("a run", HERE))
    assert watch.take_back(error) == ["a run"]


class Untrue(Exception):  # noqa: N818
    def __bool__(self) -> bool:
        return False


@pytest.mark.parametrize("name", ["last_exc", "last_value"])
def test_an_exception_that_counts_as_false_ends_the_program_as_well(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(sys, "last_exc", raising=False)
    monkeypatch.setattr(sys, name, Untrue(), raising=False)
    assert type(uncaught_exception()) is Untrue
    found: list[object] = []
    raised(Untrue(), lambda: found.append(uncaught_exception()))
    assert type(found[0]) is Untrue


@pytest.mark.parametrize(("links", "taken"), [(99, ["a run"]), (100, [])])
def test_a_chain_of_exceptions_is_followed_so_far(links: int, taken: list[str]) -> None:
    watch = CrashWatch()
    error = raised(KeyError(), lambda: watch.success("a run", HERE))
    for _ in range(links):
        outer = ValueError()
        outer.__cause__ = error
        error = outer
    assert watch.take_back(error) == taken


def test_a_run_about_cleaning_up_after_an_exception_stays_a_success() -> None:
    watch = CrashWatch()

    def clean_up() -> None:
        watch.start("cleaning up")
        watch.success("cleaning up", HERE)
        watch.success("cleaning up", HERE)  # another run of that name, which began before

    error = raised(KeyError(), clean_up)
    assert watch.take_back(error) == ["cleaning up"]


def test_a_run_that_began_while_another_exception_was_on_its_way_is_taken_back() -> None:
    watch = CrashWatch()
    raised(KeyError(), lambda: watch.start("a run"))
    error = raised(OSError(), lambda: watch.success("a run", HERE))
    assert watch.take_back(error) == ["a run"]


def test_what_comes_through_loguru_s_queue_has_nothing_to_do_with_this_threads_exceptions() -> None:
    watch = CrashWatch()
    error = raised(KeyError(), lambda: watch.success("a run", HERE + 1))
    assert watch.take_back(error) == []


@pytest.fixture
def over(monkeypatch: pytest.MonkeyPatch) -> threading.Thread:
    """A main thread that has ended."""
    main = threading.Thread(target=lambda: None)
    main.start()
    main.join()
    monkeypatch.setattr(threading, "main_thread", lambda: main)
    return main


def test_after_the_main_thread_crashed_the_others_successes_count_for_nothing(
    over: threading.Thread,
) -> None:
    watch = CrashWatch()
    watch.success("by this thread", HERE)
    watch.success("by another, through the queue", -1)
    assert over.ident is not None
    if over.ident != HERE:
        watch.success("logged by the main thread before", over.ident)
    error = raised(KeyError(), lambda: watch.success("in a finally", HERE))
    assert watch.take_back(OSError()) == [
        "by this thread",
        "by another, through the queue",
        "in a finally",
    ]
    assert watch.take_back(error) == []


def test_so_many_successes_can_be_taken_back_the_newest() -> None:
    watch = CrashWatch()
    names = [str(number) for number in range(1_001)]

    def work() -> None:
        for name in names:
            watch.success(name, HERE)

    assert watch.take_back(raised(KeyError(), work)) == names[1:]


def test_of_runs_that_clean_up_so_many_are_known_the_newest() -> None:
    watch = CrashWatch()
    names = [str(number) for number in range(1_001)]

    def work() -> None:
        for name in names:
            watch.start(name)
        for name in names:
            watch.success(name, HERE)

    assert watch.take_back(raised(KeyError(), work)) == ["0"]


# The end


def test_the_interpreter_is_exiting_when_its_main_thread_is_over_and_runs_callbacks(
    over: threading.Thread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(over, "_ident", HERE + 1)
    assert not interpreter_is_exiting()  # a thread that works on
    monkeypatch.setattr(over, "_ident", HERE)
    assert interpreter_is_exiting()
    monkeypatch.undo()
    assert not interpreter_is_exiting()


def test_the_uncaught_exception_is_the_one_that_the_interpreter_keeps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept, older, handled = KeyError(), OSError(), ValueError()
    for name in ("last_exc", "last_value", "ps1"):
        monkeypatch.delattr(sys, name, raising=False)
    assert uncaught_exception() is None
    monkeypatch.setattr(sys, "last_value", older, raising=False)
    assert uncaught_exception() is older
    monkeypatch.setattr(sys, "last_exc", kept, raising=False)
    assert uncaught_exception() is kept
    found: list[object] = []
    raised(handled, lambda: found.append(uncaught_exception()))
    assert found == [handled]
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)  # it may be an hour old
    assert uncaught_exception() is None
    raised(handled, lambda: found.append(uncaught_exception()))
    assert found == [handled, handled]
