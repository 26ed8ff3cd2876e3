"""Stops, waits and aborts of a delivery, with a client that answers as a test wants."""

from __future__ import annotations

import atexit
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from loghc import Event, Outcome, Stats, native
from loghc.delivery import Delivery
from loghc.delivery.report import Report
from loghc.delivery.retry import Backoff
from loghc.log.body import Body
from loghc.ping import Attempt, Ping
from waiting import seconds_for, wait_until, wait_until_in

OK = Attempt(delivered=True, status=200)
DOWN = Attempt(delivered=False, error="503", transient=True)


class Client:
    """Gives answers in their order, then good ones, and notes what it is asked for."""

    body_limit = None

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.sent: list[Event] = []
        self.calls: list[str] = []
        self.cut_off = threading.Event()
        self.on_cancel: Callable[[], object] = bool

    def hang(self) -> Attempt:
        """An attempt that goes on until it is cut off."""
        self.cut_off.wait(60)
        self.cut_off.clear()
        return DOWN

    def send(self, ping: Ping, _body: bytes, _seconds: float) -> Attempt:
        self.sent.append(ping.event)
        answer = self.answers.pop(0) if self.answers else OK
        return answer() if callable(answer) else answer

    def clone(self) -> Client:
        return self

    def close(self) -> None:
        pass

    def cancel(self) -> None:
        self.calls.append("cancel")
        self.cut_off.set()
        self.on_cancel()

    def cut_if_older_than(self, moment: float) -> None:
        self.calls.append("cut" if moment <= time.monotonic() else "cut too much")
        self.cut_off.set()

    def at_exit(self) -> None:
        self.calls.append("at exit")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr("loghc.delivery.report.report", lines.append)
    monkeypatch.setattr("loghc.delivery.report.report_if_seen", lines.append)
    return lines


@pytest.fixture
def said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What holds up the app is said after a moment."""
    monkeypatch.setattr("loghc.delivery._WORTH_SAYING", 0.02)


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """Set at the test's end: what an attempt waits for that nothing can cut off."""
    event = threading.Event()
    yield event
    event.set()


def delivery_by(
    client: Client,
    on_outcome: Callable[[Outcome], object] | None = None,
    backoff: Backoff = Backoff(first=0.001, cap=0.002),  # noqa: B008 - a tuple
) -> Delivery:
    return Delivery(client, Report("here"), on_outcome, backoff)  # type: ignore[arg-type]


def put(delivery: Delivery, event: Event = Event.SUCCESS, count: int = 1) -> None:
    for _ in range(count):
        delivery.put(Ping(event, "a run", lambda: Body(log=b"the log")))


def slow(seconds: float) -> Callable[[], Attempt]:
    def answer() -> Attempt:
        threading.Event().wait(seconds)
        return OK

    return answer


def test_a_stop_that_needs_no_time_says_and_cuts_nothing(said: list[str]) -> None:
    client = Client(slow(0.1))
    delivery = delivery_by(client)
    put(delivery)
    delivery.stop(20)
    assert delivery.stats == Stats(1, 0, 0)
    assert said == []
    assert client.calls == ["cancel"]


def test_a_stop_says_what_it_waits_for_and_cuts_an_attempt_off_at_half_its_time(
    said: list[str], said_at_once: None
) -> None:
    said_at_the_cut: list[str] = []
    client = Client()

    def hang() -> Attempt:
        attempt = client.hang()
        said_at_the_cut.extend(said)
        return attempt

    client.answers = [hang]
    delivery = delivery_by(client)
    put(delivery)
    wait_until(lambda: client.sent)
    delivery.stop(2)
    assert client.calls[0] == "cut"
    assert said_at_the_cut == ["waiting at most 2 s more for 1 ping to here to be delivered."]
    assert said == said_at_the_cut
    assert delivery.stats == Stats(1, 0, 0)


def test_a_stop_that_has_little_time_cuts_an_attempt_off_before_it_says_anything(
    said: list[str],
) -> None:
    client = Client()
    client.answers = [client.hang]
    delivery = delivery_by(client)
    put(delivery)
    wait_until(lambda: client.sent)
    delivery.stop(1.0)
    assert delivery.stats == Stats(1, 0, 0)
    assert said == []


