"""Runs programs with the recorder in them, without a watcher: the tests play its part."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import loghc.inside
from loghc.entry.directory import Directory
from loghc.entry.rings import Note, Reading, read_notes, read_ring
from loghc.watch.messages import Message, parse_messages

BOOTSTRAP = Path(loghc.inside.__file__).parent / "bootstrap"
CAPACITY = 1 << 18
MARKERS = ("fail sync.error", "log sync.log")
TIMEOUT = 60  # seconds


@dataclass
class RunDirectory:
    """A run directory, and what processes left in it."""

    path: Path
    channel: int

    @property
    def environment(self) -> dict[str, str]:
        """What brings the recorder into every Python that is started with it."""
        return {"PYTHONPATH": str(BOOTSTRAP), "LOGHC_RUN": str(self.path)}

    @property
    def readings(self) -> list[Reading]:
        """All rings, the oldest first."""
        rings = (read(path, CAPACITY) for path in self.path.glob("*.ring"))
        return sorted((ring for ring in rings if ring), key=lambda ring: ring.started_ns)

    @property
    def reading(self) -> Reading:
        """The only ring."""
        (reading,) = self.readings
        return reading

    @property
    def text(self) -> str:
        """All records by their time."""
        frames = sorted(frame for reading in self.readings for frame in reading.frames)
        return b"".join(frame.data for frame in frames).decode()

    @property
    def notes(self) -> list[Note]:
        """Why processes have no ring."""
        with contextlib.closing(Directory(str(self.path))) as directory:
            return read_notes(directory)

    @property
    def messages(self) -> list[Message]:
        """The markers that came through the channel since it was last asked."""
        return [message for message in self.news if message.event != "ring"]

    @property
    def news(self) -> list[Message]:
        """All that came through the channel since it was last asked."""
        data = b""
        while select.select([self.channel], [], [], 0)[0]:
            data += os.read(self.channel, 1 << 16)
        messages, rest = parse_messages(data)
        assert rest == b""
        return [message for message in messages if message.event != "python"]

    def run(
        self,
        *args: str,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        python: str = sys.executable,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run Python with the recorder to its end."""
        return run([python, *args], cwd, {**self.environment, **(env or {})}, stdin)


def read(path: Path, limit: int, since_ns: int = 0) -> Reading | None:
    """Read the end of a ring that lies in a directory of ours."""
    with contextlib.closing(Directory(str(path.parent))) as directory:
        return read_ring(directory, path.name, limit, since_ns)


@contextlib.contextmanager
def run_directory(
    path: Path,
    *,
    capacity: int = CAPACITY,
    markers: Sequence[str] = MARKERS,
    level: int | None = None,
) -> Iterator[RunDirectory]:
    """Make a run directory as the watcher does."""
    path.mkdir(mode=0o700)
    lines = ["version=0", f"capacity={capacity}", "job=sync", "a key of tomorrow=1"]
    lines += [f"marker={_escaped(marker)}" for marker in markers]
    lines += [] if level is None else [f"level={level}"]
    (path / "config").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    os.mkfifo(path / "channel", 0o600)
    channel = os.open(path / "channel", os.O_RDWR | os.O_NONBLOCK)
    try:
        yield RunDirectory(path, channel)
    finally:
        os.close(channel)


def run(
    command: Sequence[str], cwd: Path, env: Mapping[str, str], stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end, in an environment without anything of loghc's but what is given."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "LOGHC_RUN", "PYTHONUNBUFFERED")
    }
    return subprocess.run(
        command,
        cwd=cwd,
        env={**inherited, **env},
        input=stdin,
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
    )


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
