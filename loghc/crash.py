"""Tells an interpreter that is going down from one that goes on, and why it goes down."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable

__all__ = ["at_child_exit", "closing_text", "interpreter_is_exiting", "uncaught_exception"]


def interpreter_is_exiting() -> bool:
    """Whether the interpreter has begun to exit; true in every atexit callback.

    CPython marks its main thread as finished before it runs those, on that thread. Other threads
    may outlive it, and work on: what they do is no sign of an exit.
    """
    main = threading.main_thread()
    return not main.is_alive() and main.ident == threading.get_ident()


def uncaught_exception() -> BaseException | None:
    """The exception that ends the program, if one does.

    CPython keeps it, for debuggers, before it prints it: no hook of the app's is in the way. In a
    child of multiprocessing it is still being handled while the child cleans up; from Python 3.13
    on it is gone by then, and None is returned.
    """
    kept = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)  # 3.12 on; before
    return sys.exc_info()[1] or kept


def closing_text(error: BaseException | None) -> str:
    """What is put after the log of a run that never ended."""
    text = "loghc: the program ended and this run had not.\n"
    if error is not None:
        # No values of variables, unlike loguru's: nobody chose to send those.
        text += "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return text


def at_child_exit(finish: Callable[[], None]) -> None:
    """Have a function called when this process ends, if it is a child of multiprocessing.

    Such a child leaves without atexit callbacks, and so without loguru's, which stops the sinks.
    """
    process = sys.modules.get("multiprocessing.process")
    if process is None or process.parent_process() is None:
        return
    from multiprocessing.util import Finalize

    Finalize(None, finish, exitpriority=0)
