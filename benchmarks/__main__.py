"""Measure what loghc costs; benchmarks/README.md explains the figures."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from loguru import logger

from benchmarks.results import RESULTS, Section, as_json, environment, text_table


def _sections() -> dict[str, Callable[[], Section]]:
    from benchmarks import guard, jobs, memory, records, services, state, threads, watch

    return {
        "records": records.measure_records,
        "calls": records.measure_calls,
        "services": services.measure_services,
        "state": state.measure_state,
        "guard": guard.measure_guard,
        "jobs": jobs.measure_jobs,
        "imports": jobs.measure_imports,
        "watch": watch.measure_watch,
        "memory": memory.measure_memory,
        "threads": threads.measure_threads,
    }


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="the short form: fail on a missed bar")
    what.add_argument("--table", action="store_true", help="print the README's table and exit")
    what.add_argument("--charts", action="store_true", help="draw the charts again and exit")
    parser.add_argument("--only", nargs="+", choices=list(_sections()), help="these sections only")
    parser.add_argument("--into", type=Path, default=RESULTS, help="the folder for the results")
    options = parser.parse_args(arguments)
    file = options.into / "results.json"
    if (options.table or options.charts) and not file.exists():
        parser.error(f"there is no {file.name} yet: run python -m benchmarks")
    if options.table:
        from benchmarks.summary import markdown

        print(markdown(json.loads(file.read_text(encoding="utf-8"))), end="")
        return 0
    if options.charts:
        return _draw(file)
    logger.remove()
    started = time.perf_counter()
    if options.check:
        from benchmarks.check import check

        passed = check()
        print(f"{time.perf_counter() - started:.0f} s")
        return 0 if passed else 1
    machine = environment()
    measured = []
    for name, measure in _sections().items():
        if options.only and name not in options.only:
            continue
        measured.append(measure())
        print(text_table(measured[-1]), flush=True)
    print(f"{time.perf_counter() - started:.0f} s")
    options.into.mkdir(parents=True, exist_ok=True)
    file.write_text(as_json(measured, machine), encoding="utf-8")
    return _draw(file)


def _draw(file: Path) -> int:
    from benchmarks.charts import draw

    for chart in draw(json.loads(file.read_text(encoding="utf-8")), file.parent):
        print(chart)
    return 0


if __name__ == "__main__":
    sys.exit(main())
