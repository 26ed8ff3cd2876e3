"""The command line's parts: values, words, and what is said of a slip."""

from __future__ import annotations

import io
import os
import shlex
import sys
from pathlib import Path

import pytest

from loghc.command import demo, values
from loghc.command.hiding import without_urls
from loghc.command.main import main
from loghc.command.ping_options import OPTIONS, PingOptions
from loghc.command.ping_options import parse as parse_ping
from loghc.command.plan import show_plan
from loghc.command.printing import colourful, width, write
from loghc.command.table import UsageError, apply, split
from loghc.command.where import REFUSED, source_of
from loghc.service.url import PingUrl
from loghc.watch.command import resolve
from loghc.watch.options import Options

UUID = "9e9d9bbe-4f2b-4a0e-a1e0-111111111111"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1), ("100000", 100_000), ("100k", 100_000), ("2K", 2_000), ("3 kB", 3_000),
        ("1m", 1_000_000), ("2MB", 2_000_000), ("9B", 9), ("0", None), ("k", None), ("-1", None),
        ("1.5k", None), ("1g", None), ("1" * 13, None), ("", None), ("x1", None), ("1kx", None),
    ],
)  # fmt: skip
def test_a_number_of_bytes(text, size):
    if size is not None:
        assert values.byte_count(text) == size
        return
    shown = f", not {text}" if text in ("0", "-1") else ""
    with pytest.raises(ValueError, match=f"such as 100000 or 100k{shown}$"):
        values.byte_count(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1.0), ("0.5", 0.5), ("1e3", 1000.0), ("0", None), ("-1", None), ("inf", None),
        ("nan", None), ("secret", None), ("", None),
    ],
)  # fmt: skip
def test_a_number_of_seconds(text, number):
    if number is not None:
        assert values.seconds(text) == number
        return
    shown = "" if text in ("secret", "") else f", not {text}"
    with pytest.raises(ValueError, match=rf"^expected a positive number of seconds{shown}$"):
        values.seconds(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("error", 40), ("TRACE", 5), ("Success", 25), ("0", 0), ("999999", 999_999),
        ("1000000", None), ("loud", None), ("-5", None), ("", None),
    ],
)  # fmt: skip
def test_a_level(text, number):
    if number is not None:
        assert values.level(text) == number
        return
    with pytest.raises(ValueError, match=r"^expected one of TRACE, DEBUG, .*, or a number"):
        values.level(text)


def test_exit_statuses_and_what_they_mean():
    assert values.exit_statuses("0") == {0}
    assert values.exit_statuses("3, 4 ,255") == {3, 4, 255}
    assert values.verdicts("3,4= Success ") == {3: "success", 4: "success"}
    assert values.verdicts("75=log") == {75: "log"}
    for wrong in ("256", "-1", "x", "", "3,", "1000", "3x"):
        with pytest.raises(ValueError, match="expected an exit status from 0 to 255"):
            values.exit_statuses(wrong)
    for wrong in ("3", "3=", "3=maybe", "success", "=success=3"):
        with pytest.raises(ValueError, match="expected N=VERDICT"):
            values.verdicts(wrong)


def test_a_wrong_value_is_quoted_only_where_it_is_a_short_number():
    for text, shown in (("256", True), ("9" * 12, True), ("9" * 13, False), ("hunter2", False)):
        with pytest.raises(ValueError, match="expected an exit status") as error:
            values.exit_status(text)
        assert (text in str(error.value)) is shown


