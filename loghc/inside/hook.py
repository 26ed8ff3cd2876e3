"""Waits, unnoticed, for the program to import loguru, and for what ends threads and processes.

It wraps Python's finder for the files on `sys.path`. When that finds loguru, the loader's method
that executes the module is replaced, once, by one that attaches the recorder afterwards. Both
functions pass for importlib's own, so that Python leaves them out of tracebacks, and `warnings` out
of its count of frames.
"""

import posix
import sys

TYPE_CHECKING = False  # importing typing here would keep the program from shadowing it
if TYPE_CHECKING:
    from typing import Any

__all__ = ["install"]

_NAME = "loguru"
_ENDING = ("threading", "multiprocessing.util", "coverage.execfile")  # what `ending` sees
_PACKAGE = "_loghc"  # in sys.modules only while it is being loaded
_MODULES = (
    "portable.layout",
    "portable.stdlib",
    "portable.text",
    "portable.trusted",
    "portable.fields",
    "portable.config",
    "portable.expected",
    "portable.markers",
    "portable.lanes",
    "portable.run_ids",
    "portable.channel",
    "portable.writer",
    "portable.ring",
    "inside.tap",
    "inside.recorder",
)  # in an order in which each needs only those before it

_DIRECTORY = 0o040700  # and closed to others
_MODE = 0o170777
_FIFO = 0o010000
_TYPE = 0o170000
_TO_READ = posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NOFOLLOW
# Opened for reading, too, so that a write without a reader doesn't raise SIGPIPE.
_TO_WRITE = posix.O_RDWR | posix.O_NONBLOCK | posix.O_CLOEXEC | posix.O_NOFOLLOW
_LOCK_TIMEOUT_S = 1.0
_STACK = 25  # index among the fields of /proc/self/stat after the name

_external = sys.modules["_frozen_importlib_external"]  # type: Any


def install(root: str, directory: str) -> None:
    """Attach the recorder when loguru is imported, or now if it has been.

    Args:
        root: the directory of `inside` and `portable`.
        directory: the run directory.
    """
    finder = _external.PathFinder
    find = finder.__dict__["find_spec"].__func__
    if getattr(find, "loghc", False):  # another loghc's, of an outer run
        return
    try:
        _arrive(directory)
    except Exception:
        pass
    lock = sys.modules["_thread"].allocate_lock()
    recorders = []  # type: list[Any]

    def recorder() -> "Any":
        if not recorders:
            recorders.append(_load(root))
        return recorders[0]

    def attach(module: "Any") -> None:
        # Another thread may be about to write its end. (A fork may have lost that thread.)
        alone = lock.acquire(timeout=_LOCK_TIMEOUT_S)
        try:
            recorder().attach(module, directory)
        finally:
            if alone:
                lock.release()

    def write(error: BaseException, title: str) -> None:
        if not lock.acquire(timeout=_LOCK_TIMEOUT_S):
            return
        try:
            recorder().write(directory, error, title)
        finally:
            lock.release()

    def find_spec(cls: "Any", fullname: str, path: "Any" = None, target: "Any" = None) -> "Any":
        spec = find(cls, fullname, path, target)
        if fullname in watched and spec is not None:
            try:
                _cover(spec.loader, fullname, watched[fullname])
            except Exception:
                pass
        return spec

    endings = []  # type: list[Any]

    def ending() -> "Any":
        # Lazily: where no bytecode can be cached, its source is compiled each time.
        if not endings:
            loader = _external.SourceFileLoader("ending", root + "/inside/ending.py")
            names = {"__name__": "ending"}  # type: dict[str, Any]
            exec(loader.get_code("ending"), names)
            endings.append(names["Ending"](write, _disguise))
        return endings[0]

    def see(module: "Any") -> None:
        ending().see(module)

    def at_exit() -> None:
        try:
            if endings or hasattr(sys, "last_value"):
                ending().at_exit()
        except BaseException:
            return

    watched = dict.fromkeys(_ENDING, see)
    watched[_NAME] = attach
    find_spec.loghc = True  # type: ignore[attr-defined]
    finder.find_spec = classmethod(_disguise(find_spec))
    _register(_disguise(at_exit))
    for name in set(watched).intersection(sys.modules):
        _see(watched[name], sys.modules[name])


