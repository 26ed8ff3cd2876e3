"""What ``--help`` shows, built from the tables of options."""

from __future__ import annotations

import textwrap

from loghc.command import ping_options, run_options
from loghc.command.printing import width
from loghc.service.environment import URL_FILE_VARIABLE, URL_VARIABLE

TYPE_CHECKING = False  # typing takes longer to import than all of this
if TYPE_CHECKING:
    from collections.abc import Iterable

    from loghc.command.table import Group, Option

__all__ = ["COMMANDS", "help_text"]

COMMANDS = {
    "run": "run a program, and ping when it starts and ends",
    "ping": "send one ping now, and show the answer",
    "demo": "show a run with a service on this machine",
    "help": "show the help of a command",
}
_COLUMN = 24  # where the explanation of an option begins

_RUN = f"""\
Run a program, and ping a monitoring service when it starts and when it ends, whatever ends it. The
end of what it logs with loguru is attached.

COMMAND is a Python script, directory or zip file, "-m MODULE", "-c CODE", or any other program on
the PATH: "python app.py", "bash nightly.sh", an installed console script. What follows it belongs
to the program. It is started as a shell would start it, with the same streams and the same
environment, except for the ping URL, which it doesn't need, and what makes it record its log
(PYTHONPATH, LOGHC_RUN). With {URL_VARIABLE}=off it is started, but not watched."""

_RUN_MORE = """\
The process is the run: a start when it starts, success when it ends with 0, its exit status
otherwise; 128 + n if signal n killed it. If the program logs "<job>.log", a note is sent;
"<job>.error" makes it a failed run, even if it ends with 0. "<job>.start" and "<job>.done" are
ordinary lines, because the process itself starts and ends the run.

With --markers-only it is the other way round: "<job>.start", "<job>.done", "<job>.error" and
"<job>.log" (and --marker) trigger pings, each start opens a run, and a run that is open at the end
failed. The end is when the last process of the program has ended."""

_RUN_EXAMPLES = (
    f"{URL_VARIABLE}=https://hc-ping.com/<uuid> loghc run backup.py --all",
    "loghc run --job nightly --redact 'token=\\S+' -m backup --all",
    "loghc run --ok-status 3 --output restic backup /home",
    "loghc run --markers-only --marker 'Backup finished=success' backup-daemon",
)

_PING = f"""\
Send one ping now, and show the answer, to find out why no ping arrives. One attempt is made.

URL is the ping URL, as with --url; without it {URL_VARIABLE} is used, then the file that
{URL_FILE_VARIABLE} names. "-" attaches the end of standard input."""

_PING_EXAMPLES = (
    f"{URL_VARIABLE}=https://hc-ping.com/<uuid> loghc ping --message 'it works'",
    "make backup 2>&1 | loghc ping --log -",
    "loghc ping --exit-status $?",
    "loghc ping --dry-run",
)


def help_text(command: str = "") -> str:
    """The help of a command, or of ``loghc`` itself, as wide as the terminal."""
    if command == "run":
        return _page(
            "loghc run [options] COMMAND [args...]",
            [_RUN, *_options(run_options.OPTIONS), _RUN_MORE],
            run_options.EXIT_STATUSES,
            _RUN_EXAMPLES,
        )
    if command == "ping":
        return _page(
            "loghc ping [options] [URL] [-]",
            [_PING, *_options(ping_options.OPTIONS)],
            ping_options.EXIT_STATUSES,
            _PING_EXAMPLES,
        )
    if command == "demo":
        what = "Show how loghc behaves, with a service on this machine: nothing leaves it."
        return _page("loghc demo", [what], (), ("loghc demo",))
    return _page(
        "loghc COMMAND ...",
        [
            "Healthchecks pings, with the end of the log attached.",
            _list("commands", COMMANDS.items()),
            _list("options", [("--version", "show the version"), ("-h, --help", "show this help")]),
        ],
        (),
        (f"{URL_VARIABLE}=https://hc-ping.com/<uuid> loghc run backup.py", "loghc help run"),
    )


def _page(
    usage: str, parts: list[str], statuses: Iterable[tuple[str, str]], examples: Iterable[str]
) -> str:
    shown = [f"usage: {usage}", *(part if "\n  " in part else _wrapped(part) for part in parts)]
    if statuses:
        shown.append(_list("exit status", statuses))
    shown.append("\n".join(["examples:", *(f"  {example}" for example in examples)]))
    return "\n\n".join(shown)


def _wrapped(text: str) -> str:
    return "\n\n".join(
        textwrap.fill(" ".join(part.split()), width()) for part in text.split("\n\n")
    )


def _options(groups: Iterable[Group]) -> list[str]:
    return [_list(title, ((_typed(each), each.help) for each in group)) for title, group in groups]


def _typed(option: Option) -> str:
    return ", ".join(option.names) + (f" {option.metavar}" if option.metavar else "")


def _list(title: str, rows: Iterable[tuple[str, str]]) -> str:
    indent = " " * _COLUMN
    lines = [f"{title}:"]
    for name, text in rows:
        wrapped = textwrap.fill(
            text, max(width(), 2 * _COLUMN), initial_indent=indent, subsequent_indent=indent
        )
        head = f"  {name}"
        fits = len(head) <= _COLUMN - 2
        lines.append(head + (wrapped[len(head) :] if fits else f"\n{wrapped}"))
    return "\n".join(lines)
