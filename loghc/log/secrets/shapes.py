"""Tokens that tell by their shape whose they are: one line for each."""

from __future__ import annotations

import itertools
import re
from typing import NamedTuple

__all__ = ["CLASSES", "PLACE", "SHAPES", "Shape", "heads", "length_before", "pattern"]

CLASSES = {
    "A": "A-Za-z0-9",
    "a": "a-z",
    "b": "A-Za-z0-9+/",  # base64
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
        vendor: whose it is.
        template: its text, with ``<h40>`` for 40 characters of the class ``h``, ``<A20-40>`` for 20
            to 40 and ``<A36+>`` for 36 or more; ``{live|test}`` for either; ``!`` where no letter,
            digit, hyphen or underscore may stand beside it.
        stays: a look-alike that is no token, itself a template.
    """

    vendor: str
    template: str
    stays: str


SHAPES = (
    Shape("1Password", "ops_eyJ<w200+>", "ops_eyJ<w20>"),
    Shape("1Password", "!A3-<U6>-<U6>-<U5>-<U5>-<U5>-<U5>!", "A3-<U6>-<U6>"),
    Shape("Adafruit", "!aio_<A28>!", "aio_<A8>"),
    Shape("Adobe", "p8e-<w32>!", "p8e-<w12>"),
    Shape("age", "AGE-SECRET-KEY-1<U58>", "AGE-SECRET-KEY-1"),
    Shape("Airtable", "!pat<A14>.<h64>!", "pat<A14>"),
    Shape("Alibaba", "!LTAI<A12-26>!", "LTAI<A6>"),
    Shape("Amazon", "!{AKIA|ASIA|ABIA|ACCA}<U16>!", "AKIA<U15>"),
    Shape("Amazon Bedrock", "!ABSK<b100+>", "ABSK<b20>"),
    Shape("Amazon Bedrock", "bedrock-api-key-<b40+>", "bedrock-api-key-<b6>"),
    Shape("Amazon MWS", "amzn.mws.<h8>-<h4>-<h4>-<h4>-<h12>", "amzn.mws.<h8>"),
    Shape("Amazon session", "!{FwoGZXIvYXdz|IQoJb3JpZ2lu}<b60+>", "FwoGZXIvYXdz"),
    Shape("DeepSeek, OpenAI", "!sk-<A20+>", "task-<a24>"),
    Shape("Anthropic, OpenAI, OpenRouter", "!sk-{ant|proj|or|svcacct|admin|lf|ws}-<w20+>", "sk-ant-<w8>"),
    Shape("Artifactory", "!AKCp<A68+>", "AKCp<A10>"),
    Shape("Artifactory", "!cmVmdGtu<A50+>", "cmVmdGtu<A8>"),
    Shape("Asana", "!1/<d13-17>:<h32>!", "1/<d13>"),
    Shape("Atlassian", "{ATATT3|ATCTT3}<p100+>", "ATATT3<w20>"),
    Shape("Azure", "<d1>Q~<p31-40>", "8Q~<p10>"),
    Shape("Azure", "JQQJ99<A16+>", "JQQJ99<A4>"),
    Shape("Bitbucket", "!ATBB<A32>!", "ATBB<A8>"),
    Shape("Braintree, PayPal", "access_token${production|sandbox}$<l16>$<h32>", "access_token$sandbox$<l6>"),
    Shape("Brevo", "{xkeysib|xsmtpsib}-<h64>-<A16>", "xkeysib-<h12>"),
    Shape("Buildkite", "{bkua|bkat|bkaj}_<h40>", "bkua_<h8>"),
    Shape("Cerebras", "!csk-<l40+>", "csk-<l12>"),
    Shape("CircleCI", "{CCIPAT|CCIPRJ}_<A22>_<h40>", "CCIPAT_<A10>"),
    Shape("ClickUp", "!pk_<d6-10>_<U32>!", "pk_<d6>_<U8>"),
    Shape("Clojars", "CLOJARS_<l60>", "CLOJARS_<l8>"),
    Shape("Cloudflare", "!v1.0-<h24>-<h146>", "v1.0-<h8>"),
    Shape("Cloudflare", "!{cfut|cfat|cfk}_<A40+>", "cfut_<A6>"),
    Shape("Contentful", "CFPAT-<w40+>", "CFPAT-<w6>"),
    Shape("crates.io", "!cio<A32>!", "cio<A12>"),
    Shape("Databricks", "!{dapi|dose|dkea}<h32>", "dapi<h8>"),
    Shape("dbt", "{dbtc|dbtu|dbts}_<w30+>", "dbtc_<w6>"),
    Shape("DigitalOcean", "do{o|p|r}_v1_<h64>", "dop_v1_<h8>"),
    Shape("Discord", "!{M|N|O}<A23-27>.<w6>.<w27-38>!", "M<A20>.<w4>"),
    Shape("Discord", "!mfa.<w80+>", "mfa.<w8>"),
    Shape("Docker", "dckr_{pat|oat}_<w20+>", "dckr_pat_<w6>"),
    Shape("Docker Swarm", "SWMTKN-1-<l49-51>-<l25>", "SWMTKN-1-<l8>"),
    Shape("Doppler", "!dp.{pt|ct|st|scim|audit|sa|said}.<p40+>", "dp.pt.<w8>"),
    Shape("Dropbox", "!{sl.|sl.u.}<w100+>", "sl.<w12>"),
    Shape("Dynatrace", "dt0{c|s}01.<U24>.<U64>", "dt0c01.<U8>"),
    Shape("Facebook", "!EAA<A80+>", "EAA<A20>"),
    Shape("Figma", "{figd|figu|figo|figor}_<w36+>", "figd_<w8>"),
    Shape("Firebase", "!AAAA<w7>:<w140+>", "AAAA<w7>:<w12>"),
    Shape("Firecrawl", "!fc-<h32>!", "fc-<h8>"),
    Shape("Fireworks", "!fw_<A22+>", "fw_<a8>"),
    Shape("Flutterwave", "FLW{SECK|PUBK}{_TEST|}-<A32>-X", "FLWSECK-<A6>"),
    Shape("Fly", "!fo1_<w43>", "fo1_<w8>"),
    Shape("Fly", "{fm1r|fm1a|fm2}_<b80+>", "fm2_<b8>"),
    Shape("GitHub", "gh{p|o|u|s|r}_<A36+>", "ghp_<A8>"),
    Shape("GitHub", "github_pat_<w50+>", "github_pat_<w8>"),
    Shape("GitLab", "gl{pat|oas|dt|rt|rtr|cbt|ptt|ft|imt|agent|soat|ffct|wt}-<p20+>", "glpat-<w6>"),
    Shape("GitLab", "GR1348941<w20+>", "GR1348941<w6>"),
    Shape("Google", "AIza<w35>", "AIza<w8>"),
    Shape("Google", "!ya29.<p20+>", "ya29.<w6>"),
    Shape("Google", "GOCSPX-<w20+>", "GOCSPX-<w6>"),
    Shape("Google", "!1//0<w30+>", "1//0<w6>"),
    Shape("Google", "!4/0A<w60+>", "4/0A<w6>"),
    Shape("Grafana", "glsa_<A32>_<h8>", "glsa_<A6>"),
    Shape("Grafana", "!glc_<b32+>", "glc_<b8>"),
    Shape("Grafana", "!eyJrIjoi<b40+>", "eyJrIjoi<b8>"),
    Shape("Groq", "!gsk_<A40+>", "gsk_<A8>"),
    Shape("Harness", "!{pat|sat}.<w22>.<h24>.<A20>!", "pat.<w22>"),
    Shape("Heroku", "HRKU-<w30+>", "HRKU-<w6>"),
    Shape("HubSpot", "!pat-{na1|eu1|na2|ap1}-<h8>-<h4>-<h4>-<h4>-<h12>", "pat-na1-<h8>"),
    Shape("Hugging Face", "!{hf|api_org}_<A30+>", "hf_<a12>"),
    Shape("Infracost", "!ico-<A32>!", "ico-<a8>"),
    Shape("Instagram", "!IG{AA|QV}<A80+>", "IGAA<A8>"),
    Shape("Jenkins", "!11<h32>!", "11<h20>"),
    Shape("Jina", "jina_<w40+>", "jina_<w8>"),
    Shape("K3s", "K10<h64>::{server|node}:<A16+>", "K10<h64>"),
    Shape("LangSmith", "lsv2_{pt|sk}_<h32>_<h10>", "lsv2_pt_<h8>"),
    Shape("Linear", "lin_{api|oauth|wh}_<A32+>", "lin_api_<A6>"),
    Shape("Mailchimp", "!<h32>-us<d1-2>!", "<h12>-us1"),
    Shape("Mailgun", "!key-<h32>!", "key-<h8>"),
    Shape("Mailgun", "!<h32>-<h8>-<h8>!", "<h32>-<h8>"),
    Shape("Mailgun", "!pubkey-<h32>!", "pubkey-<h8>"),
    Shape("Mandrill", "!md-<w22>!", "md-<a8>"),
    Shape("Mollie", "!live_<A24+>", "live_<A8>"),
    Shape("Paddle", "pdl_{live|sdbx}_apikey_<w40+>", "pdl_live_<w8>"),
    Shape("RunPod", "!rpa_<U40+>", "rpa_<U8>"),
    Shape("Neon", "!napi_<l50+>", "napi_<l8>"),
    Shape("Neon", "!npg_<A12>!", "npg_<A4>"),
    Shape("Netlify", "!nf{p|c|o|u|b}_<A36+>", "nfp_<A8>"),
    Shape("New Relic", "NRAK-<U27>", "NRAK-<U6>"),
    Shape("New Relic", "{NRII|NRIQ|NRSP|NRRA}-<w32>", "NRII-<w6>"),
    Shape("New Relic", "NRJS-<h19>", "NRJS-<h6>"),
    Shape("New Relic", "!<h32><A4>NRAL!", "<h12>NRAL"),
    Shape("Notion", "!ntn_<A40+>", "ntn_<A8>"),
    Shape("Notion", "!secret_<A43>!", "secret_<a8>"),
    Shape("npm", "npm_<A36>", "npm_config_<a8>"),
    Shape("ntfy", "!tk_<l29>!", "tk_<l8>"),
    Shape("NuGet", "!oy2<l43>!", "oy2<l8>"),
    Shape("NVIDIA", "nvapi-<w60+>", "nvapi-<w8>"),
    Shape("E2B", "!e2b_<h40>", "e2b_<h8>"),
    Shape("ElevenLabs", "!sk_<h48>!", "sk_<h8>"),
    Shape("Perplexity", "pplx-<A40+>", "pplx-<A8>"),
    Shape("Pinecone", "pcsk_<w40+>", "pcsk_<w8>"),
    Shape("Plaid", "access-{sandbox|development|production}-<h8>-<h4>-<h4>-<h4>-<h12>", "access-sandbox-<h8>"),
    Shape("PlanetScale", "pscale_{tkn|oauth|pw|otkn}_<p32+>", "pscale_tkn_<w6>"),
    Shape("PostHog", "!ph{c|x|s|r|a}_<A32+>", "phc_<A8>"),
    Shape("Postman", "PMAK-<h24>-<h34>", "PMAK-<h8>"),
    Shape("Prefect", "!pn{u|b}_<A36>", "pnu_<A8>"),
    Shape("Pulumi", "!pul-<h40>!", "pul-<h8>"),
    Shape("Pushbullet", "!o.<A32>!", "o.<A10>"),
    Shape("PyPI", "pypi-<w50+>", "pypi-<w8>"),
    Shape("Razorpay", "rzp_{live|test}_<A14+>", "rzp_live_<A6>"),
    Shape("Render", "!rnd_<A28+>", "rnd_<A6>"),
    Shape("Replicate", "!r8_<A37>", "r8_<A8>"),
    Shape("Resend", "!re_<A6-12>_<A20+>", "re_<a6>_<a6>"),
    Shape("Riot", "RGAPI-<h8>-<h4>-<h4>-<h4>-<h12>", "RGAPI-<h8>"),
    Shape("RubyGems", "rubygems_<h48>", "rubygems_<h8>"),
    Shape("SendGrid", "!SG.<w16-24>.<w39-50>", "SG.<w8>"),
    Shape("Sentry", "sntry{s|u|a}_<p40+>", "sntrys_<w8>"),
    Shape("Shopify", "shp{at|ca|pa|ss|ua|tka}_<h32>", "shpat_<h8>"),
    Shape("Slack", "xox{a|b|e|o|p|r|s|c|d}{-|.}<p12+>", "xoxb-<d3>"),
    Shape("Slack", "xapp-<w20+>", "xapp-<w6>"),
    Shape("SonarQube", "!sq{p|a|u}_<h40>!", "sqp_<h8>"),
    Shape("Square", "!EAAA<w60>", "EAAA<w10>"),
    Shape("Square", "sq0{atp|csp|idp}-<w22+>", "sq0atp-<w6>"),
    Shape("Stripe, ElevenLabs, Paystack", "!{sk|rk}_{live|test}_<A16+>", "sk_live_<A4>"),
    Shape("Stripe", "whsec_<b24+>", "whsec_<b6>"),
    Shape("Supabase", "!sbp_<h40>!", "sbp_<h8>"),
    Shape("Supabase", "sb_secret_<w20+>", "sb_secret_<w6>"),
    Shape("Tailscale", "tskey-{auth|api|client|scim|webhook|reusable}-<w20+>", "tskey-auth-<w4>"),
    Shape("Tavily", "tvly-<w28+>", "tvly-<w6>"),
    Shape("Telegram", "<d8>:AA<w33>!", "<d8>:AA<w8>"),
    Shape("Tencent", "!AKID<A32>!", "AKID<A8>"),
    Shape("Terraform", "<A14>.atlasv1.<p60+>", "<A4>.atlasv1.<w6>"),
    Shape("Together", "tgp_v1_<w40+>", "tgp_v1_<w8>"),
    Shape("Twilio", "!SK<h32>!", "SK<h10>"),
    Shape("Twitch", "!oauth:<l30>!", "oauth:<a8>"),
    Shape("Twitter", "AAAAAAAAAAAAAAAAAAAA<b40+>", "AAAAAAAAAAAAAAAAAAAA<b6>"),
    Shape("Typeform", "!tfp_<p40+>", "tfp_<w8>"),
    Shape("Vault", "!hv{s|b|r}.<w20+>", "hvs.<w6>"),
    Shape("Vault", "!s.<A24>!", "s.<A8>"),
    Shape("Vercel", "!vc{p|i|a|r|k}_<A24+>", "vcp_<A8>"),
    Shape("Voyage", "!pa-<w40+>", "pa-<w8>"),
    Shape("Weights & Biases", "wandb_v1_<w40+>", "wandb_v1_<w8>"),
    Shape("xAI", "!xai-<A60+>", "xai-<A8>"),
)  # fmt: skip


def heads(shape: Shape) -> list[str]:
    """The texts of which every token of a shape holds one."""
    text = shape.template.strip("!")
    while text.startswith("<"):
        text = text.partition(">")[2]
    return _alternatives(text.partition("<")[0])


def length_before(shape: Shape) -> int:
    """How many characters of a token stand before its head."""
    places, text = 0, shape.template.strip("!")
    while text.startswith("<"):
        place, _, text = text.partition(">")
        places += int(place[2:])
    return places


def pattern(shape: Shape) -> str:
    """A regular expression for tokens of a shape.

    It begins with a head, so that the search is fast, and looks back from there. Its group
    ``secret`` is what follows the head.
    """
    text = shape.template
    bounded, text = text.startswith("!"), text.removeprefix("!")
    ends, text = text.endswith("!"), text.removesuffix("!")
    found = re.match(f"((?:{PLACE})*)([^<]+)", text)
    assert found, text  # noqa: S101 - the table is wrong
    front, tail = _characters(found[1]), _characters(text[found.end() :])
    beginnings = []
    for head in map(re.escape, heads(shape)):
        token = front + head
        beginning = f"{head}(?<={token})" if front else head
        if bounded:  # a hyphen may begin a diff's line
            beginning += f"(?<![A-Za-z0-9_]{token})(?<![A-Za-z0-9_]-{token})"
        beginnings.append(beginning)
    return f"(?:{'|'.join(beginnings)})(?P<secret>{tail})" + ("(?![A-Za-z0-9_-])" if ends else "")


def _alternatives(text: str) -> list[str]:
    """What a text with ``{a|b}`` in it may be."""
    before, brace, rest = text.partition("{")
    if not brace:
        return [text]
    choices, _, after = rest.partition("}")
    return [before + choice + end for choice in choices.split("|") for end in _alternatives(after)]


def _characters(text: str) -> str:
    """A regular expression for a template's part."""

    def place(match: re.Match[str]) -> str:
        most = "," if match[4] else f",{match[3]}" if match[3] else ""
        return f"[{CLASSES[match[1]]}]{{{match[2]}{most}}}"

    pieces = re.split(f"({PLACE})", text)[::6]
    places = [place(found) for found in re.finditer(PLACE, text)]
    texts = ["|".join(map(re.escape, _alternatives(piece))) for piece in pieces]
    texts = [f"(?:{text})" if "|" in text else text for text in texts]
    return "".join(
        f"{text}{found}" for text, found in itertools.zip_longest(texts, places, fillvalue="")
    )
