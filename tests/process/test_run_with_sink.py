"""A HealthSink in a program that `loghc run` watches: it hands its markers to the watcher."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import said
from loghc.ping import Event
from loghc.testing import PingReceiver
from processes import RUN, needs_posix, run

pytestmark = needs_posix

BEGIN = """
import os, sys
from loguru import logger
from loghc import HealthSink
logger.remove()
"""

Watched = Callable[..., "tuple[list[tuple[Event, int | None, str]], str]"]


@pytest.fixture
def watched(tmp_path: Path, receiver: PingReceiver) -> Watched:
    """Runs a program's text; gives what the service was told, and standard error."""

    def watch(text: str, *options: str) -> tuple[list[tuple[Event, int | None, str]], str]:
        (tmp_path / "program.py").write_text(BEGIN + text)
        done = run(*RUN, *options, "program.py", cwd=tmp_path)
        told = [(ping.event, ping.exit_status, ping.text) for ping in receiver.pings]
        return told, done.stderr

    return watch


@pytest.fixture
def other() -> Iterator[PingReceiver]:
    with PingReceiver() as receiver:
        yield receiver


def test_a_sink_without_a_url_hands_its_markers_over_though_the_process_leaves_by_os_exit(
    watched: Watched,
) -> None:
    told, _ = watched(
        'logger.add(HealthSink(job="photos"), format="{message}")\n'
        'logger.info("photos.start")\n'
        'logger.info("photos.log: half of them")\n'
        'logger.error("photos.error: disk full")\n'
        "os._exit(0)\n"
    )
    events = [(event, status) for event, status, _ in told]
    assert events == [
        (Event.START, None),
        (Event.LOG, None),
        (Event.FAIL, None),
        (Event.FAIL, None),  # the whole log; what was told is not followed by a success
    ]
    assert told[1][2].endswith("photos.log: half of them\n")
    assert told[2][2].endswith("photos.error: disk full\n")
    assert told[2][2].startswith("disk full\n\n")
    assert told[2][2].count("photos.error: disk full") == 1


def test_a_sink_with_the_watcher_s_url_sends_nothing_itself(
    watched: Watched, receiver: PingReceiver
) -> None:
    told, _ = watched(
        f'logger.add(HealthSink("{receiver.url}"))\nlogger.info("sync.start")\n'
        'logger.error("sync.error: x")\n'
    )
    assert [event for event, _, _ in told] == [Event.START, Event.FAIL, Event.FAIL]


def test_a_sink_with_another_url_works_by_itself(watched: Watched, other: PingReceiver) -> None:
    told, _ = watched(
        f'logger.add(HealthSink("{other.url}"))\nlogger.info("sync.start")\n'
        'logger.info("sync.done")\n'
    )
    assert [event for event, _, _ in told] == [Event.START, Event.SUCCESS]
    assert [ping.event for ping in other.pings] == [Event.START, Event.SUCCESS]


def test_with_markers_only_the_sink_s_markers_are_the_runs(watched: Watched) -> None:
    told, _ = watched(
        'logger.add(HealthSink(job="photos"))\n'
        'for marker in ("start", "done", "start"):\n    logger.info("photos." + marker)\n',
        "--markers-only",
    )
    events = [event for event, _, _ in told]
    assert events == [Event.START, Event.SUCCESS, Event.START, Event.FAIL]


def test_with_markers_only_events_that_were_not_chosen_are_not_handed_over(
    watched: Watched,
) -> None:
    told, _ = watched(
        'logger.add(HealthSink(job="photos", events=["success"]))\n'
        'for marker in ("start", "log", "done"):\n    logger.info("photos." + marker)\n',
        "--markers-only",
    )
    assert [event for event, _, _ in told] == [Event.SUCCESS]


def test_a_sink_that_hands_over_has_nothing_to_wait_for(watched: Watched) -> None:
    told, stderr = watched(
        'sink = HealthSink(job="photos")\n'
        "logger.add(sink)\n"
        'logger.info("photos.log")\n'
        "print(sink.enabled, sink.wait(), sink.stats, sink, file=sys.stderr)\n"
        "if os.fork() == 0:\n"
        '    logger.info("photos.log")\n'
        "    os._exit(0)\n"
        "os.wait()\n"
        "logger.remove()\n"
    )
    assert [event for event, _, _ in told] == [Event.START, Event.LOG, Event.LOG, Event.SUCCESS]
    shown = "HealthSink(watched by loghc run, job='photos')"
    stats = "Stats(delivered=0, failed=0, pending=0, superseded=0)"
    assert said(stderr) == f"True True {stats} {shown}\n"


