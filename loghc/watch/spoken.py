"""Looks for markers, and for what is expected, in the lines that a program prints."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping

from loghc.portable.expected import Expected
from loghc.portable.markers import Markers
from loghc.watch.messages import Message

__all__ = ["Spoken"]

_MAX_LINE_BYTES = 65_536  # of a line without an end
_MAX_RECORDED = 1_000  # markers in records that may be printed as well
_LANE = (-1,)  # not the token of any process


class Spoken:
    """Examines the lines that a program prints as they pass.

    Args:
        markers: maps each marker to its event. A line that begins with one is a marker.
        expected: looked for in each line.
    """

    def __init__(self, markers: Mapping[str, str], expected: Expected) -> None:
        self._markers = Markers(dict(markers))
        self._signs = [marker.encode("utf-8", "surrogateescape") for marker in markers]
        self._expected = expected
        self._lock = threading.Lock()  # output arrives on threads of its own
        self._begun = {1: b"", 2: b""}  # by stream, the unfinished line
        self._heard: deque[Message] = deque()
        self._recorded: deque[bytes] = deque(maxlen=_MAX_RECORDED)

    def add(self, data: bytes | memoryview, stream: int) -> None:
        """Examine what was printed to a stream."""
        if not (self._signs or self._expected.left):
            return
        with self._lock:
            lines, end, rest = (self._begun[stream] + data).rpartition(b"\n")
            if len(rest) > _MAX_LINE_BYTES:
                lines, end, rest = lines + end + rest, b"\n", b""
            self._begun[stream] = rest
            if end:
                self._look(lines)

    def finish(self) -> None:
        """Examine the unfinished lines, as no more output comes."""
        with self._lock:
            for stream, line in self._begun.items():
                self._begun[stream] = b""
                if line:
                    self._look(line)

    def record(self, message: Message) -> None:
        """Note a marker that a process has logged. If it is printed as well, it counts once."""
        self._recorded.append(message.line.rstrip(b"\n"))

    def take(self) -> list[Message]:
        """The markers since the last call."""
        taken = []
        while self._heard:
            message = self._heard.popleft()
            same = next((each for each in self._recorded if message.line[:-1] in each), None)
            if same is None:
                taken.append(message)
            else:
                self._recorded.remove(same)
        return taken

    def _look(self, lines: bytes) -> None:
        # Most output needs no look at its individual lines.
        if self._expected.left:
            self._expected.meet(_text(lines))
        if not any(sign in lines for sign in self._signs):
            return
        for line in lines.split(b"\n"):
            event = self._markers.match(_text(line))
            if event is not None:
                now = time.monotonic_ns()
                self._heard.append(Message(0, now, event, line + b"\n", _LANE, None))


def _text(data: bytes) -> str:
    """What was printed, as Python would read it on a command line."""
    return data.decode("utf-8", "surrogateescape")
