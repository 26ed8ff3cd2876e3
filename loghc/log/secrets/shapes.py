"""Tokens that tell by their shape whose they are: one line for each."""

from __future__ import annotations

import itertools
import re
from typing import NamedTuple

__all__ = ["CLASSES", "PLACE", "SHAPES", "Shape", "heads", "pattern"]

CLASSES = {
    "A": "A-Za-z0-9",
    "a": "a-z",
    "b": "A-Za-z0-9+/",  # base64
    "B": "A-Za-z0-9+/_-",  # of either alphabet
    "d": "0-9",
    "h": "a-f0-9",
    "l": "a-z0-9",
    "p": "A-Za-z0-9_.~=-",  # whatever a URL takes
    "U": "A-Z0-9",
    "w": "A-Za-z0-9_-",  # base64 for URLs
}
"""The letters that templates use, and the characters that each stands for."""

PLACE = r"<([A-Za-z])([0-9]+)(?:-([0-9]+)|(\+))?>"
"""What a template has in place of random characters."""


class Shape(NamedTuple):
    """A kind of token.

    Attributes:
        vendor: whose it is, or their names.
        template: its text, with ``<h40>`` for 40 characters of the class ``h``, ``<A20-40>`` for 20
            to 40 and ``<A36+>`` for 36 or more; ``{live|test}`` for either; ``!`` where no letter,
            digit, hyphen or underscore may stand beside it.
        stays: a look-alike that is no token, itself a template.
    """

    vendor: str
    template: str
    stays: str


