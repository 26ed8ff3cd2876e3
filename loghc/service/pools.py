"""Pings that go through urllib3: by way of a proxy, or with a pool manager of the caller's own.

Importing this module imports urllib3.
"""

from __future__ import annotations

import encodings.idna  # noqa: F401 - the codec for host names: imported here, not in mid-request
import logging
import socket
from collections.abc import Mapping

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from loghc.ping import Answer
from loghc.service.connection import ANSWER_LIMIT, Timed, open_socket
from loghc.service.deadline import current_deadline, is_working
from loghc.service.proxies import Proxy

__all__ = ["Pools", "through"]


class Pools:
    """The connections of a urllib3 pool manager.

    Args:
        manager: it makes the requests.
    """

    def __init__(self, manager: urllib3.PoolManager) -> None:
        self._manager = manager

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Make one request, within the deadline that the calling thread works to.

        urllib3 is quiet meanwhile: its debug lines name the ping URL, and a record that it logs may
        come back, through a handler that feeds loguru, to the sink that waits for this very thread.

        Args:
            url: where to.
            body: what to send.
            headers: the request's. The manager's own count, too.

        Raises:
            urllib3.exceptions.HTTPError, OSError: there was no answer, or none that is HTTP.
        """
        _hush()
        response = self._manager.request(
            "POST",
            url,
            body=body,
            headers=headers,
            timeout=urllib3.Timeout(total=current_deadline().left()),
            retries=False,
            redirect=False,
            preload_content=False,
        )
        try:
            start = response.read(ANSWER_LIMIT, decode_content=False)
        except BaseException:
            response.close()
            raise
        # An interim answer is followed by the real one, which is not for the next request.
        if len(start) < ANSWER_LIMIT and response.status >= 200:
            response.release_conn()
        else:
            response.close()
        return Answer.of(response.status, response.headers.items(), start)

    def close(self) -> None:
        """Close the connections; the next request opens others."""
        self._manager.clear()

    def forget(self) -> None:
        """Let go of them in a forked child; the parent's stay open.

        Not by closing them: a lock in there may be held by a thread that the child does not have.
        """
        if hasattr(self._manager, "pools"):  # a manager of the caller's own may be of another kind
            self._manager.pools = type(self._manager.pools)()


def through(proxy: Proxy) -> Pools:
    """Connections by way of a proxy that keep to the deadline of the thread that uses them."""
    manager = urllib3.ProxyManager(proxy.url, maxsize=1, retries=False, proxy_headers=proxy.headers)
    manager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
    return Pools(manager)


class _Timed(Timed, HTTPConnection):
    def _new_conn(self) -> socket.socket:
        # The name that urllib3 keeps for look-ups: with a trailing dot where one was given.
        return open_socket(self._dns_host, self.port)


class _TimedTLS(_Timed, HTTPSConnection):
    pass


class _HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Timed


class _HTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TimedTLS


class _OnlyOthers(logging.Filter):
    """Lets pass what urllib3 logs of requests that are not loghc's."""

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002
        return not is_working()


_only_others = _OnlyOthers()


def _hush() -> None:
    # A filter counts for its own logger alone, so every logger of urllib3's gets it. Each time: a
    # module that urllib3 imports late brings a logger of its own.
    logging.getLogger("py.warnings").addFilter(_only_others)  # where logging.captureWarnings leads
    for name in list(logging.root.manager.loggerDict):
        if name == "urllib3" or name.startswith("urllib3."):
            logging.getLogger(name).addFilter(_only_others)
