"""A thread that lives while there is something to do, one at a time."""

from __future__ import annotations

import atexit
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from loghc import native
from loghc.clock import monotonic
from loghc.delivery.signals import block_signals, set_blocked_signals
from loghc.fork import InChild, in_child

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet
    from types import FrameType

__all__ = ["ThreadOnDemand"]

_WORKING = "working"
_START_GRACE_S = 0.5  # at the exit, for a thread to begin

_here = native.local()  # on our threads: the signals that the app's thread had blocked
_beginning: set[object] = set()  # a token for each of our threads that has yet to begin
in_child(InChild.THREADS, _beginning.clear)


@atexit.register
def _wait_for_beginning_threads() -> None:
    """At the exit: nobody else knows of a sink that was removed before."""
    _wait_while(lambda: _beginning, _START_GRACE_S)


class ThreadOnDemand:
    """Does work on a daemon thread of its own, which finishes when there is none left.

    All hand-overs happen on that thread, where no signal handler runs: an exception raised by one
    in the middle of ``start`` can at worst leave the thread unstarted until the next call.

    Args:
        work: does what there is to do; must not raise.
        any_work: whether there is something to do.
        idle: called each time the work is done.
        calls_app: whether the work calls the app's functions. Their thread, and any process that
            they start, takes the signals that the app's threads take. Any other thread takes none.
    """

    def __init__(
        self,
        work: Callable[[], None],
        any_work: Callable[[], object],
        idle: Callable[[], None],
        *,
        calls_app: bool = False,
    ) -> None:
        self._work = work
        self._calls_app = calls_app
        self._any_work = any_work
        self._idle = idle
        # The thread at work: one dict operation takes the place, and one gives it back.
        self._holder: dict[str, int] = {}
        self._started: set[int] = set()

    @property
    def at_work(self) -> bool:
        """Whether a thread is at work."""
        return bool(self._holder)

    @property
    def is_current(self) -> bool:
        """Whether the calling thread is the one at work."""
        return self._holder.get(_WORKING) == native.get_ident()

    def start(self) -> bool:
        """Make sure that a thread does the work; False if none can be started."""
        if self._holder or not self._any_work():
            return True
        token = object()
        _beginning.add(token)
        try:
            # Not threading.Thread: its start() waits until the thread runs, for as long as that
            # keeps the interpreter's lock, and a signal meanwhile leaves it half registered.
            blocked_by_app = getattr(_here, "blocked_by_app", None)
            native.start_new_thread(self._run, (token, native.get_ident(), blocked_by_app))
        except BaseException as error:
            _beginning.discard(token)
            if isinstance(error, RuntimeError):  # none at the exit of Python 3.12, or none left
                return False
            raise
        return True

    def begins(self, seconds: float) -> bool:
        """Whether a thread that was started gets to work within this many seconds."""
        _wait_while(lambda: not self._holder, seconds)
        return bool(self._holder)

    def run_here(self, work: Callable[[], None]) -> None:
        """Do work on the calling thread, unless another thread is at work."""
        own = native.get_ident()
        try:
            if self._holder.setdefault(_WORKING, own) == own:
                work()
        finally:
            if self.is_current:
                del self._holder[_WORKING]
                self._idle()

    def end(self, seconds: float) -> None:
        """Wait until no thread of this is left: neither beginning nor about to finish.

        Before Python 3.12 the interpreter can crash at its exit if a thread begins or finishes
        meanwhile. Python 3.10 did under load, with ``PYTHONDEVMODE=1``, which overwrites freed
        memory.

        Args:
            seconds: to wait at most.
        """
        own = native.get_ident()
        _wait_while(lambda: _beginning or self._left() - {own}, seconds)

    def _left(self) -> set[int]:
        """The threads of this that still exist."""
        # Only the interpreter knows, as a thread does its last steps in C. An identifier may by now
        # be that of another thread, which began elsewhere.
        return {
            ident
            for ident, frame in sys._current_frames().items()
            if ident in self._started and _outermost(frame).f_code is self._run.__code__
        }

    def _run(self, token: object, starter: int, blocked_by_app: AbstractSet[int] | None) -> None:
        own = native.get_ident()
        self._started.add(own)
        if own == starter:
            pass  # a greenlet of the app's thread, whose signals are the app's
        elif not self._calls_app:
            blocked = block_signals()
            _here.blocked_by_app = blocked if blocked_by_app is None else blocked_by_app
        elif blocked_by_app is not None:
            set_blocked_signals(blocked_by_app)
        _beginning.discard(token)
        while self._any_work():
            self.run_here(self._work)
            if self._holder:
                break  # another thread is at work, and looks again when it is done
        if own != starter:
            native.close_event_loop()


def _wait_while(condition: Callable[[], object], seconds: float) -> None:
    """Wait while a condition holds, for at most ``seconds``."""
    until = monotonic() + seconds
    while condition() and monotonic() < until:
        native.sleep(0.001)


def _outermost(frame: FrameType) -> FrameType:
    while frame.f_back is not None:
        frame = frame.f_back
    return frame
