"""The values that follow names: where they begin and end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import NamedTuple

from loghc.log.secrets.kinds import compiled, is_random, without_escapes

__all__ = ["LONGEST_DECIDING", "Value", "end_of", "separator", "values_at"]


# The text between a name and its value.
_QUOTE = "[\"'`]"
_SEPARATOR = (
    r"s?(?:_?value(?=[\"']?[ \t]{0,2}[=:]))?(?:_?v?[0-9]{1,2}| [0-9]{1,2}(?=[:=]))?(?: \([\w -]{1,16}\)(?=[:=]))?"  # password2, token_v2, key (hex)
    r"(?:"
    rf"{_QUOTE}?[\])]?[ \t]{{0,8}}(?:=>|:=|==?|::?|：|→)[ \t]{{0,8}}"
    r"|[\"']\r?\n\r?\n(?=\S)"  # name="password", and then a blank line: multipart/form-data
    r"|[\"']?,[ \t]{0,4}[\"']?value[\"']?[ \t]{0,4}[:=][ \t]{0,4}(?=[\"'])"  # name, and "value": "x"
    r"|(?P<beside>[\"'](?:,[ \t]{0,4}|[ \t])(?=b?[\"']))"  # ("x-api-key", "x")
    r"|[\"'][ \t]{1,4}(?:value|content)=(?=[\"'])"  # key="password" value="x"
    r"|(?: [a-z:]{1,20}=[\"'][^\"'<>\n]{0,200}[\"']){0,4}[\"']?>(?:<!\[cdata\[)?(?=[^<\n]{1,512}</)"  # <password>x</password>
    r"|[\"']?[ \t\n][ \t]{0,16}value:[ \t]{1,4}"  # - name: PASSWORD, and then its value
    r"|(?P<call>(?=\())"  # Token('x')
    r"|</(?:key|name|string|th|td|dt)>\s{0,16}<(?:string|value|td|dd)>"
    r")"
)
# Weaker: the cells of a table, or columns.
_COLUMN = r"s?(?P<weak>[ \t]{0,16}[|│┃][ \t]{1,16}|[ \t]{2,16}|\t{1,4})(?=[^\s|│┃])"
# Weaker still: a single blank, followed by neither another name nor an address.
_WORD = r"b?[\"'`](?=\w)|-?\w(?![\w.-]*(?:[=:]|@[\w-]+\.))"
_BLOCK = r"[|>][+-]?[ \t]{0,4}\n[ \t]{1,16}"  # of YAML
_OPENING = r"[bBrRuUfF]{0,2}(?P<quote>\"\"\"\n?|'''\n?|[\"'`])"
_QUOTED = {
    '"': r"(?:[^\"\\\n]+|\\.)*",
    "'": r"(?:[^'\\\n]+|\\.|'')*",
}
# Punctuation may be part of a bare value, unless another name follows it, or nothing does.
_BARE = (
    r"(?:[^\s\"'`\\,;&<|│┃%]+|\\(?!\\{0,8}[\"'nrt])|<(?!/)|%(?!26|22|0a)"
    r"|[,;&|](?![\s\"'\])}|{\[(]|[A-Za-z0-9_.-]{1,64}[=:]|$)|['\"`](?![\s,;)\]}&]|$))+"
)
# Placeholders for a value that is missing or was already removed. Something must end them.
_SIGNS = (
    r"\*{2,}|[xX]{3,}|\u2022+|\.{3}|\u2026|-+|\[(?i:redacted|masked|filtered|hidden|secret|removed|scrubbed)\]"
    r"|<[A-Za-z_ .-]{0,40}>|\$\{\w{0,64}(?::?\?[^}\n]{0,64})?\}|\$\(\w|\$\w{1,64}|\{\{[^}\n]{0,64}\}\}|\{[\w.]{0,40}\}|%\(\w{0,40}\)s|%s"
    r"|\[\]|\{\}|!\w{1,40}|:\w{1,40}|\?[a-z ]{0,40}|@\w{1,40}"
)
_PLACEHOLDER = (
    rf"(?:{_SIGNS}|\(?(?P<word>[A-Za-z]+(?:/a|\[str\])?))"
    r"(?=[\s\"`,;&)}\]<.!?]|'(?!')|\\{1,8}[\"'nrt]|$)"
)
_NO_VALUES = frozenset(
    """
    none null nil undefined true false yes no not is was has had are and or to too got for from of in on at by the a an as
    if it this that must should may can cannot could will does do did with without only via required missing unset set
    empty blank option argument ok okay valid validated invalid incorrect wrong bad accepted rejected denied changed
    updated reset rotated rotating created deleted removed expired expires expiring revoked renewed refreshed loaded
    found present absent provided given stored saved generated generating encrypted hashed plain strong weak short long
    length minimum maximum min max unknown any failed failure success successful successfully error enabled disabled
    active inactive unchanged unauthorized authentication authenticated str string bytes int bool float optional
    optional[str] text varchar char field input type object secretstr n/a hidden redacted masked filtered sensitive see
    using use check please your new old expected actual chauthtok
    """.split()
)
# A name or a call in a program's code that yields the value: it isn't secret itself. Nor is the
# place in the code that loguru logs: "app.auth:login:88 - ".
_REFERENCE = (
    r"(?:(?<=:)<?[A-Za-z_]\w{0,60}>?:[0-9]{1,6}(?= [-|]|: |[\])>|])"
    r"|(?:self|cls|this|settings|config|cfg|conf|env|environ|os|args|kwargs|options|opts|secrets|request|data|params"
    r"|ctx|app|event|process|user|form|credentials|creds|var|local|obj|vault|keyring)\b[.\[(]"
    r"|[A-Za-z_][\w.]{0,60}(?:\((?![\"'])|[)\]]{1,4}[\[(.])|[0-9]{1,5} (?:bytes?|char(?:acter)?s?|digits?)\b"
    r"|(?:get|getenv|getpass|input|os\.getenv|os\.environ|config|settings)[\w.]{0,40}[(\[]"
    r"|(?:[A-Za-z][\w.]{0,60}[_.])?(?i:pass|password|passwd|passphrase|pwd|pw|secret|token|key|credentials?):?(?=\\{0,8}[,)\]};\"']|$|\s))"
)
_WORDS_AFTER = r"(?:[ ][^\s\"'`,;|<>=:]{1,40}){1,24}(?=\s{0,4}(?:\n|$|[\"'`,;|<]))"
_FUNCTION_WORDS = (
    r"(?i) (?:for|from|to|of|in|on|at|by|is|was|are|has|and|or|with|the|an?|user|as|not|but|after|before|when|->|-\w+"
    r"|\(.*|failed|retrying|#.*|//.*|&&|2>&1)(?: |$)"
)
LONGEST_DECIDING = 96
"""How many characters of a value decide whether it is a secret."""
_SEPARATING = frozenset("(_v,0123456789=:\"'`]) \t：→|│┃>\n<")


class Value(NamedTuple):
    """The value that follows a name.

    Attributes:
        begin: where the value begins.
        end: where the part that decides whether it is a secret ends.
        decides: that part, without escapes.
        inside: a pattern for the whole value.
        quoted: whether it is in quotes.
    """

    begin: int
    end: int
    decides: str
    inside: str
    quoted: bool

    @property
    def is_plain(self) -> bool:
        """Whether it has no escapes."""
        return len(self.decides) == self.end - self.begin


def separator(low: str, begin: int) -> tuple[int, int] | None:
    """Where the text between a name and its value ends, and the least length of the value.

    Some signs between them are weak evidence, and then only a random value of at least that many
    characters counts. 0 means that any value counts. None if no such text follows the name.
    """
    # Most words that look like a name are followed by another word, or by more letters.
    first = begin + low.startswith("s", begin)
    blank = low.startswith(" ", first)
    if (
        low[first + blank : first + blank + 1] in _SEPARATING
        or "<" in low[max(0, begin - 40) : begin]
    ):
        if found := compiled(_SEPARATOR).match(low, begin):
            least = 12 if found["call"] == "" else 6 * bool(found["beside"])
            return found.end(), least
        if column := compiled(_COLUMN).match(low, begin):
            return column.end(), 6
    return (first + 1, 6) if blank and compiled(_WORD).match(low, first + 1) else None


# The beginning of a container, of which all leaves are values: [..], {..}, (..), Secret(..)
_CONTAINER = (
    r"[\[({]|(?:(?:\w{1,40}\.){0,4}[A-Z]\w{0,40}|dict|list|set|tuple|frozenset|bytes|str)\("
)
_TOKENS, _TOKENS_WITHIN = 256, 16
_REACH = 4096  # characters
_LEAF = (
    r"[bBrRuUfF]{0,2}(?P<quoted>\"(?:[^\"\\\n]|\\.){0,1024}\"|'(?:[^'\\\n]|\\.){0,1024}')"
    r"|(?P<open>[\[({])|(?P<close>[\])}])|(?P<bare>[^\s\"'()\[\]{},:=]+)"
)
_KEY = r"[ \t]*(?:[:=](?!:)|=>)"
_PLAIN_KEYS = frozenset(
    "user username user_name login name id key_id type kind version host hostname port path url"
    " email mail region created expires enabled algorithm alg encoding".split()
)


def values_at(text: str, start: int, seen: int) -> tuple[list[Value], int]:
    """The values that begin at ``start``: one, or the leaves of a container.

    Args:
        text: any text.
        start: where a value begins.
        seen: where the last examined container ended. Of a container inside it, only the beginning
            is examined again, which keeps the time proportional to the text.

    Returns:
        The values, and where the examined text ends.
    """
    if not compiled(_CONTAINER).match(text, start):
        return list(_one_or_two(text, start)), seen
    found: list[Value] = []
    depth, end, key = 0, start, ""
    tokens = compiled(_LEAF).finditer(text, start, start + _REACH)
    for token in islice(tokens, _TOKENS if start >= seen else _TOKENS_WITHIN):
        end = token.end()
        seen = max(seen, end)
        if token["open"]:
            depth += 1
        elif token["close"]:
            depth -= 1
        elif compiled(_KEY).match(text, end):
            key = token[0].strip("\"'").lower()
            continue
        elif depth and key not in _PLAIN_KEYS:
            value = _value_at(text, token.start())
            # An unquoted value may be a number, or code, or its "=" may be escaped.
            known = value and (value.quoted or compiled(r"\d{6,}").fullmatch(value.decides))
            if value and (known or (is_random(value.decides, 6) and value.is_plain)):
                found.append(value)
        if not token["bare"]:
            key = ""
            if depth <= 0:
                break
    if depth > 0 or not text[end : end + 1].isalnum():
        return found, seen
    value = _value_at(text, start)  # a password such as (x)y7
    return [value, *found] if value else found, seen


def _one_or_two(text: str, start: int) -> Iterator[Value]:
    """A value, and the value it was changed to: ``"old" -> "new"``."""
    if value := _value_at(text, start):
        yield value
        change = compiled(r"[\"'`]? ?(?:->|=>|→) ?").match(text, value.end)
        if change and (new := _value_at(text, change.end())):
            yield new


def _value_at(text: str, start: int) -> Value | None:
    """The value that begins at ``start``; None if there is none, or none that must be hidden."""
    if text.startswith(("|", ">"), start):
        block = compiled(_BLOCK).match(text, start)
        start = block.end() if block else start
    opening = compiled(_OPENING).match(text, start)
    begin = opening.end() if opening else start
    inside = _quoted(opening["quote"]) if opening else _BARE
    placeholder = compiled(_PLACEHOLDER).match(text, begin)
    # A value that only begins like a placeholder, such as 'it\\'s hunter2', isn't one.
    if placeholder and not (opening and text.startswith("\\", placeholder.end())):
        word = placeholder["word"]
        if word is None or word.lower() in _NO_VALUES:
            return None
    beginning = compiled(inside).match(text, begin, begin + LONGEST_DECIDING)
    decides = beginning[0] if beginning else ""
    if opening:
        if _is_sentence(decides) or compiled("[A-Z]+(?:_[A-Z]+)+").fullmatch(decides):
            return None
    else:
        decides = decides.rstrip(")]}.:")
        if decides.endswith("(") or compiled(_REFERENCE).match(text, begin):
            return None
    told = without_escapes(decides)
    if not any(map(str.isalnum, told)):
        return None
    return Value(begin, begin + len(decides), told, inside, quoted=bool(opening))


def end_of(text: str, value: Value, kind: str, *, alone: bool) -> int:
    """Where a value ends. If it is ``alone``, the words after it aren't part of it."""
    if value.end - value.begin >= LONGEST_DECIDING - 8:  # there may be more of it
        whole = compiled(value.inside).match(text, value.begin)
        return max(value.end, whole.end()) if whole else value.end
    if value.quoted or alone:
        return value.end
    return _end_of_words(text, value.begin, value.end, kind)


