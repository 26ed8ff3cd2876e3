"""The receiver's scale: what a test of a whole fleet needs."""

from __future__ import annotations

import subprocess
import sys
import time

from benchmarks.results import Row, Section
from benchmarks.timing import Spread
from loghc.testing import PingReceiver

__all__ = ["measure_fleet"]

_PROCESSES, _PINGS = 100, 100

_CLIENT = """
import http.client, sys, urllib.parse, uuid
url = urllib.parse.urlsplit(sys.argv[1])
connection = http.client.HTTPConnection(url.netloc, timeout=60)
for number in range(int(sys.argv[2])):
    path = f"{url.path}/log?rid={uuid.uuid4()}"
    connection.request("POST", path, body=b"%d" % number)
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200, answer.status
"""


def measure_fleet() -> Section:
    """10,000 pings from 100 processes; an AssertionError if one is lost."""
    expected = _PROCESSES * _PINGS
    with PingReceiver() as receiver:
        begun = time.perf_counter()
        command = [sys.executable, "-c", _CLIENT, receiver.url, str(_PINGS)]
        clients = [subprocess.Popen(command) for _ in range(_PROCESSES)]
        failed = sum(client.wait() != 0 for client in clients)
        pings = receiver.wait(expected, timeout=60)
        seconds = time.perf_counter() - begun
    different = len({ping.run_id for ping in pings})
    if failed or different != expected:
        raise AssertionError(f"{different} of {expected} pings came, {failed} processes failed")
    return Section(
        "fleet",
        "One PingReceiver, many processes",
        f"{_PROCESSES} processes send {_PINGS} pings each; all {expected:,} arrived, once each.",
        [
            Row("all of it, processes started and ended", "s", Spread.of([seconds])),
            Row("pings taken", "pings/s", Spread.of([expected / seconds])),
        ],
    )
