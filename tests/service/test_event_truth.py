"""Each event's own truth: what one ping comes to hides nothing of another ping.

And where a service doesn't know all of the protocol, it is told what it does know.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from loguru import logger

from conftest import complaints
from loghc import Event, HealthSink, Outcome, job
from loghc.delivery import Delivery
from loghc.delivery.report import Report
from loghc.delivery.vocabulary import Vocabulary
from loghc.log.body import Body
from loghc.log.masking import Masker
from loghc.ping import Attempt, Ping
from loghc.portable.run_ids import new_run_id
from loghc.service.client import PingClient
from loghc.service.url import PingUrl
from loghc.testing import Fault, PingReceiver

Said = Callable[[], list[str]]


@pytest.fixture
def said(capfd: pytest.CaptureFixture[str]) -> Said:
    return lambda: complaints(capfd.readouterr().err)


class Service:
    """A service that answers some suffixes with a status of its own."""

    def __init__(self, receiver: PingReceiver) -> None:
        self.receiver = receiver
        self.outcomes: list[Outcome] = []

    def add(self, **options: Any) -> HealthSink:
        self.sink = HealthSink(self.receiver.url, on_outcome=self.outcomes.append, **options)
        logger.add(self.sink, format="{message}", catch=False)
        return self.sink

    def log(self, message: str, answer: int | Fault | None = None) -> None:
        """Log a marker, and wait until it is answered, with this status."""
        self.receiver.script(answer)
        logger.info(message)
        assert self.sink.wait(10)

    @property
    def masked(self) -> str:
        """The ping URL as it is shown."""
        return repr(self.sink).split("'")[1]

    @property
    def asked(self) -> list[str]:
        """The suffixes of the requests that came."""
        base = self.receiver.url.partition("//")[2].partition("/")[2]
        return [request.path[1 + len(base) :] for request in self.receiver.requests]


@pytest.fixture
def service(ping_receiver: PingReceiver) -> Iterator[Service]:
    yield Service(ping_receiver)
    logger.remove()


def test_a_refused_start_does_not_hide_a_lost_failure(service: Service, said: Said) -> None:
    service.add()
    for _ in range(2):
        service.log("sync.start", 404)
        service.log("sync.error", 404)
    start, failure = said()
    assert start.startswith("loghc: start ping to ")
    assert "404 not found" in start
    assert "does not know /start" in start
    assert failure.startswith("loghc: fail ping to ")
    assert "Check the ping URL" in failure


def test_causes_are_told_apart(service: Service, said: Said) -> None:
    service.add()
    service.log("sync.done", 404)
    service.log("sync.done", 409)
    service.log("sync.done", 404)
    assert [line.partition("delivered: ")[2][:3] for line in said()] == ["404", "409"]
    service.log("sync.done")
    assert said() == [
        f"loghc: pings to {service.masked} are delivered again; 3 pings lost meanwhile."
    ]


def test_a_success_says_nothing_of_lost_failures(service: Service, said: Said) -> None:
    service.add()
    service.log("sync.done")
    for _ in range(3):
        service.log("sync.error", 404)
        service.log("sync.done")
    (line,) = said()
    assert "knows the check, but not /fail" in line
    service.log("sync.error")
    assert "delivered again; 3 pings lost" in said()[0]


@pytest.mark.parametrize("status", [400, 404])
def test_starts_and_logs_that_a_service_does_not_know_stop(
    status: int, service: Service, said: Said
) -> None:
    service.add()
    service.log("sync.start", status)
    service.log("sync.log", status)
    service.log("sync.done")
    assert service.asked == ["/start", "/log", ""]
    start, log = said()
    assert "does not know /start: if it takes other pings, no more starts are sent" in start
    assert "does not know /log: if it takes other pings, no more logs are sent" in log
    for _ in range(2):
        logger.info("sync.start")
        logger.info("sync.log")
        service.log("sync.done")
    assert service.asked == ["/start", "/log", "", "", ""]
    assert said() == []
    assert service.sink.stats.pending == 0
    assert [outcome.event for outcome in service.outcomes].count(Event.START) == 1


def test_a_suffix_that_is_refused_when_the_check_is_known_is_told_once(
    service: Service, said: Said
) -> None:
    service.add()
    service.log("sync.done")
    service.log("sync.start", 404)
    logger.info("sync.start")
    service.log("sync.done")
    (line,) = said()
    assert "knows the check, but not /start: no more starts are sent." in line
    assert "events=" in line
    assert service.asked == ["", "/start", ""]


def test_a_suffix_that_was_taken_before_is_not_given_up(service: Service, said: Said) -> None:
    service.add()
    service.log("sync.start")
    service.log("sync.done")
    service.log("sync.start", 404)  # the check was removed
    service.log("sync.done", 404)
    service.log("sync.start")  # and made again
    service.log("sync.done")
    assert service.asked == ["/start", "", "/start", "", "/start", ""]
    assert not [line for line in said() if "knows the check" in line]


def test_when_the_check_itself_is_refused_what_was_learned_is_forgotten(service: Service) -> None:
    service.add()
    service.log("sync.start", 404)
    service.log("sync.done")
    service.log("sync.done", 404)
    service.log("sync.start")
    assert service.asked == ["/start", "", "", "/start"]


def test_what_was_learned_outlives_a_stop(service: Service, said: Said) -> None:
    service.add()
    service.log("sync.start", 404)
    service.log("sync.done")
    logger.remove()
    logger.add(service.sink, format="{message}")
    said()
    logger.info("sync.start")
    service.log("sync.done")
    assert service.asked == ["/start", "", ""]
    assert said() == []


def test_who_debugs_is_told_of_events_that_are_not_to_be_sent(
    service: Service, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.add(events=(Event.FAIL,))
    monkeypatch.setenv("LOGHC_DEBUG", "1")
    service.log("sync.start")
    assert [line for line in said() if "left out" in line] == [
        f"loghc: debug: start ping to {service.masked} left out."
    ]
    assert service.asked == []


@pytest.fixture
def delivery(ping_receiver: PingReceiver) -> Iterator[Delivery]:
    url = PingUrl.parse(ping_receiver.url)
    client = PingClient(url, Masker(url).text, 5.0, {}, None, "0")
    delivery = Delivery(client, Report(url.masked))
    yield delivery
    delivery.stop(5)


def status_ping(status: int) -> Ping:
    event = Event.FAIL if status else Event.SUCCESS
    return Ping(event, new_run_id(), lambda: Body(log=b"the log"), status)


@pytest.mark.parametrize("answer", [400, 404])
def test_a_status_that_a_service_does_not_know_is_sent_at_once_as_a_failure(
    answer: int, ping_receiver: PingReceiver, delivery: Delivery, said: Said
) -> None:
    ping_receiver.script(answer)
    delivery.put(status_ping(3))
    assert delivery.wait(10)
    (ping,) = ping_receiver.pings
    assert ping.event is Event.FAIL
    assert ping.exit_status is None
    assert ping.text == "the log"
    assert delivery.stats.delivered == 1
    assert delivery.stats.failed == 0
    (line,) = said()
    assert "knows the check, but not /<status>: a failure is sent as /fail." in line
    delivery.put(status_ping(4))
    delivery.put(status_ping(0))
    assert delivery.wait(10)
    assert [ping.event for ping in ping_receiver.pings] == [Event.FAIL, Event.FAIL, Event.SUCCESS]
    assert len(ping_receiver.requests) == 4
    assert said() == []


def test_a_failure_that_is_refused_in_both_wordings_is_told_as_lost(
    ping_receiver: PingReceiver, delivery: Delivery, said: Said
) -> None:
    ping_receiver.script(404, 404)
    delivery.put(status_ping(3))
    assert delivery.wait(10)
    (line,) = said()
    assert "fail ping" in line
    assert "404" in line
    assert delivery.stats.failed == 1
    # The status may well be known: nothing was learned.
    delivery.put(status_ping(3))
    assert delivery.wait(10)
    assert [ping.exit_status for ping in ping_receiver.pings] == [3]


def test_a_failure_is_not_lost_when_the_service_fails_between_the_wordings(
    ping_receiver: PingReceiver, delivery: Delivery
) -> None:
    ping_receiver.script(404, 503)
    delivery.put(status_ping(3))
    assert delivery.wait(10)
    assert [ping.event for ping in ping_receiver.pings] == [Event.FAIL]


def test_no_refusal_of_another_kind_is_taken_for_a_missing_suffix() -> None:
    start = Ping(Event.START, new_run_id(), Body)
    done = Ping(Event.SUCCESS, new_run_id(), Body)
    for status in (401, 403, 409, 410, 429, 500, None):
        vocabulary = Vocabulary()
        assert vocabulary.learn(start, Attempt(delivered=False, status=status)) == []
        assert vocabulary.learn(done, Attempt(delivered=True, status=200)) == []
        assert vocabulary.worded(start) is start
    # "OK (not found)"
    vocabulary = Vocabulary()
    vocabulary.learn(start, Attempt(delivered=False, status=200))
    vocabulary.learn(done, Attempt(delivered=True, status=200))
    assert vocabulary.worded(start) is start


def test_a_run_whose_name_cannot_be_read_fails_all_the_same(service: Service) -> None:
    class Odd:
        def __str__(self) -> str:
            raise KeyError

    service.add()
    logger.info("sync.start")
    logger.bind(run_id=Odd()).error("sync.error: x")
    assert service.sink.wait(10)
    start, fail = service.receiver.pings
    assert (start.event, fail.event) == (Event.START, Event.FAIL)
    assert start.run_id == fail.run_id


# events=


def test_only_the_chosen_events_are_sent_and_the_others_still_pair(service: Service) -> None:
    service.add(events=[Event.SUCCESS, "fail"])
    logger.info("sync.start")
    logger.info("sync.log")
    service.log("sync.done")
    logger.info("sync.start")
    logger.info("sync.error")
    assert service.sink.wait(10)
    assert service.asked == ["", "/fail"]
    assert service.sink.stats.delivered == 2
    assert [outcome.event for outcome in service.outcomes] == [Event.SUCCESS, Event.FAIL]


def test_the_end_of_a_cut_log_is_not_sent_as_a_log_that_was_not_chosen(
    ping_receiver: PingReceiver, service: Service
) -> None:
    ping_receiver.body_limit = 10
    service.add(events=(Event.SUCCESS,))
    logger.info("a line of the log")
    service.log("sync.done")
    assert service.asked == [""]


@pytest.mark.parametrize(
    ("events", "kind", "text"),
    [
        ("fail", TypeError, "not 'fail'"),
        (Event.FAIL, TypeError, "not <Event.FAIL: 'fail'>"),
        (5, TypeError, "not int"),
        ({"a": Event.FAIL}, TypeError, "not dict"),
        (["failed"], ValueError, "not 'failed'"),
        ([Event.FAIL, None], ValueError, "not None"),
        ([["fail"]], ValueError, "not ['fail']"),
        ((), ValueError, "nothing is sent"),
    ],
)
def test_what_is_no_event_is_refused(
    events: Any, kind: type[Exception], text: str, ping_receiver: PingReceiver
) -> None:
    with pytest.raises(kind, match=r"^events: expected ") as caught:
        HealthSink(ping_receiver.url, events=events)
    assert text in str(caught.value)


def test_the_events_of_an_iterator_are_read_once(service: Service) -> None:
    import pickle

    sink = service.add(events=iter([Event.SUCCESS]))
    service.sink = sink
    logger.info("sync.start")
    service.log("sync.done")
    assert service.asked == [""]
    sink = HealthSink(service.receiver.url, events={Event.FAIL})
    assert pickle.loads(pickle.dumps(sink))._options["events"] == (Event.FAIL,)


# job's not_failures=, and async with


class Retry(Exception):  # noqa: N818 - as task queues name it
    pass


def test_an_exception_that_is_no_failure_ends_the_run_without_a_verdict(service: Service) -> None:
    service.add()
    with pytest.raises(Retry), job(not_failures=Retry):
        raise Retry("in {5} s")
    assert service.sink.wait(10)
    start, log = service.receiver.pings
    assert (start.event, log.event) == (Event.START, Event.LOG)
    assert start.run_id == log.run_id
    assert log.text.splitlines()[-1].startswith("sync.log: no verdict, ended by ")
    assert log.text.rstrip().endswith("Retry: in {5} s")
    assert service.sink._outlet._runs.pairing.open == []


@pytest.mark.parametrize("queued", [False, True])
def test_a_run_without_a_verdict_is_no_failure_at_the_exit(
    queued: bool, ping_receiver: PingReceiver, run_script: Any
) -> None:
    run_script(
        f"""
