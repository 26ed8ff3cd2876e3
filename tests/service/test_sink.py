"""The sink from a loguru record to the POST that the service takes, and all of its options."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import pickle
import re
import signal
import sys
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import urllib3
from loguru import logger

import loghc
from conftest import RunScript, complaints
from loghc import Event, HealthSink, Outcome, Stats
from loghc.testing import Fault, PingReceiver
from pings import client_of, events, send
from waiting import running_threads

SECRET = "5ca1ab1e-0000-4000-8000-00000badcafe"
URL = f"https://hc-ping.example/{SECRET}"

ASCII, NON_ASCII = "copied a photo", "скопировано: ünïcødé 写真 😀"


class Bytes:
    def __fspath__(self) -> bytes:
        return b"a"


def add(sink: HealthSink, **options: Any) -> int:
    """Add a sink so that its records are the bare messages, and what it raises is seen."""
    return logger.add(sink, **{"format": "{message}", "catch": False, **options})


# One line, real pings


def test_the_three_markers_give_three_posts_that_end_with_their_own_records(
    ping_receiver: PingReceiver,
) -> None:
    everything: list[str] = []
    logger.add(everything.append)
    logger.add(HealthSink(ping_receiver.url))
    ends = []
    for marker in ("sync.start", "sync.done", "sync.error: disk full"):
        for n in range(1_500):
            logger.info("{} {}", NON_ASCII if n % 3 else ASCII, n)
        logger.info(marker)
        ends.append(len(everything))

    pings = ping_receiver.wait(3)

    base = ping_receiver.url.removeprefix(ping_receiver.base_url)
    assert [(ping.method, ping.path) for ping in pings] == [
        ("POST", f"{base}/start"),
        ("POST", base),
        ("POST", f"{base}/fail"),
    ]
    for ping, end in zip(pings, ends, strict=True):
        log = "".join(everything[:end])
        headline = b"disk full\n\n" if ping is pings[2] else b""
        room = 100_000 - len(headline)
        assert ping.body == headline + log.encode()[-room:].decode("utf-8", "ignore").encode()
        assert 99_997 <= len(ping.body) <= 100_000
        assert ping.text.endswith(everything[end - 1])
    assert everything[-1].endswith("sync.error: disk full\n")


def test_each_marker_pings_its_own_suffix(ping_receiver: PingReceiver) -> None:
    add(HealthSink(ping_receiver.url))
    for marker in ("sync.start", "sync.log", "sync.done", "sync.error"):
        logger.info(marker)
    pings = ping_receiver.wait(4)
    assert events(pings) == [Event.START, Event.LOG, Event.SUCCESS, Event.FAIL]
    suffixes = [ping.path.partition(ping_receiver.url[-36:])[2] for ping in pings]
    assert suffixes == ["/start", "/log", "", "/fail"]


def test_nothing_but_markers_pings(ping_receiver: PingReceiver) -> None:
    sink = HealthSink(ping_receiver.url)
    add(sink)
    for message in ("sync.started", "resync.start", "copied", "sync", "sync.done.partial"):
        logger.info(message)
    assert sink.stats == Stats(0, 0, 0)
    logger.info("sync.log")
    assert events(ping_receiver.wait(1)) == [Event.LOG]


def test_all_pings_of_one_run_carry_one_run_id_and_the_next_run_another(
    ping_receiver: PingReceiver,
) -> None:
    add(HealthSink(ping_receiver.url))
    for _ in range(2):
        for marker in ("sync.start", "sync.log", "sync.done"):
            logger.info(marker)
    rids = [re.fullmatch("rid=(.*)", ping.query) for ping in ping_receiver.wait(6)]
    first, second = {match and match[1] for match in rids[:3]}, {m and m[1] for m in rids[3:]}
    assert len(first) == len(second) == 1
    assert first != second
    assert all(str(uuid.UUID(rid)) == rid for rid in first | second if rid)


def test_pings_leave_in_the_order_of_their_markers(ping_receiver: PingReceiver) -> None:
    add(HealthSink(ping_receiver.url))
    for n in range(30):
        logger.info("sync.log {}", n)
    bodies = [ping.text.splitlines()[-1] for ping in ping_receiver.wait(30)]
    assert bodies == [f"sync.log {n}" for n in range(30)]


def test_a_ping_carries_the_log_of_its_own_moment_and_not_of_its_sending(
    ping_receiver: PingReceiver,
) -> None:
    ping_receiver.script(503)  # so that it is sent when more was logged
    add(HealthSink(ping_receiver.url))
    logger.info("sync.start")
    for n in range(5_000):
        logger.info("later {}", n)
    assert ping_receiver.wait(1)[0].text == "sync.start\n"


# The URL


def test_the_suffix_goes_before_the_query_and_the_query_is_kept(
    ping_receiver: PingReceiver,
) -> None:
    base = f"{ping_receiver.base_url}/{ping_receiver.ping_key}/new-check"
    add(HealthSink(f"{base}?create=1"))
    logger.info("sync.start")
    (ping,) = ping_receiver.wait(1)
    assert ping.path == f"/{ping_receiver.ping_key}/new-check/start"
    assert re.fullmatch(r"create=1&rid=[0-9a-f-]{36}", ping.query)
    assert ping_receiver.requests[0].status == 201


@pytest.mark.parametrize("slashes", ["/", "//"])
def test_a_slash_at_the_end_of_the_url_is_not_doubled(
    ping_receiver: PingReceiver, slashes: str
) -> None:
    add(HealthSink(ping_receiver.url + slashes))
    logger.info("sync.start")
    logger.info("sync.done")
    base = ping_receiver.url.removeprefix(ping_receiver.base_url)
    assert [ping.path for ping in ping_receiver.wait(2)] == [f"{base}/start", base]


def test_a_user_and_password_in_the_url_are_sent_as_basic_auth(
    ping_receiver: PingReceiver,
) -> None:
    add(HealthSink(ping_receiver.url.replace("://", "://m%C3%A9:pass%3Aword@")))
    logger.info("sync.start")
    (ping,) = ping_receiver.wait(1)
    assert ping.headers["Authorization"] == "Basic bcOpOnBhc3M6d29yZA=="
    assert "pass" not in ping.headers["Host"]


def test_the_url_comes_from_the_environment_when_none_is_given(
    ping_receiver: PingReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEALTH_CHECK_URL", f"\t{ping_receiver.url} \n")
    sink = HealthSink()
    add(sink)
    logger.info("sync.start")
    assert sink.enabled
    ping_receiver.wait(1)


def test_the_url_comes_from_a_file_that_the_environment_names(
    ping_receiver: PingReceiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secret = tmp_path / "ping url"
    secret.write_text(f"  {ping_receiver.url}\n\n")
    monkeypatch.setenv("HEALTH_CHECK_URL", "")
    monkeypatch.setenv("HEALTH_CHECK_URL_FILE", str(secret))
    add(HealthSink())
    logger.info("sync.start")
    ping_receiver.wait(1)


def test_a_given_url_goes_before_the_environments(
    ping_receiver: PingReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEALTH_CHECK_URL", "not a URL")
    add(HealthSink(ping_receiver.url))
    logger.info("sync.start")
    ping_receiver.wait(1)


def test_a_url_file_that_cant_be_read_is_a_clear_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HEALTH_CHECK_URL_FILE", str(tmp_path / "missing"))
    with pytest.raises(ValueError, match=r"^HEALTH_CHECK_URL_FILE: .*missing' can't be read: No "):
        HealthSink()


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe", b"not a URL", b"x" * 9_000])
def test_a_url_file_that_holds_no_url_is_a_clear_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "url").write_bytes(content)
    monkeypatch.setenv("HEALTH_CHECK_URL_FILE", str(tmp_path / "url"))
    with pytest.raises(ValueError, match=r"^HEALTH_CHECK_URL_FILE: expected "):
        HealthSink()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_url_that_goes_over_the_network_unencrypted_is_said(
    capfd: pytest.CaptureFixture[str], scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGHC_DEBUG", "1")
    HealthSink(f"{scheme}://monitor.example/{SECRET}")
    said = capfd.readouterr().err
    assert said.count("are not encrypted") == (scheme == "http")
    assert SECRET not in said


# No URL: a sink that does nothing


def test_without_a_url_the_sink_is_disabled_and_the_app_runs_as_ever() -> None:
    sink = HealthSink()
    handler = add(sink)
    threads = running_threads()
    logger.info("sync.start")
    logger.info("sync.done")
    assert not sink.enabled
    assert sink.wait() is True
    assert sink.stats == Stats(delivered=0, failed=0, pending=0)
    assert running_threads() <= threads  # those of other tests may end
    assert repr(sink) == "HealthSink(disabled, job='sync')"
    logger.remove(handler)
    add(sink)
    logger.info("sync.done")


def test_a_disabled_sink_checks_its_options_all_the_same() -> None:
    with pytest.raises(ValueError, match=r"^limit: "):
        HealthSink(limit=0)


# Options


def test_the_job_names_the_markers(ping_receiver: PingReceiver) -> None:
    add(HealthSink(ping_receiver.url, job="backup"))
    logger.info("sync.start")
    logger.info("backup.start")
    logger.info("sync.done")
    logger.info("backup.error: no space")
    assert events(ping_receiver.wait(2)) == [Event.START, Event.FAIL]


def test_own_messages_can_be_the_markers(ping_receiver: PingReceiver) -> None:
    add(
        HealthSink(
            ping_receiver.url,
            markers={"Backup finished": Event.SUCCESS, "Backup failed": Event.FAIL},
        )
    )
    logger.info("sync.done")
    logger.info("Backup finished: 12 files")
    logger.info("Backup failed")
    pings = ping_receiver.wait(2)
    assert events(pings) == [Event.SUCCESS, Event.FAIL]
    assert pings[0].text == "sync.done\nBackup finished: 12 files\n"


@pytest.mark.parametrize("limit", [1, 5, 17, 1_000])
def test_a_ping_carries_limit_bytes_at_most(ping_receiver: PingReceiver, limit: int) -> None:
    add(HealthSink(ping_receiver.url, limit=limit))
    for n in range(500):
        logger.info("line {}", n)
    logger.info("sync.done")
    log = "".join(f"line {n}\n" for n in range(500)) + "sync.done\n"
    assert ping_receiver.wait(1)[0].body == log.encode()[-limit:]


def test_without_logs_the_pings_are_empty(ping_receiver: PingReceiver) -> None:
    add(HealthSink(ping_receiver.url, send_logs=False, redact=lambda _: "rewritten"))
    logger.info("private")
    for marker in ("sync.start", "sync.error: private"):
        logger.info(marker)
    pings = ping_receiver.wait(2)
    assert [ping.body for ping in pings] == [b"", b""]
    assert [ping.headers["Content-Length"] for ping in pings] == ["0", "0"]


def test_what_redact_matches_does_not_leave(ping_receiver: PingReceiver) -> None:
    rules = ("card [0-9]+", re.compile("p[aä]ss"), lambda text: text.replace("secret", "S"))
    add(HealthSink(ping_receiver.url, redact=rules))
    logger.info("card 1234 and päss, the secret")
    logger.info("sync.done")
    assert ping_receiver.wait(1)[0].text == "[redacted] and [redacted], the S\nsync.done\n"


@pytest.mark.parametrize("redact", [(), "never matches"])
def test_a_long_record_full_of_secrets_does_not_cost_the_end_of_the_log(
    ping_receiver: PingReceiver, redact: Any
) -> None:
    add(HealthSink(ping_receiver.url, limit=1_000, redact=redact))
    logger.info(f"{ping_receiver.url} " * 1_000)
    logger.info("copied")
    logger.info("sync.done")
    text = ping_receiver.wait(1)[0].text
    assert text.endswith("\ncopied\nsync.done\n") or text == "copied\nsync.done\n"
    assert not re.search("[0-9a-f]{4}", text)


def test_the_headers_say_what_comes_and_from_whom(ping_receiver: PingReceiver) -> None:
    add(HealthSink(ping_receiver.url))
    logger.info("sync.start é")
    (ping,) = ping_receiver.wait(1)
    assert ping.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert ping.headers["User-Agent"] == f"loghc/{loghc.__version__}"
    assert ping.headers["Content-Length"] == str(len("sync.start é\n".encode()))
    assert "Authorization" not in ping.headers


def test_more_headers_are_sent_and_go_before_loghcs_own(ping_receiver: PingReceiver) -> None:
    headers = {"X-Team": "backup", "user-AGENT": "mine/1", "authorization": "Bearer tok"}
    add(HealthSink(ping_receiver.url.replace("://", "://me:password@"), headers=headers))
    logger.info("sync.start")
    (ping,) = ping_receiver.wait(1)
    assert ping.headers["X-Team"] == "backup"
    assert ping.headers["User-Agent"] == "mine/1"
    assert ping.headers["Authorization"] == "Bearer tok"
    assert ping.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.fixture
def pool() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(headers={"X-Pool": "own", "User-Agent": "pool/1"}) as manager:
        yield manager


def test_a_pool_manager_of_the_callers_own_makes_the_requests(
    ping_receiver: PingReceiver, pool: urllib3.PoolManager
) -> None:
    sink = HealthSink(ping_receiver.url, http=pool, headers={"X-Team": "backup"})
    handler = add(sink)
    logger.info("sync.start")
    logger.info("sync.done")
    pings = ping_receiver.wait(2)
    assert sink.wait(20)
    connections = pool.connection_from_url(ping_receiver.url)
    assert (connections.num_connections, connections.num_requests) == (1, 2)
    assert [ping.headers["X-Team"] for ping in pings] == ["backup", "backup"]

    logger.remove(handler)  # which leaves it usable
    assert pool.request("GET", ping_receiver.url).status == 200
    assert connections.num_connections == 1


@pytest.mark.parametrize("end", ["raise KeyError", "sync.done"])
def test_a_pool_manager_that_blocks_has_a_connection_left_at_the_exit(
    end: str, ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    last = end if end == "raise KeyError" else f'logger.info("{end}")'
    done = run_script(
        f"""
