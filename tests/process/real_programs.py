"""Programs from the package index that log with loguru, each in an environment of its own.

Run as a command, this makes the environments, in a cache directory: it takes some minutes, once.
`test_real_programs.py` then runs the programs in them under `loghc run`, which is not in them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

CACHE = Path(os.environ.get("LOGHC_REAL_PROGRAMS", "~/.cache/loghc-real-programs")).expanduser()

# What is installed for each. The versions were seen to run; they need Python 3.12 or newer.
REQUIREMENTS = {
    "comicbox": ["comicbox==5.4.0"],
    "creosote": ["creosote==5.2.0"],
    "flexget": ["flexget==3.22.8"],
    "httprunner": ["httprunner==4.3.5", "black"],  # it has loguru 0.4, and runs black
    "nudebomb": ["nudebomb==1.8.0"],
    "picopt": ["picopt==6.10.0"],
}


def environment(name: str) -> Path:
    """Where a program's environment is, whether or not it has been made."""
    return CACHE / name


def is_ready(name: str) -> bool:
    """Whether the environment has been made."""
    return (environment(name) / "ready").exists()


def make(name: str, python: str) -> None:
    """Make an environment, with the program and without loghc."""
    subprocess.run([python, "-m", "venv", "--clear", environment(name)], check=True)
    pip = [environment(name) / "bin" / "python", "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, *REQUIREMENTS[name]], check=True)
    (environment(name) / "ready").touch()


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the environments of the real programs.")
    parser.add_argument("--python", default=sys.executable, help="3.12 or newer; default: this one")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(REQUIREMENTS))
    options = parser.parse_args()
    for name in options.names or REQUIREMENTS:
        if not is_ready(name):
            print(f"{name}: installing into {environment(name)}", flush=True)
            make(name, options.python)
    return 0


if __name__ == "__main__":
    sys.exit(main())
