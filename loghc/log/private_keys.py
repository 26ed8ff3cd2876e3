"""Private keys in blocks of many lines, whole or not."""

from __future__ import annotations

import re
import string

from loghc.log.redaction import REDACTED

__all__ = ["mask_private_keys"]

_MARKER = r"-----(BEGIN|END) [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----"
_BASE64 = string.ascii_letters + string.digits + "+/"
_KEY_RUN = 16
_LINE = r"[^\n\\]*(?:\\(?!n)[^\n\\]*)*(?:\n|\\n|$)"  # ends with a newline, escaped or not


def mask_private_keys(text: str) -> str:
    """Takes out the key in each private key block, also if only an end of the block is there."""
    if "PRIVATE KEY" not in text:
        return text
    parts = []
    done, begun = 0, -1  # the end of what was dealt with; of a block's first line, or -1
    for marker in re.compile(_MARKER).finditer(text):
        if marker[1] == "END":
            first = done + _key_lines_before(text[done : marker.start()]) if begun < 0 else begun
            parts += _without_key(text, done, first, marker.start())
            done, begun = marker.start(), -1
        else:
            if begun >= 0:
                last = begun + _key_lines_after(text[begun : marker.start()])
                parts += _without_key(text, done, begun, last)
                done = last
            begun = marker.end()
    if begun >= 0:
        last = begun + _key_lines_after(text[begun:])
        parts += _without_key(text, done, begun, last)
        done = last
    return "".join((*parts, text[done:]))


def _without_key(text: str, done: int, first: int, last: int) -> list[str]:
    return [text[done:first], REDACTED if text[first:last].strip() else text[first:last]]


def _key_lines_after(text: str) -> int:
    """How many characters, after a block's first line, belong to its key."""
    end, found = 0, False
    for line in re.compile(_LINE).finditer(text):
        key = _is_key_line(line[0])
        if not key and not (found and _is_short_key_line(line[0])) and _bare(line[0]):
            break
        found = found or key
        end = line.end()
    return end if found else 0


def _key_lines_before(text: str) -> int:
    """Where the key begins that a text, up to the last line of a block, ends with."""
    begin, found, tried = len(text), False, 0
    for line in reversed(list(re.compile(_LINE).finditer(text))):
        key = _is_key_line(line[0])
        # What stands before the marker on its own line may be anything, and a last line short.
        if not key and line.end() < len(text) and _bare(line[0]):
            tried += 1
            if found or tried > 1 or not _is_short_key_line(line[0]):
                break
        found = found or key
        if key:
            begin = line.start()
    return begin


def _is_key_line(line: str) -> bool:
    """Whether a line ends with much base64, or is a header of a block."""
    bare = _bare(line)
    run = len(bare) - len(bare.rstrip(_BASE64))
    return run >= _KEY_RUN or bare.startswith(("Proc-Type:", "DEK-Info:", "Version:", "Comment:"))


def _is_short_key_line(line: str) -> bool:
    """Whether the end of a line may be the little that the last line of a key holds."""
    return _bare(line)[-1:] in _BASE64


def _bare(line: str) -> str:
    """A line without its newline, escaped or not, quotes around it, and the padding of base64."""
    bare = line.strip()
    if bare.endswith("\\n"):
        bare = bare[:-2].rstrip("\\")
    bare = bare.removesuffix("\\r")
    return bare.strip(" \"',\\").rstrip("=")
