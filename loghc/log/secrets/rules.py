"""Rules made from the rows of the tables: what each one searches for, and where."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from itertools import chain
from typing import NamedTuple

from loghc.log.secrets.commands import COMMANDS, Command, programs
from loghc.log.secrets.commands import pattern as command_pattern
from loghc.log.secrets.kinds import without_escapes
from loghc.log.secrets.names import beginnings
from loghc.log.secrets.searched import Anchors, Searched
from loghc.log.secrets.shapes import SHAPES, heads
from loghc.log.secrets.shapes import pattern as shape_pattern
from loghc.log.secrets.texts import TEXTS, Text

__all__ = ["RULES", "Rule", "searched_for_rules"]


class Rule(NamedTuple):
    """Finds the secrets of one row of a table.

    Attributes:
        row: the row of the table.
        anchors: texts in lower case. A text with such a secret contains at least one of them. If
            there are none, the pattern is searched for everywhere.
        pattern: returns a regular expression with a group ``secret``, compiled on first use.
        folded: whether the pattern is for text in lower case.
        begins: whether the pattern begins with one of the anchors.
        confirm: returns whether a match is a secret. By default, every match is.
    """

    row: str | Command | Text
    anchors: list[str]
    pattern: Callable[[], re.Pattern[str]]
    folded: bool = False
    begins: bool = True
    confirm: Callable[[str], bool] | None = None

    def spans(self, searched: Searched) -> Iterator[tuple[int, int]]:
        """The begin and end of each secret."""
        for match in self._matches(searched):
            first, last = match.span("secret")
            secret = without_escapes(searched.text[first:last])
            if any(map(str.isalnum, secret)) and (not self.confirm or self.confirm(secret)):
                yield first, last

    def _matches(self, searched: Searched) -> Iterator[re.Match[str]]:
        text, done = searched.low if self.folded else searched.text, 0
        if not self.anchors:
            yield from self.pattern().finditer(text)
        places = [place for anchor in self.anchors for place in searched.places.get(anchor, ())]
        for place in sorted(places):
            if place >= done and self.begins:
                if match := self.pattern().match(text, place):
                    done = match.end("secret")
                    yield match
            elif place >= done:
                begin = text.rfind("\n", 0, place) + 1
                begin = text.rfind("\n", 0, max(0, begin - 1)) + 1  # and the line before it
                end = text.find("\n", place) + 1 or len(text)
                yield from self.pattern().finditer(text, max(begin, done), end)
                done = end


def _rule(row: str | Command | Text) -> Rule:
    if isinstance(row, Command):
        return Rule(row, programs(row), cache(lambda: re.compile(command_pattern(row))))
    if isinstance(row, str):
        anchors = [head.lower() for head in heads(row)]
        return Rule(row, anchors, cache(lambda: re.compile(shape_pattern(row))))
    return Rule(
        row,
        row.anchors.removeprefix("^").split("|") if row.anchors else [],
        cache(lambda: re.compile(row.pattern)),
        folded=bool(row.anchors),
        begins=row.anchors.startswith("^"),
        confirm=row.confirm,
    )


RULES = (*map(_rule, TEXTS), *map(_rule, COMMANDS), *map(_rule, SHAPES))
"""All rules except those for names and for private keys."""


@cache
def _anchors() -> Anchors:
    return Anchors(chain(beginnings(), *(rule.anchors for rule in RULES)))


def searched_for_rules(text: str) -> Searched:
    """A text prepared for a search by the rules, including those for names."""
    return Searched(text, _anchors())
