"""The guarded process's part: it starts the guard, and gives it the settings of its sinks.

All of that happens on a separate thread: neither the app nor a ping waits for it.
"""

from __future__ import annotations

import atexit
import os
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from loghc import native
from loghc.delivery.thread import ThreadOnDemand
from loghc.entry.processes import is_alive
from loghc.fork import InChild, in_child
from loghc.guard.channel import send
from loghc.guard.settings import environment, import_paths
from loghc.guard.spawning import known_python, spawn_detached
from loghc.report import Once

__all__ = ["Guard", "obstacle", "the_guard"]

_ALONE = "pid:[4026531836]"  # the namespace that the system begins with: PROC_PID_INIT_INO
_ANSWERS_WITHIN_S = 60.0  # on a machine that is very busy
_PAUSE_S = 0.05
_EXIT_GRACE_S = 0.5
_ADDRESS_BYTES = 16
_INSTEAD = "To learn how this process ends, use state= or loghc run."

_once = Once()


def obstacle(options: Mapping[str, Any]) -> str | None:
    """Why a sink in this process can't be guarded; None if it can.

    Args:
        options: the sink's.
    """
    if options["http"] is not None:
        return (
            "a PoolManager can't be passed to another process (HEALTH_CHECK_CA_FILE names "
            "certificates without one)"
        )
    if not hasattr(os, "pidfd_open"):
        return "no process can watch another one on this system (it has no pidfd)"
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        return "there is no /proc here"
    if namespace != _ALONE:
        return "this is a container, or another pid namespace, and a guard would die with it"
    if known_python() is None:
        return "this program isn't run by a Python of its own, but frozen or embedded"
    return None


def report_obstacle(why: str) -> None:
    """Report, once, that sinks aren't guarded."""
    _once.report("obstacle", f"guard=True has no effect: {why}. {_INSTEAD}")


class Guard:
    """The guard of this process. Any thread may call this."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Forget the guard: in a forked child it is the parent's."""
        self._messages: deque[dict[str, Any]] = deque()
        self._address = ""
        self._uid = -1  # the user that it belongs to
        self._pid: int | None = None  # None until it has answered
        self._is_exiting = False
        self._bell = native.Bell()
        self._thread = ThreadOnDemand(self._work, lambda: self._messages, self._at_rest)

    @property
    def is_there(self) -> bool:
        """Whether there is a guard, or one is being started."""
        if self._pid is not None:
            return is_alive(self._pid)
        return bool(self._address or self._messages)

    def watch(self, settings: dict[str, Any]) -> None:
        """Have a sink guarded, by a new guard if none is running. Returns at once.

        Args:
            settings: as ``Settings.of_sink`` gives them.
        """
        self._put({"watch": settings})

    def release(self, entry: str) -> None:
        """Stop guarding a sink: it was removed, and owes nothing."""
        self._put({"release": entry})

    def finish(self) -> None:
        """Finish the thread: the interpreter exits, and may abort if one is left behind.

        It does where nothing can be loaded any more (after ``chroot``, without descriptors).
        """
        self._is_exiting = True
        self._bell.ring()
        self._thread.end(_EXIT_GRACE_S)

    def _put(self, message: dict[str, Any]) -> None:
        if self._is_exiting:  # the guard will see this process's end, and what it owes
            return
        self._messages.append(message)
        if not self._thread.start():
            report_obstacle("no thread could be started")

    def _at_rest(self) -> None:
        self._thread.start()

    def _work(self) -> None:
        while self._messages:
            message = self._messages.popleft()
            try:
                if not self._send(message) and "watch" in message:
                    self._start(message)
            except (OSError, ImportError, NotImplementedError) as error:
                self._address = ""
                why = getattr(error, "strerror", None) or str(error)
                report_obstacle(f"no process can be started ({why})")

    def _start(self, message: dict[str, Any]) -> None:
        python = known_python()
        assert python is not None  # noqa: S101 - for mypy: `obstacle` has asked
        self._pid = None
        self._address, self._uid = os.urandom(_ADDRESS_BYTES).hex(), os.geteuid()
        about = {
            "pid": os.getpid(),
            "address": self._address,
            "paths": import_paths(),
            "environment": environment(),
        }
        spawn_detached(python, {**about, **message})
        if not self._send({}) and not self._is_exiting:
            self._address = ""
            report_obstacle("it was started, but doesn't answer")

    def _send(self, message: dict[str, Any]) -> bool:
        """Send a message to the guard; returns whether there is one that took it."""
        until = time.monotonic() + _ANSWERS_WITHIN_S
        while self._address:
            pid = send(self._address, self._uid, message)
            if pid is not None:
                self._pid = pid
                return True
            if not self.is_there or self._is_exiting or time.monotonic() > until:
                break
            self._bell.wait(_PAUSE_S)
        return False


the_guard = Guard()
in_child(InChild.THREADS, the_guard.renew)
atexit.register(the_guard.finish)
