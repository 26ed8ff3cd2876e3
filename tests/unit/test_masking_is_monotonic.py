"""Text around a secret never unmasks it: every row of every table, escaped, beside another."""

from __future__ import annotations

import base64
import json
import random
import re
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from test_secrets import ROWS, filled, lines

from loghc.log.secrets import mask_secrets
from loghc.log.secrets.shapes import SHAPES

MARKS = re.compile("[«»]")
MARKED = re.compile("(?s)«(.*?)»")


def shape_in_marks(template: str) -> str:
    token = filled(template.strip("!"))
    half = len(token) // 2
    return f"{token[:half]}«{token[half:]}»"


EXAMPLES = [row.caught for row in ROWS] + [shape_in_marks(shape) for shape in SHAPES]

CONTEXTS: dict[str, Callable[[str], str]] = {
    "JSON": lambda text: json.dumps({"message": text}),
    "JSON that has = and & escaped": lambda text: (
        json.dumps(text).replace("=", r"\u003d").replace("&", r"\u0026")
    ),
    "repr": lambda text: repr({"message": text}),
    "b''": lambda text: repr(text.encode()),
    "JSON in JSON": lambda text: json.dumps({"line": json.dumps({"message": text})}),
    "JSON in repr": lambda text: repr(json.dumps([text])),
    "percent codes": lambda text: (
        "body=" + re.sub("%..", lambda code: code[0].lower(), quote(text, safe=""))
    ),
    "a form": lambda text: "body=" + quote_plus(text),
    "colours as text": lambda text: repr(
        "\x1b[32m" + text.replace("=", "\x1b[0m=\x1b[1;35m") + "\x1b[0m"
    ),
    "after a newline": lambda text: f"one\n{text}\ntwo",
    "after an escaped newline": lambda text: "one\\n" + json.dumps(text)[1:-1] + "\\ntwo",
    "a diff, with +": lambda text: re.sub("(?m)^", "+", text),
    "a diff, with -": lambda text: re.sub("(?m)^", "-", text),
    "indented": lambda text: re.sub("(?m)^", "    ", text),
    "a record": lambda text: f"2026-11-30 03:12:44.123 | INFO     | app:run:12 - {text}\nmore\n",
}


def left(example: str, text: str) -> list[str]:
    """The pieces of an example's secrets that the masked text still has."""
    out, rest = mask_secrets(text), MARKED.sub("~", example)
    pieces = re.findall("[A-Za-z0-9]{4,}", " ".join(MARKED.findall(example)))
    return [piece for piece in pieces if out.count(piece) > rest.count(piece)]


@pytest.mark.parametrize("context", CONTEXTS)
def test_every_row_s_secret_is_masked_in_each_context(context: str) -> None:
    unmasked = {
        example: pieces
        for example in EXAMPLES
        if (pieces := left(example, CONTEXTS[context](MARKS.sub("", example))))
        # Case and the like is a part of some values: the rule itself has to find it.
        and not left(example, MARKS.sub("", example))
    }
    assert not unmasked


@pytest.mark.parametrize("between", [" ", "\n", ", ", "; ", "|"])
def test_secrets_beside_each_other_are_both_masked(between: str) -> None:
    chance = random.Random(between)
    for _ in range(300):
        both = between.join(chance.sample(EXAMPLES, 2))
        assert not left(both, MARKS.sub("", both)), both


@pytest.mark.parametrize("context", [name for name in CONTEXTS if "a diff" not in name])
def test_of_the_corpus_nearly_all_is_masked_in_each_context(context: str) -> None:
    corpus = [filled(line) for _, line in lines("secrets.txt")][::4]
    missed = [
        line
        for line in corpus
        if left(line, CONTEXTS[context](MARKS.sub("", line)))
        and not left(line, MARKS.sub("", line))
    ]
    assert len(missed) <= 0.01 * len(corpus), missed


