"""Where the ping URL comes from when the code doesn't give it."""

from __future__ import annotations

import os
from pathlib import Path

from loghc.url import PingUrl

__all__ = ["URL_FILE_VARIABLE", "URL_VARIABLE", "ping_url"]

URL_VARIABLE = "HEALTH_CHECK_URL"
URL_FILE_VARIABLE = "HEALTH_CHECK_URL_FILE"

_FILE_LIMIT = 8192  # bytes: a URL is far shorter, and a wrong path may name something endless


def ping_url(given: str | None) -> PingUrl | None:
    """The ping URL that was given, or the environment's, or None when there is none.

    Args:
        given: the URL; None: ``HEALTH_CHECK_URL``, then what the file that
            ``HEALTH_CHECK_URL_FILE`` names contains (the way containers pass secrets). White space
            around those two doesn't count; empty ones count as not set.

    Raises:
        TypeError: ``given`` is not a str.
        ValueError: the URL is not one, or the file can't be read.
    """
    if given is not None:
        return PingUrl.parse(given)
    text = os.environ.get(URL_VARIABLE, "").strip()
    if text:
        return PingUrl.parse(text, URL_VARIABLE)
    path = os.environ.get(URL_FILE_VARIABLE, "").strip()
    if not path:
        return None
    return PingUrl.parse(_first_line(Path(path)), URL_FILE_VARIABLE)


def _first_line(path: Path) -> str:
    expected = f"{URL_FILE_VARIABLE}: expected the path of a file that holds the ping URL"
    try:
        with path.open("rb") as file:
            content = file.read(_FILE_LIMIT + 1)
    except OSError as error:
        raise ValueError(f"{expected}; {str(path)!r} can't be read: {error.strerror}") from None
    if len(content) > _FILE_LIMIT:
        raise ValueError(f"{expected}; {str(path)!r} is longer than {_FILE_LIMIT} bytes")
    try:
        text = content.decode().strip()
    except UnicodeDecodeError:
        raise ValueError(f"{expected}; {str(path)!r} is not UTF-8 text") from None
    if not text:
        raise ValueError(f"{expected}; {str(path)!r} is empty")
    return text
