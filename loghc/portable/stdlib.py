"""Loads modules of the standard library, whatever files beside the program's script are called.

A module that the program has imported is used if it is the genuine one. Otherwise it is loaded from
the standard library's directories and doesn't stay in `sys.modules`, so that the program's own
module of that name, if there is one, is still found first.
"""

import os
import sys

TYPE_CHECKING = False  # importing typing here would keep the program from shadowing it
if TYPE_CHECKING:
    from typing import Any

__all__ = ["load"]

_external = sys.modules["_frozen_importlib_external"]  # type: Any
_bootstrap = sys.modules["_frozen_importlib"]  # type: Any
_loaded = {}  # type: dict[str, Any]


def _directories() -> "list[str]":
    library = os.path.dirname(os.__file__)
    extensions = [path for path in sys.path if path.endswith("lib-dynload")]
    return [*extensions, os.path.join(library, "lib-dynload"), library]


_FROM = _directories()  # at the time of the import of loguru; the program may change sys.path


def load(name: str) -> "Any":
    """A module of the standard library.

    Raises:
        ImportError: this Python has none of that name.
    """
    if name not in _loaded:
        _loaded[name] = _present(name) or _load(name)
    return _loaded[name]


def _present(name: str) -> "Any":
    module = sys.modules.get(name)
    spec = getattr(module, "__spec__", None)
    origin = getattr(spec, "origin", None)
    if origin in ("built-in", "frozen"):
        return module
    if isinstance(origin, str) and os.path.dirname(origin) in _FROM:
        return module
    return None


def _load(name: str) -> "Any":
    if name in sys.builtin_module_names:
        spec = _bootstrap.BuiltinImporter.find_spec(name)
    else:
        spec = _external.PathFinder.find_spec(name, _FROM)
    if spec is None:
        raise ImportError(name)
    missing = object()  # type: Any
    before = sys.modules.get(name, missing)
    try:
        module = _bootstrap.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        # Some extension modules put themselves there.
        if before is not missing:
            sys.modules[name] = before
        elif sys.modules.get(name, missing) is not missing:
            sys.modules.pop(name, None)
    return module
