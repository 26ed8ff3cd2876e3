"""What PingReceiver reads of a request, from bytes: its head and its body."""

from __future__ import annotations

from io import BytesIO

import pytest

from loghc.testing.bodies import BrokenOffError, MalformedError, read_body
from loghc.testing.heads import RefusedError, read_head
from loghc.testing.requests import Headers

MIB = 2**20
HOST = b"Host: x\r\n"


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/a", "/a", ""),
        ("/a?b=1", "/a", "b=1"),
        ("/a?b=1?c#d", "/a", "b=1?c"),
        ("/a#b?c", "/a", ""),
        ("http://h:1/a?b", "/a", "b"),
        ("/http://h/a", "/http://h/a", ""),
        ("//h/a", "//h/a", ""),
    ],
)
def test_a_target_is_a_path_and_a_query(target: str, path: str, query: str) -> None:
    head = read_head(BytesIO(b"PUT %b HTTP/1.1\r\n\r\n" % target.encode()))
    assert head is not None
    assert (head.method, head.path, head.query, head.version) == ("PUT", path, query, "HTTP/1.1")


def test_headers_are_read_without_the_white_space_around_them() -> None:
    stream = BytesIO(b"GET / HTTP/1.1\r\nA: \tb:c \r\nD:e\nA:\x80\r\n\r\nbody")
    head = read_head(stream)
    assert head is not None
    assert dict(head.headers) == {"A": "b:c, \x80", "D": "e"}
    assert stream.read() == b"body"


@pytest.mark.parametrize(
    ("version", "wanted", "kept"),
    [
        ("1.1", None, True),
        ("1.1", "close", False),
        ("1.1", "Close", False),
        ("1.1", "keep-alive", True),
        ("1.1", "upgrade", True),
        ("1.0", None, False),
        ("1.0", "close", False),
        ("1.0", "Keep-Alive", True),
        ("1.0", "upgrade", False),
    ],
)
def test_whether_the_connection_stays_open(version: str, wanted: str | None, kept: bool) -> None:
    header = f"Connection: {wanted}\r\n" if wanted else ""
    head = read_head(BytesIO(f"GET / HTTP/{version}\r\n{header}\r\n".encode()))
    assert head is not None
    assert head.kept_alive is kept


