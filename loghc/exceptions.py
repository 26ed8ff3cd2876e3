"""Exceptions as text, whatever the app's own classes do when they are asked for it."""

from __future__ import annotations

import contextlib

TYPE_CHECKING = False  # typing and traceback take longer to import than all of this
if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["description", "traceback_text"]


def traceback_text(error: BaseException) -> str:
    """An exception with its traceback, as Python prints it; without values of variables.

    Where Python itself would fail over it, the places alone, and the names of the classes.
    """
    import traceback

    with contextlib.suppress(Exception, SystemExit):
        return "".join(traceback.format_exception(type(error), error, error.__traceback__))
    places = [
        f'  File "{frame.f_code.co_filename}", line {line}, in {frame.f_code.co_name}\n'
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    return "".join(("Traceback (most recent call last):\n", *places, _class_alone(error)))


def description(error: BaseException) -> str:
    """An exception without its traceback, as Python prints it."""
    import traceback

    lines: Iterable[str] = (_class_alone(error),)
    with contextlib.suppress(Exception, SystemExit):
        lines = traceback.format_exception_only(type(error), error)
    return "".join(lines).strip()


def _class_alone(error: BaseException) -> str:
    return f"{type(error).__name__}: <its text can't be shown>\n"
