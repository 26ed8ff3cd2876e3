"""A command's options in one table, from which its parser, its help and its page are made."""

from __future__ import annotations

import re

TYPE_CHECKING = False  # typing and argparse take longer to import than a program to start
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    Take = Callable[[Any, str], object]
    Group = tuple[str, tuple["Option", ...]]

__all__ = ["HELP", "Option", "UsageError", "apply", "did_you_mean", "split", "store"]

_NAME = r"--[a-z]+(-[a-z]+)*"  # what may be quoted of an unknown option: it can't be a secret
_CLOSE_ENOUGH = 0.6  # of difflib's ratio, between a mistyped word and a known one


class UsageError(Exception):
    """Says what is wrong with the command line, in a line without secrets."""


class Option:
    """One option.

    Attributes:
        names: its spellings; the first is shown first.
        metavar: stands for its value in the help; empty: it takes none.
        help: what it does, in a sentence without a full stop.
        take: sets it on an options object, given its value; raises ValueError for a wrong one.
    """

    __slots__ = ("help", "metavar", "names", "take")

    def __init__(self, names: str, metavar: str, help: str, take: Take) -> None:  # noqa: A002
        self.names = names.split()
        self.metavar = metavar
        self.help = help
        self.take = take


HELP = Option("-h --help", "", "show this help", lambda _options, _text: None)


def store(name: str, value: object = None, convert: Callable[[str], object] | None = None) -> Take:
    """Make a `take` that sets an attribute to the converted value, or to ``value``."""
    if value is not None:
        return lambda options, _text: setattr(options, name, value)
    convert = convert or str
    return lambda options, text: setattr(options, name, convert(text))


def split(
    groups: Iterable[Group],
    args: list[str],
    refused: dict[str, str],
    *,
    runs_command: bool = False,
) -> tuple[list[tuple[Option, str, str]], list[str]]:
    """The options on a command line, as typed and with their values, and the other words.

    Args:
        groups: the table.
        args: the command line.
        refused: options that don't exist, and the message for each.
        runs_command: the first word that is no option, or ``-m`` or ``-c``, begins a command to
            which everything after it belongs.

    Raises:
        UsageError: an option is unknown, or lacks its value.
    """
    known = {name: option for _, options in groups for option in options for name in option.names}
    given: list[tuple[Option, str, str]] = []
    words: list[str] = []
    position = 0
    while position < len(args):
        word = args[position]
        if word == "--":
            return given, words + args[position + 1 :]
        if not word.startswith("-") or word == "-" or (runs_command and word[:2] in ("-m", "-c")):
            if runs_command:
                return given, args[position:]
            words.append(word)
            position += 1
            continue
        position += 1
        name, equals, value = word.partition("=")
        option = known.get(name)
        if option is None:
            raise UsageError(refused.get(name) or _unknown(name, known))
        if equals and not option.metavar:
            raise UsageError(f"{name}: takes no value")
        if option.metavar and not equals:
            if position == len(args):
                raise UsageError(f"{name}: expected a value, {option.metavar}")
            value = args[position]
            position += 1
        given.append((option, name, value))
    return given, words


def apply(given: list[tuple[Option, str, str]], options: object) -> None:
    """Set the options that were given.

    Raises:
        UsageError: one has a wrong value.
    """
    for option, name, value in given:
        _apply_one(option, name, value, options)


def _apply_one(option: Option, name: str, value: str, options: object) -> None:
    try:
        option.take(options, value)
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A question that names the most similar of the known words, or an empty str."""
    from difflib import get_close_matches

    found = get_close_matches(word, list(known), cutoff=_CLOSE_ENOUGH)
    return f"; did you mean {found[0]}?" if found else ""


def _unknown(name: str, known: Iterable[str]) -> str:
    if not re.fullmatch(_NAME, name):
        return "unknown option"
    longer = [each for each in known if each.startswith(name)]
    return f"unknown option {name}" + did_you_mean(name, longer or known)
