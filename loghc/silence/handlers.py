"""The handlers of HealthSinks, as far as loguru lets them be found."""

from __future__ import annotations

import sys
from typing import Any

from loghc.silence.listener import Listener

__all__ = ["core", "handlers_by_listener"]


def core() -> Any:
    """Where loguru keeps its handlers and levels; None when it is not there."""
    loguru = sys.modules.get("loguru")
    return getattr(getattr(loguru, "logger", None), "_core", None)


def handlers_by_listener() -> dict[Listener, Any]:
    """Each handler whose sink is a HealthSink, by what that sink listens for."""
    found: dict[Listener, Any] = {}
    for handler in list(getattr(core(), "handlers", {}).values()):
        stream = getattr(getattr(handler, "_sink", None), "_stream", None)
        listener = getattr(stream, "_listener", None)
        if isinstance(listener, Listener):
            found[listener] = handler
    return found
