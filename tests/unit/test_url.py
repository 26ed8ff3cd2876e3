"""Ping URLs: what is taken, what is refused, and that what is taken makes one sound request."""

from __future__ import annotations

import queue
import re
import socket
import threading
from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loghc import Event, HealthSink
from loghc.log.body import Body
from loghc.ping import Ping
from loghc.portable.run_ids import run_id_from
from loghc.service.client import PingClient
from loghc.service.url import PingUrl

UUID = "9e9d9bbe-4f2b-4a0e-a1e0-111111111111"
RUN = "5e1f5e1f-0000-4000-8000-222222222222"
LONGEST_HOST = ".".join(["a" * 63] * 3 + ["b" * 61])  # 253 characters


@pytest.mark.parametrize(
    ("url", "target"),
    [
        (f"https://hc-ping.com/{UUID}", f"https://hc-ping.com/{UUID}/start?rid=R"),
        (f"https://hc-ping.com/{UUID}/", f"https://hc-ping.com/{UUID}/start?rid=R"),
        ("https://h/key//slug//", "https://h/key/slug/start?rid=R"),
        ("https://h/keyX/", "https://h/keyX/start?rid=R"),
        ("https://h//key/slug", "https://h/key/slug/start?rid=R"),
        ("https://h/key/slug?create=1", "https://h/key/slug/start?create=1&rid=R"),
        ("https://h/key/slug/?create=1", "https://h/key/slug/start?create=1&rid=R"),
        ("https://h/key/slug?create=1&", "https://h/key/slug/start?create=1&rid=R"),
        ("https://h/key/slug?&create=X&", "https://h/key/slug/start?create=X&rid=R"),
        ("https://h/key/slug?", "https://h/key/slug/start?rid=R"),
        ("https://h/key/slug?&X=1&x=X", "https://h/key/slug/start?X=1&x=X&rid=R"),
        ("https://h/x?next=/a?b", "https://h/x/start?next=/a?b&rid=R"),
        ("https://h/x?a|\u00e9", "https://h/x/start?a%7C%C3%A9&rid=R"),
        ("https://h/:@!$&'()*+,;=~", "https://h/:@!$&'()*+,;=~/start?rid=R"),
        ("HTTPS://H:443/x", "https://h/x/start?rid=R"),
        ("http://h:80/x", "http://h/x/start?rid=R"),
        ("http://h:8000/x", "http://h:8000/x/start?rid=R"),
        ("http://[::1]:8000/x", "http://[::1]:8000/x/start?rid=R"),
        ("https://[2001:db8::1]/x", "https://[2001:db8::1]/x/start?rid=R"),
        ("https://b\u00fcro.example/x", "https://xn--bro-hoa.example/x/start?rid=R"),
        ("https://h/caf\u00e9", "https://h/caf%C3%A9/start?rid=R"),
        ("https://h/caf%C3%A9", "https://h/caf%C3%A9/start?rid=R"),
        ("https://h/100%/%zz%4", "https://h/100%25/%25zz%254/start?rid=R"),
        ("https://bob:p%40ss@h/x", "https://h/x/start?rid=R"),
        (f"https://{LONGEST_HOST}/x", f"https://{LONGEST_HOST}/x/start?rid=R"),
        (f"https://{LONGEST_HOST}./x", f"https://{LONGEST_HOST}./x/start?rid=R"),
        ("http://[fe80::1%eth-0.1_a]/x", "http://[fe80::1%eth-0.1_a]/x/start?rid=R"),
        (f"http://[fe80::1%{'e' * 32}]/x", f"http://[fe80::1%{'e' * 32}]/x/start?rid=R"),
        ("http://a-b_c._d/x", "http://a-b_c._d/x/start?rid=R"),
        ("http://_/x", "http://_/x/start?rid=R"),
        (f"http://h/{UUID}/123456", f"http://h/{UUID}/123456/start?rid=R"),
        (f"http://h/{UUID}/12a", f"http://h/{UUID}/12a/start?rid=R"),
        (f"http://h/{UUID}/0x1", f"http://h/{UUID}/0x1/start?rid=R"),
        (f"http://h/{UUID}/start2", f"http://h/{UUID}/start2/start?rid=R"),
        (f"http://h/{UUID}/\u0663", f"http://h/{UUID}/%D9%A3/start?rid=R"),
        (f"http://h/{UUID}/x/start", f"http://h/{UUID}/x/start/start?rid=R"),
        ("http://h/key/start", "http://h/key/start/start?rid=R"),
        ("http://h/x?grid=1", "http://h/x/start?grid=1&rid=R"),
        ("http://h/.x/x../...", "http://h/.x/x../.../start?rid=R"),
        ("http://h/".ljust(4096, "x"), "http://h/".ljust(4096, "x") + "/start?rid=R"),
    ],
)
def test_the_suffix_and_the_run_id_find_their_places(url: str, target: str) -> None:
    assert PingUrl.parse(url).target("/start", "R") == target


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hunter2",
        "//h/hunter2",
        "ftp://h/hunter2",
        "http://",
        "http:///hunter2",
        "http://:80/hunter2",
        "http://h:0/hunter2",
        "http://h:99999/hunter2",
        "http://h:port/hunter2",
        "http://bob:hun/ter2@h/hunter2",
        "http://h/hunter2#x",
        "http://h/hunter2#",
        "http://h/hunter2 x",
        "http://h/hunter2\r\nX: y",
        "http://h/hunter2\\x",
        "http://h/hunter2\udc80",
        "http://h/hunter2/../x",
        "http://h/hunter2/./x",
        "http://h/hunter2/%2e%2E/x",
        "http://a..b/hunter2",
        "http://-a/hunter2",
        "http://a-/hunter2",
        "http://a$b/hunter2",
        f"http://{'a' * 64}.example/hunter2",
        f"http://{'a.' * 127}example/hunter2",
        "http://stra\u00dfe.de/hunter2",
        "http://\u03b2\u03cc\u03bb\u03bf\u03c2.example/hunter2",
        "http://a\u200cb.example/hunter2",
        "http://a\u200db.example/hunter2",
        "http://[::1/hunter2",
        "http://[v1.x]/hunter2",
        "http://[1::2::3]/hunter2",
        f"http://{LONGEST_HOST}b/hunter2",
        f"http://a{LONGEST_HOST}/hunter2",
        "http://a|b/hunter2",
        "http://[fe80::1%]/hunter2",
        "http://[fe80::1%et$h0]/hunter2",
        "http://[fe80::1%a%b]/hunter2",
        "http://[fe80::1%\u00e9]/hunter2",
        f"http://[fe80::1%{'e' * 33}]/hunter2",
        "http://h/hunter2?rid=x",
        "http://h/hunter2?create=1&rid=x",
        f"http://h/{UUID}/start",
        f"http://h/{UUID}/fail",
        f"http://h/{UUID}/log",
        f"http://h/hunter2/{UUID}/0",
        f"http://h/hunter2/{UUID}/12345",
        "http://h/hunter2" + "x" * 5000,
        "http://h/hunter2".ljust(4097, "x"),
    ],
)
def test_what_is_no_ping_url_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ValueError, match=r"^url: expected ") as caught:
        PingUrl.parse(url)
    assert "hunter2" not in str(caught.value)
    assert UUID not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_url_may_be_as_long_as_4096_characters() -> None:
    url = "https://h/".ljust(4096, "x")
    assert len(PingUrl.parse(url).target("", "R")) == len(f"{url}?rid=R")
    with pytest.raises(ValueError, match=r", of 4096 characters at most$"):
        PingUrl.parse(url + "x")


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("", ", not an empty str"),
        ("https://h/x y", ", without white space, backslashes or control characters"),
        ("hc-ping.com/x", "; it must start with https:// or http://"),
        ("ftp://h/x", "; it must start with https:// or http://, not ftp://"),
        (f"{'s' * 30}://h/x", f"; it must start with https:// or http://, not {'s' * 20}://"),
        ("https://h:0/x", "; its host or port can't be used"),
        ("https://h/x#", ", without a fragment (#...)"),
        ("https://h/x/./y", ", without . or .. in its path"),
        ("https://h/x?rid=y", "; loghc adds the run id (rid=) itself"),
    ],
)
def test_what_is_wrong_with_a_url_is_said(url: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=r"^url: ") as caught:
        PingUrl.parse(url)
    assert str(caught.value) == (
        f"url: expected a ping URL such as https://hc-ping.com/<uuid>{wrong}"
    )


