"""The ways in which a secret may be written in a log."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from string import ascii_letters, digits, hexdigits
from urllib.parse import quote, quote_plus

__all__ = ["is_uuid", "spellings", "spellings_in_either_case"]

_PLAIN = frozenset(ascii_letters + digits + "_.,:@%+=-")  # escaped only in URLs


def is_uuid(text: str) -> bool:
    """Whether a text is a UUID in its canonical form, in either case."""
    parts = text.split("-")
    return [len(part) for part in parts] == [8, 4, 4, 4, 12] and set(hexdigits) >= set().union(
        *parts
    )


def spellings(secret: str) -> set[str]:
    """The usual spellings of a secret, regardless of case.

    They are the secret as it is; percent-encoded; escaped for JSON, ``repr()``, a shell or HTML;
    with two of these applied in turn; and for a UUID, also without its hyphens.

    Example:
        >>> {"p@ss", "p%40ss", "p%2540ss", "%70%40%73%73"} <= spellings("p@ss")
        True
    """
    secret = secret.encode("utf-8", "replace").decode()
    plain = {secret, secret.replace("-", "")} if is_uuid(secret) else {secret}
    once = {spelled for text in plain for way in _ways(text) for spelled in way(text)}
    twice = {spelled for text in once for way in _ways(text) for spelled in way(text)}
    return plain | once | twice


def spellings_in_either_case(secret: str) -> list[str]:
    """The usual spellings of a secret, longest first.

    The digits of percent codes are in upper case, and in lower case.
    """
    spelled = spellings(secret)
    spelled |= {re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), text) for text in spelled}
    return sorted(spelled, key=len, reverse=True)


def _percent_encoded(text: str) -> Iterator[str]:
    yield quote(text, safe="")
    yield quote(text)  # a slash stays
    yield quote(text, safe="/!$&'()*+,;=:~")  # as in a URL's path or user
    yield quote_plus(text)
    yield "".join(f"%{byte:02X}" for byte in text.encode())


def _json(text: str) -> Iterator[str]:
    for escaped in (json.dumps(text), json.dumps(text, ensure_ascii=False)):
        yield escaped[1:-1]
        yield escaped[1:-1].replace("/", "\\/")


def _python(text: str) -> Iterator[str]:
    quoted = '"' + text  # makes repr() use single quotes
    # ascii() also covers the repr() of Latin-1 bytes.
    for literal in (repr(quoted), ascii(quoted), repr(quoted.encode())[1:]):
        escaped = literal[2:-1]
        # Which quotes are escaped depends on the quotes around the text.
        for single in (escaped, escaped.replace("\\'", "'")):
            yield single
            yield single.replace('"', '\\"')


def _shell(text: str) -> Iterator[str]:
    yield text.replace("'", "'\"'\"'")
    yield text.replace("'", "'\\''")
    yield "".join(char if char in _PLAIN or char == "/" else f"\\{char}" for char in text)


def _html(text: str) -> Iterator[str]:
    # Like html.escape(), whose import takes as long as everything else here together.
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    yield text
    text = text.replace('"', "&quot;")
    yield text.replace("'", "&#x27;")
    yield text.replace("'", "&#39;")


_WAYS: tuple[Callable[[str], Iterator[str]], ...] = (
    _percent_encoded,
    _json,
    _python,
    _shell,
    _html,
)


def _ways(text: str) -> tuple[Callable[[str], Iterator[str]], ...]:
    return (_percent_encoded,) if _PLAIN.issuperset(text) else _WAYS
