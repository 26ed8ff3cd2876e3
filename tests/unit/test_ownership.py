"""Which thread may use what a sender remembers."""

from __future__ import annotations

import threading

import pytest

from loghc.delivery.ownership import Ownership, TakenOverError
from waiting import wait_until_in


def elsewhere(ownership: Ownership, seconds: float) -> bool:
    """Whether another thread can be the owner for a moment."""
    did: list[None] = []
    thread = threading.Thread(target=ownership.run_owned, args=(lambda: did.append(None), seconds))
    thread.start()
    thread.join(20)
    return bool(did)


def test_another_thread_may_act_only_while_the_owner_is_away() -> None:
    ownership = Ownership()
    assert elsewhere(ownership, 0)
    assert ownership.acquire()
    assert not elsewhere(ownership, 0.01)
    with ownership.away():
        assert elsewhere(ownership, 0)
    assert not elsewhere(ownership, 0.01)
    ownership.release()
    assert elsewhere(ownership, 0)


def test_whoever_comes_back_waits_for_the_other_to_be_done() -> None:
    ownership = Ownership()
    acting, may_go = threading.Event(), threading.Event()

    def act() -> None:
        acting.set()
        may_go.wait(20)

    other = threading.Thread(target=ownership.run_owned, args=(act, 20))
    other.start()
    assert acting.wait(20)
    acquired: list[bool] = []
    owner = threading.Thread(target=lambda: acquired.append(ownership.acquire()))
    owner.start()
    wait_until_in(owner, "acquire")
    assert not acquired
    may_go.set()
    owner.join(20)
    other.join(20)
    assert acquired == [True]


@pytest.mark.parametrize("is_away", [True, False])
def test_what_was_taken_over_is_never_given_back(is_away: bool) -> None:
    ownership = Ownership()
    outcome: list[str] = []
    begun, may_go = threading.Event(), threading.Event()

    def send() -> None:
        ownership.acquire()
        try:
            if is_away:
                with ownership.away():
                    begun.set()
                    may_go.wait(20)
            else:
                begun.set()
                may_go.wait(20)
                with ownership.away():
                    pass
        except TakenOverError:
            outcome.append("taken over")
        ownership.release()
        outcome.append(f"owner again: {ownership.acquire()}")

    sending = threading.Thread(target=send)
    sending.start()
    assert begun.wait(20)
    ownership.take_over(0.01)
    may_go.set()
    sending.join(20)
    assert outcome == ["taken over", "owner again: False"]
    assert not ownership.acquire()
    assert elsewhere(ownership, 0.01) is not is_away


def test_an_error_of_what_is_waited_for_propagates() -> None:
    ownership = Ownership()
    assert ownership.acquire()
    with pytest.raises(OSError, match="no network"), ownership.away():
        raise OSError("no network")
    assert not elsewhere(ownership, 0.01)
