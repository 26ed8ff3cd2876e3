"""``job``: logs the markers of a run around a block or a function."""

from __future__ import annotations

import functools
import inspect
import sys
import types
from collections.abc import Awaitable, Callable, Iterable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar, cast

from loghc import options
from loghc.hints.no_marker import marker_of_job
from loghc.log.body import one_line, shorten
from loghc.log.headline import of_exception
from loghc.markers import job_markers
from loghc.portable.run_ids import new_run_id
from loghc.report import description
from loghc.runs import ENDS_RUN

if TYPE_CHECKING:
    from loguru import Logger

__all__ = ["job"]

F = TypeVar("F", bound=Callable[..., Any])

_NO_GENERATOR = (
    "job: expected a function or a coroutine function, not the generator function {name!r}: "
    "calling it runs nothing yet, so there is no run to report. Use `with job(...):` in its "
    "body, or around the loop that consumes it"
)

# The runs that were entered in this context and not left yet, innermost last. All jobs share this
# variable, as a context never drops one.
_entered: ContextVar[tuple[_Entered, ...]] = ContextVar("loghc_job")


class job:  # noqa: N801 - used as a function is
    """Logs ``<name>.start``, then ``<name>.done``, or ``<name>.error`` with the traceback.

    A context manager, plain and ``async``, and a decorator for functions and coroutine functions.
    If a plain function returns a coroutine, the run ends when that has been awaited. Exceptions
    propagate. Each time it is entered is a run with its own id, so that overlapping runs pair. The
    same job may be entered many times, even inside itself, in threads and in tasks.

    The markers come from the module and line of the ``with`` statement, or of the call of the
    decorated function (for a task, of what runs the event loop). A sink whose filter excludes that
    module doesn't get them.

    CancelledError, KeyboardInterrupt and GeneratorExit (a coroutine closed before its end) are
    failures. ``SystemExit`` is one unless its code is 0 or None.

    Args:
        name: of the job, ``"sync"`` by default; what ``HealthSink(job=...)`` names too.
        logger: the loguru logger that the markers are logged to: a copy of your own, or one that a
            spawned process was given. None: loguru's global one.
        not_failures: exceptions (a class, or several) that are no verdict on the job, such as a
            task queue's Retry, or CancelledError during a deploy. They end the run with
            ``<name>.log``, which counts neither as a success nor as a failure. A service that got
            the start still waits for an end, and alerts you after the check's grace time: if that
            may happen, leave starts out with ``HealthSink(events=...)``.
        **bind: bound to the markers' records, as by ``logger.bind()``. ``run_id`` names the run; by
            default each has a new UUID.

    Raises:
        TypeError: ``name`` is not a str, or what is decorated is not a function but a class or a
            generator function.
        ValueError: ``name`` is empty, contains white space, ends with a dot, or is a marker.

    Example:
        >>> with job("backup"):  # doctest: +SKIP
        ...     copy_files()
        >>> @job("backup", shard=3)
        ... async def backup(): ...
    """

    def __init__(
        self,
        name: str = "sync",
        *,
        logger: Logger | None = None,
        not_failures: type[BaseException] | Iterable[type[BaseException]] = (),
        **bind: object,
    ) -> None:
        if callable(name):
            raise TypeError("job: expected a name; write @job() or @job('name'), not @job")
        job_markers(name)
        self._name = name
        self._logger = logger
        self._not_failures = options.exceptions("not_failures", not_failures)
        self._bind = bind
        self._last: _Entered | None = None

    def __enter__(self) -> None:
        """Begin a run."""
        self._enter()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        """End the run that was entered last."""
        self._end(self._left(), 2, error, trace)

    async def __aenter__(self) -> None:
        """Begin a run."""
        self._enter()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        """End the run that was entered last."""
        self._end(self._left(), 2, error, trace)

    def __call__(self, function: F) -> F:
        """Decorate a function, so that each call of it is a run."""
        if isinstance(function, type) or not callable(function):
            raise TypeError(f"job: expected a function to decorate, not {function!r}")
        called = _unwrapped(function)
        if inspect.isgeneratorfunction(called) or inspect.isasyncgenfunction(called):
            raise TypeError(_NO_GENERATOR.format(name=getattr(function, "__name__", "...")))
        wrapper = self._around_coroutine if inspect.iscoroutinefunction(called) else self._around
        return cast("F", functools.wraps(function)(wrapper(function)))

    def _around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            logger = self._begin(2)
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                self._end(logger, 2, error, _beyond(error))
                raise
            if inspect.iscoroutine(result):  # it is a plain wrapper of a coroutine function
                return self._awaited(logger, lambda: result)
            self._end(logger, 2, None, None)
            return result

        return run

    async def _awaited(self, logger: Logger, begin: Callable[[], Awaitable[Any]]) -> Any:
        try:
            result = await begin()
        except BaseException as error:
            self._end(logger, _caller(), error, _beyond(error))
            raise
        self._end(logger, _caller(), None, None)
        return result

    def _around_coroutine(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def run(*args: Any, **kwargs: Any) -> Any:
            logger = self._begin(_caller())
            return await self._awaited(logger, functools.partial(function, *args, **kwargs))

        return run

    def __repr__(self) -> str:
        return f"job({self._name!r})"

    # The depth is the number of frames between loguru and the line that a record is to come from.

    def _enter(self) -> None:
        entered = self._last = _Entered(self, self._begin(3))
        _entered.set((*_entered.get(()), entered))

    def _begin(self, depth: int) -> Logger:
        from loguru import logger  # late: importing loghc must not import loguru

        logger = self._logger or logger
        bound = logger.bind(**{"run_id": new_run_id(), **self._bind})
        self._log(bound.opt(depth=depth + 1), "INFO", "start")
        return bound

    def _end(
        self,
        logger: Logger,
        depth: int,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        if error is not None and isinstance(error, self._not_failures):
            logger = logger.bind(**{ENDS_RUN: True}).opt(depth=depth + 1)
            self._log(logger, "INFO", "log", f": no verdict, ended by {description(error)}")
        elif error is None or (isinstance(error, SystemExit) and _is_success(error.code)):
            self._log(logger.opt(depth=depth + 1), "INFO", "done")
        else:
            logger = logger.opt(depth=depth + 1, exception=(type(error), error, trace))
            self._log(logger, "ERROR", "error", f": {shorten(one_line(of_exception(error)))}")

    def _log(self, logger: Logger, level: str, word: str, text: str = "") -> None:
        marker = f"{self._name}.{word}"
        with marker_of_job(self._name, marker, own_logger=self._logger is not None):
            # loguru takes a message for a format only where arguments follow.
            logger.log(level, marker + text)

    def _left(self) -> Logger:
        """The run to end: the last one that this job entered in this context."""
        entered = _entered.get(())
        for position in reversed(range(len(entered))):
            if entered[position].job is self:
                _entered.set(entered[:position] + entered[position + 1 :])
                return entered[position].logger
        if self._last is None:
            raise RuntimeError(f"{self!r}: left, but never entered")
        return self._last.logger  # entered in another context


class _Entered:
    """A run that a ``with`` statement began."""

    __slots__ = ("job", "logger")

    def __init__(self, job: job, logger: Logger) -> None:
        self.job = job
        self.logger = logger


def _is_success(code: object) -> bool:
    """Whether Python exits with status 0 for this SystemExit."""
    return code is None or (isinstance(code, int) and code == 0)


def _unwrapped(function: Any) -> Any:
    """The function that is called when an object is; a function itself."""
    while isinstance(function, functools.partial):
        function = function.func
    return function if inspect.isroutine(function) else type(function).__call__


def _beyond(error: BaseException) -> types.TracebackType | None:
    """An exception's traceback without the frame of the wrapper that caught it."""
    return error.__traceback__.tb_next if error.__traceback__ else None


def _caller() -> int:
    """The depth, for a coroutine's wrapper, of the line that awaits it.

    A task is resumed by asyncio itself: then it is the line that runs the event loop.
    """
    depth = 2
    frame = sys._getframe(1)
    try:
        while (frame.f_back is not None) and _is_between(frame.f_back):
            frame = frame.f_back
            depth += 1
        return depth if frame.f_back is not None else 2
    finally:
        del frame  # no test can tell: else a cycle, of the function's own frame


def _is_between(frame: types.FrameType) -> bool:
    """Whether it is asyncio's, or this module's own."""
    name = str(frame.f_globals.get("__name__"))
    return name == __name__ or name.partition(".")[0] == "asyncio"
