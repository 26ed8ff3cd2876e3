"""A program under `loghc run` prints the same as without, byte for byte, and ends the same.

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

from equivalence_programs import PROGRAMS as ORDINARY
from equivalence_said import SAID
from equivalence_surroundings import SURROUNDINGS
from recorded import run

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there is no recorder elsewhere")


PROGRAMS = {**ORDINARY, **SURROUNDINGS}
LOGHC = Path(sys.executable).with_name("loghc")
# The only event that is sent is one that no program causes: nobody has to listen.
MARKERS = ("--marker", "sync.error=fail", "--marker", "sync.log=fail")
RUN = (str(LOGHC), "run", "--events", "log", "--job", "of-none", *MARKERS, "--")
NOWHERE = "http://127.0.0.1:9/9e9d9bbe-4f2b-4a0e-a1e0-111111111111"


def watched(
    args: list[str], cwd: Path, env: Mapping[str, str], stdin: bytes
) -> subprocess.CompletedProcess[bytes]:
    """Run Python as `plain` does, but by `loghc run`."""
    env = {**env, "HEALTH_CHECK_URL": NOWHERE}
    return run([*RUN, sys.executable, *args], cwd, env, stdin)


def plain(
    args: list[str], cwd: Path, env: Mapping[str, str], stdin: bytes
) -> subprocess.CompletedProcess[bytes]:
    return run([sys.executable, *args], cwd, env, stdin)


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_recorded_program_prints_and_ends_as_without(tmp_path, name):
    args, stdin, files = parsed(PROGRAMS[name])
    work = tmp_path / "work"
    env = {"PYTHONHASHSEED": "0", "COLUMNS": "80", "LOGURU_COLORIZE": "NO"}
    if any(file.startswith("env/") for file in files):
        env["PYTHONPATH"] = str(work / "env")
    write(files, work)
    alone = plain(args, work, env, stdin)
    shutil.rmtree(work)
    write(files, work)
    recorded = watched(args, work, env, stdin)
    # loghc's own Python finds the same PYTHONPATH, and says what it has to say of it.
    own = plain(["-c", ""], work, env, b"").stderr if "PYTHONPATH" in env else b""
    assert steady(recorded.stdout) == steady(alone.stdout)
    said = re.findall(r"(?m)^loghc: (.*)\n", recorded.stderr.decode())
    said = [line for line in said if "when the run directory was deleted" not in line]  # a race
    said = [
        re.sub(r"^the log of python\S*(.*) \(\d+\)", r"the log of python\1 (PID)", line)
        for line in said
    ]
    expected = SAID.get(name, ())
    # A process that lives for a moment may end before it is noticed.
    unnoticed = [(), SAID["gc"]] if any("(PID)" in line for line in expected) else []
    assert tuple(said) in (expected, *unnoticed)
    printed = re.sub(rb"(?m)^loghc: .*\n", b"", recorded.stderr)
    assert steady(printed) == steady(own + alone.stderr)
    assert recorded.returncode == alone.returncode


def test_what_is_said_is_said_of_programs_that_there_are():
    assert SAID.keys() <= PROGRAMS.keys()


def test_there_are_enough_programs():
    assert len(PROGRAMS) >= 120


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
