"""The sockets: one that listens, and a thread for each connection."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import sys
import threading
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any

from loghc.testing.handler import Handler
from loghc.testing.service import Service

__all__ = ["Server"]


class Server(ThreadingTCPServer):
    """Listens from the moment it is made, on a thread of its own, until `stop`."""

    daemon_threads = True
    # A burst of clients waits here until the one accepting thread gets to them.
    request_queue_size = 4096
    # On Windows this option lets two servers share a port; elsewhere a restart needs it.
    allow_reuse_address = os.name == "posix"
    allow_reuse_port = False

    def __init__(
        self,
        address: tuple[str, int],
        service: Service,
        ssl_context: ssl.SSLContext | None,
    ) -> None:
        self.service = service
        self.stopping = threading.Event()
        self._ssl_context = ssl_context
        self._connections: set[socket.socket] = set()
        self._connection_closed = threading.Condition()
        self._pid = os.getpid()
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, BaseRequestHandler)  # not used: see `finish_request`
        # The interval is how long a stop may take while nothing arrives.
        self._thread = threading.Thread(
            target=self.serve_forever, args=(0.01,), name="loghc-ping-receiver", daemon=True
        )
        self._thread.start()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection, and wrap it for TLS."""
        connection, address = super().get_request()
        if self._ssl_context is not None:
            # The handshake comes with the first read, on the connection's own thread.
            connection = self._ssl_context.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        with self._connection_closed:
            self._connections.add(connection)
        return connection, address

    def close_request(self, request: Any) -> None:
        """Close a connection."""
        super().close_request(request)
        with self._connection_closed:
            self._connections.discard(request)
            self._connection_closed.notify_all()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection to its end, on the thread of its own."""
        Handler(request, client_address, self.service, self.stopping)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report an error, but not that a client left or that the server stops."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def stop(self) -> None:
        """Stop listening, close all connections, and wait for their threads."""
        if os.getpid() != self._pid:
            # A forked child has the sockets but not the threads, and the parent still serves.
            self.server_close()
            return
        self.stopping.set()
        self.shutdown()
        self.server_close()
        with self._connection_closed:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    # Not SSLSocket.shutdown: that takes TLS away while a thread uses it.
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)
            self._connection_closed.wait_for(lambda: not self._connections, timeout=5.0)
        self._thread.join()
