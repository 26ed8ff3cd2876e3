"""Which run a marker belongs to, where it takes many runs or other processes to see it."""

from __future__ import annotations

import os
import threading
from contextvars import ContextVar, copy_context
from types import SimpleNamespace
from typing import Any

import pytest

from loghc import Event
from loghc.portable.lanes import Lanes
from loghc.runs import ENDS_RUN, Pairing, RecordRuns


def record(process: int | None = None, thread: int | None = None, **extra: object) -> Any:
    """A record of the calling thread, or of another thread or process through loguru's queue."""
    return {
        "extra": extra,
        "process": SimpleNamespace(id=process or os.getpid()),
        "thread": SimpleNamespace(id=thread or threading.get_ident()),
    }


def kept(runs: Pairing) -> int:
    """How many entries a pairing holds."""
    return sum(len(value) for value in vars(runs).values())


# The pairing


def test_runs_are_nested_in_one_lane() -> None:
    runs = Pairing()
    outer = runs.assign(Event.START, (1,))
    inner = runs.assign(Event.START, (1, 2))
    assert runs.assign(Event.LOG, (1, 2)) == inner
    assert runs.assign(Event.SUCCESS, (1, 2)) == inner
    assert runs.assign(Event.FAIL, (1, 2)) == outer
    assert runs.assign(Event.SUCCESS, (1, 2)) not in (outer, inner)
    assert runs.open == []
    assert kept(runs) == 0


def test_an_end_from_elsewhere_ends_the_oldest_run_and_a_name_goes_before_all() -> None:
    runs = Pairing()
    first, second = runs.assign(Event.START, (1,)), runs.assign(Event.START, (2,))
    named = runs.assign(Event.START, (3,), "nightly")
    assert runs.open == [first, second, named]
    assert runs.assign(Event.SUCCESS, ()) == first
    assert runs.assign(Event.SUCCESS, (), "nightly") == named == "nightly"
    assert runs.take_open() == [second]
    assert kept(runs) == 0


def test_a_log_marker_from_elsewhere_is_of_the_one_run_that_is_open() -> None:
    runs = Pairing()
    first = runs.assign(Event.START, (1,))
    assert runs.assign(Event.LOG, ()) == first
    second = runs.assign(Event.START, (2,))
    assert runs.assign(Event.LOG, ()) not in (first, second)


def test_of_very_many_runs_that_never_end_the_newest_are_known() -> None:
    runs = Pairing()
    begun = [runs.assign(Event.START, (number,)) for number in range(30_000)]
    assert runs.open == begun[20_000:]
    assert kept(runs) <= 20_000
    assert runs.assign(Event.SUCCESS, (0,)) not in begun  # forgotten, and no other's end
    assert runs.assign(Event.SUCCESS, (29_999,)) == begun[-1]


def test_a_long_run_keeps_its_end_though_very_many_short_ones_come_and_go_beside_it() -> None:
    runs = Pairing()
    first, second = runs.assign(Event.START, (1,)), runs.assign(Event.START, (2,))
    for number in range(3, 20_000):
        runs.assign(Event.START, (number,))
        runs.assign(Event.SUCCESS, (number,))
    assert runs.assign(Event.SUCCESS, (2,)) == second
    assert runs.assign(Event.FAIL, (1,)) == first
    assert kept(runs) == 0


def test_a_run_that_is_started_again_and_again_elsewhere_takes_a_bounded_place() -> None:
    runs = Pairing()
    for number in range(30_000):
        runs.assign(Event.START, (number,), "nightly")
    assert runs.open == ["nightly"]
    assert kept(runs) <= 20_000


