"""Connects to the first of several addresses that answers (RFC 8305)."""

from __future__ import annotations

import errno
import select
import socket
from collections.abc import Iterable
from typing import Any

from loghc import native
from loghc.clock import monotonic
from loghc.deadline import Deadline

__all__ = ["connect_to_first"]

_MAX_ADDRESSES = 16  # that are tried
_FIRST_DELAY_S = 0.25  # until the second address is tried as well
_DELAY_S = 0.1  # until each further one is
_LOOK_INTERVAL_S = 0.05  # between checks whether the attempt was cut off
_UNDER_WAY = (errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", -1))


def connect_to_first(
    found: list[Any], options: Iterable[tuple[Any, ...]], deadline: Deadline
) -> tuple[socket.socket, Any]:
    """Connect to one of several addresses, trying the next when the others are slow to answer.

    Args:
        found: as returned by ``socket.getaddrinfo``.
        options: each the arguments of a ``setsockopt`` call.
        deadline: for the whole attempt.

    Returns:
        The first connection that succeeds, and its address as in ``found``.

    Raises:
        TimeoutError: no address answered in time.
        OSError: the error of the first address that failed.
    """
    waiting, under_way = found[:_MAX_ADDRESSES], dict[socket.socket, Any]()
    failure: OSError | None = None
    delay, due = _FIRST_DELAY_S, monotonic()
    try:
        while waiting or under_way:
            left = deadline.left()
            if waiting and (not under_way or monotonic() >= due):
                address = waiting.pop(0)
                try:
                    under_way[_begin(address, options)] = address
                except OSError as error:
                    failure = failure or error
                due, delay = monotonic() + delay, _DELAY_S  # no test can tell: how long alone
                continue
            pause = min(left, _LOOK_INTERVAL_S, *([due - monotonic()] if waiting else []))
            for sock in _ready(list(under_way), max(0.0, pause)):
                address, code = under_way.pop(sock), sock.getsockopt(_SOL_SOCKET, _SO_ERROR)
                if code == 0:
                    return sock, address
                sock.close()
                failure = failure or OSError(code, errno.errorcode.get(code, "connecting failed"))
                due = monotonic()  # the next one at once; no test can tell: how long alone
    finally:
        for sock in under_way:
            sock.close()
    raise failure or OSError("the name has no address")


_SOL_SOCKET, _SO_ERROR = socket.SOL_SOCKET, socket.SO_ERROR


def _begin(address: Any, options: Iterable[tuple[Any, ...]]) -> socket.socket:
    """Begin to connect, without waiting."""
    family, kind, protocol, _, target = address
    sock = native.socket_class()(family, kind, protocol)  # the system may allow no IPv6
    try:
        for option in options:
            sock.setsockopt(*option)
        sock.settimeout(0)  # connect_ex doesn't wait
        code = sock.connect_ex(target)
        if code not in (0, *_UNDER_WAY):
            raise OSError(code, errno.errorcode.get(code, "connecting failed"))
    except BaseException:
        sock.close()
        raise
    return sock


def _ready(sockets: list[socket.socket], seconds: float) -> list[socket.socket]:
    """The sockets that have connected or failed by now."""
    if native.poll is None:
        _, done, failed = select.select([], sockets, sockets, seconds)
        return list({*done, *failed})
    poll = native.poll()
    by_descriptor = {sock.fileno(): sock for sock in sockets}
    for descriptor in by_descriptor:
        poll.register(descriptor, select.POLLOUT)
    return [by_descriptor[descriptor] for descriptor, _ in poll.poll(1000 * seconds)]
