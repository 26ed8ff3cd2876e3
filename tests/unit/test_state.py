"""Which pings are void in trouble, and that what is left tells a service the truth."""

from __future__ import annotations

import random

import pytest

from loghc import Event
from loghc.delivery.queued import Queued
from loghc.delivery.state import FAILURES, sort_out
from loghc.ping import Ping

_WORDS = {"start": Event.START, "done": Event.SUCCESS, "fail": Event.FAIL, "note": Event.LOG}


def waiting(text: str) -> list[Queued]:
    """Pings from words such as ``start A, done A``."""
    pairs = [part.split() for part in text.split(", ") if part]
    return [Queued(Ping(_WORDS[word], run_id, bytes)) for word, run_id in pairs]


def told(pings: list[Queued]) -> str:
    words = {event: word for word, event in _WORDS.items()}
    return ", ".join(f"{words[each.ping.event]} {each.ping.run_id}" for each in pings)


@pytest.mark.parametrize(
    ("queue", "started", "sent", "sent_at_a_stop"),
    [
        ("start A, done A, start B, done B", "", "done B", "done B"),
        ("done A, start B, done B", "A", "done A, done B", "done A, done B"),
        ("start A, done A, start B, done B", "A", "done A, done B", "done A, done B"),
        ("fail A, done B", "", "fail A, done B", "fail A, done B"),
        ("done A, fail B, done C", "ABC", "done A, fail B, done C", "fail B, done C"),
        ("start A, start B, done B", "", "start A, done B", "done B"),
        ("start A, start B, done B", "A", "start A, done B", "start A, done B"),
        ("note A, done A, note A", "", "done A, note A", "done A"),
        ("note A, note A", "", "note A, note A", ""),
        ("start A, note A", "A", "start A, note A", "start A"),
        ("done A, fail B", "", "fail B", "fail B"),
        ("done A, fail B", "A", "done A, fail B", "fail B"),
        ("fail A, done B, done C", "B", "fail A, done B, done C", "fail A, done C"),
        ("done A, start A", "", "done A, start A", "done A"),
    ],
)
def test_what_is_void(queue: str, started: str, sent: str, sent_at_a_stop: str) -> None:
    for stopping, expected in ((False, sent), (True, sent_at_a_stop)):
        pings = waiting(queue)
        result = sort_out(pings, set(started), stopping=stopping)
        assert told(result.kept) == expected, stopping
        assert sorted(map(id, result.kept + result.void)) == sorted(map(id, pings))


def test_of_many_ends_with_a_failure_the_failure_and_the_newest_success_are_told() -> None:
    pings = waiting(", ".join(f"{'fail' if n == 40 else 'done'} {n}" for n in range(100)))
    result = sort_out(pings, {str(n) for n in range(100)}, stopping=True)
    assert told(result.kept) == "fail 40, done 99"


def test_of_many_failures_the_first_and_the_newest_are_told_and_the_others_counted() -> None:
    pings = waiting(", ".join([*(f"fail {n}" for n in range(60)), "done 60"]))
    result = sort_out(pings, (), stopping=False)
    assert result.kept == [pings[0], *pings[60 - FAILURES + 1 :]]
    assert list(result.counted) == pings[1 : 60 - FAILURES + 1]
    assert result.counted_in is pings[60 - FAILURES + 1]
    assert not result.void
    exactly = waiting(", ".join(f"fail {n}" for n in range(FAILURES)))
    assert sort_out(exactly, (), stopping=True).kept == exactly


class Service:
    """What a real server makes of pings: up or down, and which runs count as started."""

    def __init__(self) -> None:
        self.up: bool | None = None
        self.started: set[str] = set()

    def take(self, event: Event, run_id: str) -> None:
        if event is Event.START:
            self.started.add(run_id)
        elif event is Event.SUCCESS:
            self.up = True
            self.started.discard(run_id)
        elif event is Event.FAIL:
            self.up = False
            self.started.clear()


def trace(chance: random.Random) -> list[Ping]:
    """The markers of some runs that overlap as it comes, and may never end."""
    pings: list[Ping] = []
    open_runs: list[str] = []
    for number in range(chance.randint(1, 30)):
        kind = chance.choices((Event.START, Event.LOG, None), (4, 1, 4))[0]
        run_id = chance.choice(open_runs) if open_runs else f"run {number}"
        if kind is Event.START:
            run_id = f"run {number}"
            open_runs.append(run_id)
        elif kind is None:
            kind = Event.FAIL if chance.random() < 0.2 else Event.SUCCESS
            if run_id in open_runs:
                open_runs.remove(run_id)
        pings.append(Ping(kind, run_id, bytes))
    return pings


@pytest.mark.parametrize("seed", range(20))
def test_a_service_that_was_told_what_is_left_believes_the_truth(seed: int) -> None:
    chance = random.Random(seed)
    reduced = 0
    for _ in range(100):
        pings = trace(chance)
        truth, service = Service(), Service()
        for ping in pings:
            truth.take(ping.event, ping.run_id)
        stops = chance.random() < 0.5
        failing = chance.random()
        queue: list[Queued] = []
        started: set[str] = set()
        trouble = False
        while pings or queue:
            come = chance.choice((0, 1, 1, 3, 30))
            queue += map(Queued, pings[:come])
            del pings[:come]
            stopping = stops and not pings
            trouble = (trouble or chance.random() < 0.3) and bool(queue)
            if trouble:
                result = sort_out(queue, started, stopping=stopping)
                reduced += len(result.void)
                queue = result.kept
            if not queue:
                continue
            event, run_id = queue[0].ping.event, queue[0].ping.run_id
            if event is Event.START:
                started.add(run_id)
            arrives, answered = chance.random() > failing * 0.8, chance.random() > failing * 0.5
            if arrives:
                service.take(event, run_id)
            if arrives and answered:
                queue.pop(0)
                if event is Event.FAIL:
                    started.clear()
                elif event is Event.SUCCESS:
                    started.discard(run_id)
            else:
                trouble = True
        assert service.up == truth.up
        assert service.started <= truth.started
        assert stops or service.started == truth.started
    assert reduced > 50  # so something was left out
