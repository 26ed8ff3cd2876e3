"""Tells the watcher of markers through the channel."""

import posix

from . import layout
from .lanes import Lanes
from .run_ids import run_id_from
from .stdlib import load
from .trusted import FIFO, TrustedDirectory, open_trusted

TYPE_CHECKING = False  # importing typing here would keep the program from shadowing it
if TYPE_CHECKING:
    from typing import Any

__all__ = ["send"]

_MARKERS = ("start", "success", "fail", "log", layout.END)
_LANE_TOKENS = 32  # of the innermost open runs

_lanes = Lanes(load("_contextvars").ContextVar("loghc_runs"))


def send(path: str, event: str, line: bytes, time_ns: int, record: "dict[str, Any]") -> None:
    """Tell the watcher of a marker, if it listens and has room; the ring's header knows, too.

    The channel is opened for each message: a descriptor that is kept could become the program's. It
    is opened for reading, too, so that a write without a reader is no SIGPIPE.
    """
    if event == "log" and _ends_run(record):
        event = layout.END
    run_id = _run_id(record)
    fields = (
        layout.MESSAGE,
        b"%d" % posix.getpid(),
        b"%d" % time_ns,
        event.encode(),
        b",".join(b"%d" % token for token in _lane(event, run_id)),
        b"-" if run_id is None else run_id.encode("utf-8", "replace"),
    )
    head = b"\t".join(fields) + b"\t"
    message = head + _cut(_escape(line), layout.MESSAGE_BYTES - len(head) - 1) + b"\n"
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
    """Whether the run ends here without a verdict, as `loghc.job` says it."""
    try:
        return record["extra"]["ends_run"] is True
    except Exception:
        return False


def _run_id(record: "dict[str, Any]") -> "str | None":
    """The id of the run that the program names, None where it names none that can be read."""
    try:
        name = record["extra"]["run_id"]
        return None if name is None else run_id_from(name)
    except Exception:  # whatever the program's own class raises
        return None


def _escape(data: bytes) -> bytes:
    return data.replace(b"\\", b"\\\\").replace(b"\t", b"\\t").replace(b"\n", b"\\n")


def _cut(data: bytes, size: int) -> bytes:
    """The beginning of an escaped text: whole characters, and no half of an escape."""
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
