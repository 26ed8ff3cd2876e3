"""Reports on standard error what a run's log or its pings lack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from loghc.entry.collector import Facts
from loghc.report import report
from loghc.watch.options import Options

__all__ = ["report_idle", "report_terminals", "report_trouble"]

_NOTES = 3


def report_trouble(trouble: Counter[str], orphans: int, masked: Callable[[str], str]) -> list[str]:
    """Report why records could not be kept.

    Args:
        trouble: the reasons, and how many processes each affected.
        orphans: processes that could not report it themselves, counted by their parents.
        masked: removes the ping URL's secret from a text.

    Returns:
        The most common reasons, in words.
    """
    trouble = trouble.copy()
    if (more := orphans - trouble.total()) > 0:
        trouble["it can't write to the run directory any more"] = more
    notes = [
        f"{text} ({count:,} processes)" if count > 1 else text
        for text, count in trouble.most_common(_NOTES)
    ]
    for note in notes:
        report(masked(f"the log of a process could not be kept: {note}."))
    return notes


def report_terminals(streams: list[str]) -> None:
    """Report the streams that ``--output`` does not record."""
    if streams:
        verb = "are terminals and stay so" if streams[1:] else "is a terminal and stays one"
        report(f"{' and '.join(streams)} {verb}: not recorded by --output.")


def report_idle(options: Options, facts: Facts, markers: int, masked: Callable[[str], str]) -> None:
    """Report options that had no effect, in a run of which nothing was missed.

    Args:
        options: what was asked for.
        facts: what the rings say.
        markers: how many were taken.
        masked: removes the ping URL's secret from a text.
    """
    if not facts.rings:
        _report_without_loguru(options)
    if options.markers_only and not markers and not facts.markers:
        listened = masked(", ".join(options.all_markers()))
        report(f"no marker was seen, so nothing was pinged: --markers-only listens for {listened}.")


def _report_without_loguru(options: Options) -> None:
    seen = "no process that logs with loguru was seen, so"
    if options.fail_on is not None:
        report(f"{seen} --fail-on {options.fail_on_name} had no effect.")
    if options.output:  # what was printed was examined as well
        return
    if options.markers:
        report(f"{seen} --marker had no effect; with --output it looks at what is printed, too.")
    if options.expected:
        report(f"{seen} --expect found nothing; with --output it looks at what is printed, too.")
