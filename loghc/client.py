"""Makes one request for one ping, and reads what the answer means."""

from __future__ import annotations

import base64
import dataclasses
import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from loghc.masking import Masker
from loghc.ping import Attempt, Ping
from loghc.url import PingUrl
from loghc.utf8 import keep_end

if TYPE_CHECKING:
    import urllib3

__all__ = ["PingClient"]

_ANSWER_LIMIT = 64 * 1024  # bytes of an answer that are read

# What is needed to send is imported when the first ping is sent. A child forked meanwhile would
# wait for ever for the end of an import whose thread it does not have: so forking waits instead.
_importing = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_importing.acquire,
        after_in_parent=_importing.release,
        after_in_child=_importing.release,
    )


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
        self._manager: urllib3.PoolManager | None = http
        self._lock = threading.RLock()  # a signal handler may cancel
        self._cancel: Any = None  # of the attempt under way
        self._cancelled = False
        self.body_limit: int | None = None
        """Bytes of a body that the service keeps, as it last announced; None before it did."""

    def after_fork(self) -> PingClient:
        """A client like this one, for a forked child.

        The caller's own pool manager is left without the parent's connections, on which both would
        read each other's answers. They are forgotten, not closed: a lock of the pool's may be held
        by a thread that the child does not have.
        """
        if self._http is not None and hasattr(self._http, "pools"):
            self._http.pools = type(self._http.pools)()
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
            from loghc.answer import announced_limit, no_answer, understood

        if self.body_limit is not None:
            body = keep_end(body, self.body_limit)
        try:
            status, headers, text = self._post(ping, body, min(seconds, self._timeout))
        except Exception as error:  # noqa: BLE001 - whatever it is, the app must not feel it
            attempt = no_answer(error, self._url.host, self._masker.text)
        else:
            attempt = understood(ping.event, status, headers, text, self._masker.text)
        if not attempt.delivered:
            return attempt
        limit = announced_limit(headers)
        if limit is not None:
            self.body_limit = limit
            if limit < len(body):
                return dataclasses.replace(attempt, kept=limit)
        return attempt

    def cancel(self) -> None:
        """Cut off the attempt under way, and refuse any further one."""
        with self._lock:
            self._cancelled = True
            if self._cancel is not None:
                self._cancel()

    def close(self) -> None:
        """Close the connection, if it is the client's own."""
        manager, self._manager = self._manager, self._http
        if manager is not None and manager is not self._http:
            manager.clear()

    def _post(self, ping: Ping, body: bytes, seconds: float) -> tuple[int, Mapping[str, str], str]:
        with _importing:
            import urllib3

            from loghc.connection import Deadline, working_to

        deadline = Deadline(seconds)
        with self._lock:
            if self._cancelled:
                deadline.cancel()
            self._cancel = deadline.cancel
        try:
            with working_to(deadline):
                response = self._pool_manager().request(
                    "POST",
                    self._url.target(ping.suffix, ping.run_id),
                    body=body,
                    headers=self._headers(),
                    timeout=urllib3.Timeout(total=deadline.left()),
                    retries=False,
                    redirect=False,
                    preload_content=False,
                )
                try:
                    text = response.read(_ANSWER_LIMIT, decode_content=False)
                    whole = len(text) < _ANSWER_LIMIT
                except BaseException:
                    response.close()
                    raise
                # An interim answer is followed by the real one, which is not for the next request.
                if whole and response.status >= 200:
                    response.release_conn()
                else:
                    response.close()
                return response.status, response.headers, text.decode("utf-8", "replace")
        finally:
            with self._lock:
                self._cancel = None

    def _pool_manager(self) -> urllib3.PoolManager:
        if self._manager is None:
            with _importing:
                from loghc.connection import pool_manager
                from loghc.proxies import proxy_for

            scheme, _, host = self._url.origin.partition("://")
            proxy = proxy_for(scheme, host)
            self._manager = pool_manager(
                proxy.url if proxy else None,
                maxsize=1,
                retries=False,
                **({"proxy_headers": proxy.headers} if proxy else {}),
            )
        return self._manager

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
