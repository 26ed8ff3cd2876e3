"""Runs a program with a HealthSink on loguru's logger, and tells the service how the program ends.

The program is to run as it would without: it finds loguru as it expects it, its exit status and
what it prints stay what they are, and trouble with the monitoring service is nothing to it.
"""

from __future__ import annotations

import _thread
import atexit
import contextlib
import functools
import importlib.abc
import importlib.machinery
import importlib.util
import os
import signal
import sys
import threading
import time
import traceback
import types
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import loghc.watch.program
from loghc.ping import Event, Ping
from loghc.runs import ProcessRun
from loghc.sink import HealthSink
from loghc.stderr import say_exception
from loghc.watch.program import Program

__all__ = ["FORMAT", "ProcessSink", "launch"]

FORMAT = "{time:YYYY-MM-DD HH:mm:ss.SSS} | {level: <8} | {name}:{function}:{line} - {message}"
"""How a record looks in a ping. Not loguru's default, which the environment may change."""

_ENDING_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)
)
_AGAIN = 0.05  # seconds after which a signal that came at a bad moment is sent again
_GRACE = 1.0  # seconds beyond drain that a process which is to die waits for its last ping


_kept: list[object] = []


class WatchedSink(HealthSink):
    """A sink whose pings the launcher adds to."""

    def ping(
        self, event: Event, run_id: str, *, closing: str = "", exit_status: int | None = None
    ) -> None:
        """Queue a ping without a marker.

        Args:
            event: what to tell.
            run_id: a UUID in its canonical text form.
            closing: text to put after the log.
            exit_status: 0 to 255, sent as ``<url>/<exit_status>``.
        """
        snapshot = self._tail.snapshot()
        sends_logs = self._options["send_logs"]
        body = functools.partial(self._renderer.render, snapshot, closing) if sends_logs else bytes
        with self._lock:
            self._delivery.put(Ping(event, run_id, body, exit_status))

    def fail_open_runs(self, closing: str, exit_status: int | None = None) -> None:
        """Queue a failure for each run of this process that has not ended, as its end is near."""
        with self._lock:
            for run_id in self._runs.open_here():
                self.ping(Event.FAIL, run_id, closing=closing, exit_status=exit_status)
            self._runs.close_all()

    def abort(self) -> None:
        """Make a ``stop()`` in progress give up now."""
        self._delivery.abort()


class ProcessSink(WatchedSink):
    """A sink to which the whole process is one run: its markers belong to that run."""

    def __init__(self, url: str | None = None, **options: Any) -> None:
        super().__init__(url, **options)
        self._runs = self.run = ProcessRun()


def launch(
    program: Program, sink: WatchedSink, *, level: str | int, start: bool, drain: float
) -> None:
    """Run a program, watched.

    Args:
        program: what to run.
        sink: what it logs goes here. A ProcessSink: the process is one run, of which the service
            hears the start and the end. Another one: only markers count.
        level: the least severe level that the sink gets.
        start: whether to tell that the process starts.
        drain: seconds to wait at most, at the end, until the pings are delivered.

    Raises:
        BaseException: what ends the program; when it is printed, loghc's frames are not.
    """
    _import_now()
    watch = _Watch(sink, drain)
    tap = _Tap(sink, watch)
    # Before the program registers its own: callbacks run last-in first-out, so that what it logs
    # in them is still part of its run.
    atexit.register(watch.at_exit)
    _when_imported("loguru", functools.partial(_attach, tap=tap, level=level))
    if start and isinstance(sink, ProcessSink):
        sink.ping(Event.START, sink.run.run_id)
    watch.catch_signals()
    watch.catch_os_exit()
    try:
        program.run()
    except SystemExit as error:
        watch.ends_with(*_status(error.code))
        raise
    except BaseException as error:
        own = _without_loghc(error.__traceback__)
        watch.ends_with(
            128 + signal.SIGINT if type(error) is KeyboardInterrupt else 1,
            _printed(error, own),
        )
        _print_without_loghc(error, own)
        raise