def _arrive(directory: str) -> None:
    """Notify the watcher that the recorder got into this Python, whether or not it logs.

    The text identifies the program that runs here rather than the process, which may become
    another program. It is the address where the stack begins, which forks share.
    """
    pid = posix.getpid()
    stack = _read("/proc/self/stat").rpartition(b")")[2].split()[_STACK]
    opened = posix.open(directory, _TO_READ | posix.O_DIRECTORY)
    try:
        if not _is_ours(opened, _DIRECTORY, _MODE):
            return
        try:
            channel = posix.open("channel", _TO_WRITE, dir_fd=opened)
            try:
                if _is_ours(channel, _FIFO, _TYPE):
                    posix.write(channel, b"loghc2\t%d\t0\t0\t0\tpython\t\t-\t%s\n" % (pid, stack))
            finally:
                posix.close(channel)
        except OSError:  # it is full, for example
            posix.symlink(stack.decode(), f"{pid}.python", dir_fd=opened)
    finally:
        posix.close(opened)


def _is_ours(descriptor: int, kind: int, mask: int) -> bool:
    """Whether `portable.trusted`, which is not loaded yet, would open something."""
    found = posix.fstat(descriptor)
    return found.st_mode & mask == kind and found.st_uid in (posix.geteuid(), 0)


def _read(path: str) -> bytes:
    descriptor = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        return posix.read(descriptor, 4096)
    finally:
        posix.close(descriptor)


def _register(at_exit: "Any") -> None:
    """Call a function at exit, after all others."""
    name = "atexit"
    atexit = sys.modules.get(name)
    if atexit is None:
        bootstrap = sys.modules["_frozen_importlib"]  # type: Any
        atexit = bootstrap.module_from_spec(bootstrap.BuiltinImporter.find_spec(name))
        bootstrap.BuiltinImporter.exec_module(atexit)
        if sys.version_info < (3, 10):  # noqa: UP036 - where each such module has callbacks of its own
            sys.modules[name] = atexit
    at_exit.atexit = atexit  # else the garbage collector would find the module
    atexit.register(at_exit)


def _cover(loader: "Any", name: str, attach: "Any") -> None:
    method = "exec_module" if hasattr(loader, "exec_module") else "load_module"
    execute = getattr(loader, method)

    def exec_module(module: "Any") -> "Any":
        # load_module is given a name. A zip file's loader is shared by all modules in it.
        if getattr(module, "__name__", module) != name:
            return execute(module)
        loader.__dict__.pop(method, None)
        loaded = execute(module)
        _see(attach, loaded or module)
        return loaded

    setattr(loader, method, _disguise(exec_module))


def _see(see: "Any", module: "Any") -> None:
    try:
        see(module)
    except Exception:
        return


def _disguise(function: "Any") -> "Any":
    function.__code__ = function.__code__.replace(
        co_filename="<frozen importlib._bootstrap_external>"
    )
    return function


def _load(root: str) -> "Any":
    """Load the recorder from its own path, without using any finder."""
    kind = type(sys)
    modules = {}  # type: dict[str, Any]
    # A lazy import (CPython 3.15) would run after its module has left sys.modules again.
    lazy = sys.get_lazy_imports() if hasattr(sys, "get_lazy_imports") else None
    try:
        if lazy:
            sys.set_lazy_imports("normal")  # type: ignore[attr-defined]
        for package in (_PACKAGE, _PACKAGE + ".portable", _PACKAGE + ".inside"):
            modules[package] = sys.modules[package] = kind(package)
            modules[package].__path__ = []
        for part in _MODULES:
            name = _PACKAGE + "." + part
            modules[name] = sys.modules[name] = module = kind(name)
            module.__package__ = name.rpartition(".")[0]
            loader = _external.SourceFileLoader(name, root + "/" + part.replace(".", "/") + ".py")
            exec(loader.get_code(name), module.__dict__)
    finally:
        if lazy:
            sys.set_lazy_imports(lazy)  # type: ignore[attr-defined]
        for name in modules:
            sys.modules.pop(name, None)
    return module
