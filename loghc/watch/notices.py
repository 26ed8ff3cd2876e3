"""Reports on standard error, when a run has ended, what its log or its pings lack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from loghc.entry.collector import Facts
from loghc.report import report
from loghc.watch.options import Options

__all__ = ["report_idle_options", "report_no_markers", "report_trouble"]

_NOTES = 3


def report_trouble(trouble: Counter[str], orphans: int, masked: Callable[[str], str]) -> list[str]:
    """Report why records could not be kept.

    Args:
        trouble: the reasons, and how many processes each concerned.
        orphans: processes that could not report it themselves, counted by their parents.
        masked: takes the ping URL's secret out of a text.

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


def report_idle_options(options: Options, facts: Facts, *, printed: bool) -> None:
    """Report options that could find nothing, because no process logs with loguru.

    Args:
        options: what was asked for.
        facts: what the rings say.
        printed: what the program printed was examined as well.
    """
    if facts.rings:
        return
    seen = "no process that logs with loguru was seen, so"
    if options.fail_on is not None:
        report(f"{seen} --fail-on {options.fail_on_name} had no effect.")
    if printed:
        return
    if options.markers:
        report(f"{seen} --marker had no effect; with --output it looks at what is printed, too.")
    if options.expected:
        report(f"{seen} --expect found nothing; with --output it looks at what is printed, too.")


def report_no_markers(options: Options, masked: Callable[[str], str]) -> None:
    """Report that a run whose pings are its markers' had none.

    Args:
        options: what was asked for.
        masked: takes the ping URL's secret out of a text.
    """
    listened = masked(", ".join(options.all_markers()))
    report(f"no marker was seen, so nothing was pinged: --markers-only listens for {listened}.")
