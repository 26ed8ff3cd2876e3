"""Keeps urllib3, and http.client below it, from logging loghc's own requests.

Their debug lines contain the ping URL. And a record of urllib3's may come back, through a handler
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

_requesting: set[int] = set()  # the threads that are making a request of loghc's
in_child(InChild.THREADS, _requesting.clear)


class _OnlyOthers(logging.Filter):
    """Lets only records about requests pass that are not loghc's."""

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002
        return native.get_ident() not in _requesting


_only_others = _OnlyOthers()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """A block in which urllib3 logs nothing about the calling thread's requests."""
    # A filter applies to its own logger only, so each of urllib3's loggers gets it. Every time, as
    # a module that urllib3 imports late brings its own logger.
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
    """Keep the caller's own pool manager from printing its requests to a URL's host.

    If an app sets ``debuglevel`` for http.client, that prints each request with its path.
    """
    if not isinstance(manager, urllib3.PoolManager):
        return  # something like a pool manager, which may work differently
    pool = manager.connection_from_url(url)
    kind = pool.ConnectionCls
    if getattr(kind, "debuglevel", 0):
        pool.ConnectionCls = type(kind.__name__, (kind,), {"debuglevel": 0})
