"""``python -m benchmarks``: see the package's docstring."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from loguru import logger

from benchmarks.results import RESULTS, Section, as_json, environment, text_table

Measure = Callable[[], "Section | None"]


def _sections() -> dict[str, Measure]:
    from benchmarks import (
        designs,
        fleet,
        instructions,
        jobs,
        memory,
        records,
        services,
        threads,
        watch,
    )

    return {
        "records": records.measure_records,
        "calls": records.measure_calls,
        "services": services.measure_services,
        "jobs": jobs.measure_jobs,
        "imports": jobs.measure_imports,
        "watch": watch.measure_watch,
        "memory": memory.measure_memory,
        "threads": threads.measure_threads,
        "fleet": fleet.measure_fleet,
        "designs": designs.measure_designs,
        "instructions": instructions.measure_instructions,
    }


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="the short form, for the gate")
    what.add_argument("--table", action="store_true", help="print the README's table and end")
    what.add_argument("--charts", action="store_true", help="draw the charts anew and end")
    parser.add_argument("--only", nargs="+", choices=list(_sections()), help="some sections")
    parser.add_argument("--into", type=Path, default=RESULTS, help="a folder for the results")
    given = parser.parse_args(arguments)
    file = given.into / "results.json"
    if (given.table or given.charts) and not file.exists():
        parser.error(f"there is no {file.name} yet: run python -m benchmarks")
    if given.table:
        from benchmarks.summary import markdown

        print(markdown(json.loads(file.read_text(encoding="utf-8"))), end="")
        return 0
    if given.charts:
        return _draw(file)
    logger.remove()
    begun = time.perf_counter()
    if given.check:
        from benchmarks.check import check

        good = check()
        print(f"{time.perf_counter() - begun:.0f} s")
        return 0 if good else 1
    machine = environment()
    measured = []
    for name, measure in _sections().items():
        if given.only and name not in given.only:
            continue
        section = measure()
        if section is None:
            print(f"{name}: skipped, as what it needs is not installed\n", flush=True)
            continue
        measured.append(section)
        print(text_table(section), flush=True)
    print(f"{time.perf_counter() - begun:.0f} s")
    given.into.mkdir(parents=True, exist_ok=True)
    file.write_text(as_json(measured, machine), encoding="utf-8")
    return _draw(file)


def _draw(file: Path) -> int:
    from benchmarks.charts import draw

    for chart in draw(json.loads(file.read_text(encoding="utf-8")), file.parent):
        print(chart)
    return 0


if __name__ == "__main__":
    sys.exit(main())
