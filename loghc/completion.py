"""``await logger.complete()``: waits for pings without blocking the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator
from typing import Any

__all__ = ["Completion"]

_FIRST_LOOK = 0.001  # seconds between looks at the queue; each is twice as long as the last
_LONGEST_LOOK = 0.05


class Completion:
    """A sink's ``complete`` method, as loguru wants it: called, then perhaps awaited.

    loguru calls it in every ``logger.complete()``, also in plain code that awaits nothing. A
    coroutine made there would warn that it was never awaited; this makes none until it is.

    Args:
        done: whether every ping has an outcome by now. Returns at once.
        seconds: to wait at most.
    """

    def __init__(self, done: Callable[[], bool], seconds: float) -> None:
        self._done = done
        self._seconds = seconds

    def __call__(self) -> Completion:
        """Begin nothing yet."""
        return self

    def __await__(self) -> Generator[Any, None, None]:
        return self._wait().__await__()

    async def _wait(self) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:  # another library's event loop: no way of waiting works in all of them
            return
        deadline = time.monotonic() + self._seconds
        look = _FIRST_LOOK
        while not self._done() and time.monotonic() < deadline:
            await asyncio.sleep(look)
            look = min(2 * look, _LONGEST_LOOK)

    # loguru awaits what inspect.iscoroutinefunction() takes for a coroutine function, which is
    # anything callable with a function's attributes and such code.
    __name__ = "complete"
    __code__ = _wait.__code__
    __defaults__ = None
    __kwdefaults__ = None
    __annotations__: dict[str, Any] = {}