@pytest.mark.parametrize(
    "data",
    [b"", b"GE", b"GET / HTTP/1.1", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\n" + HOST + b"A: b"],
)
def test_a_client_that_leaves_early_sent_no_request(data: bytes) -> None:
    assert read_head(BytesIO(data)) is None


@pytest.mark.parametrize(
    ("data", "status", "line"),
    [
        (b"SSH-2.0\r\n\r\n", 400, "SSH-2.0"),
        (b"\r\n", 400, ""),
        (b"\nGET / HTTP/1.1\r\n\r\n", 400, ""),
        (b"get / HTTP/1.1\r\n\r\n", 400, "get / HTTP/1.1"),
        (b"GET / HTTP/1.1x\r\n\r\n", 400, "GET / HTTP/1.1x"),
        (b"GET / HTTP/2.0\r\n\r\n", 400, "GET / HTTP/2.0"),
        (b"GET /a b HTTP/1.1\r\n\r\n", 400, "GET /a b HTTP/1.1"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400, "GET / HTTP/1.1"),
        (b"GET / HTTP/1.1\r\nContent-Length: 1x\r\n\r\n", 400, "GET / HTTP/1.1"),
        (b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400, "GET / HTTP/1.1"),
    ],
)
def test_what_is_no_request_is_refused(data: bytes, status: int, line: str) -> None:
    with pytest.raises(RefusedError) as caught:
        read_head(BytesIO(data))
    assert (caught.value.status, caught.value.line) == (status, line)


@pytest.mark.parametrize(
    ("length", "headers", "line"),
    [(8188, 1, "A: " + 8188 * "x" + "\r"), (1, 101, "GET / HTTP/1.1")],
    ids=["a line", "headers"],
)
def test_what_is_too_large_is_refused(length: int, headers: int, line: str) -> None:
    data = b"GET / HTTP/1.1\r\n" + headers * (b"A: " + length * b"x" + b"\r\n") + b"\r\n"
    with pytest.raises(RefusedError) as caught:
        read_head(BytesIO(data))
    assert (caught.value.status, caught.value.line) == (431, line)


def test_as_much_as_is_allowed_is_read() -> None:
    line = b"A: " + 8187 * b"x" + b"\r\n"
    head = read_head(BytesIO(b"GET / HTTP/1.1\r\n" + line + 99 * HOST + b"\r\n"))
    assert head is not None
    assert len(head.headers["A"]) == 8187


CHUNKED = {"Transfer-Encoding": "chunked"}


@pytest.mark.parametrize(
    ("headers", "data", "body", "left"),
    [
        ({}, b"next", b"", b"next"),
        ({"Content-Length": "3"}, b"abcd", b"abc", b"d"),
        ({"Content-Length": "0003"}, b"abcd", b"abc", b"d"),
        ({"Content-Length": "000"}, b"abcd", b"", b"abcd"),
        (CHUNKED, b"3\r\nabc\r\n1;x=1;y=2\r\nd\r\n0\r\n\r\nnext", b"abcd", b"next"),
        (
            CHUNKED,
            b"0a\r\n0123456789\r\n0\r\nTrailer: x\r\nA: b\r\n\r\nnext",
            b"0123456789",
            b"next",
        ),
        (CHUNKED, b"0\r\n\r\n", b"", b""),
    ],
)
def test_a_body_is_read_to_its_end(
    headers: dict[str, str], data: bytes, body: bytes, left: bytes
) -> None:
    stream = BytesIO(data)
    assert read_body(stream, Headers(headers.items())) == body
    assert stream.read() == left


@pytest.mark.parametrize(
    ("headers", "data", "kind", "part"),
    [
        ({"Content-Length": "3"}, b"ab", BrokenOffError, b"ab"),
        ({"Content-Length": str(4 * MIB + 1)}, b"", MalformedError, b""),
        (CHUNKED, b"", BrokenOffError, b""),
        (CHUNKED, b"1\r\na\r\n", BrokenOffError, b"a"),
        (CHUNKED, b"1\r\na\r\nx\r\n", MalformedError, b"a"),
        (CHUNKED, b"1\r\na\r\n-1\r\n", MalformedError, b"a"),
        (CHUNKED, b"1\r\na\r\n\r\n", MalformedError, b"a"),
        (CHUNKED, b"1\r\na\r\n000000001\r\nb\r\n", MalformedError, b"a"),
        (CHUNKED, b"1\r\nabc\r\n", MalformedError, b"a"),
        (CHUNKED, b"1\r\na\r\n%x\r\n" % (4 * MIB), MalformedError, b"a"),
    ],
)
def test_a_body_that_is_none_is_kept_as_far_as_it_was_read(
    headers: dict[str, str], data: bytes, kind: type[Exception], part: bytes
) -> None:
    with pytest.raises(kind) as caught:
        read_body(BytesIO(data), Headers(headers.items()))
    assert caught.value.args == (part,)


@pytest.mark.parametrize(
    ("headers", "data", "part"),
    [
        ({"Content-Length": "7"}, b"abcdefg", b"abc"),
        ({}, b"", b""),
        (CHUNKED, b"7\r\nabcdefg\r\n0\r\n\r\n", b"abc"),
    ],
)
def test_a_fault_stops_in_the_middle(headers: dict[str, str], data: bytes, part: bytes) -> None:
    with pytest.raises(BrokenOffError) as caught:
        read_body(BytesIO(data), Headers(headers.items()), halfway=True)
    assert caught.value.args == (part,)


def test_the_largest_body_is_read_and_a_larger_one_is_not() -> None:
    largest = bytes(4 * MIB)
    length = Headers([("Content-Length", str(4 * MIB))])
    assert read_body(BytesIO(largest + b"x"), length) == largest
    chunks = b"%x\r\n%b\r\n1\r\nx\r\n" % (4 * MIB - 1, largest[:-1])
    end = b"0\r\n\r\n"
    assert read_body(BytesIO(chunks + end), Headers(CHUNKED.items())) == largest[:-1] + b"x"
    with pytest.raises(MalformedError):
        read_body(BytesIO(chunks + b"1\r\nx\r\n" + end), Headers(CHUNKED.items()))
    with pytest.raises(MalformedError):
        read_body(BytesIO(), Headers([("Content-Length", 5000 * "9")]))
