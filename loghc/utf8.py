"""Encodes log text as UTF-8 and cuts it at character boundaries."""

from __future__ import annotations

__all__ = ["encode", "keep_beginning", "keep_end"]

_CONTINUATION = 0b1000_0000
_CONTINUATION_MASK = 0b1100_0000


def encode(text: str) -> bytes:
    """Text as UTF-8. Lone surrogates, which UTF-8 can't encode, become ``?``. Never raises."""
    return text.encode("utf-8", "replace")


def keep_end(data: bytes, limit: int) -> bytes:
    """The last ``limit`` bytes of UTF-8 ``data``, cut forward to a character boundary."""
    if len(data) <= limit:
        return data
    start = len(data) - limit
    while start < len(data) and data[start] & _CONTINUATION_MASK == _CONTINUATION:
        start += 1
    return data[start:]


def keep_beginning(data: bytes, limit: int) -> bytes:
    """The first ``limit`` bytes of UTF-8 ``data``, cut back to a character boundary."""
    end = min(limit, len(data))
    while 0 < end < len(data) and data[end] & _CONTINUATION_MASK == _CONTINUATION:
        end -= 1
    return data[:end]
