"""Tracebacks cut to size: a recursion's, of a thousand frames, would leave no room for the log."""

from __future__ import annotations

from loghc.utf8 import encode

__all__ = ["without_middle"]

_NOTE = "  ... loghc left out {} lines here ...\n"
_NOTE_SIZE = 60  # bytes, at least as long as any note


def without_middle(text: str, limit: int) -> str:
    """A text that takes no more bytes than a limit, because whole lines in its middle are gone.

    Its first lines, which say what happened where, and its last, which name the error, share the
    room. A secret within a line stays whole, so that it is still recognised.

    Args:
        text: with a traceback in it.
        limit: bytes in UTF-8.

    Returns:
        The text as it was if it fits, or if lines are too long for it to be made to fit.
    """
    if len(text) <= limit and len(encode(text)) <= limit:
        return text
    lines = text.splitlines(keepends=True)
    room = limit - _NOTE_SIZE
    end = _fitting(lines[::-1], room // 2)
    rest = room - sum(len(encode(line)) for line in lines[len(lines) - end :])
    begin = _fitting(lines, rest)
    if begin == 0 or end == 0:
        return text
    note = _NOTE.format(f"{len(lines) - begin - end:,}")
    return "".join([*lines[:begin], note, *lines[len(lines) - end :]])


def _fitting(lines: list[str], room: int) -> int:
    """How many lines fit."""
    for count, line in enumerate(lines):
        room -= len(encode(line))
        if room < 0:
            return count
    return len(lines)
