"""At the interpreter's exit, all deliveries of the process share one deadline."""

from __future__ import annotations

import contextlib
import weakref
from typing import TYPE_CHECKING

from loghc.deadline import Deadline
from loghc.fork import InChild, in_child

if TYPE_CHECKING:
    from loghc.delivery import Delivery

__all__ = ["deliveries", "exit_deadline", "register"]

_MIN_STOP_S = 0.5  # each delivery has at least this, for pings that are queued as it stops

_deliveries: weakref.WeakSet[Delivery] = weakref.WeakSet()
_begun: list[Deadline] = []  # one item once the first delivery is stopped at the exit

in_child(InChild.THREADS, _begun.clear)


def register(delivery: Delivery) -> None:
    """Add a delivery to those of the process, for as long as it exists."""
    _deliveries.add(delivery)


def deliveries() -> list[Delivery]:
    """All deliveries of the process."""
    while True:
        with contextlib.suppress(RuntimeError):  # another thread makes one
            return list(_deliveries)


def exit_deadline(seconds: float) -> Deadline:
    """The deadline of a delivery that is stopped at the exit: the first one's, for all of them.

    From the first stop on, all deliveries know it, and shorten what they are doing.

    Args:
        seconds: how long this one may take.
    """
    if not _begun:
        everyone = deliveries()
        _begun.append(Deadline(max([seconds, *(each.drain for each in everyone)])))
        for each in everyone:
            each.hurry(_begun[0])
    left = _begun[0].seconds
    least = min(seconds, _MIN_STOP_S)
    return _begun[0] if left >= least else Deadline(least)
