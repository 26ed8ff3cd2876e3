"""Asks a service what the table `answers.json` asks, in raw bytes.

The table holds requests, and beside each what a real Healthchecks server answered and which pings
it kept. `test_real_service.py` asks PingReceiver the same. Run as a command, this asks a real
server again, and shows each row that it now answers otherwise; with ``--write`` the table is
brought up to date. A row without answers is a new one. CONTRIBUTING.md says how to run a server.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import re
import socket
import sys
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from email.message import Message
from pathlib import Path
from typing import Any, NamedTuple

TABLE = Path(__file__).with_name("answers.json")

# What a client of a ping URL goes by. The others are for browsers and caches: Cache-Control,
# Expires, Vary, Referrer-Policy, Cross-Origin-Opener-Policy, X-Frame-Options and the like.
HEADERS = (
    "Date",
    "Server",
    "Connection",
    "Content-Type",
    "Content-Length",
    "Transfer-Encoding",
    "Ping-Body-Limit",
    "Access-Control-Allow-Origin",
)
_FRAMING = ("Content-Length: ", "Transfer-Encoding: ")  # not compared of a page
_VARYING = ("Date", "Server")  # of these it counts whether they are there
_PAGE = "<a page>"  # stands for HTML, whose wording nobody goes by
_TIMEOUT = 10  # seconds

Row = dict[str, Any]


class Names(NamedTuple):
    """What a service calls the things that the requests name."""

    base: str  # the path before a UUID or ping key, without a slash at its end
    uuid: str
    key: str
    slug: str
    post_only: str  # the UUID of a check that takes POST only
    host: str


def ask(address: tuple[str, int], row: Row, names: Names) -> tuple[list[str], bool]:
    """Send a row's bytes; return the answers, and whether the connection stays open after them."""
    sent = expand(row["sent"], names)
    answers: list[str] = []
    with (
        socket.create_connection(address, timeout=_TIMEOUT) as connection,
        connection.makefile("rb") as stream,
        contextlib.suppress(ConnectionError),  # a connection that is reset is closed
    ):
        with contextlib.suppress(ConnectionError):  # it may answer before it has read all
            connection.sendall(sent)
        if row.get("ends"):
            connection.shutdown(socket.SHUT_WR)
        for method in row.get("methods", [sent.partition(b" ")[0].decode("latin-1")]):
            answers += _read_answer(stream, method)
        if row.get("ends") or not answers or "Connection: close" in answers[-1]:
            assert stream.read() == b"", "more than the answers came"
            return answers, False
        probe = f"GET {names.base}/x HTTP/1.1\r\nHost: {names.host}\r\n\r\n"
        connection.sendall(probe.encode())
        return answers, stream.readline().startswith(b"HTTP/1.1 404")
    return answers, False


def expand(text: str, names: Names) -> bytes:
    """Return the bytes that a row's text stands for."""
    text = re.sub(r"\{(.)\*(\d+)\}", lambda match: match[1] * int(match[2]), text)
    for name, value in {
        "uuid": f"{names.base}/{names.uuid}",
        "post_only": f"{names.base}/{names.post_only}",
        "UUID": f"{names.base}/{names.uuid.upper()}",
        "hex": f"{names.base}/{names.uuid.replace('-', '')}",
        "slug": f"{names.base}/{names.key}/{names.slug}",
        "key": f"{names.base}/{names.key}",
        "base": names.base,
        "host": names.host,
        "new": f"new-{uuid.uuid4().hex}",
        "A": "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa",
    }.items():
        text = text.replace(f"{{{name}}}", value)
    return text.encode("latin-1")


def _read_answer(stream: Any, method: str) -> Iterator[str]:
    """Read an answer, and the interim ones before it; nothing if the connection is closed."""
    while first := stream.readline().decode("latin-1"):
        message = http.client.parse_headers(stream)
        if first.split()[1] == "100":
            yield first
            continue
        lines = [first]
        for name in HEADERS:
            values = message.get_all(name, [])
            lines += [f"{name}: {'...' if name in _VARYING else value}\r\n" for value in values]
        body = ""
        if method != "HEAD":
            body = _read_body(stream, message).decode("utf-8", "replace")
        if "<h1>" in body:
            lines = [line for line in lines if not line.startswith(_FRAMING)]
            body = _PAGE
        yield "".join([*lines, "\r\n", body])
        return


def _read_body(stream: Any, headers: Message) -> bytes:
    if headers.get("Transfer-Encoding") != "chunked":
        return stream.read(int(headers.get("Content-Length", 0)))  # type: ignore[no-any-return]
    body = b""
    while size := int(stream.readline(), 16):
        body += stream.read(size)
        stream.readline()
    stream.readline()
    return body


