"""What ``LOGHC_DEBUG=1`` tells, on standard error: each marker as it is seen, and each outcome."""

from __future__ import annotations

import os

from loghc.stderr import say

__all__ = ["debugging", "tell"]

_VARIABLE = "LOGHC_DEBUG"


def debugging() -> bool:
    """Whether the environment asks for it. ``0`` and an empty value don't."""
    return os.environ.get(_VARIABLE, "").strip() not in ("", "0")


def tell(text: str) -> None:
    """Say a line if the environment asks for it.

    Args:
        text: without secrets.
    """
    if debugging():
        say(f"debug: {text}")
