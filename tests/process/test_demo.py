"""What `loghc demo` shows, and that it leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import RunScript
from guards import can_be_guarded

RUN = "import sys; from loghc.command.demo import run; sys.exit(run(sys.stdout))"


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """An empty folder, for the demo's temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


def test_it_shows_its_runs_as_the_service_sees_them(run_script: RunScript, temporary: Path) -> None:
    done = run_script(RUN, env={"TMPDIR": str(temporary)})

    assert (done.returncode, done.stderr) == (0, "")
    runs = r"(?m)^The (?:first|second|third|fourth) run .*$"
    code, first, second, third, *fourth = re.split(runs, done.stdout)
    assert re.search(
        r'(?m)^    url = "http://127\.0\.0\.1:\d+/.*"\n    logger\.add\(HealthSink\(url\)\)$', code
    )
    assert '        logger.info("sync.start")' in code
    assert re.search(r"(?m)^  start    run \w{8}, \d+ bytes of log$", first)
    assert re.search(r"(?m)^  success  run \w{8} after \d\.\d\d s, [\d,]+ bytes of log$", first)
    assert re.search(r"(?m)^      \| .* sync\.done, 12 photos\nThe check is now up\.$", first)
    assert re.search(
        r"(?m)^  fail     run \w{8} after \d\.\d\d s, [\d,]+ bytes of log\n"
        r"      \| FileNotFoundError: ",
        second,
    )
    assert re.search(r"(?m)^      \| .* sync\.error: photo-08\.jpg$", second)
    assert re.search(r"(?m)^      \| FileNotFoundError: .*photo-08\.jpg'$", second)
    assert second.endswith("The check is now down.\n\n")
    assert "the log still has the first run's lines" in second
    assert re.search(r"(?m)^  start .*\n      \| \.\.\. 11 lines before$", second)
    assert "\n    loghc run copy_photos.py\n" in third
    assert "            os.kill(os.getpid(), signal.SIGKILL)" in third
    assert re.search(r"(?m)^  start    run \w{8}, no log yet$", third)
    assert re.search(
        r"(?m)^  fail     run \w{8} after \d\.\d\d s, exit status 137, \d+ bytes of log\n"
        r"      \| killed by SIGKILL",
        third,
    )
    assert re.search(r"(?m)^      \| .* copied photo-08\.jpg$", third)
    assert "photo-09" not in third
    if fourth:
        assert "    logger.add(HealthSink(guard=True))" in fourth[0]
        assert re.search(
            r"(?m)^  fail     run \w{8}.*, \d+ bytes of log\n      \| killed by SIGKILL",
            fourth[0],
        )
        assert re.search(r"(?m)^      \| .* copied photo-08\.jpg$", fourth[0])
    assert bool(fourth) is can_be_guarded()
    # A death soon after a start leaves that start unsent where the machine is busy.
    count = len(re.findall(r"(?m)^  (?:start|success|fail) +run ", done.stdout))
    assert count in ((7, 8) if fourth else (6,))
    assert f"The check is now down.\n\nAll {count} pings arrived." in done.stdout
    assert list(temporary.iterdir()) == []
    # For a pipe it is plain, and no wider than a terminal.
    assert "\033" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_a_terminal_gets_colours_unless_they_are_unwanted(
    environment: dict[str, str], coloured: bool
) -> None:
    import pty

    terminal, inside = pty.openpty()
    demo = subprocess.Popen(
        [sys.executable, "-c", RUN],
        stdout=inside,
        env={name: value for name, value in os.environ.items() if name != "NO_COLOR"} | environment,
    )
    os.close(inside)
    shown = b""
    while b" pings arrived" not in shown:
        shown += os.read(terminal, 10_000)
    assert demo.wait(20) == 0
    os.close(terminal)

    assert (b"\033[32m  success" in shown) is coloured
    assert (b"\033" in shown) is coloured


def test_neither_a_proxy_nor_a_ping_url_nor_ascii_gets_in_its_way(
    run_script: RunScript, tmp_path: Path
) -> None:
    nowhere, folder = "http://127.0.0.1:9", tmp_path / "ä"  # which its errors name
    folder.mkdir()
    environment = {"http_proxy": nowhere, "HEALTH_CHECK_URL": f"{nowhere}/x", "TMPDIR": str(folder)}
    environment["COLUMNS"] = "500"  # which leaves that whole
    done = run_script(RUN, env=environment | {"PYTHONIOENCODING": "ascii"})

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()


def test_the_handlers_of_others_are_left_alone(run_script: RunScript) -> None:
    done = run_script(
        "import io\n"
        "from loguru import logger\n"
        "from loghc.command.demo import run\n"
        "heard = []\n"
        "logger.add(heard.append, format='{message}')\n"
        "run(io.TextIOWrapper(io.BytesIO()))\n"
        "logger.info('after')\n"
        "print(heard[0], heard[-1])\n"
    )

    assert done.stdout == "sync.start\n after\n\n"
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.endswith(" - after\n")


def test_a_ping_that_does_not_arrive_is_a_failure(run_script: RunScript, temporary: Path) -> None:
    done = run_script(
        "import sys\n"
        "from loghc.command import demo\n"
        "demo.HealthSink = lambda url: lambda message: None\n"
        "demo._PING_TIMEOUT_S = 0.1\n"
        "sys.exit(demo.run(sys.stdout))\n",
        env={"TMPDIR": str(temporary)},
    )

    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.endswith("\n0 of 1 pings came within 0.1 s\n")
    assert list(temporary.iterdir()) == []


@pytest.fixture(params=[1, 3])
def running_demo(
    request: pytest.FixtureRequest, temporary: Path
) -> Iterator[subprocess.Popen[str]]:
    """A demo in its first run, and one in its third."""
    with subprocess.Popen(
        [sys.executable, "-c", RUN],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(temporary)},
    ) as demo:
        assert demo.stdout is not None
        for _ in range(request.param):
            while not next(demo.stdout).startswith("  start "):
                assert demo.poll() is None
        assert len(list(temporary.iterdir())) == 1
        yield demo


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_leaves_nothing_behind(running_demo: subprocess.Popen[str], temporary: Path) -> None:
    running_demo.send_signal(signal.SIGINT)
    rest, errors = running_demo.communicate(timeout=20)

    assert (running_demo.returncode, errors) == (130, "")
    assert not re.search("(?m)^  (success|fail) ", rest)  # the start was shown while the sync ran
    assert list(temporary.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="pipes differ")
def test_a_reader_that_goes_away_is_no_error(
    running_demo: subprocess.Popen[str], temporary: Path
) -> None:
    assert running_demo.stdout is not None
    assert running_demo.stderr is not None
    running_demo.stdout.close()

    assert running_demo.stderr.read() == ""
    assert running_demo.wait(20) == 141
    assert list(temporary.iterdir()) == []
