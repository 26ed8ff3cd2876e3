"""What is said where the program that Python is embedded in lets no thread run."""

from __future__ import annotations

import sys

from loghc.report import Once

__all__ = ["report_no_threads"]

_once = Once()


def report_no_threads() -> None:
    """Report, once, that a server holds back the thread that sends pings."""
    uwsgi = sys.modules.get("uwsgi")  # which is there in its processes alone
    if getattr(uwsgi, "has_threads", None) == 0:
        _once.report(
            "uWSGI",
            "uWSGI runs no Python threads: a ping waits until this process ends, or serves again. "
            "Start it with --enable-threads.",
        )
