"""What the service's answer to a ping means, or the error that came instead."""

from __future__ import annotations

import email.utils
import http.client
import os
import re
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path

from loghc.deadline import SendingTimeoutError
from loghc.ping import TEMPORARY_REFUSALS, Answer, Attempt, Event
from loghc.service.environment import check_ca_file

__all__ = ["announced_limit", "interpret_answer", "interpret_error", "shown"]

_OWN_TEXTS = ("ok", "created")  # Healthchecks' answers to a ping that it accepts
_SHOWN_CHARS = 120  # characters of an answer's text that are shown
_ERROR_CHARS = 240  # characters

_PRIVATE_CA = "If a private CA signed it, name that CA's file in HEALTH_CHECK_CA_FILE."
_NO_CA = (
    "This machine has no CA certificates: install the package ca-certificates, or name the file of "
    "a private CA in HEALTH_CHECK_CA_FILE."
)
_PROXY = "Check the proxy that HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names."
_MEANING = {
    400: ("malformed", "Check the ping URL's form."),
    401: ("not authorised", "Check the user and password, or the headers given."),
    403: ("forbidden", "Check the user and password, or the firewall or proxy on the way."),
    404: ("not found", "Check the ping URL: the service has no check with it."),
    408: ("the service waited too long for the request", ""),
    409: ("ambiguous", "The slug matches several checks: rename one, or use the UUID form."),
    407: ("the proxy asks for a user and password", "Put them into the proxy's URL."),
    410: ("gone", "The check was removed: use the URL of one that exists."),
    413: ("too large", "Lower limit= of the HealthSink, --limit of loghc run."),
    429: ("rate limited", "The service limits the number of pings a minute."),
}
_TLS_ADVICE = {  # by OpenSSL's error number for the certificate
    9: "Check this machine's clock.",
    10: "Renew the service's certificate, or check this machine's clock.",
    18: _PRIVATE_CA,
    19: _PRIVATE_CA,
    20: _PRIVATE_CA,
    21: _PRIVATE_CA,
    62: "Use a host name that the certificate is for.",
    64: "Use a host name that the certificate is for.",
}
_NOT_TLS = (
    "WRONG_VERSION_NUMBER",
    "HTTP_REQUEST",
    "RECORD_LAYER_FAILURE",
    "PACKET_LENGTH_TOO_LONG",
)
_OLD_TLS = ("UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE")
_LOG_UNKNOWN = "The service may not know /log; its other pings are not affected."


def interpret_answer(event: Event, answer: Answer, mask: Callable[[str], str]) -> Attempt:
    """What an answer to a ping means.

    Args:
        event: the ping's.
        answer: the service's.
        mask: takes secrets out of a text.
    """
    status, headers, text = answer
    said = " ".join(mask(text).split())
    if 200 <= status < 300:
        disguised = re.fullmatch(r"OK \((not found|rate limited)\)", said, re.IGNORECASE)
        if disguised is None:
            foreign = f'"{shown(said[:_SHOWN_CHARS])}"' if said else "nothing"
            foreign = "" if said.lower() in _OWN_TEXTS else foreign
            # Healthchecks itself calls its "OK" text/html.
            is_html = headers.get("content-type", "").lower().startswith("text/html")
            return Attempt(
                delivered=True,
                status=status,
                foreign_text=foreign,
                is_web_page=is_html and bool(foreign),
            )
        meaning, advice = _MEANING[404 if disguised[1].lower() == "not found" else 429]
        transient = disguised[1].lower() == "rate limited"
    elif 300 <= status < 400:
        where = _host_of(headers.get("location", ""))
        meaning = f"redirected to {where}" if where else "redirected"
        advice = "Use the final URL: loghc sends no log to another address."
        transient = False
    else:
        # Only a pool manager that the caller passed lets an interim answer through.
        transient = not 400 <= status < 500 or status in TEMPORARY_REFUSALS
        meaning, advice = _meaning(status)
        if status == 404 and event is Event.LOG:
            advice = _LOG_UNKNOWN
    error = f"{status} {meaning}"
    if said and said.lower() != meaning.lower() and not said.startswith("<"):
        error += f' ("{said[:_SHOWN_CHARS]}")'
    return Attempt(
        delivered=False,
        status=status,
        error=shown(mask(error)),
        advice=advice,
        transient=transient,
        retry_after=_seconds(headers.get("retry-after")) if transient else None,
    )


def interpret_error(error: Exception, host: str, mask: Callable[[str], str]) -> Attempt:
    """What an error on the way to the service means.

    Args:
        error: raised by urllib3, http.client or ssl.
        host: the service's, for the message.
        mask: takes secrets out of a text.
    """
    causes = _chain(error)
    refused = next(filter(None, map(_refused_tunnel, causes)), None)
    if refused is not None:
        meaning, advice = _meaning(refused)
        return Attempt(
            delivered=False,
            error=f"the proxy refused: {refused} {meaning}".rstrip(),
            advice=advice,
            transient=refused >= 500 or refused in TEMPORARY_REFUSALS,
        )
    # By name: urllib3 isn't imported for this, and the caller may pass a lookalike of its manager.
    proxied = any(type(cause).__name__ == "ProxyError" for cause in causes)
    if any(_is_oversized_head(cause) for cause in causes):
        return Attempt(
            delivered=False,
            error="the head of the answer is too large",
            advice="That isn't a monitoring service: check the URL.",
        )
    words, advice = _cause(causes, "its name" if proxied else f"the name {host}")
    network = any(isinstance(cause, (OSError, http.client.HTTPException)) for cause in causes)
    return Attempt(
        delivered=False,
        error=shown(mask(f"the proxy: {words}" if proxied else words)),
        advice=advice or (_PROXY if proxied else ""),
        transient=network or not isinstance(error, (TypeError, ValueError)),
        was_sending=any(isinstance(cause, SendingTimeoutError) for cause in causes),
    )


