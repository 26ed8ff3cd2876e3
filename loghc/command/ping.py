"""``loghc ping``: sends one ping now, and shows the answer."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import BinaryIO

from loghc.command.dry_run import EXPOSED, about_answer, dry_run
from loghc.command.ping_options import PingOptions, parse
from loghc.command.printing import show, show_error
from loghc.command.table import UsageError
from loghc.command.where import find_ca_file, find_url
from loghc.log.body import Body
from loghc.log.masking import Masker
from loghc.log.redaction import redactor
from loghc.log.rendering import Renderer
from loghc.log.tail import CONTEXT, Snapshot
from loghc.ping import Attempt, Event, Ping
from loghc.portable.run_ids import run_id_from
from loghc.service.client import PingClient
from loghc.service.environment import URL_FILE_VARIABLE, URL_VARIABLE
from loghc.service.url import PingUrl
from loghc.utf8 import encode, keep_end
from loghc.version import __version__

__all__ = ["ping"]

_NOT_DELIVERED = 1
_LIMIT = 100_000  # bytes
_CHUNK = 65_536  # bytes of standard input read at a time

# All pings of "loghc ping" share this run, so that a start and an end from two commands pair.
_RUN_NAME = "loghc ping"

_SEEN = (
    "everybody on this machine could see that URL in the list of processes. To keep it private, "
    f"use {URL_VARIABLE}, or {URL_FILE_VARIABLE} with the path of a file that holds it."
)


def ping(args: list[str]) -> int:
    """Run ``loghc ping`` with these arguments.

    Returns:
        The exit status: 0 delivered, 1 not delivered.

    Raises:
        UsageError: the command line is wrong, and nothing was sent.
    """
    options = parse(args)
    if options is None:
        from loghc.command.help import help_text

        show(help_text("ping"))
        return 0
    if options.dry_run:
        return dry_run(options, "loghc ping")
    url = find_url(options)
    find_ca_file(options)
    try:
        status = _send_ping(options, url)
    except ValueError as error:
        raise UsageError(f"--{error}") from None  # --redact
    if options.seen_url:
        show_error(f"loghc ping: {_SEEN}")
    return status


def _send_ping(options: PingOptions, url: PingUrl) -> int:
    """Send one ping, and show the answer.

    Args:
        options: from the command line.
        url: where the ping goes.

    Returns:
        The exit status: 0 delivered, 1 not delivered.

    Raises:
        ValueError: a ``--redact`` pattern doesn't compile.
    """
    event, status = (*options.events, Event.SUCCESS)[0], options.exit_status
    if status is not None:
        event = Event.FAIL if status else Event.SUCCESS
    masker = Masker(url)
    renderer = Renderer(_LIMIT, masker, redactor(options.redact), mask_secrets=options.mask_secrets)
    text = _stdin() if options.stdin else _whole(encode(options.message or ""))
    body = renderer.render(text)
    ping = Ping(event, run_id_from(_RUN_NAME), lambda: body, status)
    what = f"{event.value if status is None else f'exit status {status}'} ping to {url.masked}"
    client = PingClient(
        url, masker.text, options.timeout, options.headers, None, __version__, options.ca_file
    )
    with contextlib.closing(client):
        begun = time.monotonic()
        attempt = client.send(ping, body, options.timeout)
        seconds = time.monotonic() - begun
        if not attempt.delivered:
            advice = f" {attempt.advice}" if attempt.advice else ""
            show_error(f"loghc ping: {what} not delivered: {attempt.error}.{advice}")
            return _NOT_DELIVERED
        made = ", which made the check" if attempt.status == 201 else ""
        show(f"Delivered: {what}, answered with {attempt.status} in {seconds:.2f} s{made}.")
        if url.exposed:
            show(EXPOSED)
        foreign = about_answer(attempt)
        if foreign is not None:
            show(foreign)
        show(_about_limit(client.body_limit))
        if attempt.kept is not None:
            show(_send_end(client, ping, body, attempt, options.timeout))
    return 0


def _stdin() -> Snapshot:
    """The end of standard input. All of it is read, but little more is kept than a ping may carry.

    The excess is for masking, as a secret must be whole to be recognised.
    """
    stream: BinaryIO | None = sys.stdin.buffer if sys.stdin else None
    end, cut = b"", False
    while stream is not None and (chunk := stream.read(_CHUNK)):
        end += chunk
        cut = cut or len(end) > _LIMIT + CONTEXT
        end = keep_end(end, _LIMIT + CONTEXT)
    text = encode(end.decode("utf-8", "replace"))
    return Snapshot((text,), begins_inside_record=True) if cut else _whole(text)


def _whole(text: bytes) -> Snapshot:
    return Snapshot((text,), begins_inside_record=False)


def _about_limit(limit: int | None) -> str:
    if limit is None:
        return "The service announced no limit: how much of a log it keeps is unknown."
    if limit >= _LIMIT:
        return f"The service keeps {limit:,} bytes of a log: all that loghc sends by default."
    return (
        f"The service keeps {limit:,} bytes of a log: loghc sends the last {limit:,} of the "
        f"{_LIMIT:,} that it keeps by default. A service of your own can be told to keep more."
    )


def _send_end(client: PingClient, ping: Ping, body: Body, first: Attempt, timeout: float) -> str:
    """Send the end of a body, which matters most, after the service kept only its front."""
    kept = f"It kept the first {first.kept:,} of {len(body.whole()):,} bytes"
    again = client.send(Ping(Event.LOG, ping.run_id, ping.body), body, timeout)
    if again.delivered:
        return f"{kept}; the end was sent after them, as a log."
    return f"{kept}; the end was lost: {again.error}."
