"""Where masking begins and ends: lengths, cases, and the spellings of forms."""

from __future__ import annotations

import html
import json
import re
import shlex
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from loghc.log.masking import Masker
from loghc.log.secrets import mask_secrets
from loghc.log.secrets.searched import lowered
from loghc.log.spelling import is_uuid, spellings, spellings_in_either_case
from loghc.service.url import PingUrl

UUID = "9e9d9bbe-4f2b-4a0e-a1e0-111111abcdef"


def masked(url: str, text: str) -> str:
    return Masker(PingUrl.parse(url)).text(text)


def test_a_key_that_holds_another_is_masked_as_a_whole() -> None:
    assert masked("https://h/mabcdef12/x?k=amabcdef12z", "<amabcdef12z> <mabcdef12>") == (
        "<***> <***>"
    )


def test_what_stands_far_from_the_end_of_a_path_is_no_key() -> None:
    url = "https://h/status2024/api/abcDEF123/nightly"
    assert masked(url, "<status2024> <abcDEF123>") == "<status2024> <***>"


def test_the_longest_spelling_counts() -> None:
    assert masked(f"http://h/{UUID}?k=abc%25", "k=abc%25 k=abc%") == "k=*** k=***"


def test_a_header_s_value_is_a_scheme_and_all_that_follows() -> None:
    masker = Masker(PingUrl.parse("https://h/x"), {"Authorization": "Token abc def12345"})
    assert masker.text("(abc def12345)") == "(***)"


def test_a_long_log_without_secrets_stays_as_it_is() -> None:
    text = "".join(f"line {number}\n" for number in range(10_000))
    assert mask_secrets(text) == text


def test_lower_case_is_as_long_as_the_text() -> None:
    assert lowered("A \u0130 \u00c9") == "a i \u00e9"
    assert lowered("A \u00c9") == "a \u00e9"


@pytest.mark.parametrize("secret", ["FQOOD6-F4MMNUCENZTU01W", "fqood6-f4mmnucenztu01w"])
def test_a_key_is_masked_in_either_case(secret: str) -> None:
    for spelled in (secret.lower(), secret.upper(), secret.title()):
        assert masked(f"https://hc-ping.com/{secret}/nightly", f"<{spelled}>") == "<***>"


def test_a_uuid_in_capitals_is_masked_in_small_letters_too() -> None:
    for spelled in (UUID, UUID.replace("-", ""), UUID.upper()):
        assert masked(f"https://hc-ping.com/{UUID.upper()}", f"<{spelled}>") == "<***>"


@pytest.mark.parametrize("password", ["hunter 22", "two words+more", "caf\u00e9 au lait"])
def test_a_password_is_masked_as_a_form_spells_it(password: str) -> None:
    url = f"https://bob:{quote(password)}@h/{UUID}"
    assert "+" in quote_plus(password)
    for spelled in (quote_plus(password), quote_plus(quote_plus(password))):
        assert masked(url, f"<{spelled}>") == "<***>"


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("abcdef12", "***"),  # of 8 characters, with a digit, a capital or a sign among them
        ("abcde12", "abcde12"),
        ("abcdEfgh", "***"),
        ("abcdefgh", "abcdefgh"),
        ("Abcdefgh", "Abcdefgh"),
        ("abcdef~h", "***"),
        ("abcd.fgh", "abcd.fgh"),
        ("a" * 17, "***"),  # or longer than any word
        ("a" * 16, "a" * 16),
        ("a" * 16 + "_", "a" * 16 + "_"),
    ],
)
def test_a_key_is_masked_anywhere_if_it_can_be_no_word(key: str, found: str) -> None:
    for url in (f"https://h/{key}/nightly", f"https://h/x?k={key}", f"https://h/x?{key}"):
        assert masked(url, f"<{key}> x{key}x") == f"<{found}> x{found}x"


@pytest.mark.parametrize(("password", "found"), [("abcd", "***"), ("abc", "abc")])
def test_a_password_of_four_characters_is_masked_as_a_word(password: str, found: str) -> None:
    url = f"https://bob:{password}@h/{UUID}"
    assert masked(url, f"<{password}> x{password} {password}x") == (
        f"<{found}> x{password} {password}x"
    )
    assert masked(url, f"http://bob:{password}@h") == "http://bob:***@h"


@pytest.mark.parametrize(
    ("path", "text", "out"),
    [
        ("nightlyx", "http://other/nightlyx", "http://other/***"),  # 8 characters
        ("nightly", "http://other/nightly", "http://other/nightly"),
        ("nightly", "http://h/nightly", "http://h/***"),
        ("nightly", "http://h/nightlyx http://h/nightly-x", "http://h/nightlyx http://h/nightly-x"),
    ],
)
def test_a_short_path_is_a_secret_behind_its_own_host_alone(path: str, text: str, out: str) -> None:
    assert masked(f"http://h/{path}", text) == out


