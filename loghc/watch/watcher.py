"""Watches one program from its start to its end, and has the pings sent."""

from __future__ import annotations

import contextlib
import functools
import os
import select
import signal
import sys
import time

from loghc.watch import child, signals
from loghc.watch.command import Command
from loghc.watch.options import Options
from loghc.watch.run_directory import RunDirectory
from loghc.watch.starting import BOOTSTRAP, Started, start_program

TYPE_CHECKING = False  # typing takes longer to import than the program to start
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn, ParamSpec, TypeVar

    from loghc.watch.output import Output
    from loghc.watch.unseen import Pythons
    from loghc.watch.watched_run import WatchedRun

    _P = ParamSpec("_P")
    _T = TypeVar("_T")

__all__ = ["watch"]

_STOPS = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)  # the terminal's stop signals
_TERMINATING_SIGNALS = (
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGALRM,
    signal.SIGABRT,
)
# Signals that don't end a program that has no handler for them
_HARMLESS = (signal.SIGCONT, signal.SIGTSTP, signal.SIGWINCH, signal.SIGURG)
_DUPLICATE_SIGNAL_WINDOW_S = 1.0  # the signal that killed the program may be sent here as well
_OUTPUT_WAIT_S = 1.0  # how long the last ping waits for the program's output
_LOOK_EVERY_MS = 1000  # for what doesn't wake the watcher: rings, and processes on some systems


def watch(options: Options, command: Command) -> NoReturn:
    """Start a command, watch it to its end, have the pings sent, and exit as it did."""
    started = start_program(options, command)
    pythons = _look_for_pythons(started)
    examine_end = functools.partial(pythons.examine_end, started.pid, command.argv)
    watcher = _Watcher(started.pid, started.run, examine_end)
    watcher.signals.start()
    watched = _safely(_watched_run, options, command, started, pythons)
    output = started.output
    if started.error is not None:
        output = None
        status = started.error.status << 8
        if watched is not None:
            _safely(watched.cannot_start, started.error)
    else:
        if output is not None:
            _safely(_report_terminals, output)
            output.start(watched.keep_output if watched is not None else lambda *_: None)
        if watched is not None:
            _safely(watched.begin)
        status = watcher.until_end(watched)
        if output is not None:
            output.finish()
            output.wait(_OUTPUT_WAIT_S)
        if watched is not None:
            _safely(watched.end, started.pid, status)
    if watched is not None:
        watcher.signals.call(watcher.interrupting(watched, status))
        _safely(watched.deliver)
    while output is not None and not watcher.interrupted and not output.wait(_OUTPUT_WAIT_S):
        pass  # for as long as it takes, as the program itself would have waited
    if watched is not None:
        _safely(watched.close)
    _flush()
    child.end_like(status)


def _look_for_pythons(started: Started) -> Pythons:
    from loghc.watch.unseen import Pythons  # not before the program has been started

    pythons = Pythons(BOOTSTRAP, started.run.path if started.run is not None else "")
    if started.run is not None and started.error is None:
        pythons.start(started.pid)
    return pythons


def _watched_run(
    options: Options, command: Command, started: Started, pythons: Pythons
) -> WatchedRun:
    from loghc.watch.watched_run import WatchedRun

    run, pid, error_file = started.run, started.pid, started.error_file
    return WatchedRun(options, command, run, started.trouble, pythons, pid, error_file)


def _report_terminals(output: Output) -> None:
    from loghc.watch.notices import report_terminals

    report_terminals(output.terminals)