def test_a_url_with_a_suffix_is_shown_without_its_secret() -> None:
    with pytest.raises(ValueError, match=r"suffix itself; https://h/\*\*\*/start was given$"):
        PingUrl.parse(f"https://h/{UUID}/start")


def test_the_parts_of_a_url_are_told_apart() -> None:
    url = PingUrl.parse("https://bob:p%40ss@H.example:8443/key/slug?create=1")
    assert (url.scheme, url.host, url.port) == ("https", "h.example", 8443)
    assert (url.origin, url.authority) == ("https://h.example:8443", "h.example:8443")
    assert (url.path, url.query) == ("/key/slug", "create=1")
    assert (url.user, url.password, url.credentials) == ("bob", "p@ss", "bob:p@ss")


@pytest.mark.parametrize(
    ("userinfo", "credentials"),
    [
        ("", None),
        ("bob@", "bob:"),
        (":p%40ss@", ":p@ss"),
        ("@", ":"),
        ("b%3Ab:p%25%C3%A9@", "b:b:p%\u00e9"),
    ],
)
def test_credentials_may_lack_a_part(userinfo: str, credentials: str | None) -> None:
    assert PingUrl.parse(f"http://{userinfo}h/x").credentials == credentials


@pytest.mark.parametrize("given", [None, 5, b"https://h/hunter2"])
def test_what_is_no_text_is_refused(given: object) -> None:
    kind = type(given).__name__
    with pytest.raises(TypeError, match=rf"^url: expected a ping URL as a str, not {kind}$"):
        PingUrl.parse(given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://h", "https://h"),
        ("https://h?create=1", "https://h/***"),
        ("http://h/x", "http://h/***"),
        ("http://bob:x@h:80/x", "http://h/***"),
    ],
)
def test_a_url_is_shown_without_all_that_may_be_secret(url: str, shown: str) -> None:
    assert PingUrl.parse(url).masked == shown


