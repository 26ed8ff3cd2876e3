"""`job`: the markers of a run, around a block or a function."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import subprocess
import sys
import threading
from textwrap import dedent

import pytest
from loguru import logger

from loghc import HealthSink, job
from loghc.ping import Event
from loghc.testing import PingReceiver
from waiting import in_threads

DIVIDED = "ZeroDivisionError: no photo is left"


@pytest.fixture
def records():
    """What was logged."""
    kept = []
    logger.add(lambda message: kept.append(message.record), format="{message}")
    return kept


def messages(records):
    return [record["message"] for record in records]


def line_of_caller():
    return sys._getframe(1).f_lineno


def test_a_block_that_ends_well_is_a_start_and_a_done(records):
    with job("nightly"):
        logger.info("copying")
    assert messages(records) == ["nightly.start", "copying", "nightly.done"]
    assert [record["level"].name for record in records] == ["INFO"] * 3


def test_the_name_is_sync_by_default(records):
    with job():
        pass
    assert messages(records) == ["sync.start", "sync.done"]


def test_an_exception_is_logged_with_its_traceback_and_goes_on(records):
    error = OSError("disk full")
    with pytest.raises(OSError, match="disk full") as raised, job("nightly"):
        raise error
    assert raised.value is error
    assert (error.__cause__, error.__context__) == (None, None)
    assert messages(records) == ["nightly.start", "nightly.error: OSError: disk full"]
    assert records[1]["exception"].value is error
    assert records[1]["level"].name == "ERROR"


def test_a_decorated_function_keeps_result_name_and_signature(records):
    @job("nightly")
    def copy(source: str, *, depth: int = 3) -> str:
        """Copy files."""
        return f"{source} {depth}"

    assert copy("photos", depth=2) == "photos 2"
    assert (copy.__name__, copy.__doc__) == ("copy", "Copy files.")
    assert str(inspect.signature(copy)) == "(source: 'str', *, depth: 'int' = 3) -> 'str'"
    assert messages(records) == ["nightly.start", "nightly.done"]


def test_a_decorated_coroutine_function_is_one_still(records):
    @job("nightly")
    async def copy() -> int:
        await asyncio.sleep(0)
        logger.info("copying")
        return 12

    assert inspect.iscoroutinefunction(copy)
    assert asyncio.run(copy()) == 12
    assert messages(records) == ["nightly.start", "copying", "nightly.done"]


def timed(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)

    return wrapper


@pytest.mark.parametrize("wrapper", [timed, staticmethod, functools.lru_cache])
def test_a_plain_wrapper_of_a_coroutine_function_ends_the_run_when_it_is_awaited(records, wrapper):
    async def copy(fails):
        await asyncio.sleep(0)
        logger.info("copying")
        if fails:
            raise ZeroDivisionError("no photo is left")
        return 1

    decorated = job("nightly")(wrapper(copy))

    async def main():
        assert await decorated(False) == 1
        with pytest.raises(ZeroDivisionError):
            await decorated(True)

    line = main.__code__.co_firstlineno + 1
    asyncio.run(main())
    ends = [
        "nightly.start",
        "copying",
        "nightly.done",
        "nightly.start",
        "copying",
        f"nightly.error: {DIVIDED}",
    ]
    assert messages(records) == ends
    markers = [each for each in records if each["message"] != "copying"]
    assert [each["line"] - line for each in markers] == [0, 0, 2, 2]


def test_a_decorated_method_and_a_partial_work_too(records):
    class Gallery:
        @job("nightly")
        def copy(self, count):
            return self, count

    gallery = Gallery()
    assert gallery.copy(3) == (gallery, 3)
    assert job("nightly")(functools.partial(gallery.copy, 4))() == (gallery, 4)
    assert len(records) == 6


# Where the records come from


def test_the_markers_of_a_block_come_from_the_with_statement(records):
    line = line_of_caller() + 1
    with job("nightly"):
        pass
    with contextlib.suppress(KeyError), job("nightly", not_failures=KeyError):
        raise KeyError
    assert [record["line"] - line for record in records] == [0, 0, 2, 2]
    assert {record["name"] for record in records} == {__name__}
    assert records[0]["function"] == "test_the_markers_of_a_block_come_from_the_with_statement"


def test_the_markers_of_a_function_come_from_its_call(records):
    @job("nightly")
    def copy(fails):
        if fails:
            raise ZeroDivisionError("no photo is left")
        return 1

    line = line_of_caller() + 1
    copy(fails=False)
    with pytest.raises(ZeroDivisionError):
        copy(fails=True)
    assert [(record["name"], record["line"]) for record in records] == [
        (__name__, line),
        (__name__, line),
        (__name__, line + 2),
        (__name__, line + 2),
    ]


def test_the_markers_of_a_coroutine_come_from_where_it_is_awaited(records):
    @job("nightly")
    async def copy():
        await asyncio.sleep(0.001)

    async def main():
        await copy()

    line = main.__code__.co_firstlineno + 1
    asyncio.run(main())
    assert {(record["name"], record["line"]) for record in records} == {(__name__, line)}


def test_the_markers_of_a_task_come_from_what_runs_the_event_loop(records):
    @job("nightly")
    async def copy():
        await asyncio.sleep(0.001)

    async def main():
        await asyncio.gather(asyncio.create_task(copy()), asyncio.create_task(copy()))

    line = line_of_caller() + 1
    asyncio.run(main())
    assert {(record["name"], record["line"]) for record in records} == {(__name__, line)}


def test_the_logged_traceback_of_a_function_begins_in_the_function(records):
    @job("nightly")
    def copy():
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        copy()
    trace = records[1]["exception"].traceback
    assert trace.tb_frame.f_code.co_name == "copy"


# What is a failure


class Ambiguous:
    def __eq__(self, other):
        raise ValueError("as an array of numpy's does")

    __hash__ = None

    def __repr__(self):
        return "an array"


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (KeyboardInterrupt(), "sync.error"),
        (asyncio.CancelledError(), "sync.error"),
        (GeneratorExit(), "sync.error"),
        (SystemExit(), "sync.done"),
        (SystemExit(0), "sync.done"),
        (SystemExit(None), "sync.done"),
        (SystemExit(False), "sync.done"),
        (SystemExit(1), "sync.error"),
        (SystemExit(0.0), "sync.error"),  # Python prints it, and exits with status 1
        (SystemExit(Ambiguous()), "sync.error"),
        (SystemExit(""), "sync.error"),
        (SystemExit("no such disk"), "sync.error"),
    ],
    ids=repr,
)
def test_how_a_run_ends(records, error, end):
    @job()
    def copy():
        raise error

    with pytest.raises(type(error)) as raised:
        copy()
    assert raised.value is error
    start, last = messages(records)
    assert (start, last.partition(":")[0]) == ("sync.start", end.partition(":")[0])
    if end == "sync.error":
        assert last.startswith(f"sync.error: {type(error).__name__}") or "CancelledError" in last
    else:
        assert last == end


def test_a_cancelled_task_is_a_failure(records):
    @job()
    async def copy():
        await asyncio.sleep(60)

    async def main():
        task = asyncio.create_task(copy())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    start, last = messages(records)
    assert (start, last.partition(": ")[0]) == ("sync.start", "sync.error")


def test_a_coroutine_that_is_closed_before_its_end_is_a_failure(records):
    @job()
    async def copy():
        await asyncio.sleep(60)

    coroutine = copy()
    loop = asyncio.new_event_loop()
    loop.call_soon(coroutine.send, None)
    loop.call_soon(loop.stop)
    loop.run_forever()
    coroutine.close()
    loop.close()
    start, last = messages(records)
    assert (start, last.partition(": ")[0]) == ("sync.start", "sync.error")


# Run ids


def ids(records):
    return [record["extra"]["run_id"] for record in records]


def test_each_call_is_a_run_of_its_own(records):
    @job()
    def copy():
        pass

    copy()
    copy()
    first, same, second, too = ids(records)
    assert first == same != second == too


def test_a_job_inside_of_itself_ends_the_inner_run_first(records):
    nightly = job("nightly")
    with nightly, nightly:
        pass
    outer, inner, inner_end, outer_end = ids(records)
    assert (outer, inner) == (outer_end, inner_end)
    assert outer != inner


def test_jobs_that_are_left_in_another_order_end_their_own_runs(records):
    first, nightly = job("first"), job("nightly")
    for entered in (first, nightly, nightly):
        entered.__enter__()
    for left in (first, nightly, nightly):
        left.__exit__(None, None, None)
    first_id, outer, inner, *ends = ids(records)
    assert ends == [first_id, inner, outer]


def test_one_job_in_several_threads_keeps_their_runs_apart(records):
    nightly = job("nightly")
    both = threading.Barrier(2)

    def work(_):
        with nightly:
            both.wait()
            logger.bind(thread=threading.get_ident()).info("inside")
            both.wait()

    in_threads(work, 2)
    runs = {}
    for record in records:
        if record["message"] != "inside":
            runs.setdefault(record["extra"]["run_id"], set()).add(record["thread"].id)
    assert sorted(map(len, runs.values())) == [1, 1]


def test_a_block_that_is_left_in_another_context_ends_its_run(records):
    nightly = job("nightly")
    thread = threading.Thread(target=nightly.__enter__)
    thread.start()
    thread.join()
    nightly.__exit__(None, None, None)
    assert len(set(ids(records))) == 1


def test_a_run_can_be_named_and_more_be_bound(records):
    with job("nightly", run_id="2024-06-01", shard=3):
        logger.info("inside")
    assert [record["extra"] for record in records] == [
        {"run_id": "2024-06-01", "shard": 3},
        {},
        {"run_id": "2024-06-01", "shard": 3},
    ]


def test_a_name_with_braces_is_taken_as_it_is(records):
    with job("{nightly}"):
        pass
    assert messages(records) == ["{nightly}.start", "{nightly}.done"]


def test_the_service_hears_of_a_run(records):
    with PingReceiver() as receiver:
        logger.add(HealthSink(receiver.url, job="nightly"))
        with pytest.raises(OSError, match="disk full"), job("nightly"):
            raise OSError("disk full")
        start, fail = receiver.wait(2)
    assert (start.event, fail.event) == (Event.START, Event.FAIL)
    assert start.run_id == fail.run_id == ids(records)[0]
    assert "OSError: disk full" in fail.text


# What is refused


def test_a_generator_function_is_refused():
    def generate():
        yield 1

    with pytest.raises(
        TypeError,
        match=r"^job: expected a function .* generator function 'generate'.* runs nothing yet",
    ):
        job()(generate)


def test_an_async_generator_function_is_refused():
    async def generate():
        yield 1

    with pytest.raises(TypeError, match="generator function 'generate'"):
        job()(generate)
    with pytest.raises(TypeError, match=r"generator function '\.\.\.'"):
        job()(functools.partial(generate))
    with pytest.raises(TypeError, match=r"generator function '\.\.\.'"):
        job()(functools.partial(type("Photos", (), {"__call__": generate})()))


def test_what_is_no_function_is_refused():
    with pytest.raises(TypeError, match="expected a function to decorate, not <class"):
        job()(type("Copy", (), {}))
    with pytest.raises(TypeError, match="expected a function to decorate, not 3"):
        job()(3)


def test_a_job_without_parentheses_is_refused():
    with pytest.raises(TypeError, match=r"^job: expected a name; write @job\(\) or @job\('name'\)"):

        @job
        def copy():
            pass


@pytest.mark.parametrize("name", ["", " sync"])
def test_a_bad_name_is_refused(name):
    with pytest.raises(ValueError, match="job: expected a name"):
        job(name)


def test_leaving_without_entering_is_refused():
    with pytest.raises(RuntimeError, match="never entered"):
        job().__exit__(None, None, None)


# Types


def test_mypy_sees_a_decorated_function_unchanged(tmp_path):
    pytest.importorskip("mypy")
    (tmp_path / "typed.py").write_text(
        dedent(
            """
            from collections.abc import Coroutine
            from typing import Any
            from loghc import job

            @job("nightly")
            def copy(source: str, *, depth: int = 3) -> float:
                return 1.0

            @job("nightly", run_id="x")
            async def fetch(count: int) -> str:
                return ""

            class Gallery:
                @job()
                def sync(self, count: int) -> bytes:
                    return b""

            reveal_type(copy)
            reveal_type(fetch)
            reveal_type(Gallery().sync(3))
            with job("nightly") as nothing:
                pass
            copy(3)
            """
        )
    )
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", ".cache", "typed.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert (
        'Revealed type is "def (source: str, *, depth: int =) -> float"'
        in checked.stdout.replace("builtins.", "")
    )
    assert "Coroutine[Any, Any, str]" in checked.stdout.replace("builtins.", "")
    assert 'Revealed type is "bytes"' in checked.stdout.replace("builtins.", "")
    assert 'Argument 1 to "copy" has incompatible type "int"; expected "str"' in checked.stdout
    assert checked.stdout.splitlines()[-1].startswith("Found 1 error")
