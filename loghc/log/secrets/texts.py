"""Secrets recognised by the text around them: URLs, headers, phrases, SQL, credential files."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import NamedTuple

from loghc.log.secrets.kinds import is_joined, is_longer, is_random, is_unlike_words

__all__ = ["TEXTS", "Text"]


class Text(NamedTuple):
    """A kind of text that contains a secret.

    Attributes:
        anchors: texts in lower case, with ``|`` between them. Each such text contains at least one
            of them, perhaps as part of a word. A ``^`` before the first means that the pattern
            begins with one of them. This is good for a pattern that begins with words, which take
            longer to search for than a sign. If empty, the pattern is searched for everywhere, and
            in the original case of the text.
        pattern: a regular expression, for text in lower case, with a group ``secret``.
        caught: an example, with the secret in ``«»``.
        confirm: returns whether a match, in its original case, is a secret. By default, every match
            is.
    """

    anchors: str
    pattern: str
    caught: str
    confirm: Callable[[str], bool] | None = None


def _is_basic(token: str) -> bool:
    """Whether a text is ``user:password`` in base64, and not a word that follows "basic"."""
    try:
        return b":" in base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        return False


def _holds_secrets(value: str) -> bool:
    """Whether a value is base64 of JSON that names a secret."""
    data = base64.b64decode(value[: len(value) // 4 * 4])
    return bool(re.search(rb'(?i)"(?:auths?|private_key|\w*(?:password|secret|token))"', data))


def _has_digit(value: str) -> bool:
    return any(char.isdigit() for char in value)


_METHOD = r"(?i)(?:sha|md|aes|rsa|utf|v|gpio|bcrypt|oauth|base|scram|pbkdf|tls|2fa|k8s|s3)[\w.-]*|[0-9.,:%/-]+\w?|[a-z_][\w.]*\(.*"
_UNLIKE_A_WORD = r"[a-z][A-Z]+[a-z]|[A-Z]{2}[a-z]|[0-9].*[A-Za-z]|[A-Za-z].*[0-9]|[A-Za-z0-9][!@#$%^&*+=?][A-Za-z0-9!]"


def _is_unguessable(value: str) -> bool:
    """Whether a word may be a password: it has a digit or a sign, and isn't a number or method."""
    if re.fullmatch(_METHOD, value) or is_joined(value):
        return False
    return bool(re.search(_UNLIKE_A_WORD, value))


def _is_no_file(value: str) -> bool:
    return is_random(value) and not re.fullmatch(
        r"[A-Za-z]{1,8}[_-]?[0-9]{1,8}(?:\.\w{2,4})?", value
    )


def _is_mixed(value: str) -> bool:
    """Whether a value has digits and letters of both cases, or is long; and isn't a path."""
    return is_longer(value, 32 if value in (value.lower(), value.upper()) else 12)


def _is_cookie(value: str) -> bool:
    """Whether one of a header's cookies may be a secret, rather than a setting."""
    return any(
        re.search(r"[0-9].*[A-Za-z]|[A-Za-z].*[0-9]|[^/]{16}|[0-9]{8}", text)
        or re.search("(?i)sess|sid|token|auth|csrf|jwt|key", name)
        for name, _, text in (cookie.strip().partition("=") for cookie in value.split(";"))
        if name.lower() not in ("path", "domain", "expires", "max-age", "samesite")
    )


def _is_token(value: str) -> bool:
    """Whether letters and digits alternate as often as in random text; hexadecimal isn't."""
    longest = max(re.findall("[A-Za-z0-9]+", value), key=len)
    if is_joined(longest) or re.fullmatch("[0-9a-f]+|[0-9A-F]+", longest):
        return False
    changes = re.findall("[a-z](?=[A-Z0-9])|[A-Z](?=[a-z0-9])|[0-9](?=[A-Za-z])", value)
    return len(changes) >= len(value) * (0.15 if value in (value.lower(), value.upper()) else 0.3)


