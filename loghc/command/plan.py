"""``loghc run --dry-run``: what would be started, watched and sent."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from loghc.command.dry_run import dry_run
from loghc.command.printing import show, show_error
from loghc.log.masking import Masker
from loghc.watch.child import CannotStartError

if TYPE_CHECKING:
    from loghc.watch.command import Command
    from loghc.watch.options import Options

__all__ = ["show_plan"]


def show_plan(options: Options, command: Command, *, watched: bool) -> int:
    """Show what would be done, and open the connection to the service.

    Args:
        options: what was asked for.
        command: what would be started.
        watched: False: it would be started, but not watched.

    Returns:
        The exit status: 0; 1 when the service can't be reached; 127 when there is no such program.

    Raises:
        UsageError: the proxy can't be used.
    """
    words = shlex.join(command.argv)
    show(f"Program: {Masker(options.url).text(words) if watched else words}")
    if not command.candidates:
        missing = CannotStartError(0, command.hint)
        show_error(f"loghc run: {command.argv[0]}: {missing.reason}. Nothing was started.")
        return missing.status
    show(f"Executed: {command.candidates[0]}")
    if not watched:
        show("It would not be watched, as HEALTH_CHECK_URL=off. Nothing was started.")
        return 0
    show(f"Log: {_log(options, command)}.")
    show(f"Sent: {_sent(options)}.")
    return dry_run(options, "loghc run")


def _log(options: Options, command: Command) -> str:
    if command.isolated:
        records = f"no records, as {command.isolated} keeps loghc out of its Python"
    elif options.level is not None:
        records = f"its records of level {options.level} and above"
    else:
        records = "the records that its own handlers take"
    printed = ", and what it prints" if options.output else ""
    return (
        f"{records}{printed}; {'no log' if not options.send_logs else _size(options)} with a ping"
    )


def _size(options: Options) -> str:
    return f"the last {options.limit:,} bytes"


def _other_end(options: Options) -> str:
    if options.on_failure == "log":
        return "a log otherwise"
    return "its exit status otherwise, or 128 + n for signal n"


def _sent(options: Options) -> str:
    markers = ", ".join(f"{text!r} ({event})" for text, event in options.all_markers().items())
    if options.markers_only:
        sent = f"at the markers {markers}"
    else:
        start = "a start; " if options.start else ""
        told = {0: "success", **options.statuses}
        ends = ", ".join(f"{told[status]} for exit status {status}" for status in sorted(told))
        sent = f"{start}{ends}, {_other_end(options)}; at the markers {markers}"
    if options.fail_on is not None:
        sent += f"; a failure after a record of level {options.fail_on_name}"
    if options.expected:
        said = ", ".join(f'"{text}"' for _, text in options.expected)
        sent += f"; a failure if it ends with 0 and never said {said}"
    if options.events is not None:
        sent += f"; of these, only {', '.join(sorted(options.events))}"
    return sent
