"""Apps that route the standard library's logging into loguru, or loguru into it."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Iterator

import pytest
import urllib3
from loguru import logger

from loghc import HealthSink
from loghc.service.quiet import quiet
from loghc.testing import Fault, PingReceiver
from waiting import seconds_for


class Propagate(logging.Handler):
    """Hands loguru's records to the standard library."""

    def emit(self, record: logging.LogRecord) -> None:
        logging.getLogger(record.name).handle(record)


@pytest.fixture(params=["directly", "over urllib3"])
def http(request: pytest.FixtureRequest) -> Iterator[urllib3.PoolManager | None]:
    """Both ways by which pings leave."""
    if request.param == "directly":
        yield None
        return
    with urllib3.PoolManager() as manager:
        yield manager


@pytest.mark.parametrize(
    ("name", "heard"),
    [
        ("urllib3", False),
        ("urllib3.connectionpool", False),
        ("py.warnings", False),
        ("urllib3x", True),
        ("other", True),
    ],
)
def test_a_thread_that_sends_a_ping_logs_nothing_in_urllib3s_name(name: str, heard: bool) -> None:
    said: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = said.append  # type: ignore[method-assign]
    one = logging.getLogger(name)
    one.addHandler(handler)
    try:
        with quiet():
            one.warning("of the ping")
            other = threading.Thread(target=one.warning, args=("of another thread",))
            other.start()
            other.join()
        one.warning("afterwards")
    finally:
        one.removeHandler(handler)
    expected = ["of the ping"] * heard + ["of another thread", "afterwards"]
    assert [record.getMessage() for record in said] == expected


def test_urllib3s_lines_of_a_ping_do_not_come_back_as_records(
    intercepted: None, ping_receiver: PingReceiver, http: urllib3.PoolManager | None
) -> None:
    ping_receiver.script(Fault(cut="before-answer"), 503)
    sink = HealthSink(ping_receiver.url, http=http)
    logger.add(sink, level=0, format="{message}", catch=False)
    logger.info("sync.start")
    assert sink.wait(20)
    logger.info("sync.done")
    assert sink.wait(20)
    assert ping_receiver.pings[-1].text == "sync.start\nsync.done\n"


def test_removing_the_sink_in_mid_delivery_causes_no_deadlock(
    intercepted: None, ping_receiver: PingReceiver, http: urllib3.PoolManager | None
) -> None:
    for _ in range(20):
        handler = logger.add(HealthSink(ping_receiver.url, http=http), level=0, format="{message}")
        logger.info("sync.start")
        logger.info("sync.done")
        assert seconds_for(functools.partial(logger.remove, handler)) < 5  # of the drain's 10
    assert len(ping_receiver.pings) == 40


def test_the_apps_own_urllib3_traffic_logs_as_ever(
    intercepted: None, ping_receiver: PingReceiver, http: urllib3.PoolManager | None
) -> None:
    seen: list[str] = []
    logger.add(seen.append, level=0, format="{message}")
    sink = HealthSink(ping_receiver.url, http=http)
    logger.add(sink, level=0, format="{message}")
    logger.info("sync.start")
    assert sink.wait(20)
    with urllib3.PoolManager() as own, PingReceiver() as other:
        assert own.request("GET", other.url, retries=False).status == 200
    assert len(ping_receiver.pings) == 1
    lines = [line for line in seen if "HTTP/1.1" in line]
    assert len(lines) == 1
    assert other.url.rpartition("/")[2] in lines[0]


def test_what_on_outcome_asks_of_urllib3_logs_as_ever(
    intercepted: None, ping_receiver: PingReceiver, http: urllib3.PoolManager | None
) -> None:
    with urllib3.PoolManager() as own, PingReceiver() as other:
        sink = HealthSink(
            ping_receiver.url,
            http=http,
            on_outcome=lambda _: own.request("GET", other.url + "/log", retries=False),
        )
        logger.add(sink, level=0, format="{message}", catch=False)
        logger.info("sync.start")
        assert sink.wait(20)
        logger.info("sync.done")
        assert sink.wait(20)
    lines = [line for line in ping_receiver.pings[-1].text.splitlines() if "HTTP/1.1" in line]
    assert len(lines) == 1
    assert "/log" in lines[0]


def test_write_itself_logs_nothing_even_when_all_goes_wrong(
    intercepted: None,
    ping_receiver: PingReceiver,
    http: urllib3.PoolManager | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """loguru refuses a record that is logged while its handler writes: "deadlock avoided"."""
    ping_receiver.stop()
    called = threading.Event()

    def fails(_: object) -> str:
        called.set()
        raise OSError

    sink = HealthSink(ping_receiver.url, http=http, redact=fails, on_outcome=fails, drain=0.2)
    logger.add(sink, level=0, format="{message}", catch=True)
    logger.info("sync.log")
    assert called.wait(20)  # before more logs wait than are kept
    for _ in range(100):
        logger.info("sync.log")
    logger.remove()
    assert sink.wait(20)  # on_outcome would go on to raise in tests that follow
    said = capsys.readouterr().err
    assert "redact raised" in said  # all did go wrong
    assert "deadlock avoided" not in said
    assert "Logging error in Loguru Handler" not in said


def test_loguru_propagated_into_logging_causes_no_deadlock(
    ping_receiver: PingReceiver, http: urllib3.PoolManager | None
) -> None:
    root = logging.getLogger()
    seen: list[logging.LogRecord] = []
    collector = logging.Handler()
    collector.emit = seen.append  # type: ignore[method-assign]
    root.addHandler(collector)
    level = root.level
    root.setLevel(0)
    try:
        logger.add(Propagate(), level=0, format="{message}")
        sink = HealthSink(ping_receiver.url, http=http)
        logger.add(sink, level=0, format="{message}", catch=False)
        logger.info("sync.start")
        logger.info("sync.done")
        assert seconds_for(logger.remove) < 5
    finally:
        root.removeHandler(collector)
        root.setLevel(level)
    assert [record.getMessage() for record in seen] == ["sync.start", "sync.done"]
    assert len(ping_receiver.pings) == 2


def test_standard_error_that_is_routed_into_loguru_causes_no_deadlock(
    ping_receiver: PingReceiver,
    http: urllib3.PoolManager | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class IntoLoguru:
        def write(self, text: str) -> None:
            for line in text.rstrip().splitlines():
                logger.warning(line)

        def flush(self) -> None:
            pass

    monkeypatch.setattr("sys.stderr", IntoLoguru())
    ping_receiver.always(404)
    seen: list[str] = []
    logger.add(seen.append, format="{message}")
    sink = HealthSink(ping_receiver.url, http=http)
    handler = logger.add(sink, format="{message}", catch=False)
    logger.info("sync.start")
    assert seconds_for(lambda: logger.remove(handler)) < 5
    assert any("404 not found" in line for line in seen)
