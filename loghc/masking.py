"""Keeps the ping URL's secret out of everything that is shown or sent."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from urllib.parse import unquote

from loghc.url import UUID, PingUrl

__all__ = ["MASK", "Masker"]

MASK = "***"

# A shorter string, or one that reads as a word, may stand in a log for something else: it is
# masked only where it stands in a URL.
_SHORTEST_KEY = 8
_SHORTEST_PASSWORD = 4
_TOKEN = rf"(?=.*[A-Z0-9]).{{{_SHORTEST_KEY},}}"


class Masker:
    """Replaces a ping URL's secret parts by ``***``, in any spelling.

    Masked are a UUID (either case, with or without hyphens), a ping key, the path as a whole, a
    password, and the basic authentication header made of it; each also percent-encoded, in whole
    or in part. A slug alone is no secret and stays.

    Args:
        url: the ping URL.

    Example:
        >>> url = PingUrl.parse("https://hc-ping.com/9e9d9bbe-4f2b-4a0e-a1e0-111111111111")
        >>> Masker(url).text("GET /9E9D9BBE-4F2B-4A0E-A1E0-111111111111 failed")
        'GET /*** failed'
    """

    def __init__(self, url: PingUrl) -> None:
        patterns = sorted(set(_patterns(url)), key=len, reverse=True)
        # Bytes: a chunk of the tail is masked as it is, without decoding it first.
        self._secret = re.compile("|".join(patterns).encode(), re.IGNORECASE) if patterns else None

    def data(self, data: bytes) -> bytes:
        """UTF-8 without the secret."""
        return data if self._secret is None else self._secret.sub(MASK.encode(), data)

    def text(self, text: str) -> str:
        """Text without the secret."""
        return self.data(text.encode("utf-8", "replace")).decode()


def _patterns(url: PingUrl) -> Iterator[str]:
    segments = [unquote(segment) for segment in url.path.split("/") if segment]
    for position, segment in enumerate(segments):
        key_of_slug = position == len(segments) - 2 and not re.fullmatch(UUID, segments[-1])
        if (
            re.fullmatch(UUID, segment)
            or (position >= len(segments) - 2 and re.fullmatch(_TOKEN, segment))
            or (key_of_slug and len(segment) >= _SHORTEST_KEY)
        ):
            yield _spellings(segment)
    if segments:
        path = r"(?:\\?/|%2f)+".join(_spellings(segment) for segment in segments)
        if len(segments) > 1 or len(segments[0]) >= _SHORTEST_KEY:
            yield rf"(?<=/){path}(?![\w-])"
        yield rf"(?<={re.escape(url.host)}/){path}"
        port = url.origin.rpartition(url.host)[2]
        if port:
            yield rf"(?<={re.escape(url.host + port)}/){path}"
    for value in re.findall(r"=([^&]+)", url.query):
        if re.fullmatch(_TOKEN, unquote(value)):
            yield _spellings(unquote(value))
    secret = url.password or url.user
    if secret:
        yield rf"(?<=[:/]){_spellings(secret)}(?=@)"
        if len(secret) >= _SHORTEST_PASSWORD:
            yield _spellings(secret)
        credentials = (url.credentials or "").encode()
        yield re.escape(base64.b64encode(credentials).decode())


def _spellings(secret: str) -> str:
    """A pattern for a secret with any of its characters percent-encoded."""
    hyphen = r"(?:-|%2d)?" if re.fullmatch(UUID, secret) else r"(?:-|%2d)"
    return "".join(
        hyphen
        if char == "-"
        else "(?:{}|{})".format(
            re.escape(char), "".join(f"%{byte:02x}" for byte in char.encode("utf-8", "replace"))
        )
        for char in secret
    )
