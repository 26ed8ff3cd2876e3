"""Rules made of the tables' rows: what each looks for, and where."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from itertools import chain

from loghc.log.secrets.commands import COMMANDS, Command, programs
from loghc.log.secrets.commands import pattern as command_pattern
from loghc.log.secrets.names import beginnings
from loghc.log.secrets.searched import Anchors, Searched
from loghc.log.secrets.shapes import SHAPES, Shape, heads, length_before
from loghc.log.secrets.shapes import pattern as shape_pattern
from loghc.log.secrets.texts import TEXTS, Text

__all__ = ["RULES", "Rule", "searched_for_rules"]

_ESCAPE = re.compile(r"\\(?:u[0-9a-f]{4}|x[0-9a-f]{2}|[nrt\"'])")
_SHORT = 2  # characters: an anchor with fewer is in nearly every text
_DENSE = 8  # characters from one anchor to the next: with less, one search of all takes less time


class Rule:
    """Finds the secrets of one row of a table.

    Args:
        row: the row.
        anchors: texts of which one stands in each text that has such a secret.
        pattern: gives a regular expression, with a group ``secret``; made when it is first needed.
        before: how many characters before the pattern's match are a part of the secret.
        folded: the pattern is in lower case.
        begins: the pattern begins with one of the anchors.
        confirm: what is found is a secret only if this says so.
    """

    __slots__ = (
        "_before",
        "_begins",
        "_confirm",
        "_folded",
        "_pattern",
        "_short",
        "anchors",
        "row",
    )

    def __init__(
        self,
        row: Shape | Command | Text,
        anchors: Iterable[str],
        pattern: Callable[[], str],
        *,
        before: int = 0,
        folded: bool = False,
        begins: bool = True,
        confirm: Callable[[str], bool] | None = None,
    ) -> None:
        self.row = row
        anchors = [anchor.lower() for anchor in anchors]
        self._short = begins and min(map(len, anchors)) < _SHORT
        self.anchors = () if self._short else tuple(anchors)
        self._before = before
        self._folded = folded
        self._begins = begins
        self._confirm = confirm
        self._pattern = cache(lambda: re.compile(pattern()))

    def spans(self, searched: Searched) -> Iterator[tuple[int, int]]:
        """Where the secrets lie: begin and end."""
        text = searched.low if self._folded else searched.text
        places: list[int] = []
        for anchor in self.anchors:
            places += searched.places.get(anchor, ())
        if places or self._short:
            for match in self._matches(sorted(places), text):
                first, last = match.span("secret")
                if self._before:
                    first = match.start() - self._before
                secret = searched.text[first:last]
                plain = _ESCAPE.sub("", secret) if "\\" in secret else secret
                if any(map(str.isalnum, plain)) and (not self._confirm or self._confirm(plain)):
                    yield first, last

    def _matches(self, places: list[int], text: str) -> Iterator[re.Match[str]]:
        pattern, done = self._pattern(), 0
        if self._short or len(places) > len(text) / _DENSE:
            yield from pattern.finditer(text)
        elif self._begins:
            for place in places:
                match = pattern.match(text, place) if place >= done else None
                if match:
                    done = match.end("secret")
                    yield match
        else:
            for place in places:
                if place >= done:
                    begin = text.rfind("\n", 0, place) + 1
                    begin = text.rfind("\n", 0, max(0, begin - 1)) + 1  # the line before it, too
                    end = text.find("\n", place)
                    end = len(text) if end < 0 else end
                    yield from pattern.finditer(text, max(begin, done), end)
                    done = end


def _text_rule(row: Text) -> Rule:
    anchors = row.anchors.removeprefix("^").split("|")
    begins = row.anchors.startswith("^")
    return Rule(row, anchors, lambda: row.pattern, folded=True, begins=begins, confirm=row.confirm)


RULES = (
    *map(_text_rule, TEXTS),
    *(Rule(row, programs(row), partial(command_pattern, row)) for row in COMMANDS),
    *(
        Rule(
            row,
            heads(row),
            partial(shape_pattern, row),
            before=length_before(row),
        )
        for row in SHAPES
    ),
)
"""All rules but those for names and for private keys."""


@cache
def _anchors() -> Anchors:
    return Anchors(chain(beginnings(), *(rule.anchors for rule in RULES)))


def searched_for_rules(text: str) -> Searched:
    """A text in which the rules, and those for names, may search."""
    return Searched(text, _anchors())
