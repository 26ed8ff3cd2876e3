"""Private keys in blocks of many lines, whole or not."""

from __future__ import annotations

import re
import string
from itertools import pairwise

from loghc.log.redaction import REDACTED

__all__ = ["mask_private_keys"]

_MARKER = r"-----(BEGIN|END) [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----"
_BASE64 = string.ascii_letters + string.digits + "+/"
_AROUND = string.whitespace + "\"',\\"
_KEY_RUN = 16
_SHORT_LINES = 2  # at a block's end: what is left of the key, and in PGP's a checksum
_LINE = r"[^\n\\]*(?:\\(?!n)[^\n\\]*)*(?:\n|\\n|$)"  # ends with a newline, escaped or not


def mask_private_keys(text: str) -> str:
    """Takes out the key in each private key block, also if only an end of the block is there."""
    if "PRIVATE KEY" not in text:
        return text
    markers = re.compile(_MARKER).finditer(text)
    parts, done = [], 0
    for before, after in pairwise((None, *markers, None)):
        first = before.end() if before else 0
        last = after.start() if after else len(text)
        begins = before is not None and before[1] == "BEGIN"
        ends = after is not None and after[1] == "END"
        if begins and not ends:
            last = first + _key_lines_after(text[first:last])
        elif ends and not begins:
            first += _key_lines_before(text[first:last])
        if (begins or ends) and _bare(text[first:last]):
            parts += [text[done:first], REDACTED]
            done = last
    return "".join((*parts, text[done:]))


def _key_lines_after(text: str) -> int:
    """How many characters, after a block's first line, belong to its key."""
    end = 0
    for line in re.compile(_LINE).finditer(text):
        if _is_key_line(line[0]) or (end and _is_short_key_line(line[0])):
            end = line.end()
        elif _bare(line[0]):
            break
    return end


def _key_lines_before(text: str) -> int:
    """Where the key begins that a text, up to the last line of a block, ends with."""
    begin, short = len(text), 0
    for line in reversed(list(re.compile(_LINE).finditer(text))):
        if _is_key_line(line[0]):
            begin = line.start()
        # What stands before the marker on its own line may be anything.
        elif _bare(line[0]) and line[0].endswith(("\n", "\\n")):
            short += 1
            if begin < len(text) or short > _SHORT_LINES or not _is_short_key_line(line[0]):
                break
    return begin


def _is_key_line(line: str) -> bool:
    """Whether a line ends with much base64, or is a header of a block."""
    bare = _bare(line)
    run = len(bare) - len(bare.rstrip(_BASE64))
    return run >= _KEY_RUN or bare.startswith(("Proc-Type:", "DEK-Info:", "Version:", "Comment:"))


def _is_short_key_line(line: str) -> bool:
    """Whether a line may be empty, or end with the little that the last line of a key holds."""
    return _bare(line)[-1:] in _BASE64


def _bare(lines: str) -> str:
    """Lines without newlines, escaped or not, quotes around them, and the padding of base64."""
    return lines.replace("\\n", "").replace("\\r", "").strip(_AROUND).rstrip("=")
