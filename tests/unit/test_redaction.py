"""What ``redact`` takes out of a body, the ready-made rules, and rules that fail."""

from __future__ import annotations

import base64
import re
import threading
import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from loguru import logger

from loghc import HealthSink
from loghc.log.masking import Masker
from loghc.log.redaction import redactor
from loghc.log.rendering import WITHHELD, Renderer
from loghc.log.secrets import SECRETS
from loghc.log.tail import CONTEXT, Tail
from loghc.service.url import PingUrl
from loghc.testing import PingReceiver

NOTHING_TO_MASK = Masker(PingUrl.parse("http://localhost/"))


def redacted(text: str) -> str:
    redact = redactor(SECRETS)
    assert redact is not None
    return redact(text)


def rendered(records: list[str], limit: int, *rules: object) -> bytes:
    tail = Tail(limit)
    for record in records:
        tail.append(record)
    return Renderer(limit, NOTHING_TO_MASK, redactor(rules)).render(tail.snapshot()).whole()  # type: ignore[arg-type]


# Put together here, so that no scanner of repositories takes them for leaked ones.
ALNUM = "aB3dE5fG7hI9jK1lM2nO4pQ6rS8tU0vW"
BASIC = base64.b64encode(b"bob:correct horse").decode()
JWT = f"eyJ{ALNUM}.eyJ{ALNUM}.{ALNUM}"

