"""``loghc run``: its command line, and what is refused before anything is started."""

from __future__ import annotations

import os
import re
import sys

from loghc.service.environment import URL_FILE_VARIABLE, URL_VARIABLE, ping_url
from loghc.service.url import UUID, PingUrl
from loghc.watch.options import Options

TYPE_CHECKING = False  # typing and argparse take longer to import than the program to start
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from loghc.watch.command import Command

__all__ = ["run"]

_USAGE = 2  # exit status of a command that can't be done as it was given
_LEVELS = {
    "TRACE": 5,
    "DEBUG": 10,
    "INFO": 20,
    "SUCCESS": 25,
    "WARNING": 30,
    "ERROR": 40,
    "CRITICAL": 50,
}
_EVENTS = ("start", "success", "fail", "log")
_OFF = "off"  # in the place of the URL: run the program, and watch nothing
_NAME = r"--[a-z]+(-[a-z]+)*"  # what may be quoted of an unknown option: it can't be a secret
_NO_URL = (
    f"no ping URL: set {URL_VARIABLE}, or {URL_FILE_VARIABLE} to the path of a file that holds it, "
    "or give --health-check-url"
)
# What looks like a ping URL where a command is expected, in whole or in part. A file of that name
# may be run by its path: "./example.com/...".
_LIKE_URL = rf"[a-zA-Z][a-zA-Z0-9+.-]*:/|%3[aA]|[^/@]*@|{UUID}|[0-9a-fA-F]{{32}}"
_LIKE_HOST = r"[\w-]+(\.[\w-]+)*\.[a-zA-Z]{2,}(:\d+)?/|localhost[:/]|[\d.]+:\d+/"


class UsageError(Exception):
    """What is wrong with the command line, in a line without secrets."""


def run(args: list[str]) -> NoReturn:
    """Do ``loghc run`` with these arguments: this process ends as the program does.

    Raises:
        SystemExit: after ``--help`` and on wrong usage.
    """
    from loghc.watch.command import resolve

    try:
        given, words = _split(args)
        if any(name in ("-h", "--help") for name, _ in given):
            from loghc.command.run_help import HELP

            print(HELP, end="")
            raise SystemExit(0)
        if os.name != "posix":
            raise UsageError("it needs a POSIX system")
        options = _options(given)
        urls = [value for name, value in given if name == "--health-check-url"]
        off = not urls and os.environ.get(URL_VARIABLE, "").strip().lower() == _OFF
        if not off:
            options.url, options.url_variables = _url(urls)
        if not words or words in (["-m"], ["-c"]):
            raise UsageError(
                "expected a COMMAND: a script, -m MODULE, -c CODE, or a program's name"
            )
        if _looks_like_url(words[0], None if off else options.url):
            raise UsageError(
                "expected a COMMAND, not a URL; give the ping URL in "
                f"{URL_VARIABLE}, or by --health-check-url"
            )
    except UsageError as error:
        print(f"loghc run: {error} (see loghc run --help)", file=sys.stderr)
        raise SystemExit(_USAGE) from None
    command = resolve(words, options.python)
    if off:
        _become(command)
    from loghc.watch.watcher import watch

    watch(options, command)


def _become(command: Command) -> NoReturn:
    from loghc.watch.child import CannotStartError, become

    try:
        become(command)
    except CannotStartError as error:
        print(f"loghc: {command.argv[0]}: {error.reason}", file=sys.stderr)
        raise SystemExit(error.status) from None


