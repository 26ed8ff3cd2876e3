"""Removes a terminal's escape sequences from a log, such as those for colours and links."""

from __future__ import annotations

import re

__all__ = ["without_escapes"]

_ESCAPE = b"\x1b"
_SEQUENCE = (
    rb"\x1b(?:"
    rb"\[[0-?]*[ -/]*[@-~]"  # colours, the cursor
    rb"|\][^\x07\x1b\n]*(?:\x07|\x1b\\)"  # links, titles
    rb"|[()][0-9A-Za-z]"  # character sets, which `tput sgr0` prints too
    rb")"
)


def without_escapes(data: bytes) -> bytes:
    r"""A log without escape sequences.

    Example:
        >>> without_escapes(b"\x1b[31mdisk full\x1b[0m")
        b'disk full'
    """
    # Compiled when first needed: most logs have none.
    return re.sub(_SEQUENCE, b"", data) if _ESCAPE in data else data
