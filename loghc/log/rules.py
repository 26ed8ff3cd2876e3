"""Rules made of the tables' rows, and which of them a text needs: for most logs nearly none."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice

from loghc.log.commands import COMMANDS, Command, programs
from loghc.log.commands import pattern as command_pattern
from loghc.log.names import beginnings
from loghc.log.shapes import SHAPES, Shape, heads, length_before
from loghc.log.shapes import pattern as shape_pattern
from loghc.log.texts import TEXTS, Text
from loghc.log.values import compiled, places

__all__ = ["RULES", "Needed", "Rule", "lowered", "tokens"]


class Rule:
    """Finds the secrets of one row of a table. Its pattern is made when it is first needed.

    Args:
        row: the row.
        anchors: texts of which one stands in each text that has such a secret. A rule is looked at
            only where there is one.
        pattern: gives a regular expression, with a group ``secret``.
        before: how many characters before the pattern's match are a part of the secret.
        folded: anchors and pattern are in lower case.
        begins: the pattern begins with one of the anchors.
        confirm: what is found is a secret only if this says so.
    """

    __slots__ = ("_pattern", "anchors", "before", "begins", "confirm", "folded", "row")

    def __init__(
        self,
        row: Shape | Command | Text,
        anchors: Iterable[str],
        pattern: Callable[[], str],
        *,
        before: int = 0,
        folded: bool = False,
        begins: bool = False,
        confirm: Callable[[str], bool] | None = None,
    ) -> None:
        self.row = row
        self.anchors = anchors
        self.before = before
        self.folded = folded
        self.begins = begins
        self.confirm = confirm
        self._pattern: Callable[[], str] | re.Pattern[str] = pattern

    def spans(
        self, text: str, low: str, begin: int = 0, end: int = sys.maxsize
    ) -> Iterator[tuple[int, int]]:
        """Where the secrets lie, between two places: begin and end, in order."""
        for match in self._compiled().finditer(low if self.folded else text, begin, end):
            first, last = match.span("secret")
            if self.before:
                first = match.start() - self.before
            if self.confirm is None or self.confirm(text[first:last]):
                yield first, last

    def spans_from(self, text: str, low: str, places: Iterable[int]) -> Iterator[tuple[int, int]]:
        """Where the secrets lie of what the pattern finds at places."""
        match_at, done = self._compiled().match, 0
        searched = low if self.folded else text
        for place in places:
            match = match_at(searched, place) if place >= done else None
            if match is not None:
                first, done = match.span("secret")
                if self.confirm is None or self.confirm(text[first:done]):
                    yield first, done

    def _compiled(self) -> re.Pattern[str]:
        if not isinstance(self._pattern, re.Pattern):
            self._pattern = re.compile(self._pattern())
        return self._pattern


def _shape_rule(shape: Shape) -> Rule:
    return Rule(shape, heads(shape), lambda: shape_pattern(shape), before=length_before(shape))


def _command_rule(command: Command) -> Rule:
    return Rule(command, programs(command), lambda: command_pattern(command))


def _text_rule(text: Text) -> Rule:
    begins = text.anchors.startswith("^")
    anchors = text.anchors.removeprefix("^").split("|")
    return Rule(
        text, anchors, lambda: text.pattern, folded=True, begins=begins, confirm=text.confirm
    )


RULES = (*map(_text_rule, TEXTS), *map(_command_rule, COMMANDS), *map(_shape_rule, SHAPES))
"""All rules but those for names and for private keys."""

_ANCHORED: dict[str, list[Rule]] = {}  # rules for lines that have an anchor
_IN_WORDS: set[str] = set()  # anchors that may be a part of a word
_PARTS: dict[str, str] = {}  # of each anchor, its longest part
_WHOLE: list[Rule] = []  # rules for all of a text that has an anchor
_BY_HEAD: dict[str, list[Rule]] = {}  # rules for tokens, by how they begin
_BY_FRONT: dict[str, list[Rule]] = {}  # the same where a dot or the like is in the beginning
_RUN = "[A-Za-z0-9_+-]{11,}"  # every token has one
_HEAD = 3  # characters
_TRIES = 64  # a rule that is looked at in vain does no harm


def _parts(text: str) -> list[str]:
    """A text's parts between digits, and between the signs that are most frequent."""
    for sign in "0123456789=:/._-":  # faster than any regular expression
        text = text.replace(sign, " ")
    return text.split()


