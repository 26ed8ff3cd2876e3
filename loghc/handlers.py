"""Finds loguru's handlers, through internals of loguru."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

__all__ = ["core", "handlers", "sink_of"]


def core() -> Any:
    """The part of loguru's global logger that holds handlers and levels; None if not found."""
    return getattr(getattr(sys.modules.get("loguru"), "logger", None), "_core", None)


def handlers() -> Iterable[Any]:
    """The handlers of the global logger."""
    return tuple(getattr(core(), "handlers", {}).values())


def sink_of(handler: Any) -> Any:
    """The object given to ``logger.add``; None if it had no ``write`` method."""
    return getattr(getattr(handler, "_sink", None), "_stream", None)
