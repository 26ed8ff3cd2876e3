"""Escape sequences go, in a time in proportion to the log; what only begins like one stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loghc.log.escapes import without_escapes
from waiting import seconds_for


@pytest.mark.parametrize(
    "start", [b"\x1b[", b"\x1b]", b"\x1b[1;", b"\x1b[ ", b"\x1b", b"\x1b(", b"\x1b]\x1b["]
)
@pytest.mark.parametrize("repeated", [b"", b"1", b" ", b"a;"])
def test_what_never_ends_takes_no_longer(start: bytes, repeated: bytes) -> None:
    whole = start * (300_000 // len(start)) if repeated == b"" else start + repeated * 300_000
    assert seconds_for(lambda: without_escapes(whole)) < 5  # it takes some milliseconds


@given(st.lists(st.tuples(st.text("ab[]0m\n"), st.sampled_from(["31", "", "1;38;5;7", "?25"]))))
def test_a_text_without_its_colours_is_the_text(pieces: list[tuple[str, str]]) -> None:
    coloured = "".join(f"{text}\x1b[{colour}m" for text, colour in pieces)
    assert without_escapes(coloured.encode()).decode() == "".join(text for text, _ in pieces)


@pytest.mark.parametrize("text", [b"", b"[31m", b"\x1b", b"\x1b[31", b"a \x1b]8;;\nb", b"\x1b["])
def test_what_is_no_whole_sequence_stays(text: bytes) -> None:
    assert without_escapes(text) == text
