"""Keeps the ping URL's secret out of everything that is shown or sent."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote

from loghc.service.proxies import proxy_for
from loghc.service.url import UUID, PingUrl

__all__ = ["MASK", "Masker"]

MASK = "***"

# What could be a word of the log's own is masked only where it stands in a URL: a key has this many
# characters, a digit or a capital in the midst of small letters among them, or is very long.
_SHORTEST_KEY = 8
_LONGEST_WORD = 16
_SHORTEST_PASSWORD = 4
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"}
_AUTHENTICATING = r"(?i:auth|key|token|secret|passw|cookie|credential|signature|session)"


class Masker:
    """Replaces a ping URL's secret parts by ``***``, in any spelling.

    Masked are a UUID (either case, with or without hyphens), a ping key, the path as a whole, a
    password, and the basic authentication header made of it; the keys among the query's values;
    what stands in headers for authentication; and the password for the proxy. Each also
    percent-encoded, in whole or in part, and escaped as JSON, ``repr()``, a shell or HTML escape
    it. A slug alone is no secret and stays, as does what could be any word.

    Args:
        url: the ping URL.
        headers: the request headers that are sent along, from name to value.

    Example:
        >>> url = PingUrl.parse("https://hc-ping.com/9e9d9bbe-4f2b-4a0e-a1e0-111111111111")
        >>> Masker(url).text("GET /9E9D9BBE-4F2B-4A0E-A1E0-111111111111 failed")
        'GET /*** failed'
    """

    def __init__(self, url: PingUrl, headers: Mapping[str, str] | None = None) -> None:
        patterns = [*_url_patterns(url), *_header_patterns(headers or {}), *_proxy_patterns(url)]
        # One after the other, the longest first: a pattern alone that begins with a few certain
        # characters is many times as fast as its turn in an alternation. And bytes: a log is
        # masked as it is, without decoding it first.
        compiled = [
            re.compile(pattern.encode()) for pattern in sorted(set(patterns), key=len, reverse=True)
        ]
        self._secrets = [
            (pattern, (rb"\1" if pattern.groups else b"") + MASK.encode()) for pattern in compiled
        ]

    def data(self, data: bytes) -> bytes:
        """UTF-8 without the secrets."""
        for pattern, mask in self._secrets:
            data = pattern.sub(mask, data)
        return data

    def text(self, text: str) -> str:
        """Text without the secrets."""
        return self.data(text.encode("utf-8", "replace")).decode("utf-8", "replace")


def _url_patterns(url: PingUrl) -> Iterator[str]:
    segments = [unquote(segment) for segment in url.path.split("/") if segment]
    yield from _path_patterns(url, segments)
    for name, value in re.findall(r"([^&=]*)=?([^&]*)", url.query):
        if _is_key(unquote(value or name)):
            yield _anywhere(unquote(value or name))
        elif len(value) >= _SHORTEST_PASSWORD:
            yield f"({_spelled(name)}(?:=|%3[dD])){_spelled(unquote(value))}"
    if url.password or url.user:
        yield from _password_patterns(url.password or url.user or "")
        yield from _basic_patterns(url.credentials or "")


def _path_patterns(url: PingUrl, segments: list[str]) -> Iterator[str]:
    last_two = segments[-2:]
    keys = [segment for segment in last_two if _is_key(segment)]
    if len(keys) == 2 and not re.fullmatch(UUID, keys[1]):
        keys.pop()  # <key>/<slug>: a slug is no secret
    secrets = [segment for segment in segments if segment in keys or re.fullmatch(UUID, segment)]
    yield from map(_anywhere, secrets)
    if segments != secrets[:1]:  # a path that is one secret alone is found as that
        slash = r"(?:/|\\{1,3}/|%(?:25){0,3}2[fF]){1,3}"
        path = slash.join(_spelled(segment, fold=True) for segment in segments)
        ends = r"(?![\w-])"
        if len(segments) > 1 or len(segments[0]) >= _SHORTEST_KEY:
            yield f"(/|%2[fF]){path}{ends}"
        else:
            port = f":{url.port}"
            authority = _spelled(url.host, fold=True) + r"\]?"
            if url.origin.endswith(port):
                authority += _spelled(port)
            yield f"({authority}{slash}){path}{ends}"


def _header_patterns(headers: Mapping[str, str]) -> Iterator[str]:
    for name, value in headers.items():
        scheme, _, credentials = value.strip().rpartition(" ")
        if not re.search(_AUTHENTICATING, name) or len(credentials) < _SHORTEST_PASSWORD:
            continue
        yield _anywhere(credentials) if _is_key(credentials) else _as_word(credentials)
        if scheme.lower() == "basic":
            try:
                decoded = base64.b64decode(credentials, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                continue
            yield from _password_patterns(decoded.partition(":")[2])


def _proxy_patterns(url: PingUrl) -> Iterator[str]:
    try:
        proxy = proxy_for(url.scheme, url.authority)
    except ValueError:  # reported when it is to be used
        return
    if proxy is not None and proxy.password:
        yield from _password_patterns(proxy.password)
        yield from _basic_patterns(f"{proxy.user or ''}:{proxy.password}")


def _password_patterns(password: str) -> Iterator[str]:
    if password:
        yield f"([:/]){_spelled(password, fold=True)}(?=@|%40)"
        if _is_key(password):
            yield _anywhere(password)
        elif len(password) >= _SHORTEST_PASSWORD:
            yield _as_word(password)


def _basic_patterns(credentials: str) -> Iterator[str]:
    encoded = base64.b64encode(credentials.encode("utf-8", "replace")).decode().rstrip("=")
    yield rf"{_spelled(encoded)}(?:=|%3[dD]){{0,2}}"
    urlsafe = encoded.replace("+", "-").replace("/", "_")
    if urlsafe != encoded:
        yield rf"{_spelled(urlsafe)}(?:=|%3[dD]){{0,2}}"


def _is_key(text: str) -> bool:
    """Whether a text can't be a word that a log has of its own."""
    if len(text) < _SHORTEST_KEY:
        return False
    mixed = re.search(r"[0-9]|[a-z][A-Z]|[^\w.-]", text)
    return bool(mixed) or (text.isalnum() and len(text) > _LONGEST_WORD)


