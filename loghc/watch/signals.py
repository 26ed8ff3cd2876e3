"""The watcher's signals: how they were inherited, which arrived, and whom each was meant for."""

from __future__ import annotations

import _thread
import os
import signal
from collections import deque
from collections.abc import Callable

__all__ = ["FORWARDED", "Caught", "Inherited", "Signals", "stop_by", "take_over"]

# These report a crash of the watcher itself, can't be caught, or concern the watcher's own children
# and its own input and output.
_OWN = frozenset(
    {
        signal.SIGSEGV,
        signal.SIGBUS,
        signal.SIGFPE,
        signal.SIGILL,
        signal.SIGTRAP,
        signal.SIGSYS,
        signal.SIGKILL,
        signal.SIGSTOP,
        signal.SIGCHLD,
        signal.SIGPIPE,
        signal.SIGTTIN,
        signal.SIGTTOU,
    }
)
FORWARDED: frozenset[int] = frozenset(signal.valid_signals() - _OWN)
_WAITED_FOR = FORWARDED | {signal.SIGCHLD}
_POLL_MS = 200  # between checks for signals when no thread can wait for them
# SIGTTIN and SIGTTOU would stop the watcher when it writes to a terminal from the background, or
# when the program reads from one. But it must stop only when the program does.
_BLOCKED = _WAITED_FOR | {signal.SIGTTIN, signal.SIGTTOU}


class Inherited:
    """The signals as loghc found them at its start, so that the program gets the same ones."""

    def __init__(self, mask: set[signal.Signals], *, ignores_children: bool) -> None:
        self._mask = mask
        self._ignores_children = ignores_children

    def restore(self) -> None:
        """Restore them in the child before it becomes the program."""
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)  # Python ignores them, and exec would keep that
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        if self._ignores_children:
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)


def take_over() -> Inherited:
    """Block the signals that the watcher will wait for: none that arrives from now on is lost.

    The dispositions stay as they are for now, because the program inherits them.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED)
    ignores_children = signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN
    if ignores_children:  # or the kernel would keep no exit status
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    return Inherited(mask, ignores_children=ignores_children)  # type: ignore[arg-type]


class Caught:
    """A signal that arrived.

    Attributes:
        number: which one.
        kernel: the kernel sent it, as it does for the terminal to the whole foreground group.
        sender: the process that sent it; 0: unknown.
    """

    __slots__ = ("kernel", "number", "sender")

    def __init__(self, number: int, *, kernel: bool, sender: int) -> None:
        self.number = number
        self.kernel = kernel
        self.sender = sender

    def is_for_program(self, belongs: Callable[[int], bool]) -> bool:
        """Whether the program still needs it forwarded.

        Args:
            belongs: whether a process belongs to the program. A signal that the program itself
                sends reached both through their common process group, or was meant for its parent.
        """
        if self.number == signal.SIGHUP and self.kernel:
            # When a terminal is gone, only the session leader is sent this signal.
            return os.getsid(0) == os.getpid()
        if self.kernel:
            # An alarm may have been set before this process became loghc.
            return self.number in (signal.SIGCONT, signal.SIGALRM)
        return not (self.sender and belongs(self.sender))


class Signals:
    """Waits for signals on a thread of its own, and hands them over in order.

    Args:
        wake: called after each signal, on that thread.
    """

    def __init__(self, wake: Callable[[], object]) -> None:
        self._caught: deque[Caught] = deque()
        self.pause: int | None = None
        """Milliseconds after which to call `take` even if nothing woke the caller; None: never."""
        self._wake = wake
        self._interrupt: Callable[[Caught], None] | None = None

    def start(self) -> None:
        """Start waiting. Call this once the program was started: it changes the dispositions."""
        for number in _WAITED_FOR:
            # Never called, as all threads block the signals. But ignored signals are discarded.
            signal.signal(number, _nothing)
        import threading  # not before the program has been started

        thread = threading.Thread(target=self._wait, name="loghc-signals", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system has no more threads
            self.pause = _POLL_MS

    def take(self) -> list[Caught]:
        """The signals that arrived since the last call."""
        if self.pause is not None:
            while (info := signal.sigtimedwait(_WAITED_FOR, 0)) is not None:
                self._caught.append(_caught(info))
        taken = []
        while self._caught:
            taken.append(self._caught.popleft())
        return taken

    def call(self, interrupt: Callable[[Caught], None]) -> None:
        """Pass each signal to a function at once from now on: the main thread will be busy."""
        self._interrupt = interrupt
        for caught in self.take():
            interrupt(caught)

    def _wait(self) -> None:
        while True:
            caught = _next()
            self._caught.append(caught)
            if self._interrupt is not None:
                self._interrupt(caught)
            self._wake()


def stop_by(number: int) -> None:
    """Stop this process with a terminal's signal, as the program was. Main thread only."""
    signal.signal(number, signal.SIG_DFL)
    # In this order: the terminal's own signal may still be pending here, and would stop it twice.
    # SIGCONT discards every other pending stop signal.
    signal.pthread_kill(_thread.get_ident(), number)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})  # it resumes here when it is continued
    signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    signal.signal(number, _nothing)


def _nothing(_number: int, _frame: object) -> None:
    pass


def _next() -> Caught:
    if hasattr(signal, "sigwaitinfo"):
        while True:
            try:
                info = signal.sigwaitinfo(_WAITED_FOR)
            except InterruptedError:
                continue
            return _caught(info)
    # Elsewhere the sender is unknown. While this process is in the terminal's foreground, a signal
    # that a terminal can send is assumed to be the terminal's.
    number = signal.sigwait(_WAITED_FOR)
    terminals = (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGWINCH)
    return Caught(number, kernel=number in terminals and _in_foreground(), sender=0)


def _caught(info: signal.struct_siginfo) -> Caught:
    kernel = info.si_code > 0 and info.si_signo != signal.SIGCHLD
    return Caught(info.si_signo, kernel=kernel, sender=0 if kernel else info.si_pid)


def _in_foreground() -> bool:
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    finally:
        os.close(terminal)
