"""The values of variables that loguru's ``diagnose=True`` writes under the lines of a traceback."""

from __future__ import annotations

from collections.abc import Iterator

from loghc.log.secrets.kinds import compiled
from loghc.log.secrets.names import is_secret_name

__all__ = ["diagnosed_values"]

# The text before a value, in the column of its variable, and the text in that column on the lines
# in between. loguru has two styles, the second for a sink without an encoding, such as loghc's.
_STYLES = (("\u2514 ", "\u2502"), ("-> ", "|"))


def diagnosed_values(text: str) -> Iterator[tuple[int, int]]:
    r"""The begin and end of each value of a variable whose name says that it is secret.

    Example:
        >>> text = "  login(token)\n        \u2514 'hunter2'"
        >>> [text[begin:end] for begin, end in diagnosed_values(text)]
        ["'hunter2'"]
    """
    for tells, passes in _STYLES:
        place = text.find(tells)
        while place >= 0:
            line = text.rfind("\n", 0, place) + 1
            end = _end_of_line(text, place)
            name = _variable(text, line, place - line, passes)
            if name and is_secret_name(name):
                # Further lines of a value are indented as far as its first line.
                further = "\n" + text[line:place] + " " * len(tells)
                while text.startswith(further, end):
                    end = _end_of_line(text, end + len(further))
                yield place + len(tells), end
            place = text.find(tells, end)


def _variable(text: str, line: int, column: int, passes: str) -> str | None:
    """The name of the variable above a column of a line, or None if there is none."""
    while line:
        end = line - 1
        line = text.rfind("\n", 0, end) + 1
        if not text.startswith(passes, line + column, end):
            found = compiled(r"[A-Za-z_]\w*").match(text, line + column, end)
            return found[0] if found else None
    return None


def _end_of_line(text: str, place: int) -> int:
    end = text.find("\n", place)
    return end if end >= place else len(text)
