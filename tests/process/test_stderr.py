"""A standard error that nobody reads: it delays no ping, no log call, and no exit."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from loghc import Event
from loghc.testing import Fault, PingReceiver
from processes import needs_posix
from services import unused_port

pytestmark = needs_posix

JOB = """
import sys, time
from loguru import logger
from loghc import HealthSink

logger.remove()
sink = HealthSink(sys.argv[1], drain=2.0)
logger.add(sink, format="{message}")
"""


@contextmanager
def program(source: str, *args: str, stderr: int) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", JOB + source, *args],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        cwd=os.sep,  # where no other loghc lies that would be imported
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@contextmanager
def full_pipe() -> Iterator[tuple[int, int]]:
    """A pipe that nobody reads, filled to the last byte."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    for size in (65_536, 4096, 1):
        with suppress(BlockingIOError):
            while True:
                os.write(writer, b"." * size)
    os.set_blocking(writer, True)
    try:
        yield reader, writer
    finally:
        os.close(reader)
        os.close(writer)


def test_pings_go_on_and_are_retried_while_nobody_reads_what_is_said(
    ping_receiver: PingReceiver,
) -> None:
    ping_receiver.script(404, 404, Fault(503), Fault(503), Fault(503))
    source = """
logger.info("sync.start")
logger.info("sync.log: more")
logger.info("sync.done")
assert sink.wait(20)
print(sink.stats.delivered, sink.stats.failed, sink.stats.superseded, flush=True)
"""
    with full_pipe() as (_, writer), program(source, ping_receiver.url, stderr=writer) as process:
        assert process.communicate(timeout=30)[0] == "1 1 1\n"
        assert process.returncode == 0
    assert [ping.event for ping in ping_receiver.pings] == [Event.SUCCESS]


@pytest.mark.parametrize("end", ["", "logger.remove()", "raise SystemExit(3)"])
def test_an_exit_takes_no_longer_while_nobody_reads_what_is_said(end: str) -> None:
    source = f"""
for _ in range(50):
    logger.info("sync.start")
print(time.time(), flush=True)
{end}
"""
    url = f"http://127.0.0.1:{unused_port()}/x"
    with full_pipe() as (_, writer), program(source, url, stderr=writer) as process:
        said, _ = process.communicate(timeout=30)
        assert time.time() - float(said) < 15  # not until somebody reads
        assert process.returncode == (3 if "3" in end else 0)


def test_a_log_call_takes_no_longer_while_nobody_reads_what_is_said(
    ping_receiver: PingReceiver,
) -> None:
    source = """
took = []
for number in range(12_000):  # more than may wait: the call that drops one says so
    begun = time.perf_counter()
    logger.info("sync.done")
    took.append(time.perf_counter() - begun)
print(max(took) < 1.0, flush=True)
"""
    url = f"http://127.0.0.1:{unused_port()}/x"
    with full_pipe() as (_, writer), program(source, url, stderr=writer) as process:
        assert process.communicate(timeout=60)[0] == "True\n"


def test_what_could_not_be_said_is_said_when_somebody_reads_again(
    ping_receiver: PingReceiver,
) -> None:
    ping_receiver.always(404)
    source = """
logger.info("sync.start")
assert sink.wait(20)
print("said", flush=True)
sys.stdin.read(1)
logger.info("sync.log")
assert sink.wait(20)
"""
    with full_pipe() as (reader, writer):
        process = subprocess.Popen(
            [sys.executable, "-c", JOB + source, ping_receiver.url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=writer,
            text=True,
            cwd=os.sep,
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "said\n"
            os.set_blocking(reader, False)
            with suppress(BlockingIOError):
                while True:
                    assert set(os.read(reader, 65_536)) == {ord(".")}
            process.communicate("x", timeout=30)
            said = os.read(reader, 65_536).decode()
        finally:
            process.kill()
            process.wait()
    assert said.startswith("loghc: start ping to ")
    assert said.count("404 not found") == 3  # each event's own: the log's, and the end's


def test_a_long_traceback_is_said_once_and_whole(
    ping_receiver: PingReceiver,
) -> None:
    source = r"""
def fails(outcome):
    raise ValueError("{" + "0123456789" * 1000 + "}")
logger.remove()
sink = HealthSink(sys.argv[1], on_outcome=fails)
logger.add(sink)
logger.info("sync.log")
assert sink.wait(20)
"""
    with program(source, ping_receiver.url, stderr=subprocess.PIPE) as process:
        _, said = process.communicate(timeout=30)
    assert said.startswith("loghc: on_outcome raised")
    assert said.endswith("ValueError: {" + "0123456789" * 1000 + "}\n")
    assert said.count("ValueError: {") == 1


@pytest.mark.parametrize(
    "stream",
    ["None", "open(os.devnull, 'w')", "io.StringIO()", "Closed()", "Raising()", "Detached()"],
)
def test_whatever_stands_for_standard_error_does_no_harm(
    stream: str, ping_receiver: PingReceiver
) -> None:
    ping_receiver.script(404, 404)
    source = f"""
import io, os, socket

def Closed():
    stream = open(os.devnull, "w")
    stream.close()
    return stream

class Raising:
    def write(self, text):
        raise ValueError(text)
    def flush(self):
        pass

def Detached():
    connection = socket.socket()
    stream = connection.makefile("w")
    connection.close()
    stream.buffer.raw._sock.detach()
    return stream

sys.stderr = {stream}
logger.info("sync.start")
logger.info("sync.done")
assert sink.wait(20)
print(sink.stats.delivered, isinstance(sys.stderr, io.StringIO) and sys.stderr.getvalue())
"""
    with program(source, ping_receiver.url, stderr=subprocess.DEVNULL) as process:
        said, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert said.startswith("1 ")
    assert ("404 not found" in said) is ("StringIO" in stream)
