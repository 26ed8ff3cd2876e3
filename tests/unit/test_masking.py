"""The ping URL's secret in its usual spellings, and the words that stay."""

from __future__ import annotations

import base64
import html
import json
import shlex
import time
import uuid
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loghc.log.masking import Masker
from loghc.log.spelling import spellings_in_either_case
from loghc.service.url import PingUrl

UUID = "9e9d9bbe-4f2b-4a0e-a1e0-111111abcdef"
KEY = "fqOOd6-F4MMNuCEnzTU01w"


def masked(url: str, text: str, headers: dict[str, str] | None = None) -> str:
    return Masker(PingUrl.parse(url), headers).text(text)


def basic(credentials: str, encoding: str) -> str:
    return f"Basic {base64.b64encode(credentials.encode(encoding)).decode()}"


def in_full(text: str) -> str:
    """Percent-encoded, every byte of it."""
    return "".join(f"%{byte:02X}" for byte in text.encode())


SPELLINGS = {
    "as it is": str,
    "in capitals": str.upper,
    "percent-encoded": lambda text: quote(text, safe=""),
    "percent-encoded twice": lambda text: quote(quote(text, safe=""), safe=""),
    "percent-encoded in full": in_full,
    "percent-encoded in full, in small letters": lambda text: in_full(text).lower(),
    "as JSON": json.dumps,
    "as JSON, slashes escaped": lambda text: json.dumps(text).replace("/", "\\/"),
    "as JSON in JSON": lambda text: json.dumps(json.dumps(text)),
    "as a repr": repr,
    "as a repr in a repr": lambda text: repr([repr(text)]),
    "as ASCII": ascii,
    "as a repr of bytes": lambda text: repr(text.encode()),
    "for a shell": shlex.quote,
    "as HTML": html.escape,
    "after an escaped newline": lambda text: repr("\n" + text),
}


@pytest.mark.parametrize("spelled", SPELLINGS.values(), ids=SPELLINGS)
def test_a_uuid_is_masked_in_its_usual_spellings(spelled) -> None:
    url = f"https://hc-ping.com/{UUID}"
    for text in (url, f"https://hc-ping.com/{UUID}/start", f"POST /{UUID}/fail HTTP/1.1", UUID):
        out = masked(url, f"sent {spelled(text)} twice")
        assert "***" in out
        assert "9e9d" not in out.lower()
        assert "1111" not in out
        assert out.startswith("sent ")
        assert out.endswith(" twice")


def test_a_uuid_is_masked_without_its_hyphens() -> None:
    assert masked(f"https://hc-ping.com/{UUID}", f"hex {uuid.UUID(UUID).hex}") == "hex ***"


@pytest.mark.parametrize("spelled", SPELLINGS.values(), ids=SPELLINGS)
def test_a_ping_key_is_masked_in_its_usual_spellings_and_the_slug_stays(spelled) -> None:
    url = f"https://hc-ping.com/{KEY}/nightly-sync"
    for text in (f"https://hc-ping.com/{KEY}/other", KEY, f"key={KEY}"):
        out = masked(url, spelled(text))
        assert "***" in out
        assert "d6" not in out
        assert "CEnz" not in out
    assert masked(url, "nightly-sync is the slug") == "nightly-sync is the slug"


# A password in capitals is another password.
EXACT_SPELLINGS = {name: spelled for name, spelled in SPELLINGS.items() if spelled is not str.upper}
PASSWORDS = [
    "p@ss/w:rd?#1",
    "hünter-zwei",
    "qu\"o\\t'ed",
    "sp ace+plus&amp",
    "日本語のパス",
    "pa$$w0rd%41",
]


@pytest.mark.parametrize("spelled", EXACT_SPELLINGS.values(), ids=EXACT_SPELLINGS)
@pytest.mark.parametrize("password", PASSWORDS)
def test_a_password_is_masked_in_its_usual_spellings(password: str, spelled) -> None:
    url = f"https://bob:{quote(password, safe='')}@localhost/{UUID}"
    out = masked(url, f"<{spelled(password)}>")
    assert "***" in out
    for n in range(len(password) - 4):
        assert password[n : n + 5] not in out


@given(
    password=st.text(
        st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=4, max_size=12
    )
)
def test_any_password_is_masked_in_its_usual_spellings(password: str) -> None:
    url = f"https://bob:{quote(password, safe='')}@localhost/{UUID}"
    masker = Masker(PingUrl.parse(url))
    for name, spelled in EXACT_SPELLINGS.items():
        text = f":{spelled(password)}@"
        assert "***" in masker.text(text), name


def test_basic_credentials_are_masked() -> None:
    url = f"https://bob:hunter2@localhost/{UUID}"
    token = base64.b64encode(b"bob:hunter2").decode()
    assert masked(url, f"Authorization: Basic {token}.") == "Authorization: Basic ***."
    assert masked(url, f"x{quote(token)}") == "x***"


