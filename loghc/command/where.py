"""The options for where pings go, shared by ``loghc run`` and ``loghc ping``."""

from __future__ import annotations

import os

from loghc.command.table import Option, UsageError, store
from loghc.command.values import file, header, seconds
from loghc.service.environment import (
    CA_FILE_VARIABLE,
    URL_FILE_VARIABLE,
    URL_VARIABLE,
    ca_file,
    check_ca_file,
    ping_url,
    turned_off,
    url_in_file,
)

TYPE_CHECKING = False  # typing takes longer to import than a program to start
if TYPE_CHECKING:
    from typing import Protocol

    from loghc.service.url import PingUrl

    class Where(Protocol):
        """The attributes that these options set."""

        given_url: str | None
        url_file: str | None
        headers: dict[str, str]
        ca_file: str | None
        timeout: float


__all__ = ["REFUSED", "WHERE", "find_ca_file", "find_url", "source_of"]

REFUSED = {
    "--timeout": "--timeout: the time for one ping is --ping-timeout; for the program's own, write "
    '"loghc run timeout 30m COMMAND"'
}


def _header(options: Where, text: str) -> None:
    name, value = header(text)
    options.headers[name] = value


WHERE = (
    Option(
        "--url --health-check-url",
        "URL",
        "the ping URL. Everybody on this machine can see it in the list of processes; "
        f"{URL_VARIABLE} or a file keeps it private",
        store("given_url"),
    ),
    Option(
        "--url-file",
        "FILE",
        f"a file that holds the ping URL (default: {URL_FILE_VARIABLE})",
        store("url_file", convert=file),
    ),
    Option(
        "--header",
        "NAME=VALUE",
        "a request header; repeatable. Everybody can see this, too",
        _header,
    ),
    Option(
        "--ca-file",
        "FILE",
        "trust the certificates in this PEM file, and no others "
        f"(default: {CA_FILE_VARIABLE}, then what the system trusts)",
        store("ca_file", convert=file),
    ),
    Option(
        "--ping-timeout",
        "SECONDS",
        "for one attempt at a ping (default 10); retries after a time-out get up to four times "
        "as long",
        store("timeout", convert=seconds),
    ),
)


def find_url(options: Where) -> PingUrl:
    """The ping URL from the command line or the environment.

    Raises:
        UsageError: there is none, there are two, or it is no ping URL.
    """
    if options.given_url is not None and options.url_file is not None:
        raise UsageError("expected one ping URL: --url or --url-file")
    try:
        if options.url_file is not None:
            return url_in_file(options.url_file, "--url-file")
        url = ping_url(options.given_url, "--url")
    except ValueError as error:
        raise UsageError(str(error)) from None
    if url is None:
        if turned_off():
            raise UsageError(f"{URL_VARIABLE}=off: no pings are sent; unset it to send them")
        from loghc.hints.no_url import why_no_url

        raise UsageError(why_no_url().removesuffix("."))
    return url


def source_of(options: Where) -> str:
    """Where the ping URL comes from, in words."""
    if options.given_url is not None:
        return "the command line"
    if options.url_file is not None:
        return f"the file {options.url_file!r}"
    if os.environ.get(URL_VARIABLE, "").strip():
        return URL_VARIABLE
    return f"the file {os.environ[URL_FILE_VARIABLE].strip()!r} that {URL_FILE_VARIABLE} names"


def find_ca_file(options: Where) -> None:
    """Check the file of certificates, and make its path absolute.

    Raises:
        UsageError: it can't be used.
    """
    source = CA_FILE_VARIABLE if options.ca_file is None else "--ca-file"
    path = options.ca_file or ca_file()
    if path is None:
        return
    try:
        check_ca_file(path, source)
    except ValueError as error:
        raise UsageError(str(error)) from None
    options.ca_file = os.path.abspath(path)
