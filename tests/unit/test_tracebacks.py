"""Long tracebacks lose the frames in their middle, whole ones."""

from __future__ import annotations

import pytest

from loghc.log.tracebacks import without_middle

HEAD = "Traceback (most recent call last):\n"
FRAMES = [f'  File "/app/job.py", line {number:4}, in step\n    go_on()\n' for number in range(50)]
LAST = '  File "/app/job.py", line 9999, in step\n    go_on()\nRecursionError: too deep\n'
TEXT = HEAD + "".join(FRAMES) + LAST
FRAME = len(FRAMES[0])


def cut(begin: int, end: int) -> str:
    """With so many frames at the beginning, and so many before the last one."""
    note = f"  ... loghc left out {50 - begin - end} frames here ...\n"
    return HEAD + "".join(FRAMES[:begin]) + note + "".join(FRAMES[50 - end :]) + LAST


def test_what_fits_stays_as_it_is() -> None:
    assert without_middle(TEXT, len(TEXT)) == TEXT
    assert without_middle(TEXT, len(TEXT) - 1) != TEXT
    wide = TEXT.replace("too deep", "zu tief: \u00fc\u00fc")
    assert without_middle(wide, len(wide.encode())) == wide
    assert without_middle(wide, len(wide)) != wide


@pytest.mark.parametrize("end", [1, 2, 3, 10])
def test_a_half_is_for_the_end_the_rest_for_the_beginning_and_60_bytes_for_the_note(
    end: int,
) -> None:
    limit = 60 + 2 * (len(LAST) + end * FRAME)
    begin = (limit - 60 - len(LAST) - end * FRAME - len(HEAD)) // FRAME
    assert without_middle(TEXT, limit) == cut(begin, end)
    begin = (limit - 2 - 60 - len(LAST) - (end - 1) * FRAME - len(HEAD)) // FRAME
    assert without_middle(TEXT, limit - 2) == cut(begin, end - 1)


def test_the_beginning_fills_its_room_to_the_last_byte() -> None:
    rest = 60 + len(LAST) + 10 * FRAME
    limit = rest + len(HEAD) + 12 * FRAME
    assert without_middle(TEXT, limit) == cut(12, 10)
    assert without_middle(TEXT, limit - 1) == cut(11, 10)


def test_where_no_more_fits_the_head_and_the_last_frame_are_left() -> None:
    limit = 60 + 2 * len(LAST)
    assert len(HEAD) + FRAME > len(LAST)
    assert without_middle(TEXT, limit) == cut(0, 0)


def test_each_part_counts_with_its_own_size() -> None:
    long = FRAMES[-1] + "    + a note of the frame's own\n" * 4
    text = TEXT.replace(FRAMES[-1], long)
    limit = 60 + 2 * (len(LAST) + len(long) + FRAME)
    assert without_middle(text, limit).endswith(f"here ...\n{FRAMES[-2]}{long}{LAST}")
    assert without_middle(text, limit - 2).endswith(f"here ...\n{long}{LAST}")


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "x" * 500,
        "y" * 300 + "".join(FRAMES),
        HEAD + "".join(FRAMES) + "z" * 300,
        "y" * 300 + "".join(FRAMES) + "z" * 300,
    ],
    ids=["no frames", "the beginning", "the end", "both"],
)
def test_what_can_t_be_made_to_fit_stays_whole(text: str) -> None:
    assert without_middle(text, 200) == text


@pytest.mark.parametrize("margin", ["    ", "> ", "  | ", "  + Exception Group Traceback:\n  | "])
def test_frames_as_loguru_and_exception_groups_draw_them(margin: str) -> None:
    frames = "".join(f'{margin}File "a.py", line {number}\n' for number in range(1_100))
    out = without_middle(f"{HEAD}{frames}Error\n", 600)
    assert len(out) <= 600
    assert out.startswith(HEAD)
    assert out.endswith("line 1099\nError\n")
    assert " frames here ...\n" in out
    assert ",0" in out or ",1" in out  # of more than a thousand
