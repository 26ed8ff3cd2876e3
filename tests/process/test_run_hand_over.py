"""What a HealthSink in a watched program hands over to `loghc run`, through the channel."""

from __future__ import annotations

import time
from textwrap import dedent

import pytest

from loghc.ping import Event
from processes import RUN, needs_posix, run

pytestmark = needs_posix

HAND_OVER = """
    import os, sys, time
    from loguru import logger
    def send(event, line, run_id="-"):
        text = line.replace("\\\\", "\\\\\\\\").replace("\\n", "\\\\n").replace("\\t", "\\\\t")
        now = time.monotonic_ns()
        fields = ("loghc2", os.getpid(), now, 0, 0, event, 1, run_id, text)
        fd = os.open(os.environ["LOGHC_RUN"] + "/channel", os.O_RDWR | os.O_NONBLOCK)
        os.write(fd, ("\\t".join(map(str, fields)) + "\\n").encode())
        os.close(fd)
    logger.info("the log: pin 1234")
"""


@pytest.fixture
def handing_over(program):
    """Writes a program that begins with the above and goes on with these lines."""
    return lambda lines: program(dedent(HAND_OVER) + lines)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("send('start', 'sync.start')\nsend('success', 'sync.done')", [Event.SUCCESS]),
        ("send('log', 'half way')", [Event.LOG, Event.SUCCESS]),
        ("send('fail', 'disk full')", [Event.FAIL, Event.FAIL]),
        ("send('fail', 'x')\nsend('success', 'y')", [Event.FAIL, Event.FAIL]),
        ("open(os.environ['LOGHC_RUN'] + '/failed', 'w')", [Event.FAIL]),
        ("send('nonsense', 'x')", [Event.SUCCESS]),
        ("send('fail\\tx', 'x')", [Event.SUCCESS]),  # a field too many
        ("send('fail', 'x', 'y\\nz')", [Event.SUCCESS]),  # one too few
    ],
)
def test_markers_that_were_handed_over_count_as_logged_ones(
    receiver, handing_over, tmp_path, lines, told
):
    done = run(*RUN, handing_over(lines), cwd=tmp_path)
    assert "please report this" not in done.stderr
    assert [ping.event for ping in receiver.pings][1:] == told
    assert len({ping.run_id for ping in receiver.pings}) == 1


def test_with_markers_only_the_sinks_own_runs_are_told(receiver, handing_over, tmp_path):
    a, b = "9e9d9bbe-4f2b-4a0e-a1e0-111111111111", "9e9d9bbe-4f2b-4a0e-a1e0-222222222222"
    lines = f"""
send('start', 'a', '{a}')
send('start', 'b', '{b}')
send('success', 'a', '{a}')
"""
    run(*RUN, "--markers-only", handing_over(lines), cwd=tmp_path)
    assert [(ping.event, ping.run_id) for ping in receiver.pings] == [
        (Event.START, a),
        (Event.START, b),
        (Event.SUCCESS, a),
        (Event.FAIL, b),
    ]


@pytest.mark.parametrize(
    ("options", "shown", "said"),
    [
        ("send_logs=0", "", "send_logs=False"),
        ("redact", "", "redact rule that can't be passed to another process"),
        ("redact=", "", "redact rule that can't be passed to another process"),
        ("redact=pin \\\\\\\\d+", "the log: [redacted]\n", None),
        ("redact=(", "", "redact rule that can't be passed to another process"),
        ("limit=5", "1234\n", None),
        ("limit=0", "the log: pin 1234\n", None),
        ("unknown=1", "the log: pin 1234\n", None),
        ("version=9", "the log: pin 1234\n", None),
    ],
)
def test_a_sinks_options_tighten(receiver, handing_over, tmp_path, options, shown, said):
    done = run(*RUN, handing_over(f"send('sink', '{options}')"), cwd=tmp_path)
    body = receiver.pings[1].text
    assert body.endswith(shown) if shown else body == ""
    lines = [line for line in done.stderr.splitlines() if line.startswith("loghc: ")]
    assert len(lines) == (said is not None)
    assert said is None or said in lines[0]


@pytest.mark.parametrize(
    ("own", "options", "shown"),
    [
        (("--limit", "9"), "limit=99999999", "pin 1234\n"),
        (("--no-logs",), "send_logs=1", ""),
        (("--redact", r"pin \d+"), "redact=log", "the [redacted]: [redacted]\n"),
    ],
)
def test_a_sinks_options_loosen_nothing(receiver, handing_over, tmp_path, own, options, shown):
    run(*RUN, *own, handing_over(f"send('sink', '{options}')"), cwd=tmp_path)
    body = receiver.pings[1].text
    assert body == shown or (body.endswith(f" - {shown}") and "--limit" not in own)


def test_a_flood_of_nonsense_delays_no_end(receiver, handing_over, tmp_path):
    lines = """
if not os.fork():
    fd = os.open(os.environ["LOGHC_RUN"] + "/channel", os.O_RDWR | os.O_NONBLOCK)
    os.setsid()
    for null in (0, 1, 2):
        os.dup2(os.open(os.devnull, os.O_RDWR), null)
    while os.path.exists(os.environ["LOGHC_RUN"]):
        try:
            os.write(fd, os.urandom(4096))
        except BlockingIOError:
            pass
"""
    begun = time.monotonic()
    done = run(*RUN, handing_over(lines), cwd=tmp_path)
    assert done.returncode == 0
    assert receiver.pings[1].event is Event.SUCCESS
    assert time.monotonic() - begun < 30
