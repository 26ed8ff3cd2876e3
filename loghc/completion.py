"""A wait for pings that doesn't block the event loop: ``await logger.complete()``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any

from loghc.clock import monotonic

__all__ = ["Completion"]

_FIRST_PAUSE_S = 0.001  # between checks of the queue; each is twice as long as the last
_MAX_PAUSE_S = 0.05


class Completion:
    """A sink's ``complete`` method, as loguru expects it: called, then perhaps awaited.

    loguru calls it in every ``logger.complete()``, even in synchronous code that awaits nothing. A
    coroutine made then would warn that it was never awaited; this makes one only when awaited.

    Args:
        done: whether every ping has an outcome by now. Returns at once.
        seconds: to wait at most.
    """

    def __init__(self, done: Callable[[], bool], seconds: float) -> None:
        self._done = done
        self._seconds = seconds

    def __call__(self) -> Completion:
        """Do nothing yet."""
        return self

    def __await__(self) -> Generator[Any, None, None]:
        return self._wait().__await__()

    async def _wait(self) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:  # another library's event loop: nothing to wait with works in all
            return
        deadline = monotonic() + self._seconds
        pause = _FIRST_PAUSE_S
        while not self._done() and monotonic() < deadline:
            await asyncio.sleep(pause)
            pause = min(2 * pause, _MAX_PAUSE_S)

    # loguru awaits whatever inspect.iscoroutinefunction() accepts: any callable that has a
    # function's attributes, and a coroutine function's code.
    __name__ = "complete"
    __code__ = _wait.__code__
    __defaults__ = None
    __kwdefaults__ = None
    __annotations__: dict[str, Any] = {}