SECRET_IN_TEXT = [
    ("password=hunter2", "hunter2", "password=[redacted]"),
    ("password: hunter2", "hunter2", "password: [redacted]"),
    ("db_password = 'hunter2'", "hunter2", "db_password = '[redacted]'"),
    ('{"password": "hun\\"ter2", "user": "bob"}', "ter2", '"user": "bob"}'),
    ("{'password': 'hunter2'}", "hunter2", "{'password': '[redacted]'}"),
    (r'{"m": "{\"password\": \"hun\\\"ter2\", \"n\": 1}"}', "ter2", r"\"n\": 1"),
    ("password=b'hunter2'", "hunter2", "password=b'[redacted]'"),
    ("password=SecretStr('hunter2')", "hunter2", "SecretStr('[redacted]')"),
    ("connect(user=bob, password=hunter2)", "hunter2", "password=[redacted])"),
    ("Server=db;Uid=bob;Pwd=hun,ter2;Port=1", "ter2", "Pwd=[redacted];Port=1"),
    ("password=hun,ter;2 retries=3", "ter", "password=[redacted] retries=3"),
    ("user=bob&password=hunter2&x=1", "hunter2", "password=[redacted]&x=1"),
    ("PGPASSWORD=hunter2 psql", "hunter2", "PGPASSWORD=[redacted] psql"),
    ("export DB_PASSWORD=hunter2", "hunter2", "DB_PASSWORD=[redacted]"),
    ("dbPassword: hunter2", "hunter2", "dbPassword: [redacted]"),
    ("<password>hunter2</password>", "hunter2", "<password>[redacted]</password>"),
    ('<add key="password" value="hunter2"/>', "hunter2", 'value="[redacted]"'),
    ("passphrase: hunter2", "hunter2", "passphrase: [redacted]"),
    ("client_secret=hunter2", "hunter2", "client_secret=[redacted]"),
    ("aws_secret_access_key = ab/cd+ef", "ab/cd", "aws_secret_access_key = [redacted]"),
    ("X-Api-Key: hunter2", "hunter2", "X-Api-Key: [redacted]"),
    ("('X-Api-Key', 'hunter2')", "hunter2", "('X-Api-Key', '[redacted]')"),
    ("AccountName=x;AccountKey=abc==;EndpointSuffix=y", "abc", "AccountKey=[redacted];Endpoint"),
    ("access_token=hunter2", "hunter2", "access_token=[redacted]"),
    ("refreshToken: 'hunter2'", "hunter2", "refreshToken: '[redacted]'"),
    ("pass=hunter2", "hunter2", "pass=[redacted]"),
    (f"token={ALNUM}", ALNUM, "token=[redacted]"),
    (f"signature: {ALNUM}", ALNUM, "signature: [redacted]"),
    ("mysqldump --password=hunter2 db", "hunter2", "--password=[redacted] db"),
    ("mysqldump --password hunter2 db", "hunter2", "--password [redacted] db"),
    ("['x', '--api-token', 'hunter2']", "hunter2", "'--api-token', '[redacted]'"),
    ("CREATE USER bob IDENTIFIED BY 'hunter2'", "hunter2", "IDENTIFIED BY '[redacted]'"),
    ("ALTER USER bob WITH PASSWORD 'hunter2'", "hunter2", "PASSWORD '[redacted]'"),
    ("Authorization: Bearer hunter2", "hunter2", "Authorization: Bearer [redacted]"),
    (f"Authorization: Basic {BASIC}", BASIC, "Authorization: Basic [redacted]"),
    ("{'Authorization': 'Token hunter2'}", "hunter2", "'Authorization': 'Token [redacted]'"),
    (f"authorization={ALNUM}", ALNUM, "authorization=[redacted]"),
    ('Authorization: Digest username="b", response="hunter2"', "hunter2", "Digest [redacted]"),
    (f"sent bearer {ALNUM} to", ALNUM, "sent bearer [redacted] to"),
    (f"Basic {BASIC}", BASIC, "Basic [redacted]"),
    ("Cookie: sid=hunter2; theme=dark", "hunter2", "Cookie: [redacted]"),
    ("postgres://bob:hunter2@db:5432/x", "hunter2", "postgres://bob:[redacted]@db:5432/x"),
    ("postgres://bob:hun/t@er2@db/x", "er2", "postgres://bob:[redacted]@db/x"),
    ("redis://:hunter2@cache", "hunter2", "redis://:[redacted]@cache"),
    (f"https://{ALNUM}@sentry.example/1", ALNUM, "https://[redacted]@sentry.example/1"),
    ("GET /x?token=hunter2&y=1", "hunter2", "?token=[redacted]&y=1"),
    ("GET /x?y=1&api_key=hunter2 200", "hunter2", "&api_key=[redacted] 200"),
    (f"https://maps.example/?key={ALNUM}", ALNUM, "?key=[redacted]"),
    ("https://s3/x?X-Amz-Signature=hunter2", "hunter2", "X-Amz-Signature=[redacted]"),
    (f"https://hooks.slack.com/services/{ALNUM}", ALNUM, "hooks.slack.com/services/[redacted]"),
    ("https://hc-ping.com/9e9d9bbe-4f2b-4a0e-a1e0-111111111111/fail", "9e9d", "hc-ping.com/[red"),
    ("AKIA" + "IOSFODNN7EXAMPLE", "IOSFODNN", "AKIA[redacted]"),
    ("ghp_" + ALNUM + "AbCd", ALNUM, "ghp_[redacted]"),
    ("github_pat_" + ALNUM + "_" + ALNUM, ALNUM, "github_pat_[redacted]"),
    ("glpat-" + ALNUM, ALNUM, "glpat-[redacted]"),
    ("xoxb-" + "123456789012-" + ALNUM, ALNUM, "xoxb-[redacted]"),
    ("AIza" + ALNUM + "abc", ALNUM, "AIza[redacted]"),
    ("sk_live_" + ALNUM, ALNUM, "sk_live_[redacted]"),
    ("npm_" + ALNUM + "abcd", ALNUM, "npm_[redacted]"),
    ("pypi-" + ALNUM * 2, ALNUM, "pypi-[redacted]"),
    ("abc8Q~" + ALNUM, ALNUM, "abc8Q~[redacted]"),
    ("sk-proj-" + ALNUM, ALNUM, "sk-proj-[redacted]"),
    (f"got {JWT} from", ALNUM, "got eyJ[redacted] from"),
    (rf"x\n{JWT}", ALNUM, r"x\neyJ[redacted]"),
]

