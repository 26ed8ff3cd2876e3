"""Reads the head of an HTTP request, as the clients of a test send it."""

from __future__ import annotations

import re
from io import BufferedIOBase
from typing import Final

from loghc.testing.requests import Headers, RequestHead

__all__ = ["RefusedError", "read_head"]

_MAX_LINE_BYTES: Final = 8_190
_MAX_HEADERS: Final = 100
_REQUEST_LINE: Final = re.compile(r"([A-Z]+) ([!-~]+) (HTTP/1\.[01])")


class RefusedError(Exception):
    """Not a request that the server handles: its first line, and the status that answers it."""

    def __init__(self, status: int, line: str) -> None:
        super().__init__(status, line)
        self.status = status
        self.line = line


def read_head(stream: BufferedIOBase) -> RequestHead | None:
    """Read a request's head; None if the client left before its end.

    Raises:
        RefusedError: it isn't HTTP, or is too large.
    """
    first = _read_line(stream)
    if first is None:
        return None
    parts = _REQUEST_LINE.fullmatch(first)
    if parts is None:
        raise RefusedError(400, first)
    items: list[tuple[str, str]] = []
    while line := _read_line(stream):
        name, colon, value = line.partition(":")
        if not colon or len(items) == _MAX_HEADERS:
            raise RefusedError(431 if colon else 400, first)
        items.append((name, value.strip(" \t")))
    if line is None:
        return None
    headers = Headers(items)
    if not re.fullmatch("[0-9]+", headers.get("Content-Length", "0")):
        raise RefusedError(400, first)
    method, target, version = parts.groups()
    path, _, query = re.sub("^[a-z]+://[^/]*", "", target).partition("#")[0].partition("?")
    wanted = headers.get("Connection", "").lower()
    kept_alive = wanted == "keep-alive" or (wanted != "close" and version != "HTTP/1.0")
    return RequestHead(method, path, query, headers, version, kept_alive)


def _read_line(stream: BufferedIOBase) -> str | None:
    """A line without its end; None at the end of the connection."""
    line = stream.readline(_MAX_LINE_BYTES + 2)
    if line.endswith(b"\n"):
        return line.rstrip(b"\r\n").decode("latin-1")
    if len(line) == _MAX_LINE_BYTES + 2:
        raise RefusedError(431, line.decode("latin-1"))
    return None