def test_a_sink_of_another_version_says_so_once_and_pings_by_itself(
    watched: Watched, receiver: PingReceiver
) -> None:
    told, stderr = watched(
        'config = os.environ["LOGHC_RUN"] + "/config"\n'
        'text = open(config).read().replace("version=", "version=0.")\n'
        'open(config, "w").write(text)\n'
        f'for _ in range(2):\n    logger.add(HealthSink("{receiver.url}", job="photos"))\n'
        '    logger.info("photos.done")\n'
        "    logger.remove()\n"
    )
    # Two senders have no order.
    events = sorted(event.value for event, _, _ in told)
    assert events == ["start", *3 * ["success"]]
    assert stderr.count("of loghc run is 0.") == 1
    assert stderr.count("the HealthSink pings by itself") == 1


def test_a_sink_of_another_version_without_a_url_says_that_it_pings_nothing(
    watched: Watched,
) -> None:
    _, stderr = watched(
        'config = os.environ["LOGHC_RUN"] + "/config"\n'
        'text = open(config).read().replace("version=", "version=0.")\n'
        'open(config, "w").write(text)\n'
        "HealthSink()\n"
    )
    assert "the HealthSink pings nothing" in stderr


@pytest.mark.parametrize("added", ["", 'logger.add(HealthSink(job="photos"))\n'])
def test_a_job_that_ends_without_a_verdict_leaves_no_run_open(watched: Watched, added: str) -> None:
    told, _ = watched(
        f"{added}logger.add(sys.stdout)\n"
        "from loghc import job\n"
        'with job("photos", not_failures=KeyError):\n    {}["x"]\n',
        "--markers-only",
        "--job",
        "photos",
    )
    assert [event for event, _, _ in told] == [Event.START, Event.LOG]


def test_the_sink_s_options_tighten_the_watcher_s(watched: Watched) -> None:
    told, _ = watched(
        'import re\nrules = [re.compile("(?i)HUSH"), "a\\nb"]\n'
        'logger.add(HealthSink(job="photos", redact=rules, limit=200))'
        "\n"
        'for n in range(50):\n    logger.info("hush {}", n)\n'
        'logger.info("photos.log: hush")\n'
    )
    assert [event for event, _, _ in told] == [Event.START, Event.LOG, Event.SUCCESS]
    for _, _, text in told[1:]:
        assert "hush" not in text
        assert "[redacted]" in text
        assert len(text) <= 200


@pytest.mark.parametrize(
    "option",
    [
        'redact=lambda text: text.replace("hush", "")',
        'redact=re.compile("HUSH", re.IGNORECASE)',
        'redact=["hush", "x" * 3000]',
        "send_logs=False",
    ],
)
def test_an_option_that_cannot_be_kept_outside_of_the_process_empties_the_bodies(
    watched: Watched, option: str
) -> None:
    told, stderr = watched(
        f'import re\nlogger.add(HealthSink(job="photos", {option}))\n'
        'logger.info("photos.log: hush")\n'
    )
    assert [text for _, _, text in told] == ["", "", ""]
    assert stderr.count("pings carry no log") == 1


def test_a_failure_is_known_though_the_channel_is_full(watched: Watched) -> None:
    told, _ = watched(
        'fd = os.open(os.environ["LOGHC_RUN"] + "/channel", os.O_RDWR | os.O_NONBLOCK)\n'
        "os.kill(os.getppid(), 19)\n"  # the watcher stops, and reads nothing
        "try:\n    while True:\n        os.write(fd, bytes(4096))\n"
        "except BlockingIOError:\n    pass\n"
        'logger.add(HealthSink(job="photos"))\n'
        'logger.error("photos.error: x")\n'
        "os.kill(os.getppid(), 18)\n"
    )
    assert told[-1][0] is Event.FAIL


