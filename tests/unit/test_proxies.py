"""Which proxy the environment names, as curl reads it."""

from __future__ import annotations

import base64

import pytest

from loghc.service.proxies import proxy_for

USER, PASSWORD = "bob", "p@ss:w/\u00f6rd"
QUOTED = "p%40ss%3Aw%2F%C3%B6rd"


@pytest.mark.parametrize(
    ("variables", "scheme", "proxy"),
    [
        ({}, "http", None),
        ({"http_proxy": "http://p:1"}, "http", "http://p:1"),
        ({"http_proxy": "http://p:1"}, "https", None),
        ({"https_proxy": "http://p:1"}, "https", "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1"}, "https", "http://p:1"),
        ({"HTTP_PROXY": "http://p:1"}, "http", "http://p:1"),
        ({"HTTP_PROXY": "http://p:1", "REQUEST_METHOD": "GET"}, "http", None),
        ({"http_proxy": "http://p:1", "REQUEST_METHOD": "GET"}, "http", "http://p:1"),
        ({"https_proxy": "http://low:1", "HTTPS_PROXY": "http://up:1"}, "https", "http://low:1"),
        ({"https_proxy": "", "HTTPS_PROXY": "http://up:1"}, "https", "http://up:1"),
        ({"all_proxy": "http://p:1"}, "http", "http://p:1"),
        ({"ALL_PROXY": "http://p:1"}, "https", "http://p:1"),
        ({"ALL_PROXY": "http://all:1", "HTTPS_PROXY": "http://p:1"}, "https", "http://p:1"),
        ({"https_proxy": "p:3128"}, "https", "http://p:3128"),
        ({"https_proxy": " p:3128\t"}, "https", "http://p:3128"),
        ({"https_proxy": " ", "HTTPS_PROXY": "http://up:1"}, "https", "http://up:1"),
        ({"https_proxy": "p"}, "https", "http://p:1080"),
        ({"https_proxy": "https://p"}, "https", "https://p:443"),
        ({"https_proxy": "http://[::1]:3128/"}, "https", "http://[::1]:3128"),
        ({"https_proxy": "http://bob:x@p:1"}, "https", "http://p:1"),
    ],
)
def test_the_environment_names_the_proxy(
    variables: dict[str, str], scheme: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = proxy_for(scheme, "hc.example.com")
    assert (found and found.url) == proxy
    assert found is None or found.secure is found.url.startswith("https://")


# What curl 7.88.1 does, as seen by running it with http_proxy set to a server on a loopback port:
# no_proxy, the URL's host, and whether curl went there without asking the proxy.
NO_PROXY = [
    ("*", "hc.example.com", True),
    (" *", "hc.example.com", False),
    ("* ", "hc.example.com", False),
    ("*,", "hc.example.com", False),
    ("a.test,*", "hc.example.com", False),
    ("*.example.com", "hc.example.com", False),
    ("example.com", "example.com", True),
    ("example.com", "hc.example.com", True),
    (".example.com", "hc.example.com", True),
    (".example.com", "example.com", True),
    ("EXAMPLE.com", "hc.example.COM", True),
    ("example.com.", "example.com", True),
    ("example.com", "hc.example.com.", True),
    ("..example.com", "hc.example.com", False),
    ("example.com..", "hc.example.com", False),
    ("example.com", "example.com..", False),
    ("example.com", "notexample.com", False),
    ("a.test, example.com", "example.com", True),
    ("a.test example.com", "example.com", True),
    ("a.test\texample.com", "example.com", True),
    ("a.test,,example.com", "example.com", True),
    (",", "example.com", False),
    ("example.com:8000", "example.com:8000", False),
    ("example.com", "example.com:9000", True),
    ("10.1.2.3", "10.1.2.3:8000", True),
    ("10.1.2.3:8000", "10.1.2.3:8000", False),
    ("10.0.0.0/8", "10.1.2.3", True),
    ("10.0.0.0/8", "11.1.2.3", False),
    ("10.1.2.3/33", "10.1.2.3", False),
    ("0.0.0.0/0", "10.1.2.3", False),
    ("10.1.2.3/0", "10.1.2.3", True),
    ("10.1.2.3/x", "10.1.2.3", True),
    ("127.0.0.1", "127.0.0.1.", True),
    ("2130706433", "127.0.0.1", False),
    ("::1", "[::1]:8000", True),
    ("[::1]", "[::1]", False),
    ("::1", "[0:0:0:0:0:0:0:1]", True),
    ("fd00::/8", "[fe80::1]", False),
    ("FD12::1", "[fd12::1]", True),
    ("::ffff:10.0.0.0/104", "10.1.2.3", False),
    ("localhost", "127.0.0.1", False),
    ("10.1.2.3.", "10.1.2.3", False),
    ("10.1.2.4", "10.1.2.3", False),
    ("10.1.2.3", "10.1.2.3.", True),
    ("hc.example.com/x", "hc.example.com", False),
    ("10.0.0.0/8 example.com", "10.1.2.3", True),
    ("10.1.2.3/-1", "10.1.2.3", False),
    ("10.0.0.0/8x", "10.1.2.3", True),
    ("::1%lo", "[::1]", False),
]

# Where that version compares text: newer ones, and curl's manual, know IPv6 addresses.
IPV6 = [
    ("0:0:0:0:0:0:0:1", "[::1]", True),
    ("::1/128", "[::1]", True),
    ("fd00::/8", "[fd12::1]", True),
]

# The least and the most bits of a network that count, and what is no number of bits.
BITS = [
    ("0.0.0.0/1", "10.1.2.3", True),
    ("128.0.0.0/1", "10.1.2.3", False),
    ("10.1.2.3/32", "10.1.2.3", True),
    ("10.1.2.2/32", "10.1.2.3", False),
    ("10.0.0.0/x8", "10.1.2.3", False),
    ("::/1", "[::1]", True),
    ("8000::/1", "[::1]", False),
    ("::2/128", "[::1]", False),
    ("::1/129", "[::1]", False),
    ("::1", "[::1%lo]", True),
    ("", "10.1.2.3", False),
]


@pytest.mark.parametrize(("rules", "host", "direct"), [*NO_PROXY, *IPV6, *BITS])
@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_no_proxy_names_the_exceptions_as_curl_reads_it(
    name: str, rules: str, host: str, direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://p:1")
    monkeypatch.setenv(name, rules)
    assert (proxy_for("https", host) is None) is direct


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (f"{USER}:{QUOTED}", f"{USER}:{PASSWORD}"),
        ("b%6Fb", "bob:"),
        (f":{QUOTED}", f":{PASSWORD}"),
    ],
)
def test_credentials_are_taken_from_the_proxy_s_url_and_not_shown(
    given: str, sent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://p:1")
    monkeypatch.setenv("https_proxy", f"http://{given}@p:1")
    plain, proxy = proxy_for("http", "h"), proxy_for("https", "h")
    assert plain is not None
    assert plain.headers == {}
    assert proxy is not None
    token = base64.b64encode(sent.encode()).decode()
    assert proxy.headers == {"Proxy-Authorization": f"Basic {token}"}
    assert repr(proxy) == "Proxy(url='http://p:1')"


def test_credentials_that_are_no_text_are_sent_as_well_as_can_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", "http://bob:x\udcffy@p:1")
    proxy = proxy_for("https", "h")
    assert proxy is not None
    token = base64.b64encode(b"bob:x?y").decode()
    assert proxy.headers == {"Proxy-Authorization": f"Basic {token}"}


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("socks5://bob:hunter2@p", "'socks5' proxies aren't supported"),
        (f"{'s' * 30}://p", f"'{'s' * 20}' proxies aren't supported"),
        ("http://bob:hun/ter2@p", "its host or port can't be read"),
        ("http://[x/", "its host or port can't be read"),
        ("http://bob:hunter2@", "its host can't be used"),
        ("http://p$x", "its host can't be used"),
    ],
)
@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "all_proxy"])
def test_what_is_no_proxy_is_refused_by_the_variable_s_name_without_showing_it(
    name: str, url: str, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, url)
    with pytest.raises(ValueError, match=rf"^{name}: expected a proxy such as ") as caught:
        proxy_for("https", "h")
    assert str(caught.value).endswith(f"; {wrong}")
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