import sys
import urllib3
from loguru import logger
from loghc import HealthSink
logger.remove()
sink = HealthSink(sys.argv[1], http=urllib3.PoolManager(block=True))
logger.add(sink, format="{{message}}")
logger.info("sync.start")
assert sink.wait(20)
{last}
""",
        ping_receiver.url,
    )
    assert complaints(done.stderr) == [], done.stderr
    ends = [each.event for each in ping_receiver.pings]
    assert ends == [Event.START, Event.SUCCESS if end == "sync.done" else Event.FAIL]


def test_a_pool_without_a_free_connection_holds_up_no_attempt_for_ever(
    ping_receiver: PingReceiver,
) -> None:
    with urllib3.PoolManager(maxsize=1, block=True) as manager:
        taken = manager.request("GET", ping_receiver.url, preload_content=False)
        client = client_of(ping_receiver.url, http=manager)
        attempt = send(client, seconds=0.2)
        assert (attempt.delivered, attempt.transient) == (False, True)
        taken.drain_conn()
        taken.release_conn()
        assert send(client).delivered


def test_the_headers_of_the_callers_pool_manager_are_sent_too(
    ping_receiver: PingReceiver, pool: urllib3.PoolManager
) -> None:
    add(HealthSink(ping_receiver.url, http=pool, headers={"x-team": "backup"}))
    logger.info("sync.start")
    (ping,) = ping_receiver.wait(1)
    assert ping.headers["X-Pool"] == "own"
    assert ping.headers["User-Agent"] == "pool/1"
    assert ping.headers["X-Team"] == "backup"
    assert ping.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_what_a_pool_manager_authenticates_with_does_not_leave_in_a_log(
    ping_receiver: PingReceiver, pool: urllib3.PoolManager
) -> None:
    pool.headers = {"X-Api-Key": "of-pool-1234"}
    pool.proxy_headers = {"Proxy-Authorization": "of-proxy-5678"}  # type: ignore[attr-defined]
    add(HealthSink(ping_receiver.url, http=pool, mask_secrets=False))
    logger.info("sync.log of-pool-1234, of-proxy-5678")
    assert ping_receiver.wait(1)[0].text == "sync.log ***, ***\n"


BAD_OPTIONS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"limit": 0}, ValueError, "limit: expected at least 1 byte, not 0"),
    ({"limit": -5}, ValueError, "limit: expected at least 1 byte, not -5"),
    ({"limit": 1e5}, TypeError, "limit: expected a whole number of bytes, not 100000.0"),
    ({"limit": True}, TypeError, "limit: expected a whole number of bytes, not True"),
    ({"limit": "100"}, TypeError, "limit: expected a whole number of bytes, not '100'"),
    ({"limit": None}, TypeError, "limit: expected a whole number of bytes, not None"),
    ({"headers": [("A", "b")]}, TypeError, "headers: expected a mapping, not list"),
    ({"headers": {"A": 1}}, TypeError, "headers: expected names and values to be str"),
    ({"headers": {b"A": "1"}}, TypeError, "headers: expected names and values to be str"),
    ({"headers": {"": "1"}}, ValueError, "headers: a name is not one that HTTP allows"),
    ({"headers": {"A:": "1"}}, ValueError, "headers: a name is not one that HTTP allows"),
    ({"headers": {"A\n": "1"}}, ValueError, "headers: a name is not one that HTTP allows"),
    *(
        ({"headers": {name: "x"}}, ValueError, f"headers[{name!r}]: is set by loghc itself")
        for name in (
            "Host",
            "Connection",
            "Content-Encoding",
            "content-length",
            "EXPECT",
            "TE",
            "Trailer",
            "Transfer-Encoding",
            "upgrade",
        )
    ),
    (
        {"headers": {"A": "x\r\nB: y"}},
        ValueError,
        "headers['A']: the value has characters that HTTP doesn't allow",
    ),
    (
        {"headers": {"A": "x\n"}},
        ValueError,
        "headers['A']: the value has characters that HTTP doesn't allow",
    ),
    (
        {"headers": {"A": "€"}},
        ValueError,
        "headers['A']: the value has characters that HTTP doesn't allow",
    ),
    ({"send_logs": 1}, TypeError, "send_logs: expected True or False, not 1"),
    ({"send_logs": None}, TypeError, "send_logs: expected True or False, not None"),
    ({"mask_secrets": 0}, TypeError, "mask_secrets: expected True or False, not 0"),
    ({"on_outcome": 5}, TypeError, "on_outcome: expected a callable, not int"),
    ({"state": 5}, TypeError, "state: expected a path, not int"),
    ({"state": ""}, ValueError, "state: expected the path of a directory, not ''"),
    ({"state": "a\0"}, ValueError, "state: expected the path of a directory, not 'a\\x00'"),
    ({"state": Bytes()}, ValueError, "state: expected the path of a directory, not b'a'"),
    (
        {"on_outcome": asyncio.sleep},
        TypeError,
        "on_outcome: expected a plain function: nothing awaits a coroutine function",
    ),
    ({"http": "http"}, TypeError, "http: expected a urllib3 PoolManager, not str"),
    (
        {"http": urllib3.PoolManager},
        TypeError,
        "http: expected a urllib3 PoolManager, not the class PoolManager",
    ),
    ({"redact": 5}, TypeError, "redact: expected regular expressions or callables, not int"),
    (
        {"redact": ["ok", 5]},
        TypeError,
        "redact[1]: expected a regular expression or a callable, not int",
    ),
    (
        {"redact": [re.compile(b"x")]},
        TypeError,
        "redact[0]: expected a pattern for str, not for bytes",
    ),
    ({"markers": ["sync.done"]}, TypeError, "markers: expected a mapping, not list"),
    (
        {"markers": {"Bye": "failed"}},
        ValueError,
        "markers['Bye']: expected one of Event.START, Event.SUCCESS, Event.FAIL, Event.LOG, "
        "not 'failed'",
    ),
    (
        {"events": ["failed"]},
        ValueError,
        "events: expected Event.START, Event.SUCCESS, Event.FAIL, Event.LOG, not 'failed'",
    ),
    ({"job": 5}, TypeError, "job: expected a str, not int"),
    ({"job": ""}, ValueError, "job: expected a name such as 'photos', without white space, not ''"),
    ({"job": 5, "markers": {}}, TypeError, "job: expected a str, not int"),
]


@pytest.mark.parametrize(("options", "kind", "text"), BAD_OPTIONS)
def test_a_bad_option_is_refused_by_name(
    options: dict[str, Any], kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind) as caught:
        HealthSink(URL, **options)
    assert str(caught.value) == text


@pytest.mark.parametrize("name", ["timeout", "drain"])
@pytest.mark.parametrize("value", [0, -1, 0.0, math.inf, -math.inf, math.nan, 1e300, 10**400])
def test_a_time_that_is_not_positive_and_finite_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: expected a positive, finite number of sec"):
        HealthSink(URL, **{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["timeout", "drain"])
@pytest.mark.parametrize("value", [None, "10", True, [1]])
def test_a_time_that_is_no_number_is_refused(name: str, value: object) -> None:
    with pytest.raises(TypeError, match=rf"^{name}: expected a number of seconds, not "):
        HealthSink(URL, **{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        (f"ftp://hc-ping.example/{SECRET}", ValueError),
        (f"hc-ping.example/{SECRET}", ValueError),
        (f"https:///{SECRET}", ValueError),
        (f"https://{SECRET}:99999/x", ValueError),
        (f"https://hc-ping.example/{SECRET}/start", ValueError),
        (f"https://hc-ping.example/{SECRET} x", ValueError),
        (f"https://me:{SECRET}@/x", ValueError),
        ("", ValueError),
        (SECRET.encode(), TypeError),
        (5, TypeError),
    ],
)
def test_a_bad_url_is_refused_by_name_without_showing_it(url: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=r"^url: expected ") as caught:
        HealthSink(url)
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_a_pattern_that_does_not_compile_is_refused_without_showing_it() -> None:
    with pytest.raises(ValueError, match=r"^redact\[0\]: .*doesn't compile") as caught:
        HealthSink(URL, redact=["hunter2("])
    assert "hunter2" not in str(caught.value)


def test_all_options_but_the_url_are_named() -> None:
    with pytest.raises(TypeError):
        HealthSink(URL, "sync")  # type: ignore[call-arg]


# Outcomes, stats, wait


@pytest.mark.usefixtures("asked_again_soon")
def test_on_outcome_is_told_of_each_ping_on_the_delivery_thread(
    ping_receiver: PingReceiver,
) -> None:
    ping_receiver.script(404, 404)
    told: list[tuple[Outcome, bool]] = []
    main = threading.current_thread()
    sink = HealthSink(
        ping_receiver.url,
        on_outcome=lambda outcome: told.append((outcome, threading.current_thread() is main)),
    )
    add(sink)
    logger.info("sync.log")
    logger.info("sync.start")
    assert sink.wait(10)
    (second, on_main), (first, _) = told
    assert not on_main
    assert first.run_id == ping_receiver.pings[0].run_id
    assert (first.event, first.delivered, first.status, first.error, first.attempts) == (
        Event.START,
        True,
        200,
        None,
        1,
    )
    assert (second.event, second.delivered, second.status) == (Event.LOG, False, 404)
    assert "not found" in (second.error or "")
    assert 0 <= first.elapsed < 5


def exits(_: object) -> None:
    raise SystemExit(3)


def fails(_: object) -> None:
    raise ValueError("mine")


@pytest.mark.parametrize("raises", [fails, exits])
def test_what_on_outcome_raises_is_reported_and_pings_go_on(
    ping_receiver: PingReceiver,
    capfd: pytest.CaptureFixture[str],
    raises: Callable[[object], None],
) -> None:
    sink = HealthSink(ping_receiver.url, on_outcome=raises, drain=2)
    add(sink)
    logger.info("sync.start")
    ping_receiver.wait(1)
    logger.info("sync.done")
    ping_receiver.wait(2)
    assert sink.wait(20)
    assert sink.stats == Stats(delivered=2, failed=0, pending=0)
    said = capfd.readouterr().err
    assert said.startswith("loghc: on_outcome raised")
    assert "Traceback" in said


@pytest.mark.parametrize("raises", [fails, exits])
def test_when_redact_raises_the_ping_goes_without_its_log(
    ping_receiver: PingReceiver,
    capfd: pytest.CaptureFixture[str],
    raises: Callable[[object], Any],
) -> None:
    sink = HealthSink(ping_receiver.url, redact=raises, drain=2)
    add(sink)
    logger.info("private")
    logger.info("sync.start")
    logger.info("sync.done")
    pings = ping_receiver.wait(2)
    assert events(pings) == [Event.START, Event.SUCCESS]
    assert all("private" not in ping.text and "withheld" in ping.text for ping in pings)
    assert "redact raised" in capfd.readouterr().err


def test_what_on_outcome_logs_is_kept_and_triggers_no_ping(
    ping_receiver: PingReceiver,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LOGHC_DEBUG", "1")
    sink = HealthSink(
        ping_receiver.url, on_outcome=lambda outcome: logger.info("sync.log {}", outcome.event)
    )
    add(sink)
    logger.info("sync.start")
    assert sink.wait(20)
    logger.info("sync.done")
    assert sink.wait(20)
    pings = ping_receiver.pings
    assert events(pings) == [Event.START, Event.SUCCESS]
    assert pings[1].text == "sync.start\nsync.log Event.START\nsync.done\n"
    assert "no ping for 'sync.log Event.START', because redact or on_out" in capfd.readouterr().err


def test_stats_and_wait_follow_the_pings(ping_receiver: PingReceiver) -> None:
    ping_receiver.always(Fault(delay=0.5))
    sink = HealthSink(ping_receiver.url)
    add(sink)
    assert sink.wait(0) is True
    logger.info("sync.start")
    logger.info("sync.done")
    assert sink.wait(0.01) is False
    assert sink.stats.pending in (1, 2)
    ping_receiver.always(None)
    assert sink.wait() is True
    assert sink.stats == Stats(delivered=2, failed=0, pending=0)


@pytest.mark.usefixtures("asked_again_soon")
def test_what_the_service_refuses_counts_as_failed(
    ping_receiver: PingReceiver, capfd: pytest.CaptureFixture[str]
) -> None:
    sink = HealthSink(f"{ping_receiver.base_url}/{SECRET}")
    add(sink)
    logger.info("sync.start")
    assert sink.wait(20)
    assert sink.stats == Stats(delivered=0, failed=1, pending=0)
    said = capfd.readouterr().err
    assert "404 not found" in said
    assert SECRET not in said


# Records of every kind


def test_text_that_does_not_come_from_loguru_is_kept(ping_receiver: PingReceiver) -> None:
    sink = HealthSink(ping_receiver.url)
    sink.write("plain text\n")
    sink.write("sync.done\n")
    assert sink.stats.pending == 0
    add(sink)
    logger.info("sync.done")
    assert ping_receiver.wait(1)[0].text == "plain text\nsync.done\nsync.done\n"


def test_lone_surrogates_in_a_record_are_replaced(ping_receiver: PingReceiver) -> None:
    add(HealthSink(ping_receiver.url))
    logger.info("a file named \udcff")
    logger.info("sync.done \ud800")
    assert ping_receiver.wait(1)[0].text == "a file named ?\nsync.done ?\n"


def test_two_markers_of_the_same_moment_are_two_pings(ping_receiver: PingReceiver) -> None:
    # A clock may stand still: in tests, or between two ticks of a coarse one.
    moment = datetime(2026, 11, 22, tzinfo=timezone.utc)
    add(HealthSink(ping_receiver.url))
    patched = logger.patch(lambda record: record.update({"time": moment}))
    for _ in range(3):
        patched.info("sync.log")
    logger.info("sync.done")
    assert events(ping_receiver.wait(4)) == [Event.LOG] * 3 + [Event.SUCCESS]


def test_nothing_is_kept_of_markers_of_long_ago(ping_receiver: PingReceiver) -> None:
    class Elapsed(timedelta):
        pass

    elapsed: list[weakref.ref[Elapsed]] = []

    def patch(record: Any) -> None:
        record["elapsed"] = own = Elapsed(seconds=len(elapsed))
        elapsed.append(weakref.ref(own))

    add(HealthSink(ping_receiver.url, events=[Event.FAIL]))
    for _ in range(100):
        logger.patch(patch).info("sync.log")
    gc.collect()
    assert 0 < sum(each() is not None for each in elapsed) < 100


@pytest.mark.parametrize("message", [42, None, b"sync.done", ["sync.done"]])
def test_a_message_patched_into_no_text_harms_nothing(
    ping_receiver: PingReceiver, message: object
) -> None:
    add(HealthSink(ping_receiver.url))
    logger.patch(lambda record: record.update(message=message)).info("x")  # type: ignore[call-arg]
    logger.info("sync.done")
    assert ping_receiver.wait(1)[0].text == f"{message}\nsync.done\n"


@pytest.mark.parametrize(
    ("module", "options"),
    [("loghc.entry.keeper", {"state": "state"}), ("loghc.guard.guarded", {"guard": True})],
)
def test_where_a_state_and_a_guard_are_not_possible_that_is_said_and_pings_are_sent(
    module: str,
    options: dict[str, Any],
    ping_receiver: PingReceiver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, module, None)  # as on a system that isn't POSIX
    add(HealthSink(ping_receiver.url, **options))
    logger.info("sync.done")
    assert events(ping_receiver.wait(1)) == [Event.SUCCESS]
    (line,) = complaints(capsys.readouterr().err)
    assert "state= and guard= have no effect on this system" in line
    assert list(tmp_path.iterdir()) == []


def test_a_marker_whose_record_lacks_a_part_is_reported_and_the_next_is_sent(
    ping_receiver: PingReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    add(HealthSink(ping_receiver.url))
    logger.patch(lambda record: record.pop("extra")).info("sync.start")  # type: ignore[misc]
    said = capsys.readouterr().err
    assert "loghc: a marker could not be turned into a ping, please report this:\n" in said
    assert "KeyError: 'extra'" in said
    logger.info("sync.done")
    assert events(ping_receiver.wait(1)) == [Event.SUCCESS]


def test_an_app_without_a_usable_standard_error_is_not_harmed(run_script: RunScript) -> None:
    script = """
