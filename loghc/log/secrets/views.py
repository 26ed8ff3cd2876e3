r"""A text with its escapes undone, and where in the original text each part of the result was.

The views undo ``\"``, ``\n``, ``\x3d``, ``\u003d``, ``%3D``, ``&quot;`` and colour codes (raw or as
text) in one place, and the rules only have to search plain text.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import lru_cache

__all__ = ["View", "levels"]

_LEVELS = 4  # an encoded URL in JSON in JSON in a repr()
# Each alternative begins with a plain character, which makes the search fast.
_COLOUR = re.compile(r"\x1b\[[0-9;]{0,12}[A-Za-z]|\\(?:x1b|u001b|033|33|e)\[[0-9;]{0,12}[A-Za-z]")
# If a line has several kinds, such as JSON with an encoded URL, only the first of them is undone at
# a time.
_ESCAPES = (
    re.compile(
        _COLOUR.pattern + r"|\\[nrt\"'\\/`]"
        r"|\\x[0-7][0-9a-fA-F]|\\x[89a-fA-F][0-9a-fA-F](?:\\x[89a-fA-F][0-9a-fA-F])*"
        r"|\\u[0-9a-fA-F]{4}|\\[0-7]{3}"
    ),
    re.compile("%[0-7][0-9a-fA-F]|%[89a-fA-F][0-9a-fA-F](?:%[89a-fA-F][0-9a-fA-F])*"),
    re.compile("&(?:quot|apos|amp|lt|gt|#[0-9]{1,4}|#x[0-9a-fA-F]{1,4});"),
    re.compile(r"\+(?:(?![0-9])|(?<=[^\s0-9]\+))"),  # a blank in a form
)
_ANY_ESCAPE = re.compile("|".join(escape.pattern for escape in _ESCAPES))
_SIGNS = {r"\n": "\n", r"\r": "\r", r"\t": "\t"}
_SIGNS |= {"&quot;": '"', "&apos;": "'", "&amp;": "&", "&lt;": "<", "&gt;": ">"}
# A string in a dict, a list or a call. (Its first and last character are the quotes.)
_STRING = re.compile(
    r"(?:(?<=[{(\[,:=])|(?<=[{(\[,:=] )|(?<=[{(\[,:= ][bru])|^|(?<=^[bru]))"
    r"(?:\"[^\"\\\n]*(?:\\.[^\"\\\n]*)*\"|'[^'\\\n]*(?:\\.[^'\\\n]*)*')(?=[,:})\]]|\s*$)"
)

# Text encoded as a form, in which a plus sign stands for a blank.
_FORM = re.compile(r"(?<![^\s\"'])(?=[\w.~*+=&-]*%[0-9a-fA-F]{2})[\w.~*+%=&-]+(?![^\s\"'])")


class View:
    """A text without its colours; or those of its lines that have escapes, with these undone.

    Args:
        source: the text.
        colours_alone: whether to leave out the colours and nothing else. Default: False.

    Attributes:
        text: the resulting text.
        is_whole: whether it has all lines of the source.
    """

    __slots__ = ("_here", "_there", "is_whole", "text")

    def __init__(self, source: str, *, colours_alone: bool = False) -> None:
        self.is_whole = colours_alone
        # Where each line and each escape begins and ends: here, and in the source.
        self._here: list[int] = []
        self._there: list[int] = []
        parts: list[str] = []
        length = 0
        for begin, line, pattern in _whole(source) if colours_alone else _lines(source):
            done = 0
            self._here.append(length)
            self._there.append(begin)
            for escape in pattern.finditer(line):
                first, last = escape.span()
                character = _undone(escape[0])
                parts += line[done:first], character
                self._here += length + first - done, length + first - done + len(character)
                self._there += begin + first, begin + last
                length += first - done + len(character)
                done = last
            parts.append(line[done:])
            length += len(line) - done
            self._here.append(length)
            self._there.append(begin + len(line))
        self.text = "".join(parts)

    def places(self, first: int, last: int) -> tuple[int, int]:
        """Where in the source a part of the view begins and ends."""
        at = bisect_right(self._here, first) - 1
        begin = self._there[at] + (0 if self._is_escape(at) else first - self._here[at])
        at = bisect_left(self._here, last) - 1
        if self._is_escape(at):
            return begin, self._there[at + 1]
        return begin, self._there[at] + last - self._here[at]

    def _is_escape(self, at: int) -> bool:
        """Whether an escape begins at an index of the lists: its length in the source differs."""
        length = self._here[at + 1] - self._here[at]
        return self._there[at + 1] - self._there[at] != length


def levels(text: str) -> list[View]:
    """A text's views, each made from the one before: without colours, then with escapes undone."""
    found: list[View] = []
    for level in range(_LEVELS + 1):
        view = View(text, colours_alone=not level)
        if view.text:
            found.append(view)
            text = view.text
        elif level:
            break
    return found


def _whole(text: str) -> Iterator[tuple[int, str, re.Pattern[str]]]:
    """The whole text if it has colours: where it begins, the text, and the pattern for colours."""
    if ("\\" in text or "\x1b" in text) and _COLOUR.search(text):
        yield 0, text, _COLOUR


def _lines(text: str) -> Iterator[tuple[int, str, re.Pattern[str]]]:
    """The lines that have escapes: where each begins, its text, and the pattern for the escapes."""
    end, known = 0, any(sign in text for sign in "\\%&+")
    while known and (found := _ANY_ESCAPE.search(text, end)):
        begin = text.rfind("\n", 0, found.start()) + 1
        end = text.find("\n", begin) + 1 or len(text)
        line = text[begin:end]
        pattern = next(escape for escape in _ESCAPES if escape.search(line))
        if "\\" in line:
            line = _STRING.sub(_by_itself, line)
        if "+" in line:
            line = _FORM.sub(_with_blanks, line)
        yield begin, line, pattern


def _by_itself(string: re.Match[str]) -> str:
    """A string that has escapes, without its quotes and on lines of its own."""
    return f"\n{string[0][1:-1]}\n" if "\\" in string[0] else string[0]


def _with_blanks(form: re.Match[str]) -> str:
    return form[0].replace("+", " ")


@lru_cache(4096)  # a text repeats the same escapes
def _undone(escape: str) -> str:
    """What an escape stands for."""
    if "[" in escape:  # a colour
        return ""
    if escape.startswith(("%", r"\x")):
        return _characters(bytes.fromhex(re.sub(r"%|\\x", "", escape)))
    if escape == "+":
        return " "
    if escape.startswith(r"\u"):
        return chr(int(escape.removeprefix(r"\u"), 16))
    if escape.startswith("&#"):
        return chr(int(escape[2:-1].replace("x", ""), 16 if "x" in escape else 10))
    return _SIGNS.get(escape) or (escape[1] if len(escape) == 2 else chr(int(escape[1:], 8)))


def _characters(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")
