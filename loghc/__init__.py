"""Healthchecks pings from loguru markers, with the end of the log attached.

from loguru import logger
from loghc import HealthSink

logger.add(HealthSink("https://hc-ping.com/<uuid>"))
logger.info("sync.start")
logger.info("sync.done")

Public are the names below and those of ``loghc.testing``. Everything else may change at any time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loghc.job import job
from loghc.ping import Event, Outcome, Stats
from loghc.sink import HealthSink
from loghc.version import __version__

if TYPE_CHECKING:
    from loghc.log.secrets import SECRETS

__all__ = ["SECRETS", "Event", "HealthSink", "Outcome", "Stats", "__version__", "job"]


def __getattr__(name: str) -> object:
    """Import ``SECRETS`` when it is asked for: not every program pays for what few use."""
    if name == "SECRETS":
        from loghc.log.secrets import SECRETS

        return SECRETS
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
