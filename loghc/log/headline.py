"""The cause of a failure in one line, which is what people read first, often on a phone."""

from __future__ import annotations

import re
from collections.abc import Collection

from loghc.report import description

__all__ = [
    "NOT_ENDED",
    "after",
    "last_error",
    "of_exception",
    "of_message",
    "of_record",
    "of_traceback",
    "without_cause",
]

NOT_ENDED = "the program ended before this run did"
"""The cause of a failed run about which nothing else is known."""

_TRACEBACK = "Traceback (most recent call last):"
_NESTED = "Traceback (most recent call last)"  # without a colon, as IPython prints it
_COLOR = re.compile(r"\x1b\[[\d;]*m")
_FRAME = re.compile(r'[ >|]*File "(?P<file>[^"]*)", line (?P<line>\d+)')
_MEMBER = re.compile(r"^ *\+-\+-+ 1 -+$", re.MULTILINE)
_MEMBERS = re.compile(r"\((\d+) sub-exceptions?\)")
_AFTER_MARKER = " \t\r\n:;,.-=|\u2013\u2014"
# In the recorder's format, which is loguru's.
_ERROR_RECORD = re.compile(
    r"^\d{4}-\d\d-\d\d [\d:.]+ \| (?:ERROR|CRITICAL) +\| .*?:-?\d+ - (.*)", re.MULTILINE
)
_OF_SOURCE = ("SyntaxError:", "IndentationError:", "TabError:")
_DEEPEST_GROUP = 20
_FAIL_MARKER = re.compile(r"^[^\s:]+\.error\b")
_PACKAGE = __file__.rpartition("/log/")[0] + "/"


def of_exception(error: BaseException) -> str:
    """An exception's type and message; for a group, those of its first member and how many more.

    If there is no message, the line that raised it is added.

    Example:
        >>> of_exception(OSError("disk full"))
        'OSError: disk full'
    """
    more = 0
    for _ in range(_DEEPEST_GROUP):
        members = getattr(error, "exceptions", ())
        if not isinstance(members, (tuple, list)) or not members:
            break
        if not isinstance(members[0], BaseException):
            break
        more += len(members) - 1
        error = members[0]
    text = _of_traceback(description(error), 0)
    if ":" not in text:
        place = None
        trace = error.__traceback__
        while trace is not None:
            file = trace.tb_frame.f_code.co_filename
            if not file.startswith(_PACKAGE):
                place = (file, trace.tb_lineno)
            trace = trace.tb_next
        if place is not None:
            text = _with_place(text, *place)
    return _with_more(text, more)


def of_traceback(text: str) -> str:
    r"""The same, from a traceback as printed by Python or loguru; empty if there is none.

    Example:
        >>> of_traceback('Traceback (most recent call last):\n  File "a.py", line 1\nOSError: no\n')
        'OSError: no'
    """
    return _of_traceback(text, 0) if _TRACEBACK in text or _FRAME.search(text) else ""


def of_record(text: str, markers: Collection[str]) -> str:
    """The cause given in a failure's record: its exception, or what follows the marker.

    Args:
        text: the record, as formatted by the recorder or by one of the program's sinks.
        markers: the possible markers; one of them is in the first line of the record.
    """
    if _TRACEBACK in text:
        cause = of_traceback(text[text.index(_TRACEBACK) :])
        if cause:
            return cause
    first = text.partition("\n")[0]
    for marker in sorted(markers, key=len, reverse=True):
        _, found, after = first.rpartition(f" - {marker}")
        if not found:
            before, found, after = first.partition(marker)
            found = "" if before[-1:].isalnum() else found
        if found:
            return of_message(marker + after, markers)
    # A marker set for one sink, which isn't known here.
    return _FAIL_MARKER.sub("", first.rpartition(" - ")[2]).strip(_AFTER_MARKER)


def of_message(message: str, markers: Collection[str]) -> str:
    """What follows the marker in a message, or an empty str.

    Example:
        >>> of_message("sync.error: disk full", ["sync.error"])
        'disk full'
    """
    for marker in sorted(markers, key=len, reverse=True):
        if message.startswith(marker):
            return message[len(marker) :].strip(_AFTER_MARKER)
    return ""


def without_cause(marker: str) -> str:
    """The headline of a failure of which only the marker is known."""
    return f"{marker} was logged without a cause"


def after(seconds: float) -> str:
    """How long a run took, given in seconds, as text to append to its cause.

    Example:
        >>> after(12.44), after(754), after(7_300)
        (' (after 12.4 s)', ' (after 12 min 34 s)', ' (after 2 h 1 min)')
    """
    whole = round(seconds)
    if seconds < 60:
        return f" (after {seconds:.1f} s)"
    if whole < 3600:
        return f" (after {whole // 60} min {whole % 60} s)"
    return f" (after {whole // 3600} h {whole % 3600 // 60} min)"


def last_error(log: str) -> str:
    """The message of the last record of level ERROR or CRITICAL in a log, or an empty str."""
    found: list[str] = _ERROR_RECORD.findall(log)
    return found[-1] if found else ""


def _of_traceback(text: str, depth: int) -> str:
    member = _MEMBER.search(text)
    if member is not None and depth < _DEEPEST_GROUP:
        counted = _MEMBERS.findall(text, 0, member.start())
        first = re.split(r"(?m)^ *\+-+ \d+ -+$|^ *\+-{20,}$", text[member.end() :], maxsplit=1)[0]
        inside = "\n".join(re.sub(r"^ *\| ?", "", line) for line in first.splitlines())
        return _with_more(_of_traceback(inside, depth + 1), int(counted[-1]) - 1 if counted else 0)
    lines = text.splitlines()
    frames = [number for number, line in enumerate(lines) if _FRAME.match(line)]
    begin = frames[-1] + 1 if frames else 0
    own = (number for number in range(begin, len(lines)) if _is_own(lines[number]))
    at = next(own, None)
    if at is None:
        return ""
    cause = "\n".join(lines[at:]).strip()
    if _NESTED in cause:  # a notebook's: the message has a traceback; its last line is the cause
        return [line for line in _COLOR.sub("", cause).splitlines() if _is_own(line)][-1]
    frame = _FRAME.match(lines[frames[-1]]) if frames else None
    return _with_place(cause, frame["file"], int(frame["line"])) if frame else cause


def _is_own(line: str) -> bool:
    """Whether a line after the last frame belongs to the exception, not to its source or values."""
    return bool(line.strip()) and not line[0].isspace() and line != _TRACEBACK


def _with_place(text: str, file: str, line: int) -> str:
    """Add the place to an exception without a message, or one about the source itself."""
    if ":" in text and not text.startswith(_OF_SOURCE):
        return text
    place = f"({file.rpartition('/')[2]}, line {line})"
    return text if place in text else f"{text} {place}"


def _with_more(text: str, more: int) -> str:
    return f"{text} (and {more} more)" if more > 0 and text else text
