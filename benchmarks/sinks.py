"""What a record is written to: loghc's sink, the least that could do, and the peer's handler."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

from loguru import logger

from loghc import HealthSink

__all__ = [
    "NOWHERE",
    "KeepingSink",
    "NoSink",
    "borgmatic",
    "floor",
    "health",
    "log_records",
    "messages",
]

NOWHERE = "http://127.0.0.1:9/9e9d9bbe-4f2b-4a0e-a1e0-111111111111"
"""A ping URL for sinks that get no marker."""


class NoSink:
    """Does nothing with a record, which shows what loguru itself costs."""

    def write(self, message: str) -> None:
        """Drop a record."""


class KeepingSink:
    """The floor as an object with a method, as sinks are."""

    def __init__(self, limit: int) -> None:
        self._kept: deque[bytes] = deque()
        self._size = 0
        self._limit = limit

    def write(self, message: str) -> None:
        """Keep a record."""
        data = message.encode()
        self._kept.append(data)
        self._size += len(data)
        while self._size > self._limit:
            self._size -= len(self._kept.popleft())


def floor(limit: int) -> Callable[[str], None]:
    """The barest deque with a byte count: no markers, no threads, no lone surrogates."""
    kept: deque[bytes] = deque()
    append, popleft = kept.append, kept.popleft
    size = 0

    def write(message: str) -> None:
        nonlocal size
        data = message.encode()
        append(data)
        size += len(data)
        while size > limit:
            size -= len(popleft())

    return write


def health(limit: int = 100_000) -> Callable[[str], None]:
    """``HealthSink.write``."""
    return HealthSink(NOWHERE, limit=limit).write


def borgmatic(limit: int) -> Callable[[logging.LogRecord], None]:
    """The handler of borgmatic's package, which keeps the log for a ping."""
    from borgmatic.hooks.monitoring.logs import Forgetful_buffering_handler

    handler: logging.Handler = Forgetful_buffering_handler("benchmark", limit, logging.INFO)
    return handler.emit


def messages(count: int, size: int = 110, char: str = "x") -> list[str]:
    """Records as loguru hands them to a sink.

    Args:
        count: how many, all different.
        size: bytes of each in UTF-8, about.
        char: what they are filled with.
    """
    found: list[str] = []
    handler = logger.add(found.append, format="{message}", level=0)
    for number in range(count):
        text = f"copied file {number}"[: size - 1]
        logger.info(text + char * ((size - 1 - len(text)) // len(char.encode())))
    logger.remove(handler)
    return found


def log_records(texts: list[str]) -> list[logging.LogRecord]:
    """The same records as the standard library's logging hands them to a handler."""
    return [
        logging.LogRecord("app", logging.INFO, __file__, 1, text.rstrip("\n"), None, None)
        for text in texts
    ]
