"""Which values are secret: judged by their characters, where the name alone doesn't decide."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

__all__ = [
    "KINDS",
    "compiled",
    "is_joined",
    "is_longer",
    "is_random",
    "is_unlike_words",
    "without_escapes",
]


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """A regular expression, compiled on first use."""
    return re.compile(pattern)


_UUID = r"(?i:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})"
_FINGERPRINT = "(?i:sha[0-9]{1,3}|md5)[:-]|(?:ssh|rsa|ecdsa|ecdh|hmac|aes[0-9]*)-"
# 0004_alter_tokenproxy, google-oauth2
_WORDS = "(?=.*[a-z]{3})(?:[a-z]+[0-9]?|[0-9]{1,14})(?:[._-](?:[a-z]+[0-9]?|[0-9]{1,14}))+"
_NOT_LONG = (  # linux-pip-<digest>, and more
    r"[a-z]{2,}(?:[:-][a-z]{2,})*[:-](?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64})(?:[:-]\w{1,12})*"
    r"|[\w./-]+\.[a-z]{2,4}|[\w-]{1,20}(?:[:/][\w.-]{1,20})+"
    r"|[0-9T:.+Z-]+|0x[0-9A-Fa-f]+|S(?:-[0-9]+)+|[A-Z]{2}[0-9a-f]{32}"
)
# HTTPServerError, photoSync
_JOINED = "(?:[A-Z]+(?:(?![A-Za-z])|(?=[A-Z][a-z]))|[A-Z]?[a-z]{2,}(?![a-z]))+"


def is_joined(value: str) -> bool:
    """Whether a value has only letters, in words that are joined as in names."""
    return compiled(_JOINED).fullmatch(value) is not None


def _is_path(value: str) -> bool:
    """Whether a value is a path, rather than base64 that begins with a slash."""
    return value.startswith(("/", "./", "../", "~")) and not compiled(
        r"/(?=.*\d)(?=[^/]*[a-z])(?=[^/]*[A-Z])[A-Za-z0-9+/]{20,}={0,2}"
    ).fullmatch(value)


def is_unlike_words(value: str) -> bool:
    """Whether a value is neither a word, a few joined words, a small number nor a path."""
    if value.isdigit():
        return len(value) >= 8
    if _is_path(value) or value.startswith(("http://", "https://", "arn:", "file:")):
        return False
    if compiled(_FINGERPRINT).match(value) or compiled(_WORDS).fullmatch(value):
        return False
    if value.isalpha():
        return len(value) >= 16 or bool(compiled("[a-z][A-Z]+[a-z]|[A-Z]{2}[a-z]").search(value))
    return bool(compiled(r"\d|[^\w ./:-]|[a-z][A-Z].*[a-z][A-Z].*[a-z][A-Z]").search(value))


def is_random(value: str, least: int = 8) -> bool:
    """Whether a value looks random: it has letters and digits, or mixes cases as no name does."""
    return (
        len(value) >= least
        and bool(
            # A single search for both would take quadratic time.
            (compiled("[0-9]").search(value) and compiled(r"[^\W\d_]").search(value))
            or (compiled("[a-z][A-Z].*[a-z][A-Z]").search(value) and not is_joined(value))
        )
        and " " not in value
        and is_unlike_words(value)
        # tokens: prompt=512 total=600
        and not compiled(r"[a-z_]+=[^=].*|(?i:http)/[0-9.]+\W*").fullmatch(value)
    )


def is_longer(value: str, least: int) -> bool:
    """Whether a value is random, and not a UUID, path, list, date or number with a unit."""
    return _is_long(value, least) and not compiled(_UUID).fullmatch(value)


def _is_long(value: str, least: int) -> bool:
    return is_random(value, least) and not compiled(_NOT_LONG).fullmatch(value)


KINDS: dict[str, Callable[[str], bool]] = {
    "any": bool,
    "line": bool,
    "no path": lambda value: not _is_path(value),
    "no number": lambda value: (
        not value.isdigit()
        and not _is_path(value)
        and not re.fullmatch(r"[0-9.,]+[a-z%]{0,3}|[0-9]+[/:][0-9]+", value)
    ),
    "no word": is_unlike_words,
    "code": lambda value: bool(compiled(r"[0-9]{3,10}(?:[^\w.:/%-].*)?").fullmatch(value)),
    "random": is_random,
    "long": lambda value: is_longer(value, 16),
    "long or uuid": lambda value: _is_long(value, 16),
}
"""Whether a value counts as secret, for each kind that a name's row may ask for."""


def without_escapes(value: str) -> str:
    r"""A value without ``\u00e4``, ``\n`` and the like, whose letters and digits mean nothing."""
    return compiled(r"\\(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|[nrt\"'])").sub("", value)
