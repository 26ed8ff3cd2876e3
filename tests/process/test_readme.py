"""The README says what the code does."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from loghc import HealthSink
from loghc.delivery.outbox import LOGS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")

# Each row of "When things go wrong", by its beginning, and the tests that show it.
FAULTS = {
    "connection refused": [
        "test_a_passing_fault_costs_a_retry_with_the_same_run_id_and_no_order",
        "test_an_outage_is_said_once_and_its_end_once_and_nothing_is_lost",
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
    "an answer that never ends": ["test_an_endless_answer_is_read_no_further_than_64_kib"],
    "408": [
        "test_a_passing_fault_costs_a_retry_with_the_same_run_id_and_no_order",
        "test_retry_after_is_respected_where_it_makes_sense",
    ],
    "400": [
        "test_a_refusal_is_reported_with_its_meaning_and_not_tried_again",
        "test_a_200_that_says_not_found_is_reported_as_not_delivered",
    ],
    "an answer is lost": ["test_a_passing_fault_costs_a_retry_with_the_same_run_id_and_no_order"],
    "an outage": ["test_an_outage_is_said_once_and_its_end_once_and_nothing_is_lost"],
    "more than 32 pings wait": [
        "test_what_overflows_the_queue_is_dropped_oldest_first_and_said",
        "test_an_hour_of_outage_at_full_speed_holds_32_bodies_and_the_tail",
    ],
    "the program ends while pings wait": [
        "test_exit_is_bounded_and_what_is_lost_is_said_once",
        "test_a_long_wait_says_what_it_waits_for",
        "test_markers_just_before_the_end_arrive",
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


def section(title: str) -> str:
    parts = re.split(r"^## (.*)\n", README, flags=re.MULTILINE)
    return parts[parts.index(title) + 1]


def rows(title: str) -> list[list[str]]:
    """The cells of the section's first table, without its head."""
    lines = [line for line in section(title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def test_every_fault_that_the_readme_tells_of_has_its_tests() -> None:
    told = [row[0] for row in rows("When things go wrong")]
    assert len(told) == len(FAULTS)
    for start in FAULTS:
        assert sum(row.startswith(start) for row in told) == 1, start
    tests = "\n".join(path.read_text(encoding="utf-8") for path in ROOT.glob("tests/**/test_*.py"))
    for names in FAULTS.values():
        for name in names:
            assert f"def {name}(" in tests, name


def test_the_table_of_options_is_the_signature() -> None:
    told = {row[0].strip("`"): row[1].strip("`") for row in rows("Options")}
    parameters = inspect.signature(HealthSink).parameters.values()
    assert list(told) == [parameter.name for parameter in parameters]
    for parameter in parameters:
        given = eval(told[parameter.name])
        assert given == parameter.default, parameter.name


def test_the_queue_is_as_long_as_the_readme_says() -> None:
    assert f"up to {LOGS}" in section("When things go wrong")


def test_links_within_the_readme_lead_somewhere() -> None:
    titles = re.findall(r"^#+ (.*)$", README, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}
    for target in re.findall(r"\]\(([^)]+)\)", README):
        if target.startswith("#"):
            assert target[1:] in anchors, target
        elif "://" not in target:
            assert (ROOT / target).exists(), target


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


@pytest.mark.parametrize("word", ["/root", "/work", "/tmp/", "TODO", "FIXME"])
def test_no_path_of_a_machine_and_no_loose_end_is_in_the_readme(word: str) -> None:
    assert word not in README
