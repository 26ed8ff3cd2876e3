"""Healthchecks pings from loguru markers, with the end of the log attached.

from loguru import logger
from loghc import HealthSink

logger.add(HealthSink("https://hc-ping.com/<uuid>"))
logger.info("sync.start")
logger.info("sync.done")

The names below and those of ``loghc.testing`` are public. Everything else may change at any time.
"""

from __future__ import annotations

from loghc.version import __version__

TYPE_CHECKING = False  # importing typing takes longer than "loghc run" does to start a program
if TYPE_CHECKING:
    from loghc.jobs import job
    from loghc.log.secrets import SECRETS
    from loghc.ping import Event, Outcome, Stats
    from loghc.sink import HealthSink

__all__ = ["SECRETS", "Event", "HealthSink", "Outcome", "Stats", "__version__", "job"]

_MODULES = {
    "SECRETS": "log.secrets",
    "Event": "ping",
    "HealthSink": "sink",
    "Outcome": "ping",
    "Stats": "ping",
    "job": "jobs",
}


def __getattr__(name: str) -> object:
    """Import a name when it is first used: `loghc run` starts a program before it needs any."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"loghc.{_MODULES[name]}"), name)
    globals()[name] = value
    return value
