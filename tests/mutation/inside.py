"""Is imported by each Python of a workplace's environment; and is a plugin of its pytest.

Where lines are recorded, each process appends those of loghc that it runs, once for each test, to a
file that is named by the test's number. Which test is running stands in a file, so that this needs
no variable, and of the standard library only what every Python has imported.
"""

import os
import sys

_PACKAGES = os.path.dirname(os.path.abspath(__file__))
_BASE = os.path.abspath(f"{_PACKAGES}/../../../..")
_CODE = f"{_BASE}/tree/loghc/"
_NOW = f"{_BASE}/now"
_TOOL = 3  # no debugger, coverage or profiler has it
# In front of what a guard runs, which is a Python without site-packages.
_IN_GUARD = f"""\
import sys
sys.path.append({_PACKAGES!r})
import _mutation
sys.path.pop()
_mutation.record()
"""
_number = ""


def record() -> None:
    """Begin to record lines, in this process and its forks."""
    global _number
    if os.path.exists(_NOW):  # else no test has begun
        with open(_NOW, encoding="utf-8") as file:
            _number = file.read().partition(" ")[0]
    monitoring = sys.monitoring
    if monitoring.get_tool(_TOOL):
        return  # a program that calls site.main()
    monitoring.use_tool_id(_TOOL, "lines")
    monitoring.register_callback(_TOOL, monitoring.events.PY_START, _begun)
    monitoring.register_callback(_TOOL, monitoring.events.LINE, _ran)
    monitoring.set_events(_TOOL, monitoring.events.PY_START)


def _begun(code, offset):
    if code.co_filename.startswith(_CODE):
        if code.co_name == "spawn_detached":
            spawning = sys.modules["loghc.guard.spawning"]
            if not spawning._CODE.startswith(_IN_GUARD):
                spawning._CODE = _IN_GUARD + spawning._CODE
        sys.monitoring.set_local_events(_TOOL, code, sys.monitoring.events.LINE)
    return sys.monitoring.DISABLE


def _ran(code, line):
    if _number:
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            file = os.open(f"{_BASE}/lines/{_number}", flags, 0o666)
            os.write(file, f"loghc/{code.co_filename[len(_CODE) :]}:{line}\n".encode())
            os.close(file)
        except OSError:  # a test that leaves no descriptor, or another user
            pass
    return sys.monitoring.DISABLE


class Plugin:
    """Says which test is running, has each end within its limit, and reports how all went."""

    def __init__(self, limits):
        self._limits, self._count = limits, 0
        self.report = {}  # by a test's name: its number, seconds, and whether it passed

    def pytest_collection_modifyitems(self, items):
        import pytest

        for item in items:
            if limit := self._limits.get(item.nodeid):
                item.add_marker(pytest.mark.timeout(limit), append=False)

    def pytest_runtest_logstart(self, nodeid):
        global _number
        self._count += 1
        with open(_NOW, "w", encoding="utf-8") as file:
            file.write(f"{self._count} {nodeid}")
        self.report[nodeid] = [self._count, 0.0, True]
        _number = str(self._count)
        sys.monitoring.restart_events()

    def pytest_runtest_logreport(self, report):
        entry = self.report[report.nodeid]
        entry[1] += report.duration
        entry[2] &= report.passed


def main(limits, arguments):
    """Be pytest, in the current directory."""
    import json

    import pytest

    del sys.path[0]  # the current directory, which no test has there otherwise
    plugin = Plugin(limits)
    status = pytest.main(arguments, plugins=[plugin])
    with open(f"{_BASE}/report", "w", encoding="utf-8") as file:
        json.dump(plugin.report, file)
    os._exit(status)  # whatever threads a mutant left
