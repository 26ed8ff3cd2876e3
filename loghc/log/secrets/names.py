"""Values whose names say that they are secret, such as ``password=hunter2``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

from loghc.log.secrets.kinds import KINDS, compiled, is_random
from loghc.log.secrets.searched import Anchors, Searched
from loghc.log.secrets.values import LONGEST_DECIDING, end_of, separator, values_at

__all__ = ["NAMES", "Name", "beginnings", "is_secret_name", "secret_values"]


class Name(NamedTuple):
    """Names whose values are secrets, even at the end of a longer name such as ``db_password``.

    Attributes:
        words: the names, in lower case, with ``|`` between them. ``_`` stands for an underscore, a
            hyphen, a blank, or nothing.
        value: which values count: a key of ``KINDS``.
        caught: an example, with the secret in ``«»``.
        whole: whether the name must begin where a word begins: ``pass``, but not ``compass``.
        after: words, one of which must come right before the name. If empty, any text may.
        unless: words that make the name harmless if one of them comes right before it.
    """

    words: str
    value: str
    caught: str
    whole: bool = False
    after: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()


# Words that make a key or a token secret.
_OWNERS = tuple(
    "access account admin api app application auth authentication authorization bearer bot client"
    " consumer cookie crypt crypto csrf decryption deploy encrypt encryption fernet function"
    " functions hmac host id identity install installation instrumentation integration jwt licence license"
    " logged_in login master nonce oauth personal ping preshared private push refresh registration"
    " registry robot root salt sas secret secure security server service session shared sign"
    " signature signing ssh ssl sso storage subscription tls unseal user vapid vault webhook xsrf".split()
)
_SECRET_OWNERS = tuple(
    "admin api app application auth client consumer cookie hmac jwt nextauth oauth session shared"
    " signing webhook".split()
)
# Words that make a key or a token harmless.
_HARMLESS = tuple(
    "bucket cache composite continuation count cursor dedup dedupe deduplication dict evaluated exclusive file foreign"
    " group hash host i18n idempotency index input join lock lookup max message next object output"
    " page pagination parent part partition primary public publishable range record redis resource"
    " routing row rsa s3 shard site sort stop sync task total translation unique".split()
)

NAMES = (
    # Passwords
    Name("pass_word|pasword|passwd|pass_phrase|pass_code|passwort|pass_key|pword|psswd|pswd|passwrd|pass_word_confirmation|pass_word_confirm|pass_word_again|pass_word_repeat|pass_word_repeated|pass_word_verification|pass_word_verify|pass_word_hash|pass_word_digest|pass_word_old|pass_word_new|pass_word_plain|pass_word_value", "any", "password=«hunter2»"),
    Name("creds", "no word", "creds=('bob', '«hunter2»')", whole=True),
    Name("pwd", "no path", "Pwd=«hunter2»"),
    Name("pass|pw", "no number", "> PASS «hunter2»", whole=True),
    Name("pass", "no number", "DBPASS=«hunter2»", after=("db", "user", "root", "admin", "mysql", "ftp", "smtp", "ssh", "ldap", "mail", "redis", "store", "key")),
    Name("pin|pin_code", "code", "pin: «4711»", whole=True),
    Name("otp|totp|otp_code|totp_code|mfa_code|2fa_code|mfa_token|otp_token|2fa_token|sms_code|login_code|access_code|pairing_code|activation_code|confirmation_code|verification_code|security_code|one_time_code|one_time_password|one_time_pin|passcode|cvv|cvv2|cvc|tan|card_number|credit_card|cc_number", "code", "otp=«123456»", whole=True),
    Name("recovery_code|backup_code|scratch_code|reset_code|invite_code|magic_code|recovery_key|auth_code|authorization_code|device_code|code_verifier", "no word", "recovery code: «a1b2c-d3e4f»"),
    Name("mnemonic|wallet_seed|seed_phrase|recovery_phrase|secret_phrase|backup_phrase|seed_words", "line", "mnemonic: «legal winner thank year wave»"),
    Name("security_answer|secret_answer", "line", "security answer: «Rex the dog»"),
    Name("psk|pre_shared_key|preshared_key|community_string|user_code|requirepass|masterauth|bindpw|rootpw", "any", "wpa_psk=«hunter2»", whole=True),
    # The same in other languages
    Name("contraseña|contrasena|clave|senha|palavra_passe|parola|mot_de_passe|mdp|hasło|haslo|heslo|geslo|lozinka|zaporka|parool|slaptažodis|jelszó|jelszo|şifre|sifre|пароль|κωδικός|סיסמה|كلمة_المرور|mật_khẩu|mat_khau|kata_sandi", "any", "contraseña: «hunter2»", whole=True),
    Name("kennwort|zugangscode|wachtwoord|lösenord|losenord|adgangskode|passord|salasana", "any", "Kennwort: «hunter2»"),
    Name("パスワード|暗証番号|密码|密碼|口令|비밀번호", "any", "密码：«hunter2»"),
    # Secrets
    Name("secret", "any", "COOKIE_SECRET=«keyboard»", after=_SECRET_OWNERS),
    Name("secret|secret_value|secret_string|secret_text|secret_id|secret_proof", "no word", "client_secret=«hunter2»", unless=(":",)),
    Name("credential", "no word", "credentials: «bob/hunter2»", unless=("bad",)),
    # Keys and tokens
    Name("key|key_base|key_data|key_secret|salt", "no word", "X-Api-Key: «hunter2»", after=_OWNERS),
    Name("token", "no word", "access_token=«hunter2»", after=_OWNERS),
    Name("token", "random", "token=«a1b2c3d4e5»", unless=_HARMLESS),
    Name("key", "long or uuid", "STRIPE_KEY=«a1b2c3d4e5f6g7h8i9»", whole=True, unless=_HARMLESS),
    Name("routing_key|honeycomb_team", "long", "routing_key: «0a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d»"),
    Name("jwt|client_assertion|assertion|saml_response|community|auth", "random", "jwt=«a1b2c3d4e5»", whole=True),
    Name("signature|signature_256|hmac|sig|salt|session|session_id|sess_id|phpsessid|jsessionid|sid", "long", "signature: «a1b2c3d4e5f6g7h8i9»", whole=True),
    Name("access|refresh|bearer", "long", "TokenPair(access='«x4Kt9QbW2mZr7LpV0cHs5NfJ8dG»')", whole=True),
)  # fmt: skip

_LONGEST_BEFORE = 24  # characters
_JOINTS = "_ -"  # the hyphen last, as this is also used in a character class


@cache
def _by_beginning() -> dict[str, list[str]]:
    """The names by their beginning. No beginning is a prefix of another."""
    found: dict[str, list[str]] = {}
    last = "\n"
    words = {word for row in NAMES for word in row.words.split("|")}
    for head, word in sorted((word.split("_")[0], word) for word in words):
        last = last if head.startswith(last) else head
        found.setdefault(last, []).append(word)
    return found


def beginnings() -> Iterable[str]:
    """The beginnings of names. A text with such a name contains at least one of them."""
    return _by_beginning()


@cache
def _anchors() -> Anchors:
    return Anchors(_by_beginning())


@cache
def _pattern(beginning: str) -> re.Pattern[str]:
    """A pattern that finds the longest name with a beginning."""
    longest_first = sorted(_by_beginning()[beginning], key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)).replace("_", f"[{_JOINTS}]?"))


def _names(searched: Searched) -> Iterator[re.Match[str]]:
    """The names in a text, in order."""
    found_at = sorted(
        (place, beginning)
        for beginning in _by_beginning()
        for place in searched.places.get(beginning, ())
    )
    for place, beginning in found_at:
        found = _pattern(beginning).match(searched.low, place)
        if found is not None:
            yield found


def secret_values(searched: Searched) -> Iterator[tuple[int, int]]:
    """The begin and end of each value whose name says that it is secret."""
    text, low = searched.text, searched.low
    done = seen = 0
    for name in _names(searched):
        begin, end = name.span()
        between = separator(low, end)
        if between is None:
            continue
        start, least = between
        quote = text[begin - 1 : begin] or " "
        if quote in "\"'" and text.startswith(quote, start) and quote not in text[end:start]:
            continue  # the quote after it ends a string: input("Password: ")
        rows = _counting(_rows_of(name[0]), text, low, begin)
        if not rows:
            continue
        if start + LONGEST_DECIDING <= done and text[start] not in "[({":
            continue  # it can add nothing to the value before
        plural = low.startswith("s", end)
        variable = text[start - 1] == "=" and text[begin - 1 : end].replace("_", "").isupper()
        values, seen = values_at(text, start, seen)
        for value in values:
            if (
                plural and value.decides.isdigit() and len(value.decides) < 6
            ):  # passwords: 3 changed
                continue
            if _is_turn(text, begin):
                continue
            for row in rows:
                counts = KINDS[row.value](value.decides) or (
                    # SIGNING_KEY=sunshine, as in a list of environment variables
                    variable
                    and row.value == "no word"
                    and value.decides.isalpha()
                    and len(value.decides) >= 8
                )
                if counts and not (least and not is_random(value.decides, least)):
                    last = value.end
                    if begin >= done:  # not inside the value before
                        last = done = end_of(text, value, row.value, alone=bool(least))
                    yield value.begin, last
                    break


@cache
def _rows_of(name: str) -> tuple[Name, ...]:
    """The rows for a name, as it is written in a text."""
    name = name.translate({ord(joint): None for joint in _JOINTS})
    return tuple(row for row in NAMES if name in row.words.replace("_", "").split("|"))


def _counting(rows: tuple[Name, ...], text: str, low: str, begin: int) -> tuple[Name, ...]:
    """The rows for which a name counts, given the text before it."""
    before = low[max(0, begin - _LONGEST_BEFORE) : begin]
    before = before if before.endswith(": ") else before.rstrip(_JOINTS)
    counting = []
    for row in rows:
        if row.whole and begin and text[begin - 1].isalpha() and not _begins_word(text, begin):
            continue
        if row.after and not before.endswith(row.after):
            continue
        if not (row.unless and before.endswith(row.unless)):
            counting.append(row)
    return tuple(counting)


def _begins_word(text: str, begin: int) -> bool:
    """Whether a word begins right after a letter: dbPin, but not spin."""
    return text[begin].isupper() and text[begin - 1].islower()


def _is_turn(text: str, begin: int) -> bool:
    """Whether ``pass: photos2026`` means a turn. Indented, as in YAML, it means a password."""
    if not compiled("pass: [a-z]+[0-9]+(?![^\\s,;\"'])").match(text, begin):
        return False
    indent = text[text.rfind("\n", 0, begin) + 1 : begin]
    joined = indent.rstrip()[-1:] in ("{", ",") or indent[-1:] in ("_", ".")
    return not joined and (not indent or bool(indent.strip(" -")))


def is_secret_name(name: str) -> bool:
    """Whether a variable with this name holds a secret."""
    low = name.lower()
    return any(
        row.value != "long"
        for found in _names(Searched(name, _anchors()))
        if not low[found.end() :].strip("s0123456789")
        for row in _counting(_rows_of(found[0]), name, low, found.start())
    )
