r"""Ready-made rules: secrets that tell by their names, their shapes, or the text around them.

    HealthSink(url)  # they hold without being named
    HealthSink(url, redact=r"ACME-\d{12}")  # and this is taken out too

They rather take out too much, keep what tells the reader what was there (``password=[redacted]``),
and take time in proportion to the text. No list of this kind is whole. The tables are in the
modules ``names``, ``shapes``, ``commands`` and ``texts``: a line each, to read and to extend.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator

from loghc.log.commands import COMMANDS, Command, programs
from loghc.log.commands import pattern as command_pattern
from loghc.log.diagnosis import diagnosed_values
from loghc.log.names import compiled, secret_values
from loghc.log.private_keys import mask_private_keys
from loghc.log.redaction import REDACTED, Redactor
from loghc.log.shapes import SHAPES, Shape, Token
from loghc.log.texts import TEXTS, Text

__all__ = ["RULES", "SECRETS", "Rule", "lowered"]

_PIECE = 16_384  # characters that are searched at once: some milliseconds


class Rule:
    """Finds the secrets of one row of a table.

    Args:
        row: the row.
        anchors: texts of which one stands in each text that has such a secret. A rule is looked at
            only where there is one.
        pattern: a regular expression, with a group ``secret``.
        before: how many characters before the pattern's match are a part of the secret.
        folded: anchors and pattern are in lower case.
        begins: the pattern begins with one of the anchors.
        confirm: what is found is a secret only if this says so.
    """

    __slots__ = ("anchors", "before", "begins", "confirm", "folded", "pattern", "row")

    def __init__(
        self,
        row: Shape | Command | Text,
        anchors: tuple[str, ...],
        pattern: str,
        *,
        before: int = 0,
        folded: bool = False,
        begins: bool = False,
        confirm: Callable[[str], bool] | None = None,
    ) -> None:
        self.row = row
        self.anchors = anchors
        self.pattern = pattern
        self.before = before
        self.folded = folded
        self.begins = begins
        self.confirm = confirm

    def spans(
        self, text: str, low: str, begin: int = 0, end: int = sys.maxsize
    ) -> Iterator[tuple[int, int]]:
        """Where the secrets lie, between two places: begin and end, in order."""
        for match in compiled(self.pattern).finditer(low if self.folded else text, begin, end):
            first, last = match.span("secret")
            if self.before:
                first = match.start() - self.before
            if self.confirm is None or self.confirm(text[first:last]):
                yield first, last

    def span_at(self, text: str, low: str, begin: int) -> tuple[int, int, bool] | None:
        """What the pattern finds at a place: where that lies, and whether it is a secret."""
        match = compiled(self.pattern).match(low if self.folded else text, begin)
        if match is None:
            return None
        first, last = match.span("secret")
        return first, last, self.confirm is None or self.confirm(text[first:last])


def _shape_rule(shape: Shape) -> Rule:
    token = Token(shape)
    return Rule(shape, token.anchors, token.pattern, before=token.before)


def _command_rule(command: Command) -> Rule:
    return Rule(command, programs(command), command_pattern(command))


def _text_rule(text: Text) -> Rule:
    begins = text.anchors.startswith("^")
    anchors = tuple(text.anchors.removeprefix("^").split("|"))
    return Rule(text, anchors, text.pattern, folded=True, begins=begins, confirm=text.confirm)


RULES = (*map(_text_rule, TEXTS), *map(_command_rule, COMMANDS), *map(_shape_rule, SHAPES))
"""All rules but those for names and for private keys."""

# Which rules a text needs is found out from what a hundred of them share, as even to look for all
# anchors one by one would take too long.
_BY_WORD: dict[str, list[Rule]] = {}  # rules for lines that have a word
_BY_TEXT: dict[str, list[Rule]] = {}  # rules for lines that have an anchor that is no word
_BEGINNING: dict[str, list[Rule]] = {}  # rules that begin with an anchor
_WHOLE: list[Rule] = []  # rules for all of a text that has an anchor
_BY_HEAD: dict[str, list[Rule]] = {}  # rules for tokens, by how they begin
_BY_FRONT: dict[str, list[Rule]] = {}  # the same where a dot or the like is in the beginning
_RUN = "[A-Za-z0-9_+-]{11,}"  # every token has one
_HEAD = 3  # characters
_NO_WORD = {code: " " for code in range(128) if not chr(code).isalnum()}


def _sort_rules() -> None:
    for rule in RULES:
        if isinstance(rule.row, Shape):
            _sort_shape(rule, rule.row)
        elif "\n" in rule.row.caught:  # its secrets take many lines
            _WHOLE.append(rule)
        else:
            for anchor in rule.anchors:
                index = _BY_WORD if anchor.isalnum() else _BY_TEXT
                text = anchor.removeprefix("~")
                rules = index.setdefault(text, [])
                (_BEGINNING.setdefault(text, []) if rule.begins else rules).append(rule)


def _sort_shape(rule: Rule, shape: Shape) -> None:
    if rule.before or re.search("^[^<]*<b", shape.template):
        _WHOLE.append(rule)  # its run may begin elsewhere
        return
    for anchor in rule.anchors:
        front = re.match(r".*[^\w+-]", anchor)
        index = _BY_FRONT if front else _BY_HEAD
        index.setdefault(front[0] if front else anchor[:_HEAD], []).append(rule)


_sort_rules()
_FRONTS = tuple(_BY_FRONT)
_FRONT_ENDS = {front[-1] for front in _FRONTS}


def mask_in_lines(text: str) -> str:
    """Takes out the secrets that lie within a line, or a few."""
    return "".join(_without_secrets(piece) for piece in _pieces(text))


def lowered(text: str) -> str:
    """Text in lower case, of the same length."""
    low = text.lower()
    return low if len(low) == len(text) else text.replace("\u0130", "I").lower()


def _without_secrets(text: str) -> str:
    low = lowered(text)
    spans = [*secret_values(text, low), *_by_rules(text, low), *_tokens(text)]
    spans = sorted((*spans, *diagnosed_values(text)))
    parts, done = [], 0
    for first, last in spans:
        if first >= done:
            parts += [text[done:first], REDACTED]
        done = max(done, last)
    return "".join((*parts, text[done:]))


def _by_rules(text: str, low: str) -> Iterator[tuple[int, int]]:
    """Secrets that tell by the text around them, and by commands."""
    # Each word once: a log has the same ones over and over, and this is searched a hundred times.
    once = " ".join(set(low.split()))

    def has(anchor: str) -> bool:
        return anchor in (low if " " in anchor else once)

    for rule in _WHOLE:
        if any(has(anchor.lower()) for anchor in rule.anchors):
            yield from rule.spans(text, low)
    words = _BY_WORD.keys() & set(once.translate(_NO_WORD).split())
    lines: dict[Rule, dict[int, int]] = {}
    for anchor, rules in (*((word, _BY_WORD[word]) for word in words), *_BY_TEXT.items()):
        if has(anchor):
            yield from _beginning_with(anchor, text, low)
            found = _lines_with(anchor, low)
            for rule in rules:
                lines.setdefault(rule, {}).update(found)
    for rule, places in lines.items():
        for begin, end in places.items():
            yield from rule.spans(text, low, begin, end)


def _beginning_with(anchor: str, text: str, low: str) -> Iterator[tuple[int, int]]:
    """Secrets that rules find which begin with an anchor."""
    for rule in _BEGINNING.get(anchor, ()):
        place = low.find(anchor)
        while place >= 0:
            end = place + 1
            found = rule.span_at(text, low, place)
            if found is not None:
                first, end, secret = found
                if secret:
                    yield first, end
            place = low.find(anchor, end)


def _lines_with(word: str, low: str) -> dict[int, int]:
    """Where lines with a word in them begin and end, with what a backslash adds to them."""
    lines, end = {}, 0
    while (found := low.find(word, end)) >= 0:
        begin = low.rfind("\n", end, found) + 1 or end
        end = low.find("\n", found)
        while end > 0 and low[end - 1] == "\\":
            end = low.find("\n", end + 1)
        end = len(low) if end < 0 else end
        lines[begin] = end
    return lines


def _tokens(text: str) -> Iterator[tuple[int, int]]:
    """Tokens that tell by their shape."""
    done = 0
    for run in compiled(_RUN).finditer(text):
        begin = run.start()
        if begin < done:
            continue
        before = text[begin - 1 : begin]
        # The letter of an escaped newline, or the digits of an encoded character, may be first.
        start = begin + (before == "\\") + 2 * (before == "%")
        places = [
            (start, rule)
            for length in range(1, _HEAD + 1)
            for rule in _BY_HEAD.get(text[start : start + length], ())
        ]
        if before in _FRONT_ENDS and text.endswith(_FRONTS, 0, begin):
            places += [
                (begin - len(front), rule)
                for front, rules in _BY_FRONT.items()
                if text.endswith(front, 0, begin)
                for rule in rules
            ]
        for place, rule in places:
            found = rule.span_at(text, text, place)
            if found is not None:
                first, last, _ = found
                yield first, last
                done = max(done, last)


def _pieces(text: str) -> Iterator[str]:
    """Text in pieces of whole lines, and a moment for other threads between them.

    A line that is indented belongs to the one before: in YAML, or in a traceback.
    """
    start = 0
    while start < len(text):
        found = compiled(r"\n(?=\S)").search(text, start + _PIECE, start + 2 * _PIECE)
        end = found.end() if found else text.find("\n", start + 2 * _PIECE) + 1 or len(text)
        yield text[start:end]
        start = end
        time.sleep(0)


SECRETS: tuple[Redactor, ...] = (mask_private_keys, mask_in_lines)
"""Rules for ``redact``: credentials, values of names such as ``password``, keys in URLs, private
key blocks, arguments of commands, and tokens of a known shape."""
