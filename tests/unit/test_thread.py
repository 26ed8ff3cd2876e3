"""The thread that does the work: how long it is waited for."""

from __future__ import annotations

import threading

import pytest

from loghc.delivery.thread import ThreadOnDemand
from waiting import seconds_for, wait_until


def test_another_thread_with_the_identifier_of_one_that_ended_is_not_waited_for() -> None:
    did: list[int] = []
    work = ThreadOnDemand(lambda: did.append(threading.get_ident()), lambda: not did, lambda: None)
    assert work.start()
    wait_until(lambda: did)
    work.end(20)
    for _ in range(1000):
        may_end = threading.Event()
        other = threading.Thread(target=may_end.wait)
        other.start()
        try:
            if other.ident == did[0]:
                assert seconds_for(lambda: work.end(20)) < 10
                return
        finally:
            may_end.set()
            other.join()
    pytest.skip("the system gave no thread that identifier again")
