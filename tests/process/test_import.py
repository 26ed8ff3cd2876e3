"""Importing loghc is cheap: whoever only logs pays nothing for the network."""

from __future__ import annotations

import json

from conftest import RunScript

LIST_MODULES = """
import json, sys
import loguru
loaded = set(sys.modules)
{}
print(json.dumps(sorted(set(sys.modules) - loaded)))
"""

NETWORK = (
    "urllib3",
    "ssl",
    "http.client",
    "http.server",
    "socketserver",
    "email",
    "urllib.request",
)


def modules_beyond_logurus(run_script: RunScript, source: str) -> list[str]:
    result = run_script(LIST_MODULES.format(source))
    assert result.returncode == 0, result.stderr
    modules: list[str] = json.loads(result.stdout)
    return modules


def network_among(modules: list[str]) -> list[str]:
    return [name for name in modules if name.startswith(NETWORK) or name == "pytest"]


def test_the_check_itself_sees_the_network(run_script: RunScript) -> None:
    modules = modules_beyond_logurus(run_script, "import urllib3")
    assert {"urllib3", "http.client", "email"} <= set(network_among(modules))


def test_importing_loghc_imports_nothing_of_the_network(run_script: RunScript) -> None:
    modules = modules_beyond_logurus(run_script, "from loghc import HealthSink")
    assert "loghc.sink" in modules
    assert network_among(modules) == []


def test_importing_loghc_imports_little_beyond_loguru(run_script: RunScript) -> None:
    modules = modules_beyond_logurus(run_script, "from loghc import HealthSink")
    others = [name for name in modules if not name.startswith("loghc")]
    assert len(others) < 30, others


def test_a_sink_that_only_keeps_the_log_imports_nothing_of_the_network(
    run_script: RunScript,
) -> None:
    source = """
loguru.logger.remove()
import loghc
sink = loghc.HealthSink("https://me:password@hc-ping.example/9e9d9bbe-4f2b-4a0e-a1e0-111111111111")
loguru.logger.add(sink)
loguru.logger.info("copied")
loguru.logger.remove()
"""
    assert network_among(modules_beyond_logurus(run_script, source)) == []


def test_a_disabled_sink_imports_nothing_of_the_network(run_script: RunScript) -> None:
    source = """
loguru.logger.remove()
import loghc
loguru.logger.add(loghc.HealthSink())
loguru.logger.info("sync.start")
loguru.logger.info("sync.done")
"""
    assert network_among(modules_beyond_logurus(run_script, source)) == []


def test_the_public_names_are_few(run_script: RunScript) -> None:
    result = run_script("from loghc import *\nprint(sorted(n for n in dir() if n[0].isupper()))")
    names = json.loads(result.stdout.replace("'", '"'))
    assert {"Event", "HealthSink", "Outcome"} <= set(names)
    assert len(names) < 10


def test_the_ready_made_rules_are_imported_when_they_are_asked_for(run_script: RunScript) -> None:
    source = """
import loghc
assert "loghc.log.secrets" not in sys.modules
from loghc import *
assert SECRETS is loghc.SECRETS
assert not hasattr(loghc, "SECRET")
"""
    assert "loghc.log.secrets" in modules_beyond_logurus(run_script, source)
