"""Keeps urllib3, and http.client below it, from telling what loghc requests.

Their debug lines name the ping URL, and a record that urllib3 logs may come back, through a handler
that feeds loguru, to the sink that waits for this very thread.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import urllib3

from loghc import native
from loghc.fork import InChild, in_child

__all__ = ["no_debug_output", "quiet"]

_requesting: set[int] = set()  # the threads that make a request of loghc's now
in_child(InChild.THREADS, _requesting.clear)


class _OnlyOthers(logging.Filter):
    """Passes what urllib3 logs of requests that are not loghc's."""

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002
        return native.get_ident() not in _requesting


_only_others = _OnlyOthers()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Within this block, urllib3 logs nothing of what the calling thread requests."""
    # A filter counts for its own logger alone, so every logger of urllib3's gets it. Each time: a
    # module that urllib3 imports late brings a logger of its own.
    logging.getLogger("py.warnings").addFilter(_only_others)  # where logging.captureWarnings leads
    for name in list(logging.root.manager.loggerDict):
        if name == "urllib3" or name.startswith("urllib3."):
            logging.getLogger(name).addFilter(_only_others)
    _requesting.add(native.get_ident())
    try:
        yield
    finally:
        _requesting.discard(native.get_ident())


def no_debug_output(manager: object, url: str) -> None:
    """Let the connections that a caller's own manager makes to a URL's host print nothing.

    ``debuglevel``, where an app sets it for http.client, prints each request, its path and all.
    """
    if not isinstance(manager, urllib3.PoolManager):
        return  # the like of one, which has ways of its own
    pool = manager.connection_from_url(url)
    kind = pool.ConnectionCls
    if getattr(kind, "debuglevel", 0):
        pool.ConnectionCls = type(kind.__name__, (kind,), {"debuglevel": 0})
