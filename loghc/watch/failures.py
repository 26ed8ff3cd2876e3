"""Why a run failed regardless of its exit status, and what may have failed it unseen."""

from __future__ import annotations

from loghc.entry.collector import Facts
from loghc.portable.expected import Expected
from loghc.watch.intake import Intake
from loghc.watch.options import Options

__all__ = ["Failures"]


class Failures:
    """Finds reasons in a run's log not to send a success.

    Args:
        options: what was asked for.
        intake: takes in the run's markers.
        expected: the texts that the program must log, and which of them it has not logged yet.

    Attributes:
        marked: a failure marker was seen.
    """

    def __init__(self, options: Options, intake: Intake, expected: Expected) -> None:
        self._options = options
        self._intake = intake
        self._expected = expected
        self.marked = False

    def reasons(self, facts: Facts, *, exit_status: int) -> list[str]:
        """Why the run failed, as lines of text.

        Args:
            facts: what the rings say.
            exit_status: the program's.
        """
        reasons = []
        if self.marked or facts.failures or self._intake.failure_left:
            reasons.append("loghc: the run failed, because a failure was logged")
        level = self._options.fail_on
        if level is not None and facts.level >= level:
            name = self._options.fail_on_name
            reasons.append(f"loghc: a record of level {name} or above was logged (--fail-on)")
        if exit_status == 0:
            texts = [self._options.expected[number][1] for number in sorted(self._expected.left)]
            reasons += [f'loghc: ended with 0, but never said "{text}"' for text in texts]
        return reasons

    def unseen(self, facts: Facts, *, blind: bool, marker_lost: bool) -> list[str]:
        """What may have failed the run unseen, as lines of text. Then no success is sent.

        Args:
            facts: what the rings say.
            blind: a process's log, or part of it, was not seen.
            marker_lost: a marker, whatever its event, may not have been seen either.
        """
        level = self._options.fail_on
        unseen = []
        if marker_lost or (self._options.markers_only and blind):
            unseen.append("a marker")
        if level is not None and blind and facts.level < level:
            unseen.append(f"a record of level {self._options.fail_on_name} or above (--fail-on)")
        if blind and "fail" in self._options.markers.values() and not self.marked:
            unseen.append("a failure (--marker)")
        return [f"loghc: {what} may have been logged unseen" for what in unseen]
