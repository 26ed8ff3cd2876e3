"""Helpers that send pings, and look at those that arrived."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable

import urllib3

from loghc import Event, Outcome
from loghc.delivery import Delivery
from loghc.delivery.policy import Backoff, Policy
from loghc.delivery.troubles import Troubles
from loghc.log.body import Body
from loghc.log.masking import Masker
from loghc.ping import Attempt, Ping
from loghc.service.client import PingClient
from loghc.service.url import PingUrl
from loghc.testing import PingReceiver, ReceivedPing

RUN_ID = "5e1f5e1f-0000-4000-8000-222222222222"


def client_of(
    url: str, timeout: float = 20.0, http: urllib3.PoolManager | None = None
) -> PingClient:
    parsed = PingUrl.parse(url)
    return PingClient(parsed, Masker(parsed).text, timeout, {}, http, "0")


def send(client: PingClient, body: bytes = b"the end", seconds: float = 20.0) -> Attempt:
    """Make one attempt for the success of a run."""
    return client.send(Ping(Event.SUCCESS, RUN_ID, Body), Body(log=body), seconds)


def attempt(
    url: str, timeout: float = 20.0, body: bytes = b"a log", http: urllib3.PoolManager | None = None
) -> Attempt:
    """Make one attempt with a client that is used for nothing else."""
    client = client_of(url, timeout, http)
    try:
        return send(client, body, timeout)
    finally:
        client.close()


def sped_up(factor: float = 20.0) -> Policy:
    """The usual policy, this many times as fast."""
    backoff, *seconds = Policy()
    backoff = backoff._replace(first=backoff.first / factor, cap=backoff.cap / factor)
    return Policy(backoff, *(each / factor for each in seconds))


def delivery_to(
    url: str,
    on_outcome: Callable[[Outcome], object] | None = None,
    backoff: Backoff | None = None,
    timeout: float = 5.0,
) -> Delivery:
    policy = Policy(backoff or Backoff(), repeat_after_s=0.05)
    return Delivery(client_of(url, timeout), Troubles("the receiver"), on_outcome, policy)


def ping(event: Event, run_id: str | None = None, text: str = "") -> Ping:
    log = text.encode()
    body = Body(log=log, record_bytes=len(log))
    return Ping(event, run_id or str(uuid.uuid4()), lambda: body)


def numbered(number: int) -> Ping:
    """A ping that is never void, with a number as its log."""
    return ping(Event.FAIL, text=str(number))


def numbers(receiver: PingReceiver) -> list[int]:
    """The numbers of the numbered pings that arrived."""
    return [int(ping.body) for ping in receiver.pings]


def events(pings: Iterable[ReceivedPing]) -> list[Event]:
    """The events of some pings, in order."""
    return [ping.event for ping in pings]


def runs(receiver: PingReceiver) -> list[list[Event]]:
    """The events of each run that a receiver was told of, runs and events in order of arrival."""
    by_id: dict[str | None, list[Event]] = {}
    for ping in receiver.pings:
        by_id.setdefault(ping.run_id, []).append(ping.event)
    return list(by_id.values())
