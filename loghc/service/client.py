"""Makes one request for one ping, and reads what the answer means."""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from loghc.log.masking import Masker
from loghc.ping import Answer, Attempt, Ping
from loghc.service.deadline import Deadline, working_to
from loghc.service.proxies import proxy_for
from loghc.service.url import PingUrl
from loghc.utf8 import keep_end

if TYPE_CHECKING:
    import urllib3

__all__ = ["PingClient"]

# What is needed to send is imported when the first ping is sent. A child forked meanwhile would
# wait for ever for the end of an import whose thread it does not have: so forking waits instead.
_importing = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_importing.acquire,
        after_in_parent=_importing.release,
        after_in_child=_importing.release,
    )


class _Connection(Protocol):
    """What makes the requests."""

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer: ...

    def close(self) -> None: ...

    def forget(self) -> None: ...


class PingClient:
    """Sends pings, one at a time, over one kept-alive connection.

    Args:
        url: the ping URL.
        masker: takes its secret out of error texts.
        timeout: seconds for one attempt, from the first connection to the answer's end.
        headers: more request headers.
        http: the caller's own pool manager; urllib3's timeouts then hold for each of connecting
            and reading, and ``cancel`` can't cut a request off.
        version: loghc's, for the User-Agent header.
    """

    def __init__(
        self,
        url: PingUrl,
        masker: Masker,
        timeout: float,
        headers: Mapping[str, str],
        http: urllib3.PoolManager | None,
        version: str,
    ) -> None:
        self._url = url
        self._masker = masker
        self._timeout = timeout
        self._given = dict(headers)
        self._version = version
        self._http = http
        self._connection: _Connection | None = None
        if http is not None:
            from loghc.service.pools import Pools

            self._connection = Pools(http)
        self._lock = threading.RLock()  # a signal handler may cancel
        self._deadline: Deadline | None = None  # of the attempt under way
        self._cancelled = False
        self.body_limit: int | None = None
        """Bytes of a body that the service keeps, as it last announced; None before it did."""

    def after_fork(self) -> PingClient:
        """A client like this one, for a forked child.

        The child forgets its parent's connections, the caller's own pool manager's too: on them
        both would read each other's answers.
        """
        if self._connection is not None:
            self._connection.forget()
        return self.renewed()

    def renewed(self) -> PingClient:
        """A client like this one that shares no connection with it, but the caller's own."""
        client = PingClient(
            self._url, self._masker, self._timeout, self._given, self._http, self._version
        )
        client.body_limit = self.body_limit
        return client

    def send(self, ping: Ping, body: bytes, seconds: float) -> Attempt:
        """Make one attempt. Never raises an Exception.

        Args:
            ping: what to tell.
            body: what to attach; its end is kept where the service's limit is smaller.
            seconds: that the attempt may take, if that is less than the client's timeout.
        """
        with _importing:
            from loghc.service.answer import announced_limit, no_answer, understood

        if self.body_limit is not None:
            body = keep_end(body, self.body_limit)
        try:
            answer = self._post(ping, body, min(seconds, self._timeout))
        except Exception as error:  # noqa: BLE001 - whatever it is, the app must not feel it
            attempt = no_answer(error, self._url.host, self._masker.text)
        else:
            attempt = understood(ping.event, answer, self._masker.text)
        if not attempt.delivered:
            return attempt
        limit = announced_limit(answer)
        if limit is not None:
            self.body_limit = limit
            if limit < len(body):
                return attempt._replace(kept=limit)
        return attempt

    def cancel(self) -> None:
        """Cut off the attempt under way, and refuse any further one."""
        with self._lock:
            self._cancelled = True
            if self._deadline is not None:
                self._deadline.cancel()

    def close(self) -> None:
        """Close the connection, if it is the client's own."""
        if self._connection is not None and self._http is None:
            self._connection.close()
            self._connection = None  # the environment may name another proxy by then

    def _post(self, ping: Ping, body: bytes, seconds: float) -> Answer:
        deadline = Deadline(seconds)
        with self._lock:
            if self._cancelled:
                deadline.cancel()
            self._deadline = deadline
        try:
            if self._connection is None:
                self._connection = self._connect()
            target = self._url.target(ping.suffix, ping.run_id)
            with working_to(deadline):
                return self._connection.post(target, body, self._headers())
        finally:
            with self._lock:
                self._deadline = None

    def _connect(self) -> _Connection:
        """Import, and make, what the requests go over: urllib3 only where it is needed."""
        with _importing:
            proxy = proxy_for(self._url.scheme, self._url.authority)
            if proxy is not None:
                from loghc.service.pools import through

                return through(proxy)
            from loghc.service.connection import Connection

            return Connection(self._url)

    def _headers(self) -> dict[str, str]:
        own = {
            "Content-Type": "text/plain; charset=utf-8",
            "User-Agent": f"loghc/{self._version}",
        }
        credentials = self._url.credentials
        if credentials is not None:
            token = base64.b64encode(credentials.encode("utf-8", "replace")).decode()
            own["Authorization"] = f"Basic {token}"
        # urllib3 sends a pool manager's own headers only with requests that are given none.
        pools = getattr(self._http, "headers", None) or {}
        chosen: dict[str, tuple[str, str]] = {}
        for headers in (own, pools, self._given):
            chosen.update((name.lower(), (name, value)) for name, value in headers.items())
        return dict(chosen.values())
