"""The ``loghc`` command: runs programs, sends single pings, shows a demonstration."""

from __future__ import annotations

import os
import sys

from loghc.command.printing import show, show_error
from loghc.command.table import UsageError

TYPE_CHECKING = False  # typing takes longer to import than "loghc run" to start a program
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_COMMANDS = ("run", "ping", "demo", "help")
_HELP = ("-h", "--help")
_USAGE = 2  # the exit status for wrong usage
_INTERRUPTED = 130  # a shell's exit status for Ctrl-C


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: its arguments; None: the process's own.

    Returns:
        The exit status: 0; 1 for a ping that was not delivered; 2 for wrong usage. ``loghc run``
        doesn't return, but exits as the program did.
    """
    _put_program_paths_last()
    args = list(sys.argv[1:] if argv is None else argv)
    name = args[0] if args else ""
    try:
        return _do(name, args[1:])
    except UsageError as error:
        where = f"loghc {name}" if name in _COMMANDS[:-1] else "loghc"
        show_error(f"{where}: {error} (see {where} --help)")
        return _USAGE
    except KeyboardInterrupt:
        return _INTERRUPTED


def _do(name: str, args: list[str]) -> int:
    if name == "run":
        from loghc.command.run import run

        return run(args)
    if name == "ping":
        from loghc.command.ping import ping

        return ping(args)
    if name == "--version":
        from loghc.version import __version__

        show(f"loghc {__version__}")
        return 0
    if name in _HELP or name == "help" or (name == "demo" and args):
        return _help([name, *args] if name == "demo" else args)
    if name == "demo":
        from loghc.command.demo import run as demo

        return demo(sys.stdout)
    raise UsageError(f"expected a COMMAND: {', '.join(_COMMANDS)}{_meant(name, args)}")


def _help(words: list[str]) -> int:
    """Show the help of the first command named."""
    from loghc.command.help import help_text

    command = words[0] if words else ""
    if command and command not in _COMMANDS:
        raise UsageError(f"expected a COMMAND to explain: {', '.join(_COMMANDS)}")
    if command == "demo" and any(word not in _HELP for word in words[1:]):
        raise UsageError("it takes no arguments")
    show(help_text(command))
    return 0


def _meant(name: str, args: list[str]) -> str:
    """What a word that is no command may have meant."""
    from shutil import which

    from loghc.command.hiding import without_urls
    from loghc.command.table import did_you_mean

    if not name:
        return ""
    shown = without_urls(name)
    if name.lower().startswith(("http://", "https://")):
        return f"; did you mean loghc ping {shown}?"
    if os.path.exists(name) or name.endswith(".py") or name in ("-m", "-c") or which(name):
        return f"; did you mean {' '.join(['loghc run', shown, *map(without_urls, args[:1])])}?"
    return did_you_mean(name, _COMMANDS) or (f", not {name}" if name.isalpha() else "")


def _put_program_paths_last() -> None:
    """Keep files of the program, such as ``queue.py``, from hiding modules that loghc imports."""
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    try:
        elsewhere = {os.path.abspath(path) for path in ("", *given)}
        sys.path.sort(key=lambda path: os.path.abspath(path) in elsewhere)
    except OSError:
        return  # the working directory was deleted
