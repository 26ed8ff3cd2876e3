"""One client's connection: reads its requests, and answers or breaks off as the fault says."""

from __future__ import annotations

import math
import socket
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, Final

from loghc.testing.bodies import BrokenOffError, MalformedError, read_body
from loghc.testing.faults import Fault
from loghc.testing.protocol import Answer, usual_reason
from loghc.testing.requests import Headers, RequestHead

if TYPE_CHECKING:
    from loghc.testing.server import Server

__all__ = ["Handler"]

# Seconds between two looks at whether a client still waits for an answer that never comes.
_LOOK_INTERVAL: Final = 0.2


class Handler(BaseHTTPRequestHandler):
    """Serves one connection, one request after the other, on a thread of its own."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server
    _resets = False

    def finish(self) -> None:
        """Close the connection, with a reset where the fault asks for one."""
        if self._resets:
            layout = "hh" if sys.platform == "win32" else "ii"
            self.connection.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack(layout, 1, 0)
            )
        super().finish()
        if self._resets:
            # Before the server does its polite shutdown, which would send a FIN first.
            self.connection.close()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep standard error clean."""

    def send_error(
        self,
        code: int,
        message: str | None = None,  # noqa: ARG002
        explain: str | None = None,  # noqa: ARG002
    ) -> None:
        """Answer what is not HTTP; http.server's parser calls this."""
        self._refuse(RequestHead("", self.requestline, "", Headers()), b"", int(code))

    def __getattr__(self, name: str) -> Any:
        # http.server looks for do_GET, do_POST..., and to the service any method is a ping.
        if name.startswith("do_"):
            return self._handle
        raise AttributeError(name)

    def _handle(self) -> None:
        """Handle one request whose head has been read."""
        service = self.server.service
        fault = service.next_fault()
        head = self._head()
        try:
            if fault.cut == "request":
                raise BrokenOffError(b"")
            body = read_body(self.rfile, head.headers, halfway=fault.cut == "body")
        except MalformedError as error:
            self._refuse(head, error.args[0], 400)
        except BrokenOffError as error:
            service.note(head, error.args[0], None)
            self._hang_up(fault)
        else:
            answer = service.receive(head, body, fault)
            ended = fault.delay > 0 and self._pause(fault.delay)
            if ended or fault.cut == "before-answer":
                self._hang_up(fault)
            else:
                self._send(answer, fault)

    def _head(self) -> RequestHead:
        # Not self.path: http.server folds slashes there that the service doesn't fold.
        target = self.requestline.split()[1]
        if target.startswith(("http://", "https://")):  # as a proxy is asked
            target = "/" + target.split("/", 3)[3] if target.count("/") > 2 else "/"
        path, _, query = target.partition("?")
        return RequestHead(self.command, path, query, Headers(self.headers.items()))

    def _send(self, answer: Answer, fault: Fault) -> None:
        if fault.raw is not None:
            head, body = fault.raw, b""
            self.close_connection = True
        elif fault.endless:
            head, body = answer.head(("Connection", "close")), answer.body or b"\n"
            self.close_connection = True
        else:
            bodiless = answer.status in (204, 304)
            head = answer.head() if bodiless else answer.head(("Content-Length", len(answer.body)))
            body = b"" if bodiless or self.command == "HEAD" else answer.body
        if fault.cut == "answer":
            head, body = (head, body[: len(body) // 2]) if body else (head[: len(head) // 2], b"")
        self._write(head + body, fault.pace)
        while fault.endless and fault.cut is None and not self.server.stopping.is_set():
            self._write(body if fault.pace else body * (1 + 65_536 // len(body)), fault.pace)
        if fault.cut == "answer":
            self._hang_up(fault)

    def _write(self, data: bytes, pace: float) -> None:
        if not pace:
            self.wfile.write(data)
            return
        for n in range(len(data)):
            if n and self._pause(pace):
                self.close_connection = True
                return
            self.wfile.write(data[n : n + 1])

    def _pause(self, seconds: float) -> bool:
        """Wait; return True early if the server stops, or the client leaves an endless wait."""
        if math.isfinite(seconds):
            return self.server.stopping.wait(min(seconds, threading.TIMEOUT_MAX))
        while not self.server.stopping.wait(_LOOK_INTERVAL):
            if self._client_left():
                return True
        return True

    def _client_left(self) -> bool:
        self.connection.settimeout(0)
        try:
            # Not SSLSocket.recv, which would consume what it reads.
            return not socket.socket.recv(self.connection, 1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            self.connection.settimeout(None)

    def _hang_up(self, fault: Fault) -> None:
        self._resets = fault.cut is not None and fault.reset
        self.close_connection = True

    def _refuse(self, head: RequestHead, body: bytes, status: int) -> None:
        """Answer, and close without having read the request to its end."""
        self.server.service.note(head, body, status)
        answer = Answer(status, usual_reason(status), {}, b"")
        self.wfile.write(answer.head(("Content-Length", 0), ("Connection", "close")))
        self.close_connection = True
        # Closing over unread bytes resets the connection, and may lose the answer on its way.
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(1.0)
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline and self.rfile.read(65_536):
            pass
