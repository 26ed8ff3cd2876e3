"""Helpers that wait, measure time, and run threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


def wait_until(condition: Callable[[], object], seconds: float = 10) -> None:
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


def in_threads(work: Callable[[int], object], count: int) -> None:
    """Call ``work(0)``, ``work(1)`` and so on, each in a thread of its own, all at once."""
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
