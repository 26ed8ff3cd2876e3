r"""Ready-made rules for ``redact``: secrets that can be told by their name or by their shape.

    HealthSink(url, redact=loghc.SECRETS)
    HealthSink(url, redact=(*loghc.SECRETS, r"ACME-\d{12}"))

They rather take out too much, keep what tells the reader what was there (``password=[redacted]``),
and take time in proportion to the text. No list of this kind is whole.
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from loghc.log.redaction import REDACTED, Redactor

__all__ = ["SECRETS"]

_PIECE = 65_536  # characters that are searched at once: the interpreter's lock is let go between

# How the patterns stay linear: none begins with a repetition, and one without a bound is followed
# by nothing that could fail. They are compiled when they are first used.


@dataclass(frozen=True)
class _Rule:
    """Replaces what a pattern finds, line by line.

    Attributes:
        pattern: its group ``secret`` is replaced; where it has none, what follows the match's
            first four characters, which tell what kind of token it is.
        confirm: what is found is a secret only if this says so.
    """

    pattern: str
    confirm: Callable[[str], bool] | None = None

    def __call__(self, text: str) -> str:
        pattern = _compiled(self.pattern)
        return "".join(pattern.sub(self._replaced, piece) for piece in _pieces(text))

    def _replaced(self, match: re.Match[str]) -> str:
        whole, begin = match[0], match.start()
        named = "secret" in match.re.groupindex
        first, last = match.span("secret") if named else (begin + _KIND, match.end())
        secret = whole[first - begin : last - begin]
        if self.confirm is not None and not self.confirm(secret):
            return whole
        return whole[: first - begin] + REDACTED + whole[last - begin :]


@dataclass(frozen=True)
class _Named:
    """Replaces the values that follow names: quoted or bare, in JSON, YAML, code, or a command.

    Attributes:
        pattern: matches a name and what stands between it and its value.
        confirm: a value is a secret only if this says so.
        after: matches what has to stand before the name; None: that doesn't matter.
    """

    pattern: str
    confirm: Callable[[str], bool] | None = None
    after: str | None = None

    def __call__(self, text: str) -> str:
        return "".join(part for piece in _pieces(text) for part in self._parts(piece))

    def _parts(self, text: str) -> Iterator[str]:
        done = 0
        for name in _compiled(self.pattern).finditer(text):
            if name.start() < done:
                continue  # a part of the value before
            before = max(0, name.start() - _LONGEST_PREFIX)
            if self.after is not None and not _compiled(self.after).search(
                text, before, name.start()
            ):
                continue
            first, last = _value(text, name.end())
            if first == last or _compiled(_PLACEHOLDER).match(text, first):
                continue
            if self.confirm is not None and not self.confirm(text[first:last]):
                continue
            yield text[done:first]
            yield REDACTED
            done = last
        yield text[done:]


def _private_keys(text: str) -> str:
    """Takes out the key in each private key block, also if only an end of the block is there."""
    parts = []
    done, begun = 0, -1  # the end of what was dealt with; of a block's first line, or -1
    for marker in _compiled(_KEY_MARKER).finditer(text):
        if marker[1] == "END":
            first = done + _key_lines_before(text[done : marker.start()]) if begun < 0 else begun
            parts += _without_key(text, done, first, marker.start())
            done, begun = marker.start(), -1
        else:
            if begun >= 0:
                last = begun + _key_lines_after(text[begun : marker.start()])
                parts += _without_key(text, done, begun, last)
                done = last
            begun = marker.end()
    if begun >= 0:
        last = begun + _key_lines_after(text[begun:])
        parts += _without_key(text, done, begun, last)
        done = last
    return "".join((*parts, text[done:]))


def _without_key(text: str, done: int, first: int, last: int) -> list[str]:
    return [text[done:first], REDACTED if text[first:last].strip() else text[first:last]]


def _key_lines_after(text: str) -> int:
    """How many characters, after a block's first line, belong to its key."""
    end, found = 0, False
    for line in _compiled(_LINE).finditer(text):
        key = _is_key_line(line[0])
        if not key and not (found and _is_short_key_line(line[0])) and _bare(line[0]):
            break
        found = found or key
        end = line.end()
    return end if found else 0


