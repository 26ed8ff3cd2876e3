"""The designs that were tried for the tail and for the marker test, to be tried again.

Each does what the tail must do for records of usual length, so that their costs can be compared;
``loghc/tail.py`` and ``HealthSink.write`` have what was kept.
"""

from __future__ import annotations

import io
import re
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from loguru import logger

from benchmarks.results import Row, Section
from benchmarks.sinks import floor, messages
from benchmarks.timing import Spread, looped, ratio, take_turns
from loghc.log.tail import Tail

__all__ = ["MARKER_TESTS", "TAILS", "measure_designs"]

_LIMIT = 100_000  # bytes
_CHUNK = 4_096  # bytes, or characters
_MARKERS = ("sync.start", "sync.done", "sync.error", "sync.log")
_BEGINNINGS = frozenset({marker[:8] for marker in _MARKERS})

Append = Callable[[str], None]


def _chunks() -> Callable[[bytes], None]:
    kept: deque[bytes] = deque()
    size = 0

    def push(chunk: bytes) -> None:
        nonlocal size
        kept.append(chunk)
        size += len(chunk)
        while size - len(kept[0]) >= _LIMIT:
            size -= len(kept.popleft())

    return push


def _locked_deque() -> Append:
    push, lock = _chunks(), threading.Lock()

    def append(text: str) -> None:
        data = text.encode("utf-8", "replace")
        with lock:
            push(data)

    return append


def _batches(copy: Callable[[str], str], size: int) -> Append:
    """Records as str; ``copy`` lets go of loguru's message."""
    push, lock = _chunks(), threading.Lock()
    recent: list[str] = []

    def append(text: str) -> None:
        recent.append(copy(text))
        if len(recent) >= size or len(text) > _CHUNK:
            with lock:
                count = len(recent)
                batch = "".join(recent[:count])
                del recent[:count]
                push(batch.encode("utf-8", "replace"))

    return append


def _batches_by_adding(size: int) -> Append:
    push, lock = _chunks(), threading.Lock()
    recent: list[str] = []

    def append(text: str) -> None:
        recent.append(text + "")
        if len(recent) >= size or len(text) > _CHUNK:
            with lock:
                count = len(recent)
                batch = "".join(recent[:count])
                del recent[:count]
                push(batch.encode("utf-8", "replace"))

    return append


def _batches_of_bytes(size: int) -> Append:
    push, lock = _chunks(), threading.Lock()
    recent: list[bytes] = []

    def append(text: str) -> None:
        try:
            data = text.encode()
        except UnicodeEncodeError:
            data = text.encode("utf-8", "replace")
        recent.append(data)
        if len(recent) >= size or len(data) > _CHUNK:
            with lock:
                count = len(recent)
                batch = b"".join(recent[:count])
                del recent[:count]
                push(batch)

    return append


def _counted_batches() -> Append:
    """One count of characters in place of two checks."""
    push, lock = _chunks(), threading.Lock()
    recent: list[str] = []
    room = _CHUNK

    def append(text: str) -> None:
        nonlocal room
        recent.append(text + "")
        room -= len(text)
        if room < 0:
            with lock:
                count = len(recent)
                batch = "".join(recent[:count])
                del recent[:count]
                push(batch.encode("utf-8", "replace"))
                room = _CHUNK

    return append


def _byte_array() -> Append:
    push, lock = _chunks(), threading.Lock()
    recent = bytearray()

    def append(text: str) -> None:
        nonlocal recent
        try:
            recent += text.encode()
        except UnicodeEncodeError:
            recent += text.encode("utf-8", "replace")
        if len(recent) >= _CHUNK:
            with lock:
                count = len(recent)
                batch = bytes(recent[:count])
                del recent[:count]
                push(batch)

    return append


def _string_io() -> Append:
    push = _chunks()
    recent = io.StringIO()
    room = _CHUNK

    def append(text: str) -> None:
        nonlocal room
        room -= recent.write(text)
        if room < 0:
            push(recent.getvalue().encode("utf-8", "replace"))
            recent.seek(0)
            recent.truncate()
            room = _CHUNK

    return append


TAILS: dict[str, Callable[[], Append]] = {
    "the floor": lambda: floor(_LIMIT),
    "deque of bytes, a lock for each record": _locked_deque,
    "list of str by str(), batches of 64": lambda: _batches(str, 64),
    "list of str by + '', batches of 32": lambda: _batches_by_adding(32),
    "list of str by + '', batches of 64 (kept)": lambda: _batches_by_adding(64),
    "the same in a class: Tail.append": lambda: Tail(_LIMIT).append,
    "list of str by + '', batches of 128": lambda: _batches_by_adding(128),
    "list of str, batches by characters": _counted_batches,
    "list of bytes, batches of 64": lambda: _batches_of_bytes(64),
    "bytearray, cut into chunks": _byte_array,
    "StringIO, cut into chunks": _string_io,
}


_PATTERN = re.compile(r"sync\.(?:start|done|error|log)(?!\w|[.-]\w)")


def _regular_expression(record: dict[str, Any]) -> object:
    return _PATTERN.match(record["message"])


def _tuple_of_markers(record: dict[str, Any], markers: tuple[str, ...] = _MARKERS) -> bool:
    return bool(record["message"].startswith(markers))


def _common_prefix(record: dict[str, Any], prefix: str = "sync.") -> bool:
    return bool(record["message"].startswith(prefix))


def _set_of_beginnings(
    record: dict[str, Any],
    beginnings: frozenset[str] = _BEGINNINGS,
) -> bool:
    return record["message"][:8] in beginnings


def _found_anywhere(record: dict[str, Any], prefix: str = "sync.") -> bool:
    return prefix in record["message"]


def _in_range(record: dict[str, Any], first: str = "sync.done", after: str = "sync.staru") -> bool:
    return bool(first <= record["message"] < after)


def _none(record: dict[str, Any]) -> None:
    record["message"]


MARKER_TESTS: dict[str, Callable[[dict[str, Any]], object]] = {
    "none": _none,
    "a regular expression": _regular_expression,
    "startswith, a tuple of markers": _tuple_of_markers,
    "startswith, one common prefix": _common_prefix,
    "a slice, looked up in a set": _set_of_beginnings,
    "prefix in message (costs more in a long one)": _found_anywhere,
    "first <= message < after (kept)": _in_range,
}


def measure_designs() -> Section:
    """All of them, in turn."""
    given = messages(32)
    rows = []
    seconds = take_turns({name: looped(make(), given) for name, make in TAILS.items()}, 40)
    for name, values in seconds.items():
        rows.append(
            Row(
                f"tail: {name}",
                "ns",
                Spread.of(values).scaled(1e9),
                "the floor",
                ratio(values, seconds["the floor"]),
            )
        )
    for beginning in ("copied", "zipped"):
        records = _records(f"{beginning} file number {{}} of many")
        seconds = take_turns(
            {name: looped(test, records) for name, test in MARKER_TESTS.items()}, 40
        )
        for name, values in seconds.items():
            rows.append(
                Row(
                    f"marker test, '{beginning} file': {name}",
                    "ns",
                    Spread.of(values).scaled(1e9),
                    "none",
                    ratio(values, seconds["none"]),
                )
            )
    return Section(
        "designs",
        "What was tried",
        "Tails: 110 bytes of ASCII, 100,000 bytes kept. Marker tests: with the call around them.",
        rows,
    )


def _records(message: str) -> list[dict[str, Any]]:
    found: list[Any] = []
    handler = logger.add(lambda text: found.append(text.record), format="{message}")
    for number in range(32):
        logger.info(message, number)
    logger.remove(handler)
    return found
