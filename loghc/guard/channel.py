"""What a process says to its guard once that is there: by a socket that is in no file system.

Neither end keeps a connection: the program may close any descriptor, and get its number again.
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
_TALK_S = 1.0  # that one message may take
_TAKEN = b"+"


class Listener:
    """The guard's end.

    Args:
        address: what tells it from others; unknown to who doesn't know the process's memory.
        pid: whom to listen to, and nobody else.
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
        """Take one message in.

        Raises:
            OSError, ValueError: there was none.
        """
        connection, _ = self._socket.accept()
        with connection:
            connection.settimeout(_TALK_S)
            if _peer(connection)[0] == self._pid:
                with connection.makefile("rb") as file:
                    take(json.loads(file.readline(_MAX_BYTES)))
                connection.sendall(_TAKEN)


def send(address: str, uid: int, message: Mapping[str, Any]) -> bool:
    """Say something to the guard at an address; whether there is one, and it listened.

    Args:
        address: its.
        uid: the user that it belongs to.
        message: anything that JSON knows.
    """
    # Not the app's own class of sockets, which may be gevent's.
    with contextlib.suppress(OSError), native.socket_class()(socket.AF_UNIX) as connection:
        connection.settimeout(_TALK_S)
        connection.connect(_PREFIX + address)
        if _peer(connection)[1] == uid:
            connection.sendall(json.dumps(message).encode() + b"\n")
            return connection.recv(1) == _TAKEN
    return False


def _peer(connection: socket.socket) -> tuple[int, int, int]:
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process, user, group = _CREDENTIALS.unpack(data)
    return process, user, group
