"""Helpers that wait, measure time, and run threads."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType


def wait_until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait until a condition holds; fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so within {seconds} s"
        time.sleep(0.001)


def seconds_for(action: Callable[[], object]) -> float:
    """How many seconds a call takes."""
    started = time.monotonic()
    action()
    return time.monotonic() - started


def wait_until_gone(pid: int) -> None:
    """Wait until a process has ended, whether it was waited for or not."""

    def is_gone() -> bool:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return True
        return stat.rpartition(")")[2].split()[0] == "Z"

    wait_until(is_gone, 60)


def wait_until_in(thread: threading.Thread | None, function: str) -> None:
    """Wait until a thread, or for None any, is inside of a function of this name."""

    def is_inside(frame: FrameType | None) -> bool:
        while frame is not None and frame.f_code.co_name != function:
            frame = frame.f_back
        return frame is not None

    wait_until(
        lambda: any(
            is_inside(frame)
            for ident, frame in sys._current_frames().items()
            if thread is None or ident == thread.ident
        )
    )


def in_threads(work: Callable[[int], object], count: int) -> None:
    """Call ``work(0)``, ``work(1)`` and so on, each in a thread of its own, all at once."""
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def running_threads() -> set[int]:
    """Threads of this process, also those that the threading module does not know."""
    return set(sys._current_frames())


def refuse_thread(*_: object) -> int:
    """What ``_thread.start_new_thread`` does where the system has no more threads."""
    raise RuntimeError("can't start new thread")
