"""Instructions that a record costs: a second witness, which no noise can bribe."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

from benchmarks.results import Row, Section
from benchmarks.timing import Spread

__all__ = ["measure_instructions"]

_SCRIPT = """
import sys
from benchmarks.sinks import NoSink, KeepingSink, floor, health, messages
given = messages(32)
write = {{"no-op sink": NoSink().write, "floor": floor(100_000),
    "floor as a method": KeepingSink(100_000).write, "loghc": health()}}[{name!r}]
for number in range({count}):
    write(given[number % 32])
"""

_FEW, _MANY = 5_000, 25_000  # records: the difference leaves the interpreter's start out


def measure_instructions() -> Section | None:
    """Count with valgrind's callgrind; None where that is not installed."""
    if shutil.which("valgrind") is None:
        return None
    counts = {
        name: (_count(name, _MANY) - _count(name, _FEW)) / (_MANY - _FEW)
        for name in ("no-op sink", "floor", "floor as a method", "loghc")
    }
    return Section(
        "instructions",
        "Instructions for one record",
        "HealthSink.write with a record of 110 bytes, 100,000 bytes kept; counted by callgrind.",
        [
            Row(
                name,
                "instructions",
                Spread.of([count]),
                "the floor",
                Spread.of([count / counts["floor"]]),
            )
            for name, count in counts.items()
        ],
    )


def _count(name: str, records: int) -> int:
    script = _SCRIPT.format(name=name, count=records)
    found = subprocess.run(
        [
            "valgrind",
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            sys.executable,
            "-c",
            script,
        ],
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    collected = re.search(r"Collected : (\d+)", found.stderr)
    if collected is None:
        raise RuntimeError(f"callgrind's answer was not understood:\n{found.stderr}")
    return int(collected[1])
