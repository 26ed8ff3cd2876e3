"""Rules made of the tables' rows: what each looks for, and where."""

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
        row: the row.
        anchors: texts in lower case of which one stands in each text that has such a secret; with
            none, the pattern is looked for everywhere.
        pattern: gives a regular expression, with a group ``secret``; made when it is first needed.
        folded: the pattern is in lower case.
        begins: the pattern begins with one of the anchors.
        confirm: what is found is a secret only if this says so.
    """

    row: str | Command | Text
    anchors: list[str]
    pattern: Callable[[], re.Pattern[str]]
    folded: bool = False
    begins: bool = True
    confirm: Callable[[str], bool] | None = None

    def spans(self, searched: Searched) -> Iterator[tuple[int, int]]:
        """Where the secrets lie: begin and end."""
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
                begin = text.rfind("\n", 0, max(0, begin - 1)) + 1  # the line before it, too
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
"""All rules but those for names and for private keys."""


@cache
def _anchors() -> Anchors:
    return Anchors(chain(beginnings(), *(rule.anchors for rule in RULES)))


def searched_for_rules(text: str) -> Searched:
    """A text in which the rules, and those for names, may search."""
    return Searched(text, _anchors())
