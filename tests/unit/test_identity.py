"""A check is recognised by a hash of all that makes its URL."""

from __future__ import annotations

from loghc.service.identity import identity
from loghc.service.url import PingUrl

URLS = (
    "https://hc.example/x",
    "http://hc.example/x",
    "https://hc.example:8443/x",
    "https://other.example/x",
    "https://hc.example/y",
    "https://hc.example/x?create=1",
    "https://bob@hc.example/x",
    "https://bob:word@hc.example/x",
)


def test_another_url_or_another_salt_is_another_identity() -> None:
    known = {identity(PingUrl.parse(url), salt) for url in URLS for salt in (b"salt", b"pepper")}
    assert len(known) == 2 * len(URLS)
    assert identity(PingUrl.parse(URLS[0] + "/"), b"salt") in known
    assert not any("hc.example" in each for each in known)
