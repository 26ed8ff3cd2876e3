"""How a record looks in the log that the watcher sends, much as loguru's default format has it."""

from .stdlib import load

__all__ = ["Text", "traceback_text"]


class Text:
    """Formats records, quickly: what seldom changes from one to the next is kept."""

    def __init__(self) -> None:
        self._day = self._hour = self._minute = self._second = -1
        self._until_second = ""
        self._levels = {}  # type: dict[str, str]

    def format(self, record: "dict[str, object]", from_decorator: object) -> str:
        """A line, and the traceback of the record's exception if it has one."""
        time = record["time"]
        level = record["level"].name  # type: ignore[attr-defined]
        if (
            time.second != self._second  # type: ignore[attr-defined]
            or time.minute != self._minute  # type: ignore[attr-defined]
            or time.hour != self._hour  # type: ignore[attr-defined]
            or time.day != self._day  # type: ignore[attr-defined]
        ):
            self._keep(time)
        if level not in self._levels:
            self._levels[level] = f" | {level: <8} | "
        text = (
            f"{self._until_second}{time.microsecond // 1000:03d}"  # type: ignore[attr-defined]
            f"{self._levels[level]}{record['name']}:{record['function']}:{record['line']}"
            f" - {record['message']}\n"
        )
        if record["exception"]:
            text += _of_record(record["exception"], from_decorator)
        return text

    def _keep(self, time: object) -> None:
        self._until_second = time.strftime("%Y-%m-%d %H:%M:%S.")  # type: ignore[attr-defined]
        self._day, self._hour = time.day, time.hour  # type: ignore[attr-defined]
        self._minute, self._second = time.minute, time.second  # type: ignore[attr-defined]


def _of_record(exception: object, from_decorator: object) -> str:
    kind, value, trace = exception  # type: ignore[misc]
    if from_decorator and trace is not None and trace.tb_next is not None:
        trace = trace.tb_next  # the first frame is that of loguru's own decorator
    return traceback_text(kind, value, trace)


def traceback_text(kind: object, value: object, trace: object) -> str:
    """An exception as Python prints it: without the values of variables, which may be secrets."""
    return "".join(load("traceback").format_exception(kind, value, trace))