@pytest.mark.parametrize("login", ["bob:>>>???~", "tokens>>>???:", ":>>>???~"])
def test_basic_credentials_are_masked_in_either_alphabet_of_base64(login: str) -> None:
    user, _, password = login.partition(":")
    url = f"https://{quote(user)}:{quote(password)}@localhost/x"
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        token = encode(login.encode()).decode()
        assert token.endswith("=")
        assert len({*"+/-_"} & {*token}) == 2
        assert masked(url, f"({token})") == "(***)"
        assert masked(url, f"({token.rstrip('=')})") == "(***)"


def test_keys_are_masked_in_either_case_whatever_was_masked_before() -> None:
    headers = {"X-Key": "hunter22", "X-Token": "dealer333"}
    assert masked("https://h/x", "HUNTER22 DEALER333 Hunter22", headers) == "*** *** ***"


def test_a_secret_that_stands_in_the_log_in_all_its_spellings_is_masked() -> None:
    for spelled in spellings_in_either_case("a-b+"):
        assert masked("https://h/x", spelled, {"X-Key": "a-b+"}) == "***"
    together = " ".join(spellings_in_either_case("a-b+"))
    assert set(masked("https://h/x", together, {"X-Key": "a-b+"}).split()) == {"***"}


def test_text_that_is_no_unicode_can_be_masked() -> None:
    assert masked(f"https://h/{UUID}", f"\udcff {UUID}") == "? ***"


def test_the_secrets_of_headers_are_masked_and_other_headers_are_not() -> None:
    headers = {
        "Authorization": "Bearer abc-DEF-123",
        "X-Api-Key": "word",
        "User-Agent": "nightly-backup/1.0",
        "X-Env": "production",
    }
    text = "abc-DEF-123 word, a wordy nightly-backup/1.0 in production"
    assert (
        masked("https://h/x", text, headers) == "*** ***, a wordy nightly-backup/1.0 in production"
    )
    basic = base64.b64encode(b"bob:hunter22").decode()
    assert (
        masked("https://h/x", f"{basic} hunter22", {"authorization": f"Basic {basic}"}) == "*** ***"
    )


@pytest.mark.parametrize(
    ("name", "value", "secrets"),
    [
        ("Cookie", "session=aB3dE5fG7hI9; theme=dark", ["session=aB3dE5fG7hI9; theme=dark"]),
        ("Cookie", "a=aB3dE5fG7hI9; b=jK1lM2nO4", ["aB3dE5fG7hI9", "jK1lM2nO4"]),
        ("Authorization", 'Digest username="bob", response="0a1b2c3d4e5f"', ["0a1b2c3d4e5f"]),
        ("X-Api-Key", "correct horse battery", ["correct horse battery"]),
        ("X-Pass", "hunter22", ["hunter22"]),
        ("X-Pin", "4711", ["4711"]),
        ("Proxy-Authorization", "Basic Ym9iOmh1bnRlcjIy", ["Ym9iOmh1bnRlcjIy", "hunter22"]),
        ("Authorization", "Basic Ym9iOmh1bnRlcg", ["hunter"]),  # its padding is missing
        ("Authorization", basic("bob:hünter", "utf-8"), ["hünter"]),
        ("Authorization", basic("bob:hünter", "latin-1"), ["hünter"]),
        ("Authorization", basic("bob:hun:ter22", "utf-8"), ["hun:ter22"]),
        ("Authorization", "Basic hünter", ["hünter"]),
        ("Authorization", "Bearer  hunter", ["hunter"]),
        ("Authorization", "hunter, and more", ["hunter, and more"]),
        ("Cookie", "a=aB3dE5fG7=hI9jK; b=1", ["aB3dE5fG7=hI9jK"]),
        ("Cookie", "a=aB3dE5fG7hI9==; b=1", ["aB3dE5fG7hI9=="]),
        ("Cookie", 'a="XaB3dE5fG7X"; b=1', ["XaB3dE5fG7X"]),
        ("X-Pass", " hunter ", ["hunter"]),
    ],
)
def test_all_of_a_header_s_value_is_masked_and_not_its_last_word_alone(
    name: str, value: str, secrets: list[str]
) -> None:
    for secret in secrets:
        assert masked("https://h/x", f"({secret})", {name: value}) == "(***)"


def test_the_headers_of_a_pool_manager_are_masked_too() -> None:
    masker = Masker(
        PingUrl.parse("https://h/x"), {"X-Key": "hunter22"}, None, {"X-Token": b"hunter33"}
    )
    assert masker.text("hunter22 hunter33") == "*** ***"


@pytest.mark.parametrize("value", ["Basic pä", "Basic =", "Basic a", "Basic", "", 5, b"\xff", None])
@pytest.mark.parametrize("name", ["Authorization", b"Authorization", 5])
def test_no_header_of_a_pool_manager_keeps_the_rest_from_being_masked(
    name: str, value: object
) -> None:
    masker = Masker(PingUrl.parse(f"https://h/{UUID}"), {name: value, "X-Key": "hunter22"})
    assert masker.text(f"hunter22 {UUID}") == "*** ***"


