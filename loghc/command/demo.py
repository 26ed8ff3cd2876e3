"""``loghc demo``: a small sync, and what a monitoring service sees of it."""

from __future__ import annotations

import contextlib
import inspect
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TextIO

from loguru import logger

from loghc.command.printing import colourful, show_error, width, write
from loghc.ping import Event
from loghc.sink import HealthSink
from loghc.testing import PingReceiver, ReceivedPing

__all__ = ["run"]

_PHOTOS = 12
_BODY_LINES = 4  # shown of a ping's body
_PING_TIMEOUT_S = 20.0
_COLOURS = {Event.START: "36", Event.SUCCESS: "32", Event.FAIL: "31", Event.LOG: "33"}


def sync(photos: Sequence[Path], target: Path) -> None:
    logger.info("sync.start")
    try:
        for photo in photos:
            shutil.copy(photo, target)
            logger.info("copied {}", photo.name)
            time.sleep(0.05)  # slow enough to watch
    except OSError:
        logger.exception("sync.error: {}", photo.name)
    else:
        logger.info("sync.done, {} photos", len(photos))


# The program of the third run. It doesn't use loghc.
_PROGRAM = """\
import os, signal, time
from loguru import logger

for number in range(1, 13):
    logger.info("copied photo-{:02}.jpg", number)
    time.sleep(0.05)
    if number == 8:  # as the kernel does when memory runs out
        os.kill(os.getpid(), signal.SIGKILL)
"""

