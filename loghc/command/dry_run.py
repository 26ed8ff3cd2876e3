"""``--dry-run``: finds out why no ping arrives, without sending one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from loghc.command.printing import show, show_error
from loghc.command.table import UsageError
from loghc.command.where import find_ca_file, find_url, source_of
from loghc.ping import Attempt
from loghc.service.proxies import Proxy, proxy_for
from loghc.service.url import PingUrl

if TYPE_CHECKING:
    from loghc.command.where import Where

__all__ = ["EXPOSED", "about_answer", "dry_run"]

EXPOSED = "Pings to it are not encrypted. Use https, if the service offers it."

_FAILED = 1
_ADVICE = (
    "Check the URL's host and port, and this machine's way there: network, DNS, firewall, proxy."
)


def dry_run(options: Where, command: str) -> int:
    """Connect to the service as a sink would, and print each step.

    Args:
        options: where pings go.
        command: the command's name, for messages.

    Returns:
        The exit status: 0; 1 if the service can't be reached.

    Raises:
        UsageError: there is no URL or proxy to use.
    """
    url = find_url(options)
    find_ca_file(options)
    show(f"Ping URL: {url.masked}, from {source_of(options)}.")
    if url.exposed:
        show(EXPOSED)
    try:
        proxy = proxy_for(url.scheme, url.authority)
    except ValueError as error:
        raise UsageError(str(error)) from None
    show(f"Proxy: {'none' if proxy is None else proxy.url}.")
    if options.ca_file is not None:
        show(f"Trusted: the certificates in {options.ca_file!r}.")
    failure = _connect(url, proxy, options)
    if failure is not None:
        advice = failure.advice or _ADVICE
        show_error(f"{command}: {failure.error}. {advice} Nothing was sent.")
        return _FAILED
    show(
        "Nothing was sent. Whether the service knows the check, only a ping tells: "
        "`loghc ping --log` leaves the check's state alone."
    )
    return 0


def about_answer(attempt: Attempt) -> str | None:
    """A remark on the answer to a delivered ping; None if it is one of Healthchecks' own."""
    if not attempt.foreign_text:
        return None
    return (
        f'It answered {attempt.foreign_text}, and not "OK" as Healthchecks does. If that is no '
        "monitoring service, the ping was lost: check the URL."
    )


def _connect(url: PingUrl, proxy: Proxy | None, options: Where) -> Attempt | None:
    """Look the name up and open the connection; returns what failed, if anything."""
    from loghc.deadline import Deadline
    from loghc.log.masking import Masker
    from loghc.service.answer import interpret_error
    from loghc.service.lookup import Resolver
    from loghc.service.transport import Transport, system_trust

    deadline = Deadline()
    seconds = options.timeout
    try:
        transport = Transport(deadline, system_trust(options.ca_file), proxy)
        if proxy is None:  # else the proxy looks the name up
            deadline.begin(seconds)
            found = Resolver().addresses(url.host, url.port, deadline)
            names = dict.fromkeys(str(address[0]) for *_, address in found)
            show(f"Name: {url.host} is {', '.join(names)}.")
        begun = time.monotonic()
        transport.open(url.origin, seconds)
        took = time.monotonic() - begun
    except Exception as error:  # noqa: BLE001 - whatever it is, it is reported
        return interpret_error(error, url.host, Masker(url).text)
    finally:
        transport.close()
    how = "" if proxy is None else " through the proxy"
    if proxy is not None and url.scheme == "http":
        how = " to the proxy"
    tls = ", the certificate is good" if url.scheme == "https" else ""
    show(f"Connection: opened{how} in {took:.2f} s{tls}.")
    return None
