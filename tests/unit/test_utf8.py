"""Text as bytes: nothing raises, and no cut goes through a character."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loghc.utf8 import encode, keep_beginning, keep_end

any_text = st.text(st.one_of(st.characters(), st.sampled_from("\ud800\udfff\ude00\0é€😀")))


@given(any_text)
def test_any_text_becomes_valid_utf8(text: str) -> None:
    decoded = encode(text).decode("utf-8")
    assert decoded == "".join("?" if "\ud800" <= char <= "\udfff" else char for char in text)


@given(any_text, st.integers(0, 60))
def test_the_kept_end_is_the_longest_run_of_whole_characters_that_fits(
    text: str, limit: int
) -> None:
    data = encode(text)
    whole = data.decode()
    ends = (whole[start:].encode() for start in range(len(whole) + 1))
    assert keep_end(data, limit) == next(end for end in ends if len(end) <= limit)


@given(any_text, st.integers(0, 60))
def test_the_kept_beginning_is_the_longest_run_of_whole_characters_that_fits(
    text: str, limit: int
) -> None:
    data = encode(text)
    whole = data.decode()
    beginnings = (whole[:end].encode() for end in range(len(whole), -1, -1))
    assert keep_beginning(data, limit) == next(each for each in beginnings if len(each) <= limit)


def test_text_within_the_limit_is_kept_whole() -> None:
    assert keep_end("zwölf".encode(), 6) == "zwölf".encode()


@pytest.mark.parametrize("keep", [keep_beginning, keep_end])
def test_a_limit_of_zero_keeps_nothing(keep: Callable[[bytes, int], bytes]) -> None:
    assert keep("zwölf".encode(), 0) == b""


@pytest.mark.parametrize(("limit", "kept"), [(1, ""), (2, ""), (3, ""), (4, "😀"), (5, "b😀")])
def test_a_character_is_kept_whole_or_not_at_all(limit: int, kept: str) -> None:
    assert keep_end("ab😀".encode(), limit) == kept.encode()
    assert keep_beginning("😀ba".encode(), limit) == kept[::-1].encode()
