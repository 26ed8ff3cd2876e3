"""``loghc run``: its command line, and what is refused before anything is started."""

from __future__ import annotations

import os
import re

from loghc.command.printing import show, show_error
from loghc.command.run_options import parse
from loghc.command.table import UsageError
from loghc.command.where import find_ca_file, find_url
from loghc.report import report
from loghc.service.environment import (
    CA_FILE_VARIABLE,
    URL_FILE_VARIABLE,
    URL_VARIABLE,
    ping_url,
    turned_off,
)
from loghc.service.url import UUID, PingUrl
from loghc.watch.command import resolve

TYPE_CHECKING = False  # typing and argparse take longer to import than the program to start
if TYPE_CHECKING:
    from loghc.watch.command import Command
    from loghc.watch.options import Options

__all__ = ["run"]

_DESCRIPTORS = 6  # that a watcher needs, besides the standard streams
# What looks like a ping URL where a command is expected, in whole or in part. A file of that name
# may be run by its path: "./example.com/...".
_LIKE_URL = rf"[a-zA-Z][a-zA-Z0-9+.-]*:/|%3[aA]|[^/@]*@|{UUID}|[0-9a-fA-F]{{32}}"
_LIKE_HOST = r"[\w-]+(\.[\w-]+)*\.[a-zA-Z]{2,}(:\d+)?/|localhost[:/]|[\d.]+:\d+/"


def run(args: list[str]) -> int:
    """Run ``loghc run`` with these arguments: this process exits as the program does.

    Returns:
        The exit status, if nothing was started.

    Raises:
        UsageError: something is wrong, and nothing was started.
    """
    options, words = parse(args)
    if options is None:
        from loghc.command.help import help_text

        show(help_text("run"))
        return 0
    if os.name != "posix":
        raise UsageError("it needs a POSIX system")
    off = options.given_url is None and options.url_file is None and turned_off()
    if not off:
        options.url = find_url(options)
        options.hidden_variables = _hidden_variables(options)
        find_ca_file(options)
    if not words or words in (["-m"], ["-c"]):
        raise UsageError("expected a COMMAND: a script, -m MODULE, -c CODE, or a program's name")
    if _looks_like_url(words[0], None if off else options.url):
        raise UsageError(
            f"expected a COMMAND, not a URL; give the ping URL in {URL_VARIABLE}, or by --url"
        )
    command = resolve(words, options.python)
    if options.dry_run:
        from loghc.command.plan import show_plan

        return show_plan(options, command, watched=not off)
    if not off and not _has_descriptors():
        report("too few file descriptors to watch: the program runs unwatched.")
        off = True
    if off:
        return _become(command)
    from loghc.watch.watcher import watch

    return watch(options, command)


def _has_descriptors() -> bool:
    """Whether there are as many file descriptors as it takes to watch and to send a ping."""
    opened: list[int] = []
    try:
        while len(opened) < _DESCRIPTORS:
            opened += os.pipe()
    except OSError:
        return False
    finally:
        for descriptor in opened:
            os.close(descriptor)
    return True


def _become(command: Command) -> int:
    from loghc.watch.child import CannotStartError, become

    try:
        become(command)
    except CannotStartError as error:
        show_error(f"loghc: {command.argv[0]}: {error.reason}")
        return error.status


def _hidden_variables(options: Options) -> list[str]:
    """The environment variables to hide from the program: those that were read, or say the same.

    They stay visible if the program's own sinks ping another check.
    """
    own = [URL_VARIABLE, URL_FILE_VARIABLE, CA_FILE_VARIABLE]
    if options.given_url is None and options.url_file is None:
        return own
    try:
        other = ping_url(None)
    except ValueError:
        return []
    if other is None:
        return [CA_FILE_VARIABLE]
    return own if _parts(other) == _parts(options.url) else []


def _parts(url: PingUrl) -> tuple[str | None, ...]:
    return url.origin, url.path, url.query, url.credentials


def _looks_like_url(word: str, url: PingUrl | None) -> bool:
    if os.path.exists(word):
        return False
    if re.match(_LIKE_URL, word) or re.match(_LIKE_HOST, word) or re.search(UUID, word):
        return True
    if url is None:
        return False
    secrets = (url.path.strip("/"), *url.path.strip("/").split("/"), url.password)
    folded = word.lower()
    return any(len(secret or "") > 4 and (secret or "").lower() in folded for secret in secrets)
