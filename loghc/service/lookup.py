"""Looks names up in bounded time, although the system's look-up can't be interrupted."""

from __future__ import annotations

import _socket
import socket
from collections.abc import Callable
from typing import Any

from loghc import native
from loghc.clock import monotonic
from loghc.deadline import Deadline

__all__ = ["Resolver"]

KNOWN_LIMIT_S = 1.0
"""Seconds that a look-up may take if an address that worked is known."""


class Resolver:
    """Finds the addresses of hosts for one client and its clones.

    The address that worked comes first the next time. It also serves when the name can't be looked
    up any more, as during a shutdown with the network half gone.
    """

    def __init__(self) -> None:
        self._worked: dict[tuple[str, int | None], Any] = {}

    def addresses(self, host: str, port: int | None, deadline: Deadline) -> list[Any]:
        """The addresses that ``socket.getaddrinfo`` finds for TCP, the one that worked last first.

        Args:
            host: a name in ASCII, or an address.
            port: where it listens.
            deadline: limits the wait, unless no thread can be started.

        Raises:
            TimeoutError: nothing was found in time, and no address is known.
            OSError: the look-up failed.
            socket.gaierror: the name doesn't resolve, and no address is known.
        """
        # As bytes: the codec for names in other scripts isn't needed.
        name = host.encode("ascii")
        try:
            return _getaddrinfo(name, port, flags=socket.AI_NUMERICHOST)
        except socket.gaierror:
            pass  # not an address
        worked = self._worked.get((host, port))
        try:
            found = _found_in_time(lambda: _getaddrinfo(name, port), deadline, known=bool(worked))
        except OSError:  # TimeoutError and gaierror, too
            if worked is None:
                raise
            return [worked]
        except _NoThreadError:
            return [worked] if worked else _getaddrinfo(name, port)
        found = _interleaved(found)
        if worked in found:
            found.remove(worked)
            found.insert(0, worked)
        return found

    def remember(self, host: str, port: int | None, address: Any) -> None:
        """Remember the address that could be connected to."""
        self._worked[host, port] = address


class _NoThreadError(Exception):
    """No thread can be started: at the exit of Python 3.12, or when the system allows no more."""


def _getaddrinfo(name: bytes, port: int | None, flags: int = 0) -> list[Any]:
    # The app may have put another function in place of the system's; but a greenlet's needs the
    # event loop of the app's own thread.
    look_up: Callable[..., list[Any]] = socket.getaddrinfo
    if native.is_green(look_up):
        look_up = _socket.getaddrinfo
    return list(look_up(name, port, type=socket.SOCK_STREAM, flags=flags))


def _found_in_time(
    look_up: Callable[[], list[Any]], deadline: Deadline, *, known: bool
) -> list[Any]:
    """Look up on another thread, which is abandoned when time runs out."""
    results: list[list[Any] | Exception] = []
    begun, done = native.Bell(), native.Bell()

    def run() -> None:
        begun.ring()
        try:
            results.append(look_up())
        except Exception as error:  # noqa: BLE001 - raised again by whoever waits for it
            results.append(error)
        done.ring()

    try:
        native.start_new_thread(run, ())
    except RuntimeError as error:
        raise _NoThreadError from error
    # Before Python 3.12 the interpreter can crash when it exits before a thread has begun.
    begun.wait(deadline.left())  # no test can tell: a crash that is rare
    deadline.cut_by(done.ring)
    until = monotonic() + min(deadline.left(), KNOWN_LIMIT_S if known else deadline.left())
    done.wait(until - monotonic())
    deadline.cut_by(None)
    if not results:
        deadline.left()
        raise TimeoutError("the name was not found in time")
    result = results[0]
    if isinstance(result, Exception):
        raise result
    return result


def _interleaved(found: list[Any]) -> list[Any]:
    """Addresses of both families in turn (RFC 8305): one of them may lead nowhere."""
    preferred = [each for each in found if each[0] == found[0][0]]
    others = [each for each in found if each[0] != found[0][0]]
    turns: list[Any] = []
    while preferred or others:
        turns += preferred[:1] + others[:1]
        del preferred[:1], others[:1]
    return turns