def test_a_number_in_a_header_for_authentication_is_masked() -> None:
    assert Masker(PingUrl.parse("https://h/x"), {"X-Pin": 471114}).text("(471114)") == "(***)"


def test_what_can_t_be_masked_is_not_shown() -> None:
    class Value:
        def __str__(self) -> str:
            raise OSError(UUID)

    masker = Masker(PingUrl.parse(f"https://h/{UUID}"), {"X-Key": Value()})
    shown = masker.text(f"POST /{UUID}")
    assert UUID not in shown
    assert "OSError" in shown


def test_the_user_of_a_proxy_without_a_password_is_a_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", "http://a1b2c3d4e5@proxy:3128")
    token = base64.b64encode(b"a1b2c3d4e5:").decode()
    assert masked("https://h/x", f"http://a1b2c3d4e5@proxy {token}") == "http://***@proxy ***"


def test_a_proxy_s_user_that_is_no_unicode_keeps_nothing_from_being_masked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", "http://bob\udcff:hunter22@proxy:3128")
    assert masked(f"https://h/{UUID}", f"hunter22 {UUID}") == "*** ***"


def test_the_proxy_s_password_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://bob:hunter22@proxy:3128")
    token = base64.b64encode(b"bob:hunter22").decode()
    assert masked("https://h/x", f"http://bob:hunter22@proxy {token}") == "http://bob:***@proxy ***"


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("https://h/x?token=abcdefgh", "token=abcdefgh"),
        ("https://h/x?token=abcdefgh", "token%3Dabcdefgh"),
        ("https://h/x?token=abcdefgh&create=1", "token=abcdefgh"),
        ("https://h/x?create=1&token=aB3dE5=fG7", "aB3dE5=fG7"),
        ("https://h/x?k=aB3dE5fG7", "aB3dE5fG7"),
        ("https://h/x?aB3dE5fG7hI", "aB3dE5fG7hI"),
        ("https://h/api/push/aB3dE5fG7", "aB3dE5fG7"),
        ("https://h/api/push/nightly", "/api/push/nightly"),
        ("https://h:8443/x", "h:8443/x"),
        ("https://h:8443/x", "h%3A8443%2Fx"),
        ("http://[::1]:8443/x", "[::1]:8443/x"),
        ("https://h/correcthorsebattery/nightly", "correcthorsebattery"),
        ("https://tokenuser@h/x", "://tokenuser@"),
    ],
)
def test_other_forms_of_urls_have_their_secrets_masked(url: str, secret: str) -> None:
    out = masked(url, f"({secret})")
    assert "***" in out
    assert secret not in out


@pytest.mark.parametrize(
    "url",
    [
        f"https://hc-ping.com/ping/{UUID}",
        f"https://hc-ping.com/{KEY}/backup-2024",
        f"https://h/backup-2024/{KEY}/nightly",
        "https://h/api/push/nightly?create=1",
        "https://h/monitoring/nightly",
        "https://nightly:ping@h/sync",
        "https://nightly:Xylophon@h/sync",
        "https://h/ping",
    ],
)
def test_the_words_of_a_log_stay(url: str) -> None:
    text = (
        "12:00 | INFO | api:push:1 - pinging nightly: /home/bob/sync, backup-2024 of api, "
        "monitoring push 1 of 1, create=1, Xylophones, sync.done"
    )
    assert masked(url, text) == text


def test_a_long_log_is_masked_fast() -> None:
    line = (
        b"2026-11-22 13:08:47.123 | INFO | app.sync:run:42 - copied /home/user/IMG_9999.jpg 99%\n"
    )
    log = line * (100_000 // len(line))
    for url in (
        f"https://hc-ping.com/{UUID}",
        f"https://hc-ping.com/{KEY}/nightly",
        f"https://bob:p%40ss%C3%A9word@hc.example.com:8443/ping/{UUID}?create=1",
    ):
        masker = Masker(PingUrl.parse(url))
        begun = time.process_time()
        assert masker.data(log) == log
        # Measured: 2 to 3 ms.
        assert time.process_time() - begun < 0.5


@pytest.mark.parametrize("part", ["%", "%25", "9", "9e9d9bbe-", "\\", "/", "/9e9d9bbe", "%2f", "-"])
def test_the_worst_log_is_masked_in_time_that_grows_with_its_length(part: str) -> None:
    masker = Masker(PingUrl.parse(f"https://bob:99%5C%5C%25%2D%2D@h/ping/{UUID}"))

    def seconds(size: int) -> float:
        data = (part * size)[:size].encode()
        best = float("inf")
        for _ in range(3):
            begun = time.process_time()
            masker.data(data)
            best = min(best, time.process_time() - begun)
        return best

    assert seconds(100_000) < 9 * seconds(25_000) + 0.02
