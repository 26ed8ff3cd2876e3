"""The sink in all the ways in which loguru can be used: it behaves as loguru's users expect."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import json
import logging
import math
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from loguru import logger

from conftest import RunScript
from loghc import Event, HealthSink, Outcome, Stats
from loghc.testing import Fault, PingReceiver
from pings import events
from waiting import in_threads, seconds_for


@pytest.fixture
def sink(ping_receiver: PingReceiver) -> HealthSink:
    return HealthSink(ping_receiver.url)


# Formats


def test_serialized_records_are_lines_of_json(
    ping_receiver: PingReceiver, sink: HealthSink
) -> None:
    logger.add(sink, serialize=True)
    logger.bind(photos=12).info("copied äöü")
    logger.info("sync.done")
    (ping,) = ping_receiver.wait(1)
    records = [json.loads(line)["record"] for line in ping.text.splitlines()]
    assert [record["message"] for record in records] == ["copied äöü", "sync.done"]
    assert records[0]["extra"] == {"photos": 12}


def test_of_serialized_records_the_strings_are_masked_as_they_were_logged(
    ping_receiver: PingReceiver, sink: HealthSink
) -> None:
    logger.add(sink, serialize=True)
    logger.bind(answer={"password": ["hunt3rTwo"]}).info(
        "GET / HTTP/1.1\r\nAuthorization: SSWS 00aB3dE5fG7\r\n\n"
        "  login(user, token)\n              \u2514 'tr1ckyOne'\n"
        'body: {"api_key": "a\\"b7xK9", "n": 1}'
    )
    logger.info("login('hunt3rTwo') C:\\new")
    logger.info("sync.error")
    (ping,) = ping_receiver.wait(1)
    for secret in ("hunt3rTwo", "00aB3dE5fG7", "tr1ckyOne", "b7xK9"):
        assert secret not in ping.text
    records = [json.loads(line)["record"] for line in ping.text.splitlines() if line[:1] == "{"]
    assert records[0]["message"].startswith("GET / HTTP/1.1\r\nAuthorization: SSWS [redacted]\r\n")
    assert records[0]["message"].endswith(', "n": 1}')
    assert records[0]["extra"] == {"answer": {"password": ["[redacted]"]}}
    assert records[1]["message"] == "login('[redacted]') C:\\new"


def test_the_format_is_the_apps_own(ping_receiver: PingReceiver, sink: HealthSink) -> None:
    logger.add(sink, format="<red>{level}</red> [{extra[user]}] {message}!")
    logger.bind(user="me").warning("sync.done")
    assert ping_receiver.wait(1)[0].text == "WARNING [me] sync.done!\n"


def test_a_marker_is_found_though_the_format_hides_its_message(
    ping_receiver: PingReceiver, sink: HealthSink
) -> None:
    logger.add(sink, format="{level}")
    logger.info("sync.done")
    assert ping_receiver.wait(1)[0].text == "INFO\n"


def test_a_format_that_looks_like_a_marker_is_none(
    ping_receiver: PingReceiver, sink: HealthSink
) -> None:
    logger.add(sink, format="sync.done {message}")
    logger.info("copied")
    logger.info("sync.log")
    assert sink.wait(20)
    assert events(ping_receiver.pings) == [Event.LOG]


def test_a_dynamic_format_is_used(ping_receiver: PingReceiver, sink: HealthSink) -> None:
    def by_level(record: Any) -> str:
        return "{message}|" if record["level"].name == "INFO" else "{level}: {message}\n"

    logger.add(sink, format=by_level)
    logger.info("copied")
    logger.error("disk full")
    logger.info("sync.done")
    assert ping_receiver.wait(1)[0].text == "copied|ERROR: disk full\nsync.done|"


def test_a_format_that_fails_loses_its_own_record_only(
    ping_receiver: PingReceiver, sink: HealthSink, capfd: pytest.CaptureFixture[str]
) -> None:
    logger.add(sink, format="{extra[user]} {message}")
    logger.info("sync.start")
    logger.bind(user="me").info("sync.done")
    assert ping_receiver.wait(1)[0].text == "me sync.done\n"
    assert "Logging error in Loguru Handler" in capfd.readouterr().err


def test_bodies_are_without_colours(ping_receiver: PingReceiver, sink: HealthSink) -> None:
    logger.add(sink, format="<green>{level}</green> {message}")
    logger.opt(colors=True).info("<red>sync.done</red>: <b>12</b> photos")
    assert ping_receiver.wait(1)[0].text == "INFO sync.done: 12 photos\n"


def test_colours_that_are_asked_for_are_left_out_of_what_is_sent(
    ping_receiver: PingReceiver, sink: HealthSink
) -> None:
    shown: list[str] = []
    for target in (shown.append, sink):
        logger.add(target, format="<green>{level}</green> {message}", colorize=True)
    logger.opt(colors=True).info("<red>sync.done</red>: <b>12</b> photos")
    assert "\x1b[31msync.done\x1b[0m" in shown[0]
    (ping,) = ping_receiver.wait(1)
    assert (ping.event, ping.text) == (Event.SUCCESS, "INFO sync.done: 12 photos\n")


def test_a_coloured_traceback_comes_without_colours_and_with_its_secrets_masked(
    ping_receiver: PingReceiver, sink: HealthSink
) -> None:
    def login(password: str) -> None:
        raise PermissionError(len(password))

    logger.add(sink, colorize=True, diagnose=True)
    try:
        login("hunter" + "2")
    except PermissionError:
        logger.exception("sync.error")
    (ping,) = ping_receiver.wait(1)
    assert "\x1b" not in ping.text
    assert "login(" in ping.text
    assert "hunter2" not in ping.text


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[1;38;2;255;0;0mdisk full\x1b[0m",
        "\x1b]8;id=1;https://example.com\x1b\\disk full\x1b]8;;\x1b\\",
        "\x1b[31mdisk full\x1b(B\x1b[m",
        "\x1b[2K\x1b[1Gdisk full\x1b[?25h",
    ],
    ids=["true colour", "link", "tput", "cursor"],
)
def test_what_a_terminal_would_not_show_is_left_out(
    text: str, ping_receiver: PingReceiver, sink: HealthSink
) -> None:
    logger.add(sink, format="{message}")
    logger.info("{} [12m] \x1b", text)
    logger.info("sync.done")
    assert ping_receiver.wait(1)[0].text == "disk full [12m] \x1b\nsync.done\n"


def test_a_colour_in_the_middle_does_not_hide_a_secret(
    ping_receiver: PingReceiver, sink: HealthSink
) -> None:
    logger.add(sink, format="{message}")
    url = ping_receiver.url
    logger.info("pinging {}\x1b[1m{}\x1b[0m", url[:-20], url[-20:])
    logger.info("sync.done")
    assert ping_receiver.wait(1)[0].text == f"pinging {ping_receiver.base_url}/***\nsync.done\n"


def test_the_markup_of_rich_is_text_and_what_it_hides_is_told(
    ping_receiver: PingReceiver, sink: HealthSink, capfd: pytest.CaptureFixture[str]
) -> None:
    handler = pytest.importorskip("rich.logging").RichHandler(markup=True)
    logger.configure(handlers=[{"sink": handler, "format": "{message}"}, {"sink": sink}])
    logger.info("[bold]sync.start[/bold]")
    logger.info("sync.done: [bold]12[/bold] photos")
    (ping,) = ping_receiver.wait(1)
    assert ping.event is Event.SUCCESS
    assert "sync.done: [bold]12[/bold] photos" in ping.text
    assert "'[bold]sync.start[/bold]'" in capfd.readouterr().err


# Set up in other ways than by logger.add


def test_the_sink_may_be_one_of_the_handlers_that_configure_is_given(
    ping_receiver: PingReceiver,
) -> None:
    sink = HealthSink(ping_receiver.url, job="photos")
    logger.configure(handlers=[{"sink": sink, "format": "{level} {message}", "level": "INFO"}])
    logger.debug("looking")
    logger.info("photos.done")
    assert ping_receiver.wait(1)[0].text == "INFO photos.done\n"


class Intercept(logging.Handler):
    """Hands records of the standard library's logging to loguru, as loguru's documentation does."""

    def emit(self, record: logging.LogRecord) -> None:
        level: str | int
        try:
            level = logger.level(record.levelname).name
        except ValueError:
            level = record.levelno
        frame, depth = inspect.currentframe(), 0
        while frame and (depth == 0 or frame.f_code.co_filename == logging.__file__):
            frame, depth = frame.f_back, depth + 1
        logger.opt(depth=depth, exception=record.exc_info).log(level, record.getMessage())


def test_records_and_markers_of_the_standard_librarys_logging_are_taken(
    ping_receiver: PingReceiver, sink: HealthSink
) -> None:
    logger.add(sink, format="{level} {function} {message}")
    standard = logging.Logger("app")
    standard.addHandler(Intercept())
    standard.info("sync.start")
    standard.warning("%d photos skipped", 3)
    try:
        raise OSError("disk full")
    except OSError:
        standard.exception("sync.error")
    start, fail = ping_receiver.wait(2)
    assert (start.event, fail.event) == (Event.START, Event.FAIL)
    assert start.run_id == fail.run_id
    function = inspect.currentframe().f_code.co_name  # type: ignore[union-attr]
    assert f"WARNING {function} 3 photos skipped\n" in fail.text
    assert fail.text.endswith("OSError: disk full\n")


# Which records come


def test_the_level_decides_what_is_kept_and_what_pings(
    ping_receiver: PingReceiver, sink: HealthSink
) -> None:
    logger.add(sink, level="WARNING", format="{message}")
    logger.info("sync.start")
    logger.debug("copied")
    logger.warning("one file skipped")
    logger.error("sync.error")
    assert sink.wait(20)
    (ping,) = ping_receiver.pings
    headline = "sync.error was logged without a cause\n\n"
    assert ping.text == headline + "one file skipped\nsync.error\n"


@pytest.mark.parametrize("level", ["TRACE", "DEBUG", "SUCCESS", "CRITICAL", 7])
def test_a_marker_counts_at_any_level(
    ping_receiver: PingReceiver, sink: HealthSink, level: str | int
) -> None:
    logger.add(sink, level=0)
    logger.log(level, "sync.done")
    assert events(ping_receiver.wait(1)) == [Event.SUCCESS]


def test_the_filter_decides_what_is_kept_and_what_pings(
    ping_receiver: PingReceiver, sink: HealthSink
) -> None:
    logger.add(sink, filter=lambda record: "job" in record["extra"], format="{message}")
    logger.info("sync.start")
    logger.info("other")
    logger.bind(job=1).info("copied")
    logger.bind(job=1).info("sync.done")
    assert sink.wait(20)
    assert [ping.text for ping in ping_receiver.pings] == ["copied\nsync.done\n"]


def test_a_disabled_module_sends_nothing(ping_receiver: PingReceiver, sink: HealthSink) -> None:
    logger.add(sink)
    logger.disable(__name__)
    try:
        logger.info("sync.done")
    finally:
        logger.enable(__name__)
    assert sink.stats.pending == 0
    logger.info("sync.log")
    assert events(ping_receiver.wait(1)) == [Event.LOG]


# Kinds of records


def test_raw_records_are_taken_as_they_are(ping_receiver: PingReceiver, sink: HealthSink) -> None:
    logger.add(sink, format="{message}")
    raw = logger.opt(raw=True)
    for _ in range(100):
        raw.info(".")
    raw.info(" 100 %\n")
    raw.info("sync.done")
    (ping,) = ping_receiver.wait(1)
    assert ping.text == "." * 100 + " 100 %\nsync.done"
    assert ping.event is Event.SUCCESS


def test_an_exception_comes_with_its_traceback(
    ping_receiver: PingReceiver, sink: HealthSink
) -> None:
    logger.add(sink, format="{message}", backtrace=False, diagnose=False)
    try:
        raise OSError("disk full")
    except OSError:
        logger.exception("sync.error: copying")
    (ping,) = ping_receiver.wait(1)
    lines = ping.text.splitlines()
    assert (ping.event, lines[:2]) == (Event.FAIL, ["OSError: disk full", ""])
    assert lines[2] == "sync.error: copying"
    assert lines[3].startswith("Traceback")
    assert lines[-1] == "OSError: disk full"


def test_what_catch_logs_can_be_the_marker(ping_receiver: PingReceiver, sink: HealthSink) -> None:
    logger.add(sink)
    with logger.catch(message="sync.error"):
        raise OSError("disk full")
    (ping,) = ping_receiver.wait(1)
    assert ping.event is Event.FAIL
    assert ping.text.rstrip().endswith("OSError: disk full")


def test_arguments_of_a_message_are_put_in_before_it_is_matched(
    ping_receiver: PingReceiver, sink: HealthSink
) -> None:
    logger.add(sink)
    logger.info("{job}.{what}", job="sync", what="start")
    logger.info("sync.done{}", "-late")
    logger.opt(lazy=True).info("sync.{}", lambda: "done")
    assert events(ping_receiver.wait(2)) == [Event.START, Event.SUCCESS]


@pytest.mark.parametrize("name", ["thread", "process"])
def test_markers_are_heard_though_a_patcher_replaced_where_they_come_from(
    name: str, ping_receiver: PingReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    sink = HealthSink(ping_receiver.url)
    logger.add(sink, format="{message}", catch=False)
    patched = logger.patch(lambda record: record.update({name: record[name].name}))
    for marker in ("sync.start", "sync.log", "sync.done"):
        patched.info(marker)
    assert sink.wait(20)
    pings = ping_receiver.pings
    assert [each.event for each in pings] == [Event.START, Event.LOG, Event.SUCCESS]
    assert len({each.run_id for each in pings}) == 1
    assert capsys.readouterr().err == ""


def test_a_patched_message_counts_as_it_is_then(
    ping_receiver: PingReceiver, sink: HealthSink
) -> None:
    logger.add(sink, format="{message}")
    logger.patch(lambda record: record.update({"message": "sync.done"})).info("over")
    logger.patch(lambda record: record.update({"message": "over"})).info("sync.error")
    assert sink.wait(20)
    assert [ping.text for ping in ping_receiver.pings] == ["sync.done\n"]


@pytest.mark.parametrize("how", ["bind", "contextualize"])
def test_a_run_can_be_named(ping_receiver: PingReceiver, sink: HealthSink, how: str) -> None:
    logger.add(sink)
    run_id = "9e9d9bbe-4f2b-4a0e-a1e0-111111111111"
    if how == "bind":
        named = logger.bind(run_id=run_id)
        named.info("sync.start")
        named.info("sync.done")
    else:
        with logger.contextualize(run_id=run_id):
            logger.info("sync.start")
            logger.info("sync.done")
    assert [ping.run_id for ping in ping_receiver.wait(2)] == [run_id, run_id]


def test_the_context_is_in_the_log(ping_receiver: PingReceiver, sink: HealthSink) -> None:
    logger.add(sink, format="{extra} {message}")
    with logger.contextualize(task=7):
        logger.info("sync.done")
    assert ping_receiver.wait(1)[0].text == "{'task': 7} sync.done\n"


# Queues and errors


def test_with_enqueue_all_records_come_in_order(
    ping_receiver: PingReceiver, sink: HealthSink
) -> None:
    handler = logger.add(sink, enqueue=True, format="{message}")
    logger.info("sync.start")
    for n in range(500):
        logger.info("line {}", n)
    logger.info("sync.done")
    logger.remove(handler)
    start, done = ping_receiver.pings
    assert (start.event, done.event) == (Event.START, Event.SUCCESS)
    assert start.run_id == done.run_id
    log = "".join(f"line {n}\n" for n in range(500))
    assert done.text == f"sync.start\n{log}sync.done\n"


def test_with_enqueue_an_exception_comes_with_its_traceback(
    ping_receiver: PingReceiver, sink: HealthSink
) -> None:
    logger.add(sink, enqueue=True)
    try:
        raise OSError("disk full")
    except OSError:
        logger.exception("sync.error")
    assert ping_receiver.wait(1)[0].text.rstrip().endswith("OSError: disk full")


def test_with_enqueue_complete_waits_for_the_queue_and_for_the_pings(
    ping_receiver: PingReceiver, sink: HealthSink
) -> None:
    async def main() -> None:
        for _ in range(3):
            logger.info("sync.log")
        await logger.complete()
        assert sink.stats == Stats(delivered=3, failed=0, pending=0)

    logger.add(sink, enqueue=True)
    asyncio.run(main())


@pytest.mark.usefixtures("asked_again_soon")
def test_without_catch_nothing_is_raised_though_everything_fails(
    ping_receiver: PingReceiver, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> Any:
        raise ValueError("mine")

    ping_receiver.always(404)
    sink = HealthSink(ping_receiver.url, redact=fail, on_outcome=fail)
    logger.add(sink, catch=False)
    logger.info("sync.start")
    logger.bind(run_id=object()).info("sync.done")
    assert sink.wait(20)
    assert sink.stats == Stats(delivered=0, failed=2, pending=0)
    assert "Loguru" not in capfd.readouterr().err


class Unprintable:
    def __str__(self) -> str:
        raise ValueError("no text")


def test_a_run_id_without_a_text_is_said_and_its_marker_counts(
    ping_receiver: PingReceiver, sink: HealthSink, capfd: pytest.CaptureFixture[str]
) -> None:
    logger.add(sink, catch=False, format="{message}")
    logger.bind(run_id=Unprintable()).info("sync.start")
    logger.info("sync.done")
    start, done = ping_receiver.wait(2)
    assert (start.text, done.text) == ("sync.start\n", "sync.start\nsync.done\n")
    assert start.run_id == done.run_id
    said = "loghc: a run_id has no text (ValueError): its marker counts as one without.\n"
    assert capfd.readouterr().err == said


def test_loguru_finds_no_flush_to_call_after_each_record() -> None:
    """It would: and one that waits for the network would block every log call."""
    assert not hasattr(HealthSink(), "flush")
    assert not hasattr(HealthSink("https://hc-ping.com/x"), "flush")


# logger.complete()


def test_complete_in_plain_code_waits_for_nothing_and_warns_of_nothing(
    ping_receiver: PingReceiver,
) -> None:
    ping_receiver.always(Fault(delay=math.inf))
    sink = HealthSink(ping_receiver.url, drain=20)
    handler = logger.add(sink)
    logger.info("sync.start")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")  # what other tests left is not this one's
        warnings.simplefilter("always", RuntimeWarning)  # "was never awaited"
        assert seconds_for(logger.complete) < 5  # of the 20 that it could wait
        gc.collect()
    assert caught == []
    assert sink.stats.pending == 1
    recover(ping_receiver)
    logger.remove(handler)


def recover(receiver: PingReceiver) -> None:
    """Let a service that hangs answer again, and drop the connection that waits for it."""
    receiver.stop()
    receiver.always(None)
    receiver.start()


def test_complete_in_plain_code_warns_of_nothing_in_a_process_of_its_own(
    run_script: RunScript,
) -> None:
    script = """
