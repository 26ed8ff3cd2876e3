"""Late imports, and the forks that have to wait for them."""

from __future__ import annotations

import logging  # noqa: F401 - see below
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from loghc import native

__all__ = ["importing", "waiting_for_pings"]

_LOOK_INTERVAL = 0.1  # seconds between two looks at whether a fork may be waiting for this import

_lock = native.Lock()
_waiting: list[object] = []


@contextmanager
def importing() -> Iterator[None]:
    """A block in which a thread of loghc's imports something.

    A child that is forked meanwhile would wait for ever for the end of an import whose thread it
    doesn't have: so forking waits instead.
    """
    locked = False
    # A fork may have the lock and wait for one of loguru's, which is held while a sink is removed,
    # and so until the ping is sent that needs this import. Then there is no child before that.
    while not locked and not (_waiting and _lock.locked()):
        locked = _lock.acquire(timeout=_LOOK_INTERVAL)
    try:
        yield
    finally:
        if locked:
            _lock.release()


@contextmanager
def waiting_for_pings() -> Iterator[None]:
    """A block in which a sink that is removed waits for its pings."""
    this = object()
    _waiting.append(this)
    try:
        yield
    finally:
        with suppress(ValueError):  # in a child that was forked in here
            _waiting.remove(this)


def _begin_in_child() -> None:
    _waiting.clear()
    _lock.release()


# What was registered last is called first. logging has to come after: it takes a lock of its own
# before a fork, without which what sends pings can't be imported.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_begin_in_child
    )
