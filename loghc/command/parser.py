"""The command line of ``loghc``, but for that of ``loghc run``."""

from __future__ import annotations

import argparse
import sys
from typing import Any, NoReturn

from loghc.command.discreet import discreet
from loghc.command.printing import show, show_error
from loghc.ping import Event
from loghc.service.environment import URL_FILE_VARIABLE, URL_VARIABLE
from loghc.version import __version__

__all__ = ["Parser", "commands"]

_USAGE = 2  # exit status of a command that can't be done as it was given
_TIMEOUT = 10.0  # seconds

_PING_MORE = f"""\
One attempt is made, and what came back is printed. Exit status: 0 delivered, 1 not delivered, 2 the
command can't be done as it was given.

examples:
  {URL_VARIABLE}=https://hc-ping.com/<uuid> loghc ping --message 'it works'
  make backup 2>&1 | loghc ping --log -
  loghc ping --exit-status $?
  loghc ping --dry-run"""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **options
        )

    def _print_message(self, message: str, file: Any = None) -> None:
        (show_error if file is sys.stderr else show)(message.removesuffix("\n"))

    def error(self, message: str) -> NoReturn:
        """Say it, and exit. A ping URL that was given in a wrong place is not repeated."""
        self.exit(_USAGE, f"{self.prog}: {discreet(message)} (see {self.prog} --help)\n")


def commands() -> Parser:
    """The parser of all commands; that of ``run`` only knows its name."""
    parser = Parser(
        prog="loghc",
        description="Healthchecks pings, with the end of the log attached.",
        epilog="example:\n  loghc run --health-check-url https://hc-ping.com/<uuid> backup.py",
    )
    parser.add_argument("--version", action="version", version=f"loghc {__version__}")
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, parser_class=Parser
    )
    commands.add_parser("run", help="run a program, and ping when it starts and ends")
    ping = commands.add_parser(
        "ping",
        help="send one ping now, and say what came back",
        description="Send one ping now, and say what came back: to find out why no ping arrives.",
        epilog=_PING_MORE,
    )
    event = ping.add_mutually_exclusive_group()
    for name, what, told in (
        ("--start", "a run begins", Event.START),
        ("--fail", "it failed", Event.FAIL),
        ("--log", "for the record; the check's state stays", Event.LOG),
    ):
        event.add_argument(name, action="store_const", dest="event", const=told, help=what)
    event.add_argument(
        "--exit-status", type=_exit_status, metavar="N", help="0 to 255; 0 is success"
    )
    ping.add_argument("--message", metavar="TEXT", help="text to attach")
    ping.add_argument(
        "arguments",
        nargs="*",
        metavar="URL or -",
        help="the ping URL, as with --health-check-url; -: attach the end of standard input",
    )
    ping.add_argument(
        "--dry-run",
        action="store_true",
        help="send nothing: say which URL and proxy count, and open the connection",
    )
    _add_url(ping)
    ping.add_argument(
        "--redact",
        action="append",
        default=[],
        metavar="PATTERN",
        help="regular expression: what it matches leaves this machine as [redacted]; may be "
        "given again and again",
    )
    ping.add_argument(
        "--no-mask-secrets",
        action="store_true",
        help="send passwords, keys and tokens as they are in the text",
    )
    _add_timeout(ping)
    commands.add_parser(
        "demo",
        help="show a run with a service on this machine",
        description="Show how loghc behaves, with a service on this machine: nothing leaves it.",
        epilog="example:\n  loghc demo",
    )
    return parser


def _add_url(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--health-check-url",
        metavar="URL",
        help="the ping URL. Everybody on this machine can see it in the list of processes: "
        f"{URL_VARIABLE}, or {URL_FILE_VARIABLE} with the path of a file that holds it, keep it "
        "private",
    )


def _add_timeout(parser: argparse.ArgumentParser) -> argparse.Action:
    return parser.add_argument(
        "--timeout",
        type=float,
        default=_TIMEOUT,
        metavar="SECONDS",
        help="for one attempt at a ping (default %(default)g)",
    )


def _exit_status(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:9]) <= 255):
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 255, not {text!r}")
    return int(text)
