"""Recognises a record that comes twice, as it does to a sink that was added twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["Repeats"]

_MAX_REMEMBERED = 64  # records
_OWN_PARTS = ("elapsed", "time", "level", "process", "thread")  # of each record, made by loguru


class Repeats:
    """Tells apart one record that came through two handlers, and two records.

    It doesn't keep the record itself, which holds its exception's frames, but parts that loguru
    creates for each record. The app may patch some of them, but hardly all.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[int, ...], tuple[object, ...]] = {}  # the newest last

    def is_repeated(self, record: Mapping[str, Any]) -> bool:
        """Whether this record has come before. Remembers it."""
        parts = tuple(map(record.get, _OWN_PARTS))
        identity = tuple(map(id, parts))
        if identity in self._seen:
            return True
        self._seen[identity] = parts  # held, so that no other has this identity
        if len(self._seen) > _MAX_REMEMBERED:
            self._seen.pop(next(iter(self._seen)), None)
        return False