def _split(args: list[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Loghc's own options with their values, and the words from COMMAND on."""
    given: list[tuple[str, str]] = []
    position = 0
    while position < len(args):
        word = args[position]
        if word == "--":
            return given, args[position + 1 :]
        if word[:2] in ("-m", "-c") or not word.startswith("-") or word == "-":
            break
        name, equals, value = word.partition("=")
        position += 1
        if name in _FLAGS and not equals:
            given.append((name, ""))
        elif name in _VALUES:
            if not equals:
                if position == len(args):
                    raise UsageError(f"{name}: expected a value")
                value = args[position]
                position += 1
            given.append((name, value))
        else:
            shown = f" {name}" if re.fullmatch(_NAME, name) else ""
            raise UsageError(f"unknown option{shown}")
    return given, args[position:]


def _options(given: list[tuple[str, str]]) -> Options:
    options = Options()
    for name, value in given:
        _set(options, name, value)
    if options.redact:
        from loghc.log.redaction import redactor

        try:
            redactor(options.redact)
        except ValueError as error:
            raise UsageError(f"--{error}") from None
    return options


def _set(options: Options, name: str, value: str) -> None:
    if name in _FLAGS:
        _FLAGS[name](options)
        return
    try:
        _VALUES[name](options, value)
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from None


def _url(given: list[str]) -> tuple[PingUrl, list[str]]:
    """The ping URL, and the environment's variables that the program is not to see."""
    try:
        url = ping_url(given[-1] if given else None, "--health-check-url")
        if url is None:
            raise UsageError(_NO_URL)
        if not given:
            return url, [URL_VARIABLE, URL_FILE_VARIABLE]
    except ValueError as error:
        raise UsageError(str(error)) from None
    try:
        other = ping_url(None)
    except ValueError:
        other = None
    same = other is not None and _parts(other) == _parts(url)
    return url, [URL_VARIABLE, URL_FILE_VARIABLE] if same else []


def _parts(url: PingUrl) -> tuple[str | None, ...]:
    return url.origin, url.path, url.query, url.credentials


def _looks_like_url(word: str, url: PingUrl | None) -> bool:
    if os.path.exists(word):
        return False
    if re.match(_LIKE_URL, word) or re.match(_LIKE_HOST, word) or re.search(UUID, word):
        return True
    if url is None:
        return False
    secrets = (url.path.strip("/"), *url.path.strip("/").split("/"), url.password)
    folded = word.lower()
    return any(len(secret or "") > 4 and (secret or "").lower() in folded for secret in secrets)


def _shown(text: str) -> str:
    """What may be quoted of a wrong value: a number."""
    return f", not {text}" if re.fullmatch(r"-?[0-9.]{1,12}|-?nan|-?inf", text) else ""


def _whole_number(text: str, least: int, expected: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,12}", text) or int(text) < least:
        raise ValueError(f"expected {expected}{_shown(text)}")
    return int(text)


def _limit(options: Options, text: str) -> None:
    options.limit = _whole_number(text, 1, "at least 1 byte")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ValueError(f"expected a positive number of seconds{_shown(text)}")
    return seconds


def _timeout(options: Options, text: str) -> None:
    options.timeout = _seconds(text)


def _drain(options: Options, text: str) -> None:
    options.drain = _seconds(text)


def _job(options: Options, text: str) -> None:
    from loghc.markers import job_markers

    try:
        job_markers(text)
    except ValueError as error:
        raise ValueError(str(error).partition("job: ")[2]) from None
    options.job = text


def _level_number(text: str) -> int:
    if text.upper() in _LEVELS:
        return _LEVELS[text.upper()]
    if re.fullmatch(r"[0-9]{1,6}", text):
        return int(text)
    raise ValueError(f"expected one of {', '.join(_LEVELS)}, or a number{_shown(text)}")


def _level(options: Options, text: str) -> None:
    options.level = _level_number(text)


def _fail_on(options: Options, text: str) -> None:
    options.fail_on = _level_number(text)
    options.fail_on_name = text.upper()


def _redact(options: Options, text: str) -> None:
    options.redact.append(text)


def _marker(options: Options, text: str) -> None:
    message, equals, event = text.rpartition("=")
    event = event.strip().lower()
    if not equals or not message:
        raise ValueError("expected 'MESSAGE=EVENT'")
    if event not in _EVENTS:
        raise ValueError(f"expected one of {', '.join(_EVENTS)} after the last '='")
    options.markers[message] = event


def _ok_status(options: Options, text: str) -> None:
    words = text.split(",")
    if not all(re.fullmatch(r" *[0-9]{1,3} *", word) and int(word) <= 255 for word in words):
        raise ValueError("expected exit statuses from 0 to 255 with commas between, such as 3,143")
    options.ok_statuses |= frozenset(map(int, words))


def _events(options: Options, text: str) -> None:
    words = frozenset(word.strip().lower() for word in text.split(","))
    if not words <= set(_EVENTS):
        raise ValueError(f"expected some of {', '.join(_EVENTS)}, with commas between")
    options.events = words


def _state(options: Options, text: str) -> None:
    if not text or "://" in text:
        raise ValueError("expected a directory")
    options.state = os.path.abspath(text)


def _python(options: Options, text: str) -> None:
    if not text or "://" in text:
        raise ValueError("expected the path of a Python interpreter")
    options.python = text


def _on(attribute: str) -> Callable[[Options], None]:
    return lambda options: setattr(options, attribute, True)


def _off(attribute: str) -> Callable[[Options], None]:
    return lambda options: setattr(options, attribute, False)


_VALUES: dict[str, Callable[[Options, str], None]] = {
    "--health-check-url": lambda _options, _text: None,  # read first
    "--job": _job,
    "--level": _level,
    "--limit": _limit,
    "--timeout": _timeout,
    "--drain": _drain,
    "--redact": _redact,
    "--marker": _marker,
    "--ok-status": _ok_status,
    "--fail-on": _fail_on,
    "--events": _events,
    "--state": _state,
    "--python": _python,
}
_FLAGS: dict[str, Callable[[Options], None]] = {
    "-h": lambda _options: None,
    "--help": lambda _options: None,
    "--no-logs": _off("send_logs"),
    "--no-start": _off("start"),
    "--no-mask-secrets": _off("mask_secrets"),
    "--markers-only": _on("markers_only"),
    "--output": _on("output"),
}