import sys
from loguru import logger
from loghc import HealthSink
from loghc.testing import PingReceiver

logger.remove()
class Broken:
    def write(self, text):
        raise OSError("gone")
with PingReceiver() as receiver:
    receiver.always(404)
    for stream in (None, Broken()):
        sys.stderr = stream
        sink = HealthSink(receiver.url)
        handler = logger.add(sink, catch=False)
        logger.info("sync.done")
        assert sink.wait(20)
        logger.remove(handler)
        assert sink.stats.failed == 1
print("fine")
"""
    assert run_script(script).stdout == "fine\n"


# Traps


def test_no_log_call_waits_for_a_service_that_hangs(ping_receiver: PingReceiver) -> None:
    # loguru flushes after every record whatever can be flushed.
    ping_receiver.always(Fault(delay=math.inf))
    sink = HealthSink(ping_receiver.url, drain=0.1)
    add(sink)
    logger.info("sync.start")
    begun = time.perf_counter()
    for _ in range(300):
        logger.info("copied")
        logger.info("sync.log")
    assert time.perf_counter() - begun < 10
    assert sink.stats.pending == 301


@pytest.mark.usefixtures("intercepted")
def test_a_ping_brings_no_records_of_its_own_into_the_log(
    ping_receiver: PingReceiver, capfd: pytest.CaptureFixture[str]
) -> None:
    ping_receiver.script(503)
    sink = HealthSink(ping_receiver.url)
    logger.add(sink, format="{message}", level=0)
    logger.info("sync.start")
    assert sink.wait(10)
    logging.getLogger("app").debug("the app's own")
    logger.info("sync.done")
    assert sink.wait(10)
    assert ping_receiver.pings[-1].text == "sync.start\nthe app's own\nsync.done\n"
    assert "deadlock" not in capfd.readouterr().err


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs POSIX timers")
def test_a_signal_handler_may_log_a_marker_wherever_it_interrupts(run_script: RunScript) -> None:
    script = """
