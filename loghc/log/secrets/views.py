r"""A text with its escapes undone, and where in the text each part of that stood.

``\"``, ``\n``, ``\x3d``, ``\u003d``, ``%3D``, ``&quot;`` and the codes for colours, as text or not:
one place knows them, so that the rules look for plain text alone.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right

__all__ = ["View", "levels"]

_LEVELS = 4  # an encoded URL in JSON in JSON in a repr()
# Each alternative begins with a plain character: so the search is fast.
_COLOUR = re.compile(r"\x1b\[[0-9;]{0,12}[A-Za-z]|\\(?:x1b|u001b|033|33|e)\[[0-9;]{0,12}[A-Za-z]")
# Of several kinds in a line, only the first is undone at once: JSON that holds an encoded URL.
_ESCAPES = (
    re.compile(
        _COLOUR.pattern + r"|\\[nrt\"'\\/`]"
        r"|\\x[0-7][0-9a-fA-F]|\\x[89a-fA-F][0-9a-fA-F](?:\\x[89a-fA-F][0-9a-fA-F])*"
        r"|\\u[0-9a-fA-F]{4}|\\[0-7]{3}"
    ),
    re.compile("%[0-7][0-9a-fA-F]|%[89a-fA-F][0-9a-fA-F](?:%[89a-fA-F][0-9a-fA-F])*"),
    re.compile("&(?:quot|apos|amp|lt|gt|#[0-9]{1,4}|#x[0-9a-fA-F]{1,4});"),
    re.compile(r"\+(?![0-9])|(?<=[^\s0-9])\+"),  # a blank in a form
)
_ANY_ESCAPE = re.compile("|".join(escape.pattern for escape in _ESCAPES))
_SIGNS = {r"\n": "\n", r"\r": "\r", r"\t": "\t"}
_SIGNS |= {"&quot;": '"', "&apos;": "'", "&amp;": "&", "&lt;": "<", "&gt;": ">"}
# A string in a dict, a list or a call. (Its first and last character are the quotes.)
_STRING = re.compile(
    r"(?:(?<=[{(\[,:=])|(?<=[{(\[,:=] )|(?<=[{(\[,:= ][bru])|^|(?<=^[bru]))"
    r"(?:\"[^\"\\\n]*(?:\\.[^\"\\\n]*)*\"|'[^'\\\n]*(?:\\.[^'\\\n]*)*')(?=[,:})\]]|\s*$)"
)

# What is encoded as forms are: there a plus sign stands for a blank.
_FORM = re.compile(r"(?<![^\s\"'])(?=[\w.~*+=&-]*%[0-9a-fA-F]{2})[\w.~*+%=&-]+(?![^\s\"'])")


class View:
    """A text with its colours left out; or those of its lines that have escapes, with these undone.

    Attributes:
        text: what is left.
        is_whole: it has all lines.
    """

    __slots__ = ("_begins", "_ends", "_starts", "is_whole", "text")

    def __init__(self, source: str, *, colours_alone: bool = False) -> None:
        self.is_whole = colours_alone
        self._starts: list[int] = []  # of each part, where it begins here,
        self._begins: list[int] = []  # where in the source,
        self._ends: list[int] = []  # and where it ends there
        parts: list[str] = []
        length = 0

        def add(part: str, begin: int, end: int) -> None:
            nonlocal length
            if part:
                self._starts.append(length)
                self._begins.append(begin)
                self._ends.append(end)
                parts.append(part)
                length += len(part)

        signs = "\\\x1b" if colours_alone else "\\%&+"
        search = (_COLOUR if colours_alone else _ANY_ESCAPE).search
        done, known = 0, any(sign in source for sign in signs)
        while known and (found := search(source, done)):
            begin, end = (0, len(source)) if colours_alone else _line_at(source, found.start())
            line, pattern = source[begin:end], _COLOUR
            if not colours_alone:
                pattern = next(escape for escape in _ESCAPES if escape.search(line))
                line = _FORM.sub(_with_blanks, _STRING.sub(_by_itself, line))
            done = begin
            for escape in pattern.finditer(line):
                place = begin + escape.start()
                add(line[done - begin : escape.start()], done, place)
                done = begin + escape.end()
                add(_undone(escape[0]), place, done)
            add(line[done - begin :], done, end)
            done = end
        self.text = "".join(parts)

    def places(self, first: int, last: int) -> tuple[int, int]:
        """Where in the source a part of the view stands: begin and end."""
        part = bisect_right(self._starts, first) - 1
        begin = min(self._begins[part] + first - self._starts[part], self._ends[part])
        if self._is_escape(part):
            begin = self._begins[part]
        part = bisect_left(self._starts, last) - 1
        end = self._ends[part]
        if not self._is_escape(part):
            end = min(self._begins[part] + last - self._starts[part], end)
        return begin, end

    def _is_escape(self, part: int) -> bool:
        """Whether a part is an escape, which is longer in the source."""
        after = self._starts[part + 1] if part + 1 < len(self._starts) else len(self.text)
        return after - self._starts[part] != self._ends[part] - self._begins[part]


def levels(text: str) -> list[View]:
    """A text's views, each one of the one before: without colours, then with escapes undone."""
    found: list[View] = []
    for level in range(_LEVELS + 1):
        view = View(text, colours_alone=not level)
        if view.text:
            found.append(view)
            text = view.text
        elif level:
            break
    return found


def _line_at(text: str, place: int) -> tuple[int, int]:
    return text.rfind("\n", 0, place) + 1, text.find("\n", place) + 1 or len(text)


def _by_itself(string: re.Match[str]) -> str:
    """A string that has escapes, on lines of its own: as it was before it was quoted."""
    return f"\n{string[0][1:-1]}\n" if "\\" in string[0] else string[0]


def _with_blanks(form: re.Match[str]) -> str:
    return form[0].replace("+", " ")


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
