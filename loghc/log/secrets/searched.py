"""A text that is searched, and what may be in it at all."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

__all__ = ["Searched", "lowered", "places_of"]


class Searched:
    """A text that is searched.

    A log has the same words over and over, with other numbers. So what may be in it is looked up in
    its words without their digits, each of them once: that takes a tenth of the time.

    Args:
        text: any text.

    Attributes:
        text: the text.
        low: the same in lower case, of the same length.
        longest: how many characters its longest word has.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        # Of one byte a character: to look for something takes half the time.
        plain = text if text.isascii() else text.encode("ascii", "replace").decode("ascii")
        self._ascii = {False: plain, True: plain.lower()}
        self.low = self._ascii[True] if text.isascii() else lowered(text)
        self._parts = "\n".join(set(_parts(self._ascii[True])))
        self.longest = max(map(len, plain.split()), default=0)
        self._places: dict[tuple[str, bool], list[int]] = {}

    def places(self, anchor: str, *, folded: bool = True) -> list[int]:
        """Where an anchor stands, in order."""
        found = self._places.get((anchor, folded))
        if found is None:
            found = []
            if all(part in self._parts for part in _parts_of(anchor)):
                searched = self._ascii[folded] if anchor.isascii() else self.low
                found = list(places_of(anchor, searched))
            self._places[anchor, folded] = found
        return found


def lowered(text: str) -> str:
    """Text in lower case, of the same length."""
    low = text.lower()
    return low if len(low) == len(text) else text.replace("\u0130", "I").lower()


_NO_DIGITS = {ord(digit): " " for digit in "0123456789"}


def _parts(low: str) -> list[str]:
    """The parts of a text between blanks and digits."""
    return low.translate(_NO_DIGITS).split()


@cache
def _parts_of(anchor: str) -> tuple[str, ...]:
    """The parts of an anchor of which each is one of the parts of a text that has it."""
    if not anchor.isascii():
        return ()
    return tuple(sorted(_parts(anchor.lower()), key=len, reverse=True))


def places_of(anchor: str, text: str) -> Iterator[int]:
    """Where an anchor stands in a text."""
    place = text.find(anchor)
    while place >= 0:
        yield place
        place = text.find(anchor, place + len(anchor))
