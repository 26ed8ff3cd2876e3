"""Genuine threads, locks and waits, whatever gevent or eventlet patched, and whenever they did.

They replace threads with greenlets: a new "thread" is then a greenlet of the app's own thread, and
waiting there for a genuine lock or queue stops every greenlet. They patch modules, so this takes
what it needs from private copies of those modules.
"""

from __future__ import annotations

import _thread
import contextlib
import select
import sys

from loghc.clock import monotonic

TYPE_CHECKING = False  # typing takes longer to import than all of this
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any, TypeVar

    from typing_extensions import TypeVarTuple, Unpack

    _T = TypeVar("_T")
    _Ts = TypeVarTuple("_Ts")

__all__ = [
    "Bell",
    "Lock",
    "RLock",
    "close_event_loop",
    "get_ident",
    "holding",
    "is_green",
    "local",
    "poll",
    "sleep",
    "socket_class",
    "start_new_thread",
    "wait_with_greenlets",
]

_FIRST_PAUSE_S = 0.001  # between checks; each is twice as long as the last
_MAX_PAUSE_S = 0.05


def _copy_of(module: ModuleType) -> Any:
    """A private copy of a module written in C, as it is before anybody patches it.

    If there can't be another copy, as on PyPy, the module itself.
    """
    spec = module.__spec__
    try:
        assert spec is not None and spec.loader is not None  # noqa: S101, PT018 - for mypy
        copy = spec.loader.create_module(spec)
        assert copy is not None  # noqa: S101
        spec.loader.exec_module(copy)
    except Exception:  # noqa: BLE001 - each interpreter has its own reasons
        return module
    return copy


_genuine = _copy_of(_thread)

if TYPE_CHECKING:
    from _thread import allocate_lock as Lock  # noqa: N812
    from _thread import get_ident, start_new_thread
    from threading import RLock, local
else:
    Lock = _genuine.allocate_lock
    RLock = _genuine.RLock
    local = _genuine._local
    get_ident = _genuine.get_ident
    # Look it up as native.start_new_thread: tests replace it.
    start_new_thread = _genuine.start_new_thread

poll = getattr(_copy_of(select), "poll", None)
"""``select.poll``; None if the system has none."""


class Bell:
    """Wakes one waiting thread; if rung while nobody waits, it wakes the next one that does.

    Nothing can interrupt it half-way, so signal handlers and finalizers may ring it.
    """

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = Lock()
        self._lock.acquire()

    def ring(self) -> None:
        """Wake the waiting thread. Ringing twice is the same as once."""
        try:  # noqa: SIM105 - a third of the time, at every marker
            self._lock.release()
        except RuntimeError:  # it was rung, and nobody has waited since
            pass

    def wait(self, seconds: float) -> bool:
        """Wait for a ring.

        Args:
            seconds: to wait at most.

        Returns:
            Whether there was one.
        """
        return self._lock.acquire(timeout=min(max(0.0, seconds), _genuine.TIMEOUT_MAX))


def holding(lock: Any, action: Callable[[Unpack[_Ts]], _T], *args: Unpack[_Ts]) -> _T:
    """Call ``action(*args)`` while holding a lock; release it even if a signal handler raises.

    On CPython 3.14 ``with`` doesn't always release it: an exception between acquiring the lock and
    entering the block leaves it held forever.
    """
    if lock._is_owned():
        return action(*args)
    try:
        lock.acquire()
        return action(*args)
    finally:
        try:  # noqa: SIM105 - a call before the release could be interrupted
            lock.release()
        except RuntimeError:  # the exception came before it was taken
            pass


def sleep(seconds: float) -> None:
    """Wait on the calling thread, without letting its greenlets run meanwhile."""
    Bell().wait(seconds)


def wait_with_greenlets(done: Callable[[], bool], seconds: float) -> bool | None:
    """Wait until something is done while the app's other greenlets run; None without greenlets."""
    import time

    if not is_green(time.sleep):
        return None
    until, pause = monotonic() + seconds, _FIRST_PAUSE_S
    while not done():
        if monotonic() >= until:
            return False
        time.sleep(pause)
        pause = min(2 * pause, _MAX_PAUSE_S)
    return True


def is_green(thing: Any) -> bool:
    """Whether gevent or eventlet put this function or class in place of another."""
    module = getattr(thing, "__module__", None) or ""
    return module.partition(".")[0] in ("gevent", "eventlet")


def close_event_loop() -> None:
    """Close the event loop that was made for the calling thread's greenlets, if there is one.

    Only for loghc's own threads, when they finish, as nobody else would close it. The app's pool
    manager, or its functions, may have waited there.
    """
    gevent: Any = sys.modules.get("gevent._hub_local")
    eventlet: Any = sys.modules.get("eventlet.hubs")
    with contextlib.suppress(Exception):
        hub = gevent and gevent.get_hub_if_exists()
        if hub is not None:
            hub.destroy(destroy_loop=True)
    with contextlib.suppress(Exception):
        if eventlet:
            eventlet._threadlocal.hub.poll.close()


def socket_class() -> type[socket.socket]:
    """The genuine ``socket.socket``: a patched one needs an event loop on each thread."""
    import socket

    if not is_green(socket.socket):
        return socket.socket
    import _socket

    # The first that was derived: theirs come later, if they are derived from it at all.
    genuine: type[socket.socket] = _socket.socket.__subclasses__()[0]  # type: ignore[assignment]
    return genuine