class _Watch:
    """Knows how the program ends, and tells it once."""

    def __init__(self, sink: WatchedSink, drain: float) -> None:
        self._sink = sink
        self._patience = drain + _GRACE
        self._pid = os.getpid()
        self._status = 0
        self._closing = ""
        self._told = _thread.allocate_lock()  # never released: whoever gets it tells the end
        self._late: int | None = None  # a signal that came while the end was told
        self.postponed: int | None = None
        """A signal that waits until the main thread has left the sink."""
        self._echo = False  # the next signal is such a one, sent again
        self._dying = False

    def ends_with(self, status: int, closing: str) -> None:
        """Remember how the program's main thread ended.

        Args:
            status: its exit status, as a shell sees it.
            closing: text to put after the log.
        """
        self._status, self._closing = status, closing

    def at_exit(self) -> None:
        """Tell the end when all threads have ended and all that the program registered has run."""
        if os.getpid() != self._pid:
            # A forked child leaves by the same way. The end of its parent is not its to tell.
            self._sink.stop()
            return
        status = self._status
        if not _flushed():
            status = status or 120  # what the interpreter will exit with, for this very reason
        self._tell(status, self._closing)
        if self._late is not None:
            signal.signal(self._late, signal.SIG_DFL)
            signal.raise_signal(self._late)

    def catch_signals(self) -> None:
        """Tell the end also where a signal, left to its default action, kills the process.

        The handler is seen by a program that asks for the signal's disposition; one that sets a
        handler of its own, or asks for the default, gets what it asks for.
        """
        if os.getpid() == 1:
            # The kernel spares the first process of a container what signals do by default: the
            # program goes on, as it would without loghc.
            return
        caught = [
            number for number in _ENDING_SIGNALS if signal.getsignal(number) is signal.SIG_DFL
        ]
        for number in caught:
            signal.signal(number, self._on_signal)

        def restore() -> None:
            # A child gets the default back: it is to die as fast as without loghc.
            for number in caught:
                if signal.getsignal(number) == self._on_signal:
                    signal.signal(number, signal.SIG_DFL)

        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=restore)

    def catch_os_exit(self) -> None:
        """Tell the end also where the program leaves by ``os._exit``, which runs nothing more."""
        leave = os._exit

        @functools.wraps(leave)
        def _exit(status: int) -> NoReturn:
            if os.getpid() == self._pid:
                self._tell_apart(status & 0xFF, "loghc: the program left by os._exit().\n")
            leave(status)

        os._exit = _exit

    def _on_signal(self, number: int, frame: types.FrameType | None) -> None:
        if self._told.locked():
            # The end is being told. What can't be delivered by now is reported, before it kills.
            self._late = number
            self._sink.abort()
            return
        echo, self._echo = self._echo, False
        if self._dying:
            if not echo:
                _die_of(number)  # a second signal doesn't wait
        elif _inside_tap(frame):
            # The interrupted code may hold a lock of the sink's: it is to let go of it first.
            self.postponed = number
            with contextlib.suppress(RuntimeError):
                _thread.start_new_thread(self._send_again, (number,))
        else:
            self.die_of(number)

    def die_of(self, number: int) -> None:
        """Tell the end, and let a signal kill this process. For the main thread."""
        self._dying = True
        name = signal.Signals(number).name
        try:
            self._tell_apart(128 + number, f"loghc: the program was ended by {name}.\n")
        finally:
            _die_of(number)

    def _send_again(self, number: int) -> None:
        """Should the tap have looked for a postponed signal just before there was one."""
        time.sleep(_AGAIN)
        self._echo = True
        os.kill(os.getpid(), number)

    def _tell_apart(self, status: int, closing: str) -> None:
        """Tell the end on another thread: this one may hold a lock, wherever it was interrupted."""
        done = _thread.allocate_lock()
        done.acquire()

        def tell() -> None:
            try:
                self._tell(status, closing)
            finally:
                done.release()

        # Neither threading's Thread nor its Event: they have locks that may be held right now.
        try:
            _thread.start_new_thread(tell, ())
        except RuntimeError:  # Python 3.12 starts none while it waits for the program's to end
            tell()
        done.acquire(timeout=self._patience)

    def _tell(self, status: int, closing: str) -> None:
        if not self._told.acquire(blocking=False):
            return
        try:
            if isinstance(self._sink, ProcessSink):
                self._tell_run(self._sink, status, closing)
            if threading.main_thread().is_alive():  # else stop() does it
                self._sink.fail_open_runs(closing, status or None)
            self._sink.stop()
        except Exception:  # noqa: BLE001 - a bug of ours must not change how the program ends
            say_exception("the program's end could not be told, please report this:")

    def _tell_run(self, sink: ProcessSink, status: int, closing: str) -> None:
        run = sink.run
        if status:
            sink.ping(Event.FAIL, run.run_id, closing=closing, exit_status=status)
        elif not run.failed:  # what a marker called a failure stays one, though the program exits 0
            sink.ping(Event.SUCCESS, run.run_id, closing=closing)


