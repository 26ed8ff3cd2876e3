"""Looks a host's name up, and gives up in time: the system's own look-up can't be interrupted."""

from __future__ import annotations

import functools
import os
import re
import socket
import subprocess
import sys
from _queue import Empty, SimpleQueue  # a queue.py beside the script can't hide it
from typing import Any

from loghc import native
from loghc.service.deadline import Deadline

__all__ = ["addresses"]

_IN_A_PROCESS = """
import socket, sys
try:
    found = socket.getaddrinfo(sys.argv[1], int(sys.argv[2]), type=socket.SOCK_STREAM)
except socket.gaierror as error:
    print(repr(("failed", error.args)))
else:
    print(repr(("found", [(int(f), int(k), p, n, a) for f, k, p, n, a in found])))
"""


def addresses(host: str, port: int | None, deadline: Deadline) -> list[Any]:
    """What ``socket.getaddrinfo`` finds for a host, for TCP.

    Args:
        host: a name in ASCII, or an address.
        port: where it listens.
        deadline: bounds the wait.

    Raises:
        TimeoutError: nothing was found in time.
        OSError: the look-up could not be made.
        socket.gaierror: the name doesn't resolve.
    """
    # As bytes: the codec for names in other scripts isn't needed.
    name = host.encode("ascii")
    try:
        return socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        pass  # not an address
    outcome: SimpleQueue[Any] = SimpleQueue()
    begun: SimpleQueue[None] = SimpleQueue()

    def look_up() -> None:
        begun.put(None)
        try:
            outcome.put(socket.getaddrinfo(name, port, type=socket.SOCK_STREAM))
        except Exception as error:  # noqa: BLE001 - raised again by who waits for it
            outcome.put(error)

    try:
        native.start_new_thread(look_up, ())
    except RuntimeError:
        # No thread to be had, as at the exit of Python 3.12: a process can be given up as well.
        # Not in a program that is its own interpreter, frozen or embedded: it would start again.
        program = os.path.basename(sys.executable or "")  # noqa: PTH119
        if re.fullmatch(r"(python|pypy)w?[0-9.]*[a-z]?(\.exe)?", program):
            return _addresses_from_process(host, port, deadline)
        return socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    # Before Python 3.12 the interpreter can crash when it exits before a thread has begun.
    begun.get()
    deadline.cut_by(functools.partial(outcome.put, None))
    try:
        found = outcome.get(timeout=deadline.left())
    except Empty:
        found = None
    deadline.cut_by(None)
    deadline.left()
    if isinstance(found, Exception):
        raise found
    return list(found)


def _addresses_from_process(host: str, port: int | None, deadline: Deadline) -> list[Any]:
    import ast

    try:
        done = subprocess.run(  # noqa: S603 - this interpreter, with a name as its argument
            [sys.executable, "-I", "-S", "-c", _IN_A_PROCESS, host, str(port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=deadline.left(),
            check=False,
        )
    except subprocess.TimeoutExpired:
        deadline.left()
        raise
    if done.returncode != 0:
        raise OSError("the process that looks names up failed")
    kind, value = ast.literal_eval(done.stdout.decode())
    if kind == "failed":
        raise socket.gaierror(*value)
    return list(value)
