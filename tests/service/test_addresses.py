"""A name with several addresses, of which some lead nowhere."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from conftest import RunScript
from loghc.testing import PingReceiver
from services import blackholes

PROGRAM = """
import socket, sys, time
from loguru import logger
from loghc import HealthSink

def look_up(host, port, *args, flags=0, **options):
    if flags & socket.AI_NUMERICHOST:
        raise socket.gaierror(socket.EAI_NONAME, "not an address")
    addresses = [*eval(sys.argv[2]), ("127.0.0.1", int(sys.argv[3]))]
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", each) for each in addresses]

def hang(host, port, *args, flags=0, **options):
    if flags & socket.AI_NUMERICHOST:
        raise socket.gaierror(socket.EAI_NONAME, "not an address")
    time.sleep(1000)

def seconds_for(marker):
    begun = time.monotonic()
    logger.info(marker)
    assert sink.wait(30)
    return time.monotonic() - begun

socket.getaddrinfo = look_up
sink = HealthSink(sys.argv[1].replace("127.0.0.1", "service.example"))
logger.remove()
logger.add(sink)
"""


@pytest.mark.parametrize("number", [1, 3])
def test_dead_addresses_cost_a_moment_once(
    number: int, ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    rest = 'print(seconds_for("sync.start"), seconds_for("sync.done"), sink.stats.delivered)'
    url = ping_receiver.url
    with blackholes(number) as dead:
        done = run_script(PROGRAM + rest, url, repr(dead), str(urlsplit(url).port))
    first, second, delivered = map(float, done.stdout.split())
    assert delivered == 2, done.stderr
    assert 0.2 < first < 2.5  # 0.25 s, and 0.1 s for each further one
    assert second < first - 0.2


def test_the_address_that_worked_serves_the_exit_where_the_look_up_hangs(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    rest = """
seconds_for("sync.start")
socket.getaddrinfo = hang
logger.info("sync.done")
"""
    url = ping_receiver.url
    done = run_script(PROGRAM + rest, url, "[]", str(urlsplit(url).port))
    assert done.returncode == 0, done.stderr
    assert [ping.event.value for ping in ping_receiver.pings] == ["start", "success"]


def test_where_no_thread_and_no_process_can_be_had_pings_to_a_name_leave_at_the_exit(
    ping_receiver: PingReceiver, run_script: RunScript
) -> None:
    source = """
import os, resource, sys
import loghc.log.rendering, loghc.log.secrets, loghc.service.answer, loghc.service.transport
from loguru import logger
from loghc import HealthSink
logger.remove()
logger.add(HealthSink(sys.argv[1].replace("127.0.0.1", "localhost")))
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)  # root has as many as it likes
resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
try:
    os.fork()
except OSError:
    print("none to be had")
logger.info("sync.start")
logger.info("sync.done")
"""
    done = run_script(source, ping_receiver.url)
    assert done.stdout == "none to be had\n", done.stderr
    assert [ping.event.value for ping in ping_receiver.pings] == ["start", "success"], done.stderr
