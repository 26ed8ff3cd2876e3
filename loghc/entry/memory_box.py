"""In place of a black box: entries in memory, each of which is the guard's alone to tell."""

from __future__ import annotations

import math
import os

from loghc.entry.black_box import Entry, clean, new_entry
from loghc.entry.claim import GUARDED, Claim
from loghc.entry.memory import memory_directory
from loghc.portable.layout import LOCK

__all__ = ["MemoryBox"]

_SALT_BYTES = 16


class MemoryBox:
    """What a sink keeps its entry in that has a guard and no state directory.

    Attributes:
        salt: of nobody else's: nobody has to recognise a check in here.
    """

    def __init__(self) -> None:
        self.salt = os.urandom(_SALT_BYTES)

    def new(self) -> Entry:
        """A new entry. The guard holds its lock, and this process nothing."""
        directory = new_entry(memory_directory())
        directory.write(LOCK, b"")
        directory.write(GUARDED, b"")
        return Entry(directory)

    def claim(self, check: str) -> list[Claim]:  # noqa: ARG002
        """Nothing: what others left, their guards tell."""
        return []

    def newest_end(self, check: str) -> tuple[float, list[str]]:  # noqa: ARG002
        """Nobody knows."""
        return -math.inf, []

    def bound(self, check: str) -> None:
        """Nothing to do: each guard deletes what it told."""

    def note_end(self, check: str, happened: float) -> None:
        """Nobody has to know."""

    def clean(self) -> None:
        """Delete what the dead left whose guards died as well."""
        clean(memory_directory())

    def sync(self) -> None:
        """Nothing outlives the machine."""

    def close(self) -> None:
        """Nothing is held."""
