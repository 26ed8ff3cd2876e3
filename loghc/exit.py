"""The exit of a process: whether it has begun, and which sinks to stop then."""

from __future__ import annotations

import atexit
import contextlib
import gc
import sys
import threading
import weakref
from typing import Protocol

from loghc.fork import InChild, in_child
from loghc.handlers import handlers, sink_of

__all__ = ["interpreter_is_exiting", "sink_made", "stop_at_exit", "stopped"]


def interpreter_is_exiting() -> bool:
    """Whether the interpreter has begun to exit; true in every atexit callback.

    CPython marks its main thread as finished before it runs those callbacks, on that thread. Other
    threads may outlive it and go on working: what they do doesn't indicate an exit.
    """
    main = threading.main_thread()
    return not main.is_alive() and main.ident == threading.get_ident()


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