@pytest.mark.parametrize("option", ["", "-I"])
def test_a_failure_is_told_though_the_run_directory_was_deleted_before(
    tmp_path: Path, receiver: PingReceiver, option: str
) -> None:
    (tmp_path / "program.py").write_text(
        "import sys\nsys.path[:0] = sys.argv[1:]\n" + BEGIN + "import shutil\n"
        'logger.add(HealthSink(job="photos"))\n'
        'shutil.rmtree(os.environ["LOGHC_RUN"])\n'
        'logger.error("photos.error: x")\n'
    )
    run(*RUN, sys.executable, *option.split(), "program.py", *sys.path, cwd=tmp_path)
    assert receiver.pings[-1].event is Event.FAIL


def test_a_failure_that_cannot_be_handed_over_is_said_and_told_at_the_exit(
    tmp_path: Path, receiver: PingReceiver
) -> None:
    (tmp_path / "program.py").write_text(
        "import sys\nsys.path[:0] = sys.argv[1:]\n" + BEGIN + "import shutil, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # no ring then\n"
        'logger.add(HealthSink(job="photos"))\n'
        "os.kill(os.getppid(), signal.SIGSTOP)  # else it may make the directory again\n"
        'shutil.rmtree(os.environ["LOGHC_RUN"])\n'
        'logger.error("photos.error: x")\n'
        "os.kill(os.getppid(), signal.SIGCONT)\n"
    )
    done = run(*RUN, sys.executable, "-I", "program.py", *sys.path, cwd=tmp_path)
    assert "loghc: a failure could not be handed to loghc run" in done.stderr
    assert receiver.pings[-1].event is Event.FAIL  # the program's exit waits for a new directory


@pytest.mark.parametrize("job", ["photos", "sync"])
def test_a_failure_is_known_though_its_run_has_no_name_that_can_be_read(
    watched: Watched, job: str
) -> None:
    told, _ = watched(
        "class Odd:\n    def __str__(self):\n        raise KeyError\n"
        f'logger.add(HealthSink(job="{job}"))\n'
        f'logger.bind(run_id=Odd()).error("{job}.error: x")\n'
    )
    assert [event for event, _, _ in told] == [Event.START, Event.FAIL, Event.FAIL]


def test_a_failure_is_handed_over_though_a_marker_of_the_watcher_s_is_not_utf8(
    watched: Watched,
) -> None:
    told, _ = watched(
        'logger.add(HealthSink(job="photos"))\nlogger.error("photos.error: x")\n',
        "--marker",
        "caf\udce9=fail",
    )
    assert [event for event, _, _ in told] == [Event.START, Event.FAIL, Event.FAIL]


def test_a_python_without_a_recorder_hands_over_what_another_s_would_have_found(
    watched: Watched,
) -> None:
    child = (
        "import sys\nsys.path[:0] = sys.argv[1:]\n"
        + BEGIN
        + "logger.add(HealthSink())\nlogger.error('sync.error: x')\n"
    )
    told, _ = watched(
        "import subprocess\n"
        'logger.add(sys.stdout)\nlogger.info("this process has one")\n'
        f'subprocess.run([sys.executable, "-I", "-c", {child!r}, *sys.path])\n'
    )
    assert [event for event, _, _ in told] == [Event.START, Event.FAIL, Event.FAIL]
    assert "sync.error: x\n" in told[1][2]


@pytest.mark.parametrize("sink", ["HealthSink()", "print"])
def test_a_level_above_the_markers_leaves_out_lines_and_no_marker(
    watched: Watched, sink: str
) -> None:
    told, _ = watched(
        f'logger.add({sink}, format="{{message}}")\n'
        'logger.info("copied")\n'
        'logger.info("sync.log: half of them")\n'
        'logger.info("sync.error: disk full")\n',
        *("--level", "ERROR"),
    )
    events = [event for event, _, _ in told]
    assert events == [Event.START, Event.LOG, Event.FAIL, Event.FAIL]
    assert all("copied" not in text for _, _, text in told)
    assert all("sync.error: disk full\n" in text for _, _, text in told[2:])


def test_what_fails_the_run_counts_though_its_level_is_not_kept(watched: Watched) -> None:
    told, _ = watched(
        'logger.add(print)\nlogger.warning("odd")\n',
        *("--level", "ERROR", "--fail-on", "WARNING"),
    )
    assert [event for event, _, _ in told] == [Event.START, Event.FAIL]
