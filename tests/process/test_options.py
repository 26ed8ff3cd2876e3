"""The options of the command: one table makes the parser, the help, and a page."""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

from loghc.command import ping_options, run_options
from loghc.command.main import main
from loghc.ping import Event
from loghc.testing import PingReceiver
from processes import LOGHC, RUN, needs_posix, run

PAGE = Path(run_options.__file__).with_name("README.md")
TABLES = {
    "loghc run": (run_options.OPTIONS, run_options.EXIT_STATUSES),
    "loghc ping": (ping_options.OPTIONS, ping_options.EXIT_STATUSES),
}


def page() -> str:
    """The page that the tables make."""
    parts = ["# The options of the `loghc` command\n"]
    for command, (groups, statuses) in TABLES.items():
        parts.append(f"## `{command}`\n")
        for title, options in groups:
            parts.append(f"| {title} | |\n| --- | --- |")
            parts += [f"| {_typed(option)} | {_cell(option.help)} |" for option in options]
            parts[-1] += "\n"
        parts.append("| exit status | |\n| --- | --- |")
        parts += [f"| {status} | {_cell(text)} |" for status, text in statuses]
        parts[-1] += "\n"
    return "\n".join(parts)


def _typed(option: run_options.Option) -> str:
    metavar = f" {option.metavar}" if option.metavar else ""
    return f"`{', '.join(option.names)}{metavar}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def test_the_page_is_the_tables() -> None:
    if os.environ.get("LOGHC_WRITE_PAGE"):
        PAGE.write_text(page(), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page()


@pytest.mark.parametrize("command", ["run", "ping"])
def test_the_help_has_every_option_and_exit_status(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    groups, statuses = TABLES[f"loghc {command}"]
    for _, options in groups:
        for option in options:
            assert " ".join([", ".join(option.names), option.metavar]).strip() in shown
            assert option.help in shown
    for status, text in statuses:
        assert f"{status} {text}" in shown


@pytest.mark.parametrize(("columns", "expected"), [(None, 80), ("60", 60), ("140", 140)])
@pytest.mark.parametrize("command", [[], ["run"], ["ping"]], ids=str)
def test_the_help_is_as_wide_as_the_terminal_and_80_columns_in_a_pipe(
    command: list[str], columns: str | None, expected: int, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.delenv("COLUMNS", raising=False)
    env = {"COLUMNS": columns} if columns else {}
    done = run(*LOGHC, *command, "--help", cwd=tmp_path, env=env)
    text = done.stdout.partition("\nexamples:")[0]  # which are to be copied whole
    lines = [line for line in text.splitlines() if "[options]" not in line]
    assert max(map(len, lines)) <= expected
    assert command == [] or max(map(len, lines)) > expected - 12


@needs_posix
def test_a_run_starts_without_argparse_and_typing(receiver: PingReceiver, tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom loghc.command.main import main\n"
        "def fork():\n    print(*(set(sys.modules) & set(sys.argv[1].split())), flush=True)\n"
        "    os._exit(0)\nos.fork = fork\n"
        "main(['run', 'true'])\n"
    )
    unwanted = "argparse typing textwrap shutil pathlib subprocess ssl urllib3 loghc.command.help"
    for word, found in (("", ""), (" os", "os")):  # the second shows that it would be seen
        done = run(sys.executable, "-c", code, unwanted + word, cwd=tmp_path)
        assert (done.stdout, done.stderr) == (f"{found}\n", "")


# What was meant


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["backup.py", "--all"], "did you mean loghc run backup.py --all?"),
        (["-m", "backup"], "did you mean loghc run -m backup?"),
        (["rnu"], "did you mean run?"),
        (["ping", "--msg", "x"], "unknown option --msg; did you mean --message?"),
        (["ping", "--timeout", "3"], "the time for one ping is --ping-timeout"),
        (["run", "--timeout", "3", "true"], "loghc run timeout 30m COMMAND"),
        (["run", "--ok-stauts", "3", "true"], "did you mean --ok-status?"),
        (["help", "rnu"], "expected a COMMAND to explain"),
        (["demo", "x"], "takes no arguments"),
    ],
    ids=str,
)
def test_a_slip_is_answered_with_what_was_meant(
    args: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(args) == 2
    err = capsys.readouterr().err
    assert said in err
    where = " ".join(["loghc", *[arg for arg in args[:1] if arg in ("run", "ping", "demo")]])
    assert err.startswith(f"{where}: ")
    assert err.endswith(f"(see {where} --help)\n")


@needs_posix
def test_a_shells_syntax_is_answered_with_a_shell(receiver: PingReceiver, tmp_path: Path) -> None:
    done = run(*RUN, "echo a && echo b", cwd=tmp_path)
    assert done.returncode == 127
    assert "command not found; did you mean sh -c 'echo a && echo b'?" in done.stderr
    assert receiver.pings[0].exit_status == 127


@needs_posix
def test_a_limit_may_have_a_unit(receiver: PingReceiver, tmp_path: Path) -> None:
    text = "print('x' * 9000)"
    assert run(*RUN, "--limit", "2k", "--output", "-c", text, cwd=tmp_path).returncode == 0
    assert len(receiver.pings[1].body) == 2000


# Where the ping goes


@pytest.mark.parametrize("command", [("ping",), ("run", "true")])
def test_the_url_may_be_given_in_four_ways(
    command: tuple[str, ...], receiver: PingReceiver, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    (tmp_path / "url").write_text(receiver.url)
    (tmp_path / "url").chmod(0o600)
    monkeypatch.delenv("HEALTH_CHECK_URL")
    name, *program = command
    for option in (
        ["--url", receiver.url],
        [f"--health-check-url={receiver.url}"],
        ["--url-file", "url"],
    ):
        receiver.clear()
        done = run(*LOGHC, name, *option, *program, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert receiver.pings[-1].event is Event.SUCCESS
    both = run(*LOGHC, name, "--url", receiver.url, "--url-file", "url", *program, cwd=tmp_path)
    assert both.returncode == 2
    assert "expected one ping URL" in both.stderr


@pytest.mark.parametrize("command", [("ping",), ("run", "true")])
def test_headers_are_sent(command: tuple[str, ...], receiver: PingReceiver, tmp_path: Path) -> None:
    name, *program = command
    headers = ["--header", "X-Auth=a=b", "--header", "X-Other: c"]
    assert run(*LOGHC, name, *headers, *program, cwd=tmp_path).returncode == 0
    for ping in receiver.pings:
        assert (ping.headers["X-Auth"], ping.headers["X-Other"]) == ("a=b", "c")
    for wrong in ("X-Auth", "Host=x", "a b=c", "x=\n"):
        done = run(*LOGHC, name, "--header", wrong, *program, cwd=tmp_path)
        assert done.returncode == 2
        assert "--header: " in done.stderr


SHOW_ENVIRONMENT = "import os; print([n for n in os.environ if n.startswith('HEALTH_CHECK')])"


@needs_posix
@pytest.mark.parametrize("how", ["option", "variable"])
def test_a_private_ca_is_trusted_and_the_program_does_not_hear_of_it(
    how: str, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    option = ["--ca-file", "ca.pem"] if how == "option" else []
    if how == "variable":
        monkeypatch.setenv("HEALTH_CHECK_CA_FILE", str(tmp_path / "ca.pem"))
    with PingReceiver(ssl_context=context) as receiver:
        monkeypatch.setenv("HEALTH_CHECK_URL", receiver.url)
        done = run(*RUN, *option, sys.executable, "-c", SHOW_ENVIRONMENT, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
        assert run(*LOGHC, "ping", *option, "--log", cwd=tmp_path).returncode == 0
        assert run(*LOGHC, "ping", *option, "--dry-run", cwd=tmp_path).returncode == 0
        if how == "variable":
            code = "from loghc import HealthSink\nfrom loguru import logger\n"
            code += "logger.add(HealthSink())\nlogger.info('sync.log')\n"
            run(sys.executable, "-c", code, cwd=tmp_path)
        assert len(receiver.pings) == (4 if how == "variable" else 3)


@pytest.mark.parametrize("command", [("ping",), ("ping", "--dry-run"), ("run", "true")])
@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_ca_file_that_can_not_be_used_is_named(
    command: tuple[str, ...], content: str | None, receiver: PingReceiver, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if content:
        (tmp_path / "ca.pem").write_text(content)
    monkeypatch.setenv("HEALTH_CHECK_CA_FILE", "ca.pem")
    done = run(*LOGHC, *command, cwd=tmp_path)
    assert done.returncode == 2
    path = str(tmp_path / "ca.pem")
    assert f"HEALTH_CHECK_CA_FILE: expected a PEM file of certificates; {path!r}" in done.stderr
    assert receiver.requests == ()


# What would be done


@needs_posix
def test_a_dry_run_says_what_would_be_done_and_does_nothing(
    receiver: PingReceiver, tmp_path: Path
) -> None:
    options = ["--output", "--ok-status", "3", "--fail-on", "error", "--no-start"]
    done = run(*RUN, "--dry-run", *options, "touch", "a file", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    said = done.stdout
    assert "Program: touch 'a file'\n" in said
    assert re.search(r"(?m)^Executed: /.*/touch$", said)
    assert "and what it prints; the last 100,000 bytes with a ping" in said
    assert (
        "Sent: success for exit status 0, success for exit status 3, its exit status otherwise"
        in said
    )
    assert "'sync.error' (fail)" in said
    assert "a failure after a record of level ERROR" in said
    assert f"Ping URL: {receiver.base_url}/***, from HEALTH_CHECK_URL." in said
    assert "Connection: opened" in said
    assert receiver.requests == ()
    assert not (tmp_path / "a file").exists()


@needs_posix
@pytest.mark.parametrize(
    ("env", "args", "status", "said"),
    [
        ({}, ["nowhere"], 127, "nowhere: command not found"),
        ({"HEALTH_CHECK_URL": "off"}, ["true"], 0, "would not be watched"),
        ({"HEALTH_CHECK_URL": ""}, ["true"], 2, "HEALTH_CHECK_URL is set, and empty"),
        ({"HEALTH_CHECK_URL": "http://127.0.0.1:1/x"}, ["true"], 1, "connection refused"),
    ],
)
def test_a_dry_run_says_what_would_go_wrong(
    env: dict[str, str], args: list[str], status: int, said: str, receiver: PingReceiver,
    tmp_path: Path,
) -> None:  # fmt: skip
    done = run(*RUN, "--dry-run", *args, cwd=tmp_path, env=env)
    assert done.returncode == status
    assert said in done.stdout + done.stderr
    assert receiver.requests == ()


@needs_posix
def test_options_that_send_nothing_are_refused(receiver: PingReceiver, tmp_path: Path) -> None:
    done = run(*RUN, "--no-start", "--events", "start", "true", cwd=tmp_path)
    assert done.returncode == 2
    assert "nothing would be sent" in done.stderr


# Messages that name the cause


def test_a_dead_proxy_is_not_blamed_on_the_url(tmp_path: Path) -> None:
    env = {"HTTP_PROXY": "http://127.0.0.1:1"}
    done = run(*LOGHC, "ping", "--dry-run", "http://hc.example/x", cwd=tmp_path, env=env)
    assert done.returncode == 1
    assert "the proxy: connection refused. Check the proxy that HTTPS_PROXY" in done.stderr
    assert "URL's host" not in done.stderr


@pytest.mark.parametrize(("content", "why"), [(None, "No such file"), ("text", "has none")])
def test_a_bad_ssl_cert_file_is_named(
    content: str | None, why: str, authority: trustme.CA, tmp_path: Path
) -> None:
    if content:
        (tmp_path / "bad.pem").write_text(content)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with PingReceiver(ssl_context=context) as receiver:
        env = {"SSL_CERT_FILE": str(tmp_path / "bad.pem"), "SSL_CERT_DIR": ""}
        done = run(*LOGHC, "ping", "--url", receiver.url, cwd=tmp_path, env=env)
    assert done.returncode == 1
    assert "SSL_CERT_FILE: expected a PEM file of certificates" in done.stderr
    assert why in done.stderr


def test_a_home_in_a_path_is_the_shells(tmp_path: Path) -> None:
    env = {"HEALTH_CHECK_URL_FILE": "~/url"}
    done = run(*LOGHC, "ping", cwd=tmp_path, env=env)
    assert "(~ is the shell's: write the whole path)" in done.stderr


@pytest.mark.parametrize(
    ("env", "coloured"),
    [({}, True), ({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
    ids=str,
)
@needs_posix
def test_colours_are_for_terminals_that_have_them(env: dict[str, str], *, coloured: bool) -> None:
    import pty

    terminal, inside = pty.openpty()
    code = "import sys; from loghc.command.printing import colourful; print(colourful(sys.stdout))"
    clean = {name: text for name, text in os.environ.items() if name not in ("NO_COLOR", "TERM")}
    with subprocess.Popen([sys.executable, "-c", code], stdout=inside, env=clean | env):
        os.close(inside)
        assert os.read(terminal, 100).split() == [str(coloured).encode()]
    os.close(terminal)