@cache
def _quoted(quote: str) -> str:
    """A pattern for the text inside quotes."""
    if quote in _QUOTED:
        return _QUOTED[quote]
    return rf"(?:(?!{re.escape(quote)})[^\n])*"


def _is_sentence(value: str) -> bool:
    """Whether the text inside quotes is a message about a value, rather than a value."""
    return value.count(" ") >= 2 and bool(
        re.search(
            r"(?i)\b(?:required|invalid|must|too|is|are|can't|cannot|not|please|match|enter|your)\b",
            value,
        )
    )


def _end_of_words(text: str, first: int, last: int, kind: str) -> int:
    """Where a bare value ends, which may be several words that fill the rest of its line."""
    if text[last : last + 1] != " ":
        return last
    if kind == "line":
        rest = compiled("[^\n\"'`;|<]{0,400}").match(text, last)
        return rest.end() if rest else last
    more = compiled(_WORDS_AFTER).match(text, last, last + 400)
    if more is None:
        return last
    if compiled(_FUNCTION_WORDS).search(more[0]):
        return last
    line = text[max(text.rfind("\n", max(0, first - 64), first) + 1, first - 64, 0) : first]
    # PASSWORD=some words, as printed by "env", but not "PASSWORD=x program".
    listed = re.fullmatch(r"\s*[A-Z0-9_]+=", line) and more[0].count(" ") > 1
    return more.end() if listed or line.endswith(": ") else last
