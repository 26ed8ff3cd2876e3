"""``loghc ping``: one ping, and what came back."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING, BinaryIO

from loghc.command.parser import Parser
from loghc.ping import Attempt, Event, Ping
from loghc.service.environment import URL_FILE_VARIABLE, URL_VARIABLE, ping_url
from loghc.service.url import PingUrl
from loghc.utf8 import encode, keep_end
from loghc.version import __version__

if TYPE_CHECKING:
    import argparse

    from loghc.service.client import PingClient

__all__ = ["ping"]

_NOT_DELIVERED = 1  # exit status
_LIMIT = 100_000  # bytes
_CHUNK = 65_536  # bytes of standard input read at a time

# The run of every "loghc ping": a start and the end that follows it, from two commands, pair.
_RUN_NAME = "loghc ping"

_NO_URL = (
    f"no ping URL: set {URL_VARIABLE}, or {URL_FILE_VARIABLE} to the path of a file that holds it, "
    "or give --health-check-url"
)


def ping(options: argparse.Namespace) -> int:
    """Send it; the exit status."""
    from loghc.log.masking import Masker
    from loghc.runs import run_id_from
    from loghc.service.client import PingClient

    parser = Parser(prog="loghc ping")
    url = _check_url(parser, options.health_check_url)
    if not 0 < options.timeout < float("inf"):
        parser.error(f"--timeout: expected a positive number of seconds, not {options.timeout}")
    event, status = options.event or Event.SUCCESS, options.exit_status
    if status is not None:
        event = Event.FAIL if status else Event.SUCCESS
    masker = Masker(url)
    text = _stdin() if options.stdin else encode(options.message or "")
    body = masker.data(encode(text.decode("utf-8", "replace")))
    told = Ping(event, run_id_from(_RUN_NAME), lambda: body, status)
    what = f"{event.value if status is None else f'exit status {status}'} ping to {url.masked}"
    client = PingClient(url, masker.text, options.timeout, {}, None, __version__)
    with contextlib.closing(client):
        begun = time.monotonic()
        attempt = client.send(told, body, options.timeout)
        seconds = time.monotonic() - begun
        if not attempt.delivered:
            advice = f" {attempt.advice}" if attempt.advice else ""
            print(f"loghc ping: {what} not delivered: {attempt.error}.{advice}", file=sys.stderr)
            return _NOT_DELIVERED
        made = ", which made the check" if attempt.status == 201 else ""
        print(f"Delivered: {what}, answered with {attempt.status} in {seconds:.2f} s{made}.")
        print(_about_limit(client.body_limit))
        if attempt.kept is not None:
            print(_send_end(client, told, body, attempt, options.timeout))
    return 0


def _stdin() -> bytes:
    """The end of standard input: all of it is read, and no more kept than a ping may carry."""
    stream: BinaryIO | None = sys.stdin.buffer if sys.stdin else None
    end = b""
    while stream is not None and (chunk := stream.read(_CHUNK)):
        end = keep_end(end + chunk, _LIMIT)
    return end


def _about_limit(limit: int | None) -> str:
    if limit is None:
        return "The service announced no limit for a log: how much of one it keeps is not known."
    if limit >= _LIMIT:
        return f"The service keeps {limit:,} bytes of a log: all that loghc sends by default."
    return (
        f"The service keeps {limit:,} bytes of a log: loghc sends the last {limit:,} of the "
        f"{_LIMIT:,} that it keeps by default. A service of your own can be told to keep more."
    )


def _send_end(client: PingClient, ping: Ping, body: bytes, first: Attempt, timeout: float) -> str:
    """The service kept the front of a body: the end, which matters, goes after it."""
    kept = f"It kept the first {first.kept:,} of {len(body):,} bytes"
    again = client.send(Ping(Event.LOG, ping.run_id, ping.body), body, timeout)
    if again.delivered:
        return f"{kept}; the end was sent after them, as a log."
    return f"{kept}; the end was lost: {again.error}."


def _check_url(parser: Parser, given: str | None) -> PingUrl:
    try:
        url = ping_url(None) if given is None else PingUrl.parse(given, "--health-check-url")
    except ValueError as error:
        parser.error(str(error))
    if url is None:
        parser.error(_NO_URL)
    return url
