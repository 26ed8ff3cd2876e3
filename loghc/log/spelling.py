"""The ways in which a secret may be spelled in a log."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator
from urllib.parse import quote, quote_plus

from loghc.service.url import UUID

__all__ = ["any_spelling", "spellings"]


def spellings(secret: str) -> set[str]:
    """A secret in its usual spellings, apart from small and capital letters.

    As it is, percent-encoded, escaped as JSON, ``repr()``, a shell or HTML escape it, or two of
    these one after the other; a UUID also without its hyphens.

    Example:
        >>> {"p@ss", "p%40ss", "p%2540ss", "%70%40%73%73"} <= spellings("p@ss")
        True
    """
    secret = secret.encode("utf-8", "replace").decode()
    plain = {secret, secret.replace("-", "")} if re.fullmatch(UUID, secret) else {secret}
    once = {spelled for text in plain for way in _WAYS for spelled in way(text)}
    twice = {spelled for text in once for way in _WAYS for spelled in way(text)}
    return plain | once | twice


def any_spelling(secret: str) -> str:
    """A pattern for a secret in its usual spellings."""
    spelled = spellings(secret)
    # What is percent-encoded may have its digits in either case.
    spelled |= {re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), text) for text in spelled}
    longest_first = sorted(spelled, key=len, reverse=True)
    return f"(?:{'|'.join(map(re.escape, longest_first))})"


def _percent_encoded(text: str) -> Iterator[str]:
    yield quote(text, safe="")
    yield quote(text, safe="/")
    yield quote(text, safe="/!$&'()*+,;=:~")  # as it stands in a URL's path or user
    yield quote_plus(text)
    yield "".join(f"%{byte:02X}" for byte in text.encode())


def _json(text: str) -> Iterator[str]:
    for escaped in (json.dumps(text), json.dumps(text, ensure_ascii=False)):
        yield escaped[1:-1]
        yield escaped[1:-1].replace("/", "\\/")


def _python(text: str) -> Iterator[str]:
    latin = text.encode("latin-1", "ignore")
    for escaped in (
        repr('"' + text)[2:-1],
        ascii('"' + text)[2:-1],
        repr(b'"' + text.encode())[3:-1],
        repr(b'"' + latin)[3:-1] if len(latin) == len(text) else repr('"' + text)[2:-1],
    ):
        # Which quotes are escaped depends on those that stand around the text.
        for single in (escaped, escaped.replace("\\'", "'")):
            yield single
            yield single.replace('"', '\\"')


def _shell(text: str) -> Iterator[str]:
    yield text.replace("'", "'\"'\"'")
    yield text.replace("'", "'\\''")
    yield re.sub(r"([^A-Za-z0-9_.,:/@%+=-])", r"\\\1", text)


def _html(text: str) -> Iterator[str]:
    yield html.escape(text)
    yield html.escape(text, quote=False)
    yield html.escape(text).replace("&#x27;", "&#39;")


_WAYS: tuple[Callable[[str], Iterator[str]], ...] = (
    _percent_encoded,
    _json,
    _python,
    _shell,
    _html,
)
