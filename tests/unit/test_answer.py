"""What an answer means, and an error on the way, in words."""

from __future__ import annotations

import email.utils
import http.client
import socket
import ssl
import time
from pathlib import Path

import pytest

from loghc import Event
from loghc.ping import Answer, Attempt
from loghc.service.answer import announced_limit, interpret_answer, interpret_error, shown


def answered(status: int, text: str = "", event: Event = Event.SUCCESS, **headers: str) -> Attempt:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return interpret_answer(event, Answer(status, names, text), lambda text: text)


def failed(error: Exception) -> Attempt:
    return interpret_error(error, "hc.example", lambda text: text)


# Answers


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_what_begins_with_2_is_delivered(status: int) -> None:
    assert answered(status, "OK") == Attempt(delivered=True, status=status, foreign_text="")


@pytest.mark.parametrize(
    ("text", "foreign"),
    [
        ("OK", ""),
        (" ok\n", ""),
        ("Created", ""),
        ("", "nothing"),
        ("Welcome\n to nginx", '"Welcome to nginx"'),
        ("x" * 200, f'"{"x" * 120}"'),
        ("OK (not founded)", '"OK (not founded)"'),
        ("OK (not found) is no page", '"OK (not found) is no page"'),
    ],
)
def test_a_text_that_is_not_healthchecks_own_is_noted(text: str, foreign: str) -> None:
    assert answered(200, text).foreign_text == foreign


@pytest.mark.parametrize(
    ("status", "error", "advice", "transient"),
    [
        (100, "100 Continue", "", True),
        (199, "199", "", True),
        (300, "300 redirected", "Use the final URL: loghc sends no log to another", False),
        (399, "399 redirected", "Use the final URL", False),
        (400, "400 malformed", "Check the ping URL's form.", False),
        (401, "401 not authorised", "Check the user and password", False),
        (402, "402 Payment Required", "", False),
        (403, "403 forbidden", "Check the user and password, or the firewall", False),
        (404, "404 not found", "Check the ping URL: the service has no check", False),
        (407, "407 the proxy asks for a user and password", "Put them into the proxy's URL", False),
        (408, "408 the service waited too long for the request", "", True),
        (409, "409 ambiguous", "The slug matches several checks: rename one", False),
        (410, "410 gone", "The check was removed: use the URL of one that exists.", False),
        (413, "413 too large", "Lower limit= of the HealthSink, --limit of loghc run.", False),
        (425, "425 Too Early", "", True),
        (429, "429 rate limited", "The service limits the number of pings a minute.", True),
        (499, "499", "", False),
        (500, "500 Internal Server Error", "", True),
        (599, "599", "", True),
    ],
)
def test_any_other_status_is_an_error_with_its_meaning_and_what_to_do(
    status: int, error: str, advice: str, transient: bool
) -> None:
    attempt = answered(status)
    assert (attempt.delivered, attempt.status, attempt.error) == (False, status, error)
    assert attempt.advice.startswith(advice)
    assert bool(attempt.advice) is bool(advice)
    assert attempt.transient is transient


def test_a_404_to_a_log_may_be_about_that_alone() -> None:
    assert answered(404, event=Event.LOG).advice.startswith("The service may not know /log")
    assert answered(400, event=Event.LOG).advice.startswith("Check the ping URL's form")


@pytest.mark.parametrize(
    ("text", "error", "transient"),
    [
        ("OK (not found)", '200 not found ("OK (not found)")', False),
        (" ok\n(NOT FOUND) ", '200 not found ("ok (NOT FOUND)")', False),
        ("OK (rate limited)", '200 rate limited ("OK (rate limited)")', True),
        ("ok (RATE limited)", '200 rate limited ("ok (RATE limited)")', True),
    ],
)
def test_a_200_can_say_no(text: str, error: str, transient: bool) -> None:
    attempt = answered(200, text)
    assert (attempt.delivered, attempt.error) == (False, error)
    assert attempt.transient is transient
    assert attempt.advice.startswith("The service limits" if transient else "Check the ping URL:")


@pytest.mark.parametrize(
    ("status", "text", "error"),
    [
        (503, "", "503 Service Unavailable"),
        (503, " \n", "503 Service Unavailable"),
        (503, "service\nunavailable", "503 Service Unavailable"),
        (503, "Service UNAVAILABLE", "503 Service Unavailable"),
        (503, "<html>down for maintenance</html>", "503 Service Unavailable"),
        (500, "the disk\n  is full", '500 Internal Server Error ("the disk is full")'),
        (500, "x" * 200, f'500 Internal Server Error ("{"x" * 120}")'),
        (404, "x\x1b[2J", r'404 not found ("x\x1b[2J")'),
        (599, "odd", '599 ("odd")'),
    ],
)
def test_an_error_shows_what_the_service_says_if_that_is_news(
    status: int, text: str, error: str
) -> None:
    assert answered(status, text).error == error


