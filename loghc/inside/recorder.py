"""Starts recording: puts the tap among loguru's handlers, where only loguru sees it."""

import posix
import sys

from ..portable.config import read_config
from ..portable.text import traceback_text, traceback_text_now
from .tap import Tap

TYPE_CHECKING = False  # importing typing here would keep the program from shadowing it
if TYPE_CHECKING:
    from typing import Any

__all__ = ["attach", "write"]

_getframe = sys._getframe
_taps = []  # type: list[Tap]


def attach(loguru: object, directory: str) -> None:
    """Record what is logged with this loguru.

    It may be called again, as a program may import loguru again.

    Args:
        loguru: the module.
        directory: the run directory.

    Raises:
        Exception: there is no run any more, or this loguru is unsupported.
    """
    tap = _tap(directory)
    try:
        _watch(loguru, tap)
    except Exception:
        tap.note("this loguru can't be recorded: its handlers are not where they were")
        raise


def write(directory: str, error: BaseException, title: str) -> None:
    """Write down an exception that ends a process or a thread, whether loguru is imported or not.

    Args:
        directory: the run directory.
        error: the exception.
        title: a line to put before a thread's traceback; empty for that of the process.
    """
    if title:
        text = title + traceback_text_now(error)
    else:
        text = traceback_text(type(error), error, error.__traceback__)
    _tap(directory).append_traceback(text.encode("utf-8", "replace"))


def _tap(directory: str) -> Tap:
    if not _taps:
        _taps.append(Tap(directory, read_config(directory)))
        # A forked child's ring is its parent's.
        posix.register_at_fork(after_in_child=_taps[0].forget)
    return _taps[0]


def _watch(loguru: "Any", tap: Tap) -> None:
    """Make all loggers of a loguru that was just imported pass their records to the tap as well.

    loguru keeps its handlers in a dict by number, and replaces it with a changed copy. The dict put
    in its place does the same, but the logger's method that passes a record to all `values()` finds
    the tap there, in front. The program only removes, counts, prints, copies or pickles its own
    handlers.
    """
    logger = loguru.logger
    kind = type(logger)
    core = logger._core
    handing_out = kind._log.__code__
    # `remove` looks for the lowest level, and the tap may have a level of its own.
    asking = kind.remove.__code__

    class Handlers(dict):  # type: ignore[type-arg]
        __slots__ = ("_with_tap",)
        _with_tap: "Any"
        loghc_tap = tap  # a HealthSink in this process finds it there

        def values(self) -> "Any":
            caller = _getframe(1).f_code
            if caller is handing_out or caller is asking:
                try:
                    return self._with_tap
                except AttributeError:
                    self._with_tap = (tap, *_values(self))
                    return self._with_tap
            return _values(self)

        def copy(self) -> "Any":
            return Handlers(self)

        def __reduce__(self) -> "tuple[Any, ...]":
            return dict, (dict(self),)

    for name in _CHANGING:
        if hasattr(dict, name):
            setattr(Handlers, name, _forgetting(getattr(dict, name)))

    def adopt(core: "Any") -> None:
        core.handlers = Handlers(core.handlers)
        core.min_level = min(core.min_level, tap.levelno)

    _adopt_all(type(core), adopt)
    adopt(core)


_values = dict.values
_CHANGING = (
    "__setitem__", "__delitem__", "__ior__", "clear", "pop", "popitem", "setdefault", "update"
)  # fmt: skip


def _forgetting(change: "Any") -> "Any":
    """A dict method that changes the dict, and so its cached `values`."""

    def changed(self: "Any", *args: "Any", **kwargs: "Any") -> "Any":
        if hasattr(self, "_with_tap"):
            del self._with_tap
        return change(self, *args, **kwargs)

    return changed


def _adopt_all(kind: "Any", adopt: "Any") -> None:
    """Adopt each core as soon as it is made, whether new, copied or unpickled."""
    make, take_apart, rebuild = kind.__init__, kind.__getstate__, kind.__setstate__

    def __init__(self: "Any", *args: "Any", **kwargs: "Any") -> None:  # noqa: N807
        make(self, *args, **kwargs)
        adopt(self)

    def __getstate__(self: "Any") -> "Any":  # noqa: N807
        state = take_apart(self)
        own = dict(state["handlers"])
        state["handlers"] = own
        state["min_level"] = min((h.levelno for h in own.values()), default=float("inf"))
        return state

    def __setstate__(self: "Any", state: "Any") -> None:  # noqa: N807
        rebuild(self, state)
        adopt(self)

    for ours, theirs in ((__init__, make), (__getstate__, take_apart), (__setstate__, rebuild)):
        ours.__qualname__ = theirs.__qualname__
        ours.__module__ = theirs.__module__
        setattr(kind, theirs.__name__, ours)
