"""Where masking begins and ends: lengths, cases, and the spellings of forms."""

from __future__ import annotations

from urllib.parse import quote, quote_plus

import pytest

from loghc.log.masking import Masker
from loghc.log.secrets import lowered, mask_in_lines
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
    assert mask_in_lines(text) == text


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