@pytest.mark.parametrize(
    ("query", "text", "out"),
    [
        ("k=abcd", "k=abcd k%3Dabcd abcd", "k=*** k%3D*** abcd"),
        ("k=abc", "k=abc", "k=abc"),
        ("abcd", "abcd", "abcd"),
    ],
)
def test_a_short_value_is_masked_behind_its_name_alone(query: str, text: str, out: str) -> None:
    assert masked(f"http://h/{UUID}?{query}", text) == out


# The spellings themselves, as those write them that a log comes from.


def in_single_quotes(literal: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: literal(f'"{text}').partition('"')[2][:-1]


def in_double_quotes(literal: Callable[[str], str]) -> Callable[[str], str]:
    """As ``repr()`` does around a single one, unless the text has double ones."""
    return lambda text: literal(f"'{text}").partition("'")[2].removeprefix("\\'")[:-1]


def utf8_bytes(text: str) -> str:
    return repr(text.encode())


def latin_bytes(text: str) -> str:
    return repr(text.encode("latin-1")) if max(text) <= "\xff" else repr(text)


WAYS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "quote": lambda text: quote(text, safe=""),
    "quote, a path": quote,
    "a URL": lambda text: quote(text, safe="/!$&'()*+,;=:~"),
    "quote_plus": quote_plus,
    "each byte": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON, UTF-8": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "JSON, a slash": lambda text: json.dumps(text)[1:-1].replace("/", r"\/"),
    "JSON, UTF-8, a slash": lambda text: json.dumps(text, ensure_ascii=False)[1:-1].replace(
        "/", r"\/"
    ),
    "repr": in_single_quotes(repr),
    "repr, double": in_double_quotes(repr),
    "ascii": in_single_quotes(ascii),
    "ascii, double": in_double_quotes(ascii),
    "bytes": in_single_quotes(utf8_bytes),
    "bytes, double": in_double_quotes(utf8_bytes),
    "Latin-1": in_single_quotes(latin_bytes),
    "Latin-1, double": in_double_quotes(latin_bytes),
    "C": lambda text: in_single_quotes(repr)(text).replace("\\'", "'").replace('"', r"\""),
    "C, ASCII": lambda text: in_single_quotes(ascii)(text).replace("\\'", "'").replace('"', r"\""),
    "C, both": lambda text: in_single_quotes(repr)(text).replace('"', r"\""),
    "shlex.quote": lambda text: shlex.quote(f" {text}")[2:-1],
    "sh": lambda text: text.replace("'", r"'\''"),
    "sh, backslashes": lambda text: re.sub(r"([^\w.,:@%+=/-])", r"\\\1", text, flags=re.ASCII),
    "html.escape": html.escape,
    "html.escape, quotes stay": lambda text: html.escape(text, quote=False),
    "HTML": lambda text: html.escape(text).replace("&#x27;", "&#39;"),
}
NASTY = [
    "hunter-2",
    "a/b c@d!e+f,g:h",
    "qu\"o\\t'ed/\u00e9",
    "it's \u20ac/\x1b",
    'say "\u00e4"',
    "<a & b>\n\x1b\u00e9",
    "<a> & \"b\" & 'c'",
    "9E9D9BBE-4F2B-4a0e-a1e0-111111abcdef",
]


@pytest.mark.parametrize("secret", NASTY)
def test_a_secret_is_known_as_anybody_spells_it_and_spells_that_again(secret: str) -> None:
    known = spellings(secret)
    once = {name: spelled(secret) for name, spelled in WAYS.items()}
    assert [name for name in once if once[name] not in known] == []
    twice = {(name, then): WAYS[then](once[name]) for name in once for then in WAYS}
    assert [names for names in twice if twice[names] not in known] == []


def test_nothing_else_is_known() -> None:
    assert spellings("hunter2") == {
        "hunter2", WAYS["each byte"]("hunter2"), WAYS["each byte"]("hunter2").replace("%", "%25"),
        WAYS["each byte"](WAYS["each byte"]("hunter2")),
    }  # fmt: skip
    # A lone surrogate stands in no log: a question mark takes its place.
    assert spellings("hunter\ud800") == spellings("hunter?")


def test_percent_codes_are_known_in_either_case_and_what_is_longest_goes_first() -> None:
    spelled = spellings_in_either_case("K@/J")
    assert {"K%40%2FJ", "K%40%2fJ", "K%2540%252FJ", "%4b%40%2f%4a"} <= {*spelled}
    assert "k%40%2fj" not in spelled
    assert sorted(spelled, key=len, reverse=True) == spelled
    assert len({*spelled}) == len(spelled)


@pytest.mark.parametrize(
    ("text", "whether"),
    [
        (UUID, True),
        (UUID.upper(), True),
        ("01234567-89ab-cdef-ABCD-EF0000000000", True),  # each digit that there is
        (f"{UUID}0", False),
        (UUID.replace("-", ""), False),
        (UUID.replace("9", "g"), False),
        (UUID.replace("-", "_"), False),
    ],
)
def test_a_uuid_is_32_hexadecimal_digits_and_four_hyphens(text: str, whether: bool) -> None:
    assert is_uuid(text) is whether
