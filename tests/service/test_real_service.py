"""PingReceiver answers as a real Healthchecks server did: the table `answers.json`, row by row.

One difference has no row: gunicorn closes a connection that has been idle for two seconds, and
PingReceiver keeps it, so that a test which waits sees the same as one which doesn't.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from real_service import Names, Row, ask, described, differences, load
from strict_heads import read_head

from loghc.testing import PingReceiver, handler

TABLE = load()


# Where PingReceiver is to answer otherwise, and why.
ACCEPTED = {
    "It has no web pages, and no words in those it needs.": (
        "HEAD of a page",
        "an absolute URL without a path",
    ),
    "The reason phrase is a slip of gunicorn's; here it goes with the status.": (
        "an unknown coding",
    ),
    "The server's own fault (500); here it is the client's, like any other bad rid.": (
        "a rid with a newline after",
    ),
    "The service counts a ping though its body was cut short, or its chunks are none. A test is to "
    "see the client's mistake; a proxy in front of the service would not hand such a ping on.": (
        "a body that ends too early",
        "a chunked body that ends too early",
        "a chunk that is longer than its size",
        "a chunk's size that is negative",
        "a chunk's size that is no number",
    ),
    "Here what is far too long is refused before the service is asked, and says that it closes.": (
        "a length of '{9*30}'",
    ),
    "Slugs are unique here, and each check takes every method: no test of a program needs more.": (
        "an ambiguous slug",
        "an ambiguous slug, 256, bad rid, create=1",
        "GET to a check that takes POST only",
        "HEAD to a check that takes POST only",
        "PUT to a check that takes POST only",
        "a GET of fail, to a check that takes POST only",
    ),
    "The service closes a connection rather than read on; here it stays open.": (
        "a body of one byte more than is taken",
        "a body of more than is taken",
        "a body longer than is taken, to no check",
        "a body longer than is taken, with 256",
        "a body longer than is taken, with a bad rid",
        "a chunked body longer than is taken",
        "a body of 65,536 bytes to no check",
        "a body of 65,536 bytes in one chunk",
    ),
}
DIFFERENT = {request for requests in ACCEPTED.values() for request in requests}


@pytest.fixture(scope="module")
def receiver() -> Iterator[PingReceiver]:
    """A receiver that reads heads as strictly as gunicorn does."""
    with pytest.MonkeyPatch.context() as patch, PingReceiver() as receiver:
        patch.setattr(handler, "read_head", read_head)
        yield receiver


@pytest.mark.parametrize("row", TABLE["rows"], ids=lambda row: row["request"])
def test_it_answers_as_the_real_service_does(receiver: PingReceiver, row: Row) -> None:
    receiver.clear()
    url = urlsplit(receiver.url)
    assert url.hostname is not None
    assert url.port is not None
    uuid, slug = url.path[1:], receiver.slug_url.rpartition("/")[2]
    names = Names("", uuid, receiver.ping_key, slug, uuid, url.netloc)

    answers, stays_open = ask((url.hostname, url.port), row, names)

    pings = [
        described(ping.event.value, ping.method, ping.run_id, len(ping.body))
        for ping in receiver.pings
    ]
    assert bool(differences(row, answers, stays_open, pings)) == (row["request"] in DIFFERENT)


def test_no_row_is_there_twice_and_no_accepted_difference_is_without_one() -> None:
    requests = [row["request"] for row in TABLE["rows"]]

    assert len(requests) == len(set(requests)) > 300
    assert set(requests) >= DIFFERENT