def test_the_parents_runs_are_not_the_childs(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = Pairing()
    runs.assign(Event.START, (1,))
    monkeypatch.setattr(os, "getpid", lambda: 1)
    assert runs.open == []
    own = runs.assign(Event.START, (2,))
    assert runs.open == [own]


# Lanes


def test_a_context_has_the_runs_of_the_one_that_it_was_made_in() -> None:
    lanes = Lanes(ContextVar("runs"))
    assert lanes.of_marker(None) == ()
    outer = lanes.of_marker(None, starts=True)
    first, second = copy_context(), copy_context()
    one = first.run(lanes.of_marker, None, starts=True)
    two = second.run(lanes.of_marker, None, starts=True)
    assert one[:-1] == two[:-1] == outer
    assert one != two
    assert first.run(lanes.of_marker, None, ends=True) == one
    assert first.run(lanes.of_marker, None) == lanes.of_marker(None) == outer
    assert first.run(lanes.of_marker, None, ends=True) == outer
    assert lanes.of_marker(None) != ()  # it has begun a run, which another has ended
    assert not set(lanes.of_marker(None)) & set(outer)


def test_a_context_keeps_nothing_of_runs_that_have_ended() -> None:
    lanes = Lanes(ContextVar("runs"))
    outer = lanes.of_marker(None, starts=True)
    for number in range(3_000):
        lanes.of_marker(str(number), starts=True)
        copy_context().run(lanes.of_marker, str(number), ends=True)
    assert lanes.of_marker(None) == outer
    for _ in range(3_000):
        lanes.of_marker(None, starts=True)
    assert len(lanes.of_marker(None)) == 1_000


# Of records


def test_of_one_contexts_runs_that_never_end_the_thousand_innermost_are_its_own() -> None:
    runs = RecordRuns()
    started = [runs.assign(Event.START, record()) for _ in range(1_001)]
    ended = [runs.assign(Event.SUCCESS, record()) for _ in range(1_001)]
    assert ended[:1_000] == started[:0:-1]
    assert ended[1_000] not in started  # of a run that nobody knows
    assert runs.pairing.open == started[:1]


def test_lanes_of_the_queue_keep_apart_and_leave_nothing_behind() -> None:
    runs = RecordRuns()
    lanes = [{"process": 1, "thread": 7}, {"process": 2, "thread": 7}, {"process": 1, "thread": 8}]
    started = [runs.assign(Event.START, record(**lane)) for lane in lanes]
    nested = runs.assign(Event.START, record(**lanes[-1]))
    assert runs.assign(Event.LOG, record(**lanes[-1])) == nested
    assert runs.assign(Event.SUCCESS, record(**lanes[-1])) == nested
    for lane, run_id in reversed(list(zip(lanes, started, strict=True))):
        assert runs.assign(Event.FAIL, record(**lane)) == run_id
    assert kept(runs.pairing) == 0


def test_starts_of_the_queue_whose_ends_come_from_elsewhere_leave_nothing_behind() -> None:
    runs = RecordRuns()
    for number in range(30_000):
        run_id = runs.assign(Event.START, record(process=number + 1, thread=7))
        assert runs.assign(Event.SUCCESS, record(process=number + 1, thread=8)) == run_id
    assert kept(runs.pairing) == 0


def test_a_log_marker_can_be_the_last_of_its_run() -> None:
    runs = RecordRuns()
    run_id = runs.assign(Event.START, record())
    assert runs.assign(Event.LOG, record(**{ENDS_RUN: "yes"})) == run_id
    assert runs.pairing.open == [run_id]
    assert runs.assign(Event.LOG, record(**{ENDS_RUN: True})) == run_id
    assert runs.pairing.open == []


def test_a_note_from_elsewhere_belongs_to_the_one_open_run_and_to_none_of_several() -> None:
    runs = RecordRuns()
    first = runs.assign(Event.START, record(thread=7))
    assert runs.assign(Event.LOG, record(thread=8)) == first
    second = runs.assign(Event.START, record(thread=9))
    assert runs.assign(Event.LOG, record(thread=8)) not in (first, second)
    assert runs.assign(Event.SUCCESS, record(thread=8)) == first
    assert runs.assign(Event.SUCCESS, record(thread=8)) == second
    assert runs.assign(Event.SUCCESS, record(thread=8)) not in (first, second)


def test_a_run_that_is_started_twice_is_the_innermost_once() -> None:
    runs = RecordRuns()
    outer = runs.assign(Event.START, record(run_id="a"))
    inner = runs.assign(Event.START, record(run_id="b"))
    for _ in range(3):
        assert runs.assign(Event.START, record(run_id="a")) == outer
    assert runs.assign(Event.SUCCESS, record()) == outer
    assert runs.assign(Event.SUCCESS, record()) == inner
    assert runs.pairing.open == []


def test_runs_that_were_closed_are_open_nowhere() -> None:
    runs = RecordRuns()
    closed = {runs.assign(Event.START, record()), runs.assign(Event.START, record(thread=7))}
    assert set(runs.pairing.take_open()) == closed
    assert kept(runs.pairing) == 0
    assert runs.assign(Event.SUCCESS, record()) not in closed
