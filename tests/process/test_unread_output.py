"""The command where nobody reads what it prints: a closed pipe, a full disk, a closed stream."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from loghc.testing import PingReceiver
from processes import LOGHC, TIMEOUT, needs_posix

pytestmark = needs_posix


@pytest.fixture(params=["closed pipe", "full disk"])
def unread(request: pytest.FixtureRequest) -> Iterator[int]:
    """A descriptor that can't be written to."""
    if request.param == "full disk":
        writing = os.open("/dev/full", os.O_WRONLY)
    else:
        reading, writing = os.pipe()
        os.close(reading)
    yield writing
    os.close(writing)


def status_and_rest(
    args: list[str], unbuffered: str = "", **streams: int
) -> tuple[int, bytes | None, bytes | None]:
    """A command's exit status, and what it printed to the streams that can be read."""
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    done = subprocess.run(
        [*LOGHC, *args],
        **given,  # type: ignore[call-overload]
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        stdin=subprocess.DEVNULL,
        timeout=TIMEOUT,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "args",
    [["--version"], ["--help"], ["run", "--help"], ["ping", "--help"], ["ping"]],
    ids=" ".join,
)
def test_what_nobody_reads_is_no_error(
    receiver: PingReceiver, unread: int, args: list[str], unbuffered: str
) -> None:
    assert status_and_rest(args, unbuffered, stdout=unread) == (0, None, b"")
    assert len(receiver.pings) == (args == ["ping"])


@pytest.mark.parametrize("args", [["ping", "--dry-run"]], ids=" ".join)
def test_a_check_of_the_way_keeps_its_status(
    receiver: PingReceiver, unread: int, args: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert status_and_rest(args, stdout=unread) == (0, None, b"")
    monkeypatch.setenv("HEALTH_CHECK_URL", "http://127.0.0.1:1/x")
    assert status_and_rest(args, stderr=unread)[0] == 1


@pytest.mark.parametrize(
    ("args", "status"),
    [
        ([], 2),
        (["fly"], 2),
        (["ping", "x"], 2),
        (["run"], 2),
        (["run", "--fly"], 2),
        (["run", "no-such-program"], 127),
    ],
    ids=str,
)
def test_an_error_that_nobody_reads_keeps_its_status(
    receiver: PingReceiver, unread: int, args: list[str], status: int
) -> None:
    assert status_and_rest(args, stderr=unread)[:2] == (status, b"")


@pytest.mark.parametrize("stream", ["1", "2"])
@pytest.mark.parametrize("args", [["--version"], ["ping"], ["run", "true"]], ids=" ".join)
def test_a_closed_stream_is_no_error(receiver: PingReceiver, args: list[str], stream: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {stream}>&-', "sh", *LOGHC, *args],
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_program_is_run_unwatched_though_nobody_reads_that_it_is(
    receiver: PingReceiver, unread: int
) -> None:
    script = 'ulimit -n 6; exec "$@"'
    done = subprocess.run(
        ["sh", "-c", script, "sh", *LOGHC, "run", "sh", "-c", "echo started; exit 3"],
        stdout=subprocess.PIPE,
        stderr=unread,
        timeout=TIMEOUT,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, b"started\n")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_demo_that_nobody_reads_ends_quietly(unbuffered: str, unread: int) -> None:
    status, _, said = status_and_rest(["demo"], unbuffered, stdout=unread)
    assert (status, said) in [(141, b""), (1, b"loghc demo: No space left on device\n")]


@pytest.mark.slow
def test_a_demo_without_standard_output_still_runs() -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *LOGHC, "demo"],
        stderr=subprocess.PIPE,
        timeout=TIMEOUT,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
