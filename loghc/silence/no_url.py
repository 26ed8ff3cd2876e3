"""Why a sink has no ping URL, and what to do."""

from __future__ import annotations

import os

from loghc.service.environment import URL_FILE_VARIABLE, URL_VARIABLE

__all__ = ["MEANT", "why_no_url"]

MEANT = "HEALTH_CHECK_URL=off says that this is meant."


def why_no_url() -> str:
    """Why there is no ping URL, and what to do, when the environment has none."""
    given = f"{URL_VARIABLE}, or {URL_FILE_VARIABLE}"
    for name in (URL_VARIABLE, URL_FILE_VARIABLE):
        if name in os.environ:
            if os.environ[name].strip():
                return f"{name} was set after HealthSink() was made. Set it before."
            return f"{name} is set, and empty. Put the ping URL into {given}."
    for name in os.environ:
        plain = name.upper().replace("_", "")  # HEALTHCHECK_URL, HC_PING_URL, health_check_url
        if "URL" in plain and ("HEALTHCHECK" in plain or "PING" in plain):
            return f"no ping URL is set. {name} is, but {URL_VARIABLE} is what is read."
    return f"no ping URL is set. Set {given} to the path of a file that holds it."
