"""Reports that a marker reached a sink without a ping URL, and what to do."""

from __future__ import annotations

import os

from loghc.hints.listener import known, program_is_watched, quote
from loghc.report import report_interactive
from loghc.service.environment import URL_FILE_VARIABLE, URL_VARIABLE

__all__ = ["MEANT", "report_no_url", "report_off", "why_no_url"]

MEANT = f"{URL_VARIABLE}=off says that this is intended."


def report_no_url(message: str) -> None:
    """Report, once, that a marker pinged nothing."""
    if not program_is_watched():
        known.once.report("no URL", f"{quote(message)} pinged nothing: {why_no_url()} {MEANT}")


def report_off() -> None:
    """Report, once and on a terminal, that pings are turned off."""
    if known.once.is_due("off"):
        report_interactive(f"{URL_VARIABLE}=off: no HealthSink of this process pings.")


def why_no_url() -> str:
    """Why there is no ping URL, and what to do."""
    given = f"{URL_VARIABLE}, or {URL_FILE_VARIABLE}"
    for name in (URL_VARIABLE, URL_FILE_VARIABLE):
        if name in os.environ:
            if os.environ[name].strip():
                return f"{name} was set after HealthSink() was made. Set it before."
            return f"{name} is set, and empty. Put the ping URL into {given}."
    for name in os.environ:
        plain = name.upper().replace("_", "")  # HEALTHCHECK_URL, HC_PING_URL, health_check_url
        if "URL" in plain and ("HEALTHCHECK" in plain or "PING" in plain):
            return f"no ping URL is set. {name} is, but loghc reads {URL_VARIABLE}."
    return f"no ping URL is set. Set {given} to the path of a file that holds it."
