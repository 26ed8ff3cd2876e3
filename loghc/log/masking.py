"""Keeps the secrets of the ping URL out of everything that is shown or sent."""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote

from loghc.log.spelling import is_uuid, spellings, spellings_in_either_case
from loghc.service.proxies import proxy_for
from loghc.service.url import PingUrl

__all__ = ["MASK", "Masker"]

MASK = "***"

# Text that could be an ordinary word is masked only where it appears as in a URL. A key has at
# least this many characters, with a digit or a capital among lower-case letters, or is very long.
_SHORTEST_KEY = 8
_LONGEST_WORD = 16
_SHORTEST_PASSWORD = 4
_AUTHENTICATING = (
    r"(?i:auth|key|token|secret|pass|pwd|cookie|credential|signature|session|otp|\bpin$)"
)
_SLASH = r"(?:/|\\/|%2[fF])"
# A word may follow an escaped newline, whose letter isn't part of it.
_WORD_BEGINS = r"(?:(?<![A-Za-z0-9_])|(?<=\\[nrt]))"
_WORD_ENDS = r"(?![A-Za-z0-9_])"


class _Place:
    """A secret that is masked only where it appears as in a URL, or as a whole word.

    Args:
        secret: the secret.
        before: a pattern for the text before it, which isn't masked.
        after: a pattern for the text after it, which isn't masked. By default, any text.
    """

    def __init__(self, secret: str, before: str, after: str = "") -> None:
        self._spelled = [text.encode() for text in spellings_in_either_case(secret)]
        self._before = before.encode()
        self._after = after.encode()

    def masked_in(self, data: bytes) -> bytes:
        """Data with the secret masked."""
        if not any(spelled in data for spelled in self._spelled):
            return data
        spelled = b"|".join(map(re.escape, self._spelled))
        pattern = b"(%b)(?:%b)%b" % (self._before, spelled, self._after)
        return re.sub(pattern, rb"\1" + MASK.encode(), data)


class Masker:
    """Replaces the secret parts of a ping URL, in their usual spellings, with ``***``.

    It masks a UUID (in either case, with or without hyphens), a ping key, the path as a whole, a
    password and the basic authentication header made from it; query values that look like keys; the
    values of authentication headers; and the user and password of the proxy. A slug alone isn't
    secret and isn't masked, nor is anything that could be an ordinary word. For the spellings, see
    ``spelling``.

    Args:
        url: the ping URL.
        headers: mappings from name to value of the request headers, including a pool manager's;
            None counts as no headers.

    Example:
        >>> url = PingUrl.parse("https://hc-ping.com/9e9d9bbe-4f2b-4a0e-a1e0-111111111111")
        >>> Masker(url).text("GET /9E9D9BBE-4F2B-4A0E-A1E0-111111111111 failed")
        'GET /*** failed'
    """

    def __init__(self, url: PingUrl, *headers: Mapping[str, object] | None) -> None:
        # Patterns are compiled when first needed, as the app waits while a sink is created.
        self._url = url
        self._headers = [dict(mapping) for mapping in headers if mapping]
        self._secrets: tuple[list[tuple[bytes, bytes]], list[_Place]] | None = None

    def data(self, data: bytes) -> bytes:
        """UTF-8 data with the secrets masked."""
        if self._secrets is None:
            self._secrets = self._found()
        keys, places = self._secrets
        for place in places:
            data = place.masked_in(data)
        low = data.lower()
        for key, pattern in keys:
            if key in low:
                data = re.sub(pattern, MASK.encode(), data, flags=re.IGNORECASE)
                low = data.lower()
        return data

    def _found(self) -> tuple[list[tuple[bytes, bytes]], list[_Place]]:
        """The secrets that are masked everywhere, and those masked in some places only.

        The former are pairs of lower-case text and pattern: searching for the lower-case text first
        takes a tenth of the time of a case-insensitive search.
        """
        secrets: list[str | _Place] = [*_url_secrets(self._url), *_proxy_secrets(self._url)]
        for mapping in self._headers:
            secrets += _header_secrets(mapping)
        keys = {spelled for key in secrets if isinstance(key, str) for spelled in spellings(key)}
        longest_first = sorted({key.encode() for key in keys}, key=len, reverse=True)
        return (
            [(key.lower(), re.escape(key)) for key in longest_first],
            [place for place in secrets if isinstance(place, _Place)],
        )

    def text(self, text: str) -> str:
        """Text with the secrets masked. Never raises: text that can't be masked isn't shown."""
        try:
            return self.data(text.encode("utf-8", "replace")).decode()
        except Exception as error:  # noqa: BLE001 - a problem is reported, whatever its text
            kind = type(error).__name__
            return f"{MASK} (masking raised {kind}, so this text isn't shown; please report this)"


