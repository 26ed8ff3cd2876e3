"""The tail of what a program printed, in lines."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable

from loghc.entry.rings import Frame
from loghc.log.escapes import without_escapes
from loghc.utf8 import keep_end

__all__ = ["Printed", "Records", "fold"]

_SMALL_BYTES = 4096  # pieces of a line are put together up to this
_ERROR_BYTES = 4096
_ERASES = "\x1b[2K"
_TELLING_BYTES = 4  # a shorter message may be the end of any line
_MAX_WORDS = 100


class Printed:
    """The tail of what was printed to standard output and standard error.

    Adding is cheap: lines are looked for when they are read. A line is held back until its end
    comes: a secret in it is recognised only as a whole, and the records of others must not come
    between its parts.

    Args:
        size: bytes to keep at least of each stream.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()  # output is added on threads of its own
        self.forget()

    def forget(self) -> None:
        """Keep nothing of what was printed so far."""
        self._streams = {stream: _Stream() for stream in (1, 2)}

    def add(self, data: bytes | memoryview, stream: int, time_ns: int | None = None) -> None:
        """Add what was printed to a stream, now or at a time of CLOCK_MONOTONIC.

        Raises:
            MemoryError: then nothing is kept, so that there is memory for the pings.
        """
        try:
            with self._lock:
                self._streams[stream].add(bytes(data), self._size, time_ns)
        except MemoryError:
            self.forget()
            raise

    def error_text(self) -> bytes:
        """The end of what was printed to standard error, or where they are one, to both."""
        with self._lock:
            pieces = (self._streams[2].pieces or self._streams[1].pieces).copy()
        return keep_end(b"".join(data for _, data in pieces), _ERROR_BYTES)

    def frames(self, *, unfinished: bool) -> list[Frame]:
        """The lines, those of each stream in order.

        Args:
            unfinished: with the line of each stream whose end has not come.
        """
        with self._lock:
            streams = [stream.frames(unfinished=unfinished) for stream in self._streams.values()]
        return [frame for frames in streams for frame in frames]


def fold(data: bytes) -> bytes:
    r"""Lines as a terminal shows them at their end: what follows a carriage return overwrites.

    Example:
        >>> fold(b"copying\n10 %\r100 %\r50\n")
        b'copying\n500 %\n'
    """
    if b"\r" not in data:
        return data
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    text = "\n".join(_shown(line) if "\r" in line else line for line in lines)
    return text.encode("utf-8", "surrogateescape")


def _shown(line: str) -> str:
    body = line.rstrip("\r")
    shown = ""
    for part in body.split("\r"):
        shown = part if _ERASES in part else part + shown[len(part) :]
    return shown + line[len(body) :][:1]  # what comes may overwrite it


class Records:
    """What was recorded, to find what of it was printed as well.

    Args:
        texts: the records, and what else is known, such as tracebacks.
    """

    def __init__(self, texts: Iterable[bytes]) -> None:
        # From a record's first line, or its message, to its last line.
        self._last: dict[bytes, bytes] = {}
        for text in texts:
            first, *others = text.rstrip(b"\n").split(b"\n")
            last = others[-1] if others else b""
            self._last[first] = last
            message = first.partition(b" - ")[2]
            if len(message) >= _TELLING_BYTES:
                self._last[message] = last

    def left_out_of(self, printed: bytes) -> bytes:
        """The printed lines without those of records: each is there once."""
        kept: list[bytes] = []
        skipped: list[bytes] = []
        until = b""  # the last line of a record that is being skipped
        for line in without_escapes(printed).splitlines(keepends=True):
            text = line.strip(b"\r\n")
            if until:
                skipped.append(line)
                if text == until:
                    skipped, until = [], b""
                continue
            last = self._find(text)
            if last is None:
                kept.append(line)
            else:
                until = last
        return b"".join(kept + skipped)

    def _find(self, line: bytes) -> bytes | None:
        """The last line of the record that a line begins; None where it begins none."""
        if line in self._last:
            return self._last[line]
        # In the program's own format the message is at the end, or nearly always.
        words = line.split(b" ")
        for position in range(1, min(len(words), _MAX_WORDS)):
            found = self._last.get(b" ".join(words[position:]))
            if found is not None:
                return found
        return None


class _Stream:
    def __init__(self) -> None:
        self.pieces: deque[tuple[int, bytes]] = deque()  # as they came, and when
        self._size = 0
        self._cut = False  # the first piece begins inside a line

    def add(self, data: bytes, keep: int, time_ns: int | None = None) -> None:
        pieces = self.pieces
        if pieces and len(pieces[-1][1]) < _SMALL_BYTES and b"\n" not in pieces[-1][1]:
            begun = pieces.pop()[1]
            self._size -= len(begun)
            data = begun + data
        if b"\r" in data:  # a progress bar's updates would leave no room for the rest
            data = b"\r" * data.startswith(b"\r") + fold(data)
        pieces.append((time_ns or time.monotonic_ns(), data))
        self._size += len(data)
        while self._size - len(pieces[0][1]) >= keep:
            dropped = pieces.popleft()[1]
            self._size -= len(dropped)
            self._cut = not dropped.endswith(b"\n")

    def frames(self, *, unfinished: bool) -> list[Frame]:
        frames = []
        line = bytearray()
        cut = self._cut
        for time_ns, piece in self.pieces:
            lines, end, rest = piece.rpartition(b"\n")
            if not end:
                line += piece
                continue
            line += lines
            if cut:
                first, end, lines = bytes(line).partition(b"\n")
                frames.append(_frame(time_ns, first, cut=True))
                cut, line = False, bytearray(lines)
            if end:
                frames.append(_frame(time_ns, bytes(line)))
            line = bytearray(rest)
        if line and unfinished:
            frames.append(_frame(time.monotonic_ns(), bytes(line), cut=cut))
        return frames


def _frame(time_ns: int, line: bytes, *, cut: bool = False) -> Frame:
    data = fold(line) + b"\n"
    # UTF-8, as bodies have to be.
    return Frame(time_ns, data if data.isascii() else data.decode("utf-8", "replace").encode(), cut)