@pytest.mark.parametrize(
    ("url", "scheme", "host", "authority", "port"),
    [
        ("https://h/x", "https", "h", "h", 443),
        ("http://h/x", "http", "h", "h", 80),
        ("http://[::1]:80/x", "http", "::1", "[::1]", 80),
        ("http://[::1]:8000/x", "http", "::1", "[::1]:8000", 8000),
    ],
)
def test_a_url_has_a_scheme_a_host_and_a_port(
    url: str, scheme: str, host: str, authority: str, port: int
) -> None:
    parsed = PingUrl.parse(url)
    assert (parsed.scheme, parsed.host, parsed.port) == (scheme, host, port)
    assert parsed.authority == authority


def test_no_repr_shows_the_secret() -> None:
    url = PingUrl.parse(f"https://bob:hunter2@h:8443/{UUID}?k=hunter3")
    assert repr(url) == "PingUrl('https://h:8443/***')"
    assert str(url) == repr(url)
    assert f"{url}" == repr(url)


@pytest.mark.parametrize(
    ("host", "exposed"),
    [
        ("134744072", True),  # 8.8.8.8 to programs in C
        ("127.0.0.1.", False),
        ("10.0.0.1", False),
        ("10.0.0.0.0", True),
        ("hc-ping.com", True),
        ("8.8.8.8", True),
        ("[2001:4860:4860::8888]", True),
        ("[::ffff:8.8.8.8]", True),
        ("172.32.0.1", True),
        ("local", False),
        ("localhost", False),
        ("x.localhost", False),
        ("nas.local", False),
        ("nas.local.", False),
        ("nas.home.arpa", False),
        ("home.arpa", True),
        ("NAS.LAN", False),
        ("svc.internal", False),
        ("notinternal.com", True),
        ("healthchecks", False),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("192.168.1.1", False),
        ("172.16.0.1", False),
        ("169.254.1.1", False),
        ("[::1]", False),
        ("[fe80::1]", False),
        ("[fd00::1]", False),
        ("[::ffff:10.0.0.1]", False),
        ("[::ffff:127.0.0.1]", False),
        ("[::ffff:169.254.1.1]", False),
        ("[fe80::1%eth0]", False),
    ],
)
def test_http_to_a_host_that_is_not_local_is_exposed(host: str, exposed: bool) -> None:
    assert PingUrl.parse(f"http://{host}/x").exposed is exposed
    assert not PingUrl.parse(f"https://{host}/x").exposed


