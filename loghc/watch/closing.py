"""What a run's last ping says after its log: why there is none, what was lost, what is left."""

from __future__ import annotations

import os

from loghc.watch.collector import Facts
from loghc.watch.command import Command
from loghc.watch.processes import name_of

__all__ = ["kept_out", "left_running", "why_no_log"]

_NAMED = 5  # processes that are named one by one


def why_no_log(
    facts: Facts, command: Command, notes: list[str], user: int | None, *, printed: bool
) -> list[str]:
    """Why there is no log, or not all of it.

    Args:
        facts: what the rings say.
        command: what was started.
        notes: why processes could not record.
        user: as whom the program ran in the end, None where that is unknown.
        printed: there is output of the program's in the log.
    """
    lines = [f"loghc: the log of a process could not be kept: {note}" for note in notes]
    if facts.lost:
        lines.append(f"loghc: {facts.lost:,} records could not be kept")
    if facts.records or printed or lines:
        return lines
    why = kept_out(facts, command, user)
    return [f"loghc: nothing was logged{f': {why}' if why else ' with loguru'}; see --output"]


def kept_out(facts: Facts, command: Command, user: int | None) -> str:
    """What kept the program from leaving records; empty where nothing is known to have."""
    if facts.rings:
        return ""
    if command.isolated:
        return (
            f"{command.isolated} keeps this Python from looking at PYTHONPATH, by which its log "
            "is kept"
        )
    if user is not None and user != os.geteuid():
        return (
            f"the program became user {user}, who can't write to its log's place, before it logged"
        )
    return ""


def left_running(pids: list[int]) -> list[str]:
    """What the program left running, in a line."""
    if not pids:
        return []
    names = ", ".join(f"{name_of(pid)} ({pid})" for pid in pids[:_NAMED])
    more = f" and {len(pids) - _NAMED} more" if len(pids) > _NAMED else ""
    return [f"loghc: still running, and no longer watched: {names}{more}"]
