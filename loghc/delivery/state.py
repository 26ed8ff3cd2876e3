"""State before history: which pings, of those that wait, are still worth sending.

A service that is away or slow can't be sent everything. What counts is its state once the queue is
empty: up or down, and which runs it considers started. A run counts as started until that run
succeeds, or any run fails. So a failure is never void, and neither is the success of a run whose
start the service may have received.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import NamedTuple

from loghc.delivery.queued import Queued
from loghc.ping import Event

__all__ = ["BY_IMPORTANCE", "FAILURES", "Sorted", "sort_out"]

BY_IMPORTANCE = (Event.START, Event.LOG, Event.SUCCESS, Event.FAIL)
"""Which pings, and which logs, make room first. Of two alike, the older one does."""

FAILURES = 32
"""Failures that are sent one by one: of more, the first and the newest. The rest are counted."""


class Sorted(NamedTuple):
    """What becomes of the waiting pings in trouble.

    Attributes:
        kept: to be sent, oldest first.
        void: superseded by others that wait, newest first.
        counted: failures that are counted in another one, oldest first; that one is ``kept``.
        counted_in: the failure that counts them; None if there are none.
    """

    kept: list[Queued]
    void: list[Queued]
    counted: list[Queued]
    counted_in: Queued | None


def sort_out(waiting: Iterable[Queued], started: Container[str], *, stopping: bool) -> Sorted:
    """Decide which waiting pings are still sent, in trouble. Their order never changes.

    Args:
        waiting: the pings, oldest first.
        started: the run ids for which a start was ever attempted.
        stopping: there is a deadline for sending.
    """
    pings = list(waiting)
    failures = [each for each in pings if each.ping.event is Event.FAIL]
    kept: list[Queued] = []
    void: list[Queued] = []
    ends: set[str] = set()  # of the runs whose ends are newer than the ping at hand
    for queued in reversed(pings):
        event, run_id = queued.ping.event, queued.ping.run_id
        if event is Event.LOG:
            is_void = stopping or bool(ends)
        elif event is Event.START:
            is_void = run_id in ends or (stopping and run_id not in started)
        elif event is Event.SUCCESS:
            # At a stop, a failure that waits closes every run that was started before it is sent.
            closed = run_id not in started or (stopping and bool(failures))
            is_void = closed and bool(ends)
        else:
            is_void = False
        (void if is_void else kept).append(queued)
        if event.ends_run:
            ends.add(run_id)
    kept.reverse()
    if len(failures) <= FAILURES:
        return Sorted(kept, void, [], None)
    counted = failures[1 : 1 - FAILURES]
    gone = set(counted)
    kept = [each for each in kept if each not in gone]
    return Sorted(kept, void, counted, failures[1 - FAILURES])
