"""How pings leave over TLS: verified, current, to the service alone; and what is said if not."""

from __future__ import annotations

import datetime
import re
import socket
import ssl
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
import urllib3
from loguru import logger

from loghc import Event, HealthSink
from loghc.ping import Attempt
from loghc.testing import Fault, PingReceiver
from pings import attempt, events
from services import server_context


def test_the_system_s_trust_counts(authority: trustme.CA, trusted: Path) -> None:
    with PingReceiver(ssl_context=server_context(authority)) as receiver:
        sink = HealthSink(receiver.url)
        handler = logger.add(sink)
        logger.info("sync.start")
        logger.info("sync.done")
        logger.remove(handler)
        assert events(receiver.pings) == [Event.START, Event.SUCCESS]


def test_variables_of_others_name_no_trust_and_keys_are_logged_where_openssl_is_told_to(
    authority: trustme.CA, trusted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = tmp_path / "keys.txt"
    monkeypatch.setenv("SSLKEYLOGFILE", str(keys))
    with PingReceiver(ssl_context=server_context(authority)) as receiver:
        assert attempt(receiver.url).delivered
        assert "CLIENT_" in keys.read_text()
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(trusted))
        monkeypatch.setenv("CURL_CA_BUNDLE", str(trusted))
        monkeypatch.delenv("SSL_CERT_FILE")
        said = f"{attempt(receiver.url).advice}"
    assert "HEALTH_CHECK_CA_FILE" in said


def refused(result: Attempt, receiver: PingReceiver | None = None) -> str:
    assert not result.delivered
    assert result.status is None
    assert result.error
    if receiver is not None:
        assert receiver.requests == ()
    return f"{result.error}. {result.advice}"


def test_a_private_ca_is_not_trusted_unasked(authority: trustme.CA) -> None:
    with PingReceiver(ssl_context=server_context(authority)) as receiver:
        said = refused(attempt(receiver.url), receiver)
    assert "certificate can't be verified" in said
    assert "HEALTH_CHECK_CA_FILE" in said


def test_a_certificate_for_another_host_is_refused(authority: trustme.CA, trusted: Path) -> None:
    with PingReceiver(ssl_context=server_context(authority, "other.example")) as receiver:
        said = refused(attempt(receiver.url), receiver)
    assert "localhost" in said
    assert "Use a host name that the certificate is for." in said


def test_a_certificate_for_another_address_is_refused(authority: trustme.CA, trusted: Path) -> None:
    with PingReceiver(ssl_context=server_context(authority, "localhost")) as receiver:
        said = refused(attempt(receiver.url.replace("localhost", "127.0.0.1")), receiver)
    assert "Use a host name that the certificate is for." in said


def test_a_certificate_that_names_the_host_in_its_subject_alone_is_refused(
    authority: trustme.CA, trusted: Path
) -> None:
    context = server_context(authority, "someone@localhost.example", common_name="localhost")
    with PingReceiver(ssl_context=context) as receiver:
        said = refused(attempt(receiver.url), receiver)
    assert "Use a host name that the certificate is for." in said


def test_an_expired_certificate_is_refused(authority: trustme.CA, trusted: Path) -> None:
    yesterday = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
    context = server_context(authority, "localhost", not_after=yesterday)
    with PingReceiver(ssl_context=context) as receiver:
        said = refused(attempt(receiver.url), receiver)
    assert "expired" in said
    assert "Renew" in said


def test_a_self_signed_certificate_is_refused(trusted: Path, tmp_path: Path) -> None:
    own = trustme.CA()
    own_key = tmp_path / "own.pem"
    own_key.write_bytes(own.private_key_pem.bytes() + own.cert_pem.bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own_key)
    with PingReceiver(ssl_context=context) as receiver:
        said = refused(attempt(receiver.url), receiver)
    assert "certificate can't be verified" in said
    assert "HEALTH_CHECK_CA_FILE" in said


def test_tls_before_1_2_is_refused(authority: trustme.CA, trusted: Path) -> None:
    context = server_context(authority)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with PingReceiver(ssl_context=context) as receiver:
        said = refused(attempt(receiver.url), receiver)
    assert "1.2 or newer" in said


def test_tls_1_2_is_enough(authority: trustme.CA, trusted: Path) -> None:
    context = server_context(authority)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with PingReceiver(ssl_context=context) as receiver:
        assert attempt(receiver.url).delivered


def test_a_server_that_speaks_no_tls_gets_nothing(trusted: Path) -> None:
    with PingReceiver() as receiver:
        said = refused(attempt(receiver.url.replace("http:", "https:")))
        assert "doesn't speak TLS" in said
        assert "scheme and port" in said
        assert receiver.pings == ()


def test_a_tls_server_that_is_asked_without_tls_gets_no_ping(authority: trustme.CA) -> None:
    with PingReceiver(ssl_context=server_context(authority)) as receiver:
        assert not attempt(receiver.url.replace("https:", "http:")).delivered
        assert receiver.requests == ()


def test_a_private_ca_comes_through_http(authority: trustme.CA) -> None:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with (
        PingReceiver(ssl_context=server_context(authority)) as receiver,
        urllib3.PoolManager(ssl_context=context) as http,
    ):
        assert attempt(receiver.url, http=http).delivered


def test_so_does_a_client_certificate(authority: trustme.CA) -> None:
    demanding = server_context(authority)
    demanding.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(demanding)
    without = ssl.create_default_context()
    authority.configure_trust(without)
    with_certificate = ssl.create_default_context()
    authority.configure_trust(with_certificate)
    authority.issue_cert("client@example.com").configure_cert(with_certificate)
    with PingReceiver(ssl_context=demanding) as receiver:
        with urllib3.PoolManager(ssl_context=without) as http:
            assert not attempt(receiver.url, http=http).delivered
        with urllib3.PoolManager(ssl_context=with_certificate) as http:
            assert attempt(receiver.url, http=http).delivered
        assert len(receiver.pings) == 1


@pytest.fixture
def elsewhere() -> Iterator[PingReceiver]:
    with PingReceiver() as receiver:
        yield receiver


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("own_http", [False, True])
def test_no_redirect_is_followed(
    status: int,
    own_http: bool,
    authority: trustme.CA,
    trusted: Path,
    elsewhere: PingReceiver,
) -> None:
    context = ssl.create_default_context(cafile=str(trusted))
    with (
        PingReceiver(ssl_context=server_context(authority)) as receiver,
        urllib3.PoolManager(ssl_context=context) as http,
    ):
        location = re.sub("//", "//amy:p@hunter2@", elsewhere.url, count=1)
        receiver.script(Fault(status, headers={"Location": location}))
        result = attempt(receiver.url, http=http if own_http else None)
    assert elsewhere.requests == ()
    assert (result.delivered, result.status, result.transient) == (False, status, False)
    assert f"redirected to {elsewhere.base_url}" in str(result.error)
    assert "hunter2" not in str(result.error)
    assert elsewhere.url not in str(result.error)


def test_a_service_that_hangs_in_the_handshake_is_left_in_time(trusted: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        result = attempt(f"https://localhost:{listener.getsockname()[1]}/hunter2", timeout=0.3)
    assert not result.delivered
    assert result.transient
    assert "timed out" in str(result.error)