def _url_secrets(url: PingUrl) -> Iterator[str | _Place]:
    segments = [unquote(segment) for segment in url.path.split("/") if segment]
    yield from _path_secrets(url, segments)
    for part in url.query.split("&") if url.query else ():
        name, _, value = part.partition("=")
        if _is_key(unquote(value or name)):
            yield unquote(value or name)
        elif len(value) >= _SHORTEST_PASSWORD:
            yield _Place(unquote(value), rf"{re.escape(name)}(?:=|%3[dD])")
    if url.user is not None:
        yield from _login(url.user, url.password)


def _path_secrets(url: PingUrl, segments: list[str]) -> Iterator[str | _Place]:
    keys = [segment for segment in segments[-2:] if _is_key(segment)]
    if len(keys) == 2 and not is_uuid(keys[1]):
        keys.pop()  # <key>/<slug>: the slug isn't secret
    secrets = [segment for segment in segments if segment in keys or is_uuid(segment)]
    yield from secrets
    if segments == secrets:
        return  # each is masked separately
    before = _SLASH
    if len(segments) == 1 and len(segments[0]) < _SHORTEST_KEY:
        # So short a path is a secret only after its own host.
        authority = "|".join(map(re.escape, spellings_in_either_case(url.authority)))
        before = rf"(?i:{authority}){_SLASH}"
    yield _Place("/".join(segments), before, r"(?![\w-])")


def _header_secrets(headers: Mapping[str, object]) -> Iterator[str | _Place]:
    # A pool manager accepts names and values of any type.
    for name, value in ((_as_text(name), _as_text(given)) for name, given in headers.items()):
        if not re.search(_AUTHENTICATING, name):
            continue
        credentials = value
        scheme_first = re.match("(?s)([A-Za-z0-9-]+) +(.+)", value)
        if scheme_first and "auth" in name.lower():
            scheme, credentials = scheme_first.groups()
            if scheme.lower() == "basic":
                yield from _basic_passwords(credentials)
        yield from _word_or_key(credentials)
        # Cookies and the parts of a digest have names.
        for part in re.split(r"[;,\s]+", credentials):
            part_value = part.partition("=")[2].strip('"') or part
            if _is_key(part_value):
                yield part_value


def _as_text(given: object) -> str:
    return (given.decode("latin-1") if isinstance(given, bytes) else str(given)).strip()


def _basic_passwords(credentials: str) -> Iterator[str | _Place]:
    """The password in basic credentials, in either encoding that clients use."""
    try:
        decoded = base64.b64decode(credentials + "==")  # too much padding does no harm
    except ValueError:  # not ASCII, or not a valid length for base64
        return
    for encoding in ("utf-8", "latin-1"):
        with contextlib.suppress(UnicodeDecodeError):
            yield from _password(decoded.decode(encoding).partition(":")[2])


def _proxy_secrets(url: PingUrl) -> Iterator[str | _Place]:
    try:
        proxy = proxy_for(url.scheme, url.authority)
    except ValueError:  # reported when it is used
        return
    if proxy is not None and proxy.user is not None:
        yield from _login(proxy.user, proxy.password)


def _login(user: str, password: str | None) -> Iterator[str | _Place]:
    """A password, or a user name that is a token; and the basic credentials made from them."""
    yield from _password(password or user)
    encoded = base64.b64encode(f"{user}:{password or ''}".encode("utf-8", "replace")).decode()
    for padding in (encoded, encoded.replace("=", "")):
        yield padding
        yield padding.replace("+", "-").replace("/", "_")


def _password(password: str) -> Iterator[str | _Place]:
    if password:
        yield _Place(password, "[:/]", "(?=@|%40)")
        yield from _word_or_key(password)


def _word_or_key(secret: str) -> Iterator[str | _Place]:
    """A secret to mask everywhere, or only as a whole word if it could be part of another."""
    if _is_key(secret):
        yield secret
    elif len(secret) >= _SHORTEST_PASSWORD:
        yield _Place(secret, _WORD_BEGINS, _WORD_ENDS)


def _is_key(text: str) -> bool:
    """Whether a text can't be an ordinary word in a log."""
    if len(text) < _SHORTEST_KEY:
        return False
    if any(digit in text for digit in "0123456789") or re.search(r"[a-z][A-Z]|[^\w.-]", text):
        return True
    return text.isalnum() and len(text) > _LONGEST_WORD
