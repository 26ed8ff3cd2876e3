"""Starts a program, and before that does only what has to be done first."""

from __future__ import annotations

import os

from loghc.entry.directory import state_directory
from loghc.portable.layout import MAX_CAPACITY_BYTES
from loghc.watch import child, signals
from loghc.watch.command import Command
from loghc.watch.error_file import ErrorFile
from loghc.watch.options import Options
from loghc.watch.run_directory import RunDirectory

TYPE_CHECKING = False  # typing takes longer to import than the program to start
if TYPE_CHECKING:
    from loghc.watch.output import Output

__all__ = ["BOOTSTRAP", "Started", "start_program"]

BOOTSTRAP = os.path.join(os.path.dirname(os.path.dirname(__file__)), "inside", "bootstrap")


class Started:
    """A program that was started, or could not be.

    Attributes:
        pid: its process, 0 if there is none.
        error: why it could not be started.
        run: the run directory; None: there is none.
        trouble: why there is none.
        output: takes what it prints; None: that isn't kept.
        error_file: shows what was added to standard error; None with ``output``.
    """

    def __init__(self, run: RunDirectory | None, trouble: str, output: Output | None) -> None:
        self.error_file = ErrorFile() if output is None else None
        self.pid = 0
        self.error: child.CannotStartError | None = None
        self.run = run
        self.trouble = trouble
        self.output = output


def start_program(options: Options, command: Command) -> Started:
    """Start a program. From then on the signals that the watcher waits for are blocked."""
    closed = _keep_standard_descriptors()
    inherited = signals.take_over()
    run, trouble = _run_directory(options)
    output = _output(closed) if options.output else None
    started = Started(run, trouble, output)
    env = child.initial_environment()
    if run is not None:
        env = child.environment(env, BOOTSTRAP, run.path)
    for name in options.hidden_variables:
        env.pop(os.fsencode(name), None)
    try:
        started.pid = child.start(command, env, inherited, output)
    except child.CannotStartError as error:
        started.error = error
    if output is not None and output.trouble:
        started.output = None
        _say_unrecorded(output.trouble)
    return started


def _keep_standard_descriptors() -> list[int]:
    """Keep our descriptors off 0 to 2; returns the standard streams that were closed."""
    closed = []
    while (opened := os.open(os.devnull, os.O_RDWR)) <= 2:
        closed.append(opened)  # it stays open here; the program doesn't inherit it
    os.close(opened)
    return closed


def _output(closed: list[int]) -> Output | None:
    from loghc.watch.output import Output

    try:
        return Output(closed)
    except OSError:
        _say_unrecorded("there are too few file descriptors")
        return None


def _say_unrecorded(trouble: str) -> None:
    from loghc.report import report

    report(f"what the program prints can't be kept: {trouble}.")


def _run_directory(options: Options) -> tuple[RunDirectory | None, str]:
    """The configured run directory (in memory if it can't be elsewhere); or None, and why."""
    trouble = ""
    for parent in dict.fromkeys((options.state, None)):
        run = None
        try:
            run = RunDirectory(parent and _state(parent))
            _configure(run, options)
        except OSError as error:
            if run is not None:
                run.remove()
            trouble = f"no run directory could be made: {error.strerror}"
        else:
            return run, ""
    return None, trouble


def _state(path: str) -> str:
    directory = state_directory(path)
    directory.close()
    return directory.path


def _configure(run: RunDirectory, options: Options) -> None:
    from loghc.service.identity import identity
    from loghc.version import __version__

    salt = os.urandom(16)
    run.configure(
        [
            ("version", __version__),
            ("capacity", str(_capacity(options.limit))),
            *([("level", str(options.level))] if options.level is not None else []),
            *([("scope", "run")] if options.by_run else []),
            ("job", options.job),
            *(("marker", f"{event} {text}") for text, event in options.all_markers().items()),
            *(("expect", f"{kind} {text}") for kind, text in options.expected),
            ("limit", str(options.limit)),
            ("salt", salt.hex()),
            ("url_hash", identity(options.url, salt)),
            ("hand_over", "1"),
        ]
    )


def _capacity(limit: int) -> int:
    """Bytes of a ring: what a ping carries, plus as much for the frames around records."""
    return min(max(65_536, 2 * limit + 16_384), MAX_CAPACITY_BYTES) // 4096 * 4096
