"""The ``loghc`` command: runs programs, sends single pings, shows a demonstration."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # typing takes longer to import than "loghc run" to start a program
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says.

    Args:
        argv: its arguments; None: the process's own.

    Returns:
        The exit status: 0, 1 for a ping that was not delivered, 2 for wrong usage. ``loghc run``
        ends this process as the program ended.

    Raises:
        SystemExit: after ``--help`` and on wrong usage.
    """
    _look_elsewhere_last()
    args = list(sys.argv[1:] if argv is None else argv)
    if args[:1] == ["run"]:
        from loghc.command.run import run

        run(args[1:])
    from loghc.command.parser import commands

    options = commands().parse_args(args)
    if options.command == "ping":
        from loghc.command.ping import ping

        try:
            return ping(options)
        except KeyboardInterrupt:
            return 130  # as a shell has it
    if options.command == "demo":
        from loghc.command.demo import run as demo

        return demo(sys.stdout)
    return 2


def _look_elsewhere_last() -> None:
    """Have no file of the program's, such as ``queue.py``, be taken for what loghc.fork."""
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    try:
        elsewhere = {os.path.abspath(path) for path in ("", *given)}
        sys.path.sort(key=lambda path: os.path.abspath(path) in elsewhere)
    except OSError:
        return  # the working directory was deleted