def _key_lines_before(text: str) -> int:
    """Where the key begins that a text, up to the last line of a block, ends with."""
    begin, found, tried = len(text), False, 0
    for line in reversed(list(_compiled(_LINE).finditer(text))):
        key = _is_key_line(line[0])
        # What stands before the marker on its own line may be anything, and a last line short.
        if not key and line.end() < len(text) and _bare(line[0]):
            tried += 1
            if found or tried > 1 or not _is_short_key_line(line[0]):
                break
        found = found or key
        if key:
            begin = line.start()
    return begin


def _is_key_line(line: str) -> bool:
    """Whether a line ends with much base64, or is a header of a block."""
    bare = _bare(line)
    run = len(bare) - len(bare.rstrip(_BASE64))
    return run >= _KEY_RUN or bare.startswith(("Proc-Type:", "DEK-Info:", "Version:", "Comment:"))


def _is_short_key_line(line: str) -> bool:
    """Whether the end of a line may be the little that the last line of a key holds."""
    return _bare(line)[-1:] in _BASE64


def _bare(line: str) -> str:
    """A line without its newline, escaped or not, quotes around it, and the padding of base64."""
    bare = line.strip()
    if bare.endswith("\\n"):
        bare = bare[:-2].rstrip("\\")
    bare = bare.removesuffix("\\r")
    return bare.strip(" \"',\\").rstrip("=")


def _value(text: str, start: int) -> tuple[int, int]:
    """Where the value lies that begins in a text at ``start``."""
    opening = _compiled(_OPENING).match(text, start)
    if opening is None:
        found = _compiled(_BARE).match(text, start)
        if found is None:
            return start, start
        return start, start + len(found[0].rstrip(")]}"))
    found = _compiled(_QUOTED[opening[1]]).match(text, opening.end())
    return opening.end(), found.end() if found else opening.end()


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _pieces(text: str) -> Iterator[str]:
    """Text in pieces of whole lines."""
    start = 0
    while start < len(text):
        end = text.find("\n", start + _PIECE) + 1 or len(text)
        yield text[start:end]
        start = end


def _is_basic(token: str) -> bool:
    """Whether a text is ``user:password`` in base64, and not a word that follows "basic"."""
    try:
        return b":" in base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        return False


def _has_digit(value: str) -> bool:
    return any(char.isdigit() for char in value)


def _looks_random(value: str) -> bool:
    """Whether it is no word, number, or path."""
    return (
        len(value) >= 8
        and _has_digit(value)
        and any(char.isalpha() for char in value)
        and not value.startswith(("/", "./", "~"))
    )


def _is_no_number(value: str) -> bool:
    """Whether it may be a password, and is no count of tests passed, and no path."""
    return not value.isdigit() and not value.startswith(("/", "./", "~"))


_KIND = 4  # characters at the beginning of a token that tell what kind it is

