"""Whether a SIGKILL was for lack of memory, by the kernel's counts in files of a test's own."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from loghc.death import memory
from loghc.death.memory import Memory

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/cgroup").exists(), reason="there are no control groups here"
)

PROOF = " for lack of memory"
HINT = "; perhaps out of memory"


class Machine:
    """Counts of processes that were killed for lack of memory, and a clock."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._path, self._monkeypatch = path, monkeypatch
        self.now = 1000.0
        monkeypatch.setattr(memory.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(memory, "_MACHINE", str(path / "vmstat"))
        self.use("mount")
        self.machine(5)

    def use(self, mount: str) -> None:
        """From now on the process seems to be in a group of this name."""
        self.mount = self._path / mount
        self._monkeypatch.setattr(memory, "_MOUNT", str(self.mount))

    def machine(self, kills: int) -> None:
        (self._path / "vmstat").write_text(f"oom_kill_disable 9\noom_kill {kills}\nzswpin 7\n")

    def group(self, kills: int, *, version: int = 2) -> None:
        kind, name = (
            ("", "memory.events.local") if version == 2 else ("memory", "memory.oom_control")
        )
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, group = line.split(":", 2)
            if controllers == kind:
                file = self.mount / kind / group.lstrip("/") / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(f"low 3\noom_kill {kills}\noom_group_kill 8\n")
                return
        pytest.skip(f"no control groups of version {version} here")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


@pytest.mark.parametrize("version", [1, 2])
def test_a_kill_that_the_group_counts_is_proof(machine: Machine, version: int) -> None:
    machine.group(2, version=version)
    found = Memory(os.getpid())
    assert found.about_kill() == ""
    machine.now += 100_000  # nobody looked meanwhile
    machine.group(3, version=version)
    assert found.about_kill() == PROOF


def test_a_kill_that_the_machine_counts_is_a_hint(machine: Machine) -> None:
    machine.group(2)
    found = Memory(os.getpid())
    machine.machine(6)
    assert found.about_kill() == HINT


@pytest.mark.parametrize(
    ("rise", "seconds", "expected"),
    [
        ("group", 4.9, PROOF),
        ("group", 5, ""),
        ("machine", 59.9, HINT),
        ("machine", 60, ""),
    ],
)
def test_what_was_seen_counts_for_a_while(
    machine: Machine, rise: str, seconds: float, expected: str
) -> None:
    machine.group(2)
    found = Memory(os.getpid())
    getattr(machine, rise)(9)
    found.sample()
    machine.now += seconds
    assert found.about_kill() == expected


@pytest.mark.parametrize(("seconds", "expected"), [(60, HINT), (61, "")])
def test_nobody_knows_when_the_machine_counted_between_two_distant_looks(
    machine: Machine, seconds: float, expected: str
) -> None:
    machine.group(2)
    found = Memory(os.getpid())
    machine.now += 1000
    found.sample()
    machine.now += seconds
    machine.machine(6)
    assert found.about_kill() == expected


@pytest.mark.parametrize("known", [[], ["machine"], ["group"]], ids=str)
def test_where_nothing_is_counted_it_may_have_been(machine: Machine, known: list[str]) -> None:
    machine._path.joinpath("vmstat").unlink()
    for each in known:
        getattr(machine, each)(2)
    assert Memory(os.getpid()).about_kill() == ("" if known else HINT)


def test_a_count_that_begins_or_falls_has_not_risen(machine: Machine) -> None:
    machine.group(2)
    found = Memory(os.getpid())
    machine.group(1)
    machine.machine(4)
    assert found.about_kill() == ""


def test_the_count_of_another_group_begins_anew(machine: Machine) -> None:
    machine.group(2)
    found = Memory(os.getpid())
    machine.use("other")
    machine.group(7)
    assert found.about_kill() == ""
    machine.group(8)
    assert found.about_kill() == PROOF


def test_a_process_that_has_ended_was_in_the_group_where_it_was_last(machine: Machine) -> None:
    machine.group(2)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        found = Memory(process.pid)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it stays a zombie
        machine.use("root")  # where it seems to be now
        machine.group(7)
        assert found.about_kill() == ""
        machine.use("mount")
        machine.group(3)
        assert found.about_kill() == PROOF


def _none(machine: Machine) -> None:
    """No count at all."""


@pytest.mark.parametrize(
    ("prepare", "expected"),
    [
        (_none, False),
        (lambda machine: machine.group(2, version=1), False),
        (lambda machine: machine.group(2), True),
    ],
    ids=["none", "version 1", "version 2"],
)
def test_the_kernel_notifies_of_version_2_alone(
    machine: Machine, prepare: Callable[[Machine], None], expected: bool
) -> None:
    prepare(machine)
    descriptor = Memory(os.getpid()).notifier()
    assert (descriptor is not None) == expected
    if descriptor is not None:
        select.poll().register(descriptor, select.POLLPRI)
        assert os.pread(descriptor, 5, 0) == b"low 3"
        assert not os.get_inheritable(descriptor)
        os.close(descriptor)
