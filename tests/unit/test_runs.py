"""Which run a marker belongs to, where it takes many runs or other processes to see it."""

from __future__ import annotations

import os
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from loghc import Event
from loghc.runs import ENDS_RUN, Runs


def record(process: int | None = None, thread: int | None = None, **extra: object) -> Any:
    """A record of the calling thread, or of another thread or process through loguru's queue."""
    return {
        "extra": extra,
        "process": SimpleNamespace(id=process or os.getpid()),
        "thread": SimpleNamespace(id=thread or threading.get_ident()),
    }


def test_of_runs_that_never_end_the_oldest_are_forgotten() -> None:
    runs = Runs()
    started = [runs.assign(Event.START, record(thread=-number)) for number in range(1, 10_001)]
    assert runs.open_here() == started
    started.append(runs.assign(Event.START, record()))
    assert runs.open_here() == started[1:]


def test_of_one_contexts_runs_that_never_end_the_thousand_innermost_are_its_own() -> None:
    runs = Runs()
    started = [runs.assign(Event.START, record()) for _ in range(1_001)]
    ended = [runs.assign(Event.SUCCESS, record()) for _ in range(1_001)]
    assert ended[:1_000] == started[:0:-1]
    assert ended[1_000] not in started  # of a run that nobody knows
    assert runs.open_here() == started[:1]


def test_lanes_of_the_queue_keep_apart_and_leave_nothing_behind() -> None:
    runs = Runs()
    lanes = [{"process": 1, "thread": 7}, {"process": 2, "thread": 7}, {"process": 1, "thread": 8}]
    started = [runs.assign(Event.START, record(**lane)) for lane in lanes]
    nested = runs.assign(Event.START, record(**lanes[-1]))
    assert runs.assign(Event.LOG, record(**lanes[-1])) == nested
    assert runs.assign(Event.SUCCESS, record(**lanes[-1])) == nested
    for lane, run_id in reversed(list(zip(lanes, started, strict=True))):
        assert runs.assign(Event.FAIL, record(**lane)) == run_id
    assert runs.open_here() == []
    assert runs._elsewhere == {}


def test_a_log_marker_can_be_the_last_of_its_run() -> None:
    runs = Runs()
    run_id = runs.assign(Event.START, record())
    assert runs.assign(Event.LOG, record(**{ENDS_RUN: "yes"})) == run_id
    assert runs.open_here() == [run_id]
    assert runs.assign(Event.LOG, record(**{ENDS_RUN: True})) == run_id
    assert runs.open_here() == []


def test_a_note_from_elsewhere_belongs_to_the_one_open_run_and_to_none_of_several() -> None:
    runs = Runs()
    first = runs.assign(Event.START, record(thread=7))
    assert runs.assign(Event.LOG, record(thread=8)) == first
    second = runs.assign(Event.START, record(thread=9))
    assert runs.assign(Event.LOG, record(thread=8)) not in (first, second)
    assert runs.assign(Event.SUCCESS, record(thread=8)) == first
    assert runs.assign(Event.SUCCESS, record(thread=8)) == second
    assert runs.assign(Event.SUCCESS, record(thread=8)) not in (first, second)


def test_a_run_that_is_started_twice_is_the_innermost_once() -> None:
    runs = Runs()
    outer = runs.assign(Event.START, record(run_id="a"))
    inner = runs.assign(Event.START, record(run_id="b"))
    for _ in range(3):
        assert runs.assign(Event.START, record(run_id="a")) == outer
    assert runs._here.get() == (inner, outer)
    assert runs.assign(Event.SUCCESS, record()) == outer
    assert runs.assign(Event.SUCCESS, record()) == inner


def test_runs_that_were_closed_are_open_nowhere() -> None:
    runs = Runs()
    closed = {runs.assign(Event.START, record()), runs.assign(Event.START, record(thread=7))}
    runs.close_all()
    assert runs.open_here() == []
    assert runs._elsewhere == {}
    assert runs.assign(Event.SUCCESS, record()) not in closed


def test_the_parents_runs_are_not_the_childs(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = Runs()
    runs.assign(Event.START, record())
    monkeypatch.setattr(os, "getpid", lambda: 1)
    assert runs.open_here() == []
    own = runs.assign(Event.START, record())
    assert runs.open_here() == [own]