# Names whose values are secrets, also at the end of a longer name: DB_PASSWORD, dbPassword. First
# the letters that they begin with, each in both cases: the search for those is fast.
_WORDS = r"[cCpPsS](?i:(?<=p)ass(?:w(?:or)?d|phrase|code)|(?<=s)ecret|(?<=c)redentials?)"
_KEYS = r"[kKtT](?i:(?<=k)ey|(?<=t)oken)"
# What makes a key, or a token, one that is secret.
_KINDS = (
    r"(?i:access|account|admin|api|app|auth|bearer|bot|client|consumer|csrf|deploy|encryption"
    r"|functions?|id|master|personal|private|refresh|secret|security|service|session|shared"
    r"|signing|storage|subscription|user|xsrf)[_-]?"
)
_LONGEST_PREFIX = 16
_NAMES = rf"(?:{_WORDS}|{_KINDS}{_KEYS})"
# Names that say less.
_LESSER_NAMES = (
    r"[aAjJsStT](?<![A-Za-z].)"
    r"(?i:(?<=t)oken|(?<=a)uth|(?<=j)wt|(?<=s)ig(?:nature)?|(?<=s)ession(?:[_-]?id)?|(?<=s)id)"
)
_SEPARATOR = (
    r"[0-9]{0,2}"  # password2
    r"(?:"
    r"(?:\\{0,3}[\"'])?\]?[ \t]{0,8}(?:=>|:=|[:=])[ \t]{0,8}"  # password = , "password": , :=
    r"|[\"'],[ \t]{0,4}(?=[\"'])"  # ("password", "x")
    r"|[\"'][ \t]{1,4}value=(?=[\"'])"  # key="password" value="x"
    r"|>(?=[^<]{1,256}</)"  # <password>x</password>
    r")"
)
_OPENING = r"(?:[A-Za-z_][A-Za-z0-9_.]{0,40}\()?[bBrRuUfF]{0,2}(\\?[\"'])"
_QUOTED = {
    '"': r"(?:[^\"\\\n]|\\.)*",
    "'": r"(?:[^'\\\n]|\\.)*",
    r"\"": r"(?:[^\"\\\n]|\\\\(?:\\.|[^\\\n])|\\[^\"\\\n])*",
    r"\'": r"(?:[^'\\\n]|\\\\(?:\\.|[^\\\n])|\\[^'\\\n])*",
}
# Punctuation may be a part of a bare value; where something follows that has a name of its own, or
# nothing does, it isn't.
_BARE = (
    r"(?:[^\s\"'\\,;&<]|\\(?![\"'])|<(?!/)"
    r"|[,;&](?![\s\"'\])}]|[A-Za-z0-9_.-]{1,64}[=:]|$))+"
)
# What stands for a value that isn't there, or was taken out already.
_PLACEHOLDER = (
    r"(?i:(?:none|null|nil|undefined|true|false|yes|no|not|is|was|has|and|or|to|for|from|required"
    r"|missing|unset|empty|option|argument)(?![^\s\"',;&)}\]])"
    r"|\*{3,}|\[redacted\]|<[a-z _-]{0,32}>|\$\{|\{\{|%\(|%s|\{\})"
)

_KEY_MARKER = r"-----(BEGIN|END) [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----"
_BASE64 = string.ascii_letters + string.digits + "+/"
_KEY_RUN = 16
_LINE = r"[^\n\\]*(?:\\(?!n)[^\n\\]*)*(?:\n|\\n|$)"  # ends with a newline, escaped or not

_SCHEMES = r"(?:basic|bearer|token|apikey|negotiate|ntlm|bot|sharedkey|splunk)"
_SCHEMES_OF_PARTS = r"(?:digest|oauth|hawk|aws4-hmac-sha256)"