def _status(code: object) -> tuple[int, str]:
    """The exit status that a SystemExit stands for, and what Python prints for it."""
    if code is None:
        return 0, ""
    if isinstance(code, int):
        in_range = -(2**31) <= code < 2**31
        return (code & 0xFF if in_range else 0xFF), ""
    try:
        return 1, f"{code}\n"
    except Exception:  # noqa: BLE001 - the program's own object
        return 1, ""


def _flushed() -> bool:
    """Whether what was printed has left the process, as the interpreter will try in a moment."""
    try:
        if sys.stdout is not None and not sys.stdout.closed:
            sys.stdout.flush()
    except Exception:  # noqa: BLE001 - a stream of the program's own may raise what it likes
        return False
    return True


class _Tap:
    """What loguru writes to: the sink, and then a look whether a signal has come meanwhile.

    It has no ``complete``: a program that awaits ``logger.complete()`` is not to wait for pings.
    """

    def __init__(self, sink: WatchedSink, watch: _Watch) -> None:
        self._write = sink.write
        self._watch = watch

    def write(self, message: str) -> None:
        self._write(message)
        postponed = self._watch.postponed
        if postponed is not None and threading.current_thread() is threading.main_thread():
            self._watch.die_of(postponed)


def _inside_tap(frame: types.FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code is _Tap.write.__code__:
            return True
        frame = frame.f_back
    return False


def _die_of(number: int) -> None:
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


def _without_loghc(trace: types.TracebackType | None) -> types.TracebackType | None:
    """A traceback from the program's first frame on."""
    while trace is not None and trace.tb_frame.f_globals.get("__name__") in (
        __name__,
        loghc.watch.program.__name__,
    ):
        trace = trace.tb_next
    return trace


def _printed(error: BaseException, trace: types.TracebackType | None) -> str:
    try:
        return "".join(traceback.format_exception(type(error), error, trace))
    except Exception:  # noqa: BLE001 - the program's own exception, whose parts may raise
        return f"{type(error).__name__}\n"


def _print_without_loghc(error: BaseException, own: types.TracebackType | None) -> None:
    """Have Python print an exception as if it had left the program itself.

    Python adds each frame that an exception passes, up to the last; so they are taken off at the
    last moment, in front of the hook that prints.
    """
    hook = sys.excepthook

    def excepthook(
        kind: type[BaseException], value: BaseException, trace: types.TracebackType | None
    ) -> None:
        # The interpreter may crash (seen with 3.11) when a hook lets go of itself or of the frames.
        _kept.extend((excepthook, trace))
        sys.excepthook = hook
        error.__traceback__ = own
        sys.last_traceback = own
        hook(kind, value, own)

    sys.excepthook = excepthook


def _import_now() -> None:
    """Import all that pings need before the program's directory leads ``sys.path``.

    A file there may have the name of a module of the standard library.
    """
    for name in ("answer", "transport", "proxies"):
        importlib.import_module(f"loghc.service.{name}")
    for name in ("encodings.idna", "urllib.request"):
        importlib.import_module(name)


def _when_imported(name: str, attach: Callable[[types.ModuleType], None]) -> None:
    """Call a function with a module right after it is imported, or at once if it is already.

    The program itself is to import loguru: what it sets before that (``LOGURU_*``, ``sys.stderr``)
    counts when loguru is imported.
    """
    if name in sys.modules:
        attach(sys.modules[name])
        return

    class Finder(importlib.abc.MetaPathFinder):
        def find_spec(
            self,
            fullname: str,
            _path: Sequence[str] | None,
            _target: types.ModuleType | None = None,
            /,
        ) -> importlib.machinery.ModuleSpec | None:
            if fullname != name:
                return None
            sys.meta_path.remove(self)
            try:
                spec = importlib.util.find_spec(name)
            finally:
                sys.meta_path.insert(0, self)  # it may have been asked for without an import
            if spec is not None and spec.loader is not None:
                self.wrap(spec.loader)
            return spec

        def wrap(self, loader: Any) -> None:
            execute = loader.exec_module

            def exec_module(module: types.ModuleType) -> None:
                del loader.exec_module
                with contextlib.suppress(ValueError):
                    sys.meta_path.remove(self)
                execute(module)
                try:
                    attach(module)
                except Exception:  # noqa: BLE001 - a loguru of another make is no reason to stop
                    say_exception("the program's log can't be read, please report this:")

            loader.exec_module = exec_module

    sys.meta_path.insert(0, Finder())


def _attach(loguru: types.ModuleType, tap: _Tap, level: str | int) -> None:
    """Give the tap all records, whatever the program does with its handlers."""
    core = loguru.logger._core
    # A logger of its own makes the handler: the program's next handler gets the number that it
    # expects.
    other = type(loguru.logger)(type(core)(), *loguru.logger._options)
    handler_id = other.add(
        tap,
        level=level,
        format=FORMAT,
        filter=None,
        colorize=False,
        serialize=False,
        backtrace=False,
        diagnose=False,  # values of variables may be secrets, and nobody chose to send them
        enqueue=False,
        catch=True,
    )
    handler = other._core.handlers[handler_id]
    with core.lock:
        core.handlers = _Handlers(core.handlers, handler)
        core.min_level = min(core.min_level, handler.levelno)
    _hide_loghc(loguru)


class _Handlers(dict[int, Any]):
    """loguru's handlers by number, and one more that has none.

    loguru finds handlers to remove by their numbers, and those that get a record (or have a say in
    the least level) by ``values()``; it replaces the dict by a changed copy. So what has no number
    is never removed. This is all that 0.7.0 to 0.7.3 do with it. Adding the sink again after each
    ``remove()`` would lose records in between, and patching ``Logger`` would miss its copies.
    """

    def __init__(self, handlers: dict[int, Any], watcher: Any) -> None:
        super().__init__(handlers)
        self._watcher = watcher

    def __bool__(self) -> bool:  # a logger without handlers drops records at once
        return True

    def values(self) -> Any:
        return [*super().values(), self._watcher]

    def copy(self) -> _Handlers:
        return _Handlers(self, self._watcher)

    def __deepcopy__(self, memo: dict[int, Any]) -> _Handlers:
        """A copy of the logger, as loguru's documentation recommends for separate ones."""
        import copy

        return _Handlers(copy.deepcopy(dict(self), memo), self._watcher)

    def __reduce__(self) -> tuple[Any, ...]:
        """To another process go the program's own handlers alone."""
        return dict, (dict(self),)


def _hide_loghc(loguru: types.ModuleType) -> None:
    """Leave out of the program's log the frames below it.

    loguru extends a traceback down to the first frame of the thread (``backtrace=True``).
    """
    formatter = getattr(
        sys.modules.get(f"{loguru.__name__}._better_exceptions"), "ExceptionFormatter", None
    )
    extract = getattr(formatter, "_extract_frames", None)
    if formatter is None or extract is None:
        return

    @functools.wraps(extract)
    def extract_frames(*args: Any, **kwargs: Any) -> Any:
        frames, source = extract(*args, **kwargs)
        below = [n for n, frame in enumerate(frames) if frame[0] == loghc.watch.program.__file__]
        return frames[below[-1] + 1 :] if below else frames, source

    formatter._extract_frames = extract_frames