def _sort_rules() -> None:
    for rule in RULES:
        if isinstance(rule.row, Shape):
            _sort_shape(rule, rule.row)
        elif "\n" in rule.row.caught:  # its secrets take many lines
            _WHOLE.append(rule)
        else:
            for anchor in rule.anchors:
                text = anchor.removeprefix("~")
                _ANCHORED.setdefault(text, []).append(rule)
                if text != anchor:
                    _IN_WORDS.add(text)
    for anchor in _ANCHORED:
        parts = [anchor] if anchor.isalpha() else _parts(anchor)
        _PARTS[anchor] = max(parts, key=len, default="")


def _sort_shape(rule: Rule, shape: Shape) -> None:
    if rule.before or shape.template.partition("<")[2].startswith("b"):
        _WHOLE.append(rule)  # its run may begin elsewhere
        return
    for anchor in rule.anchors:
        run = anchor
        while run and not run.replace("-", "").replace("_", "").isalnum():
            run = run[1:]
        front = anchor.removesuffix(run)
        (_BY_FRONT if front else _BY_HEAD).setdefault(front or anchor[:_HEAD], []).append(rule)


_sort_rules()
_FRONTS = tuple(_BY_FRONT)
_FRONT_ENDS = {front[-1] for front in _FRONTS}


class Needed:
    """What of the tables a text needs: for most logs that is nearly nothing.

    A log has the same words over and over, with other numbers. So what may be in it is looked up in
    the parts of its words, each of them once, and only what is found there more closely.

    Args:
        words: the words of a text, each of them once.

    Attributes:
        names: the beginnings of the names that may be in it.
        whole: rules that are to search all of it.
        anchored: anchors, with the rules that are to search the lines which have them.
        tokens: there are tokens in it that tell by their shape.
    """

    def __init__(self, words: Collection[str]) -> None:
        longest = max(map(len, words), default=0)
        once = "\n".join(words)
        low = lowered(once)
        letters = "\n".join(set(_parts(low)))
        self.names = beginnings(letters)
        found = [anchor for anchor, part in _PARTS.items() if part in letters]
        self.anchored = {anchor: _ANCHORED[anchor] for anchor in found if _stands_in(low, anchor)}
        self.whole = [
            rule for rule in _WHOLE if rule.before < longest and _may_find(rule, once, low)
        ]
        self.tokens = next(tokens(once), None) is not None


def _stands_in(low: str, anchor: str) -> bool:
    """Whether an anchor may be in a text, of which the words are given in whatever order."""
    if not anchor.isalnum() or anchor in _IN_WORDS:
        return all(word in low for word in anchor.split())
    for place in islice(places(anchor, low), _TRIES):
        end = place + len(anchor)
        if not (low[place - 1 : place].isalnum() or low[end : end + 1].isalnum()):
            return True
    return low.count(anchor) > _TRIES


def _may_find(rule: Rule, once: str, low: str) -> bool:
    if isinstance(rule.row, Shape):  # a token lies within a word
        found = any(anchor in once for anchor in rule.anchors)
        return found and next(rule.spans(once, low), None) is not None
    return any(_stands_in(low, anchor) for anchor in rule.anchors)


def lowered(text: str) -> str:
    """Text in lower case, of the same length."""
    low = text.lower()
    return low if len(low) == len(text) else text.replace("\u0130", "I").lower()


def tokens(text: str) -> Iterator[tuple[int, int]]:
    """Tokens that tell by their shape."""
    done = 0
    for run in compiled(_RUN).finditer(text):
        begin = run.start()
        if begin < done:
            continue
        before = text[begin - 1 : begin]
        # The letter of an escaped newline, or the digits of an encoded character, may be first.
        start = begin + (before == "\\") + 2 * (before == "%")
        candidates = [
            (start, rule)
            for length in range(1, _HEAD + 1)
            for rule in _BY_HEAD.get(text[start : start + length], ())
        ]
        if before in _FRONT_ENDS and text.endswith(_FRONTS, 0, begin):
            candidates += [
                (begin - len(front), rule)
                for front, rules in _BY_FRONT.items()
                if text.endswith(front, 0, begin)
                for rule in rules
            ]
        for place, rule in candidates:
            for found in rule.spans_from(text, text, (place,)):
                yield found
                done = max(done, found[1])