def test_expectations_paths_and_headers():
    assert values.expectation("text", "(") == ("text", "(")
    assert values.expectation("pattern", "a+") == ("pattern", "a+")
    for kind, wrong in (("pattern", "("), ("text", ""), ("pattern", "")):
        with pytest.raises(ValueError, match=r"^expected "):
            values.expectation(kind, wrong)
    assert values.file("a/b") == values.directory("a/b") == "a/b"
    for wrong in ("", "https://hc.example/x"):
        with pytest.raises(ValueError, match="expected the path of a file"):
            values.file(wrong)
        with pytest.raises(ValueError, match="expected the path of a directory"):
            values.directory(wrong)
    assert values.header("A=b=c") == ("A", "b=c")
    assert values.header("A: b") == ("A", "b")
    for wrong in ("A", "=b", "", "A b=c", "A=b\nc"):
        with pytest.raises(ValueError, match=r"^[^:]*$"):
            values.header(wrong)


# Words and options


@pytest.mark.parametrize(
    ("line", "runs", "options", "words"),
    [
        ("--fail x --log y", False, ["--fail", "--log"], ["x", "y"]),
        ("--fail -- --log y", False, ["--fail"], ["--log", "y"]),
        ("x -- --log", False, [], ["x", "--log"]),
        ("--message=a=b -", False, ["--message=a=b"], ["-"]),
        ("--message --log x", False, ["--message=--log"], ["x"]),
        ("--message= x", False, ["--message="], ["x"]),
        ("--fail x --log y", True, ["--fail"], ["x", "--log", "y"]),
        ("--fail -m app --log", True, ["--fail"], ["-m", "app", "--log"]),
        ("-mapp", True, [], ["-mapp"]),
        ("-cprint --fail", True, [], ["-cprint", "--fail"]),
        ("-", True, [], ["-"]),
        ("--fail -- -x", True, ["--fail"], ["-x"]),
    ],
)
def test_a_command_line_is_split(line, runs, options, words):
    given, rest = split(OPTIONS, line.split(), {}, runs_command=runs)
    assert [name + ("=" + value if option.metavar else "") for option, name, value in given] == (
        options
    )
    assert rest == words


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--messag x", "unknown option --messag; did you mean --message?"),
        ("--mess", "unknown option --mess; did you mean --message?"),
        ("--fail=1", "--fail: takes no value"),
        ("--message", "--message: expected a value, TEXT"),
        ("--sEcret", "unknown option"),
        ("-m", "unknown option"),
        ("--zzzzzzzz", "unknown option --zzzzzzzz"),
        ("--timeout 3", REFUSED["--timeout"]),
    ],
)
def test_a_slip_in_an_option_is_answered(line, said):
    with pytest.raises(UsageError) as error:
        split(OPTIONS, line.split(), REFUSED)
    assert str(error.value) == said


def test_options_are_set_in_order_and_a_wrong_value_names_its_option():
    options = PingOptions()
    given, _ = split(OPTIONS, ["--message", "a", "--message=b", "--no-mask-secrets"], {})
    apply(given, options)
    assert (options.message, options.mask_secrets, options.dry_run) == ("b", False, False)
    with pytest.raises(UsageError, match=r"^--exit-status: expected an exit status"):
        apply(split(OPTIONS, ["--exit-status", "x"], {})[0], options)


def ping_options(line: str) -> PingOptions:
    options = parse_ping(line.split())
    assert options is not None
    return options


def test_the_options_of_a_ping():
    assert parse_ping(["--fail", "-h"]) is None
    options = ping_options("--redact a --redact b https://x/y - --ping-timeout 3 --dry-run")
    assert (options.given_url, options.seen_url) == ("https://x/y", True)
    assert (options.stdin, options.timeout, options.dry_run) == (True, 3.0, True)
    assert options.redact == ["a", "b"]
    options = ping_options("--url https://x/y --message m")
    assert (options.given_url, options.seen_url, options.stdin) == ("https://x/y", False, False)
    assert ping_options("HTTP://x/y").given_url == "HTTP://x/y"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--fail --log", "one of --start, --fail, --log and --exit-status"),
        ("--fail --exit-status 0", "one of --start"),
        ("- --message x", "one text: --message or -"),
        ("https://x/y https://x/z", "one ping URL"),
        ("https://x/y --url https://x/z", "one ping URL"),
        ("https://x/y --url-file f", "one ping URL"),
        ("photos", "a ping URL or -, not 'photos'"),
    ],
)
def test_options_of_a_ping_that_contradict_each_other(line, said):
    with pytest.raises(UsageError, match=said):
        ping_options(line)


