"""Keeps ping URLs out of messages that quote the command line."""

from __future__ import annotations

import re

from loghc.service.url import UUID

__all__ = ["without_urls"]

_URL = r"(?i:(https?:/{1,3}))(?:[^\s/'\"]*@)?([^\s/'\"?#,]+)[^\s'\",]*"
_URL_WITHOUT_SCHEME = r"(?<![\w/.-])([\w-]+(?:\.[\w-]+)+(?::\d+)?/)[^\s'\",]+"
_KEY = r"(?=[\w-]*[0-9])(?=[\w-]*[a-z])(?=[\w-]*[A-Z_-])[A-Za-z0-9][\w-]{19,}|[0-9a-fA-F]{32}"


def without_urls(text: str) -> str:
    """A text with only the hosts of its URLs left.

    A ping URL may have been given in the wrong place, with a misspelt option, or without a scheme.

    Example:
        >>> without_urls("unrecognized arguments: --ulr=https://hc-ping.com/fqOOd6-F4MMNuCEnzTU01w/x")
        'unrecognized arguments: --ulr=https://hc-ping.com/***'
    """
    text = re.sub(_URL, r"\1\2/***", text)
    text = re.sub(_URL_WITHOUT_SCHEME, r"\1***", text)
    return re.sub(rf"{UUID}|(?<![\w/-]){_KEY}(?![\w-])|(?<=/){_KEY}(?![\w-])", "***", text)
