"""Helpers for tests that ping a service: one attempt, a TLS server, and what a receiver got."""

from __future__ import annotations

import ssl
from collections.abc import Iterable

import trustme
import urllib3

from loghc.log.masking import Masker
from loghc.ping import Attempt, Event, Ping
from loghc.service.client import PingClient
from loghc.service.url import PingUrl
from loghc.testing import PingReceiver, ReceivedPing

RUN_ID = "5e1f5e1f-0000-4000-8000-222222222222"


def attempt(url: str, seconds: float = 10.0, http: urllib3.PoolManager | None = None) -> Attempt:
    """Send one success ping with the log ``a log``, once."""
    parsed = PingUrl.parse(url)
    client = PingClient(parsed, Masker(parsed), seconds, {}, http, "0")
    try:
        return client.send(Ping(Event.SUCCESS, RUN_ID, bytes), b"a log", seconds)
    finally:
        client.close()


def server_context(authority: trustme.CA, *names: str, **options: object) -> ssl.SSLContext:
    """A TLS server's context, with a certificate for some names; default: localhost."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = authority.issue_cert(*(names or ("localhost",)), **options)  # type: ignore[arg-type]
    certificate.configure_cert(context)
    return context


def events(pings: Iterable[ReceivedPing]) -> list[Event]:
    """The events of some pings, in order."""
    return [ping.event for ping in pings]


def runs(receiver: PingReceiver) -> list[list[Event]]:
    """The events of each run that a receiver was told of, runs and events in order of arrival."""
    by_id: dict[str | None, list[Event]] = {}
    for ping in receiver.pings:
        by_id.setdefault(ping.run_id, []).append(ping.event)
    return list(by_id.values())