from loguru import logger
from loghc import HealthSink

logger.add(HealthSink())
logger.info("sync.done")
logger.complete()
logger.complete()
"""
    result = run_script(script, python_args=["-W", "error", "-X", "dev"])
    assert result.returncode == 0
    assert "Warning" not in result.stderr


def test_an_awaited_complete_waits_until_all_pings_are_delivered(
    ping_receiver: PingReceiver, sink: HealthSink
) -> None:
    async def main() -> int:
        logger.info("sync.start")
        logger.info("sync.done")
        ticking = asyncio.create_task(tick())
        await logger.complete()
        ticking.cancel()
        return len(ping_receiver.pings)

    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.01)

    ping_receiver.always(Fault(delay=0.2))
    logger.add(sink)
    assert asyncio.run(main()) == 2
    assert ticks >= 5  # the event loop went on meanwhile


def test_an_awaited_complete_waits_until_on_outcome_was_told(
    ping_receiver: PingReceiver,
) -> None:
    async def main() -> None:
        logger.info("sync.done")
        asyncio.get_running_loop().call_later(0.2, go_on.set)
        await logger.complete()
        assert told == [Event.SUCCESS]

    def tell(outcome: Outcome) -> None:
        assert go_on.wait(10)
        told.append(outcome.event)

    go_on, told = threading.Event(), list[Event]()
    logger.add(HealthSink(ping_receiver.url, on_outcome=tell))
    asyncio.run(main())


def test_an_awaited_complete_waits_no_longer_than_drain(ping_receiver: PingReceiver) -> None:
    async def main() -> None:
        logger.info("sync.start")
        await logger.complete()

    ping_receiver.always(Fault(delay=math.inf))
    sink = HealthSink(ping_receiver.url, drain=0.3)
    logger.add(sink)
    begun = time.monotonic()
    asyncio.run(main())
    assert 0.25 < time.monotonic() - begun < 5
    assert sink.stats.pending == 1


def test_an_awaited_complete_does_no_harm_in_another_librarys_event_loop(
    ping_receiver: PingReceiver,
) -> None:
    # Such as trio's, in which asyncio can't sleep; here the test itself is the event loop.
    ping_receiver.always(Fault(delay=math.inf))
    sink = HealthSink(ping_receiver.url, drain=0.2)
    logger.add(sink)
    logger.info("sync.start")
    assert sink.stats.pending == 1
    assert list(logger.complete().__await__()) == []


@pytest.mark.parametrize("enabled", [False, True])
def test_an_awaited_complete_returns_at_once_when_nothing_is_queued(
    enabled: bool, ping_receiver: PingReceiver
) -> None:
    async def main() -> None:
        await logger.complete()
        await asyncio.gather(*(complete() for _ in range(3)))

    async def complete() -> None:
        await logger.complete()

    logger.add(HealthSink(ping_receiver.url if enabled else None))
    logger.info("copied")
    assert seconds_for(lambda: asyncio.run(main())) < 5  # of the drain's 10


def test_an_awaited_complete_can_be_cancelled(ping_receiver: PingReceiver) -> None:
    async def main() -> None:
        logger.info("sync.start")
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(complete(), 0.05)

    async def complete() -> None:
        await logger.complete()

    ping_receiver.always(Fault(delay=math.inf))
    handler = logger.add(HealthSink(ping_receiver.url, drain=20))
    begun = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - begun < 10
    recover(ping_receiver)
    logger.remove(handler)
    assert events(ping_receiver.pings) == [Event.START]


def test_complete_may_be_called_from_several_event_loops(
    ping_receiver: PingReceiver, sink: HealthSink
) -> None:
    async def main() -> None:
        logger.info("sync.log")
        await logger.complete()

    logger.add(sink)
    in_threads(lambda _: asyncio.run(main()), 3)
    assert sink.stats == Stats(delivered=3, failed=0, pending=0)


# Added, removed, added again, added twice


def test_a_removed_sink_delivered_all_and_takes_no_more(
    ping_receiver: PingReceiver, sink: HealthSink
) -> None:
    handler = logger.add(sink, format="{message}")
    for _ in range(10):
        logger.info("sync.log")
    logger.remove(handler)
    assert len(ping_receiver.pings) == 10
    logger.info("sync.done")
    assert sink.stats == Stats(delivered=10, failed=0, pending=0)


def test_a_sink_works_again_when_it_is_added_again(
    ping_receiver: PingReceiver, sink: HealthSink
) -> None:
    for n in range(3):
        handler = logger.add(sink, format="{message}")
        logger.info("sync.done {}", n)
        logger.remove(handler)
    assert ping_receiver.pings[-1].text == "sync.done 0\nsync.done 1\nsync.done 2\n"
    assert sink.stats == Stats(delivered=3, failed=0, pending=0)


def test_a_sink_that_gave_up_works_again_when_it_is_added_again(
    ping_receiver: PingReceiver, capfd: pytest.CaptureFixture[str]
) -> None:
    sink = HealthSink(ping_receiver.url, drain=0.2)
    ping_receiver.always(Fault(delay=math.inf))
    handler = logger.add(sink, format="{message}")
    logger.info("sync.start")
    logger.remove(handler)
    assert sink.stats == Stats(delivered=0, failed=1, pending=0)
    assert "1 ping (start)" in capfd.readouterr().err
    ping_receiver.always(None)
    logger.add(sink, format="{message}")
    logger.info("sync.done")
    assert ping_receiver.wait(1)[0].text == "sync.start\nsync.done\n"


def test_logging_reconfigured_at_once_loses_nothing(ping_receiver: PingReceiver) -> None:
    for _ in range(3):
        logger.configure(handlers=[{"sink": HealthSink(ping_receiver.url)}])
        logger.info("sync.log")
    logger.configure(handlers=[])
    assert events(ping_receiver.pings) == [Event.LOG] * 3


def test_a_sink_added_twice_pings_once_for_each_marker(
    ping_receiver: PingReceiver, sink: HealthSink
) -> None:
    handlers = [logger.add(sink, format="{message}") for _ in range(2)]
    for marker in ("sync.start", "sync.log", "sync.log", "sync.done"):
        logger.info(marker)
    for handler in handlers:
        logger.remove(handler)
    assert sink.wait(20)
    assert events(ping_receiver.pings) == [Event.START, Event.LOG, Event.LOG, Event.SUCCESS]
    assert len({ping.run_id for ping in ping_receiver.pings}) == 1


def test_a_sink_added_twice_with_a_filter_each_takes_from_both(
    ping_receiver: PingReceiver, sink: HealthSink
) -> None:
    for name in ("a", "b"):
        wants: Callable[[Any], bool] = functools.partial(
            lambda name, record: record["extra"].get("part") == name, name
        )
        logger.add(sink, filter=wants, format="{message}")
    logger.bind(part="a").info("from a")
    logger.bind(part="b").info("from b")
    logger.bind(part="a").info("sync.done")
    assert ping_receiver.wait(1)[0].text == "from a\nfrom b\nsync.done\n"


def test_two_sinks_ping_two_checks(sink: HealthSink, ping_receiver: PingReceiver) -> None:
    with PingReceiver() as other:
        second = HealthSink(other.url, job="backup")
        logger.add(sink)
        logger.add(second)
        logger.info("sync.start")
        logger.info("backup.error")
        assert sink.wait(20)
        assert second.wait(20)
        assert events(ping_receiver.pings) == [Event.START]
        assert events(other.pings) == [Event.FAIL]
