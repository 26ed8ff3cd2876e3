"""The guard's own process: it waits for the other one to end, and sends what that owes."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Mapping
from typing import Any

from loghc.death.memory import Memory
from loghc.death.verdict import judge, status_of
from loghc.death.wait_status import wait_status
from loghc.guard.channel import Listener
from loghc.guard.sending import GuardedSink
from loghc.guard.settings import Settings
from loghc.guard.spawning import PIDFD
from loghc.log.secrets import SECRETS
from loghc.service.client import import_what_sends

__all__ = ["main"]

_NAME = b"loghc-guard"  # `pkill python` spares it
_UNKNOWN = "the process is gone, and the kernel doesn't say how it ended"


def main(message: Mapping[str, Any]) -> None:
    """Guard the process of ``PIDFD`` until it has ended, and what it owed is sent.

    Args:
        message: the first one; later ones come through the channel.
    """
    try:
        _detach(message["pidfd"])
        memory = Memory(message["pid"])  # first: from here on it counts
        os.environ.update(message["environment"])
        # Imported before it is needed: by then a deployment may have replaced these files, a
        # machine without memory may be unable to read them, and others may be able to write them.
        import_what_sends()
        assert SECRETS  # noqa: S101
        _Guard(message["pid"], memory, message["address"], message["watch"]).run()
    finally:
        os._exit(0)  # whatever threads are left


def _detach(pidfd: int) -> None:
    """Let go of everything of the program that started this, except its pidfd."""
    with contextlib.suppress(OSError):
        os.setsid()
    os.chdir("/")
    os.umask(0o077)
    os.dup2(pidfd, PIDFD)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(nothing, number)
    for number in sorted(map(int, os.listdir("/proc/self/fd"))):
        if number > 2 and number != PIDFD:
            with contextlib.suppress(OSError):
                os.close(number)
    for number in signal.valid_signals():
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)
    # When a service is stopped, the first three reach all of its processes, and the ends are sent
    # after that. Any Python ignores the others.
    for number in (
        *(signal.SIGTERM, signal.SIGHUP, signal.SIGINT),
        *(signal.SIGPIPE, signal.SIGXFSZ),
    ):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    with contextlib.suppress(OSError), open("/proc/self/comm", "wb") as file:
        file.write(_NAME)


class _Guard:
    """Guards one process.

    Args:
        pid: its id.
        memory: counts what is killed for lack of memory.
        address: the name of the socket for later messages.
        first: its first sink's settings.
    """

    def __init__(self, pid: int, memory: Memory, address: str, first: Mapping[str, Any]) -> None:
        self._pid = pid
        self._sinks: dict[str, GuardedSink | None] = {}  # by entry; None: that is gone already
        self._memory = memory
        self._watch(first)
        self._listener = Listener(address, pid)

    def run(self) -> None:
        """Wait, without using the processor, and send the ends."""
        poll = select.poll()
        poll.register(PIDFD, select.POLLIN)
        poll.register(self._listener, select.POLLIN)
        kills = self._memory.notifier()
        if kills is not None:
            poll.register(kills, select.POLLPRI)
        while self._sinks:
            ready = [descriptor for descriptor, _ in poll.poll()]
            if PIDFD in ready:
                self._send_ends()
                return
            if kills is not None and kills in ready:
                self._memory.sample()
                try:
                    os.pread(kills, 1, 0)
                except OSError:  # the group is gone
                    poll.unregister(kills)
            if self._listener.fileno() in ready:
                with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                    self._listener.receive(self._take)

    def _take(self, message: Mapping[str, Any]) -> None:
        if "watch" in message:
            self._watch(message["watch"])
        sink = self._sinks.pop(message.get("release", ""), None)
        if sink is not None:
            sink.release()

    def _watch(self, values: Mapping[str, Any]) -> None:
        if values["entry"] in self._sinks:  # an answer came too late, so it was sent again
            return
        try:
            sink = GuardedSink(Settings(values))
        except OSError:  # the sink was removed meanwhile and owes nothing: a release follows
            sink = None
        self._sinks[values["entry"]] = sink

    def _send_ends(self) -> None:
        died = time.time()
        facts = {"died": str(died), "death": _UNKNOWN}
        status = wait_status(PIDFD, self._pid)
        if status is not None:
            exit_status = status_of(status)
            verdict = judge(status, {}, about_kill=self._memory.about_kill())
            facts |= {"death": verdict.death or "exit status 0, in this run"}
            facts |= {"exit_status": str(exit_status)} if exit_status else {}
        queued = []
        for sink in filter(None, self._sinks.values()):
            with contextlib.suppress(OSError, KeyError):  # it owed nothing, and its entry is gone
                sink.queue_ends(facts)
                queued.append(sink)
        for sink in queued:
            sink.deliver()
