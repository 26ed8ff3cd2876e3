"""The `loghc` command: what it prints, and its exit status."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

import loghc
from loghc.command.main import main
from loghc.ping import Event
from loghc.testing import Fault
from processes import LOGHC, run


def refused(capsys, *args):
    """What a command that can't be done says on standard error."""
    assert main(args) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


# The command


def test_python_m_loghc_is_the_same_command(tmp_path):
    script = Path(sys.executable).with_name("loghc")
    for args in ([], ["--version"], ["--help"], ["run"], ["run", "--help"], ["ping", "--help"]):
        as_module, as_script = run(*LOGHC, *args, cwd=tmp_path), run(script, *args, cwd=tmp_path)
        assert as_module.returncode == as_script.returncode
        assert (as_module.stdout, as_module.stderr) == (as_script.stdout, as_script.stderr)


def test_the_version_is_the_packages(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"loghc {loghc.__version__}\n"


@pytest.mark.parametrize("command", [[], ["run"], ["ping"], ["demo"]], ids=str)
def test_each_help_text_has_an_example(capsys, command):
    assert main([*command, "--help"]) == 0
    text = capsys.readouterr().out
    assert main(["help", *command]) == 0
    assert capsys.readouterr().out == text
    assert "example" in text
    assert f"  {' '.join(['loghc', *command])}" in text or " ".join(["| loghc", *command]) in text


def test_the_help_says_that_a_url_on_the_command_line_can_be_seen(capsys):
    for command in ("run", "ping"):
        assert main([command, "--help"]) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert "Everybody on this machine can see it in the list of processes" in said


def test_no_command_or_an_unknown_one_is_refused(capsys):
    assert "COMMAND" in refused(capsys)
    assert "fly" in refused(capsys, "fly")


@pytest.mark.parametrize(
    "args",
    [
        ["https://hc-ping.com/9e9d9bbe-4f2b-4a0e-a1e0-111111111111"],
        ["hc-ping.com/pingkey0123456789/slug"],
        ["ping", "a", "https://hc-ping.com/9e9d9bbe-4f2b-4a0e-a1e0-111111111111"],
        ["ping", "--ulr=https://hc-ping.com/9e9d9bbe-4f2b-4a0e-a1e0-111111111111"],
        ["ping", "--exit-status", "9e9d9bbe-4f2b-4a0e-a1e0-111111111111"],
        ["ping", "--ping-timeout", "https://hc-ping.com/9e9d9bbe-4f2b-4a0e-a1e0-111111111111"],
        ["demo", "9e9d9bbe-4f2b-4a0e-a1e0-111111111111"],
    ],
    ids=str,
)
def test_a_url_in_a_wrong_place_is_not_echoed(capsys, args):
    line = refused(capsys, *args)
    assert "9e9d" not in line
    assert "pingkey" not in line


def test_the_demo_is_run_on_standard_output(capsys):
    assert main(["demo"]) == 0
    assert capsys.readouterr().out


# loghc ping


@pytest.mark.parametrize(
    ("options", "event", "exit_status"),
    [
        ([], Event.SUCCESS, None),
        (["--start"], Event.START, None),
        (["--fail"], Event.FAIL, None),
        (["--log"], Event.LOG, None),
        (["--exit-status", "3"], Event.FAIL, 3),
        (["--exit-status", "0"], Event.SUCCESS, 0),
        (["--exit-status", "255"], Event.FAIL, 255),
        (["--ping-timeout", "1e10"], Event.SUCCESS, None),
    ],
    ids=str,
)
def test_a_ping_is_sent_and_what_came_back_is_said(capsys, receiver, options, event, exit_status):
    assert main(["ping", *options, "--message", "it works"]) == 0
    (ping,) = receiver.pings
    assert (ping.event, ping.exit_status, ping.text) == (event, exit_status, "it works")
    out, err = capsys.readouterr()
    assert out.startswith("Delivered: ")
    assert "answered with 200" in out
    assert "The service keeps 100,000 bytes of a log: all that loghc sends by default." in out
    assert err == ""
    assert receiver.url.rpartition("/")[2] not in out


def test_a_start_and_the_end_after_it_pair(receiver):
    main(["ping", "--start"])
    main(["ping"])
    start, success = receiver.pings
    assert start.run_id == success.run_id
    assert receiver.state == "up"


def test_the_end_of_standard_input_is_attached(receiver, tmp_path):
    text = "".join(f"line {number}\n" for number in range(100_000)) + "é" * 3
    done = run(*LOGHC, "ping", "--log", "-", cwd=tmp_path, stdin=text)
    assert done.returncode == 0
    (ping,) = receiver.pings
    assert 99_990 < len(ping.body) <= 100_000
    assert text.endswith(ping.text)


def test_the_url_in_a_message_is_masked(receiver):
    main(["ping", "--message", f"pinging {receiver.url}"])
    assert receiver.pings[0].text == f"pinging {receiver.base_url}/***"


def test_a_small_limit_is_explained_and_the_end_of_the_text_still_arrives(capsys, receiver):
    receiver.body_limit = 10
    assert main(["ping", "--fail", "--message", "0123456789the end"]) == 0
    assert [(ping.event, ping.text) for ping in receiver.pings] == [
        (Event.FAIL, "0123456789"),
        (Event.LOG, "789the end"),
    ]
    out = capsys.readouterr().out
    assert "keeps 10 bytes of a log: loghc sends the last 10 of the 100,000" in out
    assert "It kept the first 10 of 17 bytes; the end was sent after them, as a log." in out


def test_an_end_that_the_service_refuses_is_said_to_be_lost(capsys, receiver):
    receiver.body_limit = 10
    receiver.script(None, 404)
    assert main(["ping", "--message", "0123456789the end"]) == 0
    assert "of 17 bytes; the end was lost: 404 not found." in capsys.readouterr().out


def test_a_service_that_announces_no_limit_is_said_so(capsys, receiver):
    receiver.body_limit = None
    assert main(["ping"]) == 0
    assert "announced no limit" in capsys.readouterr().out


def test_a_check_that_the_ping_made_is_said(capsys, receiver, monkeypatch):
    monkeypatch.setenv(
        "HEALTH_CHECK_URL", f"{receiver.base_url}/{receiver.ping_key}/new-one?create=1"
    )
    assert main(["ping"]) == 0
    assert "answered with 201" in (out := capsys.readouterr().out)
    assert "which made the check" in out


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(404, body="not found"), "not delivered: 404 not found. Check the ping URL"),
        (Fault(200, body="OK (not found)"), "not delivered: 200 not found"),
        (Fault(200, body="OK (rate limited)"), "rate limited"),
        (Fault(503), "not delivered: 503"),
        (
            Fault(302, headers={"Location": "https://x.example/y"}),
            "redirected to https://x.example",
        ),
        (Fault(cut="before-answer"), "not delivered: connection"),
        (Fault(delay=float("inf")), "not delivered: timed out"),
    ],
    ids=lambda value: "" if isinstance(value, Fault) else value,
)
def test_a_ping_that_is_not_delivered_says_why(capsys, receiver, fault, said):
    receiver.always(fault)
    assert main(["ping", "--ping-timeout", "0.5", "--health-check-url", receiver.url]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("loghc ping: success ping to ")
    assert said in err
    assert err.count("\n") == 1
    assert len(receiver.requests) == 1  # one attempt


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--start", "--fail"], "expected one of --start, --fail"),
        (["--exit-status", "256"], "--exit-status: expected an exit status from 0 to 255, not 256"),
        (["--exit-status", "-1"], "--exit-status"),
        (["--message", "x", "-"], "expected one text: --message or -"),
        (["x"], "expected a ping URL or -, not 'x'"),
        (["--ping-timeout", "0"], "--ping-timeout: expected a positive number of seconds, not 0"),
        (["--health-check-url", ""], "--url: expected a ping URL"),
    ],
    ids=str,
)
def test_a_ping_that_can_not_be_asked_for_is_one_clear_line(capsys, receiver, args, said):
    assert said in refused(capsys, "ping", *args)
    assert receiver.requests == ()


