"""Where the ping URL comes from when the code doesn't give it."""

from __future__ import annotations

import os
import stat

from loghc.service.url import PingUrl
from loghc.stderr import say

__all__ = ["URL_FILE_VARIABLE", "URL_VARIABLE", "ping_url", "turned_off"]

URL_VARIABLE = "HEALTH_CHECK_URL"
URL_FILE_VARIABLE = "HEALTH_CHECK_URL_FILE"

_FILE_LIMIT = 8192  # bytes: a URL is far shorter, and a wrong path may name something endless

_warned: set[str] = set()  # paths of files of which it was said that others can read them


def ping_url(given: str | None, source: str = "url") -> PingUrl | None:
    """The ping URL that was given, or the environment's, or None when there is none.

    A file that every user of the machine can read or write is warned about, once. Its group isn't:
    that is how a file of root's is handed to a service's own user. Nor is a file on a read-only
    mount, as containers get their secrets: its mode can't be changed, and means little there.

    Args:
        given: the URL; None: ``HEALTH_CHECK_URL``, then what the file that
            ``HEALTH_CHECK_URL_FILE`` names contains (the way containers pass secrets). White space
            around those two doesn't count; empty ones count as not set. ``off`` as the variable's
            value: none, and the file doesn't count.
        source: where ``given`` came from, named in errors.

    Raises:
        TypeError: ``given`` is not a str.
        ValueError: the URL is not one, or the file can't be read.
    """
    if given is not None:
        return _check_url(given, source)
    text = os.environ.get(URL_VARIABLE, "").strip()
    if turned_off():
        return None
    if text:
        return _check_url(text, URL_VARIABLE)
    path = os.environ.get(URL_FILE_VARIABLE, "").strip()
    if not path:
        return None
    if "://" in path:
        raise ValueError(
            f"{URL_FILE_VARIABLE}: expected the path of a file, not a URL; {URL_VARIABLE} takes one"
        )
    return _check_url(_content(path), URL_FILE_VARIABLE)


def _check_url(text: str, source: str) -> PingUrl:
    """A ping URL that names a check: a host's bare address would be answered by a web page."""
    url = PingUrl.parse(text, source)
    if not url.path and not url.query:
        raise ValueError(
            f"{source}: expected a ping URL such as https://hc-ping.com/<uuid>; "
            f"{url.origin} is a host's address alone, and a check's URL has a path"
        )
    return url


def turned_off() -> bool:
    """Whether the environment says that no pings are wanted: ``HEALTH_CHECK_URL=off``."""
    return os.environ.get(URL_VARIABLE, "").strip().lower() == "off"


def _content(path: str) -> str:
    expected = f"{URL_FILE_VARIABLE}: expected the path of a file that holds the ping URL"
    try:
        with open(path, "rb", opener=_without_waiting) as file:  # Path.open has none
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ValueError(f"{expected}; {path!r} is not a regular file")
            content = file.read(_FILE_LIMIT + 1)
            _warn_if_open_to_all(path, status.st_mode, file.fileno())
    except OSError as error:
        raise ValueError(f"{expected}; {path!r} can't be read: {error.strerror}") from None
    if len(content) > _FILE_LIMIT:
        raise ValueError(f"{expected}; {path!r} is longer than {_FILE_LIMIT} bytes")
    try:
        text = content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise ValueError(f"{expected}; {path!r} is not UTF-8 text") from None
    if not text:
        raise ValueError(f"{expected}; {path!r} is empty")
    return text


def _without_waiting(path: str, flags: int) -> int:
    """Opening a FIFO, or some devices, would wait for somebody at their other end."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _warn_if_open_to_all(path: str, mode: int, descriptor: int) -> None:
    """Say once that every user can get at a file, unless a directory above it keeps them out."""
    if os.name != "posix" or not mode & (stat.S_IROTH | stat.S_IWOTH) or path in _warned:
        return
    if os.fstatvfs(descriptor).f_flag & os.ST_RDONLY:
        return
    from pathlib import Path  # late, as it takes a while to import, and few come here

    if all(above.stat().st_mode & stat.S_IXOTH for above in Path(path).resolve().parents):
        _warned.add(path)
        say(
            f"{URL_FILE_VARIABLE}: {path!r} has mode {stat.S_IMODE(mode):04o}: every user of this "
            "machine can see the ping URL, or change it. chmod o= shuts them out."
        )
