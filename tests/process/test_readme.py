"""The README says what the code does, and so do the pages that it links."""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from failures import FAILURES
from loghc import HealthSink
from loghc.command import ping_options, run_options
from loghc.delivery.inbox import LOGS, PINGS
from loghc.ping import Event
from loghc.testing import PingReceiver
from processes import needs_posix, run

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
SINK = ROOT / "loghc" / "README.md"
DELIVERY = ROOT / "loghc" / "delivery" / "README.md"
PAGES = sorted(
    page
    for pattern in ("*.md", ".github/*.md", "benchmarks/*.md", "loghc/**/*.md", "tests/**/*.md")
    for page in ROOT.glob(pattern)
)
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
WORDS = 2000  # that the README has at most

# Each row of the table of faults, by its beginning, and the tests that show it.
FAULTS = {
    "connection refused": [
        "test_a_passing_fault_costs_a_retry_with_the_same_run_id_and_no_order",
        "test_an_outage_is_said_once_and_its_end_once_and_what_counts_is_told",
        "test_exit_is_bounded_when_the_connection_is_refused",
        "test_exit_is_bounded_when_the_name_does_not_resolve",
    ],
    "the service accepts and never answers": [
        "test_a_passing_fault_costs_a_retry_with_the_same_run_id_and_no_order",
        "test_exit_is_bounded_and_what_is_lost_is_said_once",
    ],
    "an answer that is not HTTP": [
        "test_a_passing_fault_costs_a_retry_with_the_same_run_id_and_no_order",
    ],
    "an answer whose head is too large": [
        "test_a_head_that_is_too_large_is_a_refusal_for_good_and_named_so",
    ],
    "an answer that never ends": ["test_an_endless_answer_is_read_no_further_than_64_kib"],
    "408": [
        "test_a_passing_fault_costs_a_retry_with_the_same_run_id_and_no_order",
        "test_retry_after_is_respected_where_it_makes_sense",
    ],
    "400": [
        "test_a_refusal_is_reported_with_its_meaning_and_the_check_is_asked_once_more",
        "test_a_200_that_says_not_found_is_reported_as_not_delivered",
    ],
    "200 with a web page": [
        "test_a_web_page_is_no_answer_where_the_service_has_answered_otherwise",
    ],
    "5xx, 400": ["test_a_verdict_is_told_though_the_service_refuses_its_log"],
    "an answer is lost": ["test_a_passing_fault_costs_a_retry_with_the_same_run_id_and_no_order"],
    "what sends pings can't be imported": [
        "test_what_cannot_be_imported_at_the_moment_is_a_passing_fault",
    ],
    "an outage": [
        "test_an_outage_is_said_once_and_its_end_once_and_what_counts_is_told",
        "test_logs_that_overflow_are_left_out_oldest_first_and_counted",
        "test_an_hour_of_outage_at_full_speed_holds_32_logs_and_the_tail",
        "test_a_service_that_was_told_what_is_left_believes_the_truth",
    ],
    "more than 10,000 pings wait": [
        "test_a_week_of_outage_holds_so_many_pings_and_no_more",
        "test_what_overflows_is_known_at_once_and_bounds_what_waits",
    ],
    "the program ends while pings wait": [
        "test_exit_is_bounded_and_what_is_lost_is_said_once",
        "test_a_long_wait_is_said_where_someone_looks",
        "test_markers_just_before_the_end_arrive",
    ],
    "nobody reads standard error": [
        "test_pings_go_on_and_are_retried_while_nobody_reads_what_is_said",
        "test_what_could_not_be_said_is_said_when_somebody_reads_again",
    ],
    "Ctrl-C during that wait": [
        "test_ctrl_c_during_the_wait_gives_up_at_once",
        "test_a_signal_ends_the_wait_for_a_service",
    ],
    "an uncaught exception": [
        "test_a_run_that_is_open_at_exit_has_failed",
        "test_a_run_that_ended_is_not_reported_as_crashed",
    ],
    "the process is killed": [
        "test_a_process_that_is_killed_says_nothing_more",
        "test_a_death_is_told_with_the_last_line",
    ],
    "the sink is removed": ["test_a_sink_removed_by_hand_reports_no_crash"],
    "the process forks": [
        "test_a_forked_child_pings_for_itself_and_sends_nothing_of_its_parents",
        "test_a_child_that_exits_does_not_report_its_parents_open_run",
        "test_a_pre_forking_server_pings_from_each_worker",
    ],
    "`on_outcome` or a `redact` function raises": [
        "test_what_on_outcome_raises_is_reported_and_pings_go_on",
        "test_when_redact_raises_the_ping_goes_without_its_log",
    ],
    "the standard library's logging": [
        "test_urllib3s_lines_of_a_ping_do_not_come_back_as_records",
        "test_removing_the_sink_in_mid_delivery_causes_no_deadlock",
        "test_the_apps_own_urllib3_traffic_logs_as_ever",
    ],
}


