"""``loghc ping --dry-run``: why no ping arrives, found out without sending one."""

from __future__ import annotations

import os
import time

from loghc.command.printing import show, show_error
from loghc.ping import Attempt
from loghc.service.environment import URL_FILE_VARIABLE, URL_VARIABLE, ping_url, turned_off
from loghc.service.proxies import Proxy, proxy_for
from loghc.service.url import PingUrl
from loghc.silence.no_url import why_no_url

__all__ = ["EXPOSED", "about_answer", "dry_run"]

EXPOSED = "Pings to it are not encrypted. Use https, if the service offers it."

_FAILED = 1
_USAGE = 2
_ADVICE = (
    "Check the URL's host and port, and this machine's way there: network, DNS, firewall, proxy."
)


def dry_run(given: str | None, seconds: float) -> int:
    """Go all the way to the service, as a sink would, and say what there is on the way.

    Args:
        given: the ping URL, if the command line has one.
        seconds: for the look-up of the name, and the connection, together.

    Returns:
        The exit status: 0, 1 when the service can't be reached, 2 when there is no URL to use.
    """
    if given is None and turned_off():
        return _stop(f"{URL_VARIABLE}=off: no pings are sent. Unset it to have them sent.")
    try:
        url = ping_url(given, "--health-check-url")
        if url is None:
            return _stop(why_no_url())
        show(f"Ping URL: {url.masked}, from {_source(given)}.")
        if url.exposed:
            show(EXPOSED)
        proxy = proxy_for(url.scheme, url.authority)
    except ValueError as error:
        return _stop(str(error))
    show(f"Proxy: {'none' if proxy is None else proxy.url}.")
    failure = _connect(url, proxy, seconds)
    if failure is not None:
        advice = failure.advice or _ADVICE
        show_error(f"loghc ping: {failure.error}. {advice} Nothing was sent.")
        return _FAILED
    show(
        "Nothing was sent. Whether the service knows the check, only a ping tells: "
        "`loghc ping --log` leaves the check's state alone."
    )
    return 0


def about_answer(attempt: Attempt) -> str | None:
    """What to say of a delivered ping's answer; None when it is one that Healthchecks gives."""
    if not attempt.foreign_text:
        return None
    return (
        f'It answered {attempt.foreign_text}, and not "OK" as Healthchecks does. If that is no '
        "monitoring service, the ping was lost: check the URL."
    )


def _stop(text: str) -> int:
    show_error(f"loghc ping: {text}")
    return _USAGE


def _source(given: str | None) -> str:
    if given is not None:
        return "the command line"
    if os.environ.get(URL_VARIABLE, "").strip():
        return URL_VARIABLE
    return f"the file {os.environ[URL_FILE_VARIABLE].strip()!r} that {URL_FILE_VARIABLE} names"


def _connect(url: PingUrl, proxy: Proxy | None, seconds: float) -> Attempt | None:
    """Look the name up and open the connection; what failed, if something did."""
    from loghc.log.masking import Masker
    from loghc.service.answer import interpret_error
    from loghc.service.deadline import Deadline
    from loghc.service.lookup import Resolver
    from loghc.service.transport import Transport, system_trust

    deadline = Deadline()
    transport = Transport(deadline, system_trust(), proxy)
    try:
        if proxy is None:  # else it is the proxy that looks the name up
            deadline.begin(seconds)
            found = Resolver().addresses(url.host, url.port, deadline)
            names = dict.fromkeys(str(address[0]) for *_, address in found)
            show(f"Name: {url.host} is {', '.join(names)}.")
        begun = time.monotonic()
        transport.open(url.origin, seconds)
        took = time.monotonic() - begun
    except Exception as error:  # noqa: BLE001 - whatever it is, it is said
        return interpret_error(error, url.host, Masker(url).text)
    finally:
        transport.close()
    how = "" if proxy is None else " through the proxy"
    if proxy is not None and url.scheme == "http":
        how = " to the proxy"
    tls = ", the certificate is good" if url.scheme == "https" else ""
    show(f"Connection: opened{how} in {took:.2f} s{tls}.")
    return None
