"""Finds the other occurrences of secrets that were found in one place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from loghc.log.secrets.kinds import is_random

__all__ = ["repeats", "telling"]

_SHORTEST = 8  # characters
_STRONG = 12  # characters; letters and digits this long aren't a word, even in a path
_MOST = 16  # values that begin with the same characters
_PART = re.compile(r"(?<!\\)[A-Za-z0-9](?:[^\s\"'`,;()<>{}\[\]=&|\\]|=(?![A-Za-z]))*")
_RUN = re.compile("[A-Za-z0-9]+")
_JOINTS = "/.\\-:@"
_ADDRESS = re.compile(r"(?:[\w-]+[./@:])+[A-Za-z]+[\w-]*|/.*|[\w.-]*\*+|0x[0-9a-f]{1,16}")


def telling(secrets: Iterable[str]) -> dict[str, list[str]]:
    """The parts of secrets to mask everywhere, by the letters and digits that they begin with.

    Only parts that could hardly be anything else: of 8 characters or more, with a digit or in mixed
    case, and not an address, a path or a logger's name.
    """
    found: dict[str, list[str]] = {}
    for part in set(_PART.findall("\n".join(set(secrets)))):
        if _is_telling(part):
            alike = found.setdefault(_RUN.match(part)[0], [])  # type: ignore[index]
            if len(alike) < _MOST:
                alike.append(part)
    return found


def repeats(secrets: dict[str, list[str]], text: str) -> Iterator[tuple[int, int]]:
    """The begin and end of each occurrence of a secret in a text."""
    for head in _RUN.finditer(text) if not secrets.keys().isdisjoint(_RUN.findall(text)) else ():
        first = head.start()
        for part in secrets.get(head[0], ()):
            last = first + len(part)
            before, after = text[first - 1 : first], text[last : last + 1]
            if text.startswith(part, first) and not (before.isalnum() or after.isalnum()):
                joined = before and after and (before in _JOINTS or after in _JOINTS)
                if not joined or is_random(part, _STRONG):
                    yield first, last


def _is_telling(part: str) -> bool:
    return (
        len(part) >= _SHORTEST
        and bool(re.search("[0-9]|[a-z][A-Z]|[A-Z]{2}[a-z]", part))
        and not part.replace(".", "").isdigit()
        and not _ADDRESS.fullmatch(part)
    )
