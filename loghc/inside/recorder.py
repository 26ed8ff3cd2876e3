"""Begins to record when the program has imported loguru."""

from .config import read_config
from .ending import Ending
from .handlers import watch
from .tap import Tap

__all__ = ["attach"]

_taps = []  # type: list[Tap]


def attach(loguru: object, directory: str) -> None:
    """Record what is logged with this loguru.

    It may be called again: a program may import loguru anew.

    Args:
        loguru: the module.
        directory: the run's.

    Raises:
        Exception: there is no run any more, or this loguru is of another make.
    """
    if not _taps:
        version = str(getattr(loguru, "__version__", ""))
        tap = Tap(directory, read_config(directory + "/config"), version)
        Ending(tap).register()
        _taps.append(tap)
    try:
        watch(loguru, _taps[0])
    except Exception:
        _taps[0].note("this loguru can't be recorded: its handlers are not where they were")
        raise
