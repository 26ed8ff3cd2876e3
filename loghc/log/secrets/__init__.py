r"""Built-in rules: secrets that tell by their names, their shapes, or the text around them.

    HealthSink(url)  # they hold without being named
    HealthSink(url, redact=r"ACME-\d{12}")  # and this is taken out too

They rather take out too much, keep what tells the reader what was there (``password=[redacted]``),
and take time in proportion to the text. No list of this kind is whole. The tables are in the
modules ``names``, ``shapes``, ``commands`` and ``texts``: a line each, to read and to extend.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from loghc.log.redaction import REDACTED, Redactor
from loghc.log.secrets.diagnosis import diagnosed_values
from loghc.log.secrets.names import secret_values
from loghc.log.secrets.private_keys import private_keys
from loghc.log.secrets.repeats import repeats, telling
from loghc.log.secrets.rules import RULES, searched_for_rules
from loghc.log.secrets.views import View, levels

__all__ = ["SECRETS"]


def mask_secrets(text: str) -> str:
    """Takes out each secret, wherever it stands in a text, escaped or not."""
    views = levels(text)
    found = {(0, *span) for span in _found(text)} if not views or not views[0].is_whole else set()
    for level, view in enumerate(views, 1):
        found |= {(level, *span) for span in _found(view.text)}
    texts = [text, *(view.text for view in views)]
    secrets = telling(texts[level][first:last] for level, first, last in found)
    for level, plain in enumerate(texts if secrets else ()):
        known = ((first, last) for at, first, last in found if at == level)
        rest = _replaced(plain, known, lambda first, last: "\0" * (last - first))
        found |= {(level, *span) for span in repeats(secrets, rest)}
    return _replaced(text, (_place(span, views) for span in found), partial(_mark, text))


def _found(text: str) -> Iterator[tuple[int, int]]:
    searched = searched_for_rules(text)
    yield from private_keys(text)
    yield from secret_values(searched)
    for rule in RULES:
        yield from rule.spans(searched)
    yield from diagnosed_values(text)


def _place(found: tuple[int, int, int], views: list[View]) -> tuple[int, int]:
    """Where in the text something lies that was found at a level of its views."""
    level, first, last = found
    for view in reversed(views[:level]):
        first, last = view.places(first, last)
    return first, last


def _replaced(text: str, spans: Iterable[tuple[int, int]], by: Callable[[int, int], str]) -> str:
    """Text of which some parts are replaced, each by what there is for its place."""
    merged = [(0, 0)]
    for first, last in sorted(spans):
        if first < merged[-1][1]:
            merged[-1] = merged[-1][0], max(last, merged[-1][1])
        else:
            merged.append((first, last))
    parts, done = [], 0
    for first, last in merged[1:]:
        parts += [text[done:first], by(first, last)]
        done = last
    return "".join((*parts, text[done:]))


def _mark(text: str, first: int, last: int) -> str:
    """What a secret is replaced by: in quotes where a number in JSON is, so that it stays JSON."""
    if text[first:last].isdigit() and text[last : last + 1] in ",}]":
        key = re.search(r"(\\*\")\s?:\s?$", text[max(0, first - 16) : first])
        if key:
            return f"{key[1]}{REDACTED}{key[1]}"
    return REDACTED


SECRETS: tuple[Redactor, ...] = (mask_secrets,)
"""Rules for ``redact``: credentials, values of names such as ``password``, keys in URLs, private
key blocks, arguments of commands, tokens of a known shape, and what was found so, wherever else it
stands in the same text."""
