"""Makes one request for one ping, and interprets the answer."""

from __future__ import annotations

import base64
import contextlib
import functools
import math
import os
import sys
from collections.abc import Mapping
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING

from loghc.clock import monotonic
from loghc.deadline import Deadline
from loghc.fork import importing
from loghc.ping import Attempt, Ping
from loghc.service import environment
from loghc.service.proxies import proxy_for
from loghc.service.url import PingUrl

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    import urllib3

    from loghc.log.body import Body
    from loghc.ping import Answer
    from loghc.service.lookup import Resolver
    from loghc.service.transport import Transport

__all__ = ["PingClient", "hidden_library", "import_what_sends", "not_importable"]


_MAX_TIMEOUT_FACTOR = 4  # times the timeout
_SHARE = 2 / 3  # of the time left once a stop is known, for one attempt


class PingClient:
    """Sends pings, one at a time.

    Args:
        url: the ping URL.
        mask: takes secrets out of error texts.
        timeout: seconds for one attempt, from the name's look-up to the end of the answer. An
            attempt after one that timed out gets twice as long, up to four times: a service that is
            always slower would get the same ping for ever, and none that follows.
        headers: more request headers.
        http: the caller's own pool manager. urllib3's timeouts then apply to connecting and
            reading separately, and ``cancel`` can't cut a request off.
        version: loghc's, for the User-Agent header.
        ca_file: a PEM file whose certificates alone are trusted. None: the one that
            ``HEALTH_CHECK_CA_FILE`` names, or what the system trusts. Ignored with ``http``.
        within: when all attempts have to be done; each gets a share of the time left.

    Attributes:
        body_limit: bytes of a body that the service keeps, as it last announced; None before it
            did.
        deadline: of the attempt in progress. Another thread may cut it short.
    """

    def __init__(
        self,
        url: PingUrl,
        mask: Callable[[str], str],
        timeout: float,
        headers: Mapping[str, str],
        http: urllib3.PoolManager | None,
        version: str,
        ca_file: str | None = None,
        within: Deadline | None = None,
    ) -> None:
        self._url = url
        self._mask = mask
        self._timeout = timeout
        self._timeout_factor = 1  # times the timeout, for the next attempt
        self._given = dict(headers)
        self._http = http
        self._version = version
        self._ca_file = ca_file or environment.ca_file()
        self.body_limit: int | None = None
        self._trust: ssl.SSLContext | None = None
        self.deadline = Deadline(0.0, within, _SHARE)
        self._resolver: Resolver | None = None  # the clones' as well
        self._transport: Transport | None = None

    def clone(self, within: Deadline | None = None) -> PingClient:
        """A client with its own connections, which knows what this one learned.

        Args:
            within: when all its attempts have to be done.
        """
        client = PingClient(
            self._url,
            self._mask,
            self._timeout,
            self._given,
            self._http,
            self._version,
            self._ca_file,
            within,
        )
        client.body_limit = self.body_limit
        client._trust = self._trust
        client._timeout_factor = self._timeout_factor
        client._resolver = self._resolver
        return client

    def after_fork(self) -> PingClient:
        """A client for a forked child, which shares no connections with its parent."""
        _inherited.append(self)  # a thread that isn't here may hold a lock in its pools
        if self._http is not None and hasattr(self._http, "pools"):
            _inherited.append(self._http.pools)
            self._http.pools = type(self._http.pools)()
        return self.clone()

    def send(self, ping: Ping, body: Body, seconds: float = math.inf) -> Attempt:
        """Make one attempt. Never raises an Exception.

        Args:
            ping: what to send.
            body: what to attach, cut to the service's limit if that is known.
            seconds: for the attempt, if less than the client would give it.
        """
        try:
            hidden = hidden_library()
            if hidden is not None:
                return Attempt(
                    delivered=False,
                    error=f"{hidden} hides a library that sends pings",
                    advice="Rename that file.",
                )
            import_what_sends()
            from loghc.service.answer import announced_limit, interpret_answer, interpret_error
        except Exception as error:  # noqa: BLE001 - whatever it is, it may be over at the next try
            return not_importable(error)
        data = body.whole(self.body_limit)
        begun = monotonic()
        try:
            answer = self._post(ping, data, min(seconds, self._timeout_factor * self._timeout))
        except Exception as error:  # noqa: BLE001 - whatever it is, the app must not feel it
            if monotonic() - begun >= self._timeout:
                self._timeout_factor = min(2 * self._timeout_factor, _MAX_TIMEOUT_FACTOR)
            return interpret_error(error, self._url.host, self._mask)
        if monotonic() - begun < self._timeout:
            self._timeout_factor = 1
        attempt = interpret_answer(ping.event, answer, self._mask)
        limit = announced_limit(answer) if attempt.delivered else None
        if limit is None:
            return attempt
        self.body_limit = limit
        return attempt._replace(kept=limit) if limit < len(data) else attempt

    def at_exit(self) -> None:
        """Drop pools that urllib3 has emptied, as its exit callback runs first.

        A pool with ``block=True`` would have no connection left.
        """
        with contextlib.suppress(Exception):  # no such method, or a bug in the caller's class
            if self._http is not None:
                self._http.clear()

    def cancel(self) -> None:
        """Cut off the attempt in progress, and refuse any further one."""
        self.deadline.cancel()

    def close(self) -> None:
        """Close the connections that are the client's own; the next attempt opens another."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None  # the environment may name another proxy by then

    def _post(self, ping: Ping, body: bytes, seconds: float) -> Answer:
        if self._transport is None:
            self._transport = self._connect()
        target = self._url.target(ping.suffix, ping.run_id)
        return self._transport.post(target, body, self._headers(), seconds)

    def _connect(self) -> Transport:
        from loghc.service.lookup import Resolver
        from loghc.service.transport import Transport, system_trust

        if self._http is not None:
            return Transport(self.deadline, manager=self._http)
        self._resolver = self._resolver or Resolver()
        proxy = proxy_for(self._url.scheme, self._url.authority)
        secure = self._url.scheme == "https" or (proxy is not None and proxy.secure)
        if secure and self._trust is None:
            self._trust = system_trust(self._ca_file)
        return Transport(self.deadline, self._trust, proxy, resolver=self._resolver)

    def _headers(self) -> dict[str, str]:
        own = {
            "Content-Type": "text/plain; charset=utf-8",
            "User-Agent": f"loghc/{self._version}",
        }
        credentials = self._url.credentials
        if credentials is not None:
            token = base64.b64encode(credentials.encode()).decode()
            own["Authorization"] = f"Basic {token}"
        # urllib3 sends a pool manager's own headers only with requests that are given none.
        pools = getattr(self._http, "headers", None) or {}
        chosen: dict[str, tuple[str, str]] = {}
        for headers in (own, pools, self._given):
            chosen.update((name.lower(), (name, value)) for name, value in headers.items())
        return dict(chosen.values())


@functools.cache  # once it is there, no fork has to be waited for
def import_what_sends() -> None:
    """Import what a request needs, above all urllib3. Import errors propagate."""
    with importing():
        from loghc.service import answer, transport  # noqa: F401


_inherited: list[object] = []  # objects that a forked child never touches again


def not_importable(error: Exception) -> Attempt:
    """The attempt that failed because of an import, which may work the next time."""
    return Attempt(
        delivered=False,
        error=f"what sends pings can't be imported now ({type(error).__name__}: {error})",
        advice="A process without free descriptors, or after chroot, can't import.",
        transient=True,
    )


def hidden_library() -> str | None:
    """The path of a file that hides a module needed to send pings; None if there is none.

    A script's own directory comes before the libraries, and a file there may have any name.
    """
    standard = os.path.dirname(os.__file__)  # noqa: PTH120 - pathlib is not imported for this
    for name in ("http", "email", "queue", "urllib3"):
        spec = None if name in sys.modules else PathFinder.find_spec(name)
        if spec is None or spec.origin is None:
            continue
        genuine = spec.submodule_search_locations is not None or spec.origin.startswith(standard)
        if not genuine:
            return spec.origin
    return None
