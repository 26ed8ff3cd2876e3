"""Reads the body of an HTTP request, up to a limit."""

from __future__ import annotations

import re
from io import BufferedIOBase
from typing import Final

from loghc.testing.requests import Headers

__all__ = ["BrokenOffError", "MalformedError", "read_body"]

# The service takes 2.6 MB; what is a little longer is read for the test to look at.
_MAX_BODY_BYTES: Final = 4 * 2**20


class BrokenOffError(Exception):
    """The body ends, or is to be cut, in its middle; the argument is the part that was read."""


class MalformedError(Exception):
    """The size that the request states is invalid; the argument is the part that was read."""


def read_body(stream: BufferedIOBase, headers: Headers, *, halfway: bool = False) -> bytes:
    """Read a request's body; with `halfway`, stop in its middle.

    Raises:
        BrokenOffError: the body ended, or was stopped, in its middle.
        MalformedError: its stated size is too large, or a chunk's is not a number.
    """
    if "Transfer-Encoding" in headers:
        return _read_chunks(stream, halfway=halfway)
    # Ten digits are enough to tell; int() refuses thousands of them.
    length = int(headers.get("Content-Length", "0").lstrip("0")[:10] or "0")
    if length > _MAX_BODY_BYTES:
        raise MalformedError(b"")
    if halfway:
        raise BrokenOffError(stream.read(length // 2))
    body = stream.read(length)
    if len(body) < length:
        raise BrokenOffError(body)
    return body


def _read_chunks(stream: BufferedIOBase, *, halfway: bool) -> bytes:
    body = bytearray()
    while True:
        line = stream.readline(1000)
        if not line:
            raise BrokenOffError(bytes(body))
        stated = line.partition(b";")[0].strip()
        if not re.fullmatch(b"[0-9a-fA-F]{1,8}", stated):
            raise MalformedError(bytes(body))
        size = int(stated, 16)
        if halfway:
            raise BrokenOffError(bytes(body) + stream.read(size // 2))
        if len(body) + size > _MAX_BODY_BYTES:
            raise MalformedError(bytes(body))
        body += stream.read(size)
        if size == 0:
            break
        if stream.readline(3).strip():
            raise MalformedError(bytes(body))
    while stream.readline(65_537).strip():  # trailers
        pass
    return bytes(body)