@pytest.mark.parametrize(
    ("text", "out"),
    [
        (
            "login('hunt3rTwo')\npassword=hunt3rTwo\n",
            "login('[redacted]')\npassword=[redacted]\n",
        ),
        (
            "{'password': 'hunt3rTwo'} args -> ('hunt3rTwo',)",
            "{'password': '[redacted]'} args -> ('[redacted]',)",
        ),
        (
            r'password=hunt3rTwo {"text": "\"hunt3rTwo\""}',
            r'password=[redacted] {"text": "\"[redacted]\""}',
        ),
        # Too short, too common, or a part of a path, a host or a logger's name
        ("password=hunter2 hunter2", "password=[redacted] hunter2"),
        ("password=sunshine sunshine", "password=[redacted] sunshine"),
        ("password=Photos2026 /srv/Photos2026/x", "password=[redacted] /srv/Photos2026/x"),
        ("password=PhotoSync PhotoSync.main:12 ok", "password=[redacted] PhotoSync.main:12 ok"),
        ("password=hunt3rTwo hunt3rTwos", "password=[redacted] hunt3rTwos"),
    ],
)
def test_once_secret_secret_everywhere(text: str, out: str) -> None:
    assert mask_secrets(text) == out


@pytest.mark.parametrize(
    ("text", "out"),
    [
        ('{"secret": {"value": "hunter2"}}', '{"secret": {"value": "[redacted]"}}'),
        (
            "{'password': {'old': 'hunter2', 'new': 'hunter3'}, 'user': 'bob'}",
            "{'password': {'old': '[redacted]', 'new': '[redacted]'}, 'user': 'bob'}",
        ),
        (
            "passwords=['hunter2', 'hunter3'] 2 of 2",
            "passwords=['[redacted]', '[redacted]'] 2 of 2",
        ),
        ("password=Secret(value='hunter2') ok", "password=Secret(value='[redacted]') ok"),
        ("('password', 'hunter2')", "('password', '[redacted]')"),
        (
            '<Password Type="PasswordText" Id="a">hunter2</Password>',
            '<Password Type="PasswordText" Id="a">[redacted]</Password>',
        ),
        ("password=[[['hunter2'], 'x']]", "password=[[['[redacted]'], '[redacted]']]"),
        ("password={{h}o)p7[x ok", "password=[redacted] ok"),
        ("password=(x7y8z9)w ok", "password=[redacted] ok"),
        # The bound: what lies far behind an open bracket stays.
        ("password=(" + "x, " * 2000 + "'hunter2'", "password=(" + "x, " * 2000 + "'hunter2'"),
        ("password=SecretStr('**********')", "password=SecretStr('**********')"),
        ("password=config.get('db', 'pw')", "password=config.get('db', 'pw')"),
        ("secrets: ['db-credentials', 'tls']", "secrets: ['db-credentials', 'tls']"),
    ],
)
def test_in_a_container_all_leaves_are_masked(text: str, out: str) -> None:
    assert mask_secrets(text) == out


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_json_of_which_a_number_is_masked_stays_json(levels: int) -> None:
    text: object = {"pin": 4711, "pins": [{"pin": 4712}, 1], "next": 1}
    for _ in range(levels):
        text = json.dumps(text)
    out: object = mask_secrets(str(text))
    for _ in range(levels):
        out = json.loads(str(out))
    assert out == {"pin": "[redacted]", "pins": [{"pin": "[redacted]"}, 1], "next": 1}


@pytest.mark.parametrize(
    "kind", ["", "RSA ", "EC ", "DSA ", "OPENSSH ", "ENCRYPTED ", "PGP ", "ANY FUTURE "]
)
@pytest.mark.parametrize("before", ["", "x", "xy", "a: 1\n"])
def test_a_private_key_in_base64_is_masked_at_each_alignment(kind: str, before: str) -> None:
    block = " BLOCK" if kind == "PGP " else ""
    key = f"-----BEGIN {kind}PRIVATE KEY{block}-----\n" + "aB3dE5fG7hI9jK1l\n" * 8
    encoded = base64.b64encode(f"{before}{key}".encode()).decode()
    out = mask_secrets(f"tls.key: {encoded}\nnext: line")
    assert encoded[40:] not in out
    assert out.endswith("[redacted]\nnext: line")
    public = base64.b64encode(key.replace("PRIVATE", "PUBLIC").encode()).decode()
    assert mask_secrets(f"pub: {public}") == f"pub: {public}"
