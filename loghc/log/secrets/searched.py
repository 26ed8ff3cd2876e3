"""A text to search, and where in it the words are that the rules look for."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

__all__ = ["Anchors", "Searched", "lowered"]


class Anchors:
    """Texts in lower case that are searched for all at once.

    A log repeats the same words with different numbers. Each digit is therefore replaced with 0,
    and each distinct word is searched once.
    """

    def __init__(self, anchors: Iterable[str]) -> None:
        of_key: defaultdict[str, list[tuple[str, bool]]] = defaultdict(list)
        for anchor in sorted(set(anchors)):
            of_key[_key(anchor)].append((anchor, _key(anchor) == anchor))
        self._of_longest = {
            key: [anchor for end in range(len(key)) for anchor in of_key.get(key[: end + 1], ())]
            for key in of_key
        }
        self._pattern: re.Pattern[str] | None = None

    def places(self, low: str) -> dict[str, list[int]]:
        """The places of each anchor that occurs in a text in lower case, in order."""
        words = _without_digits(low).split(" ")
        found = {word: anchors for word in set(words) if (anchors := list(self._in_word(word)))}
        places: defaultdict[str, list[int]] = defaultdict(list)
        start = 0
        for word in words if found else ():
            if word in found:
                for offset, anchor, is_whole in found[word]:
                    if is_whole or low.startswith(anchor, start + offset):
                        places[anchor].append(start + offset)
            start += len(word) + 1
        return places

    def _in_word(self, word: str) -> Iterator[tuple[int, str, bool]]:
        """The anchors that may begin in a word: offset, anchor, and whether that is certain."""
        if self._pattern is None:
            self._pattern = self._compiled()
        found = self._pattern.search(word)
        while found:
            for anchor, is_whole in self._of_longest[found[0]]:
                yield found.start(), anchor, is_whole
            found = self._pattern.search(word, found.start() + 1)

    def _compiled(self) -> re.Pattern[str]:
        """A pattern for the longest key at a place, grouped by first letter, which is faster."""
        rests: dict[str, list[str]] = {}
        for key in sorted(self._of_longest, reverse=True):
            rests.setdefault(key[0], []).append(re.escape(key[1:]))
        return re.compile(
            "|".join(f"{re.escape(first)}(?:{'|'.join(rest)})" for first, rest in rests.items())
        )


def _key(anchor: str) -> str:
    """The part of an anchor that is searched for: up to its first blank, each digit as 0."""
    return _without_digits(anchor).partition(" ")[0]


def _without_digits(text: str) -> str:
    """A text with each digit as 0, and each blank and each sign between words as a space."""
    for digit in "123456789":  # translate() takes 60 times as long if not all is ASCII
        text = text.replace(digit, "0")
    for sign in "\n\t%+":  # in no anchor; the shorter the words, the more of them are equal
        text = text.replace(sign, " ")
    return text


class Searched:
    """A text to search.

    Args:
        text: any text.
        anchors: the texts to search for.

    Attributes:
        text: the text.
        low: the same in lower case, of the same length.
        places: the places of each anchor that occurs, in order.
    """

    def __init__(self, text: str, anchors: Anchors) -> None:
        self.text = text
        self.low = lowered(text)
        self.places = anchors.places(self.low)


def lowered(text: str) -> str:
    """Text in lower case, of the same length."""
    low = text.lower()
    return low if len(low) == len(text) else text.replace("\u0130", "I").lower()
