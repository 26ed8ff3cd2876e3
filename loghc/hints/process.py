"""What is known of this process's sinks, and how messages are shown."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from loghc.report import Once, debugging

if TYPE_CHECKING:
    from loghc.hints.listener import Listener

__all__ = ["known", "on_terminal_or_debugging", "program_is_watched", "quote"]

_MAX_SINKS = 100  # that are remembered
_QUOTED = 80  # characters of a message that are shown
_MASKED = 10_000  # characters of it that are masked first: a cut must not leave half a secret


class _Process:
    """What is known of this process's sinks."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.listeners: deque[Listener] = deque(maxlen=_MAX_SINKS)
        self.jobs: set[str] = set()  # the names that job() was given
        self.marker_seen = False
        self.once = Once()


known = _Process()


def on_terminal_or_debugging() -> bool:
    """Whether what may be meant is said: on a terminal, or with ``LOGHC_DEBUG=1``."""
    return debugging() or (sys.stderr is not None and sys.stderr.isatty())


def program_is_watched() -> bool:
    """Whether it is ``loghc run`` that the process's markers, and its end, are for."""
    run = os.environ.get("LOGHC_RUN")
    if not run or os.name != "posix":
        return False
    from loghc.portable.config import watcher_lives

    return watcher_lives(run)


def quote(message: str, mask: Callable[[str], str] = str) -> str:
    """The beginning of a message, fit to be shown.

    Args:
        message: the message.
        mask: takes secrets out of it.
    """
    return repr(mask(message[:_MASKED])[:_QUOTED])
