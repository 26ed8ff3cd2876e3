"""How a process talks to its running guard: over a socket that is in no file system.

Neither end keeps a connection: the program may close any descriptor, and reuse its number.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from collections.abc import Callable, Mapping
from typing import Any

from loghc import native

__all__ = ["Listener", "send"]

_PREFIX = "\0loghc-guard-"  # of its name; the NUL makes it an abstract one
_MAX_BYTES = 1 << 20
_CREDENTIALS = struct.Struct("=iII")  # process, user, group
_EXCHANGE_S = 1.0  # for one message and its answer
_TAKEN = b"+"


class Listener:
    """The guard's end.

    Args:
        address: the socket's name, which only the guarded process knows.
        pid: the guarded process; messages of others are ignored.
    """

    def __init__(self, address: str, pid: int) -> None:
        self._pid = pid
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(_PREFIX + address)
        self._socket.listen()

    def fileno(self) -> int:
        """The descriptor that is readable when there is a message."""
        return self._socket.fileno()

    def receive(self, take: Callable[[Mapping[str, Any]], None]) -> None:
        """Receive one message, and answer it once ``take`` has returned.

        Raises:
            OSError, ValueError: there was none.
        """
        connection, _ = self._socket.accept()
        with connection:
            connection.settimeout(_EXCHANGE_S)
            if _peer(connection)[0] == self._pid:
                with connection.makefile("rb") as file:
                    take(json.loads(file.readline(_MAX_BYTES)))
                connection.sendall(_TAKEN)


def send(address: str, uid: int, message: Mapping[str, Any]) -> int | None:
    """Send a message to a guard.

    Args:
        address: the guard's.
        uid: the user that the guard has to belong to.
        message: anything that JSON can represent.

    Returns:
        The guard's process id; None if no guard has taken the message.
    """
    # Not the app's own class of sockets, which may be gevent's.
    with contextlib.suppress(OSError), native.socket_class()(socket.AF_UNIX) as connection:
        connection.settimeout(_EXCHANGE_S)
        connection.connect(_PREFIX + address)
        process, user = _peer(connection)
        if user == uid:
            connection.sendall(json.dumps(message).encode() + b"\n")
            return process if connection.recv(1) == _TAKEN else None
    return None


def _peer(connection: socket.socket) -> tuple[int, int]:
    """The process and the user at the other end."""
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process, user, _ = _CREDENTIALS.unpack(data)
    return process, user
