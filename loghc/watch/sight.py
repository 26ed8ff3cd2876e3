"""What the watcher can see of a run, and what may have been logged unseen."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable

from loghc.entry.collector import Facts
from loghc.entry.rings import read_notes
from loghc.report import Once
from loghc.watch.command import Command
from loghc.watch.run_directory import RunDirectory
from loghc.watch.unseen import Pythons, read_arrivals
from loghc.watch.why_unseen import Unseen, why_isolated

__all__ = ["Sight"]


class Sight:
    """Keeps the run directory in place, and knows which of the run's Pythons are recorded there.

    Args:
        command: what was started.
        run: the run directory; None: there is none, and no log.
        trouble: why there is none.
        pythons: the Pythons of the run, and which of them the recorder got into.

    Attributes:
        rings_lost: rings that were not held open were deleted along with a run directory.
    """

    def __init__(
        self, command: Command, run: RunDirectory | None, trouble: str, pythons: Pythons
    ) -> None:
        self.rings_lost = False
        self._command = command
        self._run = run
        self._trouble = trouble
        self._pythons = pythons
        self._once = Once()

    @property
    def directory_deleted(self) -> bool:
        """Whether the run directory is gone, and has to be recreated."""
        return self._run is not None and self._run.deleted

    def renew_directory(self) -> bool:
        """Recreate the run directory; returns whether that was possible."""
        if self._run is None:
            return False
        self._pythons.directory_lost = True
        try:
            self.rings_lost = not self._run.make_anew() or self.rings_lost
        except OSError as error:
            self.rings_lost = True
            self._once.report(
                "deleted",
                f"the run directory was deleted, and can't be recreated: {error.strerror}.",
            )
            return False
        self._once.report("deleted", "the run directory was deleted; it was recreated.")
        return True

    def hold_ring(self, name: str) -> None:
        """Keep a ring that a process has opened, whatever happens to the run directory."""
        if self._run is not None and not self._run.hold_rings(name) and self._run.deleted:
            self.rings_lost = True

    def trouble(self) -> Counter[str]:
        """Why records could not be seen, and for how many processes."""
        if self._run is None:
            return Counter([self._trouble])
        if self.rings_lost:
            return Counter(["the run directory was deleted"])
        return Counter(note.text for note in read_notes(self._run))

    def unseen(self, pid: int, facts: Facts, owners: Iterable[int]) -> list[Unseen]:
        """The Pythons that may have logged unseen.

        Args:
            pid: the program's process.
            facts: what the rings say.
            owners: the processes that opened rings.
        """
        self._pythons.stop()
        if self._run is None:
            return []
        for owner in owners:
            self._pythons.recorded(owner)
        for process, text in read_arrivals(self._run):
            self._pythons.arrived(process, text)
        return self._pythons.unseen() or self._isolated(pid, facts)

    def _isolated(self, pid: int, facts: Facts) -> list[Unseen]:
        """What the command line alone shows, if no process was seen in time or can be seen."""
        option = self._command.isolated
        if not option or facts.rings:
            return []
        return [Unseen(os.path.basename(self._command.argv[0]), pid, why_isolated(option), 0.0)]
