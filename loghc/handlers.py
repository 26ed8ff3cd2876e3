"""loguru's handlers, as far as loguru lets them be found."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

__all__ = ["core", "handlers", "sink_of"]


def core() -> Any:
    """Where loguru's global logger keeps its handlers and levels; None when it is not there."""
    return getattr(getattr(sys.modules.get("loguru"), "logger", None), "_core", None)


def handlers() -> Iterable[Any]:
    """The handlers of the global logger."""
    return tuple(getattr(core(), "handlers", {}).values())


def sink_of(handler: Any) -> Any:
    """The object that was given to ``logger.add``; None where it was no object with ``write``."""
    return getattr(getattr(handler, "_sink", None), "_stream", None)