SECRETS: tuple[Redactor, ...] = (
    _private_keys,
    # https://user:password@host, also with a / in the password; but no port
    _Rule(
        r"://(?!\[)[^\s:/?#@\"'<>]{0,128}:(?![0-9]{1,5}(?:[/?#\s\"',;)]|$))"
        r"(?P<secret>(?:[^\s\"'<>:]|:(?!//)){1,256})@"
    ),
    _Rule(r"://(?P<secret>[A-Za-z0-9_.~-]{20,128})@", _has_digit),
    # https://host/?token=
    _Rule(
        rf"[?&#](?:amp;)?(?i:(?:[a-z0-9]{{1,20}}[_-]){{0,3}}(?:{_NAMES}|token|sig|signature|auth|pass|pwd"
        r"|jwt))=(?P<secret>[^\s&\"'<>#]+)"
    ),
    _Rule(r"[?&](?:amp;)?(?i:key)=(?P<secret>[^\s&\"'<>#]+)", _looks_random),
    # Addresses that are secrets by themselves
    _Rule(
        r"(?:hooks\.slack\.com/(?:services|workflows|triggers)/"
        r"|discord(?:app)?\.com/api/(?:v[0-9]{1,2}/)?webhooks/"
        r"|api\.telegram\.org/bot"
        r"|hc-ping\.com/)(?P<secret>[A-Za-z0-9_:/-]{20,256})"
    ),
    # Authorization: Bearer ...
    _Rule(
        r"[aA](?i:uthorization)(?:\\{0,3}[\"'])?[ \t]{0,4}[:=,][ \t]{0,4}b?(?:\\{0,3}[\"'])?"
        rf"(?i:{_SCHEMES})[ \t]{{1,4}}(?P<secret>[^\s\"'\\,;]+)"
    ),
    _Rule(
        r"[aA](?i:uthorization)(?:\\{0,3}[\"'])?[ \t]{0,4}[:=,][ \t]{0,4}b?(?:\\{0,3}[\"'])?"
        rf"(?i:{_SCHEMES_OF_PARTS})[ \t]{{1,4}}(?P<secret>[^'\\\r\n]+)"
    ),
    _Named(rf"[aA](?i:uthorization){_SEPARATOR}", _looks_random),
    _Rule(r"[bB](?i:earer)[ \t]{1,4}(?P<secret>[A-Za-z0-9._~+/=-]{16,})", _has_digit),
    _Rule(r"[bB](?i:asic)[ \t]{1,4}(?P<secret>[A-Za-z0-9+/_-]{8,}={0,2})", _is_basic),
    _Rule(
        r"[cC](?i:ookie)(?:\\{0,3}[\"'])?[ \t]{0,4}[:,][ \t]{0,4}b?(?:\\{0,3}[\"'])?"
        r"(?P<secret>[A-Za-z0-9_.-]{1,128}=[^\"'\\\r\n]+)"
    ),
    # password=, "password": , password: , <password>
    _Named(rf"{_WORDS}{_SEPARATOR}"),
    _Named(rf"{_KEYS}{_SEPARATOR}", after=rf"{_KINDS}\Z"),
    _Named(
        r"[pP](?<![A-Za-z].)(?i:ass|wd)(?:(?:\\{0,3}[\"'][ \t]{0,4}[:=][ \t]{0,4}|=))",
        _is_no_number,
    ),
    _Named(rf"{_LESSER_NAMES}{_SEPARATOR}", _looks_random),
    # --password hunter2, and the same as a list of arguments
    _Named(
        rf"(?<=--)(?i:(?:[a-z0-9]{{1,20}}-){{0,3}}(?:{_NAMES}|token|pass|pwd))"
        r"(?:[ \t]{1,4}(?!-)|[\"'],[ \t]{0,4}(?=[\"']))"
    ),
    # CREATE USER ... IDENTIFIED BY '...'
    _Named(r"[iIpP](?i:(?<=p)assword|(?<=i)dentified by)[ \t]{1,4}(?=')"),
    # Tokens of a known shape
    _Rule(
        r"(?:"
        r"(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])"  # AWS
        r"|gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{50,255}"
        r"|gl(?:pat|oas|dt|rt|cbt|ptt|ft|imt|agent|soat|ffct)-[A-Za-z0-9_.-]{20,255}"  # GitLab
        r"|GR1348941[A-Za-z0-9_-]{20,255}"
        r"|xox[abeoprs]-[A-Za-z0-9-]{10,255}|xapp-[A-Za-z0-9-]{10,255}"  # Slack
        r"|AIza[A-Za-z0-9_-]{35}"  # Google
        r"|ya29\.[A-Za-z0-9_.-]{20,2048}|GOCSPX-[A-Za-z0-9_-]{20,64}"
        r"|sk_(?:live|test)_[A-Za-z0-9]{16,255}|rk_(?:live|test)_[A-Za-z0-9]{16,255}"  # Stripe
        r"|whsec_[A-Za-z0-9+/=]{24,255}"
        r"|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,1024}|rubygems_[a-f0-9]{48}"
        r"|dckr_(?:pat|oat)_[A-Za-z0-9_-]{20,255}|do[opr]_v1_[a-f0-9]{64}|dapi[a-f0-9]{32}"
        r"|hv[sbr]\.[A-Za-z0-9_-]{20,255}|hf_[A-Za-z0-9]{30,64}|glsa_[A-Za-z0-9]{32}_[a-f0-9]{8}"
        r"|shp(?:at|ca|pa|ss)_[a-f0-9]{32}|SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"
        r"|s(?<![A-Za-z0-9]s)k-(?:proj-|ant-|or-)?[A-Za-z0-9][A-Za-z0-9_]{4}[A-Za-z0-9_-]{15,255}"
        r"|AGE-SECRET-KEY-1[A-Z0-9]{58}"
        r")"
    ),
    _Rule(r"[0-9]Q~[A-Za-z0-9_~.-]{31,34}"),  # Azure
    _Rule(
        r"eyJ(?:(?<![A-Za-z0-9_-]eyJ)|(?<=\\[nrt]eyJ))[A-Za-z0-9_-]{8,}"
        r"(?:\.[A-Za-z0-9_-]{8,}){1,4}"
    ),  # JWT
)
"""Rules for ``redact``: credentials, values of names such as ``password``, keys in URLs, private
key blocks, and tokens of a known shape."""
