"""The proxy that the environment names for a URL, if any."""

from __future__ import annotations

import base64
import os
import re
from urllib.parse import unquote, urlsplit

__all__ = ["Proxy", "proxy_for"]

_DEFAULT_PORT = {"http": 1080, "https": 443}  # curl's


class Proxy:
    """A proxy, as the environment names it.

    Attributes:
        url: where it is, without user and password.
        user: the user name for it, None when there is none.
        password: the password for it, None when there is none. A secret.
    """

    __slots__ = ("password", "url", "user")

    def __init__(self, url: str, user: str | None, password: str | None) -> None:
        self.url = url
        self.user = user
        self.password = password

    @property
    def secure(self) -> bool:
        """Whether the connection to the proxy itself uses TLS."""
        return self.url.startswith("https:")

    @property
    def headers(self) -> dict[str, str]:
        """The headers for the proxy alone, not for the service behind it."""
        if self.user is None:
            return {}
        credentials = f"{self.user}:{self.password or ''}".encode("utf-8", "replace")
        return {"Proxy-Authorization": f"Basic {base64.b64encode(credentials).decode()}"}

    def __repr__(self) -> str:
        return f"Proxy(url={self.url!r})"


def proxy_for(scheme: str, host: str) -> Proxy | None:
    """The proxy for requests to a host, from ``HTTP_PROXY``, ``HTTPS_PROXY`` and ``NO_PROXY``.

    They are read as curl reads them: lower case wins over upper case, ``ALL_PROXY`` is the default
    for both schemes, an empty variable counts as unset, and a proxy without a scheme is an http
    one. ``NO_PROXY`` is a list of hosts, domains (with all names below them), addresses and
    networks (``10.0.0.0/8``), without ports, or a lone ``*`` for all. There are two differences:
    ``HTTP_PROXY`` in upper case counts as well, unless ``REQUEST_METHOD`` is set (under CGI any
    visitor could set it); and IPv6 addresses and networks are compared as such, not as text as in
    older versions of curl. urllib3 itself reads none of these variables.

    Args:
        scheme: ``http`` or ``https``.
        host: the host, with its port unless that is the scheme's default.

    Raises:
        ValueError: what the environment names is not an http or https proxy. The message doesn't
            show it, as it may hold a password.
    """
    name, text = _variable(f"{scheme}_proxy")
    if not text:
        name, text = _variable("all_proxy")
    if not text or _bypassed(host):
        return None
    return _parsed(name, text)


def _variable(lower: str) -> tuple[str, str]:
    """The name and value of the variable that counts; an empty value if there is none."""
    for name in (lower, lower.upper()):
        text = os.environ.get(name, "").strip()
        if text and not (name == "HTTP_PROXY" and "REQUEST_METHOD" in os.environ):
            return name, text
    return lower, ""


def _parsed(name: str, text: str) -> Proxy:
    expected = f"{name}: expected a proxy such as http://user:password@proxy.example:3128"
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        port = parts.port
    except ValueError:
        raise ValueError(f"{expected}; its host or port can't be read") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"{expected}; {parts.scheme[:20]!r} proxies aren't supported")
    host = parts.hostname or ""
    if not re.fullmatch(r"[A-Za-z0-9_.:%-]+", host):
        raise ValueError(f"{expected}; its host can't be used")
    address = f"[{host}]" if ":" in host else host
    return Proxy(
        url=f"{parts.scheme}://{address}:{port or _DEFAULT_PORT[parts.scheme]}",
        user=None if parts.username is None else unquote(parts.username),
        password=None if parts.password is None else unquote(parts.password),
    )


def _bypassed(host: str) -> bool:
    """Whether ``NO_PROXY`` names a host."""
    rules = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if rules == "*":
        return True
    host = host.lower()
    if host.startswith("["):
        name, covers = host[1:].partition("]")[0], _covers_ipv6
    else:
        name, covers = host.partition(":")[0], _covers_name
        if re.fullmatch(r"[0-9]+(\.[0-9]+){3}\.?", name):
            name, covers = name.removesuffix("."), _covers_ipv4
    return any(covers(rule, name) for rule in re.split("[, \t]+", rules.lower()))


def _covers_name(rule: str, name: str) -> bool:
    domain, name = rule.removesuffix(".").removeprefix("."), name.removesuffix(".")
    return bool(domain) and (name == domain or name.endswith(f".{domain}"))


def _covers_ipv4(rule: str, name: str) -> bool:
    from ipaddress import AddressValueError, IPv4Address

    network, bits = _network(rule, 32)
    try:
        different = int(IPv4Address(network)) ^ int(IPv4Address(name))
    except AddressValueError:
        return False
    return 0 < bits <= 32 and different >> (32 - bits) == 0


def _covers_ipv6(rule: str, name: str) -> bool:
    from ipaddress import AddressValueError, IPv6Address

    network, bits = _network(rule.replace("%", " "), 128)  # no zones
    try:
        different = int(IPv6Address(network)) ^ int(IPv6Address(name))
    except AddressValueError:
        return False
    return 0 < bits <= 128 and different >> (128 - bits) == 0


def _network(rule: str, longest: int) -> tuple[str, int]:
    """A rule's address, and how many of its bits count. No number, or 0, means all of them."""
    address, _, bits = rule.partition("/")
    number = re.match("[+-]?[0-9]+", bits)
    return address, int(number[0] if number else 0) or longest
