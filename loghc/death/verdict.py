"""What a program's end means: which event, which exit status, and what is said at the log's end."""

from __future__ import annotations

import os
import signal
from collections.abc import Collection, Mapping
from typing import NamedTuple

from loghc.ping import Event

__all__ = ["Verdict", "judge", "status_of"]

_CRASHES = ("SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGTRAP", "SIGSYS")
_OF_SIGNALS = range(129, 193)  # exit statuses of a shell whose child a signal ended


class Verdict(NamedTuple):
    """How a run ended.

    Attributes:
        event: success, failure, or a log: no verdict.
        exit_status: to be sent in place of the event; None for the event itself.
        death: how the program died, if it did not simply exit; else its exit status, or empty.
        lines: what is put after the log.
    """

    event: Event
    exit_status: int | None
    death: str
    lines: list[str]


def status_of(wait_status: int) -> int:
    """The exit status as a shell has it: 128 + n for signal n."""
    if os.WIFSIGNALED(wait_status):
        return 128 + os.WTERMSIG(wait_status)
    return os.WEXITSTATUS(wait_status)


def judge(
    wait_status: int,
    statuses: Mapping[int, str],
    failures: Collection[str] = (),
    about_kill: str = "",
    on_failure: str = "fail",
) -> Verdict:
    """Judge a program by how it ended.

    Args:
        wait_status: as the system gave it.
        statuses: from exit status to "success", "fail" or "log"; of others 0 is a success.
        failures: why the run failed whatever its exit status: lines to put after the log.
        about_kill: what is known of a SIGKILL.
        on_failure: the event's value for a failure of which ``statuses`` doesn't say it.
    """
    status = status_of(wait_status)
    death = _death(wait_status, about_kill)
    lines = list(failures)
    shown = death or "exit status 0"
    outcome = statuses.get(status, "fail" if status else "success")
    if outcome == "success" and not failures:
        if status:
            lines.append(f"loghc: {shown}, a success (--ok-status)")
        return Verdict(Event.SUCCESS, None, death, lines)
    if outcome == "log":
        return Verdict(Event.LOG, None, death, [*lines, f"loghc: {shown}, no verdict (--status)"])
    if on_failure == "log" and statuses.get(status) != "fail":
        lines.append(f"loghc: {shown}, a failure, but no verdict (--on-failure)")
        return Verdict(Event.LOG, None, death, lines)
    if outcome == "success":
        return Verdict(Event.FAIL, None, death, lines)
    if not status:
        lines.append("loghc: exit status 0, a failure (--status)")
    return Verdict(Event.FAIL, status or None, death, lines)


def _death(wait_status: int, about_kill: str) -> str:
    if os.WIFSIGNALED(wait_status):
        name = _name(os.WTERMSIG(wait_status))
        if name == "SIGKILL":
            return f"killed by SIGKILL{about_kill}"
        if name in _CRASHES:
            return f"killed by {name}: a crash in native code"
        return f"ended by {name}"
    status = os.WEXITSTATUS(wait_status)
    if status in _OF_SIGNALS:
        name = _name(status - 128)
        return f"exit status {status}, as after {name}{about_kill if name == 'SIGKILL' else ''}"
    return f"exit status {status}" if status else ""


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
