"""Sends markers, and other news, to the watcher through the channel."""

import posix

from . import layout
from .lanes import Lanes
from .run_ids import run_id_from
from .stdlib import load
from .trusted import FIFO, TrustedDirectory, open_trusted

TYPE_CHECKING = False  # importing typing here would keep the program from shadowing it
if TYPE_CHECKING:
    from typing import Any

__all__ = ["about", "about_record", "escape", "send"]

_MARKERS = ("start", "success", "fail", "log", layout.END)
_LANE_TOKENS = 32  # of the innermost open runs

_lanes = Lanes(load("_contextvars").ContextVar("loghc_runs"))


def about(event: str, record: "dict[str, Any]") -> bytes:
    """What the watcher needs to know about a marker beside its record: tab-separated fields.

    It may begin or end a run in the calling context, so call it once for each marker.

    Args:
        event: the event's name.
        record: loguru's.
    """
    if event == "log" and _ends_run(record):
        event = layout.END
    run_id = _run_id(record)
    lane = b",".join([b"%d" % token for token in _lane(event, run_id)])
    return b"%s\t%s\t%s" % (event.encode(), lane, b"-" if run_id is None else run_id.encode())


def about_record(record: "dict[str, Any]") -> bytes:
    """The line before a record whose run is known; empty if it isn't."""
    lane = _lanes.open_tokens()[-_LANE_TOKENS:]
    run_id = _run_id(record)
    if not lane and run_id is None:
        return b""
    tokens = b",".join([b"%d" % token for token in lane])
    return b"0\t%s\t%s\t%s\n" % (layout.RECORD, tokens, (run_id or "-").encode())


def send(
    path: str, about: bytes, line: bytes, time_ns: int, ring: int = 0, number: int = 0
) -> None:
    """Send the watcher a marker, or other news, if it listens and has room.

    The channel is opened for each message, as a descriptor that is kept could end up as one of the
    program's own. It is opened for reading as well, so that a write without a reader raises no
    SIGPIPE.

    Args:
        path: the run directory's.
        about: what `about` gave.
        line: the marker's record.
        time_ns: when it was logged, by CLOCK_MONOTONIC.
        ring: when the ring was opened that has it as well; 0 without.
        number: its number there.

    Raises:
        OSError: the channel is full, or gone.
    """
    numbers = (posix.getpid(), time_ns, ring, number)
    head = b"%s\t%d\t%d\t%d\t%d\t%s\t" % (layout.MESSAGE, *numbers, about)
    message = head + _cut(escape(line), layout.MESSAGE_BYTES - len(head) - 1) + b"\n"
    with TrustedDirectory(path) as directory:
        descriptor = open_trusted("channel", FIFO, posix.O_RDWR, directory=directory)
    try:
        posix.write(descriptor, message)
    finally:
        posix.close(descriptor)


def _lane(event: str, run_id: "str | None") -> "tuple[int, ...]":
    if event not in _MARKERS:
        return ()
    ends = event in ("success", "fail", layout.END)
    return _lanes.of_marker(run_id, starts=event == "start", ends=ends)[-_LANE_TOKENS:]


def _ends_run(record: "dict[str, Any]") -> bool:
    """Whether the run ends here without a verdict, as marked by `loghc.job`."""
    try:
        return record["extra"]["ends_run"] is True
    except Exception:
        return False


def _run_id(record: "dict[str, Any]") -> "str | None":
    """The id of the run that the program names; None if it names none, or none that can be read."""
    try:
        name = record["extra"]["run_id"]
        return None if name is None else run_id_from(name)
    except Exception:  # whatever the program's own class raises
        return None


def escape(data: bytes) -> bytes:
    """Data as one field of a message."""
    return data.replace(b"\\", b"\\\\").replace(b"\t", b"\\t").replace(b"\n", b"\\n")


def _cut(data: bytes, size: int) -> bytes:
    """The beginning of an escaped text, cut between characters and escapes."""
    if len(data) <= size:
        return data
    data = data[:size]
    while data and data[-1] & 0xC0 == 0x80:
        data = data[:-1]
    if data and data[-1] & 0x80:
        data = data[:-1]
    if (len(data) - len(data.rstrip(b"\\"))) % 2:
        data = data[:-1]
    return data