def test_exposure_is_said_once(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGHC_DEBUG", "1")
    HealthSink("http://hc.example.com/hunter2")
    HealthSink("http://127.0.0.1/hunter2")
    HealthSink("https://hc.example.com/hunter2")
    said = capfd.readouterr().err
    assert said.count("not encrypted") == 1
    assert "http://hc.example.com/***" in said
    assert "hunter2" not in said


# What is taken makes one sound request; anything else is refused with a ValueError.


class RawServer:
    """Takes connections, keeps the bytes of each whole, and answers each with OK."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.received: queue.Queue[bytes] = queue.Queue()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                data = b""
                while b"\r\n\r\n" not in data or not data.endswith(b"sync.done\n"):
                    more = connection.recv(65_536)
                    if not more:
                        break
                    data += more
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK"
                )
                connection.shutdown(socket.SHUT_WR)
                while more := connection.recv(65_536):
                    data += more
                self.received.put(data)


@pytest.fixture(scope="module")
def raw_server():
    server = RawServer()
    yield server
    server.listener.close()


ANY = st.text(st.characters(), max_size=20)
URL_LIKE = st.text("abc/?&=%#@:.;\\ \r\n\t\x00\u00e9\u2028\ud800[]-+A2f", max_size=30)
MESSAGE = "sync.done\n"


def is_sound_request(raw_server: RawServer, url: str, name: str, value: str, run, exit_status):
    """What a client sends to a URL is one request, with all in its place."""
    parsed, run_id = PingUrl.parse(url), run_id_from(run)
    client = PingClient(parsed, str, 5.0, {name: value}, None, "0")
    ping = Ping(Event.FAIL, run_id, bytes, exit_status)
    assert client.send(ping, Body(log=MESSAGE.encode()), 5.0).delivered
    client.close()
    request = raw_server.received.get(timeout=5)
    assert raw_server.received.empty()
    head, _, body = request.partition(b"\r\n\r\n")
    assert body == MESSAGE.encode()
    request_line, *lines = head.split(b"\r\n")
    method, target, version = request_line.split(b" ")
    assert (method, version) == (b"POST", b"HTTP/1.1")
    assert target.isascii()
    sent_path, _, query = target.partition(b"?")
    suffix = f"/{exit_status}".encode() if exit_status is not None else b"/fail"
    assert sent_path.endswith(suffix)
    assert query.endswith(f"rid={run_id}".encode())
    assert query.count(b"rid=") == 1
    assert b"//" not in sent_path
    names = [line.split(b":")[0].lower() for line in lines]
    expected = {b"host", b"accept-encoding", b"content-length", b"content-type", b"user-agent"}
    expected.add(name.lower().encode("latin-1"))
    assert set(names) <= expected | {b"authorization"}
    assert len(names) == len(set(names))
    assert f"Content-Length: {len(MESSAGE)}".encode() in lines
    plain = url.partition("://")[2].partition("/")[2].partition("?")[0]
    if "%" not in plain:
        expected_path = re.sub("/+", "/", f"/{plain}").rstrip("/").encode() + suffix
        assert unquote_to_bytes(sent_path) == expected_path


RUNS = st.one_of(ANY, st.uuids(), st.integers(), st.just(UUID.upper()))
STATUSES = st.one_of(st.none(), st.integers(0, 255))
PIECES = "a b2 ..x x. / // %2F %C3%A9 %zz % ~ = & ? : @ + , ; ' ( ! * - _ | ^ [ \u00e9 \u65e5"
PATHS = st.lists(st.sampled_from(PIECES.split(" ")), max_size=8).map(
    lambda pieces: "".join(["x", *pieces])
)
USERS = st.one_of(
    st.just(""),
    st.tuples(
        st.text(st.characters(codec="utf-8"), max_size=8), st.text(st.characters(codec="utf-8"))
    ).map(lambda pair: f"{quote(pair[0], safe='')}:{quote(pair[1][:8], safe='')}@"),
)
VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)


@settings(max_examples=100)
@given(
    user=USERS,
    path=PATHS,
    name=st.text("XY-z09_!~", min_size=1, max_size=6).map("X-{}".format),
    value=VALUES,
    run=RUNS,
    exit_status=STATUSES,
)
def test_a_ping_url_makes_one_sound_request(
    raw_server: RawServer, user, path, name, value, run, exit_status
) -> None:
    url = f"http://{user}127.0.0.1:{raw_server.port}/{path}"
    HealthSink(url, headers={name: value}, timeout=5)  # none of them is refused
    assert PingUrl.parse(url).origin == f"http://127.0.0.1:{raw_server.port}"
    is_sound_request(raw_server, url, name, value, run, exit_status)


@settings(max_examples=150)
@given(
    userinfo=st.one_of(st.just(""), URL_LIKE.map("{}@".format), ANY.map("{}@".format)),
    path=st.one_of(URL_LIKE, ANY),
    name=st.one_of(st.just("X-Test"), ANY, st.text("XY-:\r\n \t", max_size=6)),
    value=st.one_of(ANY, st.text("ab\r\n :\x00\t\x7f\u00e9", max_size=12)),
    run=RUNS,
    exit_status=STATUSES,
)
def test_anything_else_is_refused_or_makes_one_sound_request_too(
    raw_server: RawServer, userinfo, path, name, value, run, exit_status
) -> None:
    url = f"http://{userinfo}127.0.0.1:{raw_server.port}/{path}"
    try:
        HealthSink(url, headers={name: value}, timeout=5)
    except ValueError:
        return
    if (
        PingUrl.parse(url).origin == f"http://127.0.0.1:{raw_server.port}"
    ):  # else the user's part holds it
        is_sound_request(raw_server, url, name, value, run, exit_status)


@given(
    url=st.tuples(st.sampled_from(["https://h/", "http://bob:x@h:8000/"]), PATHS).map("".join),
    job=st.text("abc.-_/(*\u00e9", min_size=1, max_size=8).map("{}x".format),
    markers=st.one_of(
        st.none(), st.dictionaries(st.text(min_size=1), st.sampled_from(Event), max_size=3)
    ),
)
def test_a_url_a_job_and_markers_make_a_sink(url, job, markers) -> None:
    sink = HealthSink(url, markers=markers) if markers else HealthSink(url, job=job)
    assert sink.enabled
    assert "rid=" in PingUrl.parse(url).target("/start", RUN)


@given(
    url=st.one_of(
        ANY, URL_LIKE, URL_LIKE.map("https://h/{}".format), URL_LIKE.map("http://{}".format)
    ),
    job=ANY,
    markers=st.one_of(st.none(), st.dictionaries(ANY, st.sampled_from(Event), max_size=3)),
)
def test_nothing_but_a_value_error_is_raised(url, job, markers) -> None:
    try:
        HealthSink(url, job=job, markers=markers)
    except ValueError:
        return
    assert "rid=" in PingUrl.parse(url).target("/start", RUN)


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/kkkkkkkkkkkkkkkkkkkkkk/photos", "/***/photos"),
        ("/ping/kkkkkkkk-kkkkkk_kkkkkK/nightly-sync-2", "/***/nightly-sync-2"),
        ("/kkkkkkkkkkkkkkkkkkkkkk/photos?create=1", "/***/photos"),
        ("/kkkkkkkkkkkkkkkkkkkkkk/9e9d9bbe4f2b4a0e", "/***"),
        ("/kkkkkkkkkkkkkkkkkkkkkk/Token", "/***"),
        ("/api/push/kkkkkkkkkkkkkkkkkkkkkk", "/***"),
        ("/api/push/secret", "/***"),
        ("/9e9d9bbe-4f2b-4a0e-a1e0-111111111111", "/***"),
    ],
)
def test_a_slug_behind_a_ping_key_is_shown_and_nothing_else(path: str, shown: str) -> None:
    assert PingUrl.parse(f"https://hc-ping.com{path}").masked == f"https://hc-ping.com{shown}"
