"""What is shipped: the wheel, its metadata, and the examples in the docstrings."""

from __future__ import annotations

import configparser
import doctest
import email
import importlib
import pkgutil
import subprocess
import sys
import zipfile
from email.message import Message
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import loghc

ROOT = Path(__file__).parents[2]

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(loghc.__path__, "loghc.")
    if not module.name.endswith("__main__")
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=100,
    )
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def shipped(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(archive.read(name))


def test_the_wheel_holds_the_package_and_nothing_else(shipped: set[str]) -> None:
    package = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "loghc").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in shipped if ".dist-info/" not in name} == package


def test_the_wheel_tells_type_checkers_that_it_is_typed(shipped: set[str]) -> None:
    assert "loghc/py.typed" in shipped


def test_the_wheel_holds_the_licence(shipped: set[str]) -> None:
    assert any(name.endswith("/LICENSE") for name in shipped)


def test_the_wheel_needs_loguru_and_urllib3_and_nothing_else(metadata: Message) -> None:
    needed = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert sorted(needed) == ["loguru>=0.7", "urllib3>=2.0.2"]
    assert metadata["Requires-Python"] == ">=3.10"


def test_the_version_stands_in_one_place(metadata: Message, wheel: Path) -> None:
    assert metadata["Version"] == loghc.__version__
    assert wheel.name == f"loghc-{loghc.__version__}-py3-none-any.whl"
    quoted = f'"{loghc.__version__}"'
    holders = [
        path.name
        for path in (ROOT / "pyproject.toml", *(ROOT / "loghc").rglob("*.py"))
        if quoted in path.read_text(encoding="utf-8")
    ]
    assert holders == ["version.py"]


def test_the_wheel_brings_the_command_and_the_fixture(wheel: Path) -> None:
    entries = configparser.ConfigParser()
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/entry_points.txt"))
        entries.read_string(archive.read(name).decode())
    assert callable(EntryPoint("loghc", entries["console_scripts"]["loghc"], "").load())
    assert EntryPoint("loghc", entries["pytest11"]["loghc"], "").load().ping_receiver


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_the_docstrings_run(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    tests = [test for name in MODULES for test in finder.find(importlib.import_module(name))]
    assert sum(len(test.examples) for test in tests) >= 5
