"""Applies the user's own rules for what must not leave the machine."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

__all__ = ["REDACTED", "Redactor", "redactor"]

REDACTED = "[redacted]"

Redactor = Callable[[str], str]


def redactor(
    rules: str | re.Pattern[str] | Redactor | Iterable[str | re.Pattern[str] | Redactor],
) -> Redactor | None:
    """One function that applies all rules in order; None if there are none.

    Args:
        rules: regular expressions (str or compiled), whose matches become ``[redacted]``, and
            callables from str to str. A single rule needs no tuple.

    Raises:
        TypeError: a rule is neither, or is a pattern for bytes.
        ValueError: a regular expression doesn't compile. The error doesn't show it, as it may be
            the very secret to be removed.
    """
    if isinstance(rules, (str, re.Pattern)) or callable(rules):
        rules = (rules,)
    elif not isinstance(rules, Iterable) or isinstance(rules, (bytes, bytearray, Mapping)):
        raise TypeError(
            f"redact: expected regular expressions or callables, not {type(rules).__name__}"
        )
    steps = [_step(position, rule) for position, rule in enumerate(rules)]
    if not steps:
        return None

    def redact(text: str) -> str:
        for step in steps:
            text = step(text)
        return text

    return redact


def _step(position: int, rule: object) -> Redactor:
    if isinstance(rule, str):
        try:
            rule = re.compile(rule)
        except (re.error, OverflowError, RecursionError) as error:
            where = getattr(error, "pos", None)
            fault = "it is too large" if where is None else f"the fault is at character {where}"
            raise ValueError(
                f"redact[{position}]: expected a regular expression; what was given doesn't "
                f"compile: {fault} (re.escape() makes one of a plain text)"
            ) from None
    if isinstance(rule, re.Pattern):
        if isinstance(rule.pattern, bytes):
            raise TypeError(f"redact[{position}]: expected a pattern for str, not for bytes")
        pattern: re.Pattern[str] = rule
        return lambda text: pattern.sub(_replacement, text)
    if callable(rule):
        return _checked(position, rule)
    raise TypeError(
        f"redact[{position}]: expected a regular expression or a callable, "
        f"not {type(rule).__name__}"
    )


def _replacement(match: re.Match[str]) -> str:
    """Ignore empty matches: a pattern such as ``x*`` matches between any two characters."""
    return REDACTED if match[0] else ""


def _checked(position: int, rule: Callable[[str], object]) -> Redactor:
    def step(text: str) -> str:
        result = rule(text)
        if not isinstance(result, str):
            raise TypeError(f"redact[{position}]: returned {type(result).__name__}, not str")
        return result

    return step
