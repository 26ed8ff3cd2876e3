"""Puts the tap among loguru's handlers, where nobody but loguru sees it."""

import sys

from .tap import Tap

__all__ = ["watch"]

_getframe = sys._getframe  # noqa: SLF001


def watch(loguru: object, tap: Tap) -> None:
    """Have all loggers of a loguru that was just imported give their records to the tap, too.

    loguru keeps its handlers in a dict by number, and replaces it by a changed copy. So does the dict
    that takes its place here; only the method of the logger that hands a record to all `values()` finds
    the tap there, in front. What the program removes, counts, prints, copies or pickles is its own.
    """
    logger = loguru.logger  # type: ignore[attr-defined]
    kind = type(logger)
    core = logger._core  # noqa: SLF001
    handing_out = kind._log.__code__  # noqa: SLF001
    # `remove` looks for the least level, of which the tap may have one of its own.
    asking = kind.remove.__code__

    class Handlers(dict):  # type: ignore[type-arg]
        __slots__ = ("_with_tap",)

        def values(self):  # type: ignore[no-untyped-def]  # noqa: ANN202
            caller = _getframe(1).f_code
            if caller is handing_out or caller is asking:
                try:
                    return self._with_tap
                except AttributeError:
                    self._with_tap = (tap, *_values(self))
                    return self._with_tap
            return _values(self)

        def copy(self):  # type: ignore[no-untyped-def]  # noqa: ANN202
            return Handlers(self)

        def __reduce__(self):  # type: ignore[no-untyped-def]  # noqa: ANN204
            return dict, (dict(self),)

    for name in _CHANGING:
        if hasattr(dict, name):
            setattr(Handlers, name, _forgetting(getattr(dict, name)))

    def adopt(core: object) -> None:
        core.handlers = Handlers(core.handlers)  # type: ignore[attr-defined]
        core.min_level = min(core.min_level, tap.levelno)  # type: ignore[attr-defined]

    _adopt_all(type(core), adopt)
    adopt(core)


_values = dict.values
_CHANGING = (
    "__setitem__", "__delitem__", "__ior__", "clear", "pop", "popitem", "setdefault", "update"
)  # fmt: skip


def _forgetting(change):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """A method of dict that changes it, after which `values` are no longer what they were."""

    def changed(self, *args, **kwargs):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN003, ANN202
        if hasattr(self, "_with_tap"):
            del self._with_tap
        return change(self, *args, **kwargs)

    return changed


def _adopt_all(kind: type, adopt: object) -> None:
    """Adopt each core from when it is made, be it new, copied or unpickled."""
    make, take_apart, rebuild = kind.__init__, kind.__getstate__, kind.__setstate__  # type: ignore[misc, attr-defined]

    def __init__(self, *args, **kwargs):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN003, ANN202, N807
        make(self, *args, **kwargs)
        adopt(self)  # type: ignore[operator]

    def __getstate__(self):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, N807
        state = take_apart(self)
        own = dict(state["handlers"])
        state["handlers"] = own
        state["min_level"] = min((h.levelno for h in own.values()), default=float("inf"))
        return state

    def __setstate__(self, state):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, N807
        rebuild(self, state)
        adopt(self)  # type: ignore[operator]

    for ours, theirs in ((__init__, make), (__getstate__, take_apart), (__setstate__, rebuild)):
        ours.__qualname__ = theirs.__qualname__
        ours.__module__ = theirs.__module__
        setattr(kind, theirs.__name__, ours)
