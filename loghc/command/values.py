"""Reads the values of options. Wrong values raise a ValueError that shows no secret."""

from __future__ import annotations

import re

__all__ = [
    "byte_count",
    "directory",
    "exit_status",
    "exit_statuses",
    "expectation",
    "file",
    "header",
    "level",
    "seconds",
    "verdicts",
]

_LEVELS = {
    "TRACE": 5,
    "DEBUG": 10,
    "INFO": 20,
    "SUCCESS": 25,
    "WARNING": 30,
    "ERROR": 40,
    "CRITICAL": 50,
}
_VERDICTS = ("success", "fail", "log")
_UNITS = {"": 1, "k": 1_000, "m": 1_000_000}


def _shown(text: str) -> str:
    """The part of a message that quotes a wrong value, if it is a number."""
    return f", not {text}" if re.fullmatch(r"-?[0-9.]{1,12}|-?nan|-?inf", text) else ""


def byte_count(text: str) -> int:
    """A number of bytes, such as ``100000`` or ``100k``."""
    found = re.fullmatch(r"([0-9]{1,12}) ?([kKmM]?)[bB]?", text)
    size = int(found[1]) * _UNITS[found[2].lower()] if found else 0
    if size < 1:
        raise ValueError(f"expected a number of bytes, such as 100000 or 100k{_shown(text)}")
    return size


def seconds(text: str) -> float:
    """A positive, finite number of seconds."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise ValueError(f"expected a positive number of seconds{_shown(text)}")
    return number


def level(text: str) -> int:
    """The number of a loguru level, given by its name or number."""
    if text.upper() in _LEVELS:
        return _LEVELS[text.upper()]
    if re.fullmatch(r"[0-9]{1,6}", text):
        return int(text)
    raise ValueError(f"expected one of {', '.join(_LEVELS)}, or a number{_shown(text)}")


def exit_status(text: str) -> int:
    """An exit status."""
    if not re.fullmatch(r"[0-9]{1,3}", text) or int(text) > 255:
        raise ValueError(f"expected an exit status from 0 to 255{_shown(text)}")
    return int(text)


def exit_statuses(text: str) -> frozenset[int]:
    """Exit statuses separated by commas."""
    return frozenset(exit_status(word.strip()) for word in text.split(","))


def verdicts(text: str) -> dict[int, str]:
    """What exit statuses mean, such as ``3,4=success``."""
    statuses, equals, verdict = text.partition("=")
    verdict = verdict.strip().lower()
    if not equals or verdict not in _VERDICTS:
        raise ValueError(f"expected N=VERDICT, with one of {', '.join(_VERDICTS)}")
    return dict.fromkeys(exit_statuses(statuses), verdict)


def expectation(kind: str, text: str) -> tuple[str, str]:
    """A text or a pattern that a run is expected to log or print."""
    if not text:
        raise ValueError("expected text")
    from loghc.portable.expected import matcher  # takes longer to import than all else here

    try:
        matcher(kind, text)
    except re.error:
        raise ValueError("expected a regular expression") from None
    return kind, text


def file(text: str) -> str:
    """The path of a file."""
    return _path(text, "a file")


def directory(text: str) -> str:
    """The path of a directory."""
    return _path(text, "a directory")


def _path(text: str, expected: str) -> str:
    if not text or "://" in text:
        raise ValueError(f"expected the path of {expected}")
    return text


def header(text: str) -> tuple[str, str]:
    """A request header's name and value, with ``=`` or ``:`` between them."""
    found = re.fullmatch(r"([^=:]+)[=:] *(.*)", text)
    if not found:
        raise ValueError("expected NAME=VALUE")
    from loghc.options import request_headers

    try:
        request_headers({found[1]: found[2]})
    except ValueError as error:
        raise ValueError(str(error).partition(": ")[2]) from None
    return found[1], found[2]
