"""Draws the charts; the same results give the same files, byte for byte."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["draw"]

_COLOURS = {
    "loghc": "#1a7f37",
    "floor": "#57606a",
    "a plain logger.info": "#57606a",
    "borgmatic": "#cf222e",
    "healthchecks-decorator": "#bf8700",
    "py-healthchecks.io": "#8250df",
}

_NAMES = {"floor": "a bare deque of bytes"}


def draw(results: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw the charts for which there are figures.

    Args:
        results: what a run wrote as JSON.
        folder: where to put the charts.

    Returns:
        The SVG files.
    """
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "loghc", "svg.fonttype": "none", "font.size": 10})
    drawn = []
    if "records" in results["sections"]:
        drawn.append(_records(results["sections"]["records"]["rows"], folder / "record.svg"))
    if "services" in results["sections"]:
        drawn.append(_services(results["sections"]["services"]["rows"], folder / "marker.svg"))
    return drawn


def _records(rows: list[dict[str, Any]], path: Path) -> Path:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    for sink in ("loghc", "floor", "borgmatic"):
        colour = _COLOURS[sink]
        points = [row for row in rows if row["at"].get("sink") == sink and "held" in row["at"]]
        held = [row["at"]["held"] for row in points]
        axes.plot(
            held,
            [row["value"]["median"] for row in points],
            marker="o",
            color=colour,
            label=_NAMES.get(sink, sink),
        )
        axes.fill_between(
            held,
            [row["value"]["low"] for row in points],
            [row["value"]["high"] for row in points],
            color=colour,
            alpha=0.15,
        )
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="records held (logarithmic)",
        ylabel="nanoseconds a record (logarithmic)",
        title="Cost of one record",
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:,.0f}")
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    return path


def _services(rows: list[dict[str, Any]], path: Path) -> Path:
    from matplotlib.figure import Figure

    rows = [row for row in rows if "percentile" not in row["case"]]
    states = list(dict.fromkeys(row["at"]["state"] for row in rows))
    who = list(dict.fromkeys(row["at"]["who"] for row in rows))
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    width = 0.6 / len(who)
    for place, name in enumerate(who):
        of_one = [row for row in rows if row["at"]["who"] == name]
        axes.plot(
            [states.index(row["at"]["state"]) + (place + 0.5) * width - 0.3 for row in of_one],
            [row["value"]["median"] for row in of_one],
            "o",  # no bars: a logarithmic axis has no zero to begin at
            label=name,
            color=_COLOURS[name],
        )
    axes.axhline(1.0, color="#57606a", linewidth=0.8, linestyle="--", label="1 ms, loghc's limit")
    axes.set(
        yscale="log",
        ylabel="milliseconds that the job waits (logarithmic)",
        xlabel="the service is",
        title="A call that pings, by the state of the service",
    )
    axes.yaxis.set_major_formatter("{x:,g}")
    axes.set_xticks(range(len(states)), states)
    axes.set_xlim(-0.5, len(states) - 0.5)
    axes.grid(visible=True, axis="y", alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    return path