# The same for the README's tables of deaths and of trouble, which are shorter.
SHORT = {
    "an exception, Ctrl-C": FAULTS["an uncaught exception"],
    "SIGTERM": [
        "test_a_signal_to_the_program_itself",
        "test_a_process_that_is_killed_says_nothing_more",
        "test_a_death_is_told_at_once_and_once_with_the_last_line",
    ],
    "SIGKILL": [
        *FAULTS["the process is killed"],
        "test_a_death_is_told_at_once_and_once_with_the_last_line",
    ],
    "a power cut": ["test_a_watcher_that_died_with_its_program_is_told_of_by_the_next"],
    "no connection": [*FAULTS["connection refused"], *FAULTS["408"]],
    "other 4xx": FAULTS["400"],
    "a long outage": [*FAULTS["an outage"], *FAULTS["more than 10,000 pings wait"]],
    "the program ends meanwhile": FAULTS["the program ends while pings wait"],
    "a fork": FAULTS["the process forks"],
}


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def section(title: str, page: Path = README) -> str:
    parts = re.split(r"^## (.*)\n", text(page), flags=re.MULTILINE)
    return parts[parts.index(title) + 1]


def tables(markdown: str) -> list[list[list[str]]]:
    """The cells of each table, row by row, without their heads."""
    found = re.findall(r"(?:^\|.*\n)+", markdown, re.MULTILINE)
    return [
        [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[2:]]
        for table in found
    ]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text(page), re.MULTILINE | re.DOTALL)


def test_the_readme_is_short() -> None:
    assert len(text(README).split()) <= WORDS


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ([row[0] for row in tables(text(DELIVERY))[0]], FAULTS),
        (
            [
                row[0]
                for title in ("Choose your way", "Trouble with the service")
                for table in tables(section(title))
                for row in table
            ],
            SHORT,
        ),
    ],
    ids=["all", "short"],
)
def test_every_fault_that_is_told_of_has_its_tests(
    told: list[str], shown: dict[str, list[str]]
) -> None:
    assert len(told) == len(shown)
    for start in shown:
        assert sum(row.startswith(start) for row in told) == 1, start
    tests = "\n".join(map(text, ROOT.glob("tests/**/test_*.py")))
    for names in shown.values():
        assert names
        for name in names:
            assert f"def {name}(" in tests, name


def test_the_table_of_options_is_the_signature() -> None:
    told = {row[0].strip("`"): row[1].strip("`") for row in tables(section("Options", SINK))[0]}
    parameters = inspect.signature(HealthSink).parameters.values()
    assert list(told) == [parameter.name for parameter in parameters]
    for parameter in parameters:
        given = ast.literal_eval(told[parameter.name])
        assert given == parameter.default, parameter.name


def test_the_queue_is_as_long_as_is_told() -> None:
    assert f"{PINGS:,} pings wait, {LOGS} with their log" in section("Trouble with the service")
    assert f"up to {LOGS}" in text(DELIVERY)
    assert f"more than {PINGS:,} pings wait" in text(DELIVERY)


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", text(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", text(page)):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        linked = page.parent / file if file else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


def test_each_section_is_in_the_list_of_contents() -> None:
    titles = re.findall(r"^## (.*)$", text(README), re.MULTILINE)
    listed = re.findall(r"^\[.*\]\(#(.*)\)(?: ·)?$", text(README), re.MULTILINE)
    assert listed == [re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in titles]


def test_each_page_is_linked() -> None:
    linked = {README}
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)[)#]", text(page)):
            linked.add((page.parent / target).resolve())
    assert set(PAGES) <= linked


