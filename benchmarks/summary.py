"""The table of the benchmarks' README, made from the results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.results import shown

__all__ = ["markdown"]

_KEPT = {"100 kB": "100,000", "10 MB": "10,000,000"}  # and the limit in the case's name
_TAIL = "loghc's tail"


def markdown(results: Mapping[str, Any]) -> str:
    """The figures that matter to a user, as a Markdown table.

    Args:
        results: what a full run wrote as JSON.
    """
    figures = _Figures(results)
    lines = [
        "| | loghc | beside it |",
        "| --- | --- | --- |",
        *(_record(figures, kept, limit) for kept, limit in _KEPT.items()),
        _line(
            "a whole `logger.info`",
            figures.value("calls", "loghc"),
            f"{figures.value('calls', 'no-op sink')} with a sink that does nothing "
            f"({figures.ratio('calls', 'loghc', 'a no-op sink')})",
        ),
    ]
    lines += [_marker(figures, state) for state in ("well", "slow (0.2 s)", "hung")]
    lines += [
        _line(
            "`import`, after loguru's own",
            figures.value("imports", "import loghc", "best"),
            f"{figures.value('imports', 'import requests', 'best')} requests",
        ),
        _line(
            "a job of 1,000 records, as a process",
            figures.value("jobs", "loghc"),
            f"{figures.value('jobs', 'no pings')} without pings, "
            f"{figures.value('jobs', 'bare urllib3 on a thread')} with urllib3 alone on a thread "
            f"({figures.ratio('jobs', 'loghc', 'bare urllib3 on a thread')}), "
            f"{figures.value('jobs', 'requests')} with requests, "
            f"{figures.value('jobs', 'borgmatic')} with borgmatic's handler",
        ),
        _line(
            "memory for a full tail of 100 kB",
            figures.value("memory", "full tail: loghc"),
            f"{figures.value('memory', 'full tail: floor')} for a bare deque, "
            f"{figures.value('memory', 'full tail: borgmatic')} in borgmatic's handler",
        ),
        _line(
            "memory in an outage, 32 pings waiting",
            figures.value("memory", "outage, 32 pings of 32 logs: loghc"),
            "",
        ),
        _line(
            "`loghc run`, a record",
            figures.value("watch", "logger.info, recorded"),
            f"{figures.value('watch', 'logger.info, not recorded')} in a program that is not "
            f"watched ({figures.ratio('watch', 'logger.info, recorded', 'not recorded')})",
        ),
    ]
    lines += [_added(figures, program) for program in ("an empty script", "half a second")]
    lines += [
        _line(
            "`loghc run`, from SIGKILL to the ping",
            figures.value("watch", "from SIGKILL to the ping"),
            "",
        ),
    ]
    machine = results["machine"]
    packages = ", ".join(
        f"{name} {version}" for name, version in machine["packages"].items() if version
    )
    lines += [
        "",
        f"Medians; {machine['python']}, {machine['cpu']}, {machine['cores']} cores; {packages}.",
    ]
    return "\n".join(lines) + "\n"


def _record(figures: _Figures, kept: str, limit: str) -> str:
    def value(sink: str) -> str:
        return figures.value("records", f"limit {limit}: {sink}")

    ratio = figures.ratio("records", f"limit {limit}: loghc", "the floor")
    return _line(
        f"one record, {kept} kept",
        f"{value('loghc')}; without the look for a marker {value(_TAIL)}",
        f"{value('floor')} in a bare deque of bytes ({ratio}), "
        f"{value('borgmatic')} in borgmatic's handler",
    )


def _added(figures: _Figures, program: str) -> str:
    def value(way: str) -> str:
        return figures.value("watch", f"{program}{way}")

    return _line(
        f"`loghc run` adds to {program}",
        f"{value(', loghc run adds')}, {value(' (https), loghc run adds')} with https",
        f"{value(', bare')} alone, {value(', wrapper')} in a wrapper that only waits",
    )


def _marker(figures: _Figures, state: str) -> str:
    def value(who: str) -> str:
        return figures.value("services", f"service {state}: {who}")

    peers = ("borgmatic", "healthchecks-decorator", "py-healthchecks.io")
    return _line(
        f"a marker, service {state}",
        f"{value('loghc')}, 99th percentile {value('loghc, 99th percentile')}",
        f"{value('a plain logger.info')} for a plain `logger.info` "
        f"({figures.ratio('services', f'service {state}: loghc', 'a plain logger.info')}); "
        + ", ".join(f"{value(peer)} {peer}" for peer in peers),
    )


class _Figures:
    """The rows of the results, by section and case."""

    def __init__(self, results: Mapping[str, Any]) -> None:
        self._rows = {
            (name, row["case"]): row
            for name, section in results["sections"].items()
            for row in section["rows"]
        }

    def value(self, section: str, case: str, kind: str = "median") -> str:
        row = self._rows.get((section, case))
        return "not measured" if row is None else _with_unit(row["value"][kind], row["unit"])

    def ratio(self, section: str, case: str, against: str) -> str:
        row = self._rows.get((section, case))
        if row is None or row["against"] != against:
            return "not measured"
        return f"{row['ratio']['median']:.3f} times"


def _with_unit(value: float, unit: str) -> str:
    """Show a value in the unit that a reader would choose."""
    for small, factor, large in (("ns", 1000, "µs"), ("ms", 1000, "s"), ("kB", 1000, "MB")):
        if unit == small and value >= factor:
            value, unit = value / factor, large
    if unit == "ms" and value < 1:
        value, unit = value * 1000, "µs"
    return f"{shown(value)} {unit}"


def _line(what: str, ours: str, beside: str) -> str:
    return f"| {what} | {ours} | {beside} |"
