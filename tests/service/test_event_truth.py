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
from loghc.delivery.capabilities import Capabilities
from loghc.delivery.policy import Policy
from loghc.delivery.troubles import Troubles
from loghc.log.body import Body
from loghc.log.masking import Masker
from loghc.ping import Attempt, Ping
from loghc.portable.run_ids import new_run_id
from loghc.service.client import PingClient
from loghc.service.url import PingUrl
from loghc.testing import Fault, PingReceiver
from pings import RUN_ID, client_of, ping, sped_up
from waiting import wait_until

_EVENTS = {
    "start": Event.START,
    "done": Event.SUCCESS,
    "error": Event.FAIL,
    "log": Event.LOG,
}

Said = Callable[[], list[str]]


@pytest.fixture
def said(capfd: pytest.CaptureFixture[str]) -> Said:
    return lambda: complaints(capfd.readouterr().err)


class Service:
    """A service that answers some suffixes with a status of its own."""

    def __init__(self, receiver: PingReceiver) -> None:
        self.receiver = receiver
        self.outcomes: list[Outcome] = []
        self.sink: HealthSink | None = None

    def add(self, **options: Any) -> HealthSink:
        sink = self.sink = HealthSink(self.receiver.url, on_outcome=self.outcomes.append, **options)
        logger.add(sink, format="{message}", catch=False)
        return sink

    def connect(self, scale: float = 20.0) -> Delivery:
        """Have markers sent by a delivery whose clock is so many times as fast."""
        policy = sped_up(scale)
        client = client_of(self.receiver.url)
        self.delivery = Delivery(client, Troubles("here"), self.outcomes.append, policy)
        return self.delivery

    def put(self, message: str, run_id: str = RUN_ID) -> None:
        """Queue the ping of a marker."""
        event = _EVENTS[message.partition(".")[2]]
        self.delivery.put(ping(event, run_id, message))

    def log(self, message: str, *answers: int | Fault | None) -> None:
        """Log a marker, and wait until it is answered, with these statuses."""
        self.receiver.script(*answers)
        if self.sink is not None:
            logger.info(message)
            assert self.sink.wait(10)
        else:
            self.put(message)
            assert self.delivery.wait(10)

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
    service.connect()
    for _ in range(2):
        service.log("sync.start", 404, 404)
        service.log("sync.error", 404)
    start, failure = said()
    assert start.startswith("loghc: start ping to ")
    assert "404 not found" in start
    assert "does not know /start" in start
    assert failure.startswith("loghc: fail ping to ")
    assert "Check the ping URL" in failure


@pytest.mark.usefixtures("asked_again_soon")
def test_causes_are_told_apart(service: Service, said: Said) -> None:
    service.connect(1.0)
    service.log("sync.done", 404, 404)
    service.log("sync.done", 409)
    service.log("sync.done", 404)
    assert [line.partition("delivered: ")[2][:3] for line in said()] == ["404", "409"]
    service.log("sync.done")
    assert said() == ["loghc: pings to here are delivered again; 3 pings lost meanwhile."]


def test_a_check_that_never_answered_is_asked_once_more_and_not_for_each_ping(
    service: Service, said: Said
) -> None:
    service.connect()
    service.receiver.always(404)
    for _ in range(3):
        service.log("sync.done")
    assert service.asked == [""] * 4
    assert service.delivery.stats.failed == 3
    service.receiver.always(None)
    service.log("sync.done")  # the check was made meanwhile
    assert service.delivery.stats.delivered == 1


@pytest.mark.parametrize("answer", [404, 302, 403, 409])
def test_a_refusal_by_a_check_that_is_known_is_tried_again(
    answer: int, service: Service, said: Said
) -> None:
    service.connect()
    service.log("sync.start")
    service.log("sync.error", answer)
    assert [each.event for each in service.receiver.pings] == [Event.START, Event.FAIL]
    assert said() == []


def test_a_failure_that_is_refused_by_a_check_that_is_known_is_lost_after_a_while(
    service: Service, said: Said
) -> None:
    service.connect(1000.0)
    service.log("sync.done")
    service.receiver.always(404)
    service.log("sync.error")
    assert service.delivery.stats.failed == 1
    assert len(service.asked) > 4
    lines = said()
    assert lines
    for line in lines:  # what is said at once, and in the end
        assert "it doesn't know /fail" in line
        assert "the service has no check" not in line


