"""``loghc ping``: a dry run, and an answer that is not Healthchecks'."""

from __future__ import annotations

import socket

import pytest

from loghc.command.main import main
from loghc.testing import Fault, PingReceiver


def key(receiver: PingReceiver) -> str:
    return receiver.url.rpartition("/")[2]


def test_a_dry_run_goes_all_the_way_and_sends_nothing(
    receiver: PingReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ping", "--dry-run"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.splitlines()[:3] == [
        f"Ping URL: {receiver.base_url}/***, from HEALTH_CHECK_URL.",
        "Proxy: none.",
        "Name: 127.0.0.1 is 127.0.0.1.",
    ]
    assert "Connection: opened in 0." in out
    assert "Nothing was sent." in out
    assert "loghc ping --log" in out
    assert receiver.requests == ()
    assert key(receiver) not in out


def test_a_dry_run_names_the_proxy_and_opens_the_connection_to_it(
    receiver: PingReceiver, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", receiver.base_url.replace("//", "//user:hunter2@"))
    url = "http://hc.example.com/key/slug"
    assert main(["ping", "--dry-run", "--health-check-url", url]) == 0
    out, _ = capsys.readouterr()
    assert "Ping URL: http://hc.example.com/***, from the command line." in out
    assert "not encrypted" in out
    assert f"Proxy: {receiver.base_url}." in out
    assert "Name:" not in out
    assert "opened to the proxy" in out
    assert "hunter2" not in out
    assert receiver.requests == ()


@pytest.mark.parametrize(
    ("env", "status", "said"),
    [
        ({}, 2, "no ping URL is set"),
        ({"HC_PING_URL": "x"}, 2, "HC_PING_URL is, but loghc reads HEALTH_CHECK_URL"),
        ({"HEALTH_CHECK_URL": "off"}, 2, "HEALTH_CHECK_URL=off: no pings are sent"),
        ({"HEALTH_CHECK_URL": "'https://x/y'"}, 2, "it is in quotes"),
        ({"HEALTH_CHECK_URL": "https://hc.invalid/key"}, 1, "hc.invalid doesn't resolve"),
        (
            {"HEALTH_CHECK_URL": "https://x/y", "HTTPS_PROXY": "socks5://x"},
            2,
            "HTTPS_PROXY: expected a proxy",
        ),
    ],
)
def test_a_dry_run_says_what_is_wrong_and_what_to_do(
    env: dict[str, str],
    status: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, text in env.items():
        monkeypatch.setenv(name, text)
    assert main(["ping", "--dry-run"]) == status
    err = capsys.readouterr().err
    assert err.startswith("loghc ping: ")
    assert said in err
    assert err.count("\n") == 1


def test_a_dry_run_meets_a_closed_port_and_a_service_without_tls(
    receiver: PingReceiver, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("HEALTH_CHECK_URL", f"http://127.0.0.1:{port}/key")
    assert main(["ping", "--dry-run"]) == 1
    err = capsys.readouterr().err
    assert "connection refused. Check the URL's host and port" in err
    assert "Nothing was sent." in err
    monkeypatch.setenv("HEALTH_CHECK_URL", receiver.url.replace("http:", "https:"))
    assert main(["ping", "--dry-run"]) == 1
    assert "doesn't speak TLS" in capsys.readouterr().err


def test_a_dry_run_ends_in_time(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # accepts, and never answers
        port = server.getsockname()[1]
        monkeypatch.setenv("HEALTH_CHECK_URL", f"https://127.0.0.1:{port}/key")
        assert main(["ping", "--dry-run", "--ping-timeout", "0.3"]) == 1
    assert "timed out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ("<html>Welcome to nginx!</html>", '"<html>Welcome to nginx!</html>"'),
        ('{"ok":true}', '"{"ok":true}"'),
        ("", "It answered nothing, and"),
        ("x" * 5000, 'xxx", and not'),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
    ],
)
def test_an_answer_that_is_not_healthchecks_is_shown(
    body: str, shown: str, receiver: PingReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    receiver.script(Fault(200, body=body))
    assert main(["ping"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Delivered: ")
    assert shown in out
    assert "no monitoring service" in out
    assert len(out) < 800


def test_healthchecks_answers_are_not_remarked_on(
    receiver: PingReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    for url in (receiver.url, f"{receiver.slug_url}-new?create=1"):
        assert main(["ping", "--health-check-url", url]) == 0
        assert "It answered" not in capsys.readouterr().out
