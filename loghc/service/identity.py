"""Recognises a check without keeping its ping URL."""

from __future__ import annotations

import hashlib

TYPE_CHECKING = False  # typing takes longer to import than all of this
if TYPE_CHECKING:
    from loghc.service.url import PingUrl

__all__ = ["identity"]


def identity(url: PingUrl, salt: bytes) -> str:
    """A salted hash of a check's URL, in hexadecimal, which doesn't reveal the URL."""
    text = f"{url.origin}{url.path}?{url.query} {url.credentials or ''}"
    return hashlib.sha256(salt + text.encode()).hexdigest()
