"""Reads the head of an HTTP request, as strictly as the server that Healthchecks runs on.

That is gunicorn, with its default limits. `answers.json` beside this has what it answered.
"""

from __future__ import annotations

import re
from io import BufferedIOBase
from typing import Final

from loghc.testing.heads import RefusedError
from loghc.testing.requests import Headers, RequestHead

# In bytes, without the line's end.
_LONGEST_REQUEST_LINE: Final = 4_094
_LONGEST_HEADER: Final = 8_188
_MOST_HEADERS: Final = 100

# Of a method or a header's name.
_NAME_CHARACTERS: Final = "[!#$%&'*+.^_`|~0-9A-Za-z-]"
_REQUEST_LINE: Final = re.compile(
    f"(?P<method>(?:(?![a-z#]){_NAME_CHARACTERS}){{3,20}}) "
    "(?P<target>[!-~]+) (?P<version>HTTP/1[.][0-9])"
)
_ORIGIN: Final = re.compile("[A-Za-z][^/]*://[^/]*")  # of a target as a proxy is asked
_HEADER: Final = re.compile(
    f"(?P<name>{_NAME_CHARACTERS}+):[ \t]*(?P<value>[^\x00-\x08\n-\x1f\x7f]*)"
)
_ONLY_ONCE: Final = ("host", "content-type", "content-length")


def read_head(stream: BufferedIOBase) -> RequestHead | None:
    """Read a request's head; None if the client left before its end.

    Raises:
        RefusedError: it is malformed, too large, or asks for what the server doesn't do.
    """
    first = ""
    try:
        line = _read_line(stream, _LONGEST_REQUEST_LINE, 414)
        # One empty line before is fine, and no more.
        first = _read_line(stream, _LONGEST_REQUEST_LINE, 414) if line == "" else line
        parts = _REQUEST_LINE.fullmatch(first)
        if parts is None or not _is_target(parts["method"], parts["target"]):
            raise RefusedError(400, first)
        items = _read_headers(stream)
        headers = Headers(items)
        _check_framing(headers, parts["version"])
    except EOFError:
        return None
    except RefusedError as error:
        raise RefusedError(error.status, first or error.line) from None
    method, version = parts["method"], parts["version"]
    path, _, query = parts["target"].partition("#")[0].partition("?")
    path = _ORIGIN.sub("", path, count=1) if not path.startswith("/") else path
    return RequestHead(
        method, path, query, headers, version, _is_kept_alive(method, headers, version)
    )


def _read_line(stream: BufferedIOBase, limit: int, status: int) -> str:
    line = stream.readline(limit + 2)
    text = line.decode("latin-1")
    if line.endswith(b"\r\n"):
        return text[:-2]
    if line.endswith(b"\n"):
        raise RefusedError(400, text)
    if len(line) == limit + 2:
        raise RefusedError(status, text)
    raise EOFError


def _is_target(method: str, target: str) -> bool:
    if target == "*":
        return method == "OPTIONS"
    return method == "CONNECT" or target.startswith("/") or "://" in target


def _read_headers(stream: BufferedIOBase) -> list[tuple[str, str]]:
    items: list[tuple[str, str]] = []
    while line := _read_line(stream, _LONGEST_HEADER, 431):
        if len(items) == _MOST_HEADERS:
            raise RefusedError(431, line)
        header = _HEADER.fullmatch(line)
        if header is None:
            raise RefusedError(400, line)
        items.append((header["name"], header["value"].rstrip(" \t")))
    names = [name.lower() for name, _ in items]
    if any(names.count(name) > 1 for name in _ONLY_ONCE):
        raise RefusedError(400, "")
    if any(name.lower() == "expect" and value.lower() != "100-continue" for name, value in items):
        raise RefusedError(417, "")
    return items


def _check_framing(headers: Headers, version: str) -> None:
    """Refuse what leaves open where the body ends."""
    if "Transfer-Encoding" not in headers:
        if not re.fullmatch("[0-9]+", headers.get("Content-Length", "0")):
            raise RefusedError(400, "")
        return
    *before, last = (coding.strip().lower() for coding in headers["Transfer-Encoding"].split(","))
    known = {"identity", "gzip", "deflate", "compress"}
    if not {*before, last} <= known | {"chunked"}:
        raise RefusedError(501, "")
    if last != "chunked" or "chunked" in before:
        raise RefusedError(400, "")
    if version == "HTTP/1.0" or "Content-Length" in headers:
        raise RefusedError(400, "")


def _is_kept_alive(method: str, headers: Headers, version: str) -> bool:
    coding = headers.get("Transfer-Encoding", "").lower()
    if method == "CONNECT" or re.search("gzip|deflate|compress", coding):
        return False
    wish = headers.get("Connection", "").lower()
    return wish == "keep-alive" or (wish != "close" and version != "HTTP/1.0")
