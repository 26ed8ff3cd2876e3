"""The options of ``loghc ping``."""

from __future__ import annotations

from loghc.command.hiding import without_urls
from loghc.command.table import HELP, Option, UsageError, apply, split, store
from loghc.command.values import exit_status
from loghc.command.where import REFUSED, WHERE
from loghc.ping import Event

__all__ = ["EXIT_STATUSES", "OPTIONS", "PingOptions", "parse"]


class PingOptions:
    """The options of one ``loghc ping``.

    Attributes:
        events: those that were given; more than one is wrong.
        exit_status: sent in place of an event.
        message: text to attach.
        stdin: attach the end of standard input.
        dry_run: send nothing.
        redact: regular expressions for what must not leave the machine.
        mask_secrets: whether the built-in rules apply as well.
        given_url: the ping URL on the command line.
        seen_url: it was given there without an option.
        url_file: a file that holds it.
        headers: more request headers.
        ca_file: a PEM file of the certificates to trust.
        timeout: seconds for the attempt.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.exit_status: int | None = None
        self.message: str | None = None
        self.stdin = False
        self.dry_run = False
        self.redact: list[str] = []
        self.mask_secrets = True
        self.given_url: str | None = None
        self.seen_url = False
        self.url_file: str | None = None
        self.headers: dict[str, str] = {}
        self.ca_file: str | None = None
        self.timeout = 10.0


def _event(name: str, event: Event, what: str) -> Option:
    return Option(name, "", what, lambda options, _text: options.events.append(event))


OPTIONS = (
    (
        "what to send (default: a success)",
        (
            _event("--start", Event.START, "a run begins"),
            _event("--fail", Event.FAIL, "it failed"),
            _event("--log", Event.LOG, "a note; it doesn't change the check's state"),
            Option(
                "--exit-status",
                "N",
                "0 to 255; 0 is success",
                store("exit_status", convert=exit_status),
            ),
            Option("--message", "TEXT", "text to attach", store("message")),
            Option(
                "--redact",
                "PATTERN",
                "replace what this regular expression matches with [redacted]; repeatable",
                lambda options, text: options.redact.append(text),
            ),
            Option(
                "--no-mask-secrets",
                "",
                "send passwords, keys and tokens as they are in the text",
                store("mask_secrets", value=False),
            ),
        ),
    ),
    ("where it goes", WHERE),
    (
        "instead",
        (
            Option(
                "--dry-run",
                "",
                "send nothing: show which URL and proxy are used, and try the connection",
                store("dry_run", value=True),
            ),
            HELP,
        ),
    ),
)

EXIT_STATUSES = (
    ("0", "delivered; with --dry-run, the service can be reached"),
    ("1", "not delivered, or can't be reached"),
    ("2", "wrong usage"),
)


def parse(args: list[str]) -> PingOptions | None:
    """The options on a command line; None if help is wanted.

    Raises:
        UsageError: one is wrong.
    """
    given, words = split(OPTIONS, args, REFUSED)
    if any(option is HELP for option, _, _ in given):
        return None
    options = PingOptions()
    apply(given, options)
    if len(options.events) + (options.exit_status is not None) > 1:
        raise UsageError("expected one of --start, --fail, --log and --exit-status")
    urls = [word for word in words if word != "-"]
    options.stdin = len(urls) < len(words)
    if options.stdin and options.message is not None:
        raise UsageError("expected one text: --message or -")
    if len(urls) > 1 or (urls and (options.given_url or options.url_file)):
        raise UsageError("expected one ping URL")
    if urls and not urls[0].lower().startswith(("http://", "https://")):
        raise UsageError(f"expected a ping URL or -, not {without_urls(urls[0])!r}")
    if urls:
        options.given_url, options.seen_url = urls[0], True
    return options