def _safely(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T | None:
    """Call a function; a bug in it must keep loghc neither from watching nor from exiting."""
    try:
        return function(*args, **kwargs)
    except Exception:  # noqa: BLE001
        from loghc.report import report_exception

        report_exception("a ping of the run could not be made, please report this:")
        return None


class _Watcher:
    """Waits: for signals, for messages, and for the program's end.

    Attributes:
        signals: those that arrived.
        interrupted: a signal ended the wait for the last ping.
    """

    def __init__(
        self, pid: int, run: RunDirectory | None, examine_end: Callable[[], object]
    ) -> None:
        self._pid = pid
        self._examine_end = examine_end
        self._run = run
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._wake, False)
        self._status: int | None = None
        self._forwarded = 0  # the last signal that was forwarded
        self._held: list[signals.Caught] = []  # to be forwarded
        # Signals that some of their receivers could not act on, and all their receivers. The rest
        # of the program gets these signals as well.
        self._untaken: dict[int, set[int]] = {}
        self.signals = signals.Signals(self._wake_up)
        self.interrupted = False

    def until_end(self, watched: WatchedRun | None) -> int:
        """Handle whatever comes until the program has ended; returns its wait status."""
        poll = select.poll()
        poll.register(self._woken, select.POLLIN)
        if self._run is not None:
            poll.register(self._run.channel, select.POLLIN)
        while self._status is None:
            self._take_signals()
            more = watched is not None and _safely(watched.take_messages)
            if self._status is None:
                poll.poll(0 if more else self._pause)
        while watched is not None and (living := _safely(watched.waited_for)):
            self._until_all_ended(living, poll, watched)
        return self._status

    def _until_all_ended(self, living: list[int], poll: select.poll, watched: WatchedRun) -> None:
        """Handle whatever comes until all of these processes have ended."""
        from loghc.watch.processes import ends_of

        for number, got in list(self._untaken.items()):
            self._send(number, [pid for pid in living if pid not in got])
        ends = ends_of(living)
        for descriptor in ends:
            poll.register(descriptor, select.POLLIN)
        while True:
            self._take_signals(living)
            more = _safely(watched.take_messages)
            ready = poll.poll(0 if more else self._pause)
            for descriptor, _ in ready:
                if ends.pop(descriptor, None) is not None:
                    poll.unregister(descriptor)
                    os.close(descriptor)
            if not ends:
                return

    @property
    def _pause(self) -> int:
        """The most milliseconds to wait for something that wakes the watcher."""
        pause = self.signals.pause
        return _LOOK_EVERY_MS if pause is None else min(pause, _LOOK_EVERY_MS)

    def interrupting(self, watched: WatchedRun, status: int) -> Callable[[signals.Caught], None]:
        """What to do with a signal while the last ping is delivered."""
        ended = time.monotonic()
        died_of = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0

        def interrupt(caught: signals.Caught) -> None:
            if caught.number == signal.SIGTSTP:
                os.kill(os.getpid(), signal.SIGSTOP)
            if caught.number not in _TERMINATING_SIGNALS:
                return
            # Something that signals all processes of a service in turn meant the program, which has
            # died of it already.
            late = caught.number == died_of != self._forwarded and not caught.kernel
            if not late or time.monotonic() - ended > _DUPLICATE_SIGNAL_WINDOW_S:
                self.interrupted = True
                watched.abort()

        return interrupt

    def _take_signals(self, others: list[int] | None = None) -> None:
        """Forward signals to the program, or to what is left of it once it has ended."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._woken, 4096):
                pass
        caught = self.signals.take()
        # First, as a signal that came with the program's end is not meant for a dead process.
        if any(one.number == signal.SIGCHLD for one in caught):
            self._reap()
        self._held += [one for one in caught if one.number != signal.SIGCHLD]
        if self._status is None:
            others = [self._pid]
        if others is not None:
            held, self._held = self._held, []
            for one in held:
                self._forward(one, others)

    def _forward(self, caught: signals.Caught, to: list[int]) -> None:
        if caught.is_for_program(self._belongs):
            self._forwarded = caught.number
            self._untaken.pop(caught.number, None)
            self._send(caught.number, to)

    def _send(self, number: int, to: list[int]) -> None:
        from loghc.watch.processes import takes_signal

        # A process that handles the signal takes care of what it started. One that is killed by it
        # doesn't, nor does one that is exiting when it comes.
        all_take_it = number in _HARMLESS or all(takes_signal(pid, number) for pid in to)
        for pid in to:
            with contextlib.suppress(OSError):
                os.kill(pid, number)
        if to:
            got = self._untaken.pop(number, set())
            if not all_take_it:
                self._untaken[number] = got.union(to)

    def _belongs(self, pid: int) -> bool:
        from loghc.entry.processes import belongs

        return pid == self._pid or (self._run is not None and belongs(pid, self._run.path))

    def _reap(self) -> None:
        if self._status is None:
            _safely(self._examine_end)
        while (reaped := child.reap()) is not None:
            pid, status = reaped
            if pid != self._pid:
                continue  # an orphan that came to process 1
            if not os.WIFSTOPPED(status):
                self._status = status
            elif os.WSTOPSIG(status) in _STOPS:
                # The shell sees only the watcher, which therefore stops with the program. Whoever
                # stops the program by other means will continue it alone.
                signals.stop_by(os.WSTOPSIG(status))

    def _wake_up(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake, b"x")


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
