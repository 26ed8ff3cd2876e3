"""Which proxy, if any, the environment names for a URL."""

from __future__ import annotations

import base64
import os
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

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
        """Whether the proxy itself is spoken to over TLS."""
        return self.url.startswith("https:")

    @property
    def headers(self) -> dict[str, str]:
        """What the proxy, and nobody behind it, is to be sent."""
        if self.user is None and self.password is None:
            return {}
        credentials = f"{self.user or ''}:{self.password or ''}".encode("utf-8", "replace")
        return {"Proxy-Authorization": f"Basic {base64.b64encode(credentials).decode()}"}

    def __repr__(self) -> str:
        return f"Proxy(url={self.url!r})"


def proxy_for(scheme: str, host: str) -> Proxy | None:
    """The proxy for requests to a host, from ``HTTP_PROXY``, ``HTTPS_PROXY`` and ``NO_PROXY``.

    Read as curl reads them: lower-case names go before upper-case ones, ``ALL_PROXY`` stands in for
    both schemes, an empty variable counts as not set, and a proxy without a scheme is an http one.
    ``NO_PROXY`` is a list of hosts, domains (with all names below them), addresses and networks
    (``10.0.0.0/8``), each perhaps with a port, or ``*`` for all. Unlike curl, ``HTTP_PROXY`` in
    upper case counts too, unless ``REQUEST_METHOD`` is set: a web server that runs the program as
    CGI would let any visitor set it. urllib3 itself reads none of these.

    Args:
        scheme: ``http`` or ``https``.
        host: the host, with its port where it is not the scheme's own.

    Raises:
        ValueError: what the environment names is not an http or https proxy. The message doesn't
            show it, as it may hold a password.
    """
    name, text = _variable(f"{scheme}_proxy")
    if not text:
        name, text = _variable("all_proxy")
    if not text or _bypassed(host, _variable("no_proxy")[1]):
        return None
    return _parsed(name, text)


def _variable(lower: str) -> tuple[str, str]:
    """The name and the value of the variable that counts; an empty value when there is none."""
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


def _bypassed(host: str, rules: str) -> bool:
    """Whether ``NO_PROXY`` names a host."""
    if rules == "*":
        return True
    name, port = _split_port(host.lower())
    return any(_covers(rule, name, port) for rule in re.split(r"[,\s]+", rules.lower()) if rule)


def _covers(rule: str, name: str, port: str) -> bool:
    rule_name, rule_port = _split_port(rule)
    if rule_port and rule_port != port:
        return False
    network, address = _network(rule_name), _network(name)
    if network is not None and address is not None:
        # Two versions of IP have nothing in common, and subnet_of() raises for them.
        return network.version == address.version and address.subnet_of(network)  # type: ignore[arg-type]
    domain = rule_name.strip(".")
    return bool(domain) and (name == domain or name.endswith(f".{domain}"))


def _split_port(host: str) -> tuple[str, str]:
    """A host without brackets or a trailing dot, and its port, or an empty str."""
    found = re.fullmatch(r"\[([^\]]*)\](?::([0-9]+))?|([^:]*):([0-9]+)", host)
    if found is None:
        return host.rstrip("."), ""
    return (found[1] or found[3] or "").rstrip("."), found[2] or found[4] or ""


def _network(text: str) -> IPv4Network | IPv6Network | None:
    """A network, or an address as the network of it alone; None for a name."""
    from ipaddress import ip_network

    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None
