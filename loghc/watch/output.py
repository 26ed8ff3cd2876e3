"""Passes on what the program prints, unchanged, and keeps the end of it for the log."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import math
import os
import select
import threading
from collections.abc import Callable, Collection

from loghc.report import Once
from loghc.watch.drain import GIVE_UP, fork_drain, pass_on

__all__ = ["Output"]

_STREAMS = {1: "standard output", 2: "standard error"}
_READ_BYTES = 65_536  # at a time: as much as a pipe holds
_MAX_PIPE_BYTES = 2**20  # the most that it can hold if somebody enlarged it
_FIRST_DESCRIPTOR = 10  # for pipes, out of the way of the standard streams

Keep = Callable[[memoryview, int], object]


class Output:
    """Pipes in place of standard output and standard error.

    A stream that is a terminal stays one, and is not recorded. Two streams with the same
    destination share a pipe, so that what is printed stays in order.

    Args:
        closed: the standard streams that loghc, and therefore the program, was started without.

    Attributes:
        terminals: the names of the streams that stay terminals.
        trouble: why the program keeps its own streams instead of pipes; empty if it has pipes.

    Raises:
        OSError: there are too few descriptors.
    """

    def __init__(self, closed: Collection[int]) -> None:
        self.terminals: list[str] = []
        self.trouble = ""
        self._opened: list[int] = []
        self._streams: dict[int, int] = {}  # the program's streams, and the pipe ends for them
        self._pumps: list[_Pump] = []
        try:
            self._stopping, self._stop = self._pipe()
            self._allowed, self._allow = self._pipe()
            self._take_over(closed)
        except OSError:
            for descriptor in self._opened:
                os.close(descriptor)
            raise

    def _take_over(self, closed: Collection[int]) -> None:
        places: dict[tuple[int, int], int] = {}
        for descriptor, name in _STREAMS.items():
            if descriptor in closed:
                continue
            if os.isatty(descriptor):
                self.terminals.append(name)
                continue
            status = os.fstat(descriptor)
            place = (status.st_dev, status.st_ino)
            if place not in places:
                reading, places[place] = self._pipe()
                self._pumps.append(_Pump(reading, descriptor, self._stopping, self._pipe()))
            self._streams[descriptor] = places[place]

    def _pipe(self) -> tuple[int, int]:
        ends = os.pipe()
        try:
            for end in ends:
                self._opened.append(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _FIRST_DESCRIPTOR))
        finally:
            for end in ends:
                os.close(end)
        return self._opened[-2], self._opened[-1]

    def prepare(self) -> None:
        """Give the forked and waiting program the pipes, if something will empty them.

        This can't be done earlier, because a process with threads can't be forked safely, or later,
        because a program whose pipes nobody empties hangs.
        """
        try:
            for pump in self._pumps:
                pump.fork_drain()
            for pump in self._pumps:
                pump.prepare()
            os.write(self._allow, b"x")
        except (RuntimeError, MemoryError):
            self.trouble = "no thread could be started"
            self.start(_drop)
        except OSError:
            self.trouble = "no process could be started"
            self.start(_drop)
        os.close(self._allow)

    def redirect(self) -> None:
        """Wait, then use the pipes if that is allowed. Called in the child, before exec."""
        os.close(self._allow)
        if os.read(self._allowed, 1):
            for target, source in self._streams.items():
                os.dup2(source, target)

    def start(self, keep: Keep) -> None:
        """Begin to pass output on, once the program has been started.

        Args:
            keep: called with each piece of output, and its stream. Once it raises MemoryError, it
                isn't called for that stream any more.
        """
        for descriptor in set(self._streams.values()):
            os.close(descriptor)
        for pump in self._pumps:
            pump.start(keep)

    def finish(self) -> None:
        """Take what is left in the pipes when the program has ended, but don't wait for more.

        The drains serve processes that still hold the pipes.
        """
        os.write(self._stop, b"x")  # which stays in the pipe, so that all pumps see it

    def wait(self, seconds: float | None) -> bool:
        """Wait until everything is kept and passed on; returns whether it is.

        Args:
            seconds: the most to wait for each pipe; None: no limit.
        """
        return all(pump.wait(seconds) for pump in self._pumps)


class _Pump:
    """One pipe, the thread that empties it into a stream, and the drain that takes over later."""

    def __init__(self, reading: int, into: int, stopping: int, control: tuple[int, int]) -> None:
        self._reading = reading
        self._into = into
        self._stopping = stopping
        self._waiting, self._control = control
        self._once = Once()
        self._keep: Keep = _drop
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loghc-output", daemon=True)

    def fork_drain(self) -> None:
        fork_drain(self._reading, self._into, self._waiting)

    def prepare(self) -> None:
        os.close(self._waiting)
        # Allocated once: there may be no memory left later.
        self._room = memoryview(bytearray(_READ_BYTES))
        os.set_blocking(self._reading, False)
        self._thread.start()

    def start(self, keep: Keep) -> None:
        self._keep = keep
        self._started.set()

    def wait(self, seconds: float | None) -> bool:
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        self._started.wait()
        poll = select.poll()
        poll.register(self._reading, select.POLLIN)
        poll.register(self._stopping, select.POLLIN)
        left = math.inf  # bytes still to be passed on
        while left > 0:
            stopping = self._stopping in dict(poll.poll())
            if stopping and left == math.inf:
                left = _MAX_PIPE_BYTES  # what comes after them is no longer the program's
            try:
                data = self._room[: os.readv(self._reading, [self._room])]
            except BlockingIOError:
                if stopping:
                    break
                continue
            if not data:
                break
            left -= len(data)
            try:
                self._keep(data, self._into)
            except MemoryError:  # this costs the log, but must not stop the program
                self._keep = _drop
                self._say("is not in the log: there was no memory for it")
            if not self._pass_on(data):
                os.write(self._control, GIVE_UP)
                break
        # A program that keeps printing although nobody reads gets an error or SIGPIPE. Otherwise
        # the drain continues from here.
        os.close(self._reading)
        os.close(self._control)

    def _pass_on(self, view: memoryview) -> bool:
        """Write all of it; False if nobody reads it any more."""
        try:
            pass_on(view, self._into)
        except OSError as error:
            if error.errno == errno.EPIPE:
                return False
            # A full disk, for example. The program would get an error itself, and usually continue.
            self._say(f"is lost, it can't be written: {error.strerror}")
        return True

    def _say(self, what: str) -> None:
        """Report once what happens to output that can't be handled normally."""
        with contextlib.suppress(MemoryError):
            self._once.report(what, f"some {_STREAMS[self._into]} {what}.")


def _drop(_data: memoryview, _stream: int) -> None:
    pass
