"""How a record looks in the log that the watcher sends, much as loguru's default format has it."""

from .stdlib import load

__all__ = ["MILLISECONDS", "format_level", "format_record", "format_second", "traceback_text"]

MILLISECONDS = tuple("%03d" % number for number in range(1000))


def format_second(time: object) -> str:
    """A record's time, up to its milliseconds."""
    return time.strftime("%Y-%m-%d %H:%M:%S.")  # type: ignore[attr-defined, no-any-return]


def format_level(name: str) -> str:
    """What stands between a record's time and its origin."""
    return f" | {name: <8} | "


def format_record(record: "dict[str, object]", from_decorator: object) -> str:
    """A line, and the traceback of the record's exception if it has one."""
    time = record["time"]
    text = (
        f"{format_second(time)}{MILLISECONDS[time.microsecond // 1000]}"  # type: ignore[attr-defined]
        f"{format_level(record['level'].name)}"  # type: ignore[attr-defined]
        f"{record['name']}:{record['function']}:{record['line']} - {record['message']}\n"
    )
    exception = record["exception"]
    if not exception:
        return text
    kind, value, trace = exception  # type: ignore[misc]
    if from_decorator and trace is not None and trace.tb_next is not None:
        trace = trace.tb_next  # the first frame is that of loguru's own decorator
    return text + traceback_text(kind, value, trace)


def traceback_text(kind: object, value: object, trace: object) -> str:
    """An exception as Python prints it: without the values of variables, which may be secrets."""
    return "".join(load("traceback").format_exception(kind, value, trace))  # type: ignore[attr-defined]