def announced_limit(answer: Answer) -> int | None:
    """Bytes of a body that the service says it keeps; None if it doesn't say, or not sensibly."""
    text = answer.headers.get("ping-body-limit", "").strip()
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def shown(text: str) -> str:
    """Text made fit for a terminal: one short line, without unprintable characters."""
    line = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode()
        for char in " ".join(text.split())
    )
    return line if len(line) <= _ERROR_CHARS else line[:_ERROR_CHARS] + "..."


def _meaning(status: int) -> tuple[str, str]:
    """An HTTP error in words, and what to do; either may be empty."""
    return _MEANING.get(status, (http.client.responses.get(status, ""), ""))


def _seconds(retry_after: str | None) -> float | None:
    """The seconds that a Retry-After header asks for; None if it makes no sense."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        moment = email.utils.parsedate_to_datetime(text)
        return max(0.0, moment.timestamp() - time.time())
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _host_of(location: str) -> str:
    """Scheme and host of a redirect's target: the rest may hold the secret."""
    found = re.match(r"(?i)(https?://)(?:[^/?#]*@)?([^/?#@\s]{1,100})", location)
    return f"{found[1]}{found[2]}" if found else ""


def _chain(error: BaseException) -> list[BaseException]:
    """An error and its causes, which urllib3 wraps in several ways."""
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting and len(found) < 20:
        next_ = waiting.pop(0)
        if isinstance(next_, BaseException) and next_ not in found:
            found.append(next_)
            waiting += [*next_.args, getattr(next_, "reason", None), next_.__cause__]
    return found


def _refused_tunnel(error: BaseException) -> int | None:
    """The HTTP status with which a proxy refused to connect to an https service."""
    found = re.match(r"Tunnel connection failed: ([0-9]{3})", str(error))
    return int(found[1]) if found and isinstance(error, OSError) else None


def _is_oversized_head(error: BaseException) -> bool:
    """Whether http.client rejected the head: over 100 headers, or a line of over 64 KiB."""
    too_many = re.match(r"got more than [0-9]+ headers", str(error))
    return isinstance(error, http.client.HTTPException) and bool(
        too_many or isinstance(error, http.client.LineTooLong)
    )


def _cause(causes: list[BaseException], name: str) -> tuple[str, str]:
    """The most informative of an error's causes in plain words, and what to do."""
    for kind, words in (
        (socket.gaierror, f"{name} doesn't resolve"),
        (ssl.SSLCertVerificationError, "the certificate can't be verified"),
        (ssl.SSLError, "TLS failed"),
        (ConnectionRefusedError, "connection refused"),
        (http.client.RemoteDisconnected, "connection closed without an answer"),
        (ConnectionError, "connection reset"),
        (TimeoutError, "timed out"),
        (http.client.IncompleteRead, "the answer broke off"),
        (http.client.HTTPException, "the answer is not HTTP"),
    ):
        for cause in causes:
            if isinstance(cause, kind):
                return _detailed(words, cause)
    innermost = causes[-1]
    if type(innermost) is ValueError:  # loghc's own, whose message is fit to be shown
        return str(innermost), ""
    return f"{type(innermost).__name__}: {innermost}", ""


def _about_trust() -> str:
    """What to do about an unknown issuer. OpenSSL silently ignores a file that it can't read."""
    path = os.environ.get("SSL_CERT_FILE")
    try:
        if path:
            check_ca_file(path, "SSL_CERT_FILE")
    except ValueError as error:
        return f"{error}."
    return _PRIVATE_CA if _has_certificates() else _NO_CA


def _has_certificates() -> bool:
    """Whether the system has certificates to trust, as far as can be seen."""
    try:
        if ssl.create_default_context().get_ca_certs():
            return True
        folder = ssl.get_default_verify_paths().capath  # of files that are opened when needed
        return folder is not None and any(Path(folder).iterdir())
    except (OSError, ValueError):
        return True


def _detailed(words: str, cause: BaseException) -> tuple[str, str]:
    if isinstance(cause, ssl.SSLError):
        # Errors made in Python, as by urllib3's pyOpenSSL support, lack ssl's attributes.
        reason = getattr(cause, "reason", None) or str(cause)
        if isinstance(cause, ssl.SSLCertVerificationError):
            found = getattr(cause, "verify_message", reason)
            advice = _TLS_ADVICE.get(getattr(cause, "verify_code", 0), "")
            return f"{words}: {found}", _about_trust() if advice is _PRIVATE_CA else advice
        if reason in _NOT_TLS:
            return "what answers doesn't speak TLS", "Check the URL's scheme and port."
        if reason in _OLD_TLS:
            return "the service doesn't support TLS 1.2 or newer", "Update the service."
        return f"{words}: {reason}", ""
    if isinstance(cause, TimeoutError) and str(cause).startswith("timed out after"):
        return str(cause), ""
    return words, ""
