"""The cause of a failure is what is read first, whatever the failure is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from failures import FAILURES, LOGHC, Failure
from loghc import Event
from loghc.testing import PingReceiver
from processes import needs_posix

pytestmark = needs_posix

EVENT_LIST_BYTES = 150  # what Healthchecks' list of events shows of a body
SLACK_CHARACTERS = 1_000


def test_there_are_thirty_kinds_at_least() -> None:
    assert len({failure.name for failure in FAILURES}) == len(FAILURES) >= 30


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.name)
def test_the_cause_is_within_the_first_150_bytes(
    failure: Failure, ping_receiver: PingReceiver, tmp_path: Path
) -> None:
    failure.happen(ping_receiver.url, tmp_path)
    failed = [ping for ping in ping_receiver.pings if ping.event is Event.FAIL]
    for ping in failed:
        assert failure.cause in ping.body[:EVENT_LIST_BYTES].decode("utf-8", "ignore")
        headline, empty, *_ = [*ping.text.split("\n"), ""]
        assert (empty, len(headline) <= 300) == ("", True)
        assert headline.isprintable()
        assert b"\0" not in ping.body
        assert "```" not in ping.text[:SLACK_CHARACTERS]  # Slack would be shown nothing
    assert failed


DEEP = """
import sys
sys.setrecursionlimit(3000)
def first(depth):
    if depth:
        second(depth - 1)
    raise OSError("disk full")
def second(depth):
    first(depth)
"""


def end_of(
    receiver: PingReceiver, folder: Path, source: str, *options: str, python: str = ""
) -> str:
    """The body of the last ping of a program under `loghc run`."""
    (folder / "program.py").write_text(textwrap.dedent(source), encoding="utf-8")
    command = [*LOGHC, *options, *([python] if python else []), "program.py"]
    env = {**os.environ, "HEALTH_CHECK_URL": receiver.url}
    subprocess.run(command, cwd=folder, env=env, capture_output=True, timeout=60, check=False)
    return receiver.pings[-1].text


@pytest.mark.parametrize(
    "how", ["first(1000)", "try: first(1000)\nexcept OSError: logger.exception('no')"]
)
def test_a_deep_recursion_leaves_the_log(
    ping_receiver: PingReceiver, tmp_path: Path, how: str
) -> None:
    lines = (
        'from loguru import logger\nfor number in range(200): logger.info("copied {}", number)\n'
    )
    body = end_of(ping_receiver, tmp_path, f"{DEEP}\n{lines}{how}\nsys.exit(3)")
    assert all(f" - copied {number}\n" in body for number in range(200))
    assert "in first\n" in body
    assert "OSError: disk full\n" in body
    assert 20_000 < len(body.encode()) < 65_000


def test_the_tracebacks_of_children_leave_their_parents_log(
    ping_receiver: PingReceiver, tmp_path: Path
) -> None:
    source = f"""{DEEP}
import os
from loguru import logger
for number in range(500): logger.info("copied {{}}", number)
for _ in range(4):
    if os.fork() == 0:
        first(1000)
    os.wait()
first(1000)
"""
    body = end_of(ping_receiver, tmp_path, source)
    assert all(f" - copied {number}\n" in body for number in range(500))
    assert len(body.encode()) <= 100_000
    assert body.count("Traceback (most recent call last):") >= 2


def test_a_python_that_failed_unheeded_is_no_cause(
    ping_receiver: PingReceiver, tmp_path: Path
) -> None:
    command = [*LOGHC, "sh", "-c", f"'{sys.executable}' -c 'import yamll' || true; exit 3"]
    env = {**os.environ, "HEALTH_CHECK_URL": ping_receiver.url}
    subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, timeout=60, check=False)
    assert ping_receiver.pings[-1].text.startswith("exit status 3 (after ")


def test_a_program_sees_nothing_of_what_looks_for_its_exception(
    ping_receiver: PingReceiver, tmp_path: Path
) -> None:
    shows = """
    import sys
    print(sorted(sys.modules), sys.excepthook, getattr(sys, "last_exc", None))
    print(sys.path, sys.argv, sys.flags)
    """
    (tmp_path / "program.py").write_text(textwrap.dedent(shows), encoding="utf-8")
    env = {**os.environ, "HEALTH_CHECK_URL": ping_receiver.url}
    plain, watched = (
        subprocess.run(
            [*before, "program.py"], cwd=tmp_path, env=env, capture_output=True, check=True
        )
        for before in ([sys.executable], LOGHC)
    )
    at = re.compile(rb" at 0x[0-9a-f]+")
    assert at.sub(b"", watched.stdout) == at.sub(b"", plain.stdout) != b""


def test_what_is_recorded_and_printed_is_in_the_log_once(
    ping_receiver: PingReceiver, tmp_path: Path
) -> None:
    source = """
    import sys
    from loguru import logger
    logger.add(sys.stdout, format="<red>{level}</red> {message}", colorize=True)
    logger.info("copied a photo")
    try:
        1 / 0
    except ZeroDivisionError:
        logger.exception("no photo")
    print("printed alone")
    """
    body = end_of(ping_receiver, tmp_path, source, "--output")
    assert [body.count(text) for text in ("copied a photo", "no photo", "printed alone")] == [
        1,
        1,
        1,
    ]
    assert body.count("Traceback (most recent call last):") == 1


def test_a_progress_bar_is_one_line(ping_receiver: PingReceiver, tmp_path: Path) -> None:
    source = """
    import sys
    print("begun", file=sys.stderr)
    for number in range(4001):
        sys.stderr.write(f"\\r{number / 40:5.1f} % {number}/4000")
        sys.stderr.flush()
    print("\\nabc\\rX", file=sys.stderr)
    """
    body = end_of(ping_receiver, tmp_path, source, "--output")
    assert body == "begun\n100.0 % 4000/4000\nXbc\n"
