"""What loguru's ``diagnose=True`` writes of variables whose names say that they are secret."""

from __future__ import annotations

import pytest
from loguru import logger

from loghc.log.secrets.diagnosis import diagnosed_values


def found(text: str) -> list[str]:
    return [text[begin:end] for begin, end in diagnosed_values(text)]


def in_ascii(text: str) -> str:
    """The other of loguru's two styles; columns stay as they are."""
    return text.replace("\u2502", "|").replace("\u2514", "->")


CONNECT = """\
    connect(user, password, host, token)
    │       │     │         │     └ 'hunter3'
    │       │     │         └ 'db'
    │       │     └ 'hunter2'
    │       └ 'bob'
    └ <function connect>
ValueError: no
"""


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (CONNECT, ["'hunter3'", "'hunter2'"]),
        (CONNECT * 2, ["'hunter3'", "'hunter2'"] * 2),
        ("token\n└ 'one'\ntoken\n└ 'two'", ["'one'", "'two'"]),
        ("token\n└ ", [""]),
        ("\ntoken\n└ 'one'", ["'one'"]),
        ("_token\n└ 'one'", ["'one'"]),
        ("Token\n└ 'one'", ["'one'"]),
        # The name begins right above, in the next line that doesn't pass it on.
        ("login(token)\n     └ 'one'", []),
        ("login(token)\n       └ 'one'", []),
        ("token\n\n└ 'one'", []),
        ("   token\n  │\n   └ 'one'", []),
        ("xxx\n    token\n │\n    └ 'one'", []),
        ("  token\n│ x\n  └ 'one'", []),
        # There is none.
        ("└ token", []),
        ("\n└ token", []),
        ("│\n└ token", []),
        ("token │\n      └ 'one'", []),
    ],
)
def test_what_stands_below_a_secret_s_name_is_its_value(text: str, values: list[str]) -> None:
    assert found(text) == values
    assert found(in_ascii(text)) == values


def test_a_value_is_found_below_any_number_of_others() -> None:
    others = "".join(f"│{' ' * (99 - number)}└ 1\n" for number in range(100))
    assert found(f"token, {'x' * 100}\n{others}└ 'one'\n") == ["'one'"]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("token\n└ <A\n    b\n  >\nend", ["<A\n    b\n  >"]),
        ("x(token)\n│ └ <A\n│     b\n└ 1", ["<A\n│     b"]),
        ("token\n└ <A\n  b", ["<A\n  b"]),
        ("token\n└ <A\n b", ["<A"]),
        ("token\n└ A\n  \n  b\nend", ["A\n  \n  b"]),
        ("x(token)\n│ └ A\n    b", ["A"]),
    ],
)
def test_a_value_of_several_lines_is_found_whole(text: str, values: list[str]) -> None:
    assert found(text) == values


class Account:
    """Its ``repr()`` has several lines, as those of tables and of nested models do."""

    def __repr__(self) -> str:
        return "Account(\n    pin='hunter2',\n)"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_the_values_are_found_where_loguru_writes_them(encoding: str) -> None:
    class Sink(list[str]):
        def write(self, message: str) -> None:
            self.append(str(message))

    def login(user: str, credentials: Account, retry: Account) -> None:
        raise ValueError([user, credentials, retry] and "no")

    sink = Sink()
    sink.encoding = encoding  # type: ignore[attr-defined]
    logger.add(sink, format="{message}", diagnose=True)
    try:
        login("bob", Account(), Account())
    except ValueError:
        logger.exception("failed")
    (text,) = sink
    assert text.count("hunter2") == 2
    values = found(text)
    assert len(values) == 1
    assert "hunter2" in values[0]
    assert values[0].endswith(")")
