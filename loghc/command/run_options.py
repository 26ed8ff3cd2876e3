"""The options of ``loghc run``, as they stand on the command line."""

from __future__ import annotations

import contextlib
import os
import re

from loghc.watch.options import Options

TYPE_CHECKING = False  # typing and argparse take longer to import than the program to start
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["UsageError", "parse", "split"]

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
_NAME = r"--[a-z]+(-[a-z]+)*"  # what may be quoted of an unknown option: it can't be a secret


class UsageError(Exception):
    """What is wrong with the command line, in a line without secrets."""


def split(args: list[str]) -> tuple[list[tuple[str, str]], list[str]]:
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


def parse(given: list[tuple[str, str]]) -> Options:
    """The options, but for the ping URL.

    Raises:
        UsageError: one is wrong.
    """
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
    if not text or text != text.strip():
        raise ValueError("expected a name without white space around it")
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
    options.state = text
    with contextlib.suppress(OSError):  # the working directory was deleted
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
