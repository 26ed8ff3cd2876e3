"""``loghc run``: its command line, and what is refused before anything is started."""

from __future__ import annotations

import os
import re

from loghc.command.printing import show, show_error
from loghc.command.run_options import UsageError, parse, split
from loghc.report import report
from loghc.service.environment import URL_FILE_VARIABLE, URL_VARIABLE, ping_url
from loghc.service.url import UUID, PingUrl

TYPE_CHECKING = False  # typing and argparse take longer to import than the program to start
if TYPE_CHECKING:
    from typing import NoReturn

    from loghc.watch.command import Command

__all__ = ["run"]

_USAGE = 2  # exit status of a command that can't be done as it was given
_DESCRIPTORS = 6  # that a watcher needs, beside the standard streams
_OFF = "off"  # in the place of the URL: run the program, and watch nothing
_NO_URL = (
    f"no ping URL: set {URL_VARIABLE}, or {URL_FILE_VARIABLE} to the path of a file that holds it, "
    "or give --health-check-url"
)
# What looks like a ping URL where a command is expected, in whole or in part. A file of that name
# may be run by its path: "./example.com/...".
_LIKE_URL = rf"[a-zA-Z][a-zA-Z0-9+.-]*:/|%3[aA]|[^/@]*@|{UUID}|[0-9a-fA-F]{{32}}"
_LIKE_HOST = r"[\w-]+(\.[\w-]+)*\.[a-zA-Z]{2,}(:\d+)?/|localhost[:/]|[\d.]+:\d+/"


def run(args: list[str]) -> NoReturn:
    """Do ``loghc run`` with these arguments: this process ends as the program does.

    Raises:
        SystemExit: after ``--help`` and on wrong usage.
    """
    from loghc.watch.command import resolve

    try:
        given, words = split(args)
        if any(name in ("-h", "--help") for name, _ in given):
            from loghc.command.run_help import HELP

            show(HELP)
            raise SystemExit(0)
        if os.name != "posix":
            raise UsageError("it needs a POSIX system")
        options = parse(given)
        urls = [value for name, value in given if name == "--health-check-url"]
        off = not urls and os.environ.get(URL_VARIABLE, "").strip().lower() == _OFF
        if not off:
            options.url, options.url_variables = _url(urls)
        if not words or words in (["-m"], ["-c"]):
            raise UsageError(
                "expected a COMMAND: a script, -m MODULE, -c CODE, or a program's name"
            )
        if _looks_like_url(words[0], None if off else options.url):
            raise UsageError(
                "expected a COMMAND, not a URL; give the ping URL in "
                f"{URL_VARIABLE}, or by --health-check-url"
            )
    except UsageError as error:
        show_error(f"loghc run: {error} (see loghc run --help)")
        raise SystemExit(_USAGE) from None
    command = resolve(words, options.python)
    if not off and not _has_descriptors():
        report("too few file descriptors to watch: the program runs unwatched.")
        off = True
    if off:
        _become(command)
    from loghc.watch.watcher import watch

    watch(options, command)


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


def _become(command: Command) -> NoReturn:
    from loghc.watch.child import CannotStartError, become

    try:
        become(command)
    except CannotStartError as error:
        show_error(f"loghc: {command.argv[0]}: {error.reason}")
        raise SystemExit(error.status) from None


def _url(given: list[str]) -> tuple[PingUrl, list[str]]:
    """The ping URL, and the environment's variables that the program is not to see."""
    try:
        url = ping_url(given[-1] if given else None, "--health-check-url")
        if url is None:
            raise UsageError(_NO_URL)
        if not given:
            return url, [URL_VARIABLE, URL_FILE_VARIABLE]
    except ValueError as error:
        raise UsageError(str(error)) from None
    try:
        other = ping_url(None)
    except ValueError:
        other = None
    same = other is not None and _parts(other) == _parts(url)
    return url, [URL_VARIABLE, URL_FILE_VARIABLE] if same else []


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
