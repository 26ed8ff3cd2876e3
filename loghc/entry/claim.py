"""An entry of a dead process, claimed by this one: what it says, and what it owes."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator, Mapping

from loghc.entry.directory import Directory, HeldLock
from loghc.entry.owed import Owed
from loghc.entry.processes import is_here, lives, living
from loghc.entry.rings import Frame, UnknownVersionError, count_markers, read_ring
from loghc.entry.run_directory import delete_rings, remove, rings_of
from loghc.portable import layout
from loghc.portable.fields import parse_fields

__all__ = [
    "BODY",
    "END",
    "Claim",
    "note_death",
    "open_claim",
    "own_entries",
]

BODY = "body"
"""The name of the file with the body of an end that could not be delivered."""

END = "end"
"""The name of the file that says how a run ended, in room that was reserved for it."""

_LOG_DROPPED = "log-dropped"  # the name of a file in an entry whose log made room for others
_DEATH = "death"  # the name of the file that says how the process of a sink died
_BODY_LIMIT_BYTES = 1 << 28
_END_LIMIT_BYTES = 1 << 16
_RING_LIMIT_BYTES = 1 << 20  # of records in which markers are looked for
_COUNTED = "counted"
_ENDS = ("success", "fail")
_OPTIONS = ("limit", "send_logs", "redact")

own_entries: set[str] = set()
"""The paths of the entries that this process made since its last exec.

