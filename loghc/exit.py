"""The exit of a process, as far as it matters to a sink: when it is, a crash, a wait for pings."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import gc
import itertools
import sys
import threading
import weakref
from collections.abc import Callable, Generator
from typing import Any, Protocol

from loghc.clock import monotonic
from loghc.fork import InChild, in_child
from loghc.handlers import handlers, sink_of

__all__ = [
    "Completion",
    "CrashWatch",
    "interpreter_is_exiting",
    "sink_made",
    "stop_at_exit",
    "stopped",
    "uncaught_exception",
]

_FIRST_PAUSE_S = 0.001  # between checks of the queue; each is twice as long as the last
_MAX_PAUSE_S = 0.05
_MAX_SUCCESSES = 1000  # that a crash may take back
_MAX_CHAINED = 100  # exceptions of one chain
_NUMBER = "_loghc_number"

_numbers = itertools.count()


def interpreter_is_exiting() -> bool:
    """Whether the interpreter has begun to exit; true in every atexit callback.

    CPython marks its main thread as finished before it runs those callbacks, on that thread. Other
    threads may outlive it and go on working: what they do doesn't indicate an exit.
    """
    main = threading.main_thread()
    return not main.is_alive() and main.ident == threading.get_ident()


def uncaught_exception() -> BaseException | None:
    """The exception that ends the program, if one does.

    CPython stores it, for debuggers, before it prints it: the app's hooks can't get in the way. In
    a multiprocessing child it is still being handled while the child cleans up; from Python 3.13
    on it is gone by then, and None is returned. At an interactive prompt the stored exception may
    be an hour old, and has ended nothing.
    """
    handled = sys.exc_info()[1]
    if handled is not None or sys.flags.interactive or hasattr(sys, "ps1"):
        return handled
    kept: BaseException | None = getattr(sys, "last_value", None)
    return getattr(sys, "last_exc", kept)  # since 3.12


class CrashWatch:
    """Knows which successes the crash of the program takes back.

    A success doesn't count if it is logged while the exception that then ends the program is
    propagating (in a ``finally``), or by another thread after the main thread has crashed.
    """

    def __init__(self) -> None:
        self._begun: dict[str, int] = {}  # runs that began while an exception propagated
        self._successes: list[tuple[str, int | None]] = []  # run id, and which exception propagated

    def start(self, run_id: str) -> None:
        """A run begins in the calling thread."""
        propagating = sys.exc_info()[1]
        if propagating is not None:  # the run is about cleaning up after it
            self._begun[run_id] = _number(propagating)
            if len(self._begun) > _MAX_SUCCESSES:
                del self._begun[next(iter(self._begun))]

    def success(self, run_id: str, thread: int) -> None:
        """A success was logged.

        Args:
            run_id: its run.
            thread: that logged it. With loguru's queue in between, it isn't the calling thread.
        """
        main, here = threading.main_thread(), thread == threading.get_ident()
        propagating = sys.exc_info()[1] if here else None
        # What the main thread logged before it crashed may arrive through the queue later.
        late = not main.is_alive() and (here or thread != main.ident)
        number = None if propagating is None else _number(propagating)
        begun = self._begun.pop(run_id, None)
        if late or (number is not None and number != begun):
            self._successes.append((run_id, None if late else number))
            del self._successes[:-_MAX_SUCCESSES]

    def take_back(self, error: BaseException | None) -> list[str]:
        """The runs whose success is taken back by the exception that ends the program, once."""
        successes, self._successes = self._successes, []
        if error is None:
            return []
        its_own = {each.__dict__.get(_NUMBER) for each in _chain(error)}
        return [run_id for run_id, number in successes if number is None or number in its_own]


def _number(error: BaseException) -> int:
    """A number, stored with the exception, that identifies it.

    Holding the exception itself would keep everything that its frames refer to alive, and its
    ``id()`` is soon reused.
    """
    return int(error.__dict__.setdefault(_NUMBER, next(_numbers)))


def _chain(error: BaseException) -> list[BaseException]:
    """An exception, those that it was raised from or while handling, and those of a group."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting and len(found) < _MAX_CHAINED:
        each = waiting.pop()
        if each is not None and all(each is not other for other in found):
            found.append(each)
            waiting += [each.__cause__, each.__context__, *_members(each)]
    return found


