"""The table of services in README.md: each row is tried against what the service documents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from loguru import logger

from conftest import complaints
from loghc import Event, HealthSink
from loghc.delivery import Delivery
from loghc.delivery.policy import Policy
from loghc.delivery.troubles import Troubles
from loghc.log.body import Body
from loghc.ping import Ping
from loghc.portable.run_ids import new_run_id
from loghc.service.client import PingClient
from loghc.service.url import PingUrl
from pings import sped_up

# What a service makes of a suffix and a query: what it notes down, or None for a 404.
Rules = Callable[[str, dict[str, list[str]]], "str | None"]


class Simulator:
    """A service by its documentation: ``/check/<token>``, what may follow, and by which method."""

    def __init__(self, rules: Rules, answer: str = "OK", methods: str = "GET HEAD POST") -> None:
        self.noted: list[str] = []
        self.bodies: list[str] = []
        self.refused: list[str] = []
        simulator = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                parts = urlsplit(self.path)
                known = parts.path.startswith("/check/token") and self.command in methods.split()
                suffix = parts.path.removeprefix("/check/token")
                noted = rules(suffix, parse_qs(parts.query)) if known else None
                if noted is None:
                    simulator.refused.append(suffix)
                else:
                    simulator.noted.append(noted)
                    simulator.bodies.append(body)
                text = (answer if noted is not None else "Not Found").encode()
                self.send_response(200 if noted is not None else 404)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/check/token"
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def simulate() -> Iterator[Callable[..., Simulator]]:
    made: list[Simulator] = []

    def start(*args: Any) -> Simulator:
        made.append(Simulator(*args))
        return made[-1]

    yield start
    logger.remove()
    for simulator in made:
        simulator.stop()


@pytest.fixture
def said(capfd: pytest.CaptureFixture[str]) -> Callable[[], list[str]]:
    return lambda: complaints(capfd.readouterr().err)


def two_runs(url: str, **options: Any) -> None:
    """A run that succeeds with a line for the record, and one that fails."""
    sink = HealthSink(url, **options)
    logger.add(sink, format="{message}", catch=False)
    logger.info("sync.start")
    logger.info("sync.log")
    logger.info("sync.done")
    logger.info("sync.start")
    logger.info("sync.error: disk full")
    assert sink.wait(10)


def deliver_to(service: Simulator, policy: Policy | None = None) -> Delivery:
    url = PingUrl.parse(service.url)
    client = PingClient(url, str, 5.0, {}, None, "0")
    return Delivery(client, Troubles(url.masked), policy=policy or Policy())


def healthchecks(suffix: str, query: dict[str, list[str]]) -> str | None:
    known = {"": "success", "/start": "start", "/fail": "fail", "/log": "log", "/3": "fail"}
    return known.get(suffix) if len(query["rid"][0]) == 36 else None


def better_stack(suffix: str, query: dict[str, list[str]]) -> str | None:
    return {"": "success", "/fail": "fail", "/3": "fail", "/0": "success"}.get(suffix)


def plain_url(suffix: str, query: dict[str, list[str]]) -> str | None:
    return "success" if suffix == "" else None


def by_query(name: str, values: dict[str, str]) -> Rules:
    def rules(suffix: str, query: dict[str, list[str]]) -> str | None:
        return values.get(query.get(name, [""])[0]) if suffix == "" else None

    return rules


def uptime_kuma(suffix: str, query: dict[str, list[str]]) -> str | None:
    if suffix:
        return None
    return "success" if query.get("status", ["up"])[0] == "up" else "fail"


ENDS = (Event.SUCCESS, Event.FAIL)
ROWS = {
    "Healthchecks": (healthchecks, "OK", "", None, ["start", "log", "success", "start", "fail"]),
    "Better Stack": (better_stack, "", "", ENDS, ["success", "fail"]),
    "Dead Man's Snitch": (plain_url, "Got it, thanks!", "", (Event.SUCCESS,), ["success"]),
    "Uptime Kuma": (
        uptime_kuma,
        '{"ok":true}',
        "?status=up&msg=OK&ping=",
        (Event.SUCCESS,),
        ["success"],
    ),
    "Cronitor": (
        by_query("state", {"": "success", "complete": "success", "fail": "fail"}),
        "OK",
        "?state=complete",
        (Event.SUCCESS,),
        ["success"],
    ),
    "Sentry": (
        by_query("status", {"ok": "success", "in_progress": "start", "error": "fail"}),
        "",
        "?status=ok",
        (Event.SUCCESS,),
        ["success"],
    ),
}


@pytest.mark.parametrize(("rules", "answer", "query", "events", "noted"), ROWS.values(), ids=ROWS)
def test_with_its_setting_a_service_is_told_what_it_knows_and_nothing_is_refused(
    rules: Rules,
    answer: str,
    query: str,
    events: tuple[Event, ...] | None,
    noted: list[str],
    simulate: Callable[..., Simulator],
    said: Callable[[], list[str]],
) -> None:
    service = simulate(rules, answer)
    two_runs(service.url + query, events=events)
    assert service.noted == noted
    assert service.refused == []
    assert said() == []
    assert service.bodies[-1].endswith(("sync.done\n", "sync.error: disk full\n"))


def test_without_its_setting_a_service_that_knows_no_start_is_told_the_ends(
    simulate: Callable[..., Simulator], said: Callable[[], list[str]]
) -> None:
    service = simulate(better_stack)
    two_runs(service.url)
    assert service.noted == ["success", "fail"]
    # Once more for a check that has not answered yet, and then for each run: it may be restarting.
    assert service.refused == ["/start", "/start", "/log", "/start"]
    start, log = said()
    assert "does not know /start" in start
    assert "does not know /log" in log


def test_without_its_setting_a_service_that_knows_the_plain_url_alone_never_takes_a_failure(
    simulate: Callable[..., Simulator], said: Callable[[], list[str]]
) -> None:
    service = simulate(plain_url)
    # A check that answered is asked for 5 minutes.
    policy = sped_up(100)._replace(overloaded_after_s=10.0, refused_for_s=1.0)
    delivery = deliver_to(service, policy)
    for event in (Event.START, Event.SUCCESS, Event.START, Event.FAIL):
        delivery.put(Ping(event, new_run_id(), Body))
    assert delivery.wait(10)
    delivery.stop(1)
    assert service.noted == ["success"]
    *_, failure = [line for line in said() if "fail ping" in line]
    assert "a missing success is its only sign of a failure" in failure


@pytest.mark.usefixtures("asked_again_soon")
def test_an_uptime_kuma_before_2_takes_no_post_and_that_is_said(
    simulate: Callable[..., Simulator], said: Callable[[], list[str]]
) -> None:
    rules, answer, query, events, _ = ROWS["Uptime Kuma"]
    service = simulate(rules, answer, "GET")
    two_runs(service.url + query, events=events)
    assert service.noted == []
    (line,) = said()
    assert "success ping" in line
    assert "not delivered: 404" in line


@pytest.mark.usefixtures("asked_again_soon")
@pytest.mark.parametrize(
    ("rules", "noted"),
    [(healthchecks, ["fail"]), (better_stack, ["fail"]), (plain_url, [])],
    ids=["Healthchecks", "Better Stack", "the plain URL alone"],
)
def test_an_exit_status_is_told_as_one_or_as_a_failure_and_never_as_a_success(
    rules: Rules, noted: list[str], simulate: Callable[..., Simulator]
) -> None:
    service = simulate(rules)
    delivery = deliver_to(service)
    delivery.put(Ping(Event.FAIL, new_run_id(), Body, 3))
    assert delivery.wait(10)
    delivery.stop(1)
    assert service.noted == noted


def test_each_service_that_is_tried_has_a_row_in_the_table() -> None:
    text = (Path(__file__).parent / "README.md").read_text(encoding="utf-8")
    table = text.partition("\n## Services,")[2]
    rows = [line for line in table.splitlines() if line.startswith("| [")]
    assert len(rows) == len(ROWS)
    for row, (name, (_, _, query, events, _)) in zip(rows, ROWS.items(), strict=True):
        assert name in row
        for event in events or ():
            assert f"Event.{event.name}" in row.split("|")[3]
        assert query.partition("&")[0] in row
