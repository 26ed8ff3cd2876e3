"""The sink options that limit what leaves the machine, for another process that sends the log."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["privacy_fields"]


def privacy_fields(options: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The sink options that another process must respect, as pairs of key and value.

    Args:
        options: the sink's options, with ``limit`` (bytes), ``send_logs`` and ``redact``.

    Returns:
        ``limit``; ``send_logs=0`` if the log isn't sent; and ``redact=<pattern>`` for each rule. A
        rule that can't be passed on (a callable, or a pattern with flags) becomes ``redact=``; then
        no log leaves the machine.
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
    """The flags of a pattern, except those written in the pattern itself."""
    return pattern.flags & ~re.compile(pattern.pattern).flags