import signal, time
from loguru import logger
from loghc import HealthSink
from loghc.testing import PingReceiver

logger.remove()
logged, busy = 0, False

def log_marker(*_):
    global logged, busy
    if not busy:  # loguru itself can't be entered twice
        busy = True
        logger.info("a long record " * 500)
        logger.info("sync.log")
        logged += 1
        busy = False

with PingReceiver() as receiver:
    sink = HealthSink(receiver.url, drain=1)
    logger.add(sink, catch=False)
    signal.signal(signal.SIGALRM, log_marker)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.0007)
    until = time.monotonic() + 30
    while logged < 500 and time.monotonic() < until:
        sink.stats
        sink.wait(0)
        sink.write("a line that no handler brings")
    signal.setitimer(signal.ITIMER_REAL, 0)
    logger.remove()
    stats = sink.stats
    print(logged >= 500, logged == stats.delivered + stats.failed + stats.superseded)
"""
    assert run_script(script, timeout=60).stdout == "True True\n"


def test_wait_takes_a_time_longer_than_threads_can_wait(ping_receiver: PingReceiver) -> None:
    sink = HealthSink(ping_receiver.url)
    add(sink)
    ping_receiver.always(Fault(delay=0.1))
    for seconds in (math.inf, 1e300):
        logger.info("sync.log")
        assert sink.wait(seconds) is True
    assert sink.stats.delivered == 2


# Copies, and what is shown


def test_a_pickled_sink_is_one_of_the_same_configuration(ping_receiver: PingReceiver) -> None:
    sink = HealthSink(
        ping_receiver.url,
        job="backup",
        limit=30,
        timeout=3,
        drain=2.5,
        redact=["secret", re.compile("card")],
        headers={"X-Team": "backup"},
        on_outcome=repr,
    )
    sink.write("the first one's log\n")
    copy = pickle.loads(pickle.dumps(sink))
    assert repr(copy) == repr(sink)
    add(copy)
    logger.info("secret and more than thirty bytes")
    logger.info("backup.done: card")
    (ping,) = ping_receiver.wait(1)
    assert ping.text == "irty bytes\nbackup.done: [redacted]\n"[-30:]
    assert ping.headers["X-Team"] == "backup"


def test_pickled_without_logs_stays_without_logs(ping_receiver: PingReceiver) -> None:
    sink = HealthSink(ping_receiver.url, send_logs=False, markers={"Bye": Event.FAIL})
    add(pickle.loads(pickle.dumps(sink)))
    logger.info("Bye")
    (ping,) = ping_receiver.wait(1)
    assert (ping.event, ping.body) == (Event.FAIL, b"")


def test_a_disabled_sink_can_be_pickled() -> None:
    assert not pickle.loads(pickle.dumps(HealthSink())).enabled


def test_a_sink_with_a_pool_manager_says_why_it_cant_be_pickled(
    pool: urllib3.PoolManager,
) -> None:
    with pytest.raises(TypeError, match=r"^a HealthSink with http= can't be pickled: "):
        pickle.dumps(HealthSink(URL, http=pool))


def test_a_spawned_process_logs_through_its_parents_sink(run_script: RunScript) -> None:
    script = """