import sys
from loguru import logger
from loghc import HealthSink, job
logger.remove()
logger.add(HealthSink(sys.argv[1]), format="{{message}}", enqueue={queued})
with job(not_failures=(KeyError,), run_id="mine"):
    raise KeyError
""",
        ping_receiver.url,
    )
    assert [ping.event for ping in ping_receiver.pings] == [Event.START, Event.LOG]


def test_other_exceptions_stay_failures(service: Service) -> None:
    service.add()
    with pytest.raises(ValueError, match="x"), job(not_failures=(Retry, KeyError)):
        raise ValueError("x")

    @job(not_failures=[SystemExit])
    def leave() -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        leave()
    assert service.sink.wait(10)
    events = [ping.event for ping in service.receiver.pings]
    assert events == [Event.START, Event.FAIL, Event.START, Event.LOG]


@pytest.mark.parametrize("wrong", ["Retry", 5, [5], ["Retry"], (int,), None])
def test_what_is_no_exception_class_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"^not_failures: expected exception classes"):
        job(not_failures=wrong)


def test_async_with_tells_what_with_does(service: Service) -> None:
    service.add()
    shared = job("sync", not_failures=asyncio.CancelledError)

    async def one(number: int) -> None:
        async with shared:
            await asyncio.sleep(0.01)
            if number == 1:
                raise ValueError(number)
            if number == 2:
                raise asyncio.CancelledError

    async def main() -> None:
        await asyncio.gather(*map(one, range(3)), return_exceptions=True)
        await logger.complete()

    asyncio.run(main())
    by_run: dict[str | None, list[Event]] = {}
    for ping in service.receiver.pings:
        by_run.setdefault(ping.run_id, []).append(ping.event)
    assert sorted(by_run.values(), key=str) == sorted(
        [
            [Event.START, Event.SUCCESS],
            [Event.START, Event.FAIL],
            [Event.START, Event.LOG],
        ],
        key=str,
    )


def test_the_records_of_async_with_come_from_its_own_line() -> None:
    records: list[Any] = []
    logger.add(lambda message: records.append(message.record))

    async def main() -> None:
        async with job("x"):
            pass

    asyncio.run(main())
    assert {record["function"] for record in records} == {"main"}
    assert {record["name"] for record in records} == {__name__}
