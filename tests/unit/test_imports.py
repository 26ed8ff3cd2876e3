"""Imports point one way: command, then sink and watch, log and delivery, service, and ping."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import loghc
from loghc.testing import PingReceiver

ROOT = Path(loghc.__file__).parent

# What a room, a folder or a module of its own, may import of loghc. Of the modules beside the
# sink, each serves it, and knows no more than it needs.
LEAVES = {
    "callbacks",
    "completion",
    "crash",
    "exit",
    "handlers",
    "markers",
    "options",
    "runs",
    "hints",
    "report",
    "utf8",
    "version",
}
PING = {
    "callbacks",
    "clock",
    "deadline",
    "fork",
    "log.body",
    "native",
    "ping",
    "portable",
    "procfs",
    "report",
    "utf8",
    "version",
}
SERVICE = {"service", *PING}
MIDDLE = {"log", "delivery", *SERVICE}
SINK = {
    "sink",
    "direct",
    "outlet",
    "privacy",
    "scope",
    "handover",
    "ringtail",
    "jobs",
    *LEAVES,
    *MIDDLE,
}
ALLOWED = {
    "log.body": {"utf8"},  # the value that goes from the log to the service
    "ping": {"log.body"},
    "clock": set(),
    "native": {"clock"},
    "deadline": {"clock", "native"},
    "callbacks": {"native"},
    "report": {"clock", "fork", "native"},
    "utf8": set(),
    "fork": {"native"},
    "procfs": set(),
    "version": set(),
    "handlers": set(),
    "completion": {"clock"},
    "crash": set(),
    "exit": {"fork", "handlers"},
    "hints": {"handlers", "hints", "markers", *SERVICE},
    "options": PING,
    "markers": PING,
    "runs": PING,
    "jobs": {
        "log",
        "log.body",
        "portable",
        "options",
        "ping",
        "markers",
        "report",
        "runs",
        "hints",
    },
    "service": SERVICE,
    "log": {"log", *SERVICE},
    "delivery": {"delivery", *SERVICE},
    "sink": SINK,
    "entry": {"entry", "privacy", *MIDDLE},
    "causes": {"log", "runs"},
    "repeats": set(),
    "death": {"death", *PING},
    "guard": {"guard", "death", "entry", *MIDDLE},
    "watch": {"watch", "death", "entry", *SINK},
    "portable": {"portable"},
    "inside": {"inside", "portable"},
    "scope": {*LEAVES, *MIDDLE},
    "privacy": set(),
    "outlet": {"hints", "log", "ping", "service"},
    "direct": {
        "causes",
        "outlet",
        "repeats",
        "scope",
        "entry",
        "guard",
        "privacy",
        *LEAVES,
        *MIDDLE,
    },
    "handover": {"outlet", "privacy", "log", "ringtail", *SERVICE},
    "ringtail": {"log", *PING},
    "command": {"command", "watch", *SINK},
    "testing": {"testing", *PING},
    "__init__": {"sink", "jobs", "ping", "version", "log"},
    "__main__": {"command"},
}


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def room_of(path: Path) -> str:
    """The folder that a module lies in, or the module itself where it lies in none."""
    first = path.relative_to(ROOT).parts[0]
    return first.removesuffix(".py")


def imported(path: Path) -> set[str]:
    """All that a module imports, within functions and for type checking, too; whole names."""
    package = ["loghc", *path.relative_to(ROOT).parts[:-1]]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            found |= {f"{module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func
            name = getattr(called, "attr", getattr(called, "id", None))
            if name in ("import_module", "__import__", "run_module"):
                found.add(str(node.args[0].value))
    return found


def rooms_imported(path: Path) -> set[str]:
    parts = [name.split(".") for name in imported(path)]
    # `from loghc import HealthSink` is an import of what the package's own module imports.
    rooms = {
        "log.body" if each[1:3] == ["log", "body"] else each[1] if len(each) > 1 else "__init__"
        for each in parts
        if each[0] == "loghc"
    }
    return {room if room in ALLOWED else "__init__" for room in rooms}


def test_every_room_is_on_the_map() -> None:
    assert {room_of(path) for path in modules()} <= set(ALLOWED)


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_a_module_imports_only_what_lies_below_it(path: Path) -> None:
    allowed = set(ALLOWED[room_of(path)])
    if name_of(path) == "command/demo.py":
        allowed |= {"testing", "guard"}
    assert rooms_imported(path) <= allowed


def test_the_map_has_no_way_back() -> None:
    reached: dict[str, set[str]] = {}

    def below(room: str) -> set[str]:
        if room not in reached:
            reached[room] = set()
            for other in ALLOWED[room] - {room}:
                reached[room] |= {other} | below(other)
        return reached[room]

    assert [room for room in ALLOWED if room in below(room)] == []
    assert "log" not in below("delivery")
    assert "delivery" not in below("log")
    assert [room for room in ALLOWED if "command" in below(room)] == ["__main__"]
    assert [room for room in ALLOWED if "testing" in below(room)] == []


def test_what_is_put_into_the_watched_program_imports_the_standard_library_alone() -> None:
    own = ("loghc.inside.", "loghc.portable.")
    for path in [*(ROOT / "inside").rglob("*.py"), *(ROOT / "portable").rglob("*.py")]:
        others = (name for name in imported(path) if not name.startswith(own))
        tops = {name.split(".")[0] for name in others}
        # The program's own sitecustomize runs, too.
        assert tops <= {*sys.stdlib_module_names, "sitecustomize", "usercustomize"}, name_of(path)


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_requests_are_made_in_one_place(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    own = name_of(path) == "service/transport.py" or room_of(path) == "testing"
    makers = (".HTTPConnection(", ".HTTPSConnection(", "urlopen(", ".create_connection(")
    assert own or not [maker for maker in makers if maker in source]
    assert own or not {
        name for name in imported(path) if name.startswith(("urllib.request", "requests", "httpx"))
    }


def python(*args: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", *args],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def test_importing_loghc_imports_no_urllib3() -> None:
    source = "import sys; from loghc import *; print({'urllib3', 'http.client'} & {*sys.modules})"
    assert python(source) == "set()\n"


def test_urllib3_makes_the_requests_and_is_imported_for_the_first(
    ping_receiver: PingReceiver,
) -> None:
    source = """
import sys
from loguru import logger
from loghc import HealthSink

sink = HealthSink(sys.argv[1])
logger.add(sink)
logger.info("copied")
print("urllib3" in sys.modules)
logger.info("sync.done")
assert sink.wait(20)
print("urllib3" in sys.modules, sink.stats.delivered)
"""
    assert python(source, ping_receiver.url) == "False\nTrue 1\n"