# What was meant


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([f"https://hc-ping.com/{UUID}"], "did you mean loghc ping https://hc-ping.com/***?"),
        ([f"HTTP://hc-ping.com/{UUID}"], "did you mean loghc ping HTTP://hc-ping.com/***?"),
        (["app.py", "x"], "did you mean loghc run app.py x?"),
        (["-m", "app", "x"], "did you mean loghc run -m app?"),
        (["-c", "x"], "did you mean loghc run -c x?"),
        ([sys.executable], f"did you mean loghc run {sys.executable}?"),
        (["sh"], "did you mean loghc run sh?"),
        (["rnu"], "did you mean run?"),
        (["zzzz"], "help, not zzzz (see"),
        (["zz1"], "help (see"),
        ([], "help (see"),
        (["help", "zzzz"], "expected a COMMAND to explain"),
        (["demo", "x"], "it takes no arguments"),
    ],
    ids=str,
)
def test_what_is_no_command_is_answered_with_what_was_meant(capsys, args, said):
    assert main(args) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"see https://hc-ping.com/{UUID} now", "see https://hc-ping.com/*** now"),
        ("http:/hc-ping.com/x", "http:/hc-ping.com/***"),
        ("HTTPS://me:pw@hc.example:8000/key/slug?create=1#x", "HTTPS://hc.example:8000/***"),
        ("hc-ping.com/key/slug", "hc-ping.com/***"),
        ("hc.example:80/x,y", "hc.example:80/***,y"),
        (UUID, "***"),
        ("0" * 32, "***"),
        ("/fqOOd6-F4MMNuCEnzTU01w", "/***"),
        ("fqOOd6-F4MMNuCEnzTU01w", "***"),
        ("/home/me/app.py", "/home/me/app.py"),
        ("a-quite-long-name-of-a-file.py", "a-quite-long-name-of-a-file.py"),
    ],
)
def test_of_a_url_the_host_alone_is_shown(text, shown):
    assert without_urls(text) == shown


@pytest.mark.parametrize(
    ("given", "file", "environment", "said"),
    [
        ("u", None, {}, "the command line"),
        (None, "f", {}, "the file 'f'"),
        (None, None, {"HEALTH_CHECK_URL": "u", "HEALTH_CHECK_URL_FILE": "g"}, "HEALTH_CHECK_URL"),
        (None, None, {"HEALTH_CHECK_URL": " ", "HEALTH_CHECK_URL_FILE": " g "}, "the file 'g'"),
    ],
)
def test_where_the_url_comes_from(monkeypatch, given, file, environment, said):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    options = PingOptions()
    options.given_url, options.url_file = given, file
    assert source_of(options).startswith(said)


# The plan


def plan(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: list[str] | None = None,
    *,
    watched: bool = True,
    **given: object,
) -> tuple[int, dict[str, str], str]:
    """What a dry run shows, by the word before the colon."""
    monkeypatch.setattr("loghc.command.plan.dry_run", lambda options, name: 7)
    options = Options()
    options.url = PingUrl.parse(f"https://hc-ping.com/{UUID}")
    for name, value in given.items():
        setattr(options, name, value)
    words = command or [sys.executable, "x y", UUID]
    status = show_plan(options, resolve(words), watched=watched)
    out, err = capsys.readouterr()
    return status, dict(line.split(": ", 1) for line in out.splitlines() if ": " in line), out + err


