"""One client's connection: reads its requests, and answers or breaks off as the fault says."""

from __future__ import annotations

import socket
import struct
import sys
import threading
import time
from socketserver import StreamRequestHandler
from typing import TYPE_CHECKING

from loghc.testing.bodies import BrokenOffError, MalformedError, read_body
from loghc.testing.faults import Fault
from loghc.testing.heads import RefusedError, read_head
from loghc.testing.protocol import Answer
from loghc.testing.requests import Headers, RequestHead

if TYPE_CHECKING:
    from loghc.testing.service import Service

__all__ = ["Handler"]


class Handler(StreamRequestHandler):
    """Serves one connection, one request after the other, on a thread of its own.

    Args:
        connection: the client's.
        address: the client's.
        service: judges the requests.
        stopping: set when the server stops.
    """

    disable_nagle_algorithm = True
    _resets = False
    _closes = False

    def __init__(
        self,
        connection: socket.socket,
        address: object,
        service: Service,
        stopping: threading.Event,
    ) -> None:
        self._service = service
        self._stopping = stopping
        super().__init__(connection, address, None)  # type: ignore[arg-type]

    def handle(self) -> None:
        """Serve requests until the connection is to be closed; the socketserver calls this."""
        while not self._closes:
            self._handle_one()

    def finish(self) -> None:
        """Close the connection, with a reset where the fault asks for one."""
        if self._resets:
            layout = "hh" if sys.platform == "win32" else "ii"
            self.connection.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack(layout, 1, 0)
            )
        super().finish()
        if self._resets:
            # Before the server's own shutdown, which would send a FIN first.
            self.connection.close()

    def _handle_one(self) -> None:
        try:
            head = read_head(self.rfile)
        except RefusedError as error:
            self._refuse(RequestHead("", error.line, "", Headers()), b"", error.status)
            return
        if head is None:
            self._closes = True
            return
        self._closes = not head.kept_alive
        if head.version != "HTTP/1.0" and "Expect" in head.headers:
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._serve(head)

    def _serve(self, head: RequestHead) -> None:
        """Handle one request whose head has been read."""
        service = self._service
        fault = service.next_fault()
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
                self._send(head, answer, fault)

    def _send(self, asked: RequestHead, answer: Answer, fault: Fault) -> None:
        if fault.raw is not None or fault.endless:
            self._closes = True
        more: list[tuple[str, object]] = [("Connection", "close" if self._closes else "keep-alive")]
        if fault.raw is not None:
            head, body = fault.raw, b""
        elif fault.endless:
            head, body = answer.head(asked.version, *more), answer.body or b"\n"
        else:
            bodiless = answer.status in (204, 304)
            if not bodiless:
                more.append(("Content-Length", len(answer.body)))
            head = answer.head(asked.version, *more)
            body = b"" if bodiless or asked.method == "HEAD" else answer.body
        if fault.cut == "answer":
            head, body = (head, body[: len(body) // 2]) if body else (head[: len(head) // 2], b"")
        self._write(head + body, fault.pace)
        while fault.endless and fault.cut is None and not self._stopping.is_set():
            self._write(body if fault.pace else body * (1 + 65_536 // len(body)), fault.pace)
        if fault.cut == "answer":
            self._hang_up(fault)

    def _write(self, data: bytes, pace: float) -> None:
        if not pace:
            self.wfile.write(data)
            return
        for n in range(len(data)):
            if n and self._pause(pace):
                self._closes = True
                return
            self.wfile.write(data[n : n + 1])

    def _pause(self, seconds: float) -> bool:
        """Wait; return True early if the server stops."""
        return self._stopping.wait(min(seconds, threading.TIMEOUT_MAX))

    def _hang_up(self, fault: Fault) -> None:
        self._resets = fault.cut is not None and fault.reset
        self._closes = True

    def _refuse(self, head: RequestHead, body: bytes, status: int) -> None:
        """Answer, and close without having read the request to its end."""
        self._service.note(head, body, status)
        answer = Answer.refusing(status)
        self.wfile.write(
            answer.head("HTTP/1.1", ("Content-Length", len(answer.body))) + answer.body
        )
        self._closes = True
        # Closing over unread bytes resets the connection, and may lose the answer on its way.
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(1.0)
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline and self.rfile.read(65_536):
            pass
