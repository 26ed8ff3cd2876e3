"""The exception that ends the program, and the successes that it takes back."""

from __future__ import annotations

import itertools
import sys
import threading

__all__ = ["CrashWatch", "uncaught_exception"]

_MAX_SUCCESSES = 1000  # that a crash may take back
_MAX_CHAINED = 100  # exceptions of one chain
_NUMBER = "_loghc_number"

_numbers = itertools.count()


def uncaught_exception() -> BaseException | None:
    """The exception that ends the program, if one does.

    CPython stores it, for debuggers, before it prints it: the app's hooks can't get in the way. In
    a multiprocessing child it is still being handled while the child cleans up; from Python 3.13
    on it is gone by then, and None is returned. At an interactive prompt the stored exception may
    be an hour old, and has ended nothing.
    """
    handled = sys.exc_info()[1]
    if handled is not None or sys.flags.interactive or hasattr(sys, "ps1"):
        return handled
    kept: BaseException | None = getattr(sys, "last_value", None)
    return getattr(sys, "last_exc", kept)  # since 3.12


class CrashWatch:
    """Knows which successes the crash of the program takes back.

    A success doesn't count if it is logged while the exception that then ends the program is
    propagating (in a ``finally``), or by another thread after the main thread has crashed.
    """

    def __init__(self) -> None:
        self._begun: dict[str, int] = {}  # runs that began while an exception propagated
        self._successes: list[tuple[str, int | None]] = []  # run id, and which exception propagated

    def start(self, run_id: str) -> None:
        """A run begins in the calling thread."""
        propagating = sys.exc_info()[1]
        if propagating is not None:  # the run is about cleaning up after it
            self._begun[run_id] = _number(propagating)
            if len(self._begun) > _MAX_SUCCESSES:
                del self._begun[next(iter(self._begun))]

    def success(self, run_id: str, thread: int) -> None:
        """A success was logged.

        Args:
            run_id: its run.
            thread: that logged it. With loguru's queue in between, it isn't the calling thread.
        """
        main, here = threading.main_thread(), thread == threading.get_ident()
        propagating = sys.exc_info()[1] if here else None
        # What the main thread logged before it crashed may arrive through the queue later.
        late = not main.is_alive() and (here or thread != main.ident)
        number = None if propagating is None else _number(propagating)
        begun = self._begun.pop(run_id, None)
        if late or (number is not None and number != begun):
            self._successes.append((run_id, None if late else number))
            del self._successes[:-_MAX_SUCCESSES]

    def take_back(self, error: BaseException | None) -> list[str]:
        """The runs whose success is taken back by the exception that ends the program, once."""
        successes, self._successes = self._successes, []
        if error is None:
            return []
        its_own = {each.__dict__.get(_NUMBER) for each in _chain(error)}
        return [run_id for run_id, number in successes if number is None or number in its_own]


def _number(error: BaseException) -> int:
    """A number, stored with the exception, that identifies it.

    Holding the exception itself would keep everything that its frames refer to alive, and its
    ``id()`` is soon reused.
    """
    return int(error.__dict__.setdefault(_NUMBER, next(_numbers)))


def _chain(error: BaseException) -> list[BaseException]:
    """An exception, those that it was raised from or while handling, and those of a group."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting and len(found) < _MAX_CHAINED:
        each = waiting.pop()
        if each is not None and all(each is not other for other in found):
            found.append(each)
            waiting += [each.__cause__, each.__context__, *_members(each)]
    return found


def _members(error: BaseException) -> list[BaseException]:
    """The exceptions of a group. Before Python 3.11 the class comes from a package."""
    members = getattr(error, "exceptions", ())
    of_a_group = isinstance(members, tuple) and all(isinstance(e, BaseException) for e in members)
    return list(members) if of_a_group else []
