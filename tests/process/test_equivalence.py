"""A program that is recorded runs as it does without: the same output, byte for byte, the same end.

What it can see is the variables that bring the recorder in, which its children need: `LOGHC_RUN`,
and a directory in front of `PYTHONPATH`. (`python -S` leaves it in `sys.path`, and isn't recorded.)
An audit hook sees what the recorder opens and loads when loguru is imported.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from equivalence_programs import PROGRAMS
from recorded import run, run_directory

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there is no recorder elsewhere")


def watched(
    args: list[str], cwd: Path, env: Mapping[str, str], stdin: bytes, scratch: Path
) -> subprocess.CompletedProcess[bytes]:
    """Run Python as `plain` does, but watched. The one place that says how."""
    with run_directory(scratch / "run") as directory:
        own = directory.environment
        paths = (own["PYTHONPATH"], env.get("PYTHONPATH"))
        env = {**own, **env, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        return run([sys.executable, *args], cwd, env, stdin)


def plain(
    args: list[str], cwd: Path, env: Mapping[str, str], stdin: bytes
) -> subprocess.CompletedProcess[bytes]:
    return run([sys.executable, *args], cwd, env, stdin)


@pytest.mark.slow
@pytest.mark.parametrize("source", PROGRAMS.values(), ids=PROGRAMS)
def test_a_recorded_program_prints_and_ends_as_without(tmp_path, source):
    args, stdin, files = parsed(source)
    work = tmp_path / "work"
    env = {"PYTHONHASHSEED": "0", "COLUMNS": "80", "LOGURU_COLORIZE": "NO"}
    if any(name.startswith("env/") for name in files):
        env["PYTHONPATH"] = str(work / "env")
    write(files, work)
    alone = plain(args, work, env, stdin)
    shutil.rmtree(work)
    write(files, work)
    recorded = watched(args, work, env, stdin, tmp_path)
    assert steady(recorded.stdout) == steady(alone.stdout)
    assert steady(recorded.stderr) == steady(alone.stderr)
    assert recorded.returncode == alone.returncode


def test_there_are_enough_programs():
    assert len(PROGRAMS) >= 80


def steady(output: bytes) -> str:
    """What a program prints, but for addresses and durations, which differ from run to run."""
    return re.sub(r"\b0x[0-9a-f]+|\bin \d+\.\d\ds\b", "", output.decode())


def parsed(source: str) -> tuple[list[str], bytes, dict[str, str]]:
    """A program's arguments for Python, its standard input and its files."""
    args, stdin = ["program.py"], b""
    files: dict[str, list[str]] = {"program.py": []}
    name = "program.py"
    for line in dedent(source).splitlines():
        if line.startswith("$ "):
            args = shlex.split(line[2:])
        elif line.startswith("< "):
            stdin = line[2:].replace("\\n", "\n").encode()
        elif line.startswith("### "):
            name = line[4:]
            files[name] = []
        else:
            files[name].append(line)
    return args, stdin, {name: "\n".join([*lines, ""]) for name, lines in files.items()}


def write(files: Mapping[str, str], directory: Path) -> None:
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
