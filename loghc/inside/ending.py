"""Sees the exceptions that end this process, its threads and its multiprocessing children.

It leaves the program's hooks alone, and loads nothing until there is an exception.
"""

import posix
import sys
import time

TYPE_CHECKING = False  # importing typing here would keep the program from shadowing it
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["Ending"]

_TOOLS = (4, 3)  # numbers that sys.monitoring reserves for no kind of tool
_MANY = 4  # exceptions of threads that are written without a pause
_PAUSE_S = 60.0  # the least between later ones: each takes room from the log


class Ending:
    """Records the exception that ends a process or a thread, once.

    Args:
        write: takes an exception and a title (a line, or empty).
        disguise: makes a function look like one of importlib's in tracebacks.
    """

    def __init__(
        self,
        write: "Callable[[BaseException, str], None]",
        disguise: "Callable[[Any], Any]",
    ) -> None:
        self._write = write
        self._disguise = disguise
        self._written = 0  # the id of the process that has written its own
        self._kept = None  # type: BaseException | None
        self._watching = False  # where multiprocessing runs a child
        self._parents = None  # type: BaseException | None
        self._threads = 0  # whose exceptions were written
        self._last_s = 0.0  # when the last one was

    def see(self, module: "Any") -> None:
        """Prepare for what a module that was just imported may end."""
        {
            "coverage.execfile": self._see_coverage,
            "threading": self._see_threads,
            "multiprocessing.util": self._see_children,
        }[module.__name__](module)

    def at_exit(self) -> None:
        """Write the exception that ended the program, if one did."""
        try:
            error = self._kept
            if error is None:
                error = getattr(sys, "last_exc", getattr(sys, "last_value", None))  # since 3.12
                if error is None:
                    return
                trace = getattr(sys, "last_traceback", None)
                # A SyntaxError in the script has no traceback. IPython runs a script within its
                # own frames.
                if trace is not None and not _left_main(trace) and "IPython" not in sys.modules:
                    return
            self._end(error)
        except BaseException:
            return

    def _end(self, error: BaseException) -> None:
        pid = posix.getpid()
        if self._written == pid or isinstance(error, SystemExit):
            return
        self._written = pid
        try:
            self._write(error, "")
        except BaseException:
            return

    def _see_coverage(self, module: "Any") -> None:
        """Get the exception that ends a program from coverage, which handles it itself."""
        run = module.PyRunner.run

        def run_and_keep(runner: "Any") -> "Any":
            try:
                return run(runner)
            except SystemExit as leaving:
                self._kept = leaving.__context__
                raise

        module.PyRunner.run = self._disguise(run_and_keep)

    def _see_threads(self, module: "Any") -> None:
        """See a thread's exception when the thread looks up the hook for it."""
        name = "_invoke_excepthook"
        see = self._end_thread

        class Seen:
            def __get__(self, thread: "Any", kind: "Any" = None) -> "Any":
                if thread is None or name not in thread.__dict__:
                    raise AttributeError(name)
                if sys._getframe(1).f_code.co_name == "_bootstrap_inner":
                    see(thread)
                return thread.__dict__[name]

            def __set__(self, thread: "Any", value: "Any") -> None:
                thread.__dict__[name] = value

        setattr(module.Thread, name, Seen())

    def _end_thread(self, thread: "Any") -> None:
        try:
            error = sys.exc_info()[1]
            if error is None or isinstance(error, SystemExit):
                return
            now = time.monotonic()
            if self._threads >= _MANY and now < self._last_s + _PAUSE_S:
                return
            self._threads += 1
            self._last_s = now
            self._write(error, f"Exception in thread {thread.name}:\n")  # as Python prints it
        except BaseException:
            return

    def _see_children(self, util: "Any") -> None:
        """Handle multiprocessing children, which exit without atexit callbacks."""
        # A forked child begins by dropping all finalizers, as it takes them for its parent's.
        util.register_after_fork(self, Ending._begin_child)
        if sys.argv[1:2] == ["--multiprocessing-fork"]:  # a spawned one
            self._begin_child()

    def _begin_child(self) -> None:
        try:
            if sys.version_info >= (3, 13):
                self._watch_bootstrap(sys.modules["multiprocessing.process"].BaseProcess._bootstrap)
            else:
                sys.modules["multiprocessing.util"].Finalize(None, self._end_child, exitpriority=0)
        except Exception:
            return

    def _watch_bootstrap(self, bootstrap: "Any") -> None:
        """See the exception while the function that runs the child handles it.

        From Python 3.13 on, the exception is gone by the time finalizers run.
        """
        python = sys  # type: Any
        self._parents = python.exception()  # what the parent was dealing with when it forked
        if self._watching:  # inherited from the parent, itself a child
            return
        monitoring = python.monitoring
        tool = next(number for number in _TOOLS if monitoring.get_tool(number) is None)

        def see(_code: object, _line: int) -> None:
            error = python.exception()
            if error is not None and error is not self._parents:
                self._end(error)

        monitoring.use_tool_id(tool, "")
        monitoring.register_callback(tool, monitoring.events.LINE, see)
        monitoring.set_local_events(tool, bootstrap.__code__, monitoring.events.LINE)
        self._watching = True

    def _end_child(self) -> None:
        """Record the exception that is propagating out of a child's function."""
        error = sys.exc_info()[1]
        if error is not None:
            self._end(error)


def _left_main(trace: "Any") -> bool:
    """Whether a traceback begins at the program's outermost frame.

    Tools that print an exception and continue, such as test runners, store theirs in the same
    place.
    """
    frame = getattr(trace, "tb_frame", None)
    if frame is None:
        return False
    main = sys.modules.get("__main__")
    return frame.f_globals is getattr(main, "__dict__", None) or (
        frame.f_globals.get("__name__") == "runpy"
    )
