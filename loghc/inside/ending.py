"""Writes down, when the process exits, the traceback of the uncaught exception that ended it."""

import posix
import sys

from ..portable.stdlib import load
from ..portable.text import traceback_text
from .tap import Tap

TYPE_CHECKING = False  # importing typing here would keep the program from shadowing it
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Ending"]

_TOOLS = (4, 3)  # numbers that sys.monitoring has given to no kind of tool


class Ending:
    """Looks, at the exit, for an uncaught exception. No hook of the program's is touched.

    Args:
        tap: where the traceback goes.
    """

    def __init__(self, tap: Tap) -> None:
        self._tap = tap
        self._told = 0  # the process that has written its own
        self._watching = False  # where multiprocessing runs a child
        self._parents = None  # type: BaseException | None

    def register(self) -> None:
        """Be called at this process's exit, and at that of its children."""
        load("atexit").register(self.at_exit)
        posix.register_at_fork(after_in_child=self.after_fork)
        self._at_end_of_child()

    def at_exit(self, error: "BaseException | None" = None) -> None:
        """Write the exception that ended the program, if one did.

        Args:
            error: it; None: the one that the interpreter printed before it began to exit.
        """
        if error is not None:
            self._write(error)
            return
        error = getattr(sys, "last_exc", getattr(sys, "last_value", None))  # since 3.12
        trace = getattr(sys, "last_traceback", None)
        # A SyntaxError in the script has no traceback. IPython runs a script within its own frames.
        if error is not None and (trace is None or _left_main(trace) or "IPython" in sys.modules):
            self._write(error)

    def after_fork(self) -> None:
        """In a forked child: the ring isn't its own."""
        self._tap.forget()
        self._told = 0
        self._at_end_of_child(forked=True)

    def _at_end_of_child(self, forked: bool = False) -> None:  # noqa: FBT001, FBT002
        """A child of multiprocessing leaves without atexit callbacks."""
        util = sys.modules.get("multiprocessing.util")
        process = sys.modules.get("multiprocessing.process")
        if util is None or process is None:
            return
        try:
            if not forked and not _is_child(process):
                return
            # A child begins by forgetting all finalizers: those of its parent, it supposes.
            util.register_after_fork(self, Ending._finalize)
            if not forked:
                self._finalize()
        except Exception:
            return

    def _finalize(self) -> None:
        if sys.version_info >= (3, 13):
            try:
                self._watch_bootstrap(sys.modules["multiprocessing.process"].BaseProcess._bootstrap)
            except Exception:
                return
        else:
            sys.modules["multiprocessing.util"].Finalize(None, self.at_child_exit, exitpriority=0)

    def _watch_bootstrap(self, bootstrap: "Any") -> None:
        """See the exception while the function that runs the child deals with it.

        From Python 3.13 on, finalizers run when the exception is gone.
        """
        python = sys  # type: Any
        self._parents = python.exception()  # what the parent was dealing with when it forked
        if self._watching:  # as the parent did, itself a child
            return
        monitoring = python.monitoring
        tool = next(number for number in _TOOLS if monitoring.get_tool(number) is None)

        def see(_code: object, _line: int) -> None:
            error = python.exception()
            if error is None or error is self._parents or isinstance(error, SystemExit):
                return
            self._write(error)

        monitoring.use_tool_id(tool, "")
        monitoring.register_callback(tool, monitoring.events.LINE, see)
        monitoring.set_local_events(tool, bootstrap.__code__, monitoring.events.LINE)
        self._watching = True

    def at_child_exit(self) -> None:
        """Write the exception that leaves a child's function, which is on its way right now."""
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, SystemExit):
            self._write(error)

    def _write(self, error: BaseException) -> None:
        try:
            if self._told == posix.getpid():
                return
            self._told = posix.getpid()
            text = traceback_text(type(error), error, error.__traceback__)
            self._tap.append_traceback(text.encode("utf-8", "replace"))
        except BaseException:
            return


def _is_child(process: "Any") -> bool:
    """Whether this is a child of multiprocessing, be it still on its way to its function."""
    own = process.current_process()
    return process.parent_process() is not None or getattr(own, "_inheriting", False)


def _left_main(trace: "Any") -> bool:
    """Whether a traceback begins at the bottom of the program.

    Tools that print an exception and go on, such as test runners, keep theirs in the same place.
    """
    frame = getattr(trace, "tb_frame", None)
    if frame is None:
        return False
    main = sys.modules.get("__main__")
    return frame.f_globals is getattr(main, "__dict__", None) or (
        frame.f_globals.get("__name__") == "runpy"
    )
