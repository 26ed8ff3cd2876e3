"""The options of ``loghc run``."""

from __future__ import annotations

import os

from loghc.command.table import HELP, Option, UsageError, apply, split, store
from loghc.command.values import (
    byte_count,
    directory,
    exit_statuses,
    expectation,
    file,
    level,
    seconds,
    verdicts,
)
from loghc.command.where import REFUSED, WHERE
from loghc.watch.options import Options

__all__ = ["EXIT_STATUSES", "OPTIONS", "parse"]

_EVENTS = ("start", "success", "fail", "log")


def _job(text: str) -> str:
    if not text or text != text.strip():
        raise ValueError("expected a name without white space around it")
    return text


def _fail_on(options: Options, text: str) -> None:
    options.fail_on = level(text)
    options.fail_on_name = text.upper()


def _marker(options: Options, text: str) -> None:
    message, equals, event = text.rpartition("=")
    event = event.strip().lower()
    if not equals or not message:
        raise ValueError("expected 'MESSAGE=EVENT'")
    if event not in _EVENTS:
        raise ValueError(f"expected one of {', '.join(_EVENTS)} after the last '='")
    options.markers[message] = event


def _ok_status(options: Options, text: str) -> None:
    options.statuses.update(dict.fromkeys(exit_statuses(text), "success"))


def _on_failure(text: str) -> str:
    if text not in ("fail", "log"):
        raise ValueError("expected fail or log")
    return text


def _scope(text: str) -> str:
    if text not in ("all", "run"):
        raise ValueError("expected all or run")
    return text


def _events(text: str) -> frozenset[str]:
    words = frozenset(word.strip().lower() for word in text.split(","))
    if not words <= set(_EVENTS):
        raise ValueError(f"expected some of {', '.join(_EVENTS)}, with commas between")
    return words


def _state(text: str) -> str:
    path = directory(text)
    try:
        return os.path.abspath(path)
    except OSError:  # the working directory was deleted
        return path


OPTIONS = (
    (
        "where pings go",
        WHERE,
    ),
    (
        "what an end means",
        (
            Option(
                "--status",
                "N[,N...]=VERDICT",
                "what exit statuses mean: success, fail, or log, which is no verdict (75, say, for "
                "a lock that is held); 128 + n for signal n; repeatable. With log, no start is "
                "sent, because a service that got one waits for an end",
                lambda options, text: options.statuses.update(verdicts(text)),
            ),
            Option("--ok-status", "N[,N...]", "short for --status N=success", _ok_status),
            Option(
                "--on-failure",
                "VERDICT",
                "what a failure that --status doesn't name means: fail (the default), or log, for "
                "a job that something else retries; with log, no start is sent",
                store("on_failure", convert=_on_failure),
            ),
            Option(
                "--expect",
                "TEXT",
                "text that a good run logs or, with --output, prints: a run that exits with 0 "
                "but never did is a failure; repeatable",
                lambda options, text: options.expected.append(expectation("text", text)),
            ),
            Option(
                "--expect-re",
                "PATTERN",
                "the same with a regular expression",
                lambda options, text: options.expected.append(expectation("pattern", text)),
            ),
            Option(
                "--fail-on",
                "LEVEL",
                "a record of this level or above makes the run a failure",
                _fail_on,
            ),
            Option(
                "--job",
                "NAME",
                "name of the markers (default sync)",
                store("job", convert=_job),
            ),
            Option(
                "--marker",
                "MESSAGE=EVENT",
                "a message of the program (or its beginning) that sends a ping; with --output also "
                "a line that it prints. The event is log or fail, with --markers-only also start "
                "or success; repeatable",
                _marker,
            ),
            Option(
                "--markers-only",
                "",
                "for daemons and worker pools: markers, not the process, start and end runs",
                store("markers_only", value=True),
            ),
        ),
    ),
    (
        "what is kept of the log",
        (
            Option(
                "--output",
                "",
                "add what the program prints to the log; it is also passed on unchanged. A stream "
                "that is a terminal is left alone",
                store("output", value=True),
            ),
            Option(
                "--level",
                "LEVEL",
                "keep records of this level or above (default: what the program's own handlers "
                "take)",
                store("level", convert=level),
            ),
            Option(
                "--state",
                "DIR",
                "a directory that survives a crash of the machine. If loghc dies together with the "
                'program, or can\'t deliver the end, the next "loghc run" of the same check sends '
                "it. With --state, the log is kept there too, otherwise in memory. Default: "
                "$XDG_STATE_HOME/loghc; none if that isn't set",
                store("state", convert=_state),
            ),
        ),
    ),
    (
        "what is sent",
        (
            Option(
                "--events",
                "EVENT[,EVENT...]",
                "the pings to send: start, success, fail, log (default: all)",
                store("events", convert=_events),
            ),
            Option(
                "--scope",
                "SCOPE",
                "with --markers-only: all (the default), the end of everything that was logged; "
                "or run, without what is known to belong to another run",
                store("scope", convert=_scope),
            ),
            Option("--no-start", "", "send no ping when a run starts", store("start", value=False)),
            Option("--no-logs", "", "send pings without the log", store("send_logs", value=False)),
            Option(
                "--limit",
                "BYTES",
                "the most that a ping carries (default 100k, which is 100,000)",
                store("limit", convert=byte_count),
            ),
            Option(
                "--redact",
                "PATTERN",
                "replace what this regular expression matches with [redacted]; repeatable",
                lambda options, text: options.redact.append(text),
            ),
            Option(
                "--no-mask-secrets",
                "",
                "send passwords, keys and tokens as they are",
                store("mask_secrets", value=False),
            ),
        ),
    ),
    (
        "how it is run",
        (
            Option(
                "--drain",
                "SECONDS",
                "how long to wait for pings to be delivered once the program has ended (default "
                "10)",
                store("drain", convert=seconds),
            ),
            Option(
                "--python",
                "PATH",
                "the Python for scripts, -m and -c (default: the one that runs loghc)",
                store("python", convert=file),
            ),
            Option(
                "--dry-run",
                "",
                "start and send nothing: show what would be started, watched and sent, and try the "
                "connection to the service",
                store("dry_run", value=True),
            ),
            HELP,
        ),
    ),
)

EXIT_STATUSES = (
    ("the program's", "it exited by itself; trouble with the service doesn't change it"),
    ("its signal", "a signal killed the program, and kills loghc, too: a shell shows 128 + n"),
    ("127, 126", "COMMAND wasn't found, or can't be executed: a failure is sent"),
    ("2", "something on the command line or in the environment is wrong: nothing was started"),
)


def parse(args: list[str]) -> tuple[Options | None, list[str]]:
    """The options on a command line (None if help is wanted), and the words from COMMAND on.

    Raises:
        UsageError: one is wrong.
    """
    given, words = split(OPTIONS, args, REFUSED, runs_command=True)
    if any(option is HELP for option, _, _ in given):
        return None, words
    options = Options()
    apply(given, options)
    if options.redact:
        from loghc.log.redaction import redactor

        try:
            redactor(options.redact)
        except ValueError as error:
            raise UsageError(f"--{error}") from None
    if options.expected and options.markers_only:
        raise UsageError("--expect: has no meaning with --markers-only")
    if options.on_failure == "log" or "log" in options.statuses.values():
        options.start = False
    sent = options.events if options.events is not None else frozenset(_EVENTS)
    if not options.start and sent == {"start"}:
        raise UsageError("--events start, and no start: nothing would be sent")
    return options, words
