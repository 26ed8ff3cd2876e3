"""Checks HealthSink's arguments: a wrong one is rejected at once, and no secret is shown."""

from __future__ import annotations

import inspect
import os
import re
import threading
from collections.abc import Iterable, Mapping
from typing import Any

from loghc.ping import Event

__all__ = [
    "chosen_events",
    "directory",
    "exceptions",
    "flag",
    "function",
    "mapping",
    "one_of",
    "pool_manager",
    "request_headers",
    "seconds",
    "size",
]

_MAX_S = threading.TIMEOUT_MAX  # the longest that a thread can wait
_HEADER_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_HEADER_VALUE = r"[\t\x20-\x7e\xa0-\xff]*"
_OWN_HEADERS = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "expect",
        "host",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


def size(name: str, value: object) -> int:
    """A number of bytes, 1 or more."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}: expected a whole number of bytes, not {value!r}")
    if value < 1:
        raise ValueError(f"{name}: expected at least 1 byte, not {value}")
    return value


def seconds(name: str, value: object) -> float:
    """A positive, finite number of seconds."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name}: expected a number of seconds, not {value!r}")
    if not 0 < value < _MAX_S:
        raise ValueError(f"{name}: expected a positive, finite number of seconds, not {value}")
    return float(value)


def flag(name: str, value: object) -> bool:
    """True or False, not merely something truthy or falsy."""
    if not isinstance(value, bool):
        raise TypeError(f"{name}: expected True or False, not {value!r}")
    return value


def chosen_events(name: str, value: object) -> tuple[Event, ...]:
    """Events, or their values, at least one; None: all."""
    if value is None:
        return tuple(Event)
    known = ", ".join(f"Event.{event.name}" for event in Event)
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        given = repr(value) if isinstance(value, (str, Event)) else type(value).__name__
        raise TypeError(f"{name}: expected several of {known}, in a tuple or set, not {given}")
    every = list(value)
    values = [event.value for event in Event]  # a list, as what is given may not be hashable
    wrong = [each for each in every if not isinstance(each, Event) and each not in values]
    if wrong:
        raise ValueError(f"{name}: expected {known}, not {wrong[0]!r}")
    chosen = {Event(each) for each in every}
    if not chosen:
        raise ValueError(f"{name}: expected at least one of {known}: without any, nothing is sent")
    return tuple(event for event in Event if event in chosen)


def exceptions(name: str, value: object) -> tuple[type[BaseException], ...]:
    """An exception class, or several."""
    expected = f"{name}: expected exception classes, such as (Retry,)"
    if isinstance(value, type):
        value = (value,)
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(f"{expected}, not {type(value).__name__}")
    classes = tuple(value)
    for each in classes:
        if not (isinstance(each, type) and issubclass(each, BaseException)):
            raise TypeError(f"{expected}, not {each!r}")
    return classes


def directory(name: str, value: object) -> str | None:
    """The absolute path of a directory, or None. Whether it is usable isn't checked here."""
    if value is None:
        return None
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"{name}: expected a path, not {type(value).__name__}")
    path = os.fspath(value)
    if not isinstance(path, str) or not path or "\0" in path:
        raise ValueError(f"{name}: expected the path of a directory, not {path!r}")
    return os.path.abspath(path)  # noqa: PTH100 - pathlib takes long to import


def function(name: str, value: object) -> object:
    """Something callable, or None."""
    if value is not None and not callable(value):
        raise TypeError(f"{name}: expected a callable, not {type(value).__name__}")
    if inspect.iscoroutinefunction(value):
        raise TypeError(f"{name}: expected a plain function: nothing awaits a coroutine function")
    return value


def one_of(name: str, value: object, choices: tuple[str, ...]) -> str:
    """One of several words."""
    expected = " or ".join(map(repr, choices))
    if not isinstance(value, str):
        raise TypeError(f"{name}: expected {expected}, not {type(value).__name__}")
    if value not in choices:
        raise ValueError(f"{name}: expected {expected}, not {value!r}")
    return value


def mapping(name: str, value: object) -> Mapping[Any, Any]:
    """A mapping."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{name}: expected a mapping, not {type(value).__name__}")
    return value


def pool_manager(value: object) -> object:
    """A urllib3 PoolManager or its like, or None."""
    if isinstance(value, type):
        raise TypeError(f"http: expected a urllib3 PoolManager, not the class {value.__name__}")
    if value is not None and not callable(getattr(value, "request", None)):
        raise TypeError(f"http: expected a urllib3 PoolManager, not {type(value).__name__}")
    return value


def request_headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Names and values that HTTP allows. Errors show no value, as it may be a secret."""
    checked = dict(mapping("headers", headers)) if headers is not None else {}
    for name, value in checked.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError("headers: expected names and values to be str")
        if not re.fullmatch(_HEADER_NAME, name):
            raise ValueError("headers: a name is not one that HTTP allows")
        if name.lower() in _OWN_HEADERS:
            raise ValueError(f"headers[{name!r}]: is set by loghc itself")
        if not re.fullmatch(_HEADER_VALUE, value):
            raise ValueError(f"headers[{name!r}]: the value has characters that HTTP doesn't allow")
    return checked
