"""Formats records for the log that the watcher sends, much like loguru's default format."""

import sys

from .stdlib import load

TYPE_CHECKING = False  # importing typing here would keep the program from shadowing it
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "MILLISECONDS",
    "format_level",
    "format_record",
    "format_second",
    "traceback_text",
    "traceback_text_now",
]

_MAX_TRACEBACK = 30_000  # characters: it has to leave room for the log
_FRAME = "\n  File "
_PAIRS = [tens + ones for tens in "0123456789" for ones in "0123456789"]
MILLISECONDS = tuple([hundreds + pair for hundreds in "0123456789" for pair in _PAIRS])


def format_second(time: "Any") -> str:
    """A record's time, up to its milliseconds."""
    return str(time.strftime("%Y-%m-%d %H:%M:%S."))


def format_level(name: str) -> str:
    """The text between a record's time and its origin."""
    return f" | {name: <8} | "


def format_record(record: "dict[str, Any]", from_decorator: object) -> str:
    """A line, and the traceback of the record's exception if it has one."""
    time = record["time"]
    text = (
        f"{format_second(time)}{MILLISECONDS[time.microsecond // 1000]}"
        f"{format_level(record['level'].name)}"
        f"{record['name']}:{record['function']}:{record['line']} - {record['message']}\n"
    )
    exception = record["exception"]
    if not exception:
        return text
    kind, value, trace = exception
    if from_decorator and trace is not None and trace.tb_next is not None:
        trace = trace.tb_next  # the first frame is that of loguru's own decorator
    return text + traceback_text(kind, value, trace)


def traceback_text(kind: "Any", value: "Any", trace: "Any") -> str:
    """An exception as Python prints it, without the values of variables, which may be secrets.

    If Python itself fails to print it, only the lines of the frames and the class's name. From a
    long one, such as a recursion's, frames in the middle are left out.
    """
    try:
        return _without_middle("".join(load("traceback").format_exception(kind, value, trace)))
    except RecursionError:
        raise
    except (Exception, SystemExit):
        return _places(trace) + f"{kind.__name__}: <its text can't be shown>\n"


def traceback_text_now(error: BaseException) -> str:
    """The same while the program continues: without an import that it could notice."""
    modules = sys.modules
    if "traceback" in modules and "ast" in modules:
        return traceback_text(type(error), error, error.__traceback__)
    kind = type(error)
    name = (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )
    try:
        text = str(error)
    except (Exception, SystemExit):
        text = "<its text can't be shown>"
    return _without_middle(_places(error.__traceback__) + f"{name}: {text}\n".replace(": \n", "\n"))


def _places(trace: "Any") -> str:
    lines = ["Traceback (most recent call last):\n"]
    while trace is not None:
        code = trace.tb_frame.f_code
        lines.append(f'  File "{code.co_filename}", line {trace.tb_lineno}, in {code.co_name}\n')
        trace = trace.tb_next
    return "".join(lines)


def _without_middle(text: str) -> str:
    if len(text) <= _MAX_TRACEBACK:
        return text
    half = _MAX_TRACEBACK // 2
    begin, end = text.rfind(_FRAME, 0, half), text.find(_FRAME, len(text) - half)
    if begin < 0 or end < 0:
        return text
    left = text.count(_FRAME, begin, end)
    return f"{text[:begin]}\n  ... loghc left out {left:,} frames here ...{text[end:]}"