def _members(error: BaseException) -> list[BaseException]:
    """The exceptions of a group. Before Python 3.11 the class comes from a package."""
    members = getattr(error, "exceptions", ())
    of_a_group = isinstance(members, tuple) and all(isinstance(e, BaseException) for e in members)
    return list(members) if of_a_group else []


class _Sink(Protocol):
    def _stop(self, *, exiting: bool) -> None: ...


_sinks: weakref.WeakSet[_Sink] = weakref.WeakSet()  # that were not stopped
_unstopped: set[_Sink] = set()  # those of them that got a marker

in_child(InChild.THREADS, _unstopped.clear)


def sink_made(sink: _Sink) -> None:
    """A sink was made. With ``enqueue=True`` its first marker may come only at the exit."""
    _sinks.add(sink)


def stop_at_exit(sink: _Sink) -> None:
    """Stop a sink that got a marker when this process exits, unless it is stopped before.

    loguru's own atexit callback only stops the sinks of its global logger: not those of a copied
    logger, and none in a multiprocessing child, which exits without atexit callbacks.
    """
    if sink in _unstopped:
        return
    _sinks.add(sink)
    _unstopped.add(sink)
    process = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None:
        from multiprocessing.util import Finalize

        Finalize(None, _stop_all, exitpriority=0)  # no test can tell: any from 0 on will do


def stopped(sink: _Sink) -> None:
    """A sink was stopped: the exit can ignore it until its next marker."""
    _sinks.discard(sink)
    _unstopped.discard(sink)


def _stop_all() -> None:
    for sink in tuple(_unstopped):
        sink._stop(exiting=True)


# Registered on import, so that callbacks which the app registers later, and what they log, come
# first.
@atexit.register
def _stop_sinks_of_copied_loggers() -> None:
    """At the exit: stop the sinks that loguru's own callback doesn't know of.

    It stops their handlers if it can find them: with ``enqueue=True`` the last marker may still be
    in a handler's queue, which the handler empties before it stops its sink.
    """
    left = {each for each in tuple(_sinks) if not any(each is sink_of(one) for one in handlers())}
    if not left:
        return
    kind = getattr(sys.modules.get("loguru._handler"), "Handler", None)
    for each in gc.get_objects():
        if type(each) is kind and any(sink_of(each) is sink for sink in left):
            with contextlib.suppress(Exception):
                each.stop()
    for sink in left & _unstopped:
        sink._stop(exiting=True)


class Completion:
    """A sink's ``complete`` method, as loguru expects it: called, then perhaps awaited.

    loguru calls it in every ``logger.complete()``, even in synchronous code that awaits nothing. A
    coroutine made then would warn that it was never awaited; this makes one only when awaited.

    Args:
        done: whether every ping has an outcome by now. Returns at once.
        seconds: to wait at most.
    """

    def __init__(self, done: Callable[[], bool], seconds: float) -> None:
        self._done = done
        self._seconds = seconds

    def __call__(self) -> Completion:
        """Do nothing yet."""
        return self

    def __await__(self) -> Generator[Any, None, None]:
        return self._wait().__await__()

    async def _wait(self) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:  # another library's event loop: nothing to wait with works in all
            return
        deadline = monotonic() + self._seconds
        pause = _FIRST_PAUSE_S
        while not self._done() and monotonic() < deadline:
            await asyncio.sleep(pause)
            pause = min(2 * pause, _MAX_PAUSE_S)

    # loguru awaits whatever inspect.iscoroutinefunction() accepts: any callable that has a
    # function's attributes, and a coroutine function's code.
    __name__ = "complete"
    __code__ = _wait.__code__
    __defaults__ = None
    __kwdefaults__ = None
    __annotations__: dict[str, Any] = {}
