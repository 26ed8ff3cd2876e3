"""Requests over urllib3, each with one deadline for the whole of it.

Importing this module imports urllib3.
"""

from __future__ import annotations

import copy
import encodings.idna  # noqa: F401 - the codec for host names: imported here, not in mid-request
import functools
import http.client
import socket
import ssl
from collections.abc import Mapping
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection
from urllib3.util.ssl_ import create_urllib3_context
from urllib3.util.ssltransport import SSLTransport

from loghc import native
from loghc.deadline import Deadline
from loghc.ping import Answer
from loghc.service.connection import pool_classes
from loghc.service.environment import CA_FILE_VARIABLE, check_ca_file
from loghc.service.lookup import Resolver
from loghc.service.proxies import Proxy
from loghc.service.quiet import no_debug_output, quiet

__all__ = ["ANSWER_LIMIT", "Transport", "system_trust"]

ANSWER_LIMIT = 64 * 1024
"""Bytes of an answer's body that are read."""

_CONNECTION_WAIT_S = 1.0  # for a free connection of the caller's own pool


def system_trust(ca_file: str | None = None) -> ssl.SSLContext:
    """TLS 1.2 or newer, with the certificates that the system trusts (or ``SSL_CERT_FILE``).

    On some builds of Python ``ssl.create_default_context()`` sets no minimum version; urllib3's
    does.

    Args:
        ca_file: trust the certificates in this PEM file, and no others.

    Raises:
        ValueError: the file can't be used.
    """
    if not native.is_green(ssl.SSLContext):
        context = create_urllib3_context()
    else:  # urllib3 may have the class from before, which fails after the patch
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.hostname_checks_common_name = False
        # Patched TLS needs an event loop on each thread: let it do the TLS, but not the waiting.
        wrap: Any = functools.partial(_wrap_socket, context)
        context.wrap_socket = wrap  # type: ignore[method-assign]
    _load_trust(context, ca_file)
    return context


def _wrap_socket(
    context: ssl.SSLContext, sock: socket.socket, server_hostname: str | None = None
) -> SSLTransport:
    return SSLTransport(sock, context, server_hostname)


def _load_trust(context: ssl.SSLContext, ca_file: str | None) -> None:
    if ca_file is None:
        context.load_default_certs()
        return
    check_ca_file(ca_file, CA_FILE_VARIABLE)
    try:
        context.load_verify_locations(ca_file)
    except ssl.SSLError as error:
        raise ValueError(
            f"{CA_FILE_VARIABLE}: expected a PEM file of certificates; {ca_file!r} can't be read: "
            f"{error.reason}"
        ) from None


class Transport:
    """Connections to the service, direct or through a proxy, one request at a time.

    Args:
        deadline: for each request. With the caller's own pool manager, urllib3 gets it as the
            timeout for connecting and for reading, and it can't cut a request off.
        context: verifies the certificates of TLS connections.
        proxy: the proxy to use; None: none.
        manager: the caller's own pool manager, used as it is.
        resolver: looks names up, and knows which address worked.
    """

    def __init__(
        self,
        deadline: Deadline,
        context: ssl.SSLContext | None = None,
        proxy: Proxy | None = None,
        manager: urllib3.PoolManager | None = None,
        resolver: Resolver | None = None,
    ) -> None:
        self._deadline = deadline
        self._own = self._bounded = manager is None
        if manager is None:
            # TCP_NODELAY, also to a proxy: the end of a request must not wait for an ACK.
            options: dict[str, Any] = {
                "maxsize": 1,
                "ssl_context": context,
                "socket_options": HTTPConnection.default_socket_options,
            }
            if proxy is None:
                manager = urllib3.PoolManager(**options)
            else:
                manager = urllib3.ProxyManager(proxy.url, proxy_headers=proxy.headers, **options)
            manager.pool_classes_by_scheme = pool_classes(deadline, resolver or Resolver())
        elif native.is_green(socket.socket) and hasattr(manager, "pools"):
            # Patched sockets and locks belong to the event loop of one thread, and end with it.
            manager, pools = copy.copy(manager), manager.pools
            manager.pools = type(pools)()
            self._own = True
        self._manager = manager

    def post(self, url: str, body: bytes, headers: Mapping[str, str], seconds: float) -> Answer:
        """Make one request.

        Args:
            url: the URL.
            body: what to send.
            headers: the request's. They replace those of a pool manager.
            seconds: for the whole request.

        Raises:
            urllib3.exceptions.HTTPError, OSError: there was no answer, or none that is HTTP.
        """
        self._deadline.begin(seconds)
        with quiet():
            if not self._bounded:
                no_debug_output(self._manager, url)
            response = self._manager.request(
                "POST",
                url,
                body=body,
                headers=headers,
                timeout=urllib3.Timeout(total=self._deadline.left()),
                pool_timeout=min(_CONNECTION_WAIT_S, self._deadline.left()),
                retries=False,
                redirect=False,
                preload_content=False,
            )
            whole = False
            try:
                start = response.read(ANSWER_LIMIT, decode_content=False)
                whole = len(start) < ANSWER_LIMIT
            except ValueError as error:  # http.client's, for a negative chunk size
                raise http.client.HTTPException(str(error)) from error
            finally:
                # Unread data must not be taken for the next answer.
                response.release_conn() if whole else response.close()
        return Answer.of(response.status, response.headers.items(), start)

    def open(self, url: str, seconds: float) -> None:
        """Open a connection and close it again, with no request sent to the service.

        Args:
            url: the URL.
            seconds: for the whole attempt.

        Raises:
            urllib3.exceptions.HTTPError, OSError: it could not be opened.
        """
        self._deadline.begin(seconds)
        with quiet():
            pool = self._manager.connection_from_url(url)
            connection = pool._get_conn()
            try:
                if pool.proxy is not None and url.startswith("https:"):
                    pool._prepare_proxy(connection)
                else:
                    connection.connect()
            except Exception as error:
                refused = str(error).startswith("Tunnel")  # by a proxy that was reached
                if pool.proxy and not connection.has_connected_to_proxy and not refused:
                    raise urllib3.exceptions.ProxyError(
                        "no connection to the proxy", error
                    ) from error
                raise
            finally:
                connection.close()

    def close(self) -> None:
        """Close the connections, unless they are the caller's. The next request opens others."""
        self._deadline.cut_by(None)
        if self._own:
            self._manager.clear()
