"""Private keys in blocks of many lines, complete or not."""

from __future__ import annotations

import base64
import re
import string
from collections.abc import Iterator
from itertools import pairwise

__all__ = ["private_keys"]

_MARKER = r"-----(BEGIN|END) [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----"
_BEGINS = b"-----BEGIN "
# For each of the three alignments of base64: how many characters at the beginning also depend on
# the text before the block.
_SKIPPED = (0, 2, 3)
_HEADS = tuple(
    base64.b64encode(bytes(shift) + _BEGINS)[skipped : (shift + len(_BEGINS)) * 8 // 6].decode()
    for shift, skipped in enumerate(_SKIPPED)
)
_MORE = r"(?P<line>[A-Za-z0-9+/_-]{40,})={0,2}(?:\s{1,8}[A-Za-z0-9+/_-]{60,}={0,2})*"
_BASE64 = string.ascii_letters + string.digits + "+/"
_AROUND = string.whitespace + "\"',\\"
_KEY_RUN = 16
_SHORT_LINES = 2  # at the end of a block: the rest of the key, and for PGP a checksum
_LINE = r"[^\n\\]*(?:\\(?!n)[^\n\\]*)*(?:\n|\\n|$)"  # ends with a newline, escaped or not


def private_keys(text: str) -> Iterator[tuple[int, int]]:
    """The begin and end of the key in each private key block, even if a marker is missing."""
    yield from _in_base64(text)
    if "PRIVATE KEY" not in text:
        return
    markers = re.compile(_MARKER).finditer(text)
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
            yield first, last


def _in_base64(text: str) -> Iterator[tuple[int, int]]:
    """The begin and end of each block that is itself in base64."""
    for shift, head in enumerate(_HEADS):
        for run in re.finditer(re.escape(head) + _MORE, text) if head in text else ():
            sample = "AAAA"[: _SKIPPED[shift]] + head + run["line"][:72]
            if b"PRIVATE KEY" in base64.b64decode(sample[: len(sample) // 4 * 4], b"-_"):
                yield run.span()


def _key_lines_after(text: str) -> int:
    """How many characters after the first line of a block belong to its key."""
    end = 0
    for line in re.compile(_LINE).finditer(text):
        if _is_key_line(line[0]) or (end and _is_short_key_line(line[0])):
            end = line.end()
        elif _bare(line[0]):
            break
    return end


def _key_lines_before(text: str) -> int:
    """Where the key begins in the text before the last line of a block."""
    begin, short = len(text), 0
    for line in reversed(list(re.compile(_LINE).finditer(text))):
        if _is_key_line(line[0]):
            begin = line.start()
        # Anything may come before the marker on its own line.
        elif _bare(line[0]) and line[0].endswith(("\n", "\\n")):
            short += 1
            if begin < len(text) or short > _SHORT_LINES or not _is_short_key_line(line[0]):
                break
    return begin


def _is_key_line(line: str) -> bool:
    """Whether a line ends with a long run of base64, or is a header of a block."""
    bare = _bare(line)
    run = len(bare) - len(bare.rstrip(_BASE64))
    return run >= _KEY_RUN or bare.startswith(("Proc-Type:", "DEK-Info:", "Version:", "Comment:"))


def _is_short_key_line(line: str) -> bool:
    """Whether a line is empty, or may end with the last few characters of a key."""
    return _bare(line)[-1:] in _BASE64


def _bare(lines: str) -> str:
    """Lines without newlines (escaped or not), the quotes around them, and base64 padding."""
    return lines.replace("\\n", "").replace("\\r", "").strip(_AROUND).rstrip("=")