def differences(row: Row, answers: list[str], stays_open: bool, pings: list[str]) -> list[str]:
    """Return what is not as a row has it, in words."""
    seen = {"answers": answers, "stays_open": stays_open, "pings": pings}
    return [
        f"{name}: {row.get(name)} -> {value}"
        for name, value in seen.items()
        if row.get(name) != value
    ]


def load() -> Row:
    """Read the table; its rows have the answers themselves in place of their names."""
    table: Row = json.loads(TABLE.read_text(encoding="utf-8"))
    for row in table["rows"]:
        row["answers"] = [table["answers"][name] for name in row.get("answers", ())]
    return table


def _save(table: Row) -> None:
    """Write the table, a row a line. An answer, which many rows share, is there by a name."""
    names: dict[str, str] = {}
    for answer in (answer for row in table["rows"] for answer in row["answers"]):
        status = answer.partition("\r\n")[0].removeprefix("HTTP/1.1 ")
        closes = ", closes" if "Connection: close" in answer else ""
        name = f"{status}{closes}: {answer.rpartition(chr(10))[2] or 'nothing'}"
        while names.get(name, answer) != answer:
            name += "*"
        names[name] = answer
    by_answer = {answer: name for name, answer in names.items()}
    rows = [
        {**row, "answers": [by_answer[answer] for answer in row["answers"]]}
        for row in table["rows"]
    ]
    lines = [
        "{",
        f'"server": {_as_json(table["server"])},',
        '"answers": {',
        ",\n".join(f" {_as_json(name)}: {_as_json(answer)}" for name, answer in names.items()),
        "},",
        '"rows": [',
        ",\n".join(f" {_as_json(row)}" for row in rows),
        "]",
        "}",
    ]
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


# A real server


class _Server:
    """A Healthchecks server with a project for this table alone, asked through its API."""

    def __init__(self, url: str, api_key: str, ping_key: str) -> None:
        parts = urllib.request.urlparse(url)  # type: ignore[attr-defined]
        self.address = (parts.hostname, parts.port)
        self._api = f"{parts.scheme}://{parts.netloc}/api/v3/checks/"
        self._key = api_key
        check, post_only = self._make("nightly-sync"), self._make("post-only", methods="POST")
        for n in (1, 2):
            self._make("twins", unique=["name"], name=f"twin {n}")
        self.names = Names(
            parts.path.rstrip("/"),
            check["uuid"],
            ping_key,
            "nightly-sync",
            post_only["uuid"],
            parts.netloc,
        )

    def _make(self, slug: str, **settings: object) -> Any:
        wanted = {"slug": slug, "name": slug, "unique": ["slug"], **settings}
        return json.loads(self._call("", wanted))

    def counts(self) -> Mapping[str, int]:
        """How many pings each check has had."""
        checks = json.loads(self._call(""))["checks"]
        return {check["uuid"]: check["n_pings"] for check in checks}

    def pings_since(self, before: Mapping[str, int]) -> list[str]:
        """What was kept of the pings that came since, but for those that were ignored."""
        pings = []
        for check, count in self.counts().items():
            if count > before.get(check, 0):
                for ping in reversed(json.loads(self._call(f"{check}/pings/"))["pings"]):
                    if ping["n"] > before.get(check, 0) and ping["type"] != "ign":
                        url = ping["body_url"] and f"{check}/pings/{ping['n']}/body"
                        size = len(self._call(url)) if url else 0
                        pings.append(described(ping["type"], ping["method"], ping["rid"], size))
        return pings

    def _call(self, path: str, posted: object = None) -> bytes:
        data = None if posted is None else json.dumps(posted).encode()
        request = urllib.request.Request(self._api + path, data, {"X-Api-Key": self._key})
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
            return answer.read()  # type: ignore[no-any-return]


def described(event: str, method: str, run_id: str | None, size: int) -> str:
    """A ping as the table has it."""
    rid = "" if run_id is None else f" rid={run_id}"
    return f"{event} {method}{rid}, {size} bytes"


def main() -> int:
    parser = argparse.ArgumentParser(description="Ask a Healthchecks server what the table asks.")
    parser.add_argument("url", help="what its ping URLs begin with: http://127.0.0.1:8000/ping")
    parser.add_argument("--api-key", required=True, help="a project's, which may write")
    parser.add_argument("--ping-key", required=True, help="the same project's")
    parser.add_argument("--write", metavar="VERSION", help="write what it answers, and its version")
    options = parser.parse_args()
    server = _Server(options.url, options.api_key, options.ping_key)
    table = load()
    changed = 0
    for row in table["rows"]:
        before = server.counts()
        answers, stays_open = ask(server.address, row, server.names)
        pings = server.pings_since(before)
        if found := differences(row, answers, stays_open, pings):
            changed += 1
            print(row["request"], *found, sep="\n  ")
        row.update(answers=answers, stays_open=stays_open, pings=pings)
    print(f"{changed} of {len(table['rows'])} rows are not as the table has them.")
    if options.write:
        table["server"] = options.write
        _save(table)
        return 0
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