# Runs blocks of code as a reader would, each on its own: against a receiver in the service's place.
RUNNER = """
import json, sys, time
from loguru import logger
import loghc
def over(*_):
    raise KeyboardInterrupt  # the end of an endless loop
time.sleep = over
url, blocks = json.load(sys.stdin)
for block in blocks:
    print(block, file=sys.stderr)
    given = {"__name__": "__main__", "logger": logger, "HealthSink": loghc.HealthSink}
    try:
        exec(compile(block.replace("https://hc-ping.com/<uuid>", url), "block", "exec"), given)
    except KeyboardInterrupt:
        pass
    logger.remove()
"""

# What can't be run here: a part of a program, files that aren't there.
PARTS = ("@app.task", "our-ca.pem")


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_the_code_compiles_and_runs(page: Path, receiver: PingReceiver, tmp_path: Path) -> None:
    found = blocks(page, "python")
    for block in found:
        compile(block, "block", "exec")
    whole = [block for block in found if not any(part in block for part in PARTS)]
    if not whole or page.parent.name == "recipes":  # those are files with tests of their own
        return
    done = subprocess.run(
        [sys.executable, "-c", RUNNER],
        input=json.dumps([receiver.url, whole]),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    if page == README:
        events = [ping.event.value for ping in receiver.pings]
        assert events == ["start", "success"] * 2, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_the_commands_have_the_options_that_are_told(page: Path) -> None:
    shell = [line for name in ("sh", "console", "crontab", "ini") for line in blocks(page, name)]
    for line in re.findall(r"\bloghc (?:run|ping)\b.*", "\n".join(shell)):
        _, command, *words = shlex.split(line, comments=True)
        if command == "ping":
            ping_options.parse(words)
        else:
            options, program = run_options.parse(words)
            assert program or options is None, line


# What the examples' commands start, by name; all do the same.
PROGRAM = """#!{python}
from loguru import logger
logger.info("sync.start")
logger.info("snapshot saved")
logger.info("Upload complete")
logger.info("sync.done")
"""
PROGRAMS = ("app.py", "attempt.py", "backup.py", "sync.py")
COMMANDS = ("backup.sh", "celery", "gallery-sync", "make", "photo-daemon", "restic")
EXAMPLES = [
    line.removeprefix("$ ")
    for page in (README, SINK, ROOT / "loghc" / "watch" / "README.md")
    for language in ("console", "sh")
    for block in blocks(page, language)
    for line in block.splitlines()
    if re.search(r"\bloghc (?:run|ping)\b", line) and not line.startswith("Delivered")
]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with the examples' programs, and their commands on the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    folder.joinpath("loghc").symlink_to(Path(sys.executable).with_name("loghc"))
    for file in (*map(tmp_path.joinpath, PROGRAMS), *map(folder.joinpath, COMMANDS)):
        file.write_text(PROGRAM.format(python=sys.executable), encoding="utf-8")
        file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def as_here(command: str, machine: Path) -> str:
    """A command with the examples' paths as they are on this machine."""
    command = command.replace("/run/sync.lock", str(machine / "sync.lock"))
    return re.sub(r"/opt/\w+/(?:venv/)?bin/python", sys.executable, command)


@needs_posix
@pytest.mark.parametrize("command", EXAMPLES)
def test_a_command_does_what_is_told(command: str, machine: Path, receiver: PingReceiver) -> None:
    done = run("sh", "-c", as_here(command, machine), cwd=machine)
    assert done.returncode == 0, done.stderr
    expected = Event.LOG if " --log" in command else Event.SUCCESS
    assert receiver.pings[-1].event is expected


def test_there_are_commands() -> None:
    assert sum("loghc run" in command for command in EXAMPLES) > 10


def example(words: str) -> str:
    (command,) = [command for command in EXAMPLES if words in command]
    return command


@needs_posix
def test_a_job_that_hangs_ends_with_124_and_its_log(machine: Path, receiver: PingReceiver) -> None:
    hanging = PROGRAM.format(python=sys.executable) + "import time\ntime.sleep(60)\n"
    (machine / "bin" / "backup.sh").write_text(hanging, encoding="utf-8")
    done = run("sh", "-c", example("timeout 2h").replace("2h", "2"), cwd=machine)
    assert done.returncode == 124, done.stderr
    last = receiver.pings[-1]
    assert (last.event, last.exit_status) == (Event.FAIL, 124)
    assert last.text.startswith("exit status 124")
    assert "snapshot saved" in last.text


@needs_posix
def test_no_second_run_while_one_is_going_and_no_ping_for_it(
    machine: Path, receiver: PingReceiver
) -> None:
    command = example("flock -n ~")
    holder = f"flock -n ~/.sync.lock sh -c {shlex.quote(command)}"
    done = run("sh", "-c", holder, cwd=machine)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
    assert receiver.pings == ()
    assert run("sh", "-c", command, cwd=machine).returncode == 0
    assert receiver.pings


@needs_posix
def test_the_file_with_the_ping_url_is_its_owners_alone(
    machine: Path, receiver: PingReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    (command,) = [line for line in blocks(README, "sh") if "umask" in line]
    done = run("sh", "-c", command, cwd=machine, stdin=f"{receiver.url}\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    file = machine / ".sync-url"
    assert file.stat().st_mode & 0o777 == 0o600
    monkeypatch.delenv("HEALTH_CHECK_URL")
    assert run("loghc", "ping", "--url-file", file, cwd=machine).returncode == 0
    assert receiver.pings


@needs_posix
@pytest.mark.slow
def test_the_wheel_is_installed_as_is_told(machine: Path) -> None:
    """In the clone, with the environment that the command before has made, and for Docker."""
    (install,) = [block for block in blocks(README, "sh") if "wheel" in block]
    (dockerfile,) = blocks(README, "dockerfile")
    clone, opt = machine / "clone", machine / "opt"
    opt.mkdir()
    assert run("git", "clone", "--quiet", ROOT, clone, cwd=machine).returncode == 0
    run(sys.executable, "-m", "venv", ".venv", cwd=clone)
    (copied,) = re.findall(r"^COPY (\S+) /opt/$", dockerfile, re.MULTILINE)
    (ran,) = re.findall(r"^RUN (.*)$", dockerfile, re.MULTILINE)
    for script in (install, f"rm -r /opt/loghc && cp {copied} /opt && {ran}"):
        here = re.sub(r"/opt\b", str(opt), script).replace("python3", sys.executable)
        done = run("sh", "-ec", here, cwd=clone, timeout=110)
        assert done.returncode == 0, done.stderr
        done = run(opt / "loghc" / "bin" / "loghc", "run", "--help", cwd=machine)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_units_have_no_comment_behind_a_value(page: Path) -> None:
    # systemd takes it for a part of the value.
    for line in "".join(blocks(page, "ini")).splitlines():
        assert line.startswith("#") or "#" not in line


def test_the_chart_is_drawn_from_the_results() -> None:
    results = json.loads(text(ROOT / "benchmarks" / "results" / "results.json"))
    rows = {row["case"]: row for row in results["sections"]["services"]["rows"]}
    milliseconds = {"µs": 0.001, "ms": 1, "s": 1000}
    *_, chart = blocks(README, "text")
    for line in chart.splitlines():
        name, value, unit, *_ = line.split()
        told = float(value) * milliseconds[unit]
        row = rows[f"service hung: {name}"]
        assert row["unit"] == "ms"
        assert told == pytest.approx(row["value"]["median"], rel=0.2), line


@needs_posix
def test_what_arrives_begins_as_is_shown(receiver: PingReceiver, tmp_path: Path) -> None:
    """The first two lines that aren't empty, but for figures and what is said to be shortened."""

    def alike(line: str) -> str:
        return re.sub(r"\d+", "0", line)

    listed, sent, _ = blocks(README, "text")
    shown = {
        "a marker with an exception": listed.partition(" - ")[2].splitlines(),
        "SIGKILL": sent.splitlines(),
    }
    for failure in FAILURES:
        if failure.name not in shown:
            continue
        folder = tmp_path / failure.name
        folder.mkdir()
        failure.happen(receiver.url, folder)
        lines = [line for line in receiver.pings[-1].text.splitlines() if line]
        cause, record = shown.pop(failure.name)
        assert alike(lines[0]).startswith(alike(cause))
        assert alike(lines[1]) == alike(record.strip())
    assert shown == {}


def test_the_example_of_a_test_passes(tmp_path: Path) -> None:
    example = re.search(r"```python\n(.*?)```", section("Testing your own program"), re.DOTALL)
    assert example is not None
    file = tmp_path / "test_example.py"
    file.write_text(example[1], encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_no_path_of_a_machine_and_no_loose_end_is_told(page: Path) -> None:
    for word in ("/root", "/work", "TODO", "FIXME"):
        assert word not in text(page)
    assert page != README or "/tmp/" not in text(page)
