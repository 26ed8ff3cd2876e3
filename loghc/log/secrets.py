r"""Ready-made rules: secrets that tell by their names, their shapes, or the text around them.

    HealthSink(url)  # they hold without being named
    HealthSink(url, redact=r"ACME-\d{12}")  # and this is taken out too

They rather take out too much, keep what tells the reader what was there (``password=[redacted]``),
and take time in proportion to the text. No list of this kind is whole. The tables are in the
modules ``names``, ``shapes``, ``commands`` and ``texts``: a line each, to read and to extend.
"""

from __future__ import annotations

from collections.abc import Iterator

from loghc.log.diagnosis import diagnosed_values
from loghc.log.names import secret_values
from loghc.log.private_keys import mask_private_keys
from loghc.log.redaction import REDACTED, Redactor
from loghc.log.rules import Needed, Rule, lowered, tokens
from loghc.log.values import compiled, places

__all__ = ["SECRETS"]

_DENSE = 8  # characters from one anchor to the next: with less, a search of all takes less time
_PIECE = 16_384  # characters that are searched at once: some milliseconds


def mask_in_lines(text: str) -> str:
    """Takes out the secrets that lie within a line, or a few."""
    words: set[str] = set()
    pieces = list(_pieces(text))
    for piece in pieces:
        words.update(piece.split())
    needed = Needed(words)
    return "".join(_without_secrets(piece, needed) for piece in pieces)


def _without_secrets(text: str, needed: Needed) -> str:
    low = lowered(text)
    spans = [*secret_values(text, low, needed.names), *_by_rules(text, low, needed)]
    spans += diagnosed_values(text)
    if needed.tokens:
        spans += tokens(text)
    parts, done = [], 0
    for first, last in sorted(spans):
        if first >= done:
            parts += [text[done:first], REDACTED]
        done = max(done, last)
    return "".join((*parts, text[done:]))


def _by_rules(text: str, low: str, needed: Needed) -> Iterator[tuple[int, int]]:
    """Secrets that tell by the text around them, and by commands."""
    for rule in needed.whole:
        yield from rule.spans(text, low)
    lines: dict[Rule, dict[int, int]] = {}
    for anchor, rules in needed.anchored.items():
        found = list(places(anchor, low))
        few = len(found) < len(low) / _DENSE
        for rule in rules if found else ():
            if rule.begins and few:
                yield from rule.spans_from(text, low, found)
            else:
                lines.setdefault(rule, {}).update(_lines_at(found, low))
    for rule, begun in lines.items():
        for begin, end in begun.items():
            yield from rule.spans(text, low, begin, end)


def _lines_at(found: list[int], low: str) -> dict[int, int]:
    """Where the lines of some places begin and end, with what a backslash adds to them."""
    lines: dict[int, int] = {}
    end = 0
    for place in found:
        if place >= end:
            begin = low.rfind("\n", 0, place) + 1
            last = compiled(r"\n(?<!\\\n)").search(low, place)
            end = last.start() if last else len(low)
            lines[begin] = end
    return lines


def _pieces(text: str) -> Iterator[str]:
    """Text in pieces of whole lines: while one is searched, other threads wait.

    A line that is indented belongs to the one before: in YAML, or in a traceback.
    """
    start = 0
    while start < len(text):
        found = compiled(r"\n(?=\S)").search(text, start + _PIECE, start + 2 * _PIECE)
        end = found.end() if found else text.find("\n", start + 2 * _PIECE) + 1 or len(text)
        yield text[start:end]
        start = end


SECRETS: tuple[Redactor, ...] = (mask_private_keys, mask_in_lines)
"""Rules for ``redact``: credentials, values of names such as ``password``, keys in URLs, private
key blocks, arguments of commands, and tokens of a known shape."""
