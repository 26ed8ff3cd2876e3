"""Shortens tracebacks: the thousand frames of a recursion would leave no room for the log."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate

from loghc.utf8 import encode

__all__ = ["fitted", "without_middle"]

_FRAME = r'(?m)^(?=[ >|+]*File ")'  # also those of loguru and of exception groups
_NOTE = "  ... loghc left out {} frames here ...\n"
_NOTE_SIZE = 60  # bytes, at least as long as any note
_WORTH_BYTES = 500  # a shorter traceback may exceed its share


def fitted(tracebacks: Sequence[str], limit: int) -> str:
    """Tracebacks one after another, cut to fit a limit; each keeps its beginning and its end.

    Args:
        tracebacks: the last one is the most important and gets its room first. The others share
            the rest, newest first.
        limit: the most bytes of UTF-8 for all of them together.
    """
    kept: list[str] = []
    for position, text in enumerate(reversed(tracebacks)):
        whole = text if text.endswith("\n") else f"{text}\n"
        share = limit if position == 0 else limit // (len(tracebacks) - position)
        cut = without_middle(whole, share)
        size = len(encode(cut))
        if position and size > max(share, _WORTH_BYTES):
            break
        kept.append(cut)
        limit = max(0, limit - size)
    left = len(tracebacks) - len(kept)
    note = f"loghc: left out the tracebacks of {left} more processes\n" if left else ""
    return "".join([note, *reversed(kept)])


def without_middle(text: str, limit: int) -> str:
    """A text cut to a limit by leaving out frames in the middle.

    The beginning, which says what happened and where, and the end, which names the error, share the
    room. The lines of a frame are kept or dropped together, as is an error's message: a secret that
    was cut in two would not be recognised.

    Args:
        text: a text that contains a traceback.
        limit: the most bytes of UTF-8.

    Returns:
        The text unchanged if it fits, or if its parts are too long to make it fit.
    """
    if len(text) <= limit and len(encode(text)) <= limit:
        return text
    parts = re.split(_FRAME, text)
    sizes = [len(encode(part)) for part in parts]
    room = limit - _NOTE_SIZE
    end = _fitting(sizes[::-1], room // 2)
    begin = _fitting(sizes, room - sum(sizes[len(sizes) - end :]))
    if begin == 0 or end == 0:
        return text
    note = _NOTE.format(f"{len(parts) - begin - end:,}")
    return "".join([*parts[:begin], note, *parts[len(parts) - end :]])


def _fitting(sizes: list[int], room: int) -> int:
    """How many of the first parts fit."""
    return sum(together <= room for together in accumulate(sizes))
