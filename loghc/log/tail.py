"""The end of a log, kept in bounded memory at O(1) per record."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from loghc import native
from loghc.log.tracebacks import without_middle
from loghc.utf8 import encode

__all__ = ["CONTEXT", "EMPTY", "Log", "Snapshot", "Tail"]

_BATCH = 64  # records that wait in a plain list
_LONG = 2048  # characters; longer records don't wait, as a batch of them would be too large

# Batches of short records are merged up to this size. The number of chunks, and with it the cost
# of a snapshot, then depends on the limit alone and not on how short the records are.
_CHUNK = 4096  # bytes

CONTEXT = 8192
"""Characters kept before the limit when a single record exceeds it. A secret that crosses the limit
is then still whole when the rules search for it."""


class Log(Protocol):
    """Something that keeps a log."""

    def append(self, text: str) -> None:
        """Add one record."""


class _CutRecord(bytes):
    """A chunk that begins inside a record."""

    __slots__ = ()


class Snapshot:
    """The tail at one moment. Taking it copies references, not bytes.

    Attributes:
        chunks: whole records in UTF-8, together at least ``limit`` bytes if that much was logged.
        begins_inside_record: whether the first chunk is the end of a record that was too long to be
            kept whole.
    """

    __slots__ = ("begins_inside_record", "chunks")

    def __init__(self, chunks: tuple[bytes, ...], *, begins_inside_record: bool) -> None:
        self.chunks = chunks
        self.begins_inside_record = begins_inside_record


EMPTY = Snapshot((), begins_inside_record=False)


class Tail:
    r"""A byte-bounded deque of formatted records: the last ``limit`` bytes, or slightly more.

    The newest records wait in a plain list and enter the deque in batches: joining and encoding
    them together costs a fraction of doing so one by one. The average cost of a record depends
    neither on the limit nor on what was logged before.

    ``append`` may be called from several threads at once: nothing is lost or torn.

    Args:
        limit: bytes of UTF-8 to keep, 1 or more.

    Attributes:
        body_size: returns the most bytes of the tail that will be sent, as far as is known; by
            default ``limit``. A traceback takes at most a third of them.

    Example:
        >>> tail = Tail(1000)
        >>> tail.append("one\\n")
        >>> tail.append("two\\n")
        >>> b"".join(tail.snapshot().chunks)
        b'one\\ntwo\\n'
    """

    __slots__ = ("_chunks", "_limit", "_lock", "_recent", "_size", "body_size")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.body_size: Callable[[], int] = lambda: limit
        self._recent: list[str] = []
        self._chunks: deque[bytes] = deque()
        self._size = 0  # bytes in all chunks
        self._lock = native.RLock()  # a signal handler may log while its thread is in here

    def append(self, text: str) -> None:
        """Add one record."""
        if len(text) > _LONG:
            self._append_long(text)
            return
        recent = self._recent
        # loguru's message is a str that carries its whole record: only a plain copy releases it.
        # Adding an empty str makes one, faster than str() does.
        recent.append(text + "")
        if len(recent) >= _BATCH:
            native.holding(self._lock, self._settle)

    def snapshot(self) -> Snapshot:
        """Everything needed to render the last ``limit`` bytes, now or later."""
        chunks = native.holding(self._lock, self._settled)
        return Snapshot(
            chunks, begins_inside_record=bool(chunks) and isinstance(chunks[0], _CutRecord)
        )

    def after_fork(self) -> None:
        """Make the tail usable in a forked child, whose parent's threads may have held its lock."""
        self._lock = native.RLock()

    def _append_long(self, text: str) -> None:
        """Add one long record at once, without waiting for a batch."""
        record = getattr(text, "record", None)
        if record is not None and record.get("exception"):
            text = without_middle(text, self.body_size() // 3)
        keep = self._limit + CONTEXT  # characters, so at least that many bytes
        chunk = _CutRecord(encode(text[-keep:])) if len(text) > keep else encode(text)
        native.holding(self._lock, self._settle, chunk)

    def _settled(self) -> tuple[bytes, ...]:
        """All chunks, including the recent records. The caller holds the lock."""
        self._settle()
        chunks = tuple(self._chunks)
        # Recounted: a signal handler may have raised after the chunks changed but before their size
        # was updated.
        self._size = sum(map(len, chunks))
        return chunks

    def _settle(self, long: bytes | None = None) -> None:
        """Move the recent records, then a long one, into the chunks. The caller holds the lock."""
        recent = self._recent
        count = len(recent)  # another thread may append meanwhile; its record stays in the list
        if count:
            batch = encode("".join(recent[:count]))
            del recent[:count]
            chunks = self._chunks
            if chunks and len(chunks[-1]) + len(batch) <= _CHUNK:
                last = chunks.pop()
                merged = len(last)  # first: as in _add, no call may split the update
                self._size -= merged
                batch = last + batch
            self._add(batch)
        if long is not None:
            self._add(long)

    def _add(self, chunk: bytes) -> None:
        """Add a chunk, and drop the chunks that lie wholly before the limit."""
        chunks = self._chunks
        chunks.append(chunk)
        # No call splits the update of the size: a signal handler could log during a call.
        added = len(chunk)
        self._size += added
        while len(chunks) > 1 and self._size - len(chunks[0]) >= self._limit:
            dropped = len(chunks.popleft())
            self._size -= dropped
