"""Whether a record has come before."""

from __future__ import annotations

import weakref
from typing import Any

from loghc.repeats import Repeats


class Part:
    pass


def record() -> dict[str, Any]:
    return {name: Part() for name in ("elapsed", "time", "level", "process", "thread")}


def test_a_record_is_repeated_when_it_comes_again_and_not_when_another_is_like_it() -> None:
    repeats, first = Repeats(), record()
    assert [repeats.is_repeated(each) for each in (first, record(), first)] == [False, False, True]


def test_of_old_records_nothing_is_kept() -> None:
    repeats, first = Repeats(), record()
    elapsed = weakref.ref(first["elapsed"])
    repeats.is_repeated(first)
    del first
    assert elapsed() is not None  # no other may have its identity
    for _ in range(1000):
        repeats.is_repeated(record())
    assert elapsed() is None
