"""The ping URL: parsed once, and never shown with its secret."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, quote, unquote, urlsplit

from loghc.service.slips import slip_in

TYPE_CHECKING = False  # typing takes longer to import than all of this
if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

__all__ = ["UUID", "PingUrl"]

# Patterns are compiled only when a URL needs them, which few do: making a sink must stay cheap.
_HOST_NAME_CHARS, _LABEL_CHARS = 253, 63  # characters, by the rules of DNS
_PORTS = {"http": 80, "https": 443}
_URL_CHARS = 4096  # characters of a whole URL
# IDNA 2003, the standard library's, encodes these differently from IDNA 2008, which browsers and
# curl follow. A log must not end up at another host.
_AMBIGUOUS_IN_NAMES = "\u00df\u03c2\u200c\u200d"
_LOCAL_NAMES = (".localhost", ".local", ".internal", ".lan", ".home.arpa")
UUID = r"(?i:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
"""A pattern for a UUID in its canonical text form, either case."""
_SUFFIXES = ("start", "fail", "log")
_PATH_SAFE = "/%:@!$&'()*+,;=~"
_QUERY_SAFE = _PATH_SAFE + "?"

# Behind a ping key, which has 22 characters. No word of it is so long that it could be a token.
_SLUG = r"/[A-Za-z0-9_-]{22}/((?:[a-z0-9]{1,15}[-_])*[a-z0-9]{1,15})$"


class PingUrl:
    """The parts of a ping URL, in UUID or slug form.

    Attributes:
        origin: scheme, host and port, such as ``https://hc-ping.com``.
        host: the host alone, for proxy rules and warnings.
        port: the URL's, or the scheme's default.
        path: the check's path, without a slash at its end. A secret.
        query: the part after ``?``, as given.
        user: the user name for basic authentication, None when there is none.
        password: the password for it, None when there is none. A secret.
    """

    __slots__ = ("host", "origin", "password", "path", "port", "query", "user")

    def __init__(
        self,
        *,
        origin: str,
        host: str,
        port: int,
        path: str,
        query: str,
        user: str | None,
        password: str | None,
    ) -> None:
        self.origin = origin
        self.host = host
        self.port = port
        self.path = path
        self.query = query
        self.user = user
        self.password = password

    @classmethod
    def parse(cls, text: str, source: str = "url") -> PingUrl:
        """Parse a ping URL.

        Doubled slashes in its path become one.

        Args:
            text: the URL, http or https.
            source: where it came from, named in errors.

        Raises:
            TypeError: ``text`` is not a str.
            ValueError: it is not a ping URL. The message names ``source``, and of the URL shows
                only the scheme and host.
        """
        if not isinstance(text, str):
            raise TypeError(f"{source}: expected a ping URL as a str, not {type(text).__name__}")
        expected = "expected a ping URL such as https://hc-ping.com/<uuid>"
        if not text:
            raise ValueError(f"{source}: {expected}, not an empty str")
        if len(text) > _URL_CHARS:
            raise ValueError(f"{source}: {expected}, of {_URL_CHARS} characters at most")
        slip = slip_in(text)
        if slip is not None:
            raise ValueError(f"{source}: {expected}; {slip}")
        if not text.isprintable() or " " in text or "\\" in text:
            raise ValueError(
                f"{source}: {expected}, without white space, backslashes or control characters"
            )
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:  # its text may quote a password
            raise ValueError(
                f"{source}: {expected}; its host or port can't be read (in a user name or "
                "password, the characters / ? # @ : have to be percent-encoded)"
            ) from None
        if parts.scheme not in ("http", "https"):
            given = f", not {parts.scheme[:20]}://" if "://" in text else ""
            raise ValueError(f"{source}: {expected}; it must start with https:// or http://{given}")
        host = _ascii_host(parts)
        if host is None or port == 0:
            raise ValueError(f"{source}: {expected}; its host or port can't be used")
        origin = f"{parts.scheme}://" + (f"[{host}]" if ":" in host else host)
        if port is not None and port != _PORTS[parts.scheme]:
            origin += f":{port}"
        if "#" in text:
            raise ValueError(f"{source}: {expected}, without a fragment (#...)")
        path = parts.path.rstrip("/")
        while "//" in path:
            path = path.replace("//", "/")
        if any(unquote(segment) in (".", "..") for segment in path.split("/")):
            raise ValueError(f"{source}: {expected}, without . or .. in its path")
        check, _, suffix = path.rpartition("/")
        if _is_suffix(suffix) and re.search(f"/{UUID}$", check):
            raise ValueError(
                f"{source}: expected the ping URL alone, loghc adds the suffix itself; "
                f"{origin}/***/{suffix} was given"
            )
        if any(field.startswith("rid=") for field in parts.query.split("&")):
            raise ValueError(f"{source}: {expected}; loghc adds the run id (rid=) itself")
        return cls(
            origin=origin,
            host=host,
            port=port or _PORTS[parts.scheme],
            path=_quoted(path, _PATH_SAFE),
            query=_quoted(parts.query.strip("&"), _QUERY_SAFE),
            user=None if parts.username is None else unquote(parts.username),
            password=None if parts.password is None else unquote(parts.password),
        )

    def target(self, suffix: str, run_id: str) -> str:
        """The URL of one request, with the suffix before the query and the run id at its end."""
        query = f"{self.query}&rid={run_id}" if self.query else f"rid={run_id}"
        return f"{self.origin}{self.path}{suffix}?{query}"

    @property
    def scheme(self) -> str:
        """``http`` or ``https``."""
        return self.origin.partition(":")[0]

    @property
    def authority(self) -> str:
        """The host (in brackets if it is an IPv6 address), and the port if it isn't the default."""
        return self.origin.partition("://")[2]

    @property
    def credentials(self) -> str | None:
        """``user:password`` for basic authentication; None if the URL has none."""
        return None if self.user is None else f"{self.user}:{self.password or ''}"

    @property
    def masked(self) -> str:
        """The URL as it may be shown: the host, and the slug after a ping key."""
        slug = re.search(_SLUG, self.path)
        if slug is not None:
            return f"{self.origin}/***/{slug[1]}"
        return f"{self.origin}/***" if self.path or self.query else self.origin

    @property
    def exposed(self) -> bool:
        """Whether pings go unencrypted to a host that isn't local.

        These are local: loopback, private and link-local addresses, names under ``.localhost``,
        ``.local``, ``.internal``, ``.lan`` and ``.home.arpa``, and names without a dot.
        """
        return self.scheme == "http" and not _is_local(self.host)

    def __repr__(self) -> str:
        return f"PingUrl({self.masked!r})"


