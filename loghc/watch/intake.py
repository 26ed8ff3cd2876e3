"""Takes in the messages of the program's processes: each marker once, in order of time.

A marker is in its process's ring before it is sent through the channel. So the channel wakes the
watcher, and what did not get through it, because it was full or could not be opened, is read from
the rings.
"""

from __future__ import annotations

import time

from loghc.entry.collector import Facts
from loghc.entry.rings import UnknownVersionError, count_markers, read_ring
from loghc.watch.messages import Message, parse_frame, parse_messages
from loghc.watch.run_directory import RunDirectory

__all__ = ["Intake"]

_MAX_READS = 64  # of the channel at once, as processes may never stop writing
_LOOK_EVERY_S = 1.0  # the rings are checked this often, even if nothing comes through the channel
_MIN_RING_BYTES = 1 << 16
_MAX_RINGS = 1_000  # whose taken markers are remembered
_MAX_AHEAD = 10_000  # markers of a ring that were taken while earlier ones are missing


class Intake:
    """The messages of a run's processes that weren't taken yet.

    Args:
        run: the run directory; None: there is none, and no message.
        limit: the most bytes of log that a ping carries; rings are sized for it.

    Attributes:
        received: how many markers were taken in all.
    """

    def __init__(self, run: RunDirectory | None, limit: int) -> None:
        self._run = run
        self._limit = max(limit, _MIN_RING_BYTES)
        self._rest = b""  # the beginning of a message
        self._rings: dict[str, _Numbers] = {}  # by the ring's name
        self._looked = 0.0
        self.received = 0
        self._numbered = 0  # of these, and of other messages, how many are in a ring
        self._failures = 0  # of these, how many are failures

    def take(self, *, last: bool = False) -> list[Message]:
        """The markers since the last call, in order of time, and other messages.

        Args:
            last: nothing comes after this, so look at each ring as a whole.
        """
        if self._run is None:
            return []
        messages = self._from_channel(self._run)
        now = time.monotonic()
        if messages or last or now - self._looked >= _LOOK_EVERY_S:
            self._looked = now
            messages += self._from_rings(self._run, whole=last)
            messages.sort(key=lambda message: message.time_ns)
        markers = [message for message in messages if message.is_marker]
        self.received += len(markers)
        self._numbered += sum(message.number > 0 for message in messages)
        self._failures += sum(message.event == "fail" for message in markers)
        return messages

    @property
    def failure_left(self) -> bool:
        """Whether a process left word of a failure that it could not send."""
        return self._run is not None and self._run.told_failure

    def failure_lost(self, facts: Facts) -> bool:
        """Whether a failure was logged that came neither through the channel nor from a ring."""
        return facts.failures > self._failures or self.failure_left

    def markers_lost(self, facts: Facts) -> int:
        """How many markers were logged that came neither through the channel nor from a ring."""
        return facts.markers - self._numbered

    def _from_channel(self, run: RunDirectory) -> list[Message]:
        taken = []
        for _ in range(_MAX_READS):
            data = run.read_channel()
            messages, self._rest = parse_messages(self._rest + data)
            taken += [message for message in messages if self._is_new(message)]
            if not data:
                break
        return taken

    def _from_rings(self, run: RunDirectory, *, whole: bool) -> list[Message]:
        names = [name for name in run.names() if name.endswith(".ring")]
        taken = [message for name in names for message in self._from_ring(run, name, whole=whole)]
        if len(self._rings) > _MAX_RINGS:  # the channel may hold messages of a deleted one
            gone = [name for name in self._rings if name not in names]
            for name in gone[: len(self._rings) - _MAX_RINGS]:
                del self._rings[name]
        return taken

    def _from_ring(self, run: RunDirectory, name: str, *, whole: bool) -> list[Message]:
        numbers = self._rings.setdefault(name, _Numbers())
        if count_markers(run, name) <= numbers.taken:
            return []
        after = 0 if whole else numbers.position
        try:
            reading = read_ring(run, name, self._limit, after=after)
        except UnknownVersionError:
            reading = None
        if reading is None:
            return []
        numbers.position = max(numbers.position, reading.position)
        messages = (parse_frame(reading, frame) for frame in reading.frames)
        new = [message for message in messages if message is not None and self._is_new(message)]
        # A sink's own ring has a marker's record before the marker is known to be one.
        records = {frame.time_ns: frame.data for frame in reading.frames if not frame.marker}
        return [m if m.line else m._replace(line=records.get(m.time_ns, b"")) for m in new]

    def _is_new(self, message: Message) -> bool:
        if not message.number:
            return True
        name = f"{message.pid}-{message.ring}.ring"
        return self._rings.setdefault(name, _Numbers()).add(message.number)


class _Numbers:
    """Which of a ring's markers were taken.

    Attributes:
        position: up to where the ring was read.
        taken: how many markers were taken.
    """

    def __init__(self) -> None:
        self.position = 0
        self.taken = 0
        self._until = 0  # all numbers up to this one were taken, or are lost
        self._ahead: set[int] = set()

    def add(self, number: int) -> bool:
        """Take one; False if it was taken before."""
        if number <= self._until or number in self._ahead:
            return False
        self.taken += 1
        self._ahead.add(number)
        if len(self._ahead) > _MAX_AHEAD:
            self._until = min(self._ahead) - 1
        while self._until + 1 in self._ahead:
            self._until += 1
            self._ahead.discard(self._until)
        return True