_QUOTE = "[\"']"
_HEADER = rf"{_QUOTE}?[ \t]{{0,4}}(?:[:=,]|=>)[ \t]{{0,4}}\[?b?{_QUOTE}?"
_SCHEMES = r"(?:basic|bearer|token|apikey|api-key|negotiate|ntlm|bot|sharedkey(?:lite)?|splunk|ssws|geniekey|key|sso-key|flyv1|jwt|pat|snyk)"
_PARTS = r"(?:digest|oauth|hawk|mac|signature|aws4-hmac-sha256|goog4-rsa-sha256|http-signature|aws|vapid)"
_WHAT = r"(?:password|passwd|passphrase|passcode|pwd|secret|token|(?:api|access|secret|license|private|signing)[ -]?key|credentials?|pin|otp|code|passwort|kennwort|contraseña|clave|senha|mot de passe|parola|пароль|wachtwoord|hasło|heslo|identified)"
_CODE = r"(?:(?:one-time|verification|confirmation|security|login|sign-?in|2fa|mfa|temporary|access|your|use|enter|unlock|sms|card|door|gate|alarm|reset|activation|pairing|(?:your|this|the|enter) (?:sms|login|access|security)|enter (?:this|the)|your(?: (?!exit|error|status|return|zip|post|source|order|response)[\w-]{1,20}){1,2}) (?:password|passcode|code|pin|cvv|otp)|(?:mfa|2fa|otp|login) token|code(?= for [^\n:]{1,40}(?: is|:))|totp|otp|passcode|cvv|cvc)"
_DIGITS = "[0-9]{4,8}|[0-9]{3}[ -][0-9]{3}"
_NO_UNIT = "(?![0-9.,:%/]*[0-9]|[ ]?(?:ms|s|seconds|bytes|times|lines|kb|mb|%)\\\\b)"
_VENDORS = "datadog|algolia|mailgun|mailjet|mailchimp|sendgrid|postmark|sparkpost|brevo|klaviyo|cloudflare|fastly|linode|vultr|hetzner|digitalocean|together|mistral|cohere|deepgram|assemblyai|anthropic|openai|groq|elevenlabs|runpod|perplexity|fireworks|pagerduty|opsgenie|victorops|rollbar|bugsnag|honeycomb|newrelic|logdna|loggly|grafana|amplitude|mixpanel|intercom|zendesk|freshdesk|trello|asana|airtable|okta|auth0|nexmo|vonage|plivo|messagebird|telnyx|pushover|shodan|virustotal|censys|ipinfo|abuseipdb|openweather|openweathermap|tmdb|giphy|newsapi|mapbox|alchemy|infura|etherscan|coinbase|binance|kraken|wandb|neptune|snyk|sonarqube|jenkins|codecov|coveralls|travis"
_NO_KEY = "".join(f"(?<!{of}.key)" for of in "public site host rsa dsa cache object message redis s3 idempotency partition sort kms".split())  # fmt: skip
_CHARACTER = r"[^\s\"'`,;<>|)\]]"
# A prefix in one case, such as ghp_, sk- or NRII-. There is an alternative for each length, as a
# lookbehind needs a fixed length.
_PREFIX = "|".join(
    rf"(?<=(?<![A-Za-z0-9_])(?<![A-Za-z0-9_]-)(?:[a-z][a-z0-9]{{{n}}}|[A-Z][A-Z0-9]{{{n}}})[_.-])"
    for n in range(1, 12)
)