def test_without_a_url_there_is_no_ping(capsys):
    assert "no ping URL" in refused(capsys, "ping")


@pytest.mark.skipif(os.name != "posix", reason="closes standard input")
def test_a_closed_standard_input_is_an_empty_text(receiver, tmp_path):
    done = run("sh", "-c", 'exec "$@" <&-', "sh", *LOGHC, "ping", "-", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert receiver.pings[0].text == ""


# What the command keeps out of what it sends and says

UUID = "9e9d9bbe-4f2b-4a0e-a1e0-111111111111"
KEY = "fqOOd6-F4MMNuCEnzTU01w"


@pytest.mark.parametrize("shift", [1, 18, 35])
def test_standard_input_is_masked_before_it_is_cut(receiver, tmp_path, shift):
    check = receiver.url.rpartition("/")[2]
    text = "x" * 50_000 + check + "." * (100_000 - shift)
    assert run(*LOGHC, "ping", "--log", "-", cwd=tmp_path, stdin=text).returncode == 0
    (ping,) = receiver.pings
    assert len(ping.body) <= 100_000
    assert set(ping.text) <= set(".*")


def test_secrets_are_masked_unless_somebody_says_no(receiver, tmp_path):
    text = "password=hunter2 card ACME-123\n"
    for more in ([], ["--no-mask-secrets"], ["--redact", r"ACME-\d+"]):
        assert run(*LOGHC, "ping", *more, "-", cwd=tmp_path, stdin=text).returncode == 0
    assert [ping.text for ping in receiver.pings] == [
        "password=[redacted] card ACME-123\n",
        text,
        "password=[redacted] card [redacted]\n",
    ]


def test_a_pattern_that_does_not_compile_is_one_clear_line(capsys, receiver):
    assert "--redact[0]: expected a regular expression" in refused(capsys, "ping", "--redact", "(x")


def test_the_url_may_be_given_alone_and_how_to_keep_it_private_is_said(
    capsys, receiver, monkeypatch
):
    monkeypatch.delenv("HEALTH_CHECK_URL")
    assert main(["ping", receiver.url, "--message", "it works"]) == 0
    assert receiver.pings[0].text == "it works"
    out, err = capsys.readouterr()
    assert out.startswith("Delivered: ")
    assert "could see that URL in the list of processes" in err
    assert "HEALTH_CHECK_URL_FILE" in err
    assert receiver.url.rpartition("/")[2] not in out + err


@pytest.mark.parametrize(
    "args",
    [
        [f"https://hc-ping.com/{UUID}"],
        [f"hc-ping.com/{UUID}"],
        ["--health-check-ulr", f"https://hc-ping.com/{UUID}"],
        [f"--ulr=https://bob:{KEY}@hc-ping.com/{UUID}"],
        ["ping", f"hc-ping.com/{UUID}"],
        ["ping", f"hc-ping.com/{KEY}/nightly"],
        ["ping", UUID.replace("-", "")],
        ["ping", f"https://hc-ping.com/{KEY}/x", f"https://hc-ping.com/{UUID}"],
        ["ping", "--fial", f"https://hc-ping.com/{UUID}", f"--x={UUID}"],
        ["ping", "--exit-status", f"https://hc-ping.com/{UUID}"],
        ["ping", "--health-check-url", f"hc-ping.com/{UUID}"],
        ["run", "--marker", f"https://hc-ping.com/{UUID}", "x.py"],
        ["run", "--level", f"https://hc-ping.com/{KEY}/x", "x.py"],
    ],
    ids=str,
)
def test_an_error_does_not_show_a_url_that_was_given_in_the_wrong_place(capsys, receiver, args):
    said = refused(capsys, *args).lower()
    for secret in (UUID, UUID.replace("-", ""), KEY):
        assert secret.lower() not in said
    assert receiver.requests == ()


def test_python_m_loghc_runs_no_file_of_the_working_directory(tmp_path):
    for name in ("http", "urllib3", "argparse", "ssl"):
        Path(tmp_path / f"{name}.py").write_text("print('taken over')\nraise SystemExit(9)")
    done = run(*LOGHC, "--version", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"loghc {loghc.__version__}\n")
    done = run(*LOGHC, "ping", "--health-check-url", "http://127.0.0.1:1/x", cwd=tmp_path)
    assert "taken over" not in done.stdout + done.stderr
    assert "not delivered: connection refused" in done.stderr
