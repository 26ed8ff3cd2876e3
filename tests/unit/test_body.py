"""A body is made in pieces, and what is said when a rule of the user's fails."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from loghc.log.body import Body
from loghc.log.masking import Masker
from loghc.log.redaction import redactor
from loghc.log.rendering import WITHHELD, Renderer, _pieces
from loghc.log.tail import CONTEXT, Snapshot
from loghc.service.url import PingUrl

UUID = "9e9d9bbe-4f2b-4a0e-a1e0-111111111111"
MASKER = Masker(PingUrl.parse(f"https://hc-ping.com/{UUID}"))
LOG = Snapshot((b"sync.start\n", b"password=hunter2\n"), begins_inside_record=False)


def fails(text: str) -> str:
    raise LookupError(text)


def interrupts(text: str) -> str:
    raise KeyboardInterrupt


def test_the_report_of_a_rule_that_fails_is_the_way_from_the_rules_to_the_fault(
    capfd: pytest.CaptureFixture[str],
) -> None:
    renderer = Renderer(1000, MASKER, redactor(fails))
    assert [renderer.render(LOG).whole() for _ in range(2)] == [WITHHELD, WITHHELD]
    assert WITHHELD == b"loghc: the log is withheld, as a redact rule failed.\n"
    first, *frames = capfd.readouterr().err.splitlines()
    assert first.startswith("loghc: redact raised LookupError, so the log is withheld")
    assert first.endswith(":")
    assert "redaction.py" in frames[0]
    assert frames[0].endswith("in redact")
    assert frames[-1].strip() in ("raise LookupError(text)", "^" * len("raise LookupError(text)"))
    assert "in fails" in "".join(frames[-3:])
    assert all(line.startswith('  File "') for line in frames if "File" in line)
    assert "_clean" not in "".join(frames)


def test_a_rule_that_returns_no_text_is_one_that_fails(capfd: pytest.CaptureFixture[str]) -> None:
    assert Renderer(1000, MASKER, redactor(len)).render(LOG).whole() == WITHHELD  # type: ignore[arg-type]
    assert capfd.readouterr().err.startswith("loghc: redact raised TypeError, so the log is")


def test_a_limit_below_the_line_that_says_so_still_holds() -> None:
    assert Renderer(9, MASKER, redactor(fails)).render(LOG).whole() == WITHHELD[-9:]


def test_ctrl_c_in_a_rule_is_the_programs_on_its_main_thread_alone() -> None:
    renderer = Renderer(1000, MASKER, redactor(interrupts))
    with pytest.raises(KeyboardInterrupt):
        renderer.render(LOG).whole()
    bodies: list[bytes] = []
    thread = threading.Thread(target=lambda: bodies.append(renderer.render(LOG).whole()))
    thread.start()
    thread.join()
    assert bodies == [WITHHELD]


@pytest.mark.parametrize("kind", [SystemExit, GeneratorExit])
def test_a_rule_that_exits_is_a_rule_that_fails_on_any_thread(kind: type[BaseException]) -> None:
    def leaves(text: str) -> str:
        raise kind

    assert Renderer(1000, MASKER, redactor(leaves)).render(LOG).whole() == WITHHELD


def test_the_headline_goes_first_and_the_footer_last_and_both_are_masked_too() -> None:
    renderer = Renderer(1000, MASKER, redactor("hunter2"), mask_secrets=False)
    body = renderer.render(LOG, headline="hunter2\nis wrong", lines=[f"at {UUID}"])
    log = b"sync.start\npassword=[redacted]\n"
    assert body == Body(b"[redacted] is wrong", log, b"at ***\n", 0, 1000)
    assert body.whole() == b"[redacted] is wrong\n\n" + log + b"at ***\n"


def test_the_ready_made_rules_go_before_the_users_own() -> None:
    seen: list[str] = []

    def watch(text: str) -> str:
        seen.append(text)
        return text

    for mask_secrets in (False, True):
        Renderer(1000, MASKER, redactor(watch), mask_secrets=mask_secrets).render(LOG).whole()
    assert seen == ["sync.start\npassword=hunter2\n", "sync.start\npassword=[redacted]\n"]


def test_what_a_rule_puts_in_is_masked_again() -> None:
    renderer = Renderer(1000, MASKER, redactor(lambda text: text + UUID))
    assert renderer.render(LOG).whole() == b"sync.start\npassword=hunter2\n***"


def test_bytes_that_are_no_text_are_replaced_where_there_are_rules() -> None:
    log = Snapshot((b"caf\xc3\xa9 \xff secret\n",), begins_inside_record=False)
    renderer = Renderer(1000, MASKER, redactor("secret"))
    assert renderer.render(log).whole().decode() == "caf\u00e9 \ufffd [redacted]\n"


@pytest.mark.parametrize("rules", [(), ("end",)], ids=["", "redact"])
def test_what_may_be_the_end_of_a_secret_that_was_cut_in_two_is_left_out(
    rules: tuple[str, ...],
) -> None:
    log = Snapshot((b"s" * CONTEXT + b"tail\n", b"end\n"), begins_inside_record=True)
    end = b"[redacted]\n" if rules else b"end\n"
    assert Renderer(1000, MASKER, redactor(rules)).render(log).whole() == b"tail\n" + end
    whole = Snapshot(log.chunks, begins_inside_record=False)
    body = Renderer(1000, MASKER, redactor(rules)).render(whole).whole()
    assert body == (b"s" * 1000 + b"tail\n" + end)[-1000:]
    assert Renderer(7, MASKER, redactor(rules)).render(log).whole() == (b"tail\n" + end)[-7:]


def test_of_a_cut_record_that_rules_made_short_nothing_is_left_and_of_those_after_it_all() -> None:
    log = Snapshot((b"s" * CONTEXT + b"\n", b"one\n", b"two\n"), begins_inside_record=True)
    body = Renderer(1000, MASKER, redactor("s+")).render(log, lines=["three"]).whole()
    assert body == b"one\ntwo\nthree\n"


def test_nor_of_records_after_it_where_a_rule_makes_another_text_of_them_without_it() -> None:
    log = Snapshot((b"s" * CONTEXT + b"\n", b"ss\n"), begins_inside_record=True)
    counts = redactor(lambda text: f"{text.count('s')} times s\n")
    assert Renderer(1000, MASKER, counts).render(log).whole() == b""


# What is masked at once: lines, or else words, of 64 to 128 KiB.

PIECE = 65_536


@pytest.mark.parametrize(
    ("data", "sizes"),
    [
        (b"", []),
        (b"x", [1]),
        (b"x" * (3 * PIECE), [3 * PIECE]),
        (b"x" * PIECE + b"\nrest", [PIECE + 1, 4]),
        (b"x" * (PIECE - 1) + b"\nrest", [PIECE + 4]),  # a line's end, but too soon
        (b"x" * (2 * PIECE - 1) + b"\nrest", [2 * PIECE, 4]),
        (b"x" * (2 * PIECE) + b"\nrest", [2 * PIECE + 5]),  # too late
        (b"x" * (2 * PIECE) + b" rest", [2 * PIECE + 1, 4]),
        (b"x" * (2 * PIECE - 1) + b" rest", [2 * PIECE + 4]),
        (b"x\n" * PIECE + b"x\n" * PIECE, [PIECE + 2, PIECE + 2, PIECE + 2, PIECE - 6]),
    ],
)
def test_pieces_are_of_whole_lines_or_words(data: bytes, sizes: list[int]) -> None:
    pieces = list(_pieces(data))
    assert [len(piece) for piece in pieces] == sizes
    assert b"".join(pieces) == data


# The parts


PARTS = Body(b"OSError: disk full", b"copied\n" * 5_000 + b"sync.error\n", b"Traceback\n", 11)


def test_the_headline_stays_in_front_however_little_room_there_is() -> None:
    for limit in (0, 1, 5, 18, 20, 40, 1_000, 100_000):
        body = PARTS.whole(limit)
        assert len(body) <= limit
        assert body.startswith(b"OSError: disk full\n\n"[:limit])
    assert PARTS.whole(1_000).endswith(b"sync.error\nTraceback\n")


def test_a_footer_takes_no_more_than_half_where_there_is_little_room() -> None:
    footer = b"".join(b"line %d\n" % number for number in range(1_000))
    body = PARTS._replace(footer=footer).whole(2_000)
    log, found, rest = body.partition(b"sync.error\n")
    assert found
    assert len(log) > 900
    assert rest.startswith(b"line 0\n")
    assert b"left out the middle" in rest
    assert rest.endswith(b"line 999\n")


def test_less_of_a_body_keeps_its_headline_and_its_markers_record_and_says_so() -> None:
    why = "the service answered 413"
    short, least = PARTS.shortened(1, why), PARTS.shortened(2, why)
    assert PARTS.shortened(0, why) is PARTS
    assert 8_000 < len(short.whole()) < 8_300
    assert short.log.endswith(b"copied\nsync.error\n")
    assert (least.headline, least.log) == (b"OSError: disk full", b"sync.error\n")
    for body in (short, least):
        assert b": the service answered 413\n" in body.footer
    noted = Body(log=b"x" * 20_000, footer=b"y" * 20_000).shortened(1, why)
    assert noted.log == b"x" * 8_000
    assert 3_800 < noted.footer.count(b"y") <= 4_000
    small = Body(log=b"sync.done\n", record_bytes=10)
    assert small.shortened(1, why) is small.shortened(2, why) is small


def test_a_late_body_says_when_it_happened_in_front_where_it_has_a_headline() -> None:
    assert (
        PARTS.late(0)
        .whole()
        .startswith(b"OSError: disk full (sent late, of 1970-01-01 00:00:00 UTC)\n\n")
    )
    long = Body(b"x" * 300).late(0)
    assert len(long.headline) == 300
    assert long.headline.endswith(b" UTC)")
    log = Body(log=b"sync.done\n").late(0).whole()
    assert log == b"sync.done\nloghc: sent late: this happened at 1970-01-01 00:00:00 UTC\n"


@pytest.mark.parametrize(
    "body",
    [PARTS.late(0), Body(log=b"sync.done\n").late(0), Body(log=Body(log=b"a\n").late(0).whole())],
)
def test_a_body_that_comes_late_twice_says_so_once(body: Body) -> None:
    assert body.late(1_000_000_000) is body


def test_a_headline_is_one_line_of_300_characters_at_most() -> None:
    headline = "a\n\tb\0\x1b[31m\u202ec\x85 ```d``` " + "\u00e9" * 400
    body = Renderer(10_000, MASKER, None).render(LOG, headline=headline)
    assert body.headline.decode().startswith("a b c '''d''' \u00e9")
    assert len(body.headline.decode()) == 300
    assert Body.of_failure(body.whole()).headline == body.headline


@pytest.mark.parametrize("rule", [lambda text: text.replace("\0", ""), lambda text: text + "\0"])
def test_a_rule_that_takes_out_what_it_does_not_know_leaves_the_parts(
    rule: Callable[[str], str],
) -> None:
    body = Renderer(1000, MASKER, redactor(rule)).render(LOG, headline="cause", lines=["end"])
    assert body.headline == b"cause"
    assert body.whole().startswith(b"cause\n\nsync.start\n")


def test_nuls_leave_a_body() -> None:
    log = Snapshot((b"a\0b\n",), begins_inside_record=False)
    assert Renderer(1000, MASKER, None).render(log, lines=["c\0d"]).whole() == b"ab\ncd\n"