Their process lives, even if the program closed all descriptors and so lost the locks.
"""


class Claim:
    """The entry of a dead process, locked by this one.

    No directory is held open: the program that this is part of may close any descriptor.

    Args:
        directory: the entry's, open and locked. The constructor closes it, and keeps the lock.

    Attributes:
        path: the entry's directory.
        name: the entry's name in the state directory.
        fields: what is known of the run. Of a repeated key, the last value counts.
        body: the body of an end that could not be delivered; None if there is none.
        log_dropped: whether its log was deleted to make room for newer ones.
        counted: how many older entries were deleted, and are only counted in this one.
    """

    def __init__(self, directory: Directory) -> None:
        self.path = directory.path
        self.name = os.path.basename(directory.path)
        self._identity = directory.identity
        self.body: bytes | None = None
        try:
            pairs = directory.read_pairs("run") if directory.has("run") else []
            with contextlib.suppress(OSError):
                end = dict(parse_fields(directory.read(END, _END_LIMIT_BYTES).rstrip(b"\0")))
                if "complete" in end:
                    pairs += [*end.items()]
            if directory.has(_DEATH):
                pairs += directory.read_pairs(_DEATH)
            self.fields = dict(pairs)
            self._pairs = pairs
            if "event" in self.fields and directory.has(BODY):
                self.body = directory.read(BODY, _BODY_LIMIT_BYTES)
            self.log_dropped = directory.has(_LOG_DROPPED)
            self.counted = _count(directory)
            self._lock: HeldLock | None = directory.detach_lock()
        finally:
            directory.close()

    @property
    def since(self) -> float:
        """When it ended, or else when it started, in seconds of the wall clock; 0 if unknown."""
        time = _seconds(self.fields.get("ended") or self.fields.get("started"))
        return time if math.isfinite(time) else 0.0

    def is_over(self) -> bool:
        """Whether its process is dead, and no other process of its run lives."""
        if self.path in own_entries:
            return False
        if self.body is not None:
            return True
        facts = self.fields
        # This process itself may have made it, before an exec: that program has ended.
        if lives(facts) and facts.get("pid") != str(os.getpid()):
            return False
        return not living(facts.get("rings") or self.path)

    @property
    def died_here(self) -> bool:
        """Whether its process died without the machine or a container going down with it."""
        return is_here(self.fields)

    def owed(self) -> list[Owed]:
        """What has to be sent, oldest first.

        Raises:
            ValueError: what was kept is damaged.
        """
        if "event" in self.fields:
            fields = self.fields
            status = int(fields["status"]) if fields.get("status") else None
            happened, cause = _seconds(fields.get("ended")), fields.get("cause", "")
            return [Owed(fields["event"], fields["run_id"], happened, None, cause, status)]
        died = _seconds(self.fields.get("died"))
        last = self._last_record() if math.isnan(died) else died
        cause, status = self.fields.get("death", ""), self._exit_status()
        found: dict[str, Owed] = {}
        for key, value in self._pairs:
            words = value.split(" ", 4)
            if key == "open" and words[0]:
                began = _seconds(words[1] if words[1:] else self.fields.get("started"))
                found[words[0]] = Owed("fail", words[0], last, None, cause, status, began)
            elif key == "owed" and len(words) > 3:
                event, run_id, time_ns, wall, *rest = words
                found.pop(run_id, None)
                found[run_id] = Owed(event, run_id, _seconds(wall), int(time_ns), "".join(rest))
        for frame, offset_ns in self._unnoted():
            _, event, _, run_id, *rest = frame.marker.decode("utf-8", "replace").split("\t", 4)
            at = (frame.time_ns + offset_ns) / 1e9
            if event == "start":
                found[run_id] = Owed("fail", run_id, last, None, cause, status, at)
            elif event in _ENDS:
                found.pop(run_id, None)
                found[run_id] = Owed(event, run_id, at, frame.time_ns, "".join(rest))
            elif event == layout.END:
                found.pop(run_id, None)
        return list(found.values())

    def options(self) -> list[tuple[str, str]]:
        """The options of its sink that decide how much of the log may leave the machine."""
        return [(key, value) for key, value in self._pairs if key in _OPTIONS]

    @contextlib.contextmanager
    def opened(self) -> Iterator[Directory]:
        """The entry's directory, open for the duration of a ``with`` block.

        Raises:
            OSError: it is gone, or another one is in its place.
        """
        directory = Directory(self.path)
        try:
            if directory.identity != self._identity:
                raise OSError("another directory is in its place")
            yield directory
        finally:
            directory.close()

    @contextlib.contextmanager
    def rings(self) -> Iterator[Directory | None]:
        """The directory with its records, open for a ``with`` block; None if it is gone."""
        try:
            with self.opened() as directory:
                found = rings_of(directory, self.fields)
                try:
                    yield found
                finally:
                    if found is not None and found is not directory:
                        found.close()
        except OSError:
            yield None

    def count(self, other: Claim) -> None:
        """Delete another entry, and only count it in this one."""
        self.counted += other.counted + 1
        with contextlib.suppress(OSError), self.opened() as directory:
            directory.write(_COUNTED, b"%d" % self.counted)
        other.remove()
        other.release()

    def drop_log(self) -> None:
        """Delete the log to make room. What the entry owes is sent without it."""
        pairs = self._pairs
        with contextlib.suppress(OSError, ValueError), self.opened() as directory:
            if "event" not in self.fields:  # some of what it owes may be in the ring only
                pairs = [(key, value) for key, value in pairs if key not in ("open", "owed")]
                pairs += [
                    ("died", str(self._last_record())),
                    *(each.as_pair() for each in self.owed()),
                ]
            directory.write_fields("run", pairs)
            directory.write(_LOG_DROPPED, b"")
            directory.delete(BODY)
            delete_rings(directory)

    def remove(self) -> None:
        """Delete it: what it owes has been sent."""
        with contextlib.suppress(OSError), self.opened() as directory:
            remove(directory, self.fields)

    def release(self) -> None:
        """Unlock it, and leave it to another process."""
        if self._lock is not None:
            self._lock.release()

    def _exit_status(self) -> int | None:
        """The exit status of a sink's process; None if it isn't known."""
        text = self.fields.get("exit_status", "")
        return int(text) if text else None

    def _last_record(self) -> float:
        """When the last record was logged, by the wall clock."""
        times = [0.0]
        with self.rings() as directory:
            for name in _rings(directory):
                with contextlib.suppress(UnknownVersionError):
                    reading = directory and read_ring(directory, name, 1)
                    if reading and reading.frames:
                        newest = reading.frames[-1].time_ns + reading.wall_offset_ns
                        times.append(newest / 1e9)
        return max(times) or _seconds(self.fields.get("started"))

    def _unnoted(self) -> list[tuple[Frame, int]]:
        """The markers newer than what is noted, each with its ring's offset to wall time in ns."""
        noted = self.fields.get("through")
        if noted is None or not noted.isdigit():
            return []
        frames = []
        with self.rings() as directory:
            for name in _rings(directory):
                if directory is None or count_markers(directory, name) <= int(noted):
                    continue
                with contextlib.suppress(UnknownVersionError):
                    reading = read_ring(directory, name, _RING_LIMIT_BYTES)
                    for frame in reading.frames if reading else ():
                        number = frame.marker.partition(b"\t")[0]
                        if number.isdigit() and int(number) > int(noted):
                            frames.append((frame, reading.wall_offset_ns if reading else 0))
        return frames


def open_claim(parent: Directory, name: str) -> Claim | None:
    """Lock an entry in a directory; None if it is in use, or isn't an entry."""
    try:
        directory = Directory(os.path.join(parent.path, name), parent.descriptor)
    except OSError:
        return None
    with contextlib.suppress(OSError):
        if directory.lock():
            return Claim(directory)
    directory.close()
    return None


def note_death(directory: Directory, facts: Mapping[str, str]) -> None:
    """Note in a sink's entry how its process died, for whoever reports it.

    Args:
        directory: the entry's.
        facts: ``died``: when, in seconds of the wall clock; ``death``: how, in words; and
            ``exit_status``, if it is known, to send in place of the event.
    """
    directory.write_fields(_DEATH, facts.items())


def _rings(directory: Directory | None) -> list[str]:
    names = directory.names() if directory is not None else []
    return [name for name in names if name.endswith(layout.SUFFIX)]


def _count(directory: Directory) -> int:
    with contextlib.suppress(OSError, ValueError):
        return int(directory.read(_COUNTED, 20))
    return 0


def _seconds(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")
