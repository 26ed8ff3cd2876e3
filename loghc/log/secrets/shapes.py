"""Tokens recognised by their shape: one line for each shape."""

from __future__ import annotations

import itertools
import re

__all__ = ["CLASSES", "PLACE", "SHAPES", "heads", "pattern"]

CLASSES = {
    "A": "A-Za-z0-9",
    "a": "a-z",
    "b": "A-Za-z0-9+/",  # base64
    "B": "A-Za-z0-9+/_-",  # base64 of either alphabet
    "d": "0-9",
    "h": "a-f0-9",
    "l": "a-z0-9",
    "p": "A-Za-z0-9_.~=-",  # anything that a URL may contain
    "U": "A-Z0-9",
    "w": "A-Za-z0-9_-",  # base64 for URLs
}
"""The letters that templates use, and the characters that each stands for."""

PLACE = r"<([A-Za-z])([0-9]+)(?:-([0-9]+)|(\+))?>"
"""A placeholder for random characters in a template."""


SHAPES = (
    # A prefix and then a number of characters, as many vendors use. Most tokens of more than 30
    # characters need no row, as their mixture of letters and digits is enough: see ``texts``.
    # Buildkite, Databricks, DigitalOcean, E2B, ElevenLabs, Firecrawl, Mailgun, Pulumi, RubyGems, Sentry, Shopify, SonarQube, Supabase, Twilio
    "!{bkua_|bkat_|bkaj_|dapi|dose|dkea|dop_v1_|doo_v1_|dor_v1_|e2b_|sk_|fc-|key-|pubkey-|pul-|rubygems_|sntryu_|sntrya_|shpat_|shpca_|shppa_|shpss_|shpua_|shptka_|sqp_|sqa_|squ_|sbp_|SK}<h32+>",
    # Amazon MWS, HubSpot, Plaid, Riot
    "{amzn.mws.|pat-na1-|pat-na2-|pat-eu1-|pat-ap1-|access-sandbox-|access-development-|access-production-|RGAPI-}<h8>-<h4>-<h4>-<h4>-<h12>",
    # Adafruit, Azure, DeepSeek, Fireworks, Mollie, New Relic, ntfy, NuGet, Render, Stripe, Twitch, Vercel
    "!{aio_|JQQJ99|sk-|fw_|live_|NRAK-|tk_|oy2|rnd_|whsec_|oauth:|vcp_|vci_|vca_|vcr_|vck_}<A20+>",
    # Anthropic, Atlassian, Brevo, CircleCI, Docker, Dynatrace, GitLab, Google, LangSmith, New Relic, OpenAI, Postman, Slack, Square, Supabase, Tailscale, Tavily, Vault
    "!{sk-ant-|sk-proj-|sk-or-|sk-svcacct-|sk-admin-|sk-lf-|sk-ws-|ATATT3|ATCTT3|dckr_pat_|dckr_oat_|glpat-|gloas-|gldt-|glrt-|glrtr-|glcbt-|glptt-|glft-|glimt-|glagent-|glsoat-|glffct-|glwt-|GR1348941|AIza|ya29.|GOCSPX-|xapp-|sq0atp-|sq0csp-|sq0idp-|sb_secret_|tskey-auth-|tskey-api-|tskey-client-|tskey-scim-|tskey-webhook-|tskey-reusable-|tvly-|hvs.|hvb.|hvr.|xkeysib-|xsmtpsib-|CCIPAT_|CCIPRJ_|dt0c01.|dt0s01.|lsv2_pt_|lsv2_sk_|NRJS-|PMAK-|xoxa-|xoxb-|xoxe-|xoxe.|xoxo-|xoxp-|xoxr-|xoxs-|xoxc-|xoxd-}<p18+>",
    # Amazon, Artifactory, Dropbox, Facebook, Fly, Grafana, Instagram, Square, Twitter
    "!{ABSK|bedrock-api-key-|FwoGZXIvYXdz|IQoJb3JpZ2lu|AKCp|cmVmdGtu|sl.|sl.u.|EAA|fm1r_|fm1a_|fm2_|glc_|eyJrIjoi|IGAA|IGQV|xprv|nsec1|AAAAAAAAAAAAAAAAAAAA}<B40+>",
    # Bitbucket, crates.io, Pushbullet, Tencent
    "!{ATBB|cio|o.|AKID}<A32>!",
    # Google
    "!{1//0|4/0A}<w30+>",
    # Stripe, ElevenLabs, Paystack, Razorpay
    "!{sk|rk|rzp}_{live|test}_<A14+>",
    # Tokens of other forms
    # Airtable
    "!pat<A14>.<h64>!",
    # Alibaba
    "!LTAI<A12-26>!",
    # Amazon
    "!{AKIA|ASIA|ABIA|ACCA}<U16>!",
    # Braintree, PayPal
    "access_token${production|sandbox}$<l16>$<h32>",
    # Cloudflare
    "!v1.0-<h24>-<h146>",
    # Firebase
    "!AAAA<w7>:<w140+>",
    # Harness
    "!{pat|sat}.<w22>.<h24>.<A20>!",
    # K3s
    "K10<h64>::{server|node}:<A16+>",
    # Mandrill
    "!md-<w22>!",
    # Neon
    "!npg_<A12>!",
    # Resend
    "!re_<A6-12>_<A20+>",
    # SendGrid
    "!SG.<w16-24>.<w39-50>",
    # Vault
    "!s.<A24>!",
)  # fmt: skip
"""A template for each token: ``<h40>`` for 40 characters of the class ``h``, ``<A20-40>`` for 20 to
40, ``<A36+>`` for 36 or more; ``{live|test}`` for either; ``!`` at an end where no letter, digit,
hyphen or underscore may be next to the token."""


def heads(shape: str) -> list[str]:
    """The possible beginnings of a token of this shape."""
    text = shape.strip("!").partition("<")[0]
    choices = (piece.split("|") for piece in re.split("[{}]", text))
    return ["".join(chosen) for chosen in itertools.product(*choices)]


def pattern(shape: str) -> str:
    """A regular expression for tokens of a shape: its group ``secret`` is what follows the head."""
    # It begins with a head and looks back from there, which makes the search fast.
    beginnings = list(map(re.escape, heads(shape)))
    if shape.startswith("!"):  # a hyphen may begin a line of a diff
        beginnings = [
            rf"{head}(?<![A-Za-z0-9_]{head})(?<![A-Za-z0-9_]-{head})" for head in beginnings
        ]
    _, place, rest = shape.strip("!").partition("<")
    places = re.sub(f"{PLACE}|{{([^}}]*)}}|([^<{{]+)", _part, place + rest)
    ends = "(?![A-Za-z0-9_-])" if shape.endswith("!") else ""
    return f"(?:{'|'.join(beginnings)})(?P<secret>{places}){ends}"


def _part(part: re.Match[str]) -> str:
    """A regular expression for a part of a template: a place, alternatives, or text."""
    kind, least, most, more, alternatives, text = part.groups()
    if kind:
        return f"[{CLASSES[kind]}]{{{least}{',' if more else f',{most}' if most else ''}}}"
    return f"(?:{alternatives})" if alternatives else re.escape(text)
