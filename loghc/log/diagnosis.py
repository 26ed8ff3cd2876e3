"""The values of variables that loguru's ``diagnose=True`` writes under the lines of a traceback."""

from __future__ import annotations

from collections.abc import Iterator

from loghc.log.names import is_secret_name
from loghc.log.values import compiled

__all__ = ["diagnosed_values"]

# What is before a value, in the column of its variable, and what is in that column on the lines
# between: loguru has two styles, the second for a sink without an encoding, such as loghc's.
_STYLES = (("\u2514 ", "\u2502"), ("-> ", "|"))
_DEEPEST = 24  # lines between a variable and its value
_LONGEST_LINE = 400  # characters


def diagnosed_values(text: str) -> Iterator[tuple[int, int]]:
    r"""Where the values lie of variables whose names say that they are secret: begin and end.

    Example:
        >>> text = "  login(token)\n        \u2514 'hunter2'"
        >>> [text[begin:end] for begin, end in diagnosed_values(text)]
        ["'hunter2'"]
    """
    for tells, passes in _STYLES:
        place = text.find(tells)
        while place >= 0:
            begin = place + len(tells)
            end = text.find("\n", begin)
            end = len(text) if end < 0 else end
            name = _variable(text, place, passes)
            if name and is_secret_name(name):
                yield begin, end
            place = text.find(tells, end)


def _variable(text: str, place: int, passes: str) -> str:
    """The name of the variable that stands above a place, or an empty str."""
    line = text.rfind("\n", max(0, place - _LONGEST_LINE), place) + 1
    column = place - line
    for _ in range(_DEEPEST):
        if line == 0:
            break
        end = line - 1
        line = text.rfind("\n", max(0, end - _LONGEST_LINE), end) + 1
        above = line + column
        if above >= end or text[above] != passes:
            found = compiled(r"[A-Za-z_]\w*").match(text, above, end) if above < end else None
            return found[0] if found else ""
    return ""
