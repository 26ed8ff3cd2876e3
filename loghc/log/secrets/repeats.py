"""Once secret, secret everywhere: what was found in one place is masked in all others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from loghc.log.secrets.searched import places_of
from loghc.log.secrets.values import is_random

__all__ = ["repeats"]

_SHORTEST = 8  # characters
_STRONG = 12  # with so many, letters and digits are no word, in a path neither
_FEW = 100  # texts that are looked for one after the other
_MOST = 16  # values that begin with the same characters
_PIECE = re.compile(r"(?<!\\)[A-Za-z0-9](?:[^\s\"'`,;()<>{}\[\]=&|\\]|=(?![A-Za-z]))*")
_RUN = re.compile("[A-Za-z0-9]+")
_JOINTS = "/.\\-:@"
_ADDRESS = re.compile(r"(?:[\w-]+[./@:])+[A-Za-z]+[\w-]*|/.*|[\w.-]*\*+|0x[0-9a-f]{1,16}")


def repeats(secrets: Iterable[str], text: str) -> Iterator[tuple[int, int]]:
    """Where secrets stand in a text: begin and end.

    Only those that could hardly be anything else: of 8 characters or more, with a digit or in
    mixed case; and no address, path or logger's name.
    """
    by_head: dict[str, list[str]] = {}
    for secret in secrets:
        for piece in _PIECE.findall(secret):
            if _is_telling(piece):
                alike = by_head.setdefault(piece[:_SHORTEST], [])
                if piece not in alike and len(alike) < _MOST:
                    alike.append(piece)
    if len(by_head) < _FEW:
        starts = (place for head in by_head for place in places_of(head, text))
    else:
        starts = (run.start() for run in _RUN.finditer(text))
    for first in starts:
        for piece in by_head.get(text[first : first + _SHORTEST], ()):
            last = first + len(piece)
            before, after = text[first - 1 : first], text[last : last + 1]
            if text.startswith(piece, first) and not (before.isalnum() or after.isalnum()):
                joined = before and after and (before in _JOINTS or after in _JOINTS)
                if not joined or is_random(piece, _STRONG):
                    yield first, last


def _is_telling(piece: str) -> bool:
    return (
        len(piece) >= _SHORTEST
        and bool(re.search("[0-9]|[a-z][A-Z]|[A-Z]{2}[a-z]", piece))
        and not piece.replace(".", "").isdigit()
        and not _ADDRESS.fullmatch(piece)
    )