# The program of the fourth run.
_GUARDED = """\
import os, signal, time
from loguru import logger
from loghc import HealthSink

logger.add(HealthSink(guard=True))
logger.info("sync.start")
for number in range(1, 13):
    logger.info("copied photo-{:02}.jpg", number)
    time.sleep(0.05)
    if number == 8:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def run(stream: TextIO | None) -> int:
    """Run a small sync twice, and two programs that are killed, and show the pings of all.

    Args:
        stream: where to show it. Colours are used on a terminal, unless ``NO_COLOR`` is set.

    Returns:
        An exit status: 0; 1 if a ping did not arrive, or the disk is full; 130 after Ctrl-C; 141
        if the reader of a pipe went away.
    """
    page = _Page(stream)
    try:
        with (
            PingReceiver() as receiver,
            _own_handlers_only(),
            _no_proxy(),
            tempfile.TemporaryDirectory(prefix="loghc-demo-") as folder,
        ):
            _show_code(page, receiver)
            _show_runs(page, receiver, Path(folder))
            if os.name == "posix":  # where "loghc run" is
                _show_killed_run(page, receiver, Path(folder))
                _show_guarded_run(page, receiver, Path(folder))
            count = len(receiver.pings)
        page.line()
        page.line(f"All {count} pings arrived. Now your own app: the same lines, or the same")
        page.line("command, with your check's ping URL.")
        return 0
    except AssertionError as missing:  # a ping that was waited for
        page.line()
        for line in str(missing).splitlines():
            page.line(line, "31")
        return 1
    except KeyboardInterrupt:
        page.line()
        return 130
    except BrokenPipeError:  # the reader, such as head, has seen enough
        return 141
    except OSError as error:  # a full disk
        show_error(f"loghc demo: {error.strerror}")
        return 1


def _show_code(page: _Page, receiver: PingReceiver) -> None:
    page.line("A sync that logs with loguru, and what a monitoring service sees of it.", "1")
    page.line(f"The service is a stand-in on this machine, at {receiver.base_url}.")
    page.line("These lines run:")
    page.line()
    page.line("    from loguru import logger")
    page.line("    from loghc import HealthSink")
    page.line()
    page.line(f'    url = "{receiver.url}"')
    page.line("    logger.add(HealthSink(url))", "1")
    page.line()
    # The function that runs, not a copy that could differ; a frozen app may have it only compiled.
    with contextlib.suppress(OSError):
        for line in inspect.getsource(sync).splitlines():
            page.line(f"    {line}", "1" if "sync." in line else "")


def _show_runs(page: _Page, receiver: PingReceiver, folder: Path) -> None:
    source, target = folder / "photos", folder / "backup"
    photos = _photos(source)
    target.mkdir()
    handler = logger.add(HealthSink(receiver.url))
    try:
        page.heading(f"The first run copies {len(photos)} photos.")
        _show_run(page, receiver, photos, target)

        lost = photos[7]
        lost.unlink()
        page.heading(f"The second run fails: {lost.name} was deleted meanwhile.")
        page.line("It is the same process, so the log still has the first run's lines.")
        _show_run(page, receiver, photos, target)
    finally:
        logger.remove(handler)


def _show_run(page: _Page, receiver: PingReceiver, photos: Sequence[Path], target: Path) -> None:
    """Run the sync on another thread, and show its two pings, each as soon as it arrives."""
    first = len(receiver.pings)
    with ThreadPoolExecutor(1) as beside:
        job = beside.submit(sync, photos, target)
        for number in (first, first + 1):
            _show_ping(page, receiver.wait(number + 1, _PING_TIMEOUT_S)[number])
        job.result()
    page.line(f"The check is now {receiver.state}.", "1")


def _show_killed_run(page: _Page, receiver: PingReceiver, folder: Path) -> None:
    """Run the program under ``loghc run``, and show the two pings, as for the sync."""
    program = folder / "copy_photos.py"
    page.heading("The third run is killed. loghc is not in this program, but around it:")
    page.line()
    page.line(f"    loghc run {program.name}", "1")
    program.write_text(_PROGRAM, encoding="utf-8")
    _show_death(page, receiver, program, [sys.executable, "-m", "loghc", "run", str(program)])


def _show_guarded_run(page: _Page, receiver: PingReceiver, folder: Path) -> None:
    """Run the program with a guard, where there can be one, and show its pings."""
    from loghc.guard.starting import obstacle

    if obstacle({"http": None}) is not None:
        return
    page.heading("The fourth run is killed, too. A guard, a small process beside it, reports that:")
    program = folder / "guarded.py"
    program.write_text(_GUARDED, encoding="utf-8")
    _show_death(page, receiver, program, [sys.executable, str(program)])


def _show_death(page: _Page, receiver: PingReceiver, program: Path, command: Sequence[str]) -> None:
    """Run a program that is killed, and show it and its pings."""
    first = len(receiver.pings)
    page.line()
    for line in program.read_text(encoding="utf-8").splitlines():
        bold = "SIGKILL" in line or "HealthSink(" in line
        page.line(f"    {line}".rstrip(), "1" if bold else "")
    page.line()
    # Leave out what is set for other runs of "loghc run", or by one around this demo.
    env = {name: value for name, value in os.environ.items() if not name.startswith("LOGHC_")}
    env |= {"HEALTH_CHECK_URL": receiver.url, "XDG_STATE_HOME": str(program.parent)}
    process = subprocess.Popen(  # noqa: S603 - this interpreter, with a program written here
        command,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # the log, which the pings show
    )
    try:
        # A start ping that was not attempted before the death gives way to the failure.
        for number in itertools.count(first):
            ping = receiver.wait(number + 1, _PING_TIMEOUT_S)[number]
            _show_ping(page, ping)
            if ping.event is Event.FAIL:
                break
    finally:
        process.terminate()
        process.wait()
    page.line(f"The check is now {receiver.state}.", "1")


def _show_ping(page: _Page, ping: ReceivedPing) -> None:
    run = (ping.run_id or "unknown")[:8]
    took = "" if ping.duration is None else f" after {ping.duration:.2f} s"
    status = "" if ping.exit_status is None else f", exit status {ping.exit_status}"
    size = f"{len(ping.body):,} bytes of log" if ping.body else "no log yet"
    page.line(f"  {ping.event.value:7}  run {run}{took}{status}, {size}", _COLOURS[ping.event])
    lines = [line for line in ping.text.splitlines() if line.strip()]
    if lines and ping.event is Event.FAIL:
        page.line(f"      | {lines.pop(0)}", _COLOURS[ping.event])  # what an alert shows
    for line in _ending(lines):
        page.line(f"      | {line}", "2")


def _ending(lines: Sequence[str]) -> Iterator[str]:
    """The last lines, and the one with the marker: a traceback may come between."""
    last = max(0, len(lines) - _BODY_LINES)
    marker = max((number for number, line in enumerate(lines) if "sync." in line), default=last)
    first = min(marker, last)
    if first:
        yield f"... {first} lines before"
    if marker < last:
        yield lines[marker]
        yield f"... {last - marker - 1} lines between"
    yield from lines[last:]


def _photos(folder: Path) -> list[Path]:
    folder.mkdir()
    photos = [folder / f"photo-{number:02}.jpg" for number in range(1, _PHOTOS + 1)]
    for photo in photos:
        photo.write_bytes(os.urandom(200_000))
    return photos


@contextlib.contextmanager
def _own_handlers_only() -> Iterator[None]:
    """Silence loguru's default handler meanwhile. Handlers that the app added stay."""
    try:
        logger.remove(0)
    except ValueError:  # it isn't there
        yield
        return
    try:
        yield
    finally:
        logger.add(sys.stderr)


@contextlib.contextmanager
def _no_proxy() -> Iterator[None]:
    """Connect to this machine directly, whatever proxy the environment names."""
    before = os.environ.get("no_proxy")
    os.environ["no_proxy"] = "127.0.0.1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["no_proxy"]
        else:
            os.environ["no_proxy"] = before


class _Page:
    """Lines of text, coloured if wanted, and no wider than the terminal."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._in_colour = colourful(stream)
        self._width = width()

    def heading(self, text: str) -> None:
        self.line()
        self.line(text, "1")

    def line(self, text: str = "", colour: str = "") -> None:
        if len(text) > self._width:
            # Cut in the middle: both ends of an error's line are worth reading.
            end = self._width // 2 - 2
            text = f"{text[: self._width - end - 3]}...{text[-end:]}"
        if colour and self._in_colour:
            text = f"\033[{colour}m{text}\033[0m"
        write(self._stream, text)
