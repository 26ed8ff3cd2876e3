"""Whether a function that the app gave to a sink is being called right now.

A marker that ``redact`` or ``on_outcome`` logs triggers no ping of any sink: it would cause the
next call, and so on forever. Markers from anything else that runs on loghc's threads, such as one
of the app's finalizers, count as on any other thread.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from loghc import native

__all__ = ["calling_back", "within_callback"]


class _Here(native.local):
    calling = False


_here = _Here()


@contextlib.contextmanager
def calling_back() -> Iterator[None]:
    """A block in which the app's function is called."""
    _here.calling = True
    try:
        yield
    finally:
        _here.calling = False


def within_callback() -> bool:
    """Whether the calling thread is within such a block."""
    return _here.calling
