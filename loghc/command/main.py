"""The ``loghc`` command: runs programs, sends single pings, shows a demonstration."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from loghc.command.discreet import discreet
from loghc.markers import job_markers
from loghc.ping import Event
from loghc.service.environment import URL_FILE_VARIABLE, URL_VARIABLE, ping_url
from loghc.service.url import PingUrl
from loghc.version import __version__

if TYPE_CHECKING:
    from loghc.watch.launcher import WatchedSink


__all__ = ["main"]

_USAGE = 2  # exit status of a command that can't be done as it was given
_LIMIT = 100_000  # bytes
_TIMEOUT = 10.0  # seconds
_DRAIN = 10.0
_LEVELS = ("TRACE", "DEBUG", "INFO", "SUCCESS", "WARNING", "ERROR", "CRITICAL")

_NO_URL = (
    f"no ping URL: set {URL_VARIABLE}, or {URL_FILE_VARIABLE} to the path of a file that holds it, "
    "or give --health-check-url"
)

_SEEN = (
    "everybody on this machine could see that URL in the list of processes. "
    f"{URL_VARIABLE}, or {URL_FILE_VARIABLE} with the path of a file that holds it, keep it "
    "private."
)

_RUN_HELP = """\
Run a Python program as python would, and ping a monitoring service when it starts and when it
ends. The end of what it logs with loguru goes along.

TARGET is the path of a script, "-m MODULE", or the name of an installed console script. What
follows it belongs to the program."""

_RUN_MORE = f"""\
The process is the run: a start when it starts, success when it ends with 0, its exit status
otherwise, with the traceback if an exception ended it; 143 for SIGTERM, 130 for SIGINT. Of what
the program logs, "<job>.log" and the messages given by --marker trigger pings of that run; a
message that stands for "fail" makes it a failed run though the program ends with 0. The
program's own "<job>.start", "<job>.done" and "<job>.error" are lines of the log like any other:
the process tells.

With --markers-only it is the other way round: "<job>.start", "<job>.done", "<job>.error" and
"<job>.log" (and --marker) trigger pings, each start opens a run, and the process's own start and
end tell nothing. A run that is open when the process ends is reported as failed.

os._exit() counts as an end. A process that replaces itself (os.exec*), is killed with SIGKILL,
or crashes in native code can tell nothing more: the service notices by the check's grace time.
A daemon that forks away from the process that was started needs --markers-only.

Exit status: the program's. 2, and the program is not started, when something here is wrong.

examples:
  {URL_VARIABLE}=https://hc-ping.com/<uuid> loghc run backup.py --all
  loghc run --job nightly --redact 'token=\\S+' -m backup --all
  loghc run --markers-only --marker 'Backup finished=success' backup-daemon"""

_PING_MORE = f"""\
One attempt is made, and what came back is printed. Exit status: 0 delivered, 1 not delivered, 2 the
command can't be done as it was given.

examples:
  {URL_VARIABLE}=https://hc-ping.com/<uuid> loghc ping --message 'it works'
  make backup 2>&1 | loghc ping --log -
  loghc ping --exit-status $?"""


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says.

    Args:
        argv: its arguments; None: the process's own.

    Returns:
        The exit status: 0, 1 for a ping that was not delivered, 2 for wrong usage.

    Raises:
        SystemExit: after ``--help`` and on wrong usage; or the program that was run ends so.
    """
    args = list(sys.argv[1:] if argv is None else argv)
    if args[:1] == ["run"]:
        return _run(args[1:])
    options = _commands().parse_args(args)
    if options.command == "ping":
        return _ping(options)
    if options.command == "demo":
        from loghc.command.demo import run

        return run(sys.stdout)
    return _USAGE


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **options
        )

    def error(self, message: str) -> NoReturn:
        self.exit(_USAGE, f"{self.prog}: {discreet(message)} (see {self.prog} --help)\n")


def _commands() -> _Parser:
    parser = _Parser(
        prog="loghc",
        description="Healthchecks pings, with the end of the log attached.",
        epilog="example:\n  loghc run --health-check-url https://hc-ping.com/<uuid> backup.py",
    )
    parser.add_argument("--version", action="version", version=f"loghc {__version__}")
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, parser_class=_Parser
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
    _add_url(ping)
    _add_redact(ping)
    _add_mask(ping)
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


def _add_redact(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--redact",
        action="append",
        default=[],
        metavar="PATTERN",
        help="regular expression: what it matches leaves this machine as [redacted]; may be "
        "given again and again",
    )


def _add_mask(parser: argparse.ArgumentParser) -> argparse.Action:
    return parser.add_argument(
        "--no-mask-secrets",
        action="store_true",
        help="send passwords, keys and tokens as they are in the log",
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


def _pair(text: str) -> tuple[str, Event]:
    message, equals, event = text.rpartition("=")
    known = ", ".join(member.value for member in Event)
    if not equals or not message:
        raise argparse.ArgumentTypeError(f"expected 'MESSAGE=EVENT', not {text!r}")
    try:
        return message, Event(event.strip().lower())
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected one of {known} after the last '=', not {event!r}"
        ) from None


def _level(text: str) -> str | int:
    if text.isascii() and text.isdigit():
        return int(text)
    if text.upper() not in _LEVELS:
        known = ", ".join(_LEVELS)
        raise argparse.ArgumentTypeError(f"expected one of {known}, or a number, not {text!r}")
    return text.upper()


# loghc run