NO_SECRET = [
    "password changed for bob",
    "password_length=12",
    "password: None",
    'password=""',
    "password='***'",
    "password=[redacted]",
    "password=${DB_PASSWORD}",
    "Password for bob:",
    "password is required",
    "tokens=512 max_tokens=4096",
    "unexpected token: identifier",
    "token: 512",
    "pass=12 fail=0",
    "PWD=/home/bob",
    "OLDPWD=/home/bob",
    "secretary: Alice",
    "secretName: my-tls",
    "primary_key=12",
    "keyboard: us",
    "sort=asc&key=title",
    "/x?key=title&page=2",
    "compass=north",
    "author: Bob",
    "signature: (self, x: int)",
    "basic training and Basic authentication",
    "Bearer authentication is required",
    "Authorization: denied",
    "the cookie: oatmeal",
    "ssh://git@github.com/x/y.git",
    "postgres://bob@db/x",
    "http://localhost:8080/x?mail=bob",
    "https://example.com:443/@bob",
    "http://[::1]:8080/x@y",
    "bob@example.com wrote to amy@example.com",
    "task-abcdefghijklmnopqrstuvwxyz and disk-0123456789abcdefghijkl",
    "commit 3f786850e387550fdab836ed7e6dc881de23001b",
    "9e9d9bbe-4f2b-4a0e-a1e0-111111111111",
    "npm_config_registry=https://registry.npmjs.org",
    "2026-11-22 13:08:47.123 | INFO     | app.sync:run:42 - sync.done: 12 photos",
    "expected -----BEGIN PRIVATE KEY----- in /etc/key.pem\nand more\n",
    "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUQ\n-----END CERTIFICATE-----\n",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ bob@host",
]


@pytest.mark.parametrize(("text", "secret", "left"), SECRET_IN_TEXT)
def test_a_known_kind_of_secret_is_taken_out_and_the_rest_stays(
    text: str, secret: str, left: str
) -> None:
    for before, after in (("", ""), ("12:00 | INFO - ", "\n"), ('"', '"'), ("x\t", " y")):
        out = redacted(before + text + after)
        assert secret not in out
        assert left in out
        assert out.startswith(before)


@pytest.mark.parametrize("text", NO_SECRET)
def test_what_only_looks_like_a_secret_stays(text: str) -> None:
    assert redacted(text) == text


KEY_LINES = [(ALNUM * 2)[:64] for _ in range(20)] + [ALNUM[:21] + "=="]
BEGIN, END = "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\\n", "\\\\n", "\n12:00 | INFO | x:y:1 - "])
@pytest.mark.parametrize("missing", ["nothing", "its end", "its beginning"])
def test_of_a_private_key_nothing_is_left_even_if_an_end_of_it_is_missing(
    newline: str, missing: str
) -> None:
    lines = [BEGIN, *KEY_LINES, END]
    if missing == "its end":
        del lines[15:]
    elif missing == "its beginning":
        del lines[:15]
    out = redacted(f"before{newline}" + newline.join(lines) + newline)
    assert out.startswith("before")
    assert ALNUM[:16] not in out
    assert "[redacted]" in out
    assert (BEGIN in out) == (missing != "its beginning")
    assert (END in out) == (missing != "its end")


def test_what_stands_around_two_private_keys_stays() -> None:
    key = "\n".join((BEGIN, *KEY_LINES, END))
    out = redacted(f"one: 1\n{key}\ntwo: two words\n{key}\nthree: 3\n")
    assert out.split() == (
        f"one: 1 {BEGIN}[redacted]{END} two: two words {BEGIN}[redacted]{END} three: 3".split()
    )


def test_an_encrypted_key_is_a_key_too() -> None:
    headers = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0123456789ABCDEF\n\n"
    out = redacted(f"{BEGIN}\n{headers}" + "\n".join(KEY_LINES))
    assert out == f"{BEGIN}[redacted]"


def test_redacting_twice_changes_nothing_more() -> None:
    text = "\n".join(text for text, _, _ in SECRET_IN_TEXT)
    assert redacted(redacted(text)) == redacted(text)


# Beginnings of matches that never come to an end, over and over.
WORST = [
    "password",
    "password=",
    'password="',
    "password='\\",
    "password=a,",
    "password=a,a",
    "password: <",
    r"password=\"\\",
    "password=<a",
    "<password>",
    "token=a",
    "api_",
    "secret_access_",
    "://",
    "://a:",
    "://a:b",
    "://a:b@",
    "://aaaaaaaaaaaaaaaaaaaaa",
    "&a_a_a_",
    "?token=",
    "--a-a-a-",
    "--password ",
    "authorization: digest ",
    "Authorization: ",
    "bearer ",
    "basic abcdefgh",
    "cookie: a=",
    "eyJ",
    "eyJaaaaaaaaa.",
    "\\neyJaaaaaaaaa",
    "glpat-",
    "hooks.slack.com/services/",
    "a",
    "A",
    "/",
    "\\",
    "\\n",
    " ",
    "\n",
    "-",
    "-----BEGIN PRIVATE KEY-----",
    "-----END PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\n",
    "-----BEGIN ",
    "AAAAAAAAAAAAAAAAAAAAAAAAA_",
    "AAAAAAAAAAAAAAAAAAAAAAAAA\\n",
]