def _anywhere(secret: str) -> str:
    return f"{_spelled(secret, fold=True)}"


def _as_word(secret: str) -> str:
    # An escaped newline may stand before it, with its letter.
    begins = r"(?:(?<![A-Za-z0-9_])|(?<=\\[nrt]))"
    return rf"({begins}){_spelled(secret)}(?![A-Za-z0-9_])"


def _spelled(secret: str, *, fold: bool = False) -> str:
    """A pattern for a secret in all its spellings.

    Args:
        secret: the text itself.
        fold: whether it is meant in either case.
    """
    optional = "?" if re.fullmatch(UUID, secret) else ""
    return "".join(
        f"(?:{'|'.join(dict.fromkeys(_spellings(char, fold=fold)))})"
        + (optional if char == "-" else "")
        for char in secret
    )


def _spellings(char: str, *, fold: bool) -> Iterator[str]:
    """Patterns for a character. Each begins with a certain one, that makes the search fast."""
    cases = {char, char.lower(), char.upper()} if fold and char.isalpha() else {char}
    for case in sorted(cases):
        data = case.encode("utf-8", "replace")
        yield re.escape(case)
        yield "".join(f"%(?:25){{0,3}}{_hex(f'{byte:02x}')}" for byte in data)
        if char.isascii() and char.isalnum():
            continue
        yield rf"\\\\{{0,3}}{re.escape(case)}"
        for unit in (data, case.encode("latin-1", "ignore")):
            if unit:
                yield "".join(rf"\\\\{{0,3}}x{_hex(f'{byte:02x}')}" for byte in unit)
        units = case.encode("utf-16-be", "replace").hex()
        yield "".join(rf"\\\\{{0,3}}u{_hex(units[n : n + 4])}" for n in range(0, len(units), 4))
        yield rf"\\\\{{0,3}}U{_hex(f'{ord(case[0]):08x}')}"
        if case in _ENTITIES:
            yield re.escape(_ENTITIES[case])
        if case == "'":  # the way out of a shell's quotes, and back in
            yield "'\"'\"'"
        if case == " ":
            yield r"\+"


def _hex(digits: str) -> str:
    return "".join(f"[{d}{d.upper()}]" if d.isalpha() else d for d in digits)