def _run(args: list[str]) -> int:

    from loghc.watch.launcher import ProcessSink, WatchedSink, launch
    from loghc.watch.program import ProgramNotFound, find_module, find_target

    parser, flags = _run_parser()
    own, target = _split(args, flags)
    options = parser.parse_args(own)
    _check_url(parser, options.health_check_url)
    try:
        sink = _sink(options, WatchedSink if options.markers_only else ProcessSink)
    except (TypeError, ValueError) as error:
        parser.error(f"--{error}")  # the sink's parameters are options of the same names
    try:
        if not target or target == ["-m"]:
            parser.error("expected a TARGET: a script, -m MODULE, or a console script's name")
        if target[0].startswith("-m"):
            module, *rest = [target[0][2:], *target[1:]] if target[0] != "-m" else target[1:]
            program = find_module(module, rest)
        else:
            program = find_target(target[0], target[1:])
    except ProgramNotFound as error:
        parser.error(str(error))
    launch(
        program,
        sink,
        level=options.level,
        start=not options.no_start,
        drain=options.drain,
    )
    return 0


def _run_parser() -> tuple[_Parser, set[str]]:
    """The parser of ``loghc run``, and those of its options that take no value."""
    parser = _Parser(
        prog="loghc run",
        usage="loghc run [options] TARGET [args...]",
        description=_RUN_HELP,
        epilog=_RUN_MORE,
    )
    _add_url(parser)
    parser.add_argument(
        "--job", default="sync", metavar="NAME", help="name of the markers (default %(default)s)"
    )
    parser.add_argument(
        "--level",
        type=_level,
        default="DEBUG",
        metavar="LEVEL",
        help="records below it are neither attached nor markers (default %(default)s)",
    )
    parser.add_argument(
        "--limit",
        type=int,
        default=_LIMIT,
        metavar="BYTES",
        help="of log that a ping carries at most (default %(default)s)",
    )
    _add_timeout(parser)
    parser.add_argument(
        "--drain",
        type=float,
        default=_DRAIN,
        metavar="SECONDS",
        help="to wait at most, when the program has ended, for pings to be delivered "
        "(default %(default)g)",
    )
    _add_redact(parser)
    parser.add_argument(
        "--marker",
        action="append",
        type=_pair,
        default=[],
        metavar="MESSAGE=EVENT",
        help="a message of the program's (or how it begins) that triggers a ping; the event is "
        "start, success, fail or log; may be given again and again",
    )
    flags = [
        parser.add_argument("--no-logs", action="store_true", help="pings without the log"),
        _add_mask(parser),
        parser.add_argument("--no-start", action="store_true", help="no ping when the run starts"),
        parser.add_argument(
            "--markers-only",
            action="store_true",
            help="the process is no run, only markers tell; for daemons",
        ),
    ]
    return parser, {"-h", "--help"}.union(*(flag.option_strings for flag in flags))


def _split(args: list[str], flags: set[str]) -> tuple[list[str], list[str]]:
    """Loghc's own arguments, and those from TARGET on, which are not loghc's to read."""
    position = 0
    while position < len(args):
        arg = args[position]
        if arg == "--":
            return args[:position], args[position + 1 :]
        if not arg.startswith("-") or arg == "-" or arg.startswith("-m"):
            break
        position += 1 if arg in flags or "=" in arg else 2
    return args[:position], args[position:]


def _check_url(parser: argparse.ArgumentParser, given: str | None) -> PingUrl:
    try:
        url = ping_url(None) if given is None else PingUrl.parse(given, "--health-check-url")
    except ValueError as error:
        parser.error(str(error))
    if url is None:
        parser.error(_NO_URL)
    return url


def _sink(options: argparse.Namespace, kind: type[WatchedSink]) -> WatchedSink:
    from loghc.watch.launcher import ProcessSink

    markers = job_markers(options.job)
    starts = Event.START in dict(options.marker).values()
    if kind is ProcessSink:
        markers = {text: event for text, event in markers.items() if event is Event.LOG}
    elif options.no_start:
        markers = {text: event for text, event in markers.items() if event is not Event.START}
    if options.no_start and starts:
        raise ValueError("marker: one stands for a start, and --no-start leaves starts out")
    return kind(
        options.health_check_url,
        job=options.job,
        markers={**markers, **dict(options.marker)},
        limit=options.limit,
        timeout=options.timeout,
        drain=options.drain,
        send_logs=not options.no_logs,
        mask_secrets=not options.no_mask_secrets,
        redact=tuple(options.redact),
    )


# loghc ping


def _ping(options: argparse.Namespace) -> int:
    from loghc.command.ping import send_ping

    parser = _Parser(prog="loghc ping")
    urls = [text for text in options.arguments if text != "-"]
    options.stdin = len(urls) < len(options.arguments)
    if options.stdin and options.message is not None:
        parser.error("-: not allowed with argument --message")
    if len(urls) > 1 or (urls and options.health_check_url is not None):
        parser.error("expected one ping URL")
    if urls and not urls[0].lower().startswith(("http://", "https://")):
        parser.error(f"expected a ping URL or -, not {urls[0]!r}")
    url = _check_url(parser, urls[0] if urls else options.health_check_url)
    if not 0 < options.timeout < float("inf"):
        parser.error(f"--timeout: expected a positive number of seconds, not {options.timeout}")
    try:
        status = send_ping(options, url)
    except ValueError as error:
        parser.error(f"--{error}")  # --redact
    if urls:
        print(f"loghc ping: {_SEEN}", file=sys.stderr)
    return status
