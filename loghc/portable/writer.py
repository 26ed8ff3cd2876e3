"""Writes records into a ring: everything that is done for each record, and nothing else."""

import _thread
import itertools
import sys
import time

from .layout import CUT, FRAME, FRAME_BYTES, HEADER, MARKER, RING_HEAD, RING_MARKERS, TRACEBACK
from .stdlib import load
from .text import MILLISECONDS, format_second

TYPE_CHECKING = False  # importing typing here would keep the program from shadowing it
if TYPE_CHECKING:
    from typing import Any

__all__ = ["RECURSION_IS_FATAL", "writer"]

# From 3.11 on, CPython looks for signals and for other threads that wait at calls and at jumps
# backwards only. Code without those needs no lock, if there is a global one.
_UNINTERRUPTED = sys.version_info >= (3, 11) and getattr(sys, "_is_gil_enabled", lambda: True)()

# Up to Python 3.9, a program that goes on to recurse after a RecursionError that it didn't get is
# aborted. It would get one anyway, from loguru or a call or two later.
RECURSION_IS_FATAL = sys.version_info < (3, 10)

_STEP = 8192  # bytes at most that are reserved in the header at once


def writer(mapping: "Any", words: "Any", capacity: int) -> "tuple[Any, Any, Any]":
    """Functions that write into a ring.

    They are thread-safe, and a signal handler or a finalizer may log while one is running.

    Args:
        mapping: the ring's file.
        words: the same, in words.
        capacity: bytes of the data area.

    Returns:
        `append`, which adds any data; `append_marker`, which adds a marker's record and what is
        to be said of it, and returns its number; and `emitter`, which makes a loguru handler's
        `emit`.
    """
    struct = load("_struct").Struct(FRAME)
    pack, pack_into = struct.pack, struct.pack_into
    longest = capacity // 2 - FRAME_BYTES  # a huge record must not push out all others
    step = min(_STEP, capacity // 8) if _UNINTERRUPTED else 0
    lock = _thread.RLock()  # which its owner may take again
    head = capacity  # the position after the newest frame
    base = capacity - HEADER  # a position less this is where it lies in the file, in this lap
    lap = 2 * capacity  # the position where this lap ends
    reserved = 0  # up to here the header needs no change, and the lap doesn't end
    written = 0  # bytes of records
    numbers = itertools.count(1)  # of markers

    def append(data: bytes, time_ns: int, flag: int = 0, about: bytes = b"") -> None:
        nonlocal head, base, lap, reserved, written
        if len(data) + len(about) > longest:
            data = _end(data, longest - len(about))
            flag += CUT
        counted = 0 if flag >= TRACEBACK else len(data)
        if about:
            data = about + data
        size = len(data)
        try:  # not `with`: CPython 3.14 may leave it held where a signal handler raises
            lock.acquire()
            # In this order: whoever else logs before this is written has the space behind it.
            start = head
            head = end = start + size + FRAME_BYTES
            before = written
            written = before + counted
            if end > lap:
                base += capacity
                lap += capacity
            reserved = end + step
            if reserved > lap and step:
                reserved = lap
            words[RING_HEAD] = reserved
            _write(mapping, start, data + pack(start, time_ns, before + flag, end), capacity)
        finally:
            lock.release()

    def append_marker(about: bytes, data: bytes, time_ns: int) -> int:
        number = next(numbers)
        try:
            lock.acquire()
            words[RING_MARKERS] += 1
            append(data, time_ns, MARKER, b"%d\t%s\n" % (number, about))
        finally:
            lock.release()
        return number

    def emitter(levels: "dict[str, str]", unusual: "Any", first: str, after: str) -> "Any":
        """A handler's `emit`, which writes usual records into the ring.

        Args:
            levels: the part of a line that shows the level, by the level's name.
            unusual: takes a record, from where it comes and whether it is raw, if it has an
                exception, may be a marker, or is of a level that isn't in the table.
            first: no marker sorts before this.
            after: each marker sorts before this.
        """
        monotonic_ns = time.monotonic_ns
        hour = second = -1  # no test can tell -1 from another that no time has
        until = 0
        until_second = ""

        def keep(time: "Any", now: int) -> None:
            nonlocal hour, second, until, until_second
            until_second = format_second(time)
            hour, second, until = time.hour, time.second, now + 1_000_000_000

        def emit(
            record: "dict[str, Any]",
            level_id: object,  # noqa: ARG001
            from_decorator: object,
            is_raw: object,
            colored_message: object,  # noqa: ARG001
        ) -> None:
            nonlocal head, written
            try:
                message = record["message"]
                if is_raw or record["exception"] or first <= message < after:
                    unusual(record, from_decorator, is_raw)
                    return
                now = monotonic_ns()
                time = record["time"]
                # The hour: patched times may be those of another time zone.
                if now > until or time.second != second or time.hour != hour:
                    keep(time, now)
                data = (
                    f"{until_second}{MILLISECONDS[time.microsecond // 1000]}"
                    f"{levels[record['level'].name]}"
                    f"{record['name']}:{record['function']}:{record['line']} - {message}\n"
                ).encode()
                size = len(data)
                start = head
                end = start + size + 32
                if end > reserved:
                    append(data, now)
                    return
                # Nothing was called since `len`. Who logs from here on has the space behind it.
                before = written
                head = end
                written = before + size
                place = start - base
                trailer = place + size
                mapping[place:trailer] = data
                pack_into(mapping, trailer, start, now, before, end)
            except RecursionError:
                if RECURSION_IS_FATAL:
                    raise
            except Exception:
                unusual(record, from_decorator, is_raw)

        return emit

    return append, append_marker, emitter


def _write(mapping: "Any", position: int, frame: bytes, capacity: int) -> None:
    limit = HEADER + capacity
    first = HEADER + position % capacity
    after = first + len(frame)
    if after <= limit:
        mapping[first:after] = frame
    else:
        mapping[first:limit] = frame[: limit - first]
        mapping[HEADER : after - capacity] = frame[limit - first :]


def _end(data: bytes, size: int) -> bytes:
    """The last bytes of a UTF-8 text, beginning at a character boundary."""
    start = len(data) - size
    while start < len(data) and data[start] & 0xC0 == 0x80:
        start += 1
    return data[start:]