TEXTS = (
    # Users' passwords and keys in URLs; a password may contain a /, but a port isn't a password
    Text("//", r"//(?!\[)[^\s:/?#@\"'<>]{0,128}:(?![0-9]{1,5}(?:[/?#\s\"',;)]|$)|\*+@|\[redacted)(?P<secret>(?:[^\s\"'<>:]|:(?!//)){1,4096})@", "postgres://bob:«hunter2»@db:5432/x"),
    Text("://", r"://(?P<secret>[a-z0-9_.~-]{20,256})[:@]", "https://«a1b2c3d4e5f6g7h8i9j0»@sentry.example/1", _has_digit),
    Text("@", r"(?<![\w./:@])(?<![\w./:@]-)[a-z][\w.-]{0,40}:(?P<secret>[^\s\"'`@:/,;(){}<>]{4,128})@(?=(?:tcp|unix|protocol)?[(]|[a-z0-9.-]{1,64}:[0-9]{2,5}(?:/|\b)|[a-z0-9-]{1,40}(?:\.[a-z0-9-]{1,40}){1,6}/)", "bob:«hunter2»@tcp(db:3306)/x"),
    Text("jdbc:oracle", r"jdbc:oracle:\w{1,8}:\w{1,40}/(?P<secret>[^\s@\"']{1,128})@", "jdbc:oracle:thin:bob/«tiger2»@//db:1521/x"),
    Text("?|&|#", r"[?&#;](?:[a-z0-9]{1,20}[_-]){0,3}(?:token|sig|signature|auth|authkey|pass|pwd|jwt|access|apikey|appid|secret|otp|ticket|passkey|code_verifier)=(?P<secret>[^\s&\"'<>#%`*\[][^\s&\"'<>#`]*)", "https://x/?X-Amz-Signature=«hunter2»"),
    Text("?|&", r"[?&](?:key|k|code|hash|sid|session|secret_?id|state|nonce|t|s|id_?hint|h|hmac|policy|credential|x-amz-credential|x-amz-security-token|awsaccesskeyid|auth_?code|samlresponse|relaystate|invite)=(?P<secret>[^\s&\"'<>#]{8,})", "https://maps.example/?key=«a1b2c3d4e5»", _is_no_file),
    # URLs that are themselves secret
    Text("slack|zapier|discord|discordapp|telegram|make|integromat|office|ifttt|hook|integration|/api/push/|/bot|integrations|nosnch|cronitor|uptimerobot|heartbeat|incoming|infura|alchemy|quiknode|hc",
         r"(?:hooks\.slack\.com/(?:services|workflows|triggers)/|discord(?:app)?\.com/api/(?:v[0-9]{1,2}/)?webhooks/"
         r"|api\.telegram\.org/(?:file/)?bot|hooks\.zapier\.com/hooks/catch/|hook\.(?:[a-z0-9]{2,4}\.)?(?:make|integromat)\.com/"
         r"|webhook\.office\.com/webhookb2/|outlook\.office\.com/webhook/|maker\.ifttt\.com/(?:trigger|use)/[^\s/]{1,64}/(?:json/)?(?:with/key/)?"
         r"|/integration/|/api/push/|/bot(?=[0-9]{7,10}:)|alert\.victorops\.com/integrations/generic/[0-9]{1,12}/alert/|/hooks?/|/webhooks?/|/webhook-test/"
         r"|nosnch\.in/|cronitor\.link/(?:p/)?|uptimerobot\.com/|/api/v1/(?:heartbeat|incoming)[\w-]{0,16}/"
         r"|infura\.io/(?:ws/)?v3/|alchemy\.com/v2/|quiknode\.pro/|hc-ping\.com/)(?P<secret>[a-z0-9_:/@-]{10,256})",
         "https://hooks.slack.com/services/«T0A1B2C3/B0A1B2C3/a1b2c3d4e5f6g7h8»", is_random),
    Text("/ping/|/push/|/heartbeat/|/p/",
         r"/(?:ping|push|heartbeat|p)/(?P<secret>[a-f0-9]{8}-?(?:[a-f0-9]{4}-?){3}[a-f0-9]{12}|[a-z0-9_-]{20,64})(?![\w-])", "https://hc.example.com/ping/«9e9d9bbe-4f2b-4a0e-a1e0-111111111111»", _has_digit),
    Text("/services/t", r"/services/(?P<secret>t[a-z0-9]{6,12}/b[a-z0-9]{6,12}/[a-z0-9]{16,32})", "https://hooks.slack.com:443 \"POST /services/«T0A1B2C3D/B0A1B2C3D/a1b2c3d4e5f6g7h8i9j0k1l2» HTTP/1.1\" 200"),
    Text("/join|/reset|/password|/confirm|/verify|/invite|/activate|/magic|webhook.site/", r"(?:/(?:join|reset|password|confirm|verify|invite|activate|magic)[\w-]{0,24}(?:/[\w-]{1,8})?|webhook\.site)/(?P<secret>[\w.-]{16,256})", "GET /reset-password/«a1b2c3d4e5f6g7h8i9j0» 200", lambda value: is_random(value, 16)),
    Text("^signature", r"signature: ?(?P<secret>t=[0-9]{1,16},v[0-9]=[a-f0-9]{16,}[^\s\"']*)", "Stripe-Signature: «t=1700000000,v1=0123456789abcdef0123»"),
    # Headers
    Text("^authorization", rf"authorization{_HEADER}{_SCHEMES}[ \t]{{1,4}}(?!is |auth|required|\[redacted|\*{{3}}|\$)(?P<secret>[^\s\"'\\,;]+)", "Authorization: Bearer «hunter2»"),
    Text("^authorization", rf"authorization{_HEADER}{_PARTS}[ \t]{{1,4}}(?!\[redacted)(?P<secret>[^'\\\r\n=]{{1,64}}=[^'\\\r\n]*)", "Authorization: Digest «username=\"b\", response=\"hunter2\"»"),
    Text("^authorization", rf"authorization{_HEADER}(?P<secret>[^\s\"'\\,;]{{8,}})", "authorization=«a1b2c3d4e5»", is_random),
    Text("^bearer|ssws|geniekey", r"(?:bearer|ssws|geniekey)(?:[ \t]{1,4}|[:,][ \t]?)(?![a-z_]{1,24}=)(?P<secret>[a-z0-9._~+/=-]{12,})", "sent bearer «a1b2c3d4e5f6» to x", _has_digit),
    Text("^basic", r"basic[ \t]{1,4}(?P<secret>[a-z0-9+/_-]{8,}={0,2})", "Basic «Ym9iOmh1bnRlcjI=»", _is_basic),
    Text("^cookie|cookies", rf"cookie{_QUOTE}?[ \t]{{0,4}}(?:[:,=]|=>)[ \t]{{0,4}}\[?b?{_QUOTE}?(?P<secret>[a-z0-9_.%-]{{1,128}}=(?!\[redacted)[^\"'\\\r\n]+)", "Cookie: «sid=hunter2; theme=dark»", _is_cookie),
    Text("cookie|morsel", r"<(?:cookie|morsel):? (?P<secret>[\w.-]{1,64}=[^\s>]+)", "<Cookie «sid=hunter2» for x/>"),
    # Phrases
    Text("^identified|password|passwd|passphrase|passcode|secret|token|api|access|license|private|signing|pin|otp|pwd|code|credential|passwort|kennwort|contraseña|clave|senha|mot de passe|parola|пароль|wachtwoord|hasło|heslo",
         rf"{_WHAT}(?: [^\s:]{{1,64}}){{0,4}}?:?(?:[ ](?:with|got|received|entered|by|is|es|é|est|ist|lautet|was|are|to|set to|changed to|reset to|now|will be|became|=|->|→)){{1,2}}:?[ ]{{1,2}}[\"'`]?(?![\w.+-]+@[\w-]+\.)(?P<secret>{_CHARACTER}{{4,128}})", "the password is «hunter2»", _is_unguessable),
    Text("^password|passphrase|pin|passcode|passwort|kennwort|contraseña|clave|senha|parola|пароль|wachtwoord|hasło|heslo", r"(?:password|passphrase|pin|passcode|passwort|kennwort|contraseña|clave|senha|parola|пароль|wachtwoord|hasło|heslo)(?: [\w@.'/()-]{1,64}){1,6}(?:://[^\n:]{1,60})?:\s{0,3}[\"'`]?(?P<secret>[^\s\"'`]{4,128})(?=\s{0,4}(?:\n|$|[\"'`]))", "a temporary password is generated for root@localhost: «k)7;Tq<a9»", _is_unguessable),
    Text("^recovery|backup|scratch", r"(?:recovery|backup|scratch) codes?(?: [\w@.-]{1,64}){0,4}:? [\"'`]?(?P<secret>[a-z0-9]{4,12}(?:-[a-z0-9]{4,12}){1,3}(?:[, \n]{1,4}[a-z0-9]{4,12}(?:-[a-z0-9]{4,12}){1,3}){0,32}|[0-9]{6,12}(?:[, ]{1,3}[0-9]{6,12}){0,32})\b", "recovery codes for bob: «a1b2c-d3e4f, b2c3d-e4f5g»", _has_digit),
    Text("^mnemonic|bip39|seed|recovery|backup|wallet|secret", r"(?:mnemonic|bip39|seed|recovery|backup|wallet|secret)[^\n]{0,32}?[ :=\"'(](?P<secret>(?:[a-z]{3,8}[, ]{1,2}){11,23}[a-z]{3,8})\b", "seed phrase is «legal winner thank year wave sausage worth useful legal winner thank yellow»"),
    Text("^otp|totp|2fa|mfa|authenticator|base32", r"(?:totp|otp|2fa|mfa|authenticator|base32)[^\n]{0,48}?[^a-z0-9](?P<secret>[a-z2-7]{16,64})(?![a-z0-9])", "TOTP seed for bob: «RZ2XXZXBYODYPKAJ»", lambda value: value.isupper() and _has_digit(value)),
    Text("^password|pin|otp|totp|passcode|cvv|cvc|one|verification|confirmation|security|login|sign|2fa|mfa|temporary|access|your|use|enter|unlock|sms|card|door|gate|alarm|reset|activation|pairing|code for", rf"(?:{_CODE}(?:(?: [\w@.'/+-]{{1,40}}){{0,6}}?(?: is| was| set to|:| =)|(?: (?:entered|generated|sent|received))?)|(?:password|pin)(?: code)?(?: f(?:or|ür)(?: [^\s]{{1,64}}){{1,4}})?(?: is|:| code)):? {{1,2}}[\"'`]?(?P<secret>{_DIGITS}|(?<=cv[vc] )[0-9]{{3}}){_NO_UNIT}", "your one-time password is «493021»"),
    Text("your|sign in|log in|verify|confirm|unlock", rf"(?<![\w.:/#])(?<!\w-)(?:g-)?(?P<secret>{_DIGITS})(?: is (?:your|the) [^\n]{{0,40}}?(?:code|otp|pin|password)\b|(?<=[0-9]{{6}}) (?:to|as) (?:sign in|log in|verify|confirm|unlock|your code))", "«493021» is your login code"),
    Text("^card|visa|mastercard|amex|credit", r"(?:card|visa|mastercard|amex|credit)(?:[ _-]?(?:number|no|num|nr))?[^\n\w]{0,6}(?:[a-z]{1,12}[^\n\w]{1,4}){0,3}(?P<secret>[2-6][0-9]{3}([ +-]?)(?:[0-9]{4}\2[0-9]{4}\2[0-9]{4}|[0-9]{6}\2[0-9]{5}))(?![\w-])", "card number «4111 1111 1111 1111» declined"),
    Text("^secret|pat|psk|token|key|cookie|jwt|credential|password|passphrase|passcode", rf"(?:(?<!\w)(?<!\w-)(?:secret|pat|psk|cookie|jwt|credential)|token|key{_NO_KEY}(?<!pubkey)|pass(?:word|phrase|code))(?! id )(?: is|(?: [a-z@.-]{{1,32}}){{1,4}}(?: is| to|:)?)? b?[\"'`(]?(?P<secret>[^\s\"'`,;<>|)\]:(]{{12,512}})(?=[\s,;.<>|)\]\"'`]|$)", "the PAT of bob is «x4kt9qbw2mzr7lpv0chs5nfj8dgy3ate»", _is_mixed),
    Text("^app password|pass|password", r"(?:app password[: ]{1,3}|pass(?:word)?[\"']?[:=] ?[\"']?)(?P<secret>[a-z0-9]{4}(?:[ -][a-z0-9]{4}){3})\b", "app password «abcd efgh ijkl mnop»"),
    Text("^passphrase|mnemonic|seed phrase|recovery phrase", r"(?:passphrase|mnemonic|(?:seed|recovery) phrase) [\"'`](?P<secret>[^\"'`\n]{4,256})[\"'`]", "using passphrase '«correct horse battery staple»'"),
    Text("^credential|credentials|basic auth|auth|authentication|login|log in|logged|logging|authenticated|authenticating|authenticate|sign|signed|signing", r"(?:credentials?|basic auth|auth(?:entication)? failed:?|log(?:ged|ging)? ?in|authenticat(?:ed|ing|e)|sign(?:ed|ing)? in)(?: (?:failed|succeeded))?(?: (?:as|with|using|user|are|is|for))?[ :=]{1,3}[\"'`(]?[\w.+@-]{1,64}(?::|/| / )(?P<secret>[^\s\"'`,;<>|)/:]{4,128})", "logging in as bob:«hunter2»", _is_unguessable),
    # Code: users and passwords side by side
    Text("^auth|httpbasicauth|basicauth|login|authenticate|username|simple_bind|credentials|password",
         r"(?:(?:http)?basicauth|auth|login|authenticate|username_pw_set|simple_bind(?:_s)?|set_credentials|credentials|add_password)[\"']?[ ]?(?:=[ ]?|:[ ]?)?(?:[\w.]{0,32})?[(\[](?:[ ]?(?:user(?:name)?=)?b?[\"'][^\"'\n]{0,128}[\"'],){1,3}?[ ]?b?[\"'](?P<secret>[^\"'\n]{1,256})[\"']", "requests.get(url, auth=('bob', '«hunter2»'))"),
    Text("^client", r"client\([\"'](?:ac[a-f0-9]{32}[\"'], ?[\"'])?(?P<secret>(?!ac[a-f0-9]{32})[a-z0-9_-]{24,256})[\"']", "Client('AC0a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d', '«0a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d»')", lambda value: is_longer(value, 24)),
    Text("^connect", r"connect\([\"'][^\"'\n]{0,128}[\"'],(?: ?[0-9]{1,5},)? ?[\"'][^\"'\n]{0,128}[\"'], ?[\"'](?P<secret>[^\"'\n]{1,256})[\"']", "pymysql.connect('db', 'bob', '«hunter2»', 'shop')"),
    Text("^fernet|multifernet|aesgcm|secretbox|totp|hotp|timestampsigner|urlsafeserializer|urlsafetimedserializer|hmac.new|secretstr|securestring|checkpw|hashpw",
         r"(?:(?:multi)?fernet|aesgcm|secretbox|[th]otp|timestampsigner|urlsafe(?:timed)?serializer|hmac\.new|secretstr|securestring|checkpw|hashpw)[ (][\[ ]{0,2}b?[\"'](?P<secret>[^\"'\n]{6,512})[\"']", "Fernet(b'«hunter2hunter2»')", _has_digit),
    Text("\"d\"|\"k\"|\"p\"|\"q\"|\"dp\"|\"dq\"|\"qi\"|'d'|'k'|'p'|'q'|'dp'|'dq'|'qi'", r"[\"'](?:d|k|p|q|dp|dq|qi)[\"']: ?[\"'](?P<secret>[a-z0-9_-]{38,2048})[\"']", '{"kty":"EC","d":"«Jrr3xk9aB3dE5fG7hI9jK1lM2nO4pQ6rS8tU0vW»"}', _is_mixed),
    # Text written to a program's standard input
    Text("^echo|printf", r"(?:echo|printf)(?: -[ne]{1,2})?[ ]{1,2}(?:[\"']%s(?:\\n)?[\"'] )?[\"']?(?!\$)(?P<secret>[^\"'|\n]{1,128}?)[\"']?[ ]{0,2}\|[ ]{0,2}(?:sudo -\w{0,4}s|docker login|podman login|helm registry|passwd|gpg|cryptsetup|su |kinit|smbpasswd|openssl|gh auth|vault)", "echo «hunter2» | sudo -S ls"),
    Text("chpasswd", r"(?:echo|printf) [\"']?[\w.-]{1,32}:(?P<secret>[^\"'|\n]{1,64})[\"']?[ ]{0,2}\|[ ]{0,2}(?:sudo )?chpasswd", "echo 'bob:«hunter2»' | chpasswd"),
    Text("::add-mask::", r"::add-mask::(?P<secret>\S{4,256})", "::add-mask::«hunter2»"),
    Text("<<<", r"(?:secret|login|token|password|passwd|auth)[^\n]{0,64}<<<[ ]?[\"']?(?P<secret>[^\s\"'$]{4,})", "gh auth login --with-token <<< «hunter2x»"),
    # SQL
    Text("^identified|password|storepassword|keypassword", r"(?:identified (?:with [\w'\"]{1,40} )?(?:by|as)|(?:store|key)?password)(?: password)?[ \t]{1,4}e?[\"'](?P<secret>[^\"'\n]{1,256})[\"']", "CREATE USER bob IDENTIFIED BY '«hunter2»'"),
    Text("^password|crypt|encrypt|decrypt|md5|sha1|sha2", r"(?<![a-z0-9_])(?:password|crypt|encrypt|decrypt|md5|sha[12]|sha2_\d{3})\([\"'](?P<secret>[^\"'\n\\]{1,256})[\"']", "SET PASSWORD FOR bob = PASSWORD('«hunter2»')"),
    Text("^sp_addlogin|pgp_sym_|aes_encrypt|aes_decrypt", r"(?:sp_addlogin|pgp_sym_\w{1,16}|aes_(?:en|de)crypt) ?\(? ?[\"'][^\"'\n]{0,256}[\"'], ?[\"'](?P<secret>[^\"'\n]{1,256})", "EXEC sp_addlogin 'bob', '«hunter2»'"),
    Text("insert into", r"insert into [^\n()]{1,64}\([^()]{0,300}(?:pass|pwd|secret|token|api_?key|pin\b)[^()]{0,300}\)\s{0,16}values\s{0,16}\(\s{0,4}(?P<secret>[^\n\"']{0,200}[\"'][^\n]*)", "INSERT INTO users (name, password) VALUES («'bob', 'hunter2')»"),
    Text("[parameters:", r"(?:pass|pwd|secret|token|api_?key)[^\]]{0,400}\][\s+-]{0,16}\[parameters: [\(\{\[](?P<secret>[^\n\"']{0,200}[\"'][^\n]*)", "[SQL: INSERT INTO users (name, password) VALUES (%s, %s)]\n[parameters: («'bob', 'hunter2')]»"),
    Text("input_value=", r"(?:pass|pwd|secret|token|key)\w{0,20}\n[^\n]{0,200}?input_value=[\"'](?P<secret>[^\"'\n]{1,256})[\"']", "password\n  too short [type=x, input_value='«hunter2»', input_type=str]"),
    Text("^pragma|attach", r"(?:pragma (?:hex|re)?key ?= ?|attach[^\n]{1,256}? as \w{1,32} key )[\"'](?P<secret>[^\"'\n]{1,256})", "PRAGMA key = '«hunter2»'"),
    # Protocols
    Text("^auth", r"auth[\"']? [\"']?(?!for|with|as|from|of|to|by|is|and|or|failed|type|method)\w{1,32}[\"']? [\"']?(?P<secret>[^\s\"'\\]{4,128})", "AUTH default «hunter2»", lambda value: _is_unguessable(value) and is_unlike_words(value)),
    Text("^login", r"login(?:(?<=[0-9] login) [\"']?[^\s\"']{1,64}[\"']? [\"']?| [\"']?[^\s\"']{1,64}[\"']? \")(?P<secret>[^\s\"'\\]{1,128})", "a001 LOGIN bob «hunter2»", lambda value: not value.isdigit()),
    Text("^ugfzc3dvcmq6|auth cram-md5", r"(?:ugfzc3dvcmq6|auth cram-md5)(?:[^\n]*\n){0,3}?[^\n]{0,80}?send: b?[\"'](?P<secret>[a-z0-9+/]{4,}={0,2})", "reply: b'334 UGFzc3dvcmQ6\\r\\n'\nsend: '«aHVudGVyMg==»\\r\\n'"),
    # Credential files
    Text("^login", r"login[ \t\n]{1,4}\S{1,64}\s{1,8}(?:account \S{1,64}\s{1,4})?password[ \t]{1,4}(?P<secret>[^\s\"']{1,128})", "machine x\n  login bob\n  password «hunter2»"),
    Text(":5432:|:5433:|:6432:|:*:", r"(?<=[\w.*-]):(?:543[0-9]|6432|\*):(?:[\w.*-]{1,63}):(?:[\w.*-]{1,63}):(?P<secret>[^\s\"']{1,128})", "db.example.com:5432:shop:bob:«hunter2»"),
    Text("^private-lines|private-mac", r"private-(?:lines: ?[0-9]{1,4}[\s+-]{1,16}|mac: ?)(?P<secret>(?:[a-z0-9+/=]{20,100}[\s+-]{1,16}){0,100}[a-z0-9+/=]{8,100})", "Private-Lines: 2\n«AAAAgQDabcdefghijklmnop\nabcdefgh==»"),
    # Shapes that need more than a template; the first line of a key without its BEGIN line
    Text("^mii|mig|mih|mc4caqawbqydk2v|mhccaqee|mhqcaqee|b3blbnnzac1rzxktdj", r"(?P<secret>(?:mii[a-z0-9]{2,3}ibaakca|mii[a-z0-9]{2,3}ibadanbgkqhk|mi[a-z0-9]{2}ageamb[a-z]gbyqgsm49|mc4caqawbqydk2v|mh[cq]caqee|b3blbnnzac1rzxktdj)[a-z0-9+/]{20,}={0,2})", "«MIIEowIBAAKCAQEAOMPsd4j0RYcyGJ0SjWklll8»"),
    # A vendor's prefix and then a long random part: most vendors' tokens, including future ones
    Text("", rf"[_.-](?=[A-Za-z0-9_-]{{30}})(?:{_PREFIX})(?<!sha[0-9][0-9][0-9]-)(?:[a-z]{{2,6}}[_-]){{0,2}}(?P<secret>[A-Za-z0-9_-]+(?:[=+/.~]{{1,2}}[A-Za-z0-9_-]+)*)", "got acme_«x4Kt9QbW2mZr7LpV0cHs5NfJ8dGy3aTe6uXw» for bob", _is_token),
    # Tokens that begin with arbitrary digits or letters: Mailchimp's, New Relic's, Mailgun's, Jenkins', Asana's, Telegram's, Discord's; Terraform's, Azure's
    Text("", r"(?P<secret>[0-9a-fMNO](?<![A-Za-z0-9_].)(?<![A-Za-z0-9_]-.)(?:(?<=[0-9a-f])[0-9a-f]{31}(?:-us[0-9]{1,2}|[A-Za-z0-9]{4}NRAL|-[0-9a-f]{8}-[0-9a-f]{8})|(?<=1)(?:1[0-9a-f]{32}|/[0-9]{13,17}:[0-9a-f]{32})|(?<=[0-9])[0-9]{7,9}:AA[A-Za-z0-9_-]{33}|(?<=[MNO])[A-Za-z0-9]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,38}))(?![A-Za-z0-9_-])", "bot «110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsawX»"),
    Text(".atlasv1.", r"(?P<secret>[a-z0-9]{14}\.atlasv1\.[\w.=~-]{60,})", "got «x4K9bW2mZr7LpV.atlasv1.x4K9bW2mZr7LpV0cHs5NfJ8dGy3aTe6uXw1yRx4K9bW2mZr7LpV0cHs5NfJ8dGy3aTe6uX»"),
    Text(f"^{_VENDORS}", rf"(?:{_VENDORS})(?: (?:api|app|key|token|with|using)){{0,2}}[:=]?[ =][\"'`]?(?P<secret>[a-z0-9_-]{{32,}})(?![\w-])", "using datadog «1b07af9dc05bcc3f8444c4d5db778c6d»", lambda value: is_longer(value, 32)),
    Text("jwt.encode|jwt.decode", r"jwt\.(?:en|de)code\([^\n]{1,400}?, ?(?:key=)?b?[\"'](?P<secret>[^\"'\n]{6,512})[\"'], ?algo", "jwt.encode({'sub': 1}, '«hunter2hunter2»', algorithm='HS256')"),
    Text("^eyj|ewog", r"(?P<secret>(?:eyj|ewog)(?<![a-z0-9+/]eyj)[a-z0-9+/]{24,}={0,2})", "config «eyJhdXRocyI6eyJyZWdpc3RyeS5leGFtcGxlLm9yZyI6e319fQ==»", _holds_secrets),
    Text("client_random|_secret|_secret_0", r"(?:client_random|_secret(?:_0)?) [a-f0-9]{64} (?P<secret>[a-f0-9]{64,96})", "CLIENT_RANDOM 0a1b2c3d0a1b2c3d0a1b2c3d0a1b2c3d0a1b2c3d0a1b2c3d0a1b2c3d0a1b2c3d «4e5f6a7b4e5f6a7b4e5f6a7b4e5f6a7b4e5f6a7b4e5f6a7b4e5f6a7b4e5f6a7b4e5f6a7b4e5f6a7b4e5f6a7b4e5f6a7b»"),
    Text("^q~", r"q~(?<=[0-9]q~)(?P<secret>[\w.~-]{31,40})", "got x4K8Q~«9bW2mZr7LpV0cHs5NfJ8dGy3aTe6uXw1yR» for bob"),
    Text("^eyj", r"eyj(?<![a-z0-9_]eyj)(?P<secret>[a-z0-9_-]{8,}\.[a-z0-9_-]{8,}(?:\.[a-z0-9_-]{0,4096}){0,3})", "got eyJ«hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl»"),
    Text("akia|asia", r"a[ks]ia[a-z0-9]{16}[^\w\n]{1,8}(?:[a-z_ ]{1,32}[=:][ \"']{1,3})?(?P<secret>[a-z0-9+/]{40})(?![a-z0-9+/])", "AKIA«IOSFODNN7EXAMPLE»:«wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY»"),
    Text("$", r"(?<![\w$])(?P<secret>\$(?:1|2[abxy]|5|6|y|7|apr1|argon2id?|argon2i|scrypt|pbkdf2-sha\d{3})\$[^\s\"':;]{12,})", "bob:«$6$abcdefgh$0123456789abcdef0123»:19000", _has_digit),
    Text("pbkdf2_sha|scram-sha|{ssha|{sha|bcrypt_sha", r"(?:pbkdf2_sha\d{1,3}\$|scram-sha-\d{1,3}\$|\{ss?ha\d{0,3}\}|bcrypt_sha256\$)(?P<secret>[^\s\"',;]{16,})", "pbkdf2_sha256$«600000$a1b2c3$d4e5f6g7h8i9j0»"),
    Text("--", r"--(?:[a-z0-9]{1,20}[_-]){0,3}(?:pass(?:word|wd|phrase|code)?|pwd|pw|secret|token|api-?key|access-?key|secret-?key|auth-?token|private-?key|key|credentials?)(?:[ \t]{1,4}[\"']?|[\"'],[ \t]{0,4}[\"'](?![^\"'\n]{0,64}[\"']:))(?!-|file|stdin|\$|<|\[redacted|\*{3}|/|~|\./|is |via |using |in |from |for |and |or |not |to |option|required|must|was )(?P<secret>(?<=\")[^\"\n]+|(?<=')[^'\n]+|(?<![\"'])(?:[^\s\"'|;,)\]\\]|\\(?!\\{0,8}[\"'nrt]))+)", "mysqldump --password «hunter2» x", lambda value: not re.fullmatch("[A-Z_]*(?:PASS|TOKEN|KEY|SECRET|PWD|VALUE|STRING|FIELD|NAME)[A-Z_]*", value)),
    Text("http -|https -", r"https? (?:-[a-z] |--[a-z-]{1,20} ){0,4}(?:-a|--auth)[ =][\"']?[^\s:\"']{1,64}:(?P<secret>[^\s\"']{1,128})", "http -a bob:«hunter2» :8000/x"),
)  # fmt: skip
