"""Finds the Pythons of a run that the recorder did not get into.

Each Python with a recorder announces itself. The others are found by scanning the processes below
the program, and daemons that have its run directory in their environment. What those
logged is unknown.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import TypeVar

from loghc.entry.directory import Directory
from loghc.entry.processes import belongs, is_alive
from loghc.watch import sightings
from loghc.watch.sightings import children_of, is_python_name, newest_pid, sight
from loghc.watch.why_unseen import (
    NOT_KNOWN,
    RUN_VARIABLE,
    Unseen,
    likely_cause,
    name_of_python,
)

__all__ = ["Pythons", "read_arrivals"]

_K = TypeVar("_K")
_V = TypeVar("_V")

_PAUSE_S = 0.05
_MAX_PAUSE_S = 0.2
_MAX_CPU_SHARE = 0.02  # of a processor's time, spent scanning
_YOUNG_S = 3.0  # while a process may still become another program
_MAX_REMEMBERED = 20_000
_MAX_NEW = 500  # processes of the whole machine that are examined at once
_DIGITS = 20
_LOST = "perhaps it started when the run directory was deleted"
_NO_PROGRAM = ("-V", "-VV", "--version", "-h", "-?", "--help")  # options to run no program


class Pythons:
    """Keeps track of the Pythons among the processes of a run.

    Any thread may use it.

    Args:
        bootstrap: the directory that PYTHONPATH has to begin with.
        run: the run directory's path.

    Attributes:
        directory_lost: the run directory was deleted for a while.
    """

    def __init__(self, bootstrap: str, run: str) -> None:
        self._bootstrap = os.fsencode(bootstrap)
        self._run = os.fsencode(run)
        # In order of arrival, so that the oldest are forgotten first.
        self._seen: dict[int, None] = {}  # images that the recorder got into
        self._arrived: dict[int, None] = {}  # processes that it got into
        self._recorded: dict[int, None] = {}  # processes that have a ring
        self._found: dict[tuple[int, int], Unseen] = {}  # by process and image
        self._living: dict[int, float] = {}  # processes below the program, since when
        self._newest = b""
        self._end: tuple[Unseen, bool] | None = None  # the program, and if as another user
        self._stopped = threading.Event()
        self.directory_lost = False

    def start(self, main: int) -> None:
        """Scan a program and the processes below it from now on, on a thread.

        Args:
            main: the program's process.
        """
        self._living[main] = time.monotonic()
        self._newest = str(main).encode()
        # The system may have no more threads. Then little is seen.
        with contextlib.suppress(RuntimeError):
            threading.Thread(target=self._keep_looking, name="loghc-processes", daemon=True).start()

    def stop(self) -> None:
        """Stop scanning."""
        self._stopped.set()

    def arrived(self, pid: int, image: bytes) -> None:
        """Note that the recorder got into a Python.

        Args:
            pid: the process, as it sees its own id.
            image: identifies the program in it, as a number; 0: unknown.
        """
        _remember(self._arrived, pid, None)
        if image.isdigit() and len(image) <= _DIGITS and int(image):
            _remember(self._seen, int(image), None)

    def recorded(self, pid: int) -> None:
        """Note that a process has a ring, so what it logs is seen."""
        _remember(self._recorded, pid, None)

    def examine(self, pid: int) -> None:
        """Examine one process."""
        now = sight(pid)
        if now is None or now.zombie or (pid, now.image) in self._found:
            return
        arguments = sightings.arguments_of(pid)
        if not arguments:  # it is exiting
            return
        program = sightings.executable_of(pid) or arguments[0]
        named = is_python_name(program)
        if not named and not sightings.is_frozen(pid):
            return
        if named and arguments[1:2] and arguments[1] in _NO_PROGRAM:
            return
        environment = sightings.environment_of(pid)
        if environment is not None and self._is_watched_by_another(environment):
            return
        cause = likely_cause(pid, arguments, environment, self._bootstrap, frozen=not named)
        found = Unseen(name_of_python(now.name, arguments), pid, cause, time.monotonic())
        _remember(self._found, (pid, now.image), found)

    def examine_end(self, pid: int, arguments: list[str]) -> None:
        """Examine the program's process once it has ended, and little can be seen any more.

        Args:
            pid: the process.
            arguments: its command line.
        """
        end = sight(pid)
        if end is None or not is_python_name(end.name):
            return
        if not arguments or not is_python_name(arguments[0]):
            arguments = []
        elif arguments[1:2] and arguments[1] in _NO_PROGRAM:
            return
        changed = sightings.user_of(pid) not in (None, os.geteuid())
        if changed or all(own != pid for own, _ in list(self._found)):
            cause = likely_cause(pid, arguments)
            self._end = Unseen(name_of_python(end.name, arguments), pid, cause, 0.0), changed

    def unseen(self) -> list[Unseen]:
        """The Pythons that the recorder did not get into, so far."""
        young = time.monotonic() - _YOUNG_S
        found = {  # the last one of each process, which may have become another program
            pid: each
            for (pid, image), each in list(self._found.items())
            if image not in self._seen and (image or pid not in self._arrived)
        }
        if self._end is not None:
            end, changed = self._end
            if changed and end.pid in self._arrived:
                found[end.pid] = end._replace(cause="it switched to another user before it logged")
            elif end.pid not in self._arrived:
                found.setdefault(end.pid, end)
        known = {NOT_KNOWN: _LOST} if self.directory_lost else {}
        return [
            each._replace(cause=known.get(each.cause, each.cause))
            for pid, each in found.items()
            if pid not in self._recorded
            and (each.since < young or not is_alive(pid))  # what is young may still be starting
        ]

    def _keep_looking(self) -> None:
        pause = 0.0
        while not self._stopped.wait(pause):
            begun = time.thread_time()
            with contextlib.suppress(Exception):  # the run doesn't depend on it
                self._look(time.monotonic())
            busy = (time.thread_time() - begun) / _MAX_CPU_SHARE
            pause = min(max(_PAUSE_S, busy), _MAX_PAUSE_S)  # no test can tell: a length of time

    def _look(self, now: float) -> None:
        newest = newest_pid()
        if newest != self._newest or not newest:
            self._living = {pid: since for pid, since in self._living.items() if _is_there(pid)}
            for daemon in self._daemons(newest):
                self._living.setdefault(daemon, now)
            self._newest = newest
            waiting = list(self._living)
            while waiting:
                for child in children_of(waiting.pop()):
                    if child not in self._living:
                        self._living[child] = now
                        waiting.append(child)
        for pid, since in list(self._living.items()):
            if now - since < _YOUNG_S:
                self.examine(pid)

    def _daemons(self, newest: bytes) -> list[int]:
        """New processes that belong to the run, wherever they are in the process tree.

        A daemon's parent is gone, and only its environment shows where it belongs.
        """
        if not (newest.isdigit() and self._newest.isdigit()):
            return []
        last = int(newest)
        first = max(int(self._newest), last - _MAX_NEW) + 1
        run = os.fsdecode(self._run)
        return [
            pid
            for pid in range(first, last + 1)  # no test can tell: beyond them there is none
            if belongs(pid, run) and not sightings.is_thread(pid)
        ]

    def _is_watched_by_another(self, environment: dict[bytes, bytes]) -> bool:
        """Whether the environment is that of a program under a nested `loghc run`."""
        first = environment.get(b"PYTHONPATH", b"").partition(os.fsencode(os.pathsep))[0]
        bootstrap = os.path.join(b"loghc", b"inside", b"bootstrap")
        return first.endswith(bootstrap) and environment.get(RUN_VARIABLE, self._run) != self._run


def read_arrivals(directory: Directory) -> list[tuple[int, bytes]]:
    """What Pythons left for ``Pythons.arrived`` when the channel was full."""
    arrivals = []
    for name in directory.names():
        pid, _, kind = name.partition(".")
        if kind == "python" and pid.isdigit() and len(pid) <= _DIGITS:
            with contextlib.suppress(OSError):
                arrivals.append((int(pid), os.readlink(name.encode(), dir_fd=directory.descriptor)))
    return arrivals


def _is_there(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}")


def _remember(known: dict[_K, _V], key: _K, value: _V) -> None:
    known[key] = value
    while len(known) > _MAX_REMEMBERED:
        with contextlib.suppress(KeyError):  # another thread deleted it
            del known[next(iter(known))]