def test_what_the_service_says_is_masked_also_where_the_cut_would_hide_what_it_is() -> None:
    secret = "5ca1ab1e"
    answer = Answer(500, {}, f"{'x' * 115} {secret}")
    error = interpret_answer(Event.FAIL, answer, lambda text: text.replace(secret, "***")).error
    assert error == f'500 Internal Server Error ("{"x" * 115} ***")'


@pytest.mark.parametrize(
    ("location", "where"),
    [
        ("https://other.example/5ca1ab1e", " to https://other.example"),
        ("HTTP://bob:pw@other.example:8000?x", " to HTTP://other.example:8000"),
        ("https://other.example#x", " to https://other.example"),
        (f"https://{'a' * 100}/x", f" to https://{'a' * 100}"),
        ("/elsewhere/5ca1ab1e", ""),
        ("/elsewhere?next=https://other.example", ""),
        ("ftp://other.example/", ""),
        ("", ""),
    ],
)
def test_a_redirect_names_the_host_alone(location: str, where: str) -> None:
    assert answered(301, location=location).error == f"301 redirected{where}"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("2", 2),
        (" 120 ", 120),
        ("0", 0),
        ("999999999", 999_999_999),
        ("9999999999", None),
        ("-5", None),
        ("1.5", None),
        ("2 3", None),
        ("soon", None),
        ("", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 99 Foo 2015", None),
        ("Fri, 32 Dec 2100 23:59:59 GMT", None),
        ("Fri, 31 Dec 10000 23:59:59 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -9999", None),
    ],
)
def test_a_retry_after_is_a_number_of_seconds_or_a_date(header: str, seconds: float | None) -> None:
    assert answered(429, retry_after=header).retry_after == seconds
    assert answered(404, retry_after=header).retry_after is None
    assert answered(429).retry_after is None


def test_a_retry_after_with_a_date_to_come_asks_for_the_time_until_then() -> None:
    asked = answered(
        503, retry_after=email.utils.formatdate(time.time() + 1000, usegmt=True)
    ).retry_after
    assert asked is not None
    assert 900 < asked <= 1000


@pytest.mark.parametrize(
    ("text", "limit"),
    [("100", 100), (" 7\t", 7), ("9" * 18, int("9" * 18)), ("9" * 19, None), ("1_0", None)],
)
def test_a_limit_is_a_number_of_bytes_that_makes_sense(text: str, limit: int | None) -> None:
    assert announced_limit(Answer(200, {"ping-body-limit": text}, "")) == limit
    assert announced_limit(Answer(200, {}, "")) is None


def test_a_text_is_shown_up_to_240_characters() -> None:
    assert shown("x" * 240) == "x" * 240
    assert shown("x" * 241) == "x" * 240 + "..."
    assert shown(" a\n b\t\u2028\x00 \u00e9") == r"a b \x00 é"


# Errors


@pytest.mark.parametrize(
    ("error", "words", "transient"),
    [
        (socket.gaierror(-2, "x"), "the name hc.example doesn't resolve", True),
        (ConnectionRefusedError(111, "x"), "connection refused", True),
        (http.client.RemoteDisconnected("x"), "connection closed without an answer", True),
        (ConnectionResetError(104, "x"), "connection reset", True),
        (BrokenPipeError(32, "x"), "connection reset", True),
        (TimeoutError("x"), "timed out", True),
        (TimeoutError("timed out after 3.0 s"), "timed out after 3.0 s", True),
        (http.client.IncompleteRead(b""), "the answer broke off", True),
        (http.client.BadStatusLine("x"), "the answer is not HTTP", True),
        (ssl.SSLError("read error"), "TLS failed: ('read error',)", True),
        (
            ssl.SSLCertVerificationError(1, "unknown authority"),
            "the certificate can't be verified: unknown authority",
            True,
        ),
        (OSError(5, "disk"), "OSError: [Errno 5] disk", True),
        (ValueError("loghc's own words"), "loghc's own words", False),
        (UnicodeError("odd"), "UnicodeError: odd", False),
        (TypeError("odd"), "TypeError: odd", False),
        (RuntimeError("odd"), "RuntimeError: odd", True),
    ],
)
def test_an_error_is_said_in_plain_words(error: Exception, words: str, transient: bool) -> None:
    attempt = failed(error)
    assert (attempt.delivered, attempt.status, attempt.transient) == (False, None, transient)
    assert str(attempt.error).startswith(words)
    assert attempt.advice == ""


def test_the_most_telling_cause_is_named_wherever_it_lies() -> None:
    outer = RuntimeError("outer", TimeoutError("x"))
    outer.reason = socket.gaierror(-2, "x")  # type: ignore[attr-defined]  # as urllib3's have
    assert failed(outer).error == "the name hc.example doesn't resolve"
    caused = ValueError()
    caused.__cause__ = ConnectionRefusedError()
    assert failed(caused).error == "connection refused"
    assert failed(caused).transient


