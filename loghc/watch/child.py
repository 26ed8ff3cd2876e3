"""Starts the program as a shell would, and exits as the program did."""

from __future__ import annotations

import _thread
import errno
import os
import signal

from loghc.watch.command import Command
from loghc.watch.signals import Inherited, take_over

TYPE_CHECKING = False  # typing takes longer to import than all of this
if TYPE_CHECKING:
    from typing import NoReturn

    from loghc.watch.output import Output

__all__ = [
    "CannotStartError",
    "become",
    "end_like",
    "environment",
    "initial_environment",
    "reap",
    "start",
]

_SHELL = "/bin/sh"
_NOT_FOUND = 127  # a shell's exit status for a command that it can't find
_NOT_EXECUTABLE = 126  # and for one that it can't execute


class CannotStartError(Exception):
    """The command can't be started.

    Attributes:
        status: the exit status that a shell would have given.
        reason: why, in the operating system's words.

    Args:
        number: the operating system's error number; 0: no such program was found.
        hint: what may have been meant.
    """

    def __init__(self, number: int, hint: str = "") -> None:
        missing = number in (0, errno.ENOENT, errno.ENOTDIR)
        self.status = _NOT_FOUND if missing else _NOT_EXECUTABLE
        self.reason = f"command not found{hint}" if number == 0 else os.strerror(number)
        super().__init__(self.reason)


def initial_environment() -> dict[bytes, bytes]:
    """The environment that this process was started with.

    Python may have added to it since: in the C locale it sets ``LC_CTYPE``, which a program that
    a shell starts would not see.
    """
    env = dict(os.environb)
    try:
        with open("/proc/self/environ", "rb") as file:
            given = file.read()
    except OSError:
        return env
    if b"LC_CTYPE" in env and b"\0LC_CTYPE=" not in b"\0" + given:
        del env[b"LC_CTYPE"]
    return env


def environment(env: dict[bytes, bytes], bootstrap: str, directory: str) -> dict[bytes, bytes]:
    """A copy of an environment that loads the recorder.

    Args:
        env: the watcher's own.
        bootstrap: the directory that goes in front of PYTHONPATH.
        directory: the run directory.
    """
    env = dict(env)
    if os.pathsep not in bootstrap:  # such a path can't be written into PYTHONPATH
        before = env.get(b"PYTHONPATH")
        path = os.fsencode(bootstrap)
        env[b"PYTHONPATH"] = path + os.fsencode(os.pathsep) + before if before else path
    env[b"LOGHC_RUN"] = os.fsencode(directory)
    return env


def start(
    command: Command,
    env: dict[bytes, bytes],
    inherited: Inherited,
    output: Output | None,
) -> int:
    """Start a command, and return its process id.

    This process must have a single thread.

    Args:
        command: what to start.
        env: its environment.
        inherited: the signals as loghc itself found them.
        output: keeps what the command prints; None: it isn't kept.

    Raises:
        CannotStartError: nothing was started.
    """
    if not command.candidates:
        raise CannotStartError(0, command.hint)
    reading, writing = os.pipe()
    try:
        pid = os.fork()
    except OSError as error:
        os.close(reading)
        os.close(writing)
        raise CannotStartError(error.errno or errno.EAGAIN) from None
    if pid == 0:
        number = errno.ENOEXEC
        try:
            if output is not None:
                output.redirect()
            inherited.restore()
            number = _execute(command, env)
        finally:
            os.write(writing, str(number).encode())
            os._exit(_NOT_FOUND)
    os.close(writing)
    if output is not None:
        output.prepare()
    with open(reading, "rb") as pipe:
        failed = pipe.read()  # empty if a successful exec closed the pipe
    if failed:
        os.waitpid(pid, 0)
        raise CannotStartError(int(failed))
    return pid


def become(command: Command) -> NoReturn:
    """Replace this process with a command, unwatched.

    Raises:
        CannotStartError: the command can't be started.
    """
    env = initial_environment()
    take_over().restore()
    number = _execute(command, env) if command.candidates else 0
    raise CannotStartError(number, command.hint)


def _execute(command: Command, env: dict[bytes, bytes]) -> int:
    """Execute the first candidate that can be executed; returns the error's number if none can."""
    denied = 0
    for path in command.candidates:
        try:
            os.execve(path, command.argv, env)  # noqa: S606
        except OSError as error:
            number = error.errno or errno.ENOENT
        if number == errno.ENOEXEC:  # a script without a first line that names its interpreter
            try:
                os.execve(_SHELL, [_SHELL, path, *command.argv[1:]], env)  # noqa: S606
            except OSError as error:
                number = error.errno or errno.ENOEXEC
        if number == errno.EACCES:
            denied = number
        elif number not in (errno.ENOENT, errno.ENOTDIR):
            return number
    return denied or number


def reap() -> tuple[int, int] | None:
    """The id and wait status of one child that ended or stopped; None if there is none."""
    try:
        found, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
    except ChildProcessError:
        return None
    return (found, status) if found else None


def end_like(status: int) -> NoReturn:
    """Exit, or die of a signal, as the program with this wait status did. Never returns."""
    if os.WIFSIGNALED(status):
        _kill_self_with(os.WTERMSIG(status))
        os._exit(128 + os.WTERMSIG(status))  # process 1 isn't killed by its own signals
    os._exit(os.WEXITSTATUS(status))


def _kill_self_with(number: int) -> None:
    import resource

    # The program has left its core file already. A limit of one byte is too small for a file and,
    # unlike a limit of 0, keeps Linux from piping the core to a program as well.
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0 if most == 0 else 1, most))
    if number == signal.SIGKILL:
        os.kill(os.getpid(), number)
        return
    signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    # To this thread alone: otherwise the thread that waits for signals would take it.
    signal.pthread_kill(_thread.get_ident(), number)