def test_the_plan_of_a_plain_run(monkeypatch, capsys):
    status, said, text = plan(monkeypatch, capsys)
    assert status == 7
    assert said["Program"] == shlex.join([sys.executable, "x y"]) + " ***"
    assert said["Executed"] == sys.executable
    kept = "the records that its own handlers take; the last 100,000 bytes with a ping."
    assert said["Log"] == kept
    assert said["Sent"] == (
        "a start; success for exit status 0, its exit status otherwise, or 128 + n for signal n; "
        "at the markers 'sync.error' (fail), 'sync.log' (log)."
    )
    assert UUID not in text


@pytest.mark.parametrize(
    ("given", "where", "said"),
    [
        ({"level": 20}, "Log", "its records of level 20 and above; the last"),
        ({"output": True}, "Log", "handlers take, and what it prints; the last"),
        ({"send_logs": False}, "Log", "handlers take; no log with a ping."),
        ({"start": False}, "Sent", "success for exit status 0"),
        ({"statuses": {3: "log"}}, "Sent", "success for exit status 0, log for exit status 3, its"),
        ({"on_failure": "log"}, "Sent", "exit status 0, a log otherwise; at"),
        ({"fail_on": 40, "fail_on_name": "E"}, "Sent", "; a failure after a record of level E"),
        ({"expected": [("text", "a"), ("text", "b")]}, "Sent", '0 and never said "a", "b".'),
        ({"events": frozenset(("log", "fail"))}, "Sent", "; of these, only fail, log."),
        (
            {"markers_only": True},
            "Sent",
            "at the markers 'sync.error' (fail), 'sync.log' (log), 's",
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_the_plan_has_what_was_asked_for(monkeypatch, capsys, given, where, said):
    _, shown, _ = plan(monkeypatch, capsys, **given)
    assert said in shown[where]
    if where == "Sent" and ("start" in given or "markers_only" in given):
        assert shown[where].startswith(said)


def test_the_plan_without_a_watcher_or_a_program(monkeypatch, capsys):
    status, said, text = plan(monkeypatch, capsys, watched=False)
    assert status == 0
    assert "It would not be watched, as HEALTH_CHECK_URL=off. Nothing was started." in text
    assert UUID in said["Program"]
    status, _, text = plan(monkeypatch, capsys, ["no-such-program"])
    assert status == 127
    assert "no-such-program: command not found. Nothing was started." in text
    isolated = [sys.executable, "-I", "x"]
    assert "no records, as -I keeps loghc out" in plan(monkeypatch, capsys, isolated)[1]["Log"]


# What is printed


class Terminal(io.StringIO):
    """A stream that a person sees."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False), ({"NO_COLOR": ""}, True)],
    ids=str,
)
def test_colours_are_for_terminals(monkeypatch, environment, coloured):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert colourful(Terminal()) is coloured
    assert not colourful(io.StringIO())
    assert not colourful(None)


def test_a_line_is_written_in_the_streams_encoding_and_at_once():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    write(stream, "naïve")
    assert raw.getvalue() == b"na?ve\n"
    write(None, "nowhere")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_stream_that_can_not_be_written_is_given_up():
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        with pytest.raises(OSError, match="No space"):
            write(full, "x")
        write(full, "y")  # to nowhere
        assert os.path.samestat(os.fstat(full.fileno()), Path(os.devnull).stat())


def test_the_width_is_the_terminals(monkeypatch):
    monkeypatch.setenv("COLUMNS", "123")
    assert width() == 123


def test_the_demo_shows_a_logs_end_and_its_marker(monkeypatch):
    monkeypatch.setattr(demo, "_BODY_LINES", 2)
    assert list(demo._ending(["a", "b"])) == ["a", "b"]
    assert list(demo._ending(["a", "b", "c"])) == ["... 1 lines before", "b", "c"]
    assert list(demo._ending(["a", "sync.error", "b", "c", "d"])) == [
        "... 1 lines before", "sync.error", "... 1 lines between", "c", "d",
    ]  # fmt: skip
    assert list(demo._ending(["sync.error", "b", "c"])) == [
        "sync.error", "... 0 lines between", "b", "c",
    ]  # fmt: skip
    assert list(demo._ending([])) == []