def test_one_404_to_a_start_during_an_update_changes_nothing(service: Service, said: Said) -> None:
    service.connect()
    service.log("sync.start", 404)  # also as the first of all
    service.log("sync.done")
    service.log("sync.start", 404)
    service.log("sync.done")
    service.log("sync.start")
    arrived = [each.event for each in service.receiver.pings]
    assert arrived == [Event.START, Event.SUCCESS] * 2 + [Event.START]
    assert said() == []


@pytest.mark.parametrize("status", [400, 404])
def test_a_suffix_that_is_refused_twice_a_minute_apart_is_not_sent_any_more_for_an_hour(
    status: int, service: Service, said: Said
) -> None:
    service.connect(200.0)  # a minute is 0.3 s, an hour 18 s
    unknown = Fault(status)
    service.log("sync.done")
    service.receiver.always(unknown)
    service.put("sync.start")
    assert service.delivery.wait(10)
    asked = len(service.asked)
    assert asked > 2
    assert any("knows the check, but not /start: no more starts are sent" in x for x in said())
    service.receiver.always(None)
    service.log("sync.start")
    service.log("sync.log")
    assert service.asked[asked:] == ["/log"]
    assert service.delivery.stats.pending == 0


@pytest.mark.parametrize(("lost", "said_"), [(1, "are sent."), (2, "are sent (2 pings lost).")])
def test_what_was_lost_before_a_suffix_is_known_to_be_unknown_is_counted_from_two_on(
    lost: int, said_: str, service: Service, said: Said
) -> None:
    service.connect(200.0)
    service.receiver.always(404)
    for _ in range(lost):  # not even the check is known
        service.put("sync.start")
        assert service.delivery.wait(10)
    service.receiver.always(None)
    service.log("sync.done")
    service.receiver.always(404)
    service.put("sync.start")
    assert service.delivery.wait(10)
    [line] = [line for line in said() if "but not /start" in line]
    assert f"no more starts {said_}" in line


def test_a_refusal_of_one_suffix_holds_up_no_other(service: Service) -> None:
    service.connect()
    service.log("sync.done")
    service.receiver.script(*[404] * 3)
    service.put("sync.start", "another run")
    service.put("sync.done")
    wait_until(lambda: len(service.receiver.pings) == 2)
    assert service.asked[:5] == ["", "/start", "/start", "/start", ""]
    service.delivery.stop(5)


def test_a_web_page_is_no_answer_where_the_service_has_answered_otherwise(
    service: Service, said: Said
) -> None:
    service.connect()
    portal = Fault(200, headers={"Content-Type": "text/html; charset=utf-8"}, body="<p>Log in</p>")
    service.log("sync.done")
    service.log("sync.error", portal, portal)
    assert [each.event for each in service.receiver.pings] == [Event.SUCCESS, Event.FAIL]
    assert "a web page" in said()[0]


def test_a_service_that_answers_with_a_web_page_each_time_is_believed(service: Service) -> None:
    service.connect()
    page = Fault(200, headers={"Content-Type": "text/html"}, body="<p>OK</p>", counts=True)
    service.log("sync.start", page)
    service.log("sync.done", page)
    assert [each.event for each in service.receiver.pings] == [Event.START, Event.SUCCESS]


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
    delivery = Delivery(client, Troubles(url.masked), policy=sped_up())
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
    assert said() == []
    delivery.put(status_ping(4))
    delivery.put(status_ping(0))
    assert delivery.wait(10)
    # One refusal may have another reason: the status is asked for again.
    assert [ping.exit_status for ping in ping_receiver.pings] == [None, 4, 0]
    assert said() == []


def test_a_failure_that_is_refused_in_both_wordings_is_told_as_lost(
    ping_receiver: PingReceiver, delivery: Delivery, said: Said
) -> None:
    ping_receiver.script(404, 404, 404)
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
    policy = Policy(suffix_apart_s=0.0)
    for status in (401, 403, 409, 410, 429, 500, 200, None):  # 200: "OK (not found)"
        known = Capabilities(policy)
        known.learn(done, Attempt(delivered=True, status=200))
        for _ in range(2):
            assert known.learn(start, Attempt(delivered=False, status=status)) is None
        assert known.downgraded(start) is start
    assert known.learn(start, Attempt(delivered=False, status=404)) == "/start"
    assert known.downgraded(start) is None


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
    for each in service.receiver.pings:
        by_run.setdefault(each.run_id, []).append(each.event)
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