SHAPES = (
    # A prefix, and then so many characters: what many vendors have. Most of more than 30 characters
    # are found without a row, by their mixture of letters and digits: see ``texts``.
    Shape("Buildkite, Databricks, DigitalOcean, E2B, ElevenLabs, Firecrawl, Mailgun, Pulumi, RubyGems, Sentry, Shopify, SonarQube, Supabase, Twilio",
          "!{bkua_|bkat_|bkaj_|dapi|dose|dkea|dop_v1_|doo_v1_|dor_v1_|e2b_|sk_|fc-|key-|pubkey-|pul-|rubygems_|sntryu_|sntrya_|shpat_|shpca_|shppa_|shpss_|shpua_|shptka_|sqp_|sqa_|squ_|sbp_|SK}<h32+>", "{pul-|dop_v1_|SK|key-}<h12>"),
    Shape("Amazon MWS, HubSpot, Plaid, Riot", "{amzn.mws.|pat-na1-|pat-na2-|pat-eu1-|pat-ap1-|access-sandbox-|access-development-|access-production-|RGAPI-}<h8>-<h4>-<h4>-<h4>-<h12>", "{amzn.mws.|access-sandbox-}<h8>"),
    Shape("Adafruit, Azure, DeepSeek, Fireworks, Mollie, New Relic, ntfy, NuGet, Render, Stripe, Twitch, Vercel",
          "!{aio_|JQQJ99|sk-|fw_|live_|NRAK-|tk_|oy2|rnd_|whsec_|oauth:|vcp_|vci_|vca_|vcr_|vck_}<A20+>", "{live_|sk-|oauth:}<a12>"),
    Shape("Anthropic, Atlassian, Docker, GitLab, Google, OpenAI, Slack, Square, Supabase, Tailscale, Tavily, Vault",
          "!{sk-ant-|sk-proj-|sk-or-|sk-svcacct-|sk-admin-|sk-lf-|sk-ws-|ATATT3|ATCTT3|dckr_pat_|dckr_oat_|glpat-|gloas-|gldt-|glrt-|glrtr-|glcbt-|glptt-|glft-|glimt-|glagent-|glsoat-|glffct-|glwt-|GR1348941|AIza|ya29.|GOCSPX-|xapp-|sq0atp-|sq0csp-|sq0idp-|sb_secret_|tskey-auth-|tskey-api-|tskey-client-|tskey-scim-|tskey-webhook-|tskey-reusable-|tvly-|hvs.|hvb.|hvr.}<p20+>", "{sk-ant-|glpat-|hvs.}<w8>"),
    Shape("Amazon, Artifactory, Dropbox, Facebook, Fly, Grafana, Instagram, Square, Twitter",
          "!{ABSK|bedrock-api-key-|FwoGZXIvYXdz|IQoJb3JpZ2lu|AKCp|cmVmdGtu|sl.|sl.u.|EAA|fm1r_|fm1a_|fm2_|glc_|eyJrIjoi|IGAA|IGQV|AAAAAAAAAAAAAAAAAAAA}<B40+>", "{EAA|sl.|AKCp}<w16>"),
    Shape("Bitbucket, crates.io, Pushbullet, Tencent", "!{ATBB|cio|o.|AKID}<A32>!", "{cio|o.}<A12>"),
    Shape("Google", "!{1//0|4/0A}<w30+>", "1//0<w6>"),
    Shape("Stripe, ElevenLabs, Paystack, Razorpay", "!{sk|rk|rzp}_{live|test}_<A14+>", "sk_live_<A4>"),
    # Of a form of its own
    Shape("1Password", "!A3-<U6>-<U6>-<U5>-<U5>-<U5>-<U5>!", "A3-<U6>-<U6>"),
    Shape("Airtable", "!pat<A14>.<h64>!", "pat<A14>"),
    Shape("Alibaba", "!LTAI<A12-26>!", "LTAI<A6>"),
    Shape("Amazon", "!{AKIA|ASIA|ABIA|ACCA}<U16>!", "AKIA<U15>"),
    Shape("Braintree, PayPal", "access_token${production|sandbox}$<l16>$<h32>", "access_token$sandbox$<l6>"),
    Shape("Brevo", "{xkeysib|xsmtpsib}-<h64>-<A16>", "xkeysib-<h12>"),
    Shape("CircleCI", "{CCIPAT|CCIPRJ}_<A22>_<h40>", "CCIPAT_<A10>"),
    Shape("Cloudflare", "!v1.0-<h24>-<h146>", "v1.0-<h8>"),
    Shape("Dynatrace", "dt0{c|s}01.<U24>.<U64>", "dt0c01.<U8>"),
    Shape("Firebase", "!AAAA<w7>:<w140+>", "AAAA<w7>:<w12>"),
    Shape("Harness", "!{pat|sat}.<w22>.<h24>.<A20>!", "pat.<w22>"),
    Shape("K3s", "K10<h64>::{server|node}:<A16+>", "K10<h64>"),
    Shape("LangSmith", "lsv2_{pt|sk}_<h32>_<h10>", "lsv2_pt_<h8>"),
    Shape("Mandrill", "!md-<w22>!", "md-<a8>"),
    Shape("Neon", "!npg_<A12>!", "npg_<A4>"),
    Shape("New Relic", "NRJS-<h19>", "NRJS-<h6>"),
    Shape("Postman", "PMAK-<h24>-<h34>", "PMAK-<h8>"),
    Shape("Resend", "!re_<A6-12>_<A20+>", "re_<a6>_<a6>"),
    Shape("SendGrid", "!SG.<w16-24>.<w39-50>", "SG.<w8>"),
    Shape("Slack", "xox{a|b|e|o|p|r|s|c|d}{-|.}<p12+>", "xoxb-<d3>"),
    Shape("Vault", "!s.<A24>!", "s.<A8>"),
)  # fmt: skip


def heads(shape: Shape) -> list[str]:
    """The texts of which every token of a shape begins with one."""
    text = shape.template.strip("!").partition("<")[0]
    choices = (piece.split("|") for piece in re.split("[{}]", text))
    return ["".join(chosen) for chosen in itertools.product(*choices)]


def pattern(shape: Shape) -> str:
    """A regular expression for tokens of a shape: its group ``secret`` is what follows the head."""
    template = shape.template
    # It begins with a head, and looks back from there: so the search is fast.
    beginnings = list(map(re.escape, heads(shape)))
    if template.startswith("!"):  # a hyphen may begin a diff's line
        beginnings = [
            rf"{head}(?<![A-Za-z0-9_]{head})(?<![A-Za-z0-9_]-{head})" for head in beginnings
        ]
    _, place, rest = template.strip("!").partition("<")
    places = re.sub(f"{PLACE}|{{([^}}]*)}}|([^<{{]+)", _part, place + rest)
    ends = "(?![A-Za-z0-9_-])" if template.endswith("!") else ""
    return f"(?:{'|'.join(beginnings)})(?P<secret>{places}){ends}"


def _part(part: re.Match[str]) -> str:
    """A regular expression for a part of a template: a place, alternatives, or text."""
    kind, least, most, more, alternatives, text = part.groups()
    if kind:
        return f"[{CLASSES[kind]}]{{{least}{',' if more else f',{most}' if most else ''}}}"
    return f"(?:{alternatives})" if alternatives else re.escape(text)
