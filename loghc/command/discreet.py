"""Keeps ping URLs out of what the command says of its own arguments."""

from __future__ import annotations

import re

from loghc.service.url import UUID

__all__ = ["discreet"]

_URL = r"(?i:(https?:/{1,3}))(?:[^\s/'\"]*@)?([^\s/'\"?#,]+)[^\s'\",]*"
_HOST = r"(?<![\w./@:-])((?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}(?::[0-9]+)?)/[^\s'\",*]+"
_KEY = r"(?=[\w-]*[0-9])(?=[\w-]*[a-z])(?=[\w-]*[A-Z_-])[A-Za-z0-9][\w-]{19,}|[0-9a-fA-F]{32}"


def discreet(text: str) -> str:
    """Text in which of a URL no more than its host is left.

    A ping URL may have been given in the wrong place, by a misspelt option, or without its scheme.

    Example:
        >>> discreet("unrecognized arguments: --ulr=https://hc-ping.com/fqOOd6-F4MMNuCEnzTU01w/x")
        'unrecognized arguments: --ulr=https://hc-ping.com/***'
    """
    text = re.sub(_HOST, r"\1/***", re.sub(_URL, r"\1\2/***", text))
    return re.sub(rf"{UUID}|(?<![\w/-]){_KEY}(?![\w-])|(?<=/){_KEY}(?![\w-])", "***", text)
