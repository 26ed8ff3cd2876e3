"""The ``loghc`` command: runs programs, sends single pings, shows a demonstration."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

from loghc.markers import job_markers
from loghc.ping import Attempt, Event, Ping
from loghc.service.environment import URL_FILE_VARIABLE, URL_VARIABLE, ping_url
from loghc.service.url import PingUrl
from loghc.utf8 import encode, keep_end
from loghc.version import __version__

if TYPE_CHECKING:
    from loghc.service.client import PingClient
    from loghc.watch.launcher import WatchedSink


__all__ = ["main"]

_USAGE = 2  # exit status of a command that can't be done as it was given
_NOT_DELIVERED = 1
_LIMIT = 100_000  # bytes
_TIMEOUT = 10.0  # seconds
_DRAIN = 10.0
_CHUNK = 65_536  # bytes of standard input read at a time
_LEVELS = ("TRACE", "DEBUG", "INFO", "SUCCESS", "WARNING", "ERROR", "CRITICAL")

# The run of every "loghc ping": a start and the end that follows it, from two commands, pair.
_RUN_NAME = "loghc ping"

_NO_URL = (
    f"no ping URL: set {URL_VARIABLE}, or {URL_FILE_VARIABLE} to the path of a file that holds it, "
    "or give --health-check-url"
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
        self.exit(_USAGE, f"{self.prog}: {message} (see {self.prog} --help)\n")


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
    text = ping.add_mutually_exclusive_group()
    text.add_argument("--message", metavar="TEXT", help="text to attach")
    text.add_argument(
        "stdin", nargs="?", choices=["-"], metavar="-", help="attach the end of standard input"
    )
    ping.add_argument(
        "--dry-run",
        action="store_true",
        help="send nothing: say which URL and proxy count, and open the connection",
    )
    _add_url(ping)
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
    parser.add_argument(
        "--redact",
        action="append",
        default=[],
        metavar="PATTERN",
        help="regular expression: what it matches leaves this machine as [redacted]; may be "
        "given again and again",
    )
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
        url = ping_url(given, "--health-check-url")
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
        redact=tuple(options.redact),
    )


# loghc ping


def _ping(options: argparse.Namespace) -> int:
    from loghc.log.masking import Masker
    from loghc.runs import run_id_from
    from loghc.service.client import PingClient

    parser = _Parser(prog="loghc ping")
    if options.dry_run:
        from loghc.command.dry_run import dry_run

        return dry_run(options.health_check_url, options.timeout)
    url = _check_url(parser, options.health_check_url)
    if not 0 < options.timeout < float("inf"):
        parser.error(f"--timeout: expected a positive number of seconds, not {options.timeout}")
    event, status = options.event or Event.SUCCESS, options.exit_status
    if status is not None:
        event = Event.FAIL if status else Event.SUCCESS
    masker = Masker(url)
    text = _stdin() if options.stdin else encode(options.message or "")
    body = masker.data(encode(text.decode("utf-8", "replace")))
    ping = Ping(event, run_id_from(_RUN_NAME), lambda: body, status)
    what = f"{event.value if status is None else f'exit status {status}'} ping to {url.masked}"
    client = PingClient(url, masker.text, options.timeout, {}, None, __version__)
    with contextlib.closing(client):
        begun = time.monotonic()
        attempt = client.send(ping, body, options.timeout)
        seconds = time.monotonic() - begun
        if not attempt.delivered:
            advice = f" {attempt.advice}" if attempt.advice else ""
            print(f"loghc ping: {what} not delivered: {attempt.error}.{advice}", file=sys.stderr)
            return _NOT_DELIVERED
        made = ", which made the check" if attempt.status == 201 else ""
        print(f"Delivered: {what}, answered with {attempt.status} in {seconds:.2f} s{made}.")
        from loghc.command.dry_run import about_answer

        foreign = about_answer(attempt)
        if foreign is not None:
            print(foreign)
        print(_about_limit(client.body_limit))
        if attempt.kept is not None:
            print(_send_end(client, ping, body, attempt, options.timeout))
    return 0


def _stdin() -> bytes:
    """The end of standard input: all of it is read, and no more kept than a ping may carry."""
    stream: BinaryIO | None = sys.stdin.buffer if sys.stdin else None
    end = b""
    while stream is not None and (chunk := stream.read(_CHUNK)):
        end = keep_end(end + chunk, _LIMIT)
    return end


def _about_limit(limit: int | None) -> str:
    if limit is None:
        return "The service announced no limit for a log: how much of one it keeps is not known."
    if limit >= _LIMIT:
        return f"The service keeps {limit:,} bytes of a log: all that loghc sends by default."
    return (
        f"The service keeps {limit:,} bytes of a log: loghc sends the last {limit:,} of the "
        f"{_LIMIT:,} that it keeps by default. A service of your own can be told to keep more."
    )


def _send_end(client: PingClient, ping: Ping, body: bytes, first: Attempt, timeout: float) -> str:
    """The service kept the front of a body: the end, which matters, goes after it."""
    kept = f"It kept the first {first.kept:,} of {len(body):,} bytes"
    again = client.send(Ping(Event.LOG, ping.run_id, ping.body), body, timeout)
    if again.delivered:
        return f"{kept}; the end was sent after them, as a log."
    return f"{kept}; the end was lost: {again.error}."
