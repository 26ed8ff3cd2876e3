"""A sink's options for what may leave the machine, for another process that sends its log."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["privacy_fields"]


def privacy_fields(options: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The options of a sink that another process has to respect, as keys and values.

    Args:
        options: the sink's.

    Returns:
        ``limit``, ``send_logs=0``, and each rule as ``redact=<pattern>``, or ``redact=`` for one
        that can't be passed on: then no log leaves the machine.
    """
    fields = [("limit", str(options["limit"]))]
    if not options["send_logs"]:
        fields.append(("send_logs", "0"))
    rules = options["redact"]
    rules = (rules,) if isinstance(rules, (str, re.Pattern)) or callable(rules) else rules
    for rule in rules:
        pattern = rule.pattern if isinstance(rule, re.Pattern) and not _flags(rule) else rule
        fields.append(("redact", pattern if isinstance(pattern, str) else ""))
    return fields


def _flags(pattern: re.Pattern[str]) -> int:
    """The flags that a pattern has beside those in its own text."""
    return pattern.flags & ~re.compile(pattern.pattern).flags