def test_an_error_that_is_its_own_cause_is_read_once() -> None:
    error = RuntimeError("round")
    error.args = (error, ConnectionResetError())
    assert failed(error).error == "connection reset"


@pytest.mark.parametrize(
    ("status", "error", "advice", "transient"),
    [
        (407, "the proxy asks for a user and password", "Put them into the proxy's URL.", False),
        (403, "forbidden", "Check the user and password", False),
        (408, "the service waited too long", "", True),
        (500, "Internal Server Error", "", True),
        (499, "", "", False),
    ],
)
def test_a_proxy_that_refuses_the_way_to_the_service_is_named(
    status: int, error: str, advice: str, transient: bool
) -> None:
    attempt = failed(OSError(f"Tunnel connection failed: {status} whatever"))
    assert str(attempt.error).startswith(f"the proxy refused: {status} {error}".rstrip())
    assert error or attempt.error == f"the proxy refused: {status}"
    assert attempt.advice.startswith(advice)
    assert bool(attempt.advice) is bool(advice)
    assert (attempt.delivered, attempt.transient) == (False, transient)
    other = failed(RuntimeError(f"Tunnel connection failed: {status} whatever"))
    assert "refused" not in str(other.error)


class ProxyError(Exception):
    """Named as urllib3's."""


def test_where_the_proxy_fails_it_is_said_to_be_the_proxy() -> None:
    assert failed(ProxyError(socket.gaierror())).error == "the proxy: its name doesn't resolve"
    assert failed(ProxyError(ConnectionRefusedError())).error == "the proxy: connection refused"


@pytest.mark.parametrize(
    "error",
    [http.client.HTTPException("got more than 100 headers"), http.client.LineTooLong("header")],
)
def test_an_endless_head_comes_from_no_monitoring_service(error: Exception) -> None:
    attempt = failed(error)
    assert attempt.error == "the head of the answer is too large"
    assert failed(RuntimeError("outer", error)) == attempt
    assert attempt.advice.startswith("That isn't a monitoring service: check the URL")
    assert (attempt.delivered, attempt.transient) == (False, False)
    assert "head" not in str(failed(OSError("got more than 100 headers")).error).split(":")[0]


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (9, "Check this machine's clock."),
        (10, "Renew the service's certificate"),
        (18, "If a private CA signed it"),
        (19, "If a private CA signed it"),
        (20, "If a private CA signed it"),
        (21, "If a private CA signed it"),
        (62, "Use a host name that the certificate is for."),
        (64, "Use a host name that the certificate is for."),
        (11, ""),
    ],
)
def test_what_is_wrong_with_a_certificate_comes_with_advice(code: int, advice: str) -> None:
    error = ssl.SSLCertVerificationError()
    error.verify_code, error.verify_message = code, "the reason"
    attempt = failed(error)
    assert attempt.error == "the certificate can't be verified: the reason"
    assert attempt.advice.startswith(advice)
    assert bool(attempt.advice) is bool(advice)


def test_a_machine_without_any_ca_certificate_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "")
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    error = ssl.SSLCertVerificationError()
    error.verify_code = 20
    assert failed(error).advice.startswith("This machine has no CA certificates: install")
    (tmp_path / "0a1b2c3d.0").touch()
    assert failed(error).advice.startswith("If a private CA signed it")


def test_a_machine_whose_ca_certificates_can_not_be_seen_is_taken_to_have_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse() -> None:
        raise PermissionError

    monkeypatch.setattr(ssl, "create_default_context", refuse)
    error = ssl.SSLCertVerificationError()
    error.verify_code = 20
    assert failed(error).advice.startswith("If a private CA signed it")


@pytest.mark.parametrize(
    ("reason", "words", "advice"),
    [
        ("WRONG_VERSION_NUMBER", "what answers doesn't speak TLS", "Check the URL's scheme and"),
        ("HTTP_REQUEST", "what answers doesn't speak TLS", "Check the URL's scheme and port."),
        ("RECORD_LAYER_FAILURE", "what answers doesn't speak TLS", "Check the URL's scheme and"),
        ("PACKET_LENGTH_TOO_LONG", "what answers doesn't speak TLS", "Check the URL's scheme"),
        ("UNSUPPORTED_PROTOCOL", "the service doesn't support TLS 1.2", "Update the service."),
        ("TLSV1_ALERT_PROTOCOL_VERSION", "the service doesn't support TLS 1.2", "Update the"),
        ("NO_PROTOCOLS_AVAILABLE", "the service doesn't support TLS 1.2", "Update the service"),
        ("BAD_THING", "TLS failed: BAD_THING", ""),
    ],
)
def test_why_tls_failed_is_said(reason: str, words: str, advice: str) -> None:
    error = ssl.SSLError(1, "odd")
    error.reason = reason
    attempt = failed(error)
    assert str(attempt.error).startswith(words)
    assert attempt.advice.startswith(advice)
    assert bool(attempt.advice) is bool(advice)