import multiprocessing
from loguru import logger
from loghc import HealthSink
from loghc.testing import PingReceiver

def log_in_child(logger):
    logger.info("sync.log from the child")
    logger.complete()

if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    logger.remove()
    with PingReceiver() as receiver:
        logger.add(HealthSink(receiver.url), enqueue=True, format="{message}")
        child = multiprocessing.Process(target=log_in_child, args=(logger,))
        child.start()
        child.join(30)
        (ping,) = receiver.wait(1)
        logger.remove()
        print(child.exitcode, len(receiver.pings), ping.text, end="")
"""
    assert run_script(script, timeout=60).stdout == "0 1 sync.log from the child\n"


@pytest.mark.parametrize(
    "url",
    [
        f"https://hc-ping.example/{SECRET}",
        f"https://hc-ping.example/{SECRET[:22]}/nightly-sync?create=1",
        f"https://me:{SECRET}@hc-ping.example/ping/x",
        f"https://{SECRET}@hc-ping.example/ping/x",
        f"https://hc-ping.example/x/?token={SECRET}",
    ],
)
def test_no_repr_shows_the_secret(url: str) -> None:
    sink = HealthSink(url, headers={"Authorization": f"Bearer {SECRET}"})
    shown = f"{sink!r} {sink} {sink.stats!r} {sink.complete!r} {sink.write!r}"
    assert SECRET[:22] not in shown
    assert "hc-ping.example" in shown


def test_the_repr_names_the_host_and_the_job() -> None:
    sink = HealthSink(URL, job="backup")
    assert repr(sink) == "HealthSink('https://hc-ping.example/***', job='backup')"


def test_no_repr_of_a_ping_on_its_way_shows_the_log(ping_receiver: PingReceiver) -> None:
    outcomes: list[Outcome] = []
    sink = HealthSink(ping_receiver.url, on_outcome=outcomes.append)
    add(sink)
    logger.info("sync.done of {}", ping_receiver.url)
    assert sink.wait(20)
    assert ping_receiver.url[-36:] not in repr(outcomes)
    assert len(outcomes) == 1
