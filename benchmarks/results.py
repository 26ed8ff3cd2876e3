"""The results of a run: tables for people, JSON for the charts and the README."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.timing import Spread, ratio

__all__ = [
    "RESULTS",
    "Row",
    "Section",
    "as_json",
    "compared_rows",
    "environment",
    "shown",
    "text_table",
]

RESULTS = Path(__file__).parent / "results"
"""Where the JSON and the charts are."""

_PACKAGES = (
    "loghc",
    "loguru",
    "urllib3",
    "requests",
    "borgmatic",
    "healthchecks-decorator",
    "healthchecks-io",
)


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        case: what was measured, in words.
        unit: the value's unit, such as ``ns`` or ``records/s``.
        value: the figure and its spread.
        against: what it is compared with, or empty.
        ratio: how many times as much as that, from the same rounds; None without.
        at: the place on a chart's axes, such as ``{"held": 900}``.
    """

    case: str
    unit: str
    value: Spread
    against: str = ""
    ratio: Spread | None = None
    at: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Section:
    """The figures that belong together.

    Attributes:
        name: for the command line.
        title: the heading.
        note: how it was measured, and the goal.
        rows: the figures.
    """

    name: str
    title: str
    note: str
    rows: Sequence[Row]


_PER_SECOND = {"ms": 1e3, "ns": 1e9}


def compared_rows(
    case: str,
    seconds: Mapping[str, Sequence[float]],
    beside: str,
    *,
    unit: str,
    against: str = "",
    name: str = "",
    **at: object,
) -> list[Row]:
    """A row for each way of doing something, compared with one of them.

    Args:
        case: what was measured, in words; ``{}`` stands for the way.
        seconds: of each way, from the same rounds.
        beside: the way that all are compared with.
        unit: ``ms`` or ``ns``.
        against: what to call that way; empty: as it is.
        name: what the way is called among the places on a chart's axes; empty: it isn't there.
        at: the other places.
    """
    return [
        Row(
            case.format(way),
            unit,
            Spread.of(values).scaled(_PER_SECOND[unit]),
            against or beside,
            ratio(values, seconds[beside]),
            {**({name: way} if name else {}), **at},
        )
        for way, values in seconds.items()
    ]


def environment() -> dict[str, Any]:
    """Describe the machine, the interpreter and the packages."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "packages": {package: _version(package) for package in _PACKAGES},
    }


def as_json(sections: Sequence[Section], machine: Mapping[str, Any]) -> str:
    """Write the results as JSON, in an order that doesn't change from run to run."""
    results = {"machine": machine, "sections": {s.name: asdict(s) for s in sections}}
    return json.dumps(_rounded(results), indent=1) + "\n"


def text_table(section: Section) -> str:
    """Show a section as plain text."""
    lines = [section.title, section.note, ""]
    cells = [("", "median", "10 %..90 %", "best", "ratio", "10 %..90 %")]
    for row in section.rows:
        value = row.value
        ratio = row.ratio
        cells.append(
            (
                row.case,
                f"{shown(value.median)} {row.unit}",
                f"{shown(value.low)}..{shown(value.high)}",
                shown(value.best),
                "" if ratio is None else f"{shown(ratio.median)} of {row.against}",
                "" if ratio is None else f"{shown(ratio.low)}..{shown(ratio.high)}",
            )
        )
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        first, *others = (
            cell.ljust(width) if not place else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        lines.append("  ".join([f"  {first}", *others]).rstrip())
    return "\n".join(lines) + "\n"


def shown(value: float) -> str:
    """Show a value with three significant digits and no exponent."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.001 else f"{value:.6f}"


def _rounded(value: Any) -> Any:
    """Round to five significant digits, more than a measurement has."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    return value


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
