"""The ping URL: read once, taken apart, and never shown with its secret."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, quote, unquote, urlsplit

__all__ = ["UUID", "PingUrl"]

# Patterns are compiled when they are first used: importing loghc must stay cheap.
_UNSAFE = r"[\s\\\x00-\x1f\x7f-\x9f]"
_HOST = r"(?i:[a-z0-9_]([a-z0-9_.-]*[a-z0-9_.])?|[0-9a-f:.]+(%[a-z0-9_.-]+)?)"
UUID = r"(?i:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
"""A pattern for a UUID in its canonical text form, either case."""
_WITH_SUFFIX = rf".*/{UUID}/(start|fail|log|[0-9]+)"
_PATH_SAFE = "/%:@!$&'()*+,;=~"
_QUERY_SAFE = _PATH_SAFE + "?"


@dataclass(frozen=True)
class PingUrl:
    """A ping URL, UUID or slug form, in its parts.

    Attributes:
        origin: scheme, host and port, such as ``https://hc-ping.com``.
        host: the host alone, for proxy rules and warnings.
        path: the check's path, without a slash at its end. A secret.
        query: what follows ``?``, as given.
        user: the user name for basic authentication, None when there is none.
        password: the password for it. A secret.
    """

    origin: str
    host: str
    path: str = field(repr=False)
    query: str = field(repr=False)
    user: str | None = field(repr=False)
    password: str | None = field(repr=False)

    @classmethod
    def parse(cls, text: str, source: str = "url") -> PingUrl:
        """Take a ping URL apart.

        Args:
            text: the URL, http or https.
            source: where it came from, named in errors.

        Raises:
            TypeError: ``text`` is not a str.
            ValueError: it is not a ping URL. The message names ``source`` and shows of the URL no
                more than its scheme and host.
        """
        if not isinstance(text, str):
            raise TypeError(f"{source}: expected a ping URL as a str, not {type(text).__name__}")
        expected = "expected a ping URL such as https://hc-ping.com/<uuid>"
        if not text:
            raise ValueError(f"{source}: {expected}, not an empty str")
        if re.search(_UNSAFE, text):
            raise ValueError(f"{source}: {expected}, without white space or control characters")
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:  # its text may quote a password
            raise ValueError(f"{source}: {expected}; its host or port can't be read") from None
        if parts.scheme not in ("http", "https"):
            given = f"scheme {parts.scheme[:20]!r}" if "://" in text else "no scheme"
            raise ValueError(f"{source}: {expected}; {given} was given, not http or https")
        host = _ascii_host(parts)
        if not host or port == 0:
            raise ValueError(f"{source}: {expected}; its host or port can't be used")
        origin = f"{parts.scheme}://" + (f"[{host}]" if ":" in host else host)
        if port is not None and port != {"http": 80, "https": 443}[parts.scheme]:
            origin += f":{port}"
        if parts.fragment:
            raise ValueError(f"{source}: {expected}, without a fragment (#...)")
        path = parts.path.rstrip("/")
        suffix = re.fullmatch(_WITH_SUFFIX, path)
        if suffix:
            raise ValueError(
                f"{source}: expected the ping URL alone, loghc adds the suffix itself; "
                f"{origin}/***/{suffix[1]} was given"
            )
        return cls(
            origin=origin,
            host=host,
            path=quote(path, safe=_PATH_SAFE),
            query=quote(parts.query, safe=_QUERY_SAFE),
            user=None if parts.username is None else unquote(parts.username),
            password=None if parts.password is None else unquote(parts.password),
        )

    def target(self, suffix: str, run_id: str) -> str:
        """The URL of one request: the suffix goes before the query, the run id at its end."""
        query = f"{self.query}&rid={run_id}" if self.query else f"rid={run_id}"
        return f"{self.origin}{self.path}{suffix}?{query}"

    @property
    def credentials(self) -> str | None:
        """``user:password`` for basic authentication, None when the URL has none."""
        if self.user is None and self.password is None:
            return None
        return f"{self.user or ''}:{self.password or ''}"

    @property
    def masked(self) -> str:
        """What may be shown of it."""
        return f"{self.origin}/***" if self.path or self.query else self.origin

    def __repr__(self) -> str:
        return f"PingUrl({self.masked!r})"


def _ascii_host(parts: SplitResult) -> str | None:
    host = parts.hostname or ""
    try:
        host.encode("ascii")
    except UnicodeEncodeError:
        try:
            host = host.encode("idna").decode()
        except UnicodeError:
            return None
    return host if re.fullmatch(_HOST, host) else None