def _quoted(text: str, safe: str) -> str:
    """Percent-encode where needed. Encoded characters stay; a lone ``%`` becomes ``%25``."""
    if "%" in text:
        text = re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", text)
    return quote(text, safe=safe)


def _is_suffix(segment: str) -> bool:
    return segment in _SUFFIXES or (segment.isascii() and segment.isdecimal() and len(segment) <= 5)


def _ascii_host(parts: SplitResult) -> str | None:
    """The host in ASCII, as it is looked up; None if it can't be a host."""
    host = parts.hostname or ""
    if "[" in parts.netloc.rpartition("@")[2]:
        return host if ":" in host and _ip_address(host) is not None else None
    if not host.isascii():
        if any(char in host for char in _AMBIGUOUS_IN_NAMES):
            return None
        try:
            host = host.encode("idna").decode()
        except UnicodeError:
            return None
    name = host.removesuffix(".")
    fits = len(name) <= _HOST_NAME_CHARS and all(map(_is_label, name.split(".")))
    return host if fits else None


def _is_label(text: str) -> bool:
    """Whether a text can be one label of a host name in ASCII."""
    within = 0 < len(text) <= _LABEL_CHARS and text[0] != "-" and text[-1] != "-"
    return within and all(char.isalnum() or char in ("-", "_") for char in text)


def _ip_address(host: str) -> IPv4Address | IPv6Address | None:
    from ipaddress import ip_address

    address, percent, zone = host.partition("%")
    if percent and not re.fullmatch(r"[A-Za-z0-9_.-]{1,32}", zone):
        return None
    try:
        return ip_address(address)
    except ValueError:
        return None


def _is_local(host: str) -> bool:
    name = host.removesuffix(".")
    address = _ip_address(name)
    if address is not None:
        # This includes loopback and link-local ones, and IPv4 addresses written as IPv6.
        return address.is_private
    if name[:1].isdigit() and "." not in name:  # an address to programs in C
        return False
    return "." not in name or name.endswith(_LOCAL_NAMES)
