r"""Built-in rules: they recognise secrets by their names, their shapes or the text around them.

    HealthSink(url)  # the built-in rules are on by default
    HealthSink(url, redact=r"ACME-\d{12}")  # this is removed as well

When in doubt, they remove too much. They keep the text that says what was removed
(``password=[redacted]``), and take time in proportion to the text. No list of this kind is
complete. The tables are in the modules ``names``, ``shapes``, ``commands`` and ``texts``. They have
a line for each rule, and are easy to read and to extend.
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
    """Remove every secret from a text, wherever it occurs, escaped or not."""
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
    """Where in the text a span is that was found at one of the levels of its views."""
    level, first, last = found
    for view in reversed(views[:level]):
        first, last = view.places(first, last)
    return first, last


def _replaced(text: str, spans: Iterable[tuple[int, int]], by: Callable[[int, int], str]) -> str:
    """Text with some spans replaced, each with what ``by`` returns for it."""
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
    """The replacement for a secret: in quotes for a number in JSON, which keeps the JSON valid."""
    if text[first:last].isdigit() and text[last : last + 1] in ",}]":
        key = re.search(r"(\\*\")\s?:\s?$", text[max(0, first - 16) : first])
        if key:
            return f"{key[1]}{REDACTED}{key[1]}"
    return REDACTED


SECRETS: tuple[Redactor, ...] = (mask_secrets,)
"""Rules for ``redact``: credentials, values of names such as ``password``, keys in URLs, private
key blocks, arguments of commands and tokens of a known shape; and other occurrences of these
secrets in the same text."""
