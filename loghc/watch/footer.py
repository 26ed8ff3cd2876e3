"""The footer of a run's last ping: why there is no log, what was lost, what still runs."""

from __future__ import annotations

from loghc.entry.collector import Facts
from loghc.watch.processes import name_of

__all__ = ["left_running", "lost_markers", "why_no_log"]

_NAMED = 5  # processes that are named one by one


def why_no_log(facts: Facts, notes: list[str], unseen: list[str], *, printed: bool) -> list[str]:
    """Why there is no log, or not all of it.

    Args:
        facts: what the rings say.
        notes: why processes could not record.
        unseen: lines on Pythons that may have logged unseen.
        printed: the log has output of the program.
    """
    lines = [f"loghc: the log of a process could not be kept: {note}" for note in notes]
    if facts.lost:
        lines.append(f"loghc: {facts.lost:,} records could not be kept")
    lines += unseen
    if facts.records or printed or lines:
        return lines
    return ["loghc: nothing that logs with loguru was seen; see --output"]


def left_running(pids: list[int]) -> list[str]:
    """What the program left running, as one line of text."""
    if not pids:
        return []
    names = ", ".join(f"{name_of(pid)} ({pid})" for pid in pids[:_NAMED])
    more = f" and {len(pids) - _NAMED} more" if len(pids) > _NAMED else ""
    return [f"loghc: still running, and no longer watched: {names}{more}"]


def lost_markers(count: int) -> list[str]:
    """How many markers were not sent as pings, as one line of text."""
    return [f"loghc: {count:,} markers came too fast to be sent one by one"] if count > 0 else []
