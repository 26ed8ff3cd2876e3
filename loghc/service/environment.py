"""The ping URL from the environment, when the code doesn't give one."""

from __future__ import annotations

import os
import re
import stat

from loghc.report import report
from loghc.service.url import UUID, PingUrl

__all__ = [
    "CA_FILE_VARIABLE",
    "URL_FILE_VARIABLE",
    "URL_VARIABLE",
    "ca_file",
    "check_ca_file",
    "ping_url",
    "turned_off",
    "url_in_file",
]

URL_VARIABLE = "HEALTH_CHECK_URL"
URL_FILE_VARIABLE = "HEALTH_CHECK_URL_FILE"
CA_FILE_VARIABLE = "HEALTH_CHECK_CA_FILE"

# Bytes. URLs and certificates are far shorter, and a wrong path may name something endless.
_FILE_LIMIT_BYTES = 8192
_CA_FILE_LIMIT_BYTES = 2**22

# A host and a path: a URL's beginning without the scheme.
_LIKE_A_URL = r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:[0-9]+)?/."

_warned: set[str] = set()  # paths of files that were reported as open to others


def ping_url(given: str | None, source: str = "url") -> PingUrl | None:
    """The ping URL that was given, or the environment's; None if there is none.

    It warns once about a file that users other than its owner and group can read, change or
    replace. The group is fine: that is how root's file is handed to a service's own user.

    Args:
        given: the URL. None: ``HEALTH_CHECK_URL``, then the contents of the file that
            ``HEALTH_CHECK_URL_FILE`` names (the way containers pass secrets). White space around
            them is ignored, and empty ones count as unset. If the variable is ``off`` there is no
            URL, and the file is ignored.
        source: where ``given`` came from, named in errors.

    Raises:
        TypeError: ``given`` is not a str.
        ValueError: it is not a ping URL, or the file can't be read.
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
    return url_in_file(path, URL_FILE_VARIABLE)


def url_in_file(path: str, source: str) -> PingUrl:
    """The ping URL in a file.

    Args:
        path: the file's.
        source: where the path came from, named in errors.

    Raises:
        ValueError: the file can't be read, or holds no ping URL.
    """
    if "://" in path or (re.match(_LIKE_A_URL, path) and not os.path.exists(path)):  # noqa: PTH110
        raise ValueError(
            f"{source}: expected the path of a file, not a URL; {URL_VARIABLE} takes one"
        )
    return _check_url(_content(path, source), source)


def ca_file() -> str | None:
    """The file of certificates that the environment names; None if it names none."""
    path = os.environ.get(CA_FILE_VARIABLE, "").strip()
    return os.path.abspath(path) if path else None  # noqa: PTH100 - pathlib would be imported


def check_ca_file(path: str, source: str) -> None:
    """Reject a file that has no certificates.

    Raises:
        ValueError: it can't be read, or has no certificate in PEM form.
    """
    shown = f"{source}: expected a PEM file of certificates; {path!r}"
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            found = b"-----BEGIN " in file.read(_CA_FILE_LIMIT_BYTES)
    except OSError as error:
        raise ValueError(f"{shown} can't be read: {error.strerror}{_about_home(path)}") from None
    if not found:
        raise ValueError(f"{shown} has none")


def _about_home(path: str) -> str:
    return " (~ is the shell's: write the whole path)" if path.startswith("~") else ""


def _check_url(text: str, source: str) -> PingUrl:
    """Parse a ping URL that names a check: a host's bare address would answer with a web page."""
    url = PingUrl.parse(text, source)
    if not url.path and not url.query:
        raise ValueError(
            f"{source}: expected a ping URL such as https://hc-ping.com/<uuid>; "
            f"{url.origin} is only the host: a check's URL has a path"
        )
    return url


def turned_off() -> bool:
    """Whether the environment turns pings off: ``HEALTH_CHECK_URL=off``."""
    return os.environ.get(URL_VARIABLE, "").strip().lower() == "off"


def _content(path: str, source: str) -> str:
    expected = f"{source}: expected the path of a file that holds the ping URL"
    shown = re.sub(UUID, "***", path)  # it may be what the file should hold
    try:
        with open(path, "rb", opener=_without_waiting) as file:  # Path.open takes no opener
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ValueError(f"{expected}; {shown!r} is not a regular file")
            content = file.read(_FILE_LIMIT_BYTES + 1)
            _warn_if_open_to_others(path, status.st_mode, source)
    except OSError as error:
        why = f"{error.strerror}{_about_home(path)}"
        raise ValueError(f"{expected}; {shown!r} can't be read: {why}") from None
    if len(content) > _FILE_LIMIT_BYTES:
        raise ValueError(f"{expected}; {shown!r} is longer than {_FILE_LIMIT_BYTES} bytes")
    try:
        text = content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise ValueError(f"{expected}; {shown!r} is not UTF-8 text") from None
    if not text:
        raise ValueError(f"{expected}; {shown!r} is empty")
    return text


def _without_waiting(path: str, flags: int) -> int:
    """Open without waiting for the other end of a FIFO or a device."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _warn_if_open_to_others(path: str, mode: int, source: str) -> None:
    """Report once that others can read, change or replace a file."""
    if os.name != "posix" or path in _warned:
        return
    directory = os.path.dirname(path) or "."  # noqa: PTH120 - pathlib would be imported for this
    try:
        around = os.stat(directory).st_mode  # noqa: PTH116
    except OSError:
        around = 0
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        has, cure = f"{path!r} has mode {stat.S_IMODE(mode):04o}: others can see", "chmod o="
    elif around & stat.S_IWOTH and not around & stat.S_ISVTX:
        has, cure = f"{path!r} is in a directory that others can write: they can see", "chmod o-w"
    else:
        return
    _warned.add(path)
    report(f"{source}: {has} the ping URL, or change it. {cure} keeps them out.")