def test_a_stop_ends_a_pause_between_attempts(said: list[str]) -> None:
    client = Client(DOWN)
    delivery = delivery_by(client, backoff=Backoff(first=60, cap=60))
    put(delivery)
    wait_until_in(None, "pause")
    assert seconds_for(lambda: delivery.stop(30)) < 15
    assert delivery.stats == Stats(1, 0, 0)


def test_a_stop_waits_without_looking_all_the_time(said: list[str]) -> None:
    client = Client(slow(1.0))
    delivery = delivery_by(client)
    put(delivery)
    begun = time.thread_time()
    delivery.stop(30)
    assert time.thread_time() - begun < 0.3
    assert delivery.stats == Stats(1, 0, 0)


def test_what_can_t_be_delivered_in_time_is_given_up_and_no_thread_is_started_for_it(
    said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client()
    client.answers = [client.hang] * 9
    delivery = delivery_by(client)
    put(delivery, Event.FAIL, count=2)
    wait_until(lambda: client.sent)
    asked: list[object] = []
    monkeypatch.setattr(native, "start_new_thread", lambda *args: asked.append(args))
    delivery.stop(0.1)
    assert asked == []
    assert delivery.stats == Stats(0, 2, 0)
    assert said[-1].startswith("2 pings (fail, fail) to here not delivered within 0.")


def test_how_many_logs_were_left_out_is_said_when_the_sink_stops(
    said: list[str], released: threading.Event
) -> None:
    client = Client(slow(0.2), *[OK] * 7, lambda: DOWN if released.wait(60) else OK)
    delivery = delivery_by(client)
    put(delivery, count=40)
    wait_until(lambda: len(client.sent) == 9)
    delivery.stop(0.01)
    counts = [int(found[1]) for line in said if (found := re.match(r"the logs of (\d+) ", line))]
    assert sum(counts) >= 8  # nine, if the first waited, too


@pytest.mark.parametrize("answer", [OK, slow(0.3)], ids=["idle", "long after it was said"])
def test_a_ping_that_comes_as_a_stop_ends_is_sent_by_the_next_thread(
    answer: Any, said: list[str], said_at_once: None
) -> None:
    client = Client(answer)
    delivery = delivery_by(client)
    put(delivery)
    wait_until(lambda: client.sent)

    def comes_late() -> None:
        client.on_cancel = bool
        put(delivery, Event.FAIL)

    client.on_cancel = comes_late
    delivery.stop(0.5)
    wait_until(lambda: client.sent == [Event.SUCCESS, Event.FAIL])
    wait_until(lambda: delivery.stats == Stats(2, 0, 0))


def test_an_abort_ends_a_stop_at_once_though_nothing_can_cut_the_attempt_off(
    said: list[str], said_at_once: None, released: threading.Event
) -> None:
    def hang() -> Attempt:
        released.wait(60)
        return DOWN

    delivery = delivery_by(Client(hang))
    put(delivery)
    stopping = threading.Thread(target=delivery.stop, args=(60,))
    stopping.start()
    wait_until(lambda: said)  # the next moment to look is half a minute away
    wait_until_in(stopping, "wait_for")
    delivery.abort()
    stopping.join(15)
    assert not stopping.is_alive()
    assert delivery.stats == Stats(0, 1, 0)


def test_the_exit_waits_for_on_outcome_and_a_removal_does_not(said: list[str]) -> None:
    told: list[Outcome] = []
    go_on = threading.Event()

    def on_outcome(outcome: Outcome) -> None:
        go_on.wait(0.2)
        told.append(outcome)

    for exiting in (False, True):
        client = Client()
        delivery = delivery_by(client, on_outcome)
        put(delivery)
        delivery.stop(20, exiting=exiting)
        assert len(told) == exiting
        assert ("at exit" in client.calls) is exiting
        go_on.set()
        wait_until(lambda: told)
        go_on.clear()
        told.clear()


def test_a_stop_on_the_sending_thread_leaves_the_wait_to_the_exit(
    said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    registered: list[tuple[Any, ...]] = []
    monkeypatch.setattr(atexit, "register", lambda *args, **more: registered.append((*args, more)))
    stopped = threading.Event()

    def stops() -> Attempt:
        assert seconds_for(lambda: delivery.stop(30)) < 15
        stopped.set()
        return slow(0.1)()

    delivery = delivery_by(Client(stops))
    put(delivery, count=2)
    assert stopped.wait(20)
    ((stop, seconds, more),) = registered
    stop(seconds, **more)
    assert delivery.stats == Stats(2, 0, 0)
    assert said == []
