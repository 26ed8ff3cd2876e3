"""Values that tell by their names that they are secret: ``password=hunter2``, and all its kin."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from operator import itemgetter
from typing import NamedTuple

__all__ = ["NAMES", "Name", "compiled", "is_random", "is_secret_name", "secret_values"]


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """A regular expression, compiled when it is first used."""
    return re.compile(pattern)


class Name(NamedTuple):
    """Names whose values are secrets, also at the end of a longer name: ``db_password``.

    Attributes:
        words: the names, in lower case, with ``|`` between them. ``_`` stands for an underscore, a
            hyphen, a blank, or nothing.
        value: which values count: a key of ``VALUES``.
        caught: a text with the secret in ``«»``.
        stays: a look-alike that stays.
        whole: the name must begin where a word begins: ``pass``, but not ``compass``.
        after: words of which one must stand right before the name.
        unless: words that make it harmless where they stand right before the name.
    """

    words: str
    value: str
    caught: str
    stays: str
    whole: bool = False
    after: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()


# What makes a key, or a token, one that is secret.
_OWNERS = tuple(
    "access account admin api app application auth authentication authorization bearer bot client"
    " consumer cookie crypt crypto csrf decryption deploy encrypt encryption fernet function"
    " functions hmac host id identity install installation instrumentation integration jwt licence license"
    " logged_in login master nonce oauth personal preshared private push refresh registration"
    " registry robot root salt sas secret secure security server service session shared sign"
    " signature signing ssh ssl sso storage subscription tls user vapid vault webhook xsrf".split()
)
_SECRET_OWNERS = tuple(
    "admin api app application auth client consumer cookie hmac jwt nextauth oauth session shared"
    " signing webhook".split()
)
# Keys and tokens that are no secrets.
_HARMLESS = tuple(
    "bucket cache composite continuation count cursor dedup dedupe deduplication dict file foreign"
    " group hash host i18n idempotency index input join lock lookup max message next object output"
    " page pagination parent part partition primary public publishable range record redis resource"
    " routing row s3 shard sort stop sync task total translation unique".split()
)

NAMES = (
    # Passwords
    Name("pass_word|passwd|pass_phrase|pass_code|passwort|pass_key|pword|psswd|pswd|passwrd", "any", "password=«hunter2»", "password changed for bob"),
    Name("pwd", "no path", "Pwd=«hunter2»", "OLDPWD=/home/bob"),
    Name("pass", "no number", "DB_PASS=«hunter2»", "pass=12 fail=0", whole=True),
    Name("pass", "no number", "DBPASS=«hunter2»", "compass=north", after=("db", "user", "root", "admin", "mysql", "ftp", "smtp")),
    Name("pw", "no number", "DB_PW='«hunter2»'", "pw=3", whole=True),
    Name("pin|pin_code", "code", "pin: «4711»", "pin: 17", whole=True),
    Name("otp|totp|mfa_code|2fa_code|verification_code|security_code|one_time_code|cvv|cvc", "code", "otp=«123456»", "OTP: sent", whole=True),
    Name("recovery_code|backup_code|reset_code|invite_code|magic_code|recovery_key", "random", "recovery code: «a1b2c-d3e4f»", "backup code: done"),
    Name("mnemonic|wallet_seed|seed_phrase|recovery_phrase|secret_phrase|backup_phrase|seed_words", "line", "mnemonic: «legal winner thank year wave»", "mnemonic: None"),
    Name("psk|pre_shared_key|preshared_key|community_string", "any", "wpa_psk=«hunter2»", "psk=", whole=True),
    # The same in other languages
    Name("contraseña|contrasena|clave|senha|palavra_passe|parola|mot_de_passe|mdp", "any", "contraseña: «hunter2»", "clave: None", whole=True),
    Name("kennwort|zugangscode|wachtwoord|lösenord|losenord|adgangskode|passord|salasana", "any", "Kennwort: «hunter2»", "Kennwort:"),
    Name("hasło|haslo|heslo|geslo|lozinka|zaporka|parool|slaptažodis|jelszó|jelszo|şifre|sifre", "any", "hasło: «hunter2»", "heslo:", whole=True),
    Name("пароль|κωδικός|סיסמה|كلمة_المرور|mật_khẩu|mat_khau|kata_sandi", "any", "пароль: «hunter2»", "пароль:", whole=True),
    Name("パスワード|暗証番号|密码|密碼|口令|비밀번호", "any", "密码：«hunter2»", "密码："),
    # Secrets
    Name("secret", "any", "COOKIE_SECRET=«keyboard»", "client_secret: missing", after=_SECRET_OWNERS),
    Name("secret|secret_value|secret_string|secret_text|secret_id", "no word", "client_secret=«hunter2»", "arn:aws:secretsmanager:eu-west-1:1:secret:db-1", unless=(":",)),
    Name("credential", "no word", "credentials: «bob/hunter2»", "credentials: valid"),
    Name("requirepass|masterauth", "any", "requirepass=«hunter2»", "masterauth="),
    # Keys and tokens
    Name("key|key_base|key_data|key_secret|salt", "no word", "X-Api-Key: «hunter2»", "api_key: valid", after=_OWNERS),
    Name("token", "no word", "access_token=«hunter2»", "access token: expired", after=_OWNERS),
    Name("token", "random", "token=«a1b2c3d4e5»", "unexpected token: identifier", unless=_HARMLESS),
    Name("key", "long", "STRIPE_KEY=«a1b2c3d4e5f6g7h8i9»", "primary_key=12", whole=True, unless=_HARMLESS),
    Name("jwt|client_assertion|assertion|saml_response", "random", "jwt=«a1b2c3d4e5»", "jwt: expired", whole=True),
    Name("auth", "random", '"auth": "«Ym9iOmh1bnRlcjI=»"', "auth: basic", whole=True),
    Name("signature|signature_256|sig", "long", "signature: «a1b2c3d4e5f6g7h8i9»", "signature: (self, x: int)", whole=True),
    Name("session|session_id|sess_id|phpsessid|jsessionid|sid", "longer", "sessionid=«a1b2c3d4e5f6g7h8i9j0k1l2»", "session=7f3a9c started", whole=True),
)  # fmt: skip

_UUID = r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"


def is_unlike_words(value: str) -> bool:
    """Whether a value is no word, no few words joined, no small number, and no path."""
    if value.isdigit():
        return len(value) >= 8
    if value.startswith(("/", "./", "../", "~/", "http://", "https://", "arn:", "file:")):
        return False
    if value.isalpha():
        return len(value) >= 16 or bool(re.search("[a-z][A-Z]+[a-z]|[A-Z]{2}[a-z]", value))
    return bool(re.search(r"\d|[^\w ./:-]", value))


def is_random(value: str, least: int = 8) -> bool:
    """Whether a value has letters and digits, as what was made by chance has."""
    return (
        len(value) >= least
        and compiled("[0-9]").search(value) is not None
        and compiled(r"[^\W\d_]").search(value) is not None
        and " " not in value
        and is_unlike_words(value)
    )


def _is_longer(value: str, least: int) -> bool:
    """Whether a value is random and no UUID, path or list, nor a number with a unit or a date."""
    return is_random(value, least) and not re.fullmatch(
        rf"(?i:{_UUID})|[\w./-]+\.[a-z]{{2,4}}|[\w-]+(?:[:/][\w.-]+)+|[0-9T:.+Z-]+", value
    )


VALUES: dict[str, Callable[[str], bool]] = {
    "any": bool,
    "line": bool,
    "no path": lambda value: not value.startswith(("/", "./", "~")),
    "no number": lambda value: (
        not value.isdigit()
        and not value.startswith(("/", "./", "~"))
        and not re.fullmatch(r"[0-9.,]+[a-z%]{0,3}|[0-9]+[/:][0-9]+", value)
    ),
    "no word": is_unlike_words,
    "code": lambda value: value.isdigit() and 3 <= len(value) <= 10,
    "random": is_random,
    "long": lambda value: _is_longer(value, 16),
    "longer": lambda value: _is_longer(value, 20),
}
"""Which values count as secret, for the names that say so."""

# What stands between a name and its value.
_QUOTE = r"(?:\\{0,3}[\"'`]|&quot;|&#x?[0-9a-f]{2};|%22)"
_SEPARATOR = (
    r"s?[0-9]{0,2}"  # password2
    r"(?:"
    rf"(?:{_QUOTE}|\x1b\[[0-9;]{{1,8}}m)?[\])]?[ \t]{{0,8}}(?:=>|:=|==?|::?|：|%3d|%3a|\\u003d)"
    r"(?:\x1b\[[0-9;]{1,8}m)?[ \t]{0,8}"
    r"|[\"'],[ \t]{0,4}[\"']?value[\"']?[ \t]{0,4}[:=][ \t]{0,4}(?=[\"'])"  # name, and "value": "x"
    r"|[\"'],[ \t]{0,4}(?=b?[\"'])"  # ("x-api-key", "x")
    r"|[\"'][ \t]{1,4}(?:value|content)=(?=[\"'])"  # key="password" value="x"
    r"|(?: [a-z:]{1,20}=[\"'][^\"'<>\n]{0,64}[\"'])?[\"']?>(?:<!\[cdata\[)?(?=[^<\n]{1,4096}</)"  # <password>x</password>
    r"|[\"']?\n[ \t]{0,16}value:[ \t]{1,4}"  # - name: PASSWORD, and on the next line its value
    r"|</(?:key|name|string|th|td|dt)>\s{0,16}<(?:string|value|td|dd)>"
    r")"
)
# Weaker: the cells of a table, columns.
_COLUMN = r"s?(?P<weak>[ \t]{0,16}[|│┃][ \t]{1,16}|[ \t]{2,16}|\t{1,4}|\\t)(?=[^\s|│┃])"
_BLOCK = r"[|>][+-]?[ \t]{0,4}\n[ \t]{1,16}"  # of YAML
_OPENING = (
    r"\[?(?:(?!get|env|os|config|settings|input)[A-Za-z_][A-Za-z0-9_.]{0,40}\()?"
    r"[bBrRuUfF]{0,2}(?P<quote>\\{0,3}(?:\"\"\"|[\"'`])|&quot;|&#39;|%22)"
)
_QUOTED = {
    '"': r"(?:[^\"\\\n]+|\\.)*",
    "'": r"(?:[^'\\\n]+|\\.|'')*",
}
# Punctuation may be a part of a bare value; where something follows that has a name of its own, or
# nothing does, it isn't.
_BARE = (
    r"(?:[^\s\"'`\\,;&<|│┃%]+|\\(?![\"'nrt])|<(?!/)|%(?!26|22|0a)"
    r"|[,;&|](?![\s\"'\])}|]|[A-Za-z0-9_.-]{1,64}[=:]|$)|['\"`](?![\s,;)\]}&]|$))+"
)
# What stands for a value that isn't there, or was taken out already. Something must end it.
_PLACEHOLDER = (
    r"(?:\*{2,}|[xX]{3,}|\u2022+|\.{3}|\u2026|-+|\[(?i:redacted|masked|filtered|hidden|secret|removed|scrubbed)\]"
    r"|<[A-Za-z_ .-]{0,40}>|\$\{\w{0,64}\}|\$\(\w|\$\w{1,64}|\{\{[^}\n]{0,64}\}\}|\{[\w.]{0,40}\}|%\(\w{0,40}\)s|%s"
    r"|\[\]|\{\}|!\w{1,40}|:\w{1,40}|\?|@\w{1,40}"
    r"|(?i:none|null|nil|undefined|true|false|yes|no|not|is|was|has|had|are|and|or|to|too|for|from|of|in|on"
    r"|at|by|the|an?|as|if|it|this|that|must|should|may|can(?:not|'t)?|could|will|does|do|did|with|without|only|via"
    r"|required|missing|unset|set|empty|blank|option|argument|ok|okay|valid|validated|invalid|incorrect|wrong|bad"
    r"|accepted|rejected|denied|changed|updated|reset|rotated|rotating|created|deleted|removed|expired|expires|expiring"
    r"|revoked|renewed|refreshed|loaded|found|present|absent|provided|given|stored|saved|generated|generating"
    r"|encrypted|hashed|plain|strong|weak|short|long|length|minimum|maximum|min|max|unknown|any|failed|failure"
    r"|success|successful|successfully|error|enabled|disabled|active|inactive|unchanged|unauthorized|authentication|authenticated"
    r"|str|string|bytes|int|bool|float|optional|optional\[str\]|text|varchar|char|field|input|type|object|secretstr"
    r"|n/a|hidden|redacted|masked|filtered|\(?not shown\)?|sensitive|see|using|use|check|please|your|new|old))"
    r"(?=[\s\"`,;&)}\]<.!?]|'(?!')|\\[\"'nrt]|$)"
)
# A name in a program's code, or a call, that yields the value: shown, it is no secret.
_REFERENCE = (
    r"(?:(?:self|cls|this|settings|config|cfg|conf|env|environ|os|args|kwargs|options|opts|secrets|request|data|params"
    r"|ctx|app|event|process|user|form|credentials|creds|var|local|obj|vault|keyring)\b[.\[(]"
    r"|[A-Za-z_][\w.]{0,60}\((?![\"'])"
    r"|(?:get|getenv|getpass|input|os\.getenv|os\.environ|config|settings)[\w.]{0,40}[(\[]"
    r"|(?:[A-Za-z][\w.]{0,60}[_.])?(?i:pass|password|passwd|passphrase|pwd|pw|secret|token|key|credentials?)(?=[,)\]};]|$|\s))"
)
_WORDS_AFTER = r"(?:[ ][^\s\"'`,;|<>=:]{1,40}){1,24}(?=\s{0,4}(?:\n|$|[\"'`,;|<]))"
_FUNCTION_WORDS = (
    r"(?i) (?:for|from|to|of|in|on|at|by|is|was|are|has|and|or|with|the|an?|user|as|not|but|after|before|when|->|-\w+"
    r"|\(.*|failed|retrying|#.*|//.*|&&|2>&1)(?: |$)"
)
_LONGEST_BEFORE = 24  # characters
_DECIDING = 96  # characters of a value that decide whether it is one


def any_of(words: Iterable[str]) -> str:
    """A pattern for words, of which none begins with another, that shares what they share."""
    parts = []
    for first, group in itertools.groupby(sorted(words), key=itemgetter(0)):
        rests = [word[1:] for word in group]
        parts.append(re.escape(first) + (any_of(rests) if all(rests) else ""))
    return f"(?:{'|'.join(parts)})" if len(parts) > 1 else parts[0]


@cache
def _finder() -> tuple[re.Pattern[str], dict[str, re.Pattern[str]], dict[str, list[Name]]]:
    """What finds names: how they begin, for each beginning the names, and for each name its rows."""
    rows: dict[str, list[Name]] = {}
    for row in NAMES:
        for word in row.words.split("|"):
            rows.setdefault(word.replace("_", ""), []).append(row)
    words = {word for row in NAMES for word in row.words.split("|")}
    begins = {word.split("_")[0] for word in words}
    begins = {word for word in begins if not any(word.startswith(x) for x in begins - {word})}
    names = {
        begin: "|".join(
            re.escape(word).replace("_", "[_ -]?")
            for word in sorted(words, key=len, reverse=True)
            if word.startswith(begin)
        )
        for begin in begins
    }
    return re.compile(any_of(begins)), {x: re.compile(names[x]) for x in names}, rows


def secret_values(text: str, low: str) -> Iterator[tuple[int, int]]:
    """Where the values lie that names say are secret: begin and end, in order.

    Args:
        text: any text.
        low: the same in lower case, of the same length.
    """
    finder, names, rows = _finder()
    separator, column = compiled(_SEPARATOR).match, compiled(_COLUMN).match
    done = 0
    for beginning in finder.finditer(low):
        begin = beginning.start()
        found = names[beginning[0]].match(low, begin)
        if found is None or begin < done:  # no name, or a part of the value before
            continue
        between = separator(low, found.end())
        weak = between is None or low.startswith(_SIDE_BY_SIDE, between.start())
        between = between or column(low, found.end())
        if between is None:
            continue
        counting = [
            row for row in rows[found[0].translate(_NO_JOINT)] if _counts(row, text, low, begin)
        ]
        value = _value(text, between.end()) if counting else None
        if value is None:
            continue
        for row in counting:
            if VALUES[row.value](value.decides) and not (weak and not is_random(value.decides, 6)):
                done = _end(text, value, row, weak=weak)
                yield value.begin, done
                break


_SIDE_BY_SIDE = ("',", '",')
_NO_JOINT = {ord(char): None for char in "_- "}


def _counts(name: Name, text: str, low: str, begin: int) -> bool:
    """Whether a name is one, where it stands."""
    if name.whole and begin and text[begin - 1].isalpha():
        # dbPin is, spin isn't; nor is what an escaped newline stands before.
        camel = text[begin].isupper() and text[begin - 1].islower()
        escaped = text[begin - 2 : begin] in ("\\n", "\\t", "\\r")
        if not (camel or escaped):
            return False
    if name.after or name.unless:
        before = low[max(0, begin - _LONGEST_BEFORE) : begin].rstrip("_- ")
        return before.endswith(name.after or "") and not before.endswith(name.unless or "\n")
    return True


class _Value(NamedTuple):
    """What follows a name.

    Attributes:
        begin: where it begins.
        decides: so much of it as decides whether it is a secret.
        inside: a pattern for all of it.
        quoted: it stands in quotes.
    """

    begin: int
    decides: str
    inside: str
    quoted: bool


def _value(text: str, start: int) -> _Value | None:
    """The value that begins at ``start``; None when there is none, or none to hide."""
    if text.startswith(("|", ">"), start):
        block = compiled(_BLOCK).match(text, start)
        start = block.end() if block else start
    opening = compiled(_OPENING).match(text, start)
    begin = opening.end() if opening else start
    inside = _quoted(opening["quote"]) if opening else _BARE
    placeholder = compiled(_PLACEHOLDER).match(text, begin)
    # What only begins like one, 'it\\'s hunter2', is none.
    plain_quotes = opening and not opening["quote"].startswith("\\")
    if placeholder and not (plain_quotes and text.startswith("\\", placeholder.end())):
        return None
    beginning = compiled(inside).match(text, begin, begin + _DECIDING)
    decides = beginning[0] if beginning else ""
    if opening:
        if _is_sentence(decides) or re.fullmatch("[A-Z]+(?:_[A-Z]+)+", decides):
            return None
    else:
        decides = decides.rstrip(")]}.:")
        if decides.endswith("(") or compiled(_REFERENCE).match(text, begin):
            return None
    return _Value(begin, decides, inside, bool(opening)) if decides.strip() else None


def _end(text: str, value: _Value, name: Name, *, weak: bool) -> int:
    """Where a value ends."""
    last = value.begin + len(value.decides)
    if len(value.decides) >= _DECIDING - 8:  # there may be more of it
        whole = compiled(value.inside).match(text, value.begin)
        return max(last, whole.end()) if whole else last
    if value.quoted or weak:
        return last
    return _end_of_words(text, value.begin, last, name)


def _quoted(quote: str) -> str:
    """A pattern for what stands in quotes."""
    if quote in _QUOTED:
        return _QUOTED[quote]
    if quote.startswith("\\"):
        slashes = len(quote) - len(quote.lstrip("\\"))
        end = re.escape(quote)
        return rf"(?:(?!{end})[^\n\\]|(?!{end}(?!\\))\\{{1,{2 * slashes + 1}}}[^\n\\]|\\\\)*"
    return rf"(?:(?!{re.escape(quote)})[^\n])*"


def _is_sentence(value: str) -> bool:
    """Whether what stands in quotes is a message about a value, rather than one."""
    return value.count(" ") >= 2 and bool(
        re.search(
            r"(?i)\b(?:required|invalid|must|too|is|are|can't|cannot|not|please|match|enter|your)\b",
            value,
        )
    )


def _end_of_words(text: str, first: int, last: int, name: Name) -> int:
    """Where a bare value of several words ends, that fills the rest of its line."""
    if text[last : last + 1] != " ":
        return last
    more = compiled(_WORDS_AFTER).match(text, last, last + 400)
    if more is None or compiled(_FUNCTION_WORDS).search(more[0]):
        return last
    line = text[max(text.rfind("\n", 0, first) + 1, first - 64) : first]
    # PASSWORD=some words, as "env" lists them; but not "PASSWORD=x program".
    listed = re.fullmatch(r"\s*[A-Z0-9_]+=", line) and more[0].count(" ") > 1
    return more.end() if listed or name.value == "line" or line.endswith(": ") else last


def is_secret_name(name: str) -> bool:
    """Whether a variable of that name holds a secret."""
    finder, names, rows = _finder()
    low = name.lower()
    for beginning in finder.finditer(low):
        found = names[beginning[0]].match(low, beginning.start())
        if found is None or low[found.end() :].strip("s0123456789"):
            continue
        for row in rows[found[0].translate(_NO_JOINT)]:
            if row.value not in ("long", "longer") and _counts(row, name, low, found.start()):
                return True
    return False