def seconds_for(text: str) -> float:
    best = float("inf")
    for _ in range(2):
        begun = time.process_time()
        redacted(text)
        best = min(best, time.process_time() - begun)
    return best


@pytest.mark.slow
@pytest.mark.parametrize("part", WORST)
def test_the_worst_input_takes_time_in_proportion_to_its_length(part: str) -> None:
    def text(size: int) -> str:
        return "-----BEGIN PRIVATE KEY-----" + (part * (size // len(part) + 1))[:size]

    seconds = seconds_for(text(100_000))
    assert seconds < 2.0
    # Quadratic would be 16 times as long.
    assert seconds < 9 * seconds_for(text(25_000)) + 0.02


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "sync.done, password=[redacted], card ACME-123\n"),
        ({"redact": r"ACME-\d+"}, "sync.done, password=[redacted], card [redacted]\n"),
        ({"mask_secrets": False}, "sync.done, password=hunter2, card ACME-123\n"),
    ],
    ids=str,
)
def test_the_ready_made_rules_hold_unless_somebody_says_no(
    options: dict[str, Any], text: str, ping_receiver: PingReceiver
) -> None:
    handler = logger.add(HealthSink(ping_receiver.url, **options), format="{message}")
    logger.info("sync.done, password=hunter2, card ACME-123")
    logger.remove(handler)
    (ping,) = ping_receiver.wait(1)
    assert ping.text == text


def test_the_ready_made_rules_go_with_rules_of_ones_own(ping_receiver: PingReceiver) -> None:
    sink = HealthSink(ping_receiver.url, redact=(*SECRETS, r"ACME-\d+"))
    handler = logger.add(sink, format="{message}")
    logger.info("sync.done, password=hunter2, card ACME-123")
    logger.remove(handler)
    (ping,) = ping_receiver.wait(1)
    assert ping.text == "sync.done, password=[redacted], card [redacted]\n"


