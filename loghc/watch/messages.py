"""The messages about markers that the program's processes send and keep in their rings."""

from __future__ import annotations

import re
from typing import NamedTuple

from loghc.entry.rings import Frame, Reading
from loghc.portable import layout

__all__ = ["Message", "parse_frame", "parse_messages"]

_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_UNESCAPED = {b"t": b"\t", b"n": b"\n"}
_MARKERS = frozenset({"start", "success", "fail", "log", layout.END})
_EVENTS = _MARKERS | {"expect", "python", "ring", "sink"}
_FIELDS = 9
_FRAME_FIELDS = 4
_MAX_DIGITS = 20  # of a number; int() is slow for long texts
_UUID = re.compile(rb"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


class Message(NamedTuple):
    """A marker that was logged, or a message about something else.

    Attributes:
        pid: the process that logged it.
        time_ns: when, in nanoseconds of CLOCK_MONOTONIC.
        event: the marker's: "start", "success", "fail" or "log". Or something else: "ring", a
            process opened its ring; "sink", the options of a HealthSink that hands its markers
            over; "python", the recorder got into a Python; "expect", a record met expectations.
        line: its record as in the ring, cut to fit a message; or a sink's options.
        lane: tokens for the open runs of the context that logged it, the innermost last; or the
            numbers of expectations.
        run_id: the run's id; None if the program names none.
        ring: when the ring that also has it was opened, in nanoseconds of CLOCK_MONOTONIC; 0: no
            ring has it.
        number: the marker's number in that ring, from 1 on; 0: none.
    """

    pid: int
    time_ns: int
    event: str
    line: bytes
    lane: tuple[int, ...]
    run_id: str | None
    ring: int = 0
    number: int = 0

    @property
    def is_marker(self) -> bool:
        """Whether it is a marker, not a message about something else."""
        return self.event in _MARKERS


def parse_messages(data: bytes) -> tuple[list[Message], bytes]:
    """Parse what was read from the channel.

    Any process of the program may write to it: whatever isn't a message is ignored.

    Args:
        data: the rest of the last call, and what was read since.

    Returns:
        The messages, and the beginning of one that isn't complete yet.
    """
    *lines, rest = data.split(b"\n")
    parsed = (_parse(line) for line in lines)
    messages = [message for message in parsed if message is not None]
    return messages, rest if len(rest) < layout.MESSAGE_BYTES else b""


def _parse(line: bytes) -> Message | None:
    fields = line.split(b"\t")
    if len(fields) != _FIELDS or fields[0] != layout.MESSAGE:
        return None
    _, pid, time_ns, ring, *about, record = fields
    numbers = (pid, time_ns, ring)
    if not all(map(_is_number, numbers)):
        return None
    return _message(int(pid), int(time_ns), int(ring), about, _unescape(record))


def parse_frame(reading: Reading, frame: Frame) -> Message | None:
    """The marker in a ring's frame; None if it is another kind of frame."""
    about = frame.marker.split(b"\t")
    if len(about) != _FRAME_FIELDS:
        return None
    return _message(reading.pid, frame.time_ns, reading.started_ns, about, frame.data)


def _message(pid: int, time_ns: int, ring: int, about: list[bytes], line: bytes) -> Message | None:
    number, event, lane, run_id = about
    tokens = lane.split(b",") if lane else []
    name = event.decode("ascii", "replace")
    if name not in _EVENTS or (name == "start" and not tokens):
        return None
    if not all(map(_is_number, (number, *tokens))):
        return None
    return Message(
        pid=pid,
        time_ns=time_ns,
        event=name,
        line=_unescape(run_id) if name == "sink" and not line else line,
        lane=tuple(map(int, tokens)),
        run_id=run_id.decode() if _UUID.fullmatch(run_id) else None,
        ring=ring,
        number=int(number),
    )


def _is_number(text: bytes) -> bool:
    return text.isdigit() and len(text) <= _MAX_DIGITS


def _unescape(data: bytes) -> bytes:
    if b"\\" not in data:
        return data
    return _ESCAPED.sub(lambda match: _UNESCAPED.get(match[1], match[1]), data)
