"""Everything that loghc does around a fork, in one place.

Before a fork, on the thread that forks:

1. It waits for any late import of loghc's that is in progress (urllib3, the rules for secrets): a
   child forked meanwhile would wait forever for an import whose thread it doesn't have. Python
   calls the hook that was registered last first. So `prepare` registers this one as early as it
   can, but after logging's, which takes a lock that the import may need.

In the child, before the program's own code continues, in the order of `InChild`. Each step may use
only what the steps before it have restored:

1. The import lock is released: from now on anything may be imported.
2. REPORT: lines that wait for a reader of standard error are the parent's, and are dropped. After
   that, the other steps may report.
3. THREADS: threads at work are forgotten, as the child has none of them.
4. SINKS: each sink gets new locks, and a delivery with nothing to send and no thread. It comes
   last, as it may start threads and report.

The recorder in a watched program (``loghc/inside``) shares no module with this, and has a hook of
its own, which leaves its ring to the parent.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from functools import cache

from loghc import native

TYPE_CHECKING = False  # typing takes longer to import than all of this
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["InChild", "importing", "in_child", "prepare", "waiting_for_pings"]

_WAIT_INTERVAL_S = 0.1  # between checks whether a fork may be waiting for this import

_import_lock = native.Lock()
_held_for_fork: list[int] = []  # the process that forks, while it holds the lock
_waiting: list[object] = []


class InChild:
    """When a function is called in a child: lower numbers first."""

    REPORT = 0  # no test can tell it from 1: its module is imported before those with threads
    THREADS = 1
    SINKS = 2


_steps: tuple[list[Callable[[], object]], ...] = ([], [], [])


def in_child(step: int, function: Callable[[], object]) -> None:
    """Call a function in each child that is forked from now on.

    Args:
        step: when, one of `InChild`.
        function: must not wait for anything. If it raises, the others are called all the same.
    """
    _steps[step].append(function)


@cache
def prepare() -> None:
    """Make forks wait for late imports from now on."""
    import logging  # noqa: F401 - not at the top: `loghc run` starts a program before it needs it

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_before, after_in_parent=_after_in_parent)


@contextmanager
def importing() -> Iterator[None]:
    """A block in which one of loghc's threads imports something. Forks wait until it is over."""
    prepare()
    locked = False
    # A fork may hold the lock and wait for one of loguru's, which is held while a sink is removed,
    # and so until the ping that needs this import is sent. Then no child can come before that.
    while not locked and not (_waiting and _import_lock.locked()):
        locked = _import_lock.acquire(timeout=_WAIT_INTERVAL_S)
    try:
        yield
    finally:
        if locked:
            _import_lock.release()


@contextmanager
def waiting_for_pings() -> Iterator[None]:
    """A block in which a sink that is being removed waits for its pings."""
    this = object()
    _waiting.append(this)
    try:
        yield
    finally:
        with suppress(ValueError):  # in a child that was forked in here
            _waiting.remove(this)


def _before() -> None:
    _import_lock.acquire()
    _held_for_fork.append(os.getpid())


def _after_in_parent() -> None:
    _held_for_fork.clear()
    _import_lock.release()


def _after_in_child() -> None:
    if _held_for_fork:
        _after_in_parent()
    _waiting.clear()
    errors = []
    for step in _steps:
        for function in step:
            try:
                function()
            except Exception as error:  # noqa: BLE001, PERF203 - the rest has to be mended, too
                errors.append(error)
    if errors:
        raise errors[0]  # Python prints it and continues


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_in_child)