def test_a_pattern_that_also_matches_nothing_adds_nothing() -> None:
    redact = redactor("x*")
    assert redact is not None
    assert redact("axxb") == "a[redacted]b"


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        ("hunter2(?P<hunter2", "the fault is at character 11"),
        ("(hunter2", "the fault is at character 0"),
        ("hunter2{9999999999}", "it is too large"),
    ],
)
def test_a_rule_that_does_not_compile_is_not_shown(rule: str, fault: str) -> None:
    with pytest.raises(ValueError, match=r"^redact\[1\]: .*compile: ") as caught:
        redactor(["fine", rule])
    assert f"compile: {fault} (re.escape()" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (12, "redact: expected regular expressions or callables, not int"),
        (b"secret", "redact: expected regular expressions or callables, not bytes"),
        (bytearray(b"x"), "redact: expected regular expressions or callables, not bytearray"),
        ({"a": "b"}, "redact: expected regular expressions or callables, not dict"),
        (["x", re.compile(b"x")], "redact[1]: expected a pattern for str, not for bytes"),
        (["x", 12], "redact[1]: expected a regular expression or a callable, not int"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_rule_is_refused(rules: Any, message: str) -> None:
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        redactor(rules)


# The cut


SECRET = re.compile(r"<[a-z]+>")


@given(
    records=st.lists(
        st.one_of(
            st.text("x\n", max_size=60),
            st.text("abcxyz", min_size=1, max_size=40).map(lambda name: f"<{name}>"),
        ).map(lambda text: text + "\n"),
        max_size=40,
    ),
    limit=st.integers(1, 200),
)
def test_no_part_of_a_secret_is_left_by_the_cut(records: list[str], limit: int) -> None:
    body = rendered(records, limit, SECRET)
    # So few records that none is forgotten before the cut.
    assert body == SECRET.sub("[redacted]", "".join(records)).encode()[-limit:]


@given(
    length=st.integers(1, CONTEXT),
    after=st.integers(0, 400),
    before=st.integers(0, 3 * CONTEXT),
    limit=st.integers(1, 300),
    replacement=st.sampled_from(["", "#", "[redacted]"]),
    more=st.lists(st.integers(0, 200), max_size=3),
)
@example(length=CONTEXT, after=299, before=0, limit=300, replacement="", more=[])
@example(length=CONTEXT, after=10, before=9000, limit=300, replacement="", more=[])
@settings(deadline=None)
def test_nor_by_the_cut_through_a_record_that_is_longer_than_the_limit(
    length: int, after: int, before: int, limit: int, replacement: str, more: list[int]
) -> None:
    def redact(text: str) -> str:
        return re.sub("<s*>", replacement, text)

    secret = "<" + "s" * length + ">"
    secret = secret[-length:] if length < 3 else "<" + "s" * (length - 2) + ">"
    records = ["." * before + secret + "." * after + "\n", *("," * count + "\n" for count in more)]
    body = rendered(records, limit, redact)
    whole = redact("".join(records)).encode()
    assert len(body) <= limit
    if length >= 3:
        assert b"s" not in body
        assert whole.endswith(body)


def test_a_body_that_rules_made_shorter_shows_nothing_of_what_was_cut_off() -> None:
    limit = 100
    secret = "<" + "s" * (CONTEXT - 2) + ">"
    # The whole record is longer than is kept; all but the secret's last bytes is taken out.
    record = secret + "y" * (limit + 1) + "\n"
    body = rendered([record], limit, SECRET, "y+")
    assert b"s" not in body


def test_a_secret_in_the_service_s_smaller_limit_is_gone_too(ping_receiver: PingReceiver) -> None:
    ping_receiver.body_limit = 20
    sink = HealthSink(ping_receiver.url, redact="secret")
    handler = logger.add(sink, format="{message}")
    logger.info("sync.start")
    logger.info("secret" * 10)
    logger.info("sync.done")
    logger.remove(handler)
    assert [ping.text for ping in ping_receiver.pings] == ["sync.start\n", "redacted]\nsync.done\n"]


# Rules that fail


class QuotingError(Exception):
    """Quotes the log, as many errors do."""


def raises(text: str) -> str:
    raise QuotingError(text)


def exits(text: str) -> str:
    raise SystemExit(text)


def interrupts(text: str) -> str:
    raise KeyboardInterrupt(text)


def returns_bytes(text: str) -> bytes:
    return text.encode()


def recurses(text: str) -> str:
    return recurses(text)


@pytest.mark.parametrize("rule", [raises, exits, interrupts, returns_bytes, recurses])
def test_a_rule_that_fails_withholds_the_log_and_is_reported_once(
    rule: object, ping_receiver: PingReceiver, capfd: pytest.CaptureFixture[str]
) -> None:
    sink = HealthSink(ping_receiver.url, redact=rule)  # type: ignore[arg-type]
    handler = logger.add(sink, format="{message}")
    logger.info("sync.start, the log says hunter2")
    logger.info("sync.done, and hunter3")
    assert sink.wait(20)
    logger.remove(handler)
    assert [ping.body for ping in ping_receiver.wait(2)] == [WITHHELD, WITHHELD]
    said = capfd.readouterr().err
    assert said.count("the log is withheld") == 1
    assert "hunter" not in said
    if rule is raises:
        assert "QuotingError" in said
        assert "in raises" in said


def test_a_rule_that_fails_now_and_then_withholds_that_log_alone(
    ping_receiver: PingReceiver,
) -> None:
    def moody(text: str) -> str:
        if text.endswith("sync.start\n"):
            raise QuotingError
        return text

    sink = HealthSink(ping_receiver.url, redact=moody)
    handler = logger.add(sink, format="{message}")
    logger.info("sync.start")
    logger.info("sync.done")
    logger.remove(handler)
    start, done = ping_receiver.wait(2)
    assert (start.body, done.text) == (WITHHELD, "sync.start\nsync.done\n")


def test_rules_run_off_the_thread_that_logs(ping_receiver: PingReceiver) -> None:
    threads = []

    def watch(text: str) -> str:
        threads.append(threading.current_thread())
        return text

    sink = HealthSink(ping_receiver.url, redact=watch)
    handler = logger.add(sink)
    logger.info("sync.done")
    assert sink.wait(20)
    logger.remove(handler)
    assert threads
    assert threading.current_thread() not in threads
